"""Desensitise: what is true now of a dataset or product, without what identifies, into gold."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from jobs import layers
from jobs.batch import StageReport
from jobs.contract import Contract, Join, ProductSource
from jobs.errors import ReleaseRefused
from jobs.layers import Layer
from jobs.privacy.keyring import Key, KeyRing, lake_key
from jobs.privacy.scanner import scan
from jobs.rows.codes import CodeBook
from jobs.rows.protection import gold_schema, protect, protection_of
from jobs.sets.deduplication import current
from jobs.stages.conform import schema as silver_columns
from jobs.storage.frames import grouped, mapped
from jobs.storage.ledgers import REGISTERS, Ledger, accepted
from jobs.storage.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

BUCKET_ROWS = 250_000  # rows that meet in one task, at most about


def run(lake: Lake, name: str) -> list[StageReport]:
    """Rebuild a dataset's or product's gold table; an unchanged source leaves the table as it is and returns [].

    A contract that lets nothing leave silver, such as a fresh draft, has no gold table. Raises ReleaseRefused, and
    changes nothing, when the scanner finds an identifier in what would become gold.
    """
    contract = lake.catalogue.contract(name)
    if not gold_schema(contract, lake.catalogue.types):
        return []
    with lake.writing(f"gold.{layers.slug(name)}"):
        done = [row for row in lake.judged("desensitise", name).values() if row["outcome"] == "done"]
        last = lake.last_report("desensitise", name, done[-1]["batch"]).extra if done else {}
        key = _key(lake, contract, str(last.get("key_id") or ""))
        state = _state(lake, contract, key)
        if not state or (done and done[-1]["batch"] == state and lake.has(Layer.GOLD, name)):
            return []
        return [_rebuild(lake, contract, state, key)]


def _key(lake: Lake, contract: Contract, last: str) -> Key | None:
    """Return the key of the pseudonyms, None where there are none; refuse when the last one used is not at hand.

    A key that is gone is never replaced in silence: the same people would get new pseudonyms.
    """
    types = dict(lake.catalogue.types)
    if not any(protection_of(field, types) == "pseudonym" for field in contract.fields.values()):
        return None
    if last:
        KeyRing.of(lake.objects).by_id("pseudonym", last)
    return lake_key(lake.objects, "pseudonym")


def _state(lake: Lake, contract: Contract, key: Key | None) -> str:
    """Return what gold would be made from, in one short text: equal text, equal gold; empty: nothing there yet."""
    from hashlib import sha256

    versions = []
    for layer, table in _tables(contract):
        if not lake.has(layer, table):
            return ""
        versions.append(f"{layer}.{table}@{lake.version(layer, table)}")
    if key is not None:
        versions.append(f"key@{key.id}")
    return sha256("|".join([*versions, contract.model_dump_json()]).encode()).hexdigest()[:16]


def _tables(contract: Contract) -> list[tuple[Layer, str]]:
    registers = [(REGISTERS, f"{register}_versions") for register in contract.reads_registers]
    return [*registers, *[(Layer.SILVER, dataset) for dataset in contract.reads_datasets]]


def _rebuild(lake: Lake, contract: Contract, state: str, key: Key | None) -> StageReport:
    started, staging = time.monotonic(), f"gold-{layers.slug(contract.name)}"
    types = dict(lake.catalogue.types)
    gold = gold_schema(contract, types)
    function = partial(
        protect, contract=contract, types=types, key=key.secret if key else b"",
        codes=CodeBook.load(lake.catalogue.root / "codes"),
    )
    staged = lake.staged(staging, mapped(_source_rows(lake, contract), function, gold))
    protected = staged.scan()
    found = scan(protected.collect())
    if found:
        where = ", ".join(f"{one.column} ({one.kind}, {one.count} rows)" for one in found)
        raise ReleaseRefused(
            "gold would hold identifiers; it is as it was.", dataset=contract.name, layer=Layer.GOLD, where=where,
            remedy="protect: the fields these columns come from.",
        )
    lake.overwrite(Layer.GOLD, contract.name, staged.rows, note={"state": state, "key_id": key.id if key else None})
    count = int(protected.select(pl.len()).collect().item())
    lake.unstage(staging)
    report = StageReport(
        "desensitise", contract.name, state, delivered=count, accepted=count, seconds=time.monotonic() - started,
        extra={"columns": list(gold), **({"key_id": key.id} if key else {})},
    )
    lake.record(report)
    return report


def _source_rows(lake: Lake, contract: Contract) -> DataFrame:
    source = contract.from_
    if source is None:
        return _current(lake, contract)
    return _product_rows(lake, contract, source)


def _current(lake: Lake, contract: Contract) -> DataFrame:
    """Return the rows of a dataset that hold now: the newest per key, or the newest delivery of a snapshot."""
    from pyspark.sql import functions as f

    columns = silver_columns(contract, lake.catalogue.types)
    rows = lake.read(Layer.SILVER, contract.name).select(list(columns))
    if contract.load.mode == "snapshot":
        dates = {batch.id: (batch.data_date, batch.id) for batch in lake.batches(contract.name)}
        batches = [batch for _, batch, _ in accepted(lake, [contract.name])]
        rows = rows.where(f.col("_batch_id") == max(batches, key=lambda one: dates[one], default=""))
    key = [f.col(name) for name in contract.load.key] or [f.col("_fingerprint")]
    buckets = max(2, rows.count() // BUCKET_ROWS)
    met = rows.withColumn("_bucket", f.pmod(f.xxhash64(*key), f.lit(buckets)))
    return grouped(met, "_bucket", partial(current, contract=contract), columns)


def _product_rows(lake: Lake, contract: Contract, source: ProductSource) -> DataFrame:
    """Return a product's rows: its root filtered and joined, its fields by their names."""
    from pyspark.sql import functions as f

    rows = _part(lake, source)
    for column, wanted in source.where.items():
        rows = rows.where(_condition(f.col(column), wanted))
    for join in source.join:
        other = _part(lake, join)
        wanted_columns = {theirs: f"_{theirs}_on" for theirs in join.on.values()}
        other = other.select(
            *[f.col(theirs).alias(alias) for theirs, alias in wanted_columns.items()],
            *[f.col(theirs).alias(new) for new, theirs in join.columns.items()],
        )
        on = [rows[mine] == other[wanted_columns[theirs]] for mine, theirs in join.on.items()]
        rows = rows.join(other, on, join.how).drop(*wanted_columns.values())
    return rows.select(*[f.col(field.from_ or name).alias(name) for name, field in contract.fields.items()])


def _part(lake: Lake, part: ProductSource | Join) -> DataFrame:
    from pyspark.sql import functions as f

    if part.dataset:
        return _current(lake, lake.catalogue.contract(part.dataset))
    rows = Ledger(lake, str(part.register_)).current()
    assert rows is not None  # _state has seen the table
    return rows.where(f.col("_status") == "active")


def _condition(column: Column, wanted: tuple[str, ...] | str) -> Column:
    if wanted == "null":
        return column.isNull()
    if wanted == "not_null":
        return column.isNotNull()
    return column.cast("string").isin(list(wanted))

