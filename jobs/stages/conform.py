"""Conform a bronze batch: good rows typed into silver, bad rows into quarantine with every reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial

import polars as pl

from jobs import layers
from jobs.batch import Batch, StageReport
from jobs.contract import Contract, TypeSpec
from jobs.errors import QualityGateError, StorageError
from jobs.layers import Layer
from jobs.quality import gate
from jobs.rows.codes import CodeBook
from jobs.sets.tickets import REJECTED
from jobs.stages.judging import (
    REPEATED,
    TOLD,
    Judging,
    judge_files,
    repeated_rows,
    schema,
    without,
)
from jobs.stages.load import bronze_schema
from jobs.stages.pending import each
from jobs.storage.batch_tables import FILE, SLICE_ROWS, BatchTable, in_buckets
from jobs.storage.spreading import spread
from jobs.storage.tables import Lake

TASK_ROWS = 250_000  # records that a task judges, at least where there are more
BUCKET_ROWS = 1_000_000  # marks that meet in one task, about


def run(lake: Lake, dataset: str, *, batch: str | None = None) -> list[StageReport]:
    """Conform every pending batch of a dataset, or the named one again; raise QualityGateError for a withheld one.

    The accounting law holds for each: delivered = accepted + quarantined + exact duplicates (+ withheld).
    """
    contract = lake.catalogue.contract(dataset)
    with lake.writing(f"silver.{layers.slug(dataset)}"):
        return each(lake, "conform", contract, batch, lambda one: _conform(lake, contract, one))


def silver_table(lake: Lake, contract: Contract) -> BatchTable:
    """Return a dataset's silver table as its contract has it."""
    return BatchTable(lake.folder(Layer.SILVER, contract.name), schema(contract, lake.catalogue.types))


def _conform(lake: Lake, contract: Contract, batch: Batch) -> StageReport:
    name, types = contract.name, dict(lake.catalogue.types)
    slug = layers.slug(name)
    files = lake.batch_groups(Layer.BRONZE, name, batch.id, TASK_ROWS)
    delivered = lake.count(Layer.BRONZE, name, batch.id)
    much = lake.much(delivered)
    with lake.workspace(f"conform-{slug}-{batch.id}", shared=much) as folder:
        judging = Judging(
            contract, types, lake.codes, batch,
            bronze=BatchTable(lake.folder(Layer.BRONZE, name), bronze_schema(contract)),
            silver=silver_table(lake, contract),
            quarantine=BatchTable(lake.folder(Layer.QUARANTINE, name), REJECTED),
            folder=folder, buckets=1 + delivered // BUCKET_ROWS if much else 1,
            alone=len(files) == 1 and delivered <= SLICE_ROWS,
        )
        judging.silver.check()
        over = partial(spread, lake, engine=much, where=f"silver.{slug}")
        told = over(partial(judge_files, judging=judging), files, TOLD)
        report = _report(told, contract, batch)
        report.extra = {"contract": fingerprint_of(contract, types, lake.codes)}
        if batch.repairs:
            report.extra = {**report.extra, "repairs": batch.repairs}
        good, replaced, repeated = _once(judging, over, told)
        report.accepted, report.duplicates = report.accepted - repeated, report.duplicates + repeated
        if (report.delivered, report.accepted) != (delivered, int(good["rows"].sum())):
            raise StorageError(
                f"of {delivered} records {report.delivered} were judged and {good['rows'].sum()} written, not "
                f"{report.accepted}; the batch is as it was.", dataset=name, layer=Layer.SILVER,
                where=f"batch {batch.id}", remedy="run again; if it stays so, load the batch anew.",
            )
        terms = gate.bounds(contract, gate.shared_terms(lake.settings.expectations))
        figures = gate.profile(judging.silver.written(batch.id, good), contract, report)
        if batch.repairs:
            terms = []  # mended rows are no delivery: each counts for itself, whatever share of them is still wrong
        else:
            gate.keep(lake, name, batch.id, figures, terms)
        for file in replaced:
            judging.silver.writer(batch.id).folder.remove(file)
        return _settle(lake, judging, report, good, _files(told, Layer.QUARANTINE.value), gate.judge(figures, terms))


