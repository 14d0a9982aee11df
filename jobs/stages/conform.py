"""Conform a bronze batch: good rows typed into silver, bad rows into quarantine with every reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import polars as pl

from jobs import layers
from jobs.batch import Batch, StageReport
from jobs.contract import Contract, TypeSpec
from jobs.errors import QualityGateError, StorageError
from jobs.layers import Layer
from jobs.quality import gate
from jobs.rows.codes import CodeBook
from jobs.rows.judgement import judge, silver_schema
from jobs.sets.deduplication import fingerprint
from jobs.sets.tickets import ORIGIN, REJECTED
from jobs.stages.load import bronze_schema
from jobs.stages.pending import each
from jobs.storage.batch_tables import FILE, LEFT, BatchTable, Writer, in_buckets, scan_files
from jobs.storage.locations import Location
from jobs.storage.spreading import spread
from jobs.storage.tables import Lake

LAKE_COLUMNS: dict[str, Any] = {
    "_batch_id": pl.String,
    **ORIGIN,
    "_data_date": pl.Date,
    "_deleted": pl.Boolean,
    "_fingerprint": pl.String,
    "_warnings": pl.List(pl.String),
    "_extra": pl.String,
}
DIVIDED = {"layer": pl.String, **FILE}
BUCKET_ROWS = 500_000  # rows that meet in one task, about


def run(lake: Lake, dataset: str, *, batch: str | None = None) -> list[StageReport]:
    """Conform every pending batch of a dataset, or the named one again; raise QualityGateError for a withheld one.

    The accounting law holds for each: delivered = accepted + quarantined + exact duplicates (+ withheld).
    """
    contract = lake.catalogue.contract(dataset)
    with lake.writing(f"silver.{layers.slug(dataset)}"):
        return each(lake, "conform", contract, batch, lambda one: _conform(lake, contract, one))


def schema(contract: Contract, types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Return silver's columns: the contract's fields, then the lake's own."""
    return {**silver_schema(contract, types), **LAKE_COLUMNS}


@dataclass(frozen=True)
class Judging:
    """Hold what the tasks of one batch need: its contract and codes, the tables, and a folder for judged rows."""

    contract: Contract
    types: Mapping[str, TypeSpec]
    codes: CodeBook
    batch: Batch
    bronze: BatchTable
    silver: BatchTable
    quarantine: BatchTable
    folder: Location
    buckets: int

    @property
    def judged(self) -> dict[str, Any]:
        """Return the columns of a judged row: silver's, the reasons, and the raw cells of a rejected one."""
        return {**self.silver.schema, "_reasons": pl.List(pl.String), "_cells": pl.String}

    def rows(self, files: Iterable[str]) -> pl.LazyFrame:
        """Return the judged rows of files that tasks left."""
        return scan_files(self.folder, files, self.judged)


def silver_table(lake: Lake, contract: Contract) -> BatchTable:
    """Return a dataset's silver table as its contract has it."""
    return BatchTable(lake.folder(Layer.SILVER, contract.name), schema(contract, lake.catalogue.types))


