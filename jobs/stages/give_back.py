"""Give rejected rows back: each department finds a workbook of its own in its drop box, bad cells marked."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from jobs import layers
from jobs.batch import StageReport
from jobs.contract import Contract
from jobs.errors import LakeError, RequestError, together
from jobs.onboarding.precheck import Precheck
from jobs.onboarding.workbook import write_workbook
from jobs.stages.land import RETURNED
from jobs.stages.mending import parted, unreadable
from jobs.storage.tables import Lake

OWN = 0o640  # people's numbers: for the drop box's owner and group


def run(lake: Lake, dataset: str | None = None, *, batch: str | None = None) -> list[StageReport]:
    """Write a workbook for each batch with rejected rows that are new or changed; one that is mended has none left.

    Of one whose rows were all brought anew before they were given back it is only recorded that they were.
    All datasets by default, but for those that come as snapshots: the next one is their repair. Raises RequestError for
    a batch without open rejected rows, and, when all others are done, DamagedBatchError for a batch of mended rows that
    does not say any more which rows it mends.
    """
    contracts = [lake.catalogue.contract(dataset)] if dataset else [
        one for one in lake.catalogue.contracts.values() if not one.is_product and one.load.mode != "snapshot"
    ]
    reports: list[StageReport] = []
    failures: list[LakeError] = []
    for contract in contracts:
        failures += unreadable(lake, contract)
        found, brought = parted(lake, contract)
        overtaken = dict(brought.group_by("_batch_id").len().iter_rows())
        known = {one: row["extra"] for one, row in lake.judged("give_back", contract.name).items()}
        wanted = {str(key): rows for (key,), rows in found.group_by("_batch_id", maintain_order=True)}
        if batch is not None and batch not in wanted:
            raise RequestError(f"batch {batch} has no rejected row left.", dataset=contract.name)
        for one in [batch] if batch else sorted({*wanted, *known, *overtaken}):
            rows = wanted.get(one, found.clear())
            state = hashlib.sha256(rows.select("_source_file", "_source_row", "_reasons").write_json().encode())
            if batch is None and json.loads(known.get(one, "{}")).get("state") == state.hexdigest():
                continue
            told = {"state": state.hexdigest(), "overtaken": overtaken.get(one, 0)}
            reports.append(_give(lake, contract, one, rows, told))
    if failures:
        failure = together(failures)
        failure.reports = reports
        raise failure
    return reports


def workbook(contract: Contract, rows: pl.DataFrame, batch: str, path: Path, expectations: Path) -> None:
    """Write the open rejected rows of one batch as a workbook that may come back mended."""
    reasons = dict(sorted(Counter(reason for found in rows["_reasons"].to_list() for reason in found).items()))
    result = Precheck(rows.height, 0, rows.height, 0, reasons, {}, rows)
    write_workbook(result, contract, path, expectations, batch=batch)


def _give(lake: Lake, contract: Contract, batch: str, rows: pl.DataFrame, told: dict[str, Any]) -> StageReport:
    started = time.monotonic()
    box, top = lake.drop_boxes
    name = top / place(contract, batch)
    if rows.is_empty():
        box.remove(name)
    else:
        with TemporaryDirectory() as folder:
            file = Path(folder) / name.name
            workbook(contract, rows, batch, file, lake.settings.expectations)
            box.write(name, file.read_bytes(), mode=OWN)
    report = StageReport("give_back", contract.name, batch, delivered=rows.height, quarantined=rows.height)
    report.extra = {**told, "workbook": str(place(contract, batch))}
    report.seconds = time.monotonic() - started
    lake.record(report)
    return report


def place(contract: Contract, batch: str) -> PurePosixPath:
    """Return where a department finds the workbook of one batch, below the drop boxes."""
    return PurePosixPath(contract.department, RETURNED, f"{layers.slug(contract.name)}-{batch}.xlsx")