def _once(
    judging: Judging, over: Callable[..., pl.DataFrame], told: pl.DataFrame
) -> tuple[pl.DataFrame, list[str], int]:
    """Leave each of several equal rows but the first out.

    Returns the files of silver as they should be, those that others stand in for now, and how many rows were left out.
    """
    good = _files(told, Layer.SILVER.value)
    repeated = over(partial(repeated_rows, judging=judging), in_buckets(_left(told)), REPEATED)
    if repeated.is_empty():
        return good, [], 0
    places = repeated.group_by("file", maintain_order=True).agg("path")
    again = over(partial(without, judging=judging), list(places.iter_rows()), FILE)
    untouched = good.join(places, left_on="path", right_on="file", how="anti")
    return pl.concat([untouched, again]), places["file"].to_list(), int(repeated["rows"].sum())


def _files(told: pl.DataFrame, what: str) -> pl.DataFrame:
    return told.filter(pl.col("what") == what).select(list(FILE))


def _left(told: pl.DataFrame) -> pl.DataFrame:
    """Return the files of marks with their buckets (`LEFT`)."""
    bucket = pl.col("what").str.strip_prefix("marks ").cast(pl.Int64).alias("bucket")
    return told.filter(pl.col("what").str.starts_with("marks ")).select(bucket, *FILE)


def _report(told: pl.DataFrame, contract: Contract, batch: Batch) -> StageReport:
    """Return the accounting of judged files: rows and rules counted, nothing of their content."""
    rows = dict(told.group_by("what").agg(pl.col("rows").sum()).iter_rows())
    found = told.group_by("what", "path").agg(pl.col("rows").sum()).sort("path")
    reasons, warnings = (
        dict(found.filter(pl.col("what") == what).select("path", "rows").iter_rows()) for what in ("reason", "warning")
    )
    delivered, accepted = rows.get("delivered", 0), rows.get(Layer.SILVER.value, 0)
    quarantined = rows.get(Layer.QUARANTINE.value, 0)
    return StageReport(
        "conform", contract.name, batch.id, delivered=delivered, accepted=accepted, quarantined=quarantined,
        duplicates=delivered - quarantined - accepted, reasons=reasons, warnings=warnings,
    )


def _settle(
    lake: Lake, judging: Judging, report: StageReport, good: pl.DataFrame, bad: pl.DataFrame, verdict: gate.Verdict
) -> StageReport:
    """Put rejected rows into quarantine, and good ones into silver if the gate agrees."""
    contract, batch = judging.contract, judging.batch
    report.warnings = {**report.warnings, **verdict.warned}
    if report.quarantined or lake.count(Layer.QUARANTINE, contract.name, batch.id):
        lake.replace_batch(judging.quarantine, batch.id, bad)
    if not verdict.failed:
        lake.replace_batch(judging.silver, batch.id, good)
        return report
    if lake.count(Layer.SILVER, contract.name, batch.id):
        lake.replace_batch(judging.silver, batch.id, good.clear())
    report.withheld, report.accepted = report.accepted, 0
    error = QualityGateError(
        f"the batch is withheld: {'; '.join(verdict.failed)}.",
        dataset=contract.name, layer=Layer.SILVER, where=f"batch {batch.id}",
        remedy=f"see `lake rejected {contract.name} --batch {batch.id}`; deliver anew, or mend the contract and "
        f"`lake run conform {contract.name} --batch {batch.id}`.",
    )
    error.report = report
    raise error


def fingerprint_of(contract: Contract, types: Mapping[str, TypeSpec], codes: CodeBook) -> str:
    """Return a short digest of everything that decides silver's rows: terms of the contract, types, code lists."""
    deciding = contract.model_dump(
        mode="json", include={"source", "load", "fields", "expect", "entities"},
        exclude={"fields": {name: {"special", *field.unused} for name, field in contract.fields.items()}},
    )
    used = {field.type: types[field.type].model_dump(mode="json") for field in contract.fields.values()}
    lists = sorted({field.codes for field in contract.fields.values() if field.codes and codes.has(field.codes)})
    told = [deciding, used, *[codes.table(name).write_csv() for name in lists]]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
