"""Profile the columns of a released table: how filled, how many values, which are most frequent, how they spread."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

MOST = 8  # values shown of a column
BINS = 12
CATEGORIES = 20  # a column with more values is no category
YEAR = re.compile(r"^(1[89]|20)\d\d(\D.*)?$")

Kind = Literal["number", "values", "empty"]


@dataclass(frozen=True)
class Profile:
    """Hold what one column looks like; `bars` are (label, rows) of the top values, or of equal bins of a number.

    `low`, `middle`, `high` are a number's least value, median and largest.
    """

    kind: Kind
    rows: int
    nulls: int
    distinct: int
    bars: tuple[tuple[str, int], ...]
    low: str = ""
    middle: str = ""
    high: str = ""

    @property
    def filled(self) -> float:
        """Return the share of rows that have a value, 0 to 1."""
        return (self.rows - self.nulls) / self.rows if self.rows else 0.0


def profile(values: pl.Series) -> Profile:
    """Return the profile of one released column."""
    present = values.drop_nulls()
    rows, nulls, distinct = len(values), values.null_count(), present.n_unique()
    if present.is_empty():
        return Profile("empty", rows, nulls, 0, ())
    if values.dtype.is_numeric():
        numbers = present.cast(pl.Float64)
        finite = numbers.filter(numbers.is_finite())
        low, middle, high = (_number(value) for value in (finite.min(), finite.median(), finite.max()))
        return Profile("number", rows, nulls, distinct, _bins(finite), low, middle, high)
    counted = present.cast(pl.String).alias("value").value_counts().sort(["count", "value"], descending=[True, False])
    return Profile("values", rows, nulls, distinct, tuple(counted.head(MOST).iter_rows()))


def counts(table: pl.DataFrame, by: str, measure: str | None) -> list[tuple[str, float]]:
    """Return (value, amount) of one column by value, bytewise: the measure's sum, else the rows; nulls left out."""
    amount = pl.len() if measure is None else pl.col(measure).sum()
    grouped = table.filter(pl.col(by).is_not_null()).group_by(pl.col(by).cast(pl.String).alias("value"))
    found = grouped.agg(amount.cast(pl.Float64).alias("amount")).sort("value")
    return [(str(value), float(number or 0)) for value, number in found.iter_rows()]


def is_time(values: Sequence[str]) -> bool:
    """Tell whether values are years, months, days or bands of years; `*` and the like may stand among them."""
    told = [bool(YEAR.match(value)) for value in values if value.strip("*")]
    return len(told) > 1 and all(told)


def plottable(
    table: pl.DataFrame, columns: Sequence[Mapping[str, Any]]
) -> list[tuple[str, Literal["time", "division", "category"]]]:
    """Return the columns people look for in a plot, and which plot: by time, by division, by category."""
    found: list[tuple[str, Literal["time", "division", "category"]]] = []
    for one in columns:
        name = one["name"]
        if one["measure"] or table[name].null_count() == table.height:
            continue
        if one["codes"] == "division":
            found.append((name, "division"))
            continue
        values = table[name].drop_nulls().cast(pl.String).unique().to_list()
        if is_time(values):
            found.append((name, "time"))
        elif 1 < len(values) <= CATEGORIES:
            found.append((name, "category"))
    order = ("time", "division", "category")
    return sorted(found, key=lambda one: order.index(one[1]))


def _bins(numbers: pl.Series) -> tuple[tuple[str, int], ...]:
    if numbers.is_empty():
        return ()
    low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
    if low == high:
        return ((_number(low), len(numbers)),)
    width = (high - low) / BINS
    place = ((numbers - low) / width).floor().clip(0, BINS - 1).cast(pl.Int64)
    count = dict(place.alias("bin").value_counts().iter_rows())
    return tuple((_number(low + n * width), int(count.get(n, 0))) for n in range(BINS))


def _number(value: Any) -> str:
    return "" if value is None else f"{float(value):,.6g}" if abs(float(value)) < 1e5 else f"{float(value):,.0f}"
