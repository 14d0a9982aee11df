"""Rejected rows that were closed: how many, in which month, and how long after they were given back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl


class Closing(NamedTuple):
    """Hold rows of one delivery that were closed together: when, and how many whole days after it was judged."""

    dataset: str
    month: str
    rows: int
    days: int


def closings(runs: pl.DataFrame, deliveries: Sequence[Mapping[str, Any]]) -> list[Closing]:
    """Return the closings of rejected rows, by mended rows and by later deliveries that brought them anew.

    `runs`: rows of `ops.runs`, of which the records of give-backs tell how many rows were overtaken so far;
    `deliveries`: judged batches with `received` and, for batches of mended rows, which one they `repairs`. Days count
    from the first judgement that let a delivery pass, when its rows were given back, to the arrival of what closed
    them.
    """
    judged = runs.filter(pl.col("stage") == "conform", pl.col("outcome") == "done").sort("recorded_at")
    first = judged.unique(["dataset", "batch"], keep="first", maintain_order=True)
    begun = {(row["dataset"], row["batch"]): row["recorded_at"] for row in first.iter_rows(named=True)}
    found = []
    for row in deliveries:
        began, rows = begun.get((row["dataset"], row["repairs"])), row["accepted"] + row["duplicates"]
        if began is not None and rows:
            found.append(_closing(row["dataset"], began, row["received"] or row["recorded_at"], rows))
    before: dict[tuple[str, str], int] = {}
    for row in runs.filter(pl.col("stage") == "give_back").sort("recorded_at").iter_rows(named=True):
        place = row["dataset"], row["batch"]
        now = json.loads(row["extra"] or "{}").get("overtaken", 0)
        if place in begun and now > before.get(place, 0):
            found.append(_closing(row["dataset"], begun[place], row["recorded_at"], now - before.get(place, 0)))
        before[place] = max(now, before.get(place, 0))
    return found


def median_days(found: Sequence[Closing]) -> int | None:
    """Return after how many days half of the closed rows were closed; None where none was."""
    left = sum(one.rows for one in found) / 2
    for one in sorted(found, key=lambda one: one.days):
        left -= one.rows
        if left <= 0:
            return one.days
    return None


def _closing(dataset: str, began: datetime, ended: datetime, rows: int) -> Closing:
    return Closing(dataset, f"{ended:%Y-%m}", rows, max((ended - began).days, 0))
