"""Retract a delivery: a department takes it back, and nothing the lake says rests on it any longer."""

from __future__ import annotations

import json
import time

import polars as pl

from jobs import layers
from jobs.batch import Outcome, StageReport
from jobs.contract import Contract
from jobs.errors import RequestError
from jobs.layers import Layer
from jobs.stages.conform import silver_table
from jobs.storage.batch_tables import FILE
from jobs.storage.tables import Lake


def run(lake: Lake, dataset: str, *, batch: str, undo: bool = False) -> list[StageReport]:
    """Withdraw one batch: recorded first, then taken out of silver; its bytes, bronze and quarantine stay as evidence.

    Batches that repair it go with it.

    The registers fed by the dataset refold the entities it spoke about at their next resolve. With `undo` a withdrawn
    batch is reinstated: it waits for conform again. Doing either twice changes nothing. Raises RequestError for a
    batch the dataset never delivered.
    """
    contract = lake.catalogue.contract(dataset)
    with lake.writing(f"silver.{layers.slug(dataset)}"):
        batches = {one.id: one for one in lake.batches(dataset)}
        if batch not in batches:
            raise RequestError(
                f"there is no batch {batch}.", dataset=dataset, remedy=f"`lake batches {dataset}` lists what there is."
            )
        repairs = sorted(one.id for one in batches.values() if one.repairs == batch)
        if undo:  # those that were withdrawn by themselves stay so
            last = lake.judged("retract", dataset)
            repairs = [one for one in repairs if one in last and json.loads(last[one]["extra"]).get("with") == batch]
        else:
            gone = lake.withdrawn(dataset)
            repairs = [one for one in repairs if one not in gone]
        return [
            _retract(lake, contract, batch, undo=undo),
            *[_retract(lake, contract, one, undo=undo, parent=batch) for one in repairs],
        ]


def _retract(
    lake: Lake, contract: Contract, batch: str, *, undo: bool, parent: str | None = None
) -> StageReport:
    started = time.monotonic()
    known = (batch in lake.withdrawn(contract.name)) != undo
    if undo:
        report = StageReport("retract", contract.name, batch, "known" if known else "reinstated")
        if not known:
            lake.record(report)
        return report
    rows = lake.count(Layer.SILVER, contract.name, batch)
    outcome: Outcome = "known" if known else "retracted"
    report = StageReport(
        "retract", contract.name, batch, outcome, withheld=rows, delivered=rows,
        extra={"with": parent} if parent else {},
    )
    if not known:
        lake.record(report)  # first: whoever continues after a crash knows it is withdrawn
    if rows:
        lake.replace_batch(silver_table(lake, contract), batch, pl.DataFrame(schema=FILE))
    report.seconds = time.monotonic() - started
    return report
