"""Micro-aggregation: every number becomes the mean of at least k neighbours, with the least possible loss."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.errors import RequestError

MICROAGGREGATE = "microaggregate"
Numbers = npt.NDArray[np.float64]


def microaggregated(values: pl.Series, k: int) -> pl.Series:
    """Replace numbers or dates by the mean of their group; groups are of at least `k` values that lie together.

    The groups are those with the smallest sum of squared distances to their means (Hansen & Mukherjee 2003), equal
    values staying together, so that what a value becomes depends on no order of rows. Means are rounded to the
    column's own type. Nothing stays nothing; fewer than `k` values in all become nothing. Raises RequestError for
    values that have no mean.
    """
    if values.null_count() == len(values):
        return values
    if not (values.dtype.is_numeric() or values.dtype.is_temporal()):
        raise RequestError("a column of texts has no mean.", where=values.name, remedy="micro-aggregate numbers.")
    plain = values.to_physical().cast(pl.Float64) if values.dtype.is_temporal() else values.cast(pl.Float64)
    known = plain.set(~plain.is_finite(), None) if values.dtype.is_float() else plain
    table = known.alias("value").drop_nulls().value_counts(name="rows").sort("value")
    if table["rows"].sum() < k:
        return pl.Series(values.name, [None], dtype=values.dtype).new_from_index(0, len(values))
    distinct, rows = table["value"].to_numpy(), table["rows"].to_numpy().astype(np.float64)
    starts = _groups(distinct, rows, k)
    sizes = np.add.reduceat(rows, starts)
    means = np.add.reduceat(distinct * rows, starts) / sizes
    spread = np.repeat(means, np.diff(np.append(starts, len(distinct))))
    return _typed(known.replace_strict(table["value"], pl.Series(spread), default=None), values).alias(values.name)


def _groups(distinct: Numbers, rows: Numbers, k: int) -> npt.NDArray[np.int64]:
    """Return where the groups of sorted distinct values start.

    The shortest path over places between values: an edge is a group of at least `k` rows, its length the group's sum
    of squares. A group that could be cut into two of at least `k` rows is never better than these, and left out.
    """
    centred = distinct - distinct.mean()  # far from 0 the differences of squares would drown
    count = np.concatenate([[0.0], np.cumsum(rows)])
    total = np.concatenate([[0.0], np.cumsum(rows * centred)])
    squares = np.concatenate([[0.0], np.cumsum(rows * centred**2)])
    ends = len(distinct) + 1
    length, before = np.full(ends, np.inf), np.zeros(ends, dtype=np.int64)
    length[0] = 0.0
    last = np.searchsorted(count, count - k, side="right") - 1  # the latest start of a group that ends here
    first = np.searchsorted(count, count[np.maximum(last, 0)] - k, side="right")
    for end in range(1, ends):
        if last[end] < 0:
            continue
        here = slice(first[end], last[end] + 1)
        held = count[end] - count[here]
        inside = squares[end] - squares[here] - (total[end] - total[here]) ** 2 / held
        through = length[here] + np.maximum(inside, 0.0)
        best = int(np.argmin(through))
        length[end], before[end] = through[best], first[end] + best
    starts, end = [], ends - 1
    while end > 0:
        end = int(before[end])
        starts.append(end)
    return np.array(starts[::-1], dtype=np.int64)


def _typed(means: pl.Series, like: pl.Series) -> pl.Series:
    """Return means in the type of the values they stand for."""
    if like.dtype.is_float():
        return means.cast(like.dtype)
    if like.dtype.is_decimal():
        return means.round(like.dtype.scale).cast(like.dtype)  # type: ignore[attr-defined]
    whole = means.round().cast(pl.Int64)
    return whole.cast(like.dtype) if like.dtype.is_integer() else whole.cast(like.to_physical().dtype).cast(like.dtype)
