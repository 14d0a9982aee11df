"""The score card: how timely, complete and sound each department delivers, from the run records alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

# How many days after its data date a delivery of each cycle may come.
ALLOWED_DAYS = {"hourly": 1, "daily": 1, "weekly": 7, "monthly": 31, "annual": 366}


def score_card(runs: pl.DataFrame, cycles: Mapping[str, str], opened: Collection[str]) -> dict[str, Any]:
    """Return one row per department, with its history by month, and the time of the last run (ISO 8601, UTC).

    `runs`: rows of `ops.runs`; `cycles`: dataset agreed → its update cycle; `opened`: datasets with a version on offer.
    Shares are 0 to 1, None where there is nothing to judge. Only counts leave this function.
    """
    judged = runs.filter(pl.col("stage") == "conform").sort("recorded_at")
    judged = judged.unique(["dataset", "batch"], keep="last", maintain_order=True)
    landed = runs.filter(pl.col("stage") == "land").sort("recorded_at")
    first = landed.unique(["dataset", "batch"], keep="first", maintain_order=True)
    received = {(row["dataset"], row["batch"]): row["recorded_at"] for row in first.iter_rows(named=True)}
    rows = [row | {"received": received.get((row["dataset"], row["batch"]))} for row in judged.iter_rows(named=True)]
    departments = sorted({name.partition("/")[0] for name in (*cycles, *opened)})
    last = runs["recorded_at"].max()
    return {
        "as_of": last.astimezone(UTC).isoformat(timespec="seconds") if isinstance(last, datetime) else None,
        "departments": [
            _department(name, [row for row in rows if _of(row) == name], cycles, opened) for name in departments
        ],
    }


def _department(
    name: str, rows: list[dict[str, Any]], cycles: Mapping[str, str], opened: Collection[str]
) -> dict[str, Any]:
    agreed = {dataset for dataset in cycles if dataset.partition("/")[0] == name}
    collected = {row["dataset"] for row in rows} & agreed
    months = sorted({f"{row['recorded_at']:%Y-%m}" for row in rows})
    return {
        "department": name,
        "agreed": len(agreed),
        "collected": len(collected),
        "opened": sum(one.partition("/")[0] == name for one in opened),
        "deliveries": len(rows),
        "timeliness": _timely(rows, cycles),
        "completeness": _share(len(collected), len(agreed)),
        "quality": _sound(rows),
        "history": [
            {"month": month, "deliveries": len(some), "timeliness": _timely(some, cycles), "quality": _sound(some)}
            for month in months
            for some in [[row for row in rows if f"{row['recorded_at']:%Y-%m}" == month]]
        ],
    }


def _of(row: Mapping[str, Any]) -> str:
    return str(row["dataset"]).partition("/")[0]


def _timely(rows: list[dict[str, Any]], cycles: Mapping[str, str]) -> float | None:
    """Return the share of deliveries landed within one cycle of their data date."""
    told = []
    for row in rows:
        allowed = ALLOWED_DAYS.get(cycles.get(row["dataset"], ""))
        if allowed is not None and row["received"] is not None:
            told.append((row["received"].date() - date.fromisoformat(row["batch"][:10])).days <= allowed)
    return _share(sum(told), len(told))


def _sound(rows: list[dict[str, Any]]) -> float | None:
    """Return the share of delivered rows, repetitions aside, that were accepted."""
    return _share(sum(row["accepted"] for row in rows), sum(row["delivered"] - row["duplicates"] for row in rows))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