def _conform(lake: Lake, contract: Contract, batch: Batch) -> StageReport:
    name, types = contract.name, dict(lake.catalogue.types)
    slug = layers.slug(name)
    files = lake.batch_files(Layer.BRONZE, name, [batch.id]).get(batch.id, ())
    delivered = lake.count(Layer.BRONZE, name, batch.id)
    much = lake.much(delivered)
    with lake.workspace(f"conform-{slug}-{batch.id}", shared=much) as folder:
        judging = Judging(
            contract, types, lake.codes, batch,
            bronze=BatchTable(lake.folder(Layer.BRONZE, name), bronze_schema(contract)),
            silver=silver_table(lake, contract),
            quarantine=BatchTable(lake.folder(Layer.QUARANTINE, name), REJECTED),
            folder=folder, buckets=1 + delivered // BUCKET_ROWS if much else 1,
        )
        judging.silver.check()
        where = f"silver.{slug}"
        left = spread(lake, partial(_judge, judging=judging), files, LEFT, engine=much, where=where)
        judged = judging.rows(left["path"])
        report = account(judged, contract, batch)
        report.extra = {"contract": fingerprint_of(contract, types, lake.codes)}
        if batch.repairs:
            report.extra = {**report.extra, "repairs": batch.repairs}
        if report.delivered != delivered:
            raise StorageError(
                f"{report.delivered} of {delivered} records were judged; the batch is as it was.", dataset=name,
                layer=Layer.SILVER, where=f"batch {batch.id}", remedy="run again; if it stays so, load the batch anew.",
            )
        terms = gate.bounds(contract, gate.shared_terms(lake.settings.expectations))
        figures = gate.profile(judged, contract, report)
        if batch.repairs:
            terms = []  # mended rows are no delivery: each counts for itself, whatever share of them is still wrong
        else:
            gate.keep(lake, name, batch.id, figures, terms)
        task, buckets = partial(_divide, judging=judging), in_buckets(left)
        divided = spread(lake, task, buckets, DIVIDED, engine=much, where=where)
        return _settle(lake, judging, report, divided, gate.judge(figures, terms))


def _judge(file: str, *, judging: Judging) -> pl.DataFrame:
    """Judge the records of one file of bronze; leave them in buckets, so that equal rows meet in one."""
    batch, schema = judging.batch, judging.judged
    with ExitStack() as stack:
        places = (judging.folder / str(number) for number in range(judging.buckets))
        writers = [stack.enter_context(Writer(place, schema, passing=True)) for place in places]
        for cells in judging.bronze.slices(file, batch.id):
            rows = judged_rows(
                cells, contract=judging.contract, catalogue_types=judging.types, codes=judging.codes,
                data_date=batch.data_date,
            )
            bucket = rows["_fingerprint"].str.slice(0, 7).str.to_integer(base=16) % judging.buckets
            for number, writer in enumerate(writers):
                writer.write(rows if judging.buckets == 1 else rows.filter(bucket == number))
    return pl.concat(writer.left(number) for number, writer in enumerate(writers))


def _divide(bucket: Sequence[str], *, judging: Judging) -> pl.DataFrame:
    """Write the rows of one bucket into quarantine's and silver's folders; return the files, which do not count yet.

    Of accepted rows equal in every field silver takes the first by file and row.
    """
    rows = judging.rows(bucket).collect()
    accepted = pl.col("_reasons").list.len() == 0
    good = rows.filter(accepted).sort("_source_file", "_source_row")
    chosen = {
        Layer.QUARANTINE: (judging.quarantine, rows.filter(~accepted)),
        Layer.SILVER: (judging.silver, good.unique("_fingerprint", keep="first", maintain_order=True)),
    }
    written = []
    for layer, (table, some) in chosen.items():
        with table.writer(judging.batch.id) as writer:
            writer.write(some)
        written.append(writer.files().with_columns(pl.lit(layer.value).alias("layer")))
    return pl.concat(written).select(list(DIVIDED))


def _settle(
    lake: Lake, judging: Judging, report: StageReport, divided: pl.DataFrame, verdict: gate.Verdict
) -> StageReport:
    """Put rejected rows into quarantine, and good ones into silver if the gate agrees."""
    contract, batch = judging.contract, judging.batch
    report.warnings = {**report.warnings, **verdict.warned}
    files = {layer: divided.filter(pl.col("layer") == layer.value) for layer in (Layer.QUARANTINE, Layer.SILVER)}
    if report.quarantined or lake.count(Layer.QUARANTINE, contract.name, batch.id):
        lake.replace_batch(judging.quarantine, batch.id, files[Layer.QUARANTINE])
    if not verdict.failed:
        lake.replace_batch(judging.silver, batch.id, files[Layer.SILVER])
        return report
    if lake.count(Layer.SILVER, contract.name, batch.id):
        lake.replace_batch(judging.silver, batch.id, files[Layer.SILVER].clear())
    report.withheld, report.accepted = report.accepted, 0
    error = QualityGateError(
        f"the batch is withheld: {'; '.join(verdict.failed)}.",
        dataset=contract.name, layer=Layer.SILVER, where=f"batch {batch.id}",
        remedy=f"see `lake rejected {contract.name} --batch {batch.id}`; deliver anew, or mend the contract and "
        f"`lake run conform {contract.name} --batch {batch.id}`.",
    )
    error.report = report
    raise error


