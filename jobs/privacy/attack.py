"""Attack a table before anybody else does: link it to everybody the attacker knows, as the attacker would.

The attacker holds a population file, the strongest there is: one row per person, with the values that the table shows
coarsened or masked. For each published tuple they count the people it fits (Sweeney 2002, the join of a release with a
register); what fits few is a claim, what fits one is singled out (WP29 opinion 05/2014). Whether a claim is true is
known only to whoever holds the table's subjects, and stays in memory: what is returned are counts. Rows that fit nobody
are linked by probability, to who differs from them in one column (Fellegi & Sunter 1969).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from jobs.privacy.generalisation.hierarchies import Hierarchy

WHOM = "_whom"  # whose row it is; null where nobody of the population
VIEW = "_view_"
NOBODY = "\x00"  # stands for no value
SUPPRESSED = "*"
CONFIDENCE_Z = 1.959963984540054  # of a two-sided interval of 95 %

Views = Callable[[pl.Series, pl.Series], list[pl.Series]]


@dataclass(frozen=True)
class Linkage:
    """Hold what linking gave: rows, how many met somebody, the claims above τ and how many of them were true.

    `true` is the number of claims expected to be true when each names one of the people it fits, evenly. `lower` is
    the lower end of Wilson's interval (95 %) of their precision. `raised` counts tuples that fit fewer people of the
    population than they have subjects: their class counts as large as the sample's.
    """

    rows: int
    population: int
    known: tuple[str, ...]
    met: int
    singled_out: int
    singled_out_true: int
    claims: int
    true: float
    lower: float
    raised: int
    least: int

    @property
    def precision(self) -> float:
        """Return the share of claims expected to be true, 0 of none."""
        return self.true / self.claims if self.claims else 0.0

    def succeeds(self, tau: float) -> bool:
        """Tell whether the table may not leave: somebody was truly singled out, or claims are right too often."""
        return self.singled_out_true > 0 or self.lower > tau


def link(
    released: pl.DataFrame, population: pl.DataFrame, views: Mapping[str, Views], tau: float
) -> Linkage:
    """Link published rows to a population and count what that claims and what of it is true.

    `released` holds the columns of `views` as published and `WHOM`; `population` holds the same columns as they are,
    and `WHOM`, one row per person. `views[column](values, published)` gives the values as they may look published,
    finest first. `tau` is the posterior above which a link is a claim. Where nobody knows whose rows they are (`WHOM`
    null in all), every person a row fits is taken to be its subject's equal: the worst that can be.
    """
    columns = list(views)
    told = released.select(*[pl.col(name).cast(pl.String).fill_null(NOBODY) for name in columns], WHOM)
    if not columns or told.is_empty():
        return Linkage(released.height, population.height, tuple(columns), 0, 0, 0, 0, 0.0, 0.0, 0, 0)
    tables = {name: _looks(population[name], told[name].unique(), views[name]) for name in columns}
    people = population.group_by(columns).agg(pl.len().alias("_people"), pl.col(WHOM).first())
    tuples = _tuples(told, tables)
    fits = pl.concat(_fits(some, people, tables, columns) for some in tuples.partition_by(f"{VIEW}{columns[0]}", *[
        f"{VIEW}{name}" for name in columns[1:]
    ]))
    # A class of the population is at least as large as the sample's part of it.
    raised = fits.filter(pl.col("_people").is_between(1, pl.col("_heads") - 1)).height
    fits = fits.with_columns(pl.when(pl.col("_people") > 0).then(pl.max_horizontal("_people", "_heads")).otherwise(0)
                             .alias("_fit"))
    met = fits.filter(pl.col("_fit") > 0)
    claimed = met.filter(1 / pl.col("_fit") > tau)
    hits = _hits(told, claimed, population, tables, columns)
    alone = hits.filter(pl.col("_fit") == 1)
    true = math.fsum(hit / fit for fit, hit in hits.group_by("_fit").agg(pl.col("_hit").sum()).iter_rows())
    return Linkage(
        released.height, population.height, tuple(columns), int(met["_rows"].sum()), alone.height,
        int(alone["_hit"].sum()), hits.height, true, wilson_lower(true, hits.height), raised,
        int(met["_fit"].min() or 0),  # type: ignore[arg-type]
    )


def link_probably(
    released: pl.DataFrame, population: pl.DataFrame, views: Mapping[str, Views], tau: float
) -> Linkage:
    """Link the rows that fit nobody to people who differ from them in one column, and count as `link` does.

    Fellegi and Sunter 1969 with as likely an error in every column, and at most one: who agrees in all columns but one
    is likelier the more people show the value published there, because that is what an error comes upon by chance.
    `met`: rows with such people; a claim names one of the people that differ in the likeliest column, and is made when
    its posterior is above `tau`; singled out is who alone differs in one column. Parameters as in `link`.
    """
    columns = list(views)
    told = released.select(*[pl.col(name).cast(pl.String).fill_null(NOBODY) for name in columns], WHOM)
    nobody = Linkage(released.height, population.height, tuple(columns), 0, 0, 0, 0, 0.0, 0.0, 0, 0)
    if len(columns) < 2 or told.is_empty() or population.is_empty():
        return nobody
    tables = {name: _looks(population[name], told[name].unique(), views[name]) for name in columns}
    tuples = _tuples(told, tables)
    tuples = tuples.filter(_fitting(tuples, population, tables, columns) == 0).sort(columns)
    if tuples.is_empty():
        return nobody
    people, weights = {}, {}
    for name in columns:
        people[name] = _fitting(tuples, population, tables, [one for one in columns if one != name]).cast(pl.Float64)
        weights[name] = _fitting(tuples, population, tables, [name]).clip(lower_bound=1).cast(pl.Float64)
    scored = tuples.with_columns(
        *[(people[name] * weights[name]).alias(f"_mass_{name}") for name in columns],
        *[people[name].alias(f"_near_{name}") for name in columns],
        *[pl.when(people[name] > 0).then(weights[name]).otherwise(0.0).alias(f"_weight_{name}") for name in columns],
    ).with_columns(
        pl.sum_horizontal(f"_near_{name}" for name in columns).alias("_near"),
        pl.max_horizontal(f"_weight_{name}" for name in columns).alias("_best"),
        pl.sum_horizontal(f"_mass_{name}" for name in columns).alias("_mass"),
    ).filter(pl.col("_near") > 0)
    # A class of the population is at least as large as the sample's part of it.
    posterior = pl.min_horizontal(pl.col("_best") / pl.col("_mass"), 1 / pl.col("_heads"))
    claimed = scored.filter(posterior > tau)
    hits = []
    for name in columns:
        first = pl.all_horizontal(
            pl.col(f"_weight_{name}") == pl.col("_best"),
            *[pl.col(f"_weight_{one}") < pl.col("_best") for one in columns[: columns.index(name)]],
        )
        rest = [one for one in columns if one != name]
        some = claimed.filter(first).with_columns(pl.max_horizontal(f"_near_{name}", "_heads").alias("_fit"))
        hits.append(_hits(told, some, population, tables, columns, rest).with_columns(pl.col("_fit").cast(pl.Float64)))
    found = pl.concat(hits)
    alone = found.filter((pl.col("_fit") == 1) & (pl.col("_near") == 1))
    true = math.fsum(hit / fit for fit, hit in found.group_by("_fit").agg(pl.col("_hit").sum()).iter_rows())
    return Linkage(
        released.height, population.height, tuple(columns), int(scored["_rows"].sum()), alone.height,
        int(alone["_hit"].sum()), found.height, true, wilson_lower(true, found.height), 0,
        int(scored["_near"].min() or 0),  # type: ignore[arg-type]
    )


def _tuples(told: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the published tuples with their rows, how many people they are of, and the look of each column."""
    heads = pl.col(WHOM).n_unique() if told[WHOM].null_count() == 0 else pl.len()
    counted = told.group_by(list(tables)).agg(pl.len().alias("_rows"), heads.alias("_heads"))
    return counted.with_columns(_level(table, name).alias(f"{VIEW}{name}") for name, table in tables.items())


