"""Desensitise: what is true now of a dataset or product, without what identifies, into gold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import polars as pl

from jobs import layers
from jobs.batch import StageReport
from jobs.contract import Contract, Join, ProductSource
from jobs.errors import ReleaseRefused
from jobs.layers import Layer
from jobs.privacy import minors
from jobs.privacy.keyring import Key, KeyRing, lake_key
from jobs.privacy.scanner import scan
from jobs.rows.protection import gold_schema, in_scope, protect, protection_of
from jobs.sets.deduplication import current
from jobs.sets.products import joined
from jobs.sets.runs import accepted
from jobs.stages import following
from jobs.stages.conform import silver_table
from jobs.storage.batch_tables import LEFT, BatchTable, Writer, in_buckets, scan_files, slices
from jobs.storage.ledgers import REGISTERS, Ledger
from jobs.storage.locations import Location
from jobs.storage.scanning import files
from jobs.storage.spreading import spread
from jobs.storage.standing import NOT_FOLLOWING
from jobs.storage.tables import Lake

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
        known = bool(done) and done[-1]["batch"] == state and lake.has(Layer.GOLD, name)
        if following.possible(lake, contract):
            known = known and following.up_to_date(lake, contract, key)
            return [] if not state or known else [following.follow(lake, contract, state, key)]
        if contract.withhold:
            raise ReleaseRefused(
                "rows are to be withheld of a product that follows no register.", dataset=name, layer=Layer.GOLD,
                remedy="see `lake check`.",
            )
        return [] if not state or known else [_rebuild(lake, contract, state, key)]


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
    if minors.claims_none(contract, lake.catalogue):
        versions += minors.COUNTS  # gold of before was not counted
    if following.possible(lake, contract):
        versions.append(following.deciding(lake, contract, key))
    return sha256("|".join([*versions, contract.model_dump_json()]).encode()).hexdigest()[:16]


def _tables(contract: Contract) -> list[tuple[Layer, str]]:
    registers = [(REGISTERS, f"{register}_versions") for register in contract.reads_registers]
    return [*registers, *[(Layer.SILVER, dataset) for dataset in contract.reads_datasets]]


def _rebuild(lake: Lake, contract: Contract, state: str, key: Key | None) -> StageReport:
    started, types, counted = time.monotonic(), dict(lake.catalogue.types), dict.fromkeys(minors.COUNTS, 0)
    gold = gold_schema(contract, types)
    protection = partial(
        protect, contract=contract, types=types, key=key.secret if key else b"",
        codes=lake.codes,
    )
    with ExitStack() as stack:
        name = f"gold-{layers.slug(contract.name)}"
        folder = stack.enter_context(lake.workspace(name, shared=False))
        spreading = stack.enter_context(lake.workspace(f"{name}-current", shared=_much(lake, contract)))
        with folder.create("source.parquet") as file:
            _source_rows(lake, contract, spreading).sink_parquet(file)
        with Writer(folder / "gold", gold) as writer:
            for some in slices(folder, "source.parquet"):
                protected = protection(some)
                for what, rows in _children(lake, contract, some, protected).items():
                    counted[what] += rows
                writer.write(protected)
        count = int(writer.files()["rows"].sum())
        gold_rows = writer.scan()
        found = scan(gold_rows.collect())
        if found:
            raise following.refused(contract, found)
        note = {"state": state, "key_id": key.id if key else ""}
        lake.overwrite(Layer.GOLD, contract.name, gold_rows, gold, note=note, marks=NOT_FOLLOWING)
    report = StageReport(
        "desensitise", contract.name, state, delivered=count, accepted=count, seconds=time.monotonic() - started,
        extra={
            "columns": list(gold), **({"key_id": key.id} if key else {}),
            **(counted if minors.claims_none(contract, lake.catalogue) else {}),
        },
    )
    lake.record(report)
    return report


def _children(lake: Lake, contract: Contract, rows: pl.DataFrame, protected: pl.DataFrame) -> dict[str, int]:
    """Count the rows in the release's scope by what they tell of children, where the contract says that none is one."""
    if not minors.claims_none(contract, lake.catalogue):
        return {}
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    told = minors.counts(rows, contract, lake.catalogue, today)
    kept = protected.select(in_scope(contract, lake.catalogue.types)).to_series()
    return {name: int(told[name].filter(kept).sum()) for name in minors.COUNTS}