def judged_rows(
    cells: pl.DataFrame,
    *,
    contract: Contract,
    catalogue_types: Mapping[str, TypeSpec],
    codes: CodeBook,
    data_date: date,
) -> pl.DataFrame:
    """Return bronze cells judged: typed fields, reasons, warnings, fingerprint, and the raw cells of rejected rows."""
    names = {layers.column_name(name): name for name in contract.source_columns}
    cells = cells.rename({bronze: name for bronze, name in names.items() if bronze in cells.columns})
    rows = judge(cells, contract, catalogue_types, codes, data_date)
    rejected = rows["_reasons"].list.len() > 0
    said = [*silver_schema(contract, catalogue_types), "_deleted", "_extra"]
    unread = _unread(cells, rows, contract)
    return rows.with_columns(
        pl.lit(data_date).alias("_data_date"),
        fingerprint(rows.with_columns(unread), [*said, *(one.name for one in unread)]).alias("_fingerprint"),
        _raw(cells.select(contract.source_columns), rejected).alias("_cells"),
    )


def _raw(cells: pl.DataFrame, wanted: pl.Series) -> pl.Series:
    """Return the cells of some rows as JSON, of the others null."""
    places = wanted.arg_true()
    texts = cells[places].select(pl.struct(pl.all()).struct.json_encode().alias("_cells"))["_cells"]
    return pl.Series("_cells", dtype=pl.String).extend_constant(None, cells.height).scatter(places, texts)


def _unread(cells: pl.DataFrame, rows: pl.DataFrame, contract: Contract) -> list[pl.Series]:
    """Return the raw cells that a remark left without a value, so that 5() and 6() do not become one row."""
    remarks = rows.select(pl.int_range(pl.len()).alias("row"), field="_warnings").explode("field").drop_nulls()
    remarks = remarks.with_columns(pl.col("field").str.split(".").list.first())
    unread = []
    for name in remarks["field"].unique().sort():
        spec = contract.fields.get(name)
        if spec is not None and spec.from_ in cells.columns:
            here = pl.int_range(rows.height, eager=True).is_in(remarks.filter(pl.col("field") == name)["row"].implode())
            unread.append(cells[spec.from_].set(~here | rows[name].is_not_null(), None).alias(f"{name}="))
    return unread


def account(staged: pl.LazyFrame, contract: Contract, batch: Batch) -> StageReport:
    """Return the accounting of a judged batch: rows and rules counted, nothing of their content."""
    rejected = pl.col("_reasons").list.len() > 0
    counts = staged.select(
        pl.len().alias("delivered"),
        rejected.sum().alias("quarantined"),
        pl.col("_fingerprint").filter(~rejected).n_unique().alias("accepted"),
    ).collect().row(0, named=True)
    return StageReport(
        "conform", contract.name, batch.id, **counts,
        duplicates=counts["delivered"] - counts["quarantined"] - counts["accepted"],
        reasons=_counted(staged, "_reasons"), warnings=_counted(staged.filter(~rejected), "_warnings"),
    )


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


def _counted(rows: pl.LazyFrame, column: str) -> dict[str, int]:
    counts = rows.select(pl.col(column).explode()).drop_nulls().group_by(column).len().collect()
    return dict(sorted(counts.iter_rows()))