def _fitting(
    tuples: pl.DataFrame, population: pl.DataFrame, tables: Mapping[str, pl.DataFrame], columns: Sequence[str]
) -> pl.Series:
    """Return how many people each published tuple fits on some columns, in the order of the tuples."""
    people = population.group_by(columns).agg(pl.len().alias("_people"))
    numbered = tuples.with_row_index("_tuple")
    looks = [f"{VIEW}{name}" for name in columns]
    fits = pl.concat(_fits(some, people, tables, columns) for some in numbered.partition_by(looks))
    return fits.sort("_tuple")["_people"]


def blame(
    released: pl.DataFrame, population: pl.DataFrame, views: Mapping[str, Views], tau: float
) -> list[tuple[str, float]]:
    """Return the columns without which fewer claims are true, each with how many are left then, fewest first."""
    whole = link(released, population, views, tau).true
    left = [
        (name, link(released, population, {one: view for one, view in views.items() if one != name}, tau).true)
        for name in views
    ]
    return sorted([one for one in left if one[1] < whole], key=lambda one: one[1])


def wilson_lower(successes: float, trials: int) -> float:
    """Return the lower end of the 95 % interval of a share (Wilson 1927), 0 without a trial."""
    if not trials:
        return 0.0
    share, z = successes / trials, CONFIDENCE_Z
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, (centre - spread) / (1 + z * z / trials))


