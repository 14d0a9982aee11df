"""Conform a bronze batch: good rows typed into silver, bad rows into quarantine with every reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs import layers
from jobs.batch import Batch, StageReport
from jobs.contract import Contract, TypeSpec
from jobs.errors import QualityGateError
from jobs.layers import Layer
from jobs.quality import gate
from jobs.rows.codes import CodeBook
from jobs.rows.judgement import judge, silver_schema
from jobs.sets.deduplication import fingerprint
from jobs.stages.pending import each
from jobs.storage.frames import mapped
from jobs.storage.tables import Lake, Staged

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ORIGIN: dict[str, Any] = {"_source_file": pl.String, "_source_row": pl.Int64}
LAKE_COLUMNS: dict[str, Any] = {
    "_batch_id": pl.String,
    **ORIGIN,
    "_data_date": pl.Date,
    "_deleted": pl.Boolean,
    "_fingerprint": pl.String,
    "_warnings": pl.List(pl.String),
    "_extra": pl.String,
}
QUARANTINE = ("_batch_id", "_source_file", "_source_row", "_reasons", "_warnings", "_cells", "_extra")


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


def _conform(lake: Lake, contract: Contract, batch: Batch) -> StageReport:
    from pyspark.sql import functions as f

    catalogue, name = lake.catalogue, f"conform-{layers.slug(contract.name)}-{batch.id}"
    silver = schema(contract, catalogue.types)
    judged_schema = {**silver, "_reasons": pl.List(pl.String), "_cells": pl.String}
    bronze = lake.read(Layer.BRONZE, contract.name).where(f.col("_batch_id") == batch.id)
    function = partial(
        judged_rows, contract=contract, catalogue_types=dict(catalogue.types),
        codes=CodeBook.load(catalogue.root / "codes"), data_date=batch.data_date,
    )
    try:
        return _divide(lake, contract, batch, lake.staged(name, mapped(bronze, function, judged_schema)))
    finally:
        lake.unstage(name)  # staged rows are personal; a withheld batch leaves none behind


def _divide(lake: Lake, contract: Contract, batch: Batch, judged: Staged) -> StageReport:
    """Put judged rows where they belong: rejected ones into quarantine, good ones into silver if the gate agrees."""
    from pyspark.sql import functions as f

    silver = schema(contract, lake.catalogue.types)
    rows, report = judged.rows, account(judged.scan(), contract, batch)
    rejected = rows.where(f.size("_reasons") > 0).select(*QUARANTINE)
    if report.quarantined or lake.count(Layer.QUARANTINE, contract.name, batch.id):
        lake.replace_batch(Layer.QUARANTINE, contract.name, batch.id, rejected)
    verdict = gate.run(lake, contract, batch, gate.profile(judged.scan(), contract, report))
    report.warnings = {**report.warnings, **verdict.warned}
    if verdict.failed:
        lake.delete_batch(Layer.SILVER, contract.name, batch.id)
        report.withheld, report.accepted = report.accepted, 0
        error = QualityGateError(
            f"the batch is withheld: {'; '.join(verdict.failed)}.",
            dataset=contract.name, layer=Layer.SILVER, where=f"batch {batch.id}",
            remedy=f"see `lake rejected {contract.name} --batch {batch.id}`; deliver anew, or mend the contract and "
            f"`lake run conform {contract.name} --batch {batch.id}`.",
        )
        error.report = report
        raise error
    lake.replace_batch(Layer.SILVER, contract.name, batch.id, _first_of_equals(rows).select(*silver))
    return report


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
    raw = pl.struct(cells.select(contract.source_columns)).struct.json_encode()
    rejected = rows["_reasons"].list.len() > 0
    said = [*silver_schema(contract, catalogue_types), "_deleted", "_extra"]
    unread = _unread(cells, rows, contract)
    return rows.with_columns(
        pl.lit(data_date).alias("_data_date"),
        fingerprint(rows.with_columns(unread), [*said, *(one.name for one in unread)]).alias("_fingerprint"),
        pl.when(rejected).then(cells.select(raw.alias("_cells"))["_cells"]).alias("_cells"),
    )


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
        extra={"contract": fingerprint_of(contract)},
    )


def fingerprint_of(contract: Contract) -> str:
    """Return a short digest of everything in a contract that decides silver's rows."""
    import hashlib

    deciding = contract.model_dump(mode="json", include={"source", "load", "fields", "expect", "entities"})
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16]


def _counted(rows: pl.LazyFrame, column: str) -> dict[str, int]:
    counts = rows.select(pl.col(column).explode()).drop_nulls().group_by(column).len().collect()
    return dict(sorted(counts.iter_rows()))


def _first_of_equals(rows: DataFrame) -> DataFrame:
    """Return accepted rows, of those equal in every field the first by file and row."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    order = Window.partitionBy("_fingerprint").orderBy("_source_file", "_source_row")
    accepted = rows.where(f.size("_reasons") == 0)
    return accepted.withColumn("_order", f.row_number().over(order)).where("_order = 1").drop("_order")
