"""Make small groups disappear: coarsen the rows nobody else resembles, leave out what stays alone.

A group (an equivalence class) is the rows that share one published tuple of quasi-identifying columns, as published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from jobs.errors import ReleaseRefused

Coarsen = Callable[[pl.Series, str], pl.Series]

LEAST_SENSITIVE = 2  # distinct values of a sensitive column in every group (distinct l-diversity)
# Places are widened first, then time, then amounts; what remains can only be replaced by an asterisk.
_PLACES = ("city", "province")
_TIMES = ("month", "quarter", "year", "five_years", "ten_years", "twenty_years")
_AMOUNTS = ("five_thousands", "ten_thousands", "hundred_thousands")
_STAR = "suppressed"
_ALL, _RAW = "_all", "_raw"


@dataclass(frozen=True)
class Anonymised:
    """Hold what may leave and what it cost.

    `rows`: quasi-identifying columns as text, all others as they came, sorted bytewise by all columns.
    `coarsened`: `column: step` → rows published at that step. `average_risk`: mean of 1/size over groups. `subjects`:
    the columns that tell who each row is about, for whoever attacks the result; they never leave.
    """

    rows: pl.DataFrame
    delivered: int
    groups: int
    smallest_group: int
    average_risk: float
    coarsened: Mapping[str, int]
    subjects: pl.DataFrame = field(repr=False)

    @property
    def kept(self) -> int:
        """Return how many rows are left."""
        return self.rows.height

    @property
    def suppressed(self) -> int:
        """Return how many rows were left out."""
        return self.delivered - self.kept

    @property
    def kept_share(self) -> float:
        """Return the share of rows that are left, 0 of nothing."""
        return self.kept / self.delivered if self.delivered else 0.0


@dataclass(frozen=True)
class _Pairs:
    """Hold the distinct values of one column per finest group, and how many a published group needs."""

    values: pl.DataFrame
    least: int


def anonymise(
    rows: pl.DataFrame,
    quasi: Sequence[str],
    k: int,
    ladders: Mapping[str, Sequence[str]],
    coarsen: Coarsen,
    *,
    subjects: Sequence[str] = (),
    sensitive: Sequence[str] = (),
) -> Anonymised:
    """Coarsen rows of groups below `k` until their group has `k` rows; leave out the rest.

    Local recoding: a row goes down one chain of steps (place: county, city, province; then wider bands of time; then
    of amounts; then asterisks, one column at a time, the one that saves most rows first) and stops at the first step
    where the rows still walking form a group of `k`. The last column is never replaced: a row that says nothing is
    no row kept, it is left out. `ladders` names each column's coarser steps and `coarsen(values, step)` takes one.
    `subjects` are columns that tell who a row is about: a group needs `k` different ones of each, so that a person
    with many rows cannot be a crowd; a null is somebody of their own. They are not in the result. Every `sensitive`
    column outside `quasi` has at least two distinct values in every group (distinct l-diversity; the rest of
    GB/T 37964-2019 annex B is not attempted).

    What one can infer: who knows this procedure knows that a coarse row's finer group was too small, not which of
    the coarse group's rows it is: the coarse rows are equal, and at least `k`. Each count of the result is of disjoint
    rows and no margins are published, so that nothing left out can be had by subtraction and no complementary
    suppression is needed. Sums are not protected against one dominant contributor. Raises ReleaseRefused when a group
    of the result is, against all this, below its threshold.
    """
    if not quasi:
        one = anonymise(
            rows.with_columns(pl.lit("").alias(_ALL)), [_ALL], k, {}, coarsen, subjects=subjects, sensitive=sensitive
        )
        return Anonymised(
            one.rows.drop(_ALL), one.delivered, one.groups, one.smallest_group, one.average_risk, one.coarsened,
            one.subjects,
        )
    quasi, sensitive = list(quasi), [name for name in sensitive if name not in quasi]
    finest = rows.group_by(quasi).agg(pl.len().alias("_n")).sort(quasi).with_row_index("_class")
    numbered = _with_subjects(rows, subjects).join(
        finest.drop("_n"), on=quasi, how="left", nulls_equal=True, maintain_order="left"
    )
    pairs = [_pairs(numbered, name, k) for name in subjects]
    pairs += [_pairs(numbered, name, LEAST_SENSITIVE) for name in sensitive]
    recoded, coarsened = _recode(finest, quasi, k, ladders, coarsen, pairs)
    kept = numbered.drop(quasi).join(recoded, on="_class", how="inner", maintain_order="left")
    groups, smallest, average = _check(kept, quasi, k, subjects, sensitive)
    columns = [name for name in rows.columns if name not in subjects]
    released = kept.sort(columns)
    whom = released.select(pl.col(f"{_RAW}{name}").alias(name) for name in subjects)
    return Anonymised(released.select(columns), rows.height, groups, smallest, average, coarsened, whom)


def chain(quasi: Sequence[str], ladders: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return (column, step) in the order rows are widened, asterisks not included.

    A ladder's `magnitude` is passed over: read off a band that begins at 0 it would say 0.
    """
    return [
        (column, step)
        for kind in (_PLACES, _TIMES, _AMOUNTS)
        for column in quasi
        for step in ladders.get(column, ())
        if step in kind
    ]


