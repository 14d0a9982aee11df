"""What the records of runs (`ops.runs`) say of batches: judged, begun and not ended, withdrawn, accepted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

import polars as pl

STARTED: Literal["started"] = "started"  # an outcome of `jobs.batch.Outcome`


def judged(runs: pl.DataFrame, stage: str, dataset: str) -> dict[str, dict[str, Any]]:
    """Return batch → its latest run of one stage, oldest first; a refused batch is judged until it is named.

    What conform said of a batch before it was withdrawn and reinstated no longer counts. `runs` are in order of time.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in runs.filter(pl.col("dataset") == dataset).iter_rows(named=True):
        if row["outcome"] == STARTED:
            continue
        if row["stage"] == stage:
            found.pop(row["batch"], None)  # the order is that of the latest
            found[row["batch"]] = row
        elif stage == "conform" and row["outcome"] == "reinstated":
            found.pop(row["batch"], None)
    return found


def interrupted(runs: pl.DataFrame, stage: str, dataset: str) -> set[str]:
    """Return the batches that a stage began to judge again and never finished."""
    latest = runs.filter(dataset=dataset, stage=stage).unique("batch", keep="last", maintain_order=True)
    return set(latest.filter(pl.col("outcome") == STARTED)["batch"])


def withdrawn(runs: pl.DataFrame, dataset: str) -> set[str]:
    """Return the batches of a dataset whose own withdrawal is on record."""
    return {batch for batch, row in judged(runs, "retract", dataset).items() if row["outcome"] != "reinstated"}


def accepted(runs: pl.DataFrame, datasets: Iterable[str]) -> set[tuple[str, str, str]]:
    """Return the batches that are conformed, neither withheld nor withdrawn: dataset, batch, contract's fingerprint.

    Repairs go with the delivery they repair.
    """
    found = set()
    told = runs.filter(pl.col("stage").is_in(["conform", "retract"]))
    for dataset in datasets:
        gone = withdrawn(told, dataset)
        for batch, row in judged(told, "conform", dataset).items():
            extra = json.loads(row["extra"])
            if row["outcome"] == "done" and gone.isdisjoint({batch, extra.get("repairs", "")}):
                found.add((dataset, batch, str(extra.get("contract", ""))))
    return found
