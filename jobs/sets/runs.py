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


def retracted(runs: pl.DataFrame, dataset: str) -> set[str]:
    """Return the batches of a dataset that are withdrawn, by themselves or with the delivery they repair.

    A repair may land while its delivery is being withdrawn: it has no record of its own and is withdrawn all the same.
    """
    gone = withdrawn(runs, dataset)
    if not gone:
        return gone
    repairs = runs.filter(
        pl.col("dataset") == dataset, pl.col("stage").is_in(["land", "conform"]),
        pl.col("extra").str.contains('"repairs"', literal=True),
    ).select("batch", "extra").unique()
    return gone | {batch for batch, extra in repairs.iter_rows() if json.loads(extra).get("repairs") in gone}


def accepted(runs: pl.DataFrame, datasets: Iterable[str]) -> set[tuple[str, str, str]]:
    """Return the batches that are conformed, neither withheld nor withdrawn: dataset, batch, contract's fingerprint.

    Repairs go with the delivery they repair.
    """
    found = set()
    told = runs.filter(pl.col("stage").is_in(["land", "conform", "retract"]))
    for dataset in datasets:
        gone = retracted(told, dataset)
        for batch, row in judged(told, "conform", dataset).items():
            extra = json.loads(row["extra"])
            if row["outcome"] == "done" and batch not in gone:
                found.add((dataset, batch, str(extra.get("contract", ""))))
    return found