def _with_subjects(rows: pl.DataFrame, subjects: Sequence[str]) -> pl.DataFrame:
    """Number the subjects; a row without one counts as a subject of its own."""
    own = pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    return rows.with_columns(
        *[pl.col(name).alias(f"{_RAW}{name}") for name in subjects],
        *[pl.coalesce(pl.col(name).rank("dense").cast(pl.Int64), -own).alias(name) for name in subjects],
    )


def _pairs(numbered: pl.DataFrame, column: str, least: int) -> _Pairs:
    return _Pairs(numbered.select("_class", pl.col(column).alias("_value")).unique(), least)


def _recode(
    finest: pl.DataFrame,
    quasi: list[str],
    k: int,
    ladders: Mapping[str, Sequence[str]],
    coarsen: Coarsen,
    pairs: Sequence[_Pairs],
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return finest group → published tuple, for the groups that are kept, and rows per step taken."""
    base = finest.select("_class", *[pl.col(name).alias(f"_base_{name}") for name in quasi])
    walking = finest.with_columns(pl.col(quasi).cast(pl.String)).join(base, on="_class", maintain_order="left")
    done: list[pl.DataFrame] = []
    taken: dict[str, str] = {}
    coarsened: dict[str, int] = {}

    def stop(walking: pl.DataFrame) -> pl.DataFrame:
        fits = _fits(walking, quasi, k, pairs)
        arrived = walking.filter(fits)
        done.append(arrived.select("_class", *quasi))
        if rows := int(arrived["_n"].sum()):
            for column, step in taken.items():
                coarsened[f"{column}: {step}"] = coarsened.get(f"{column}: {step}", 0) + rows
        return walking.filter(~fits)

    def step_down(walking: pl.DataFrame, column: str, step: str) -> pl.DataFrame:
        return walking.with_columns(coarsen(walking[f"_base_{column}"], step).cast(pl.String).alias(column))

    walking = stop(walking)
    for column, step in chain(quasi, ladders):
        if walking.is_empty():
            break
        taken[column] = step
        walking = stop(step_down(walking, column, step))
    telling = list(quasi)
    while walking.height and len(telling) > 1:
        tries = {column: step_down(walking, column, _STAR) for column in telling}
        saved = {
            column: int(one.filter(_fits(one, quasi, k, pairs))["_n"].sum()) for column, one in tries.items()
        }
        # Among equals the one named last in the contract goes first: contracts begin with what matters.
        best = max(telling, key=lambda column: (saved[column], telling.index(column)))
        telling.remove(best)
        taken[best] = _STAR
        walking = stop(tries[best])
    return pl.concat(done), dict(sorted(coarsened.items()))


def _fits(walking: pl.DataFrame, quasi: list[str], k: int, pairs: Sequence[_Pairs]) -> pl.Series:
    """Return which finest groups now share a tuple with enough rows, subjects and sensitive values."""
    grouped = walking.select(
        "_class",
        pl.col("_n").sum().over(quasi).alias("_size"),
        pl.col("_class").min().over(quasi).alias("_group"),
    )
    fits = grouped["_size"] >= k
    for one in pairs:
        met = one.values.join(grouped.filter(fits).select("_class", "_group"), on="_class")
        enough = met.group_by("_group").agg(pl.col("_value").n_unique().alias("_met"))
        good = enough.filter(pl.col("_met") >= one.least)["_group"]
        fits = fits & grouped["_group"].is_in(good.implode())
    return fits


def _check(
    kept: pl.DataFrame, quasi: list[str], k: int, subjects: Sequence[str], sensitive: Sequence[str]
) -> tuple[int, int, float]:
    """Count the published groups anew; return how many, the smallest size, the mean of 1/size."""
    if kept.is_empty():
        return 0, 0, 0.0
    sizes = kept.group_by(quasi).agg(
        pl.min_horizontal(pl.len(), *[pl.col(name).n_unique() for name in subjects]).alias("_size"),
        pl.min_horizontal(pl.lit(LEAST_SENSITIVE), *[pl.col(name).n_unique() for name in sensitive]).alias("_l"),
    )
    smallest = int(sizes.select(pl.col("_size").min()).item())
    if smallest < k or int(sizes.select(pl.col("_l").min()).item()) < LEAST_SENSITIVE:
        raise ReleaseRefused("a published group is below its threshold; nothing is released.", layer="open")
    # Sorted, because a sum of fractions depends on their order, and groups come in any.
    return sizes.height, smallest, float(sizes.select((1 / pl.col("_size").sort()).mean()).item())
