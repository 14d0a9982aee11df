"""Hold back what the difference of two releases would tell: a change of fewer than k rows is about few people.

Who holds both releases sees which rows came and went. When a group gained or lost a single row, who knows that somebody
moved or died knows which row is theirs. So a group changes only by k rows or more at once; smaller changes wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from jobs.sets.changes import differences

_ALL, _DELTA = "_all", "_delta"


@dataclass(frozen=True)
class Held:
    """Hold a table whose unsafe changes wait, and what that took.

    `groups` stayed as the last release has them (`rows` of them); `withdrawn` groups went whole, because rows of
    theirs must go now.
    """

    table: pl.DataFrame
    groups: int
    rows: int
    withdrawn: int


def held_back(
    earlier: Sequence[pl.DataFrame], after: pl.DataFrame, quasi: Sequence[str], k: int, *, counts: Sequence[str] = (),
    takedown: bool = False, least: int = 0,
) -> Held:
    """Return `after` with every group as the last of `earlier` has it that would change by fewer than `k` rows.

    All tables have the same columns; a group is the rows of one tuple of `quasi`. For a table of counts (`counts`)
    a group is a cell: it changes by the difference of its counts. A change is measured against each of the earlier
    tables, oldest first; so is what stays, and where an earlier table was made by a smaller `k` and differs by too
    little from it, its group is left out whole. With `takedown` a group that would lose fewer than `k` rows is not kept
    but left out whole; so is one that had fewer than `least` rows, as an earlier table for fewer readers may have had.
    """
    columns = after.columns
    group = list(quasi) or [_ALL]
    tables = [one.select(columns).with_columns(pl.lit("").alias(_ALL)) for one in (*earlier, after)]
    *befores, now = tables
    changes = _changes(befores, now, group, counts)
    unsafe = changes.filter(pl.col(_DELTA).abs() < k).select(group).unique()
    losing = changes.filter((pl.col(_DELTA) < 0) & (pl.col(_DELTA) > -k)).select(group).unique()
    gone = losing if takedown else losing.clear()
    fresh = now.join(unsafe, on=group, how="anti", nulls_equal=True)
    stale = befores[-1].join(unsafe, on=group, how="semi", nulls_equal=True)
    size = pl.min_horizontal(pl.col(name).sum() for name in counts) if counts else pl.len()
    small = stale.group_by(group).agg(size.alias(_DELTA)).filter(pl.col(_DELTA) < least).select(group)
    left = [one.join(stale.select(group), on=group, how="semi", nulls_equal=True) for one in befores]
    near = _changes(left, stale, group, counts).filter(pl.col(_DELTA).abs() < k).select(group)
    gone = pl.concat([gone, small, near]).unique()
    stale = stale.join(gone, on=group, how="anti", nulls_equal=True)
    table = pl.concat([fresh, stale]).select(columns).sort(columns)
    kept = stale.select(group).unique().height
    return Held(table, kept, stale.height, gone.height)


def _changes(
    befores: Sequence[pl.DataFrame], now: pl.DataFrame, group: list[str], counts: Sequence[str]
) -> pl.DataFrame:
    """Return by how much each group differs from that of each earlier table, a row per difference."""
    return pl.concat(_cells(one, now, group, counts) if counts else _rows(one, now, group) for one in befores)


def _rows(before: pl.DataFrame, now: pl.DataFrame, group: list[str]) -> pl.DataFrame:
    """Return by how many rows each changed group gains, and by how many it loses."""
    changes = differences(before, now)
    signed = ((changes.added, 1), (changes.removed, -1))
    return pl.concat(
        rows.group_by(group).agg((pl.len().cast(pl.Int64) * sign).alias(_DELTA)).select(*group, _DELTA)
        for rows, sign in signed
    )


def _cells(before: pl.DataFrame, now: pl.DataFrame, group: list[str], counts: Sequence[str]) -> pl.DataFrame:
    """Return by how much the counts of each changed cell differ; one whose sums alone changed differs by nothing."""
    measures = [name for name in now.columns if name not in (*group, _ALL)]
    both = before.join(now, on=group, how="inner", suffix="\0", nulls_equal=True)
    changed = both.filter(pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}\0")) for name in measures))
    deltas = [
        changed.select(*group, (pl.col(f"{name}\0").cast(pl.Int64) - pl.col(name).cast(pl.Int64)).alias(_DELTA))
        for name in counts
    ]
    return pl.concat(deltas)