def _much(lake: Lake, contract: Contract) -> bool:
    """Tell whether some dataset that gold is made from may go to the engine's workers."""
    held = [files(lake.folder(Layer.SILVER, dataset)) for dataset in contract.reads_datasets]
    return any(lake.much(int(found["num_records"].sum())) for found in held if found.height)


def _source_rows(lake: Lake, contract: Contract, folder: Location) -> pl.LazyFrame:
    source = contract.from_
    if source is None:
        return _current(lake, contract, folder)
    others = [_part(lake, join, folder) for join in source.join]
    return joined(_part(lake, source, folder), others, source, contract.fields)


def _part(lake: Lake, part: ProductSource | Join, folder: Location) -> pl.LazyFrame:
    if part.dataset:
        return _current(lake, lake.catalogue.contract(part.dataset), folder)
    return Ledger(lake, str(part.register_)).scan_current().filter(pl.col("_status") == "active")


@dataclass(frozen=True)
class Choosing:
    """Hold what the tasks need that choose a dataset's current rows: its table, and a folder for rows on their way."""

    contract: Contract
    silver: BatchTable
    folder: Location
    buckets: int


def _current(lake: Lake, contract: Contract, folder: Location) -> pl.LazyFrame:
    """Return the rows of a dataset that hold now: the newest per key, or the newest delivery of a snapshot."""
    silver = silver_table(lake, contract)
    batches = [batch for _, batch, _ in accepted(lake.runs(), [contract.name])]
    if contract.load.mode == "snapshot":
        dates = {batch.id: (batch.data_date, batch.id) for batch in lake.batches(contract.name)}
        batches = sorted(batches, key=lambda one: dates[one])[-1:]
    files = lake.batch_files(Layer.SILVER, contract.name, batches)
    rows = sum(lake.count(Layer.SILVER, contract.name, batch) for batch in batches)
    much, where = lake.much(rows), f"gold.{layers.slug(contract.name)}"
    own = folder / layers.slug(contract.name)
    choosing = Choosing(contract, silver, own, 1 + rows // BUCKET_ROWS if much else 1)
    parts = [(batch, file) for batch, some in files.items() for file in some]
    left = spread(lake, partial(_scatter, choosing=choosing), parts, LEFT, engine=much, where=where)
    task = partial(_choose, choosing=choosing)
    chosen = spread(lake, task, in_buckets(left), LEFT, engine=much, where=where)
    return scan_files(own, chosen["path"], silver.schema)


def _scatter(part: tuple[str, str], *, choosing: Choosing) -> pl.DataFrame:
    """Leave the rows of one file of silver in buckets, so that the rows of one key meet."""
    batch, file = part
    key = list(choosing.contract.load.key) or ["_fingerprint"]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(Writer(choosing.folder / str(number), choosing.silver.schema))
            for number in range(choosing.buckets)
        ]
        for rows in choosing.silver.slices(file, batch):
            bucket = rows.select(pl.struct(key).hash(seed=0) % choosing.buckets).to_series()
            for number, writer in enumerate(writers):
                writer.write(rows.filter(bucket == number))
    return pl.concat(writer.left(number) for number, writer in enumerate(writers))


def _choose(bucket: Sequence[str], *, choosing: Choosing) -> pl.DataFrame:
    """Leave the current rows of one bucket."""
    rows = current(scan_files(choosing.folder, bucket, choosing.silver.schema).collect(), choosing.contract)
    with Writer(choosing.folder / "current", choosing.silver.schema) as writer:
        writer.write(rows)
    return writer.left()