def masked_views(values: pl.Series, published: pl.Series) -> list[pl.Series]:
    """Return values as they are, and under every mask of asterisks that the published column shows.

    A mask is known by where its asterisks stand, from the front and from the end: what is longer than the mask fits
    when its ends do.
    """
    texts = values.cast(pl.String)
    shapes = {_shape(text) for text in published.drop_nulls() if SUPPRESSED in text and text.strip(SUPPRESSED)}
    looks = [texts]
    for head, stars, tail in sorted(shapes):
        long = texts.str.len_chars() >= head + tail
        shown = pl.concat_str(
            pl.col("text").str.head(head), pl.lit(SUPPRESSED * stars),
            pl.col("text").str.tail(tail) if tail else pl.lit(""),
        )
        looks.append(pl.DataFrame({"text": texts}).select(pl.when(pl.lit(long)).then(shown)).to_series())
    return looks


def hierarchy_views(hierarchy: Hierarchy) -> Views:
    """Return the views of a column that is coarsened by a hierarchy: the values at each of its levels."""

    def views(values: pl.Series, _published: pl.Series) -> list[pl.Series]:
        texts = values.cast(pl.String)
        base = list(hierarchy.labels[0])
        return [texts.replace_strict(base, list(level), default=None) for level in hierarchy.labels]

    return views


def _shape(text: str) -> tuple[int, int, int]:
    found = re.search(r"\*+(?:.*\*)?", text, re.DOTALL)
    assert found is not None
    return found.start(), found.end() - found.start(), len(text) - found.end()


def _looks(values: pl.Series, published: pl.Series, views: Views) -> pl.DataFrame:
    """Return each distinct value of a column with its looks: `value`, `0`, `1`, … and last what says nothing."""
    distinct = values.unique()
    looks = views(distinct, published.replace(NOBODY, None))
    told = [look.cast(pl.String).fill_null(NOBODY).alias(str(at)) for at, look in enumerate(looks)]
    nothing = pl.Series(str(len(looks)), [SUPPRESSED] * len(distinct), pl.String)
    return pl.DataFrame([distinct.alias("value"), *told, nothing])


def _level(table: pl.DataFrame, column: str) -> pl.Expr:
    """Return the first look of a column in which a published value occurs, -1 for none."""
    found = pl.lit(-1)
    for name in reversed(table.columns[1:]):
        found = pl.when(pl.col(column).is_in(table[name].unique().implode())).then(pl.lit(int(name))).otherwise(found)
    return found.cast(pl.Int32)


def _fits(
    tuples: pl.DataFrame, people: pl.DataFrame, tables: Mapping[str, pl.DataFrame], columns: Sequence[str]
) -> pl.DataFrame:
    """Return published tuples of equal looks with how many people each fits, 0 where a value is nobody's."""
    levels = {name: int(tuples[f"{VIEW}{name}"][0]) for name in columns}
    if min(levels.values()) < 0:
        return tuples.with_columns(pl.lit(0, pl.Int64).alias("_people"))
    seen = people.select(
        *[_looking(name, tables[name], level).alias(name) for name, level in levels.items()], "_people"
    )
    counted = seen.group_by(columns).agg(pl.col("_people").sum().cast(pl.Int64))
    return tuples.join(counted, on=columns, how="left").with_columns(pl.col("_people").fill_null(0))


def _looking(name: str, table: pl.DataFrame, level: int) -> pl.Expr:
    return pl.col(name).replace_strict(table["value"], table[str(level)], return_dtype=pl.String, default=NOBODY)


