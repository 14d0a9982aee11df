"""Count a table into equivalence classes: everything the measures need, at the size of the distinct tuples.

An equivalence class is the rows that share one tuple of quasi-identifiers. Conventions, the same for every measure:

- A row whose quasi-identifiers are all `*` is *suppressed*: it says nothing, is in no class and does not count in
  `n`. It still counts in the overall distribution of a sensitive column, since that column is there to be read.
- `*` in some of the columns, and an empty cell, are values like any other: two empty cells are equal.
- An empty sensitive cell is a value of its own, lowest in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.errors import RequestError

Counts = npt.NDArray[np.int64]
SUPPRESSED = "*"
_ROWS, _CLASS, _VALUE = "__rows", "__class", "__value"
_LEADING_ZERO = r"^[+-]?0[0-9]"


@dataclass(frozen=True)
class Sensitive:
    """Hold how one sensitive column spreads over the classes: one entry per (class, value) that occurs.

    `classes` (ascending), `values` (rank of the value, ascending within a class) and `rows` are parallel; `totals` is
    rows per value in the whole table, suppressed rows included. `ordered` says whether values are numbers.
    """

    classes: Counts
    values: Counts
    rows: Counts
    totals: Counts
    ordered: bool


@dataclass(frozen=True)
class Classes:
    """Hold the classes of a table: `tuples` (one row per class), `sizes` parallel to it, and what is sensitive."""

    tuples: pl.DataFrame
    sizes: Counts
    suppressed: int
    sensitive: Mapping[str, Sensitive]

    @property
    def n(self) -> int:
        """Return the number of rows that are in a class."""
        return int(self.sizes.sum())


def count_classes(
    table: pl.LazyFrame, quasi: Sequence[str], sensitive: Sequence[str] = (), nominal: Iterable[str] = ()
) -> Classes:
    """Count a table into classes; each sensitive column costs one more pass.

    A sensitive column is ordered when it holds numbers (texts that all read as numbers, none with a leading zero,
    count as such), unless `nominal` names it. Raises RequestError for columns that are missing, repeated, or
    both quasi-identifying and sensitive.
    """
    _check_columns(table, quasi, sensitive)
    quasi = list(quasi)
    counted = table.group_by(quasi).agg(pl.len().cast(pl.Int64).alias(_ROWS)).collect(engine="streaming")
    silent = _silent(counted, quasi)
    suppressed = int(counted.filter(silent)[_ROWS].sum())
    classes = counted.filter(~silent).with_row_index(_CLASS)
    spread = {name: _spread(table, classes, quasi, name, name not in set(nominal)) for name in sensitive}
    return Classes(classes.select(quasi), _array(classes[_ROWS]), suppressed, spread)


def _check_columns(table: pl.LazyFrame, quasi: Sequence[str], sensitive: Sequence[str]) -> None:
    names = table.collect_schema().names()
    if not quasi:
        raise RequestError("no quasi-identifier is named.", remedy="name at least one column in --quasi.")
    asked = [*quasi, *sensitive]
    for name in asked:
        if name not in names:
            raise RequestError("the table has no such column.", where=name, remedy=f"columns: {', '.join(names)}.")
        if asked.count(name) > 1:
            raise RequestError("a column is named twice.", where=name, remedy="a column is quasi or sensitive, once.")


def _silent(counted: pl.DataFrame, quasi: Sequence[str]) -> pl.Series:
    if any(counted.schema[name] not in (pl.String, pl.Categorical, pl.Enum) for name in quasi):
        return pl.Series([False]).new_from_index(0, counted.height)
    every = pl.all_horizontal(pl.col(name).cast(pl.String) == SUPPRESSED for name in quasi)
    return counted.select(every.fill_null(value=False)).to_series()


def _spread(table: pl.LazyFrame, classes: pl.DataFrame, quasi: list[str], name: str, may_order: bool) -> Sensitive:
    pairs = (
        table.select(*quasi, pl.col(name).alias(_VALUE))
        .group_by([*quasi, _VALUE]).agg(pl.len().cast(pl.Int64).alias(_ROWS))
        .collect(engine="streaming")
    )
    totals = pairs.group_by(_VALUE).agg(pl.col(_ROWS).sum())
    numbers = _numbers(totals[_VALUE]) if may_order else None
    ranked = totals.with_columns((totals[_VALUE] if numbers is None else numbers).alias("__order"))
    # Texts such as 1 and 1.0 are one number: they share a rank.
    ranked = ranked.with_columns((pl.col("__order").rank("dense").fill_null(0)).cast(pl.Int64).alias("__rank"))
    if ranked["__rank"].min() == 1:
        ranked = ranked.with_columns(pl.col("__rank") - 1)
    inside = (
        pairs.join(classes.select(*quasi, _CLASS), on=quasi, how="inner", nulls_equal=True)
        .join(ranked.select(_VALUE, "__rank"), on=_VALUE, how="left", nulls_equal=True)
        .group_by(_CLASS, "__rank").agg(pl.col(_ROWS).sum())
        .sort(_CLASS, "__rank")
    )
    by_value = ranked.group_by("__rank").agg(pl.col(_ROWS).sum()).sort("__rank")
    return Sensitive(
        _array(inside[_CLASS]), _array(inside["__rank"]), _array(inside[_ROWS]), _array(by_value[_ROWS]),
        ordered=numbers is not None,
    )


def _numbers(values: pl.Series) -> pl.Series | None:
    """Return distinct values as numbers, or None when they are no numbers (codes with leading zeros are not)."""
    if values.dtype.is_numeric():
        return values
    if values.dtype.is_temporal():
        return values.to_physical()
    if values.dtype != pl.String or values.drop_nulls().is_empty():
        return None
    if values.str.contains(_LEADING_ZERO).any():
        return None
    numbers = values.cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == values.null_count() and numbers.is_finite().all() else None


def _array(values: pl.Series) -> Counts:
    return values.cast(pl.Int64).to_numpy()
