"""Make a table safe: count it, search the lattice, recode the rows, and measure what came out all over again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.errors import ReleaseRefused, RequestError
from jobs.privacy.generalisation.hierarchies import Hierarchy, Ladder, ladder
from jobs.privacy.generalisation.lattice import (
    DENSE,
    Criteria,
    Groups,
    Metric,
    column_losses,
    finest,
    fold,
    passing,
)
from jobs.privacy.generalisation.search import MOST_EVALUATIONS, Found, search
from jobs.privacy.risk.classes import Classes, Counts, Key, count_rows, encoded, says_nothing

SUPPRESSION = 0.05  # share of rows that may be left out


@dataclass(frozen=True)
class Generalised:
    """Hold the rows that may leave, sorted bytewise by all columns, and the report on them."""

    rows: pl.DataFrame
    report: dict[str, Any]


def generalise(
    table: pl.LazyFrame,
    quasi: Sequence[str],
    hierarchies: Mapping[str, Hierarchy],
    criteria: Criteria,
    *,
    sensitive: Sequence[str] = (),
    keep: Sequence[str] = (),
    suppression: float = SUPPRESSION,
    metric: Metric = "entropy",
    weights: Mapping[str, float] | None = None,
    count_suppressed: bool = True,
    nominal: Sequence[str] = (),
    most: int = MOST_EVALUATIONS,
) -> Generalised:
    """Generalise every quasi-identifier to one level and leave out what still stands out, with the least loss.

    Returns quasi-identifiers as text, then `sensitive` and `keep` as they are; no other column leaves. Rows left out
    are at most `suppression` (0 to 1) of all, those that came suppressed not counted. l and t are asked of every
    sensitive column, t against the distribution in the whole table. The result is counted again from its own rows
    before it is returned. Raises RequestError for a bad request, ReleaseRefused when nothing passes.
    """
    _check(quasi, hierarchies, criteria, sensitive, suppression)
    classes, key = count_rows(table, quasi, sensitive, nominal)
    if not classes.n:
        raise ReleaseRefused("the table has no row to release.", remedy="look at what was delivered.")
    ladders = [ladder(hierarchies[name], classes.values[name], np.unique(classes.codes[name])) for name in quasi]
    weighed = [(weights or {}).get(name, 1.0) for name in quasi]
    base = finest(classes, ladders)
    limit = int(suppression * classes.n + 1e-9)
    found = search(
        base, ladders, criteria, limit, metric=metric, weights=weighed, count_suppressed=count_suppressed, most=most
    )
    groups = fold(base, found.best.levels, ladders)
    passes = passing(groups, criteria)
    kept = _kept(table, [*sensitive, *keep])
    rows = _recode(key, kept, classes, ladders, groups, passes)
    _count_again(rows, quasi, sensitive, criteria, expected=classes.n - found.best.suppressed)
    return Generalised(rows, _report(classes, ladders, groups, passes, found, metric, weighed, criteria))


def _check(
    quasi: Sequence[str], hierarchies: Mapping[str, Hierarchy], criteria: Criteria, sensitive: Sequence[str],
    suppression: float,
) -> None:
    if lacking := [name for name in quasi if name not in hierarchies]:
        raise RequestError("a column has no hierarchy.", where=", ".join(lacking), remedy="give one for each column.")
    if not 0 <= suppression < 1:
        raise RequestError("the suppression limit is no share.", remedy="give a number from 0 to below 1.")
    if criteria.k < 1 or criteria.l < 1 or not 0 <= criteria.t <= 1:
        raise RequestError("a criterion is out of range.", remedy="k and l are 1 or more, t is from 0 to 1.")
    if (criteria.l > 1 or criteria.t < 1) and not sensitive:
        raise RequestError("l and t need a sensitive column.", remedy="name it in --sensitive.")


def _kept(table: pl.LazyFrame, names: Sequence[str]) -> pl.DataFrame:
    schema = table.collect_schema()
    odd = [name for name in names if schema[name].is_nested() or schema[name] in (pl.Binary, pl.Object)]
    if odd:
        raise RequestError("a column to keep holds neither text nor numbers.", where=odd[0], remedy="leave it out.")
    return table.select(names).collect(engine="streaming")


def _recode(
    key: Key, kept: pl.DataFrame, classes: Classes, ladders: Sequence[Ladder], groups: Groups, passes: np.ndarray
) -> pl.DataFrame:
    """Return the rows of the groups that pass, each column at its level, sorted.

    A row is one number made of the ranks of its labels and of its kept values in bytewise order: rows are sorted as
    numbers, and read off them again. Sorting them as rows takes ten times as long.
    """
    steps = list(zip(ladders, groups.levels, groups.codes, strict=True))
    stays = ~says_nothing(key.columns(key.rows), [classes.values[one.column] for one in reversed(ladders)])
    labels, widths, rows, released = [], [], [], []
    for (one, level, codes), column in zip(reversed(steps), key.columns(key.rows), strict=True):
        texts = pl.Series(one.column, one.labels[level], dtype=pl.String)
        rank = _ranks(texts)
        labels.append(texts.sort())
        widths.append(len(texts))
        rows.append(rank[one.maps[level]][column])
        released.append(rank[codes[passes]])
    both = Key.of([np.concatenate(pair) for pair in zip(rows[::-1], released[::-1], strict=True)], widths[::-1])
    number, chosen = np.split(both.rows, [len(key.rows)])
    stays &= _among(number, chosen)
    columns, labels, widths = [column[stays] for column in rows[::-1]], labels[::-1], widths[::-1]
    for values in kept:
        codes, distinct = encoded(values)
        columns.append(_ranks(distinct)[codes[stays]])
        labels.append(distinct.sort().alias(values.name))
        widths.append(len(distinct))
    whole = Key.of(columns, widths)
    parts = whole.parts(np.sort(whole.rows))
    return pl.DataFrame([texts.gather(part) for texts, part in zip(labels, parts, strict=True)])


def _ranks(distinct: pl.Series) -> Counts:
    """Return the place of each of some distinct values among them when they are sorted, nothing first."""
    place = np.empty(len(distinct), dtype=np.int64)
    place[distinct.arg_sort().to_numpy()] = np.arange(len(distinct))
    return place


def _among(numbers: Counts, chosen: Counts) -> npt.NDArray[np.bool_]:
    """Tell which numbers are among the chosen."""
    span = int(max(numbers.max(initial=-1), chosen.max(initial=-1))) + 1
    if span > DENSE:
        found: npt.NDArray[np.bool_] = np.isin(numbers, chosen)
        return found
    there = np.zeros(span, dtype=bool)
    there[chosen] = True
    return there[numbers]


def _count_again(
    rows: pl.DataFrame, quasi: Sequence[str], sensitive: Sequence[str], criteria: Criteria, expected: int
) -> None:
    """Count the finished rows with nothing of the search's own, and refuse them if they say otherwise."""
    sizes = rows.group_by(quasi).agg(pl.len().alias("rows"), pl.col(sensitive).n_unique().name.prefix("values of "))
    wrong = rows.height != expected or (
        rows.height and (
            sizes["rows"].min() < criteria.k  # type: ignore[operator]
            or any(sizes[f"values of {name}"].min() < criteria.l for name in sensitive)  # type: ignore[operator]
        )
    )
    if wrong:
        raise ReleaseRefused(
            "the finished rows do not meet the criteria.", remedy="report it: search and recoding disagree."
        )


def _report(
    classes: Classes, ladders: Sequence[Ladder], groups: Groups, passes: np.ndarray, found: Found, metric: Metric,
    weights: Sequence[float], criteria: Criteria,
) -> dict[str, Any]:
    best, sizes = found.best, groups.sizes[passes]
    worst = sum(float(column[-1]) for column in column_losses(finest(classes, ladders), ladders, weights))
    return {
        "levels": {one.column: level for one, level in zip(ladders, best.levels, strict=True)},
        "heights": {one.column: one.height for one in ladders},
        "criteria": asdict(criteria),
        "loss": {
            "metric": metric, "value": best.loss,
            "share": best.loss / worst if metric == "entropy" and worst else None,
        },
        "n": classes.n,
        "kept": int(sizes.sum()),
        "suppressed": best.suppressed,
        "suppression": best.suppressed / classes.n,
        "classes": len(sizes),
        "k": int(sizes.min()) if len(sizes) else 0,
        "average_class_size": float(sizes.mean()) if len(sizes) else None,
        "search": {"lattice": found.lattice, "evaluated": found.evaluated, "optimal": found.optimal},
    }