def _hits(
    told: pl.DataFrame, claimed: pl.DataFrame, population: pl.DataFrame, tables: Mapping[str, pl.DataFrame],
    columns: Sequence[str], compared: Sequence[str] = (),
) -> pl.DataFrame:
    """Return the rows claims are made about, each with how many it fits and whether its subject is among them.

    The subject is when it agrees in the columns `compared`, by default in all.
    """
    if claimed.is_empty():
        return pl.DataFrame(schema={"_fit": pl.Int64, "_near": pl.Float64, "_hit": pl.Boolean})
    rows = told.join(claimed, on=columns)
    truth = population.select(WHOM, *[pl.col(name).alias(f"_true_{name}") for name in columns])
    rows = rows.join(truth.filter(pl.col(WHOM).is_not_null()).unique(WHOM), on=WHOM, how="left")
    same = pl.lit(value=True)
    for name in compared or columns:
        table = tables[name]
        looks = [
            pl.when(pl.col(f"{VIEW}{name}") == int(level)).then(
                pl.col(f"_true_{name}").replace_strict(
                    table["value"], table[level], return_dtype=pl.String, default=NOBODY
                )
            )
            for level in table.columns[1:]
        ]
        same = same & (pl.coalesce(looks) == pl.col(name))
    known = pl.any_horizontal([pl.col(f"_true_{name}").is_not_null() for name in columns])
    unknown = pl.lit(value=told[WHOM].null_count() == told.height)
    near = pl.col("_near") if "_near" in rows.columns else pl.lit(0.0).alias("_near")
    return rows.select("_fit", near, (unknown | (known & same)).fill_null(value=False).alias("_hit"))


@dataclass(frozen=True)
class Inference:
    """Hold what a published value gives away of one hidden column to who knows the others.

    `homogeneous`: rows whose group shows one value only. `advantage`: the largest gain of a target's own row over a
    guess made from all other rows; `above`: rows whose gain exceeds τ.
    """

    column: str
    homogeneous: int
    advantage: float
    above: int


def infer(released: pl.DataFrame, known: Sequence[str], hidden: str, tau: float) -> Inference:
    """Return what rows give away of a hidden column by the most likely value in their group of known columns.

    Only the advantage over a predictor that never saw the target's row counts (the group without it, or the whole
    table where the group was the target alone): what everybody's rows say of a group is no disclosure about one.
    """
    rows = released.select(*[pl.col(name).cast(pl.String).fill_null(NOBODY) for name in (*known, hidden)])
    if rows.is_empty():
        return Inference(hidden, 0, 0.0, 0)
    cells = rows.group_by(*known, hidden).agg(pl.len().alias("_same")) if known else (
        rows.group_by(hidden).agg(pl.len().alias("_same"))
    )
    group = pl.col("_same").sum().over(list(known)) if known else pl.col("_same").sum()
    cells = cells.with_columns(group.alias("_group"), pl.col("_same").sum().over(hidden).alias("_everywhere"))
    others = pl.when(pl.col("_group") > 1).then((pl.col("_same") - 1) / (pl.col("_group") - 1)).otherwise(
        (pl.col("_everywhere") - 1) / max(rows.height - 1, 1)
    )
    gains = cells.with_columns((pl.col("_same") / pl.col("_group") - others).alias("_gain"))
    above = gains.filter(pl.col("_gain") > tau + 1e-12)
    return Inference(
        hidden, int(gains.filter(pl.col("_same") == pl.col("_group"))["_same"].sum()),
        float(gains["_gain"].max() or 0.0), int(above["_same"].sum()),  # type: ignore[arg-type]
    )


def document(
    linkage: Linkage, inferred: Sequence[Inference], tau: float, number: Callable[[float], Any] = float,
    probable: Linkage | None = None,
) -> dict[str, Any]:
    """Return an attack's outcome as JSON: counts and shares, nobody's row; `number` writes a fraction.

    `probable`: what linking rows that fit nobody to people who differ in one column gave.
    """
    return {
        "population": linkage.population, "known": list(linkage.known), "rows": linkage.rows, "met": linkage.met,
        "least_people": linkage.least, "singled_out": linkage.singled_out,
        "singled_out_true": linkage.singled_out_true, "claims": linkage.claims,
        "claims_true": number(linkage.true), "precision": number(linkage.precision),
        "precision_lower_95": number(linkage.lower), "classes_raised": linkage.raised,
        "inference": [
            {"column": one.column, "homogeneous_rows": one.homogeneous, "largest_advantage": number(one.advantage),
             "rows_above": one.above}
            for one in inferred
        ],
        "probable": None if probable is None else {
            "met": probable.met, "singled_out": probable.singled_out, "singled_out_true": probable.singled_out_true,
            "claims": probable.claims, "claims_true": number(probable.true), "precision": number(probable.precision),
            "precision_lower_95": number(probable.lower),
        },
        "tau": number(tau),
        "succeeds": linkage.succeeds(tau) or any(one.above for one in inferred)
        or (probable is not None and probable.succeeds(tau)),
    }
