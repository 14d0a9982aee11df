"""The only room that knows Delta: which table lies where, and the few ways a stage may change one.

Every table is written and read natively, by delta-rs, without a JVM: the engine's workers only write files into a
table's folder, and whoever holds the table's lease commits them.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs import layers
from jobs.batch import Batch, StageReport
from jobs.catalogue import Catalogue, load_catalogue
from jobs.errors import RequestError
from jobs.layers import Layer
from jobs.rows.codes import CodeBook
from jobs.sets.runs import interrupted, judged, retracted, withdrawn
from jobs.settings import Settings
from jobs.storage.batch_tables import BATCH, BatchTable
from jobs.storage.frames import to_arrow
from jobs.storage.growing import Growing
from jobs.storage.leases import Lease, lease
from jobs.storage.locations import Location, refusal
from jobs.storage.objects import Folder, Store, storage_errors
from jobs.storage.scanning import files, opened, scan_opened
from jobs.storage.stores import store
from jobs.storage.translation import translated

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyspark.sql import SparkSession

    from jobs.privacy.keyring import KeyRing
    from jobs.registers.keyed import Terms

COUNTS = ("delivered", "accepted", "quarantined", "duplicates", "withheld")
RUNS = {
    **dict.fromkeys(("stage", "dataset", "batch", "outcome"), pl.String()), **dict.fromkeys(COUNTS, pl.Int64()),
    **dict.fromkeys(("reasons", "warnings", "notes", "extra"), pl.String()),
    "seconds": pl.Float64(), "recorded_at": pl.Datetime("us", "UTC"),
}
STAGING = f"{Layer.OPS}/staging"
ATTEMPTS = 20  # to append where others append too
SMALL_FILE_BYTES, MANY_FILES = 32 << 20, 16  # sixteen small files in one partition are worth joining


class Lake:
    """Give the stages their tables, objects and engine; open it with `with Lake.open() as lake:`."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.objects = store(settings)
        self._lease: Lease | None = None
        self._tables: dict[str, DeltaTable] = {}
        self._runs = Growing(self.folder(Layer.OPS, "runs"), RUNS, "recorded_at")

    @classmethod
    @contextmanager
    def open(cls, settings: Settings | None = None) -> Iterator[Lake]:
        """Open the lake of the settings; the engine starts only when a stage asks for it."""
        settings = settings or Settings()
        lake = cls(settings, load_catalogue(settings.schemas))
        try:
            with storage_errors(lake.objects.address("")):
                yield lake
        finally:
            if "spark" in lake.__dict__:
                from jobs.storage import engine

                engine.close(lake.spark)

    @cached_property
    def spark(self) -> SparkSession:
        """Return the session of the lake's engine, starting the engine if it is absent."""
        from jobs.storage import engine

        return engine.session(self.settings)

    @cached_property
    def codes(self) -> CodeBook:
        """Return the code lists, read once."""
        return CodeBook.load(self.catalogue.root / "codes")

    @cached_property
    def key_ring(self) -> KeyRing:
        """Return the lake's key ring; a key management service is asked once."""
        from jobs.privacy.keyring import KeyRing

        return KeyRing.of(self.objects)

    # -- names -----------------------------------------------------------------------------------------------------
    def folder(self, layer: Layer, name: str) -> Location:
        """Return where a table lies."""
        return self.objects.location(layers.table_path(layer, name))

    def has(self, layer: Layer, name: str) -> bool:
        """Tell whether a table exists."""
        return self.folder(layer, name).has_table()

    @property
    def drop_boxes(self) -> tuple[Store, PurePosixPath]:
        """Return the store of the departments' drop boxes, and what they lie below there: LAKE_RAW, else raw."""
        if self.settings.raw is None:
            return self.objects, PurePosixPath(Layer.RAW)
        return Folder(self.settings.drop_box), PurePosixPath()

    # -- reading ---------------------------------------------------------------------------------------------------
    def scan(self, layer: Layer, name: str, *, absent: Mapping[str, Any] | None = None) -> pl.LazyFrame:
        """Return a table natively, without the engine.

        One that does not exist yet has no row of the schema given as `absent`, or raises RequestError.
        """
        table = self.table(layer, name)
        if table is None and absent is not None:
            return pl.LazyFrame(schema=absent)
        if table is None:
            raise RequestError(
                "the table does not exist yet.", dataset=name, layer=layer, remedy="run the stages before it."
            )
        return scan_opened(table, self.folder(layer, name))

    def table(self, layer: Layer, name: str) -> DeltaTable | None:
        """Return a table as it now stands, None when it does not exist yet; its log is read on, not read again."""
        folder = self.folder(layer, name)
        known = self._tables.get(folder.uri)
        if known is not None:
            known.update_incremental()
        elif folder.has_table():
            known = self._tables[folder.uri] = opened(folder)
        return known

    def count(self, layer: Layer, name: str, batch: str) -> int:
        """Return how many rows of one batch a table holds, as its log says."""
        if not self.has(layer, name):
            return 0
        found = files(self.folder(layer, name))
        if found.is_empty():
            return 0
        return int(found.filter(pl.col(f"partition.{BATCH}") == batch)["num_records"].sum())

    def rows(self, layer: Layer, name: str) -> int:
        """Return how many rows a table holds, as its log says; 0 where there is none."""
        found = files(self.folder(layer, name)) if self.has(layer, name) else pl.DataFrame()
        return 0 if found.is_empty() else int(found["num_records"].sum())

    def much(self, rows: int) -> bool:
        """Tell whether a step over so many rows goes to the engine's workers; a small one is done in its process."""
        return rows > self.settings.engine_rows

    def batch_files(self, layer: Layer, name: str, batches: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return batch → the addresses of its files, of those batches that a table kept by batch has rows of."""
        found = files(self.folder(layer, name))
        if found.is_empty():
            return {}
        mine = found.filter(pl.col(f"partition.{BATCH}").is_in(list(batches)) & (pl.col("num_records") > 0))
        mine = mine.sort("path").group_by(f"partition.{BATCH}", maintain_order=True).agg("path")
        return {str(batch): tuple(paths) for batch, paths in mine.iter_rows()}

    def batch_groups(self, layer: Layer, name: str, batch: str, rows: int) -> list[tuple[str, ...]]:
        """Return the addresses of one batch's files, together until a group has so many rows."""
        found = files(self.folder(layer, name)) if self.has(layer, name) else pl.DataFrame()
        if found.is_empty():
            return []
        mine = found.filter((pl.col(f"partition.{BATCH}") == batch) & (pl.col("num_records") > 0)).sort("path")
        group = (pl.col("num_records").cum_sum() - pl.col("num_records")) // rows
        groups = mine.select("path", group.alias("group")).group_by("group", maintain_order=True).agg("path")
        return [tuple(paths) for paths in groups["path"]]

    def version(self, layer: Layer, name: str) -> int:
        """Return a table's Delta version, -1 when it does not exist."""
        table = self.table(layer, name)
        return -1 if table is None else int(table.version())

    def fragmented(self, layer: Layer, name: str) -> bool:
        """Tell whether some partition of a table holds many small files."""
        found = files(self.folder(layer, name))
        small = found.filter(pl.col("size_bytes") < SMALL_FILE_BYTES)
        partitions = [column for column in found.columns if column.startswith("partition.")]
        counts = small.group_by(partitions).len()["len"] if partitions else pl.Series([small.height])
        return int(counts.max() or 0) >= MANY_FILES  # type: ignore[arg-type]

    def expired_files(self, layer: Layer, name: str, hours: int) -> int:
        """Return how many files of a table no version of the last hours needs."""
        return len(opened(self.folder(layer, name)).vacuum(retention_hours=hours, dry_run=True, full=True))

    # -- writing ---------------------------------------------------------------------------------------------------
    @contextmanager
    def writing(self, table: str) -> Iterator[None]:
        """Hold a table's write lease; work that a dead holder left running in the engine is stopped first."""

        def stop_leftovers(owner: str) -> None:
            from jobs.storage import engine

            if engine.status(self.settings)["engine"] != "stopped":  # a stopped engine has nothing left running
                self.spark.interruptTag(f"lease-{owner}")

        with lease(
            self.objects,
            table,
            seconds=self.settings.lease_seconds,
            wait_seconds=self.settings.lease_wait_seconds,
            on_takeover=stop_leftovers,
        ) as held:
            self._lease = held
            try:
                yield
            finally:
                self._lease = None

    def check_lease(self) -> None:
        """Raise ConflictError where the write lease was lost: somebody else may be writing."""
        if self._lease is not None:
            self._lease.check()

    @contextmanager
    def engine_call(self, where: str) -> Iterator[None]:
        """Check the lease, tag the work with its owner; turn the engine's failures into the lake's errors."""
        held = self._lease
        if held is not None:
            held.check()
            self.spark.addTag(f"lease-{held.owner}")
        try:
            with translated(where):
                yield
        finally:
            if held is not None:
                self.spark.removeTag(f"lease-{held.owner}")

    def replace_batch(self, table: BatchTable, batch: str, files: pl.DataFrame) -> None:
        """Put exactly one batch's written files into a table in one commit, whatever was there of that batch."""
        self.check_lease()
        with storage_errors(table.folder.label):
            table.replace(batch, files)

    def overwrite(
        self, layer: Layer, name: str, rows: pl.LazyFrame, schema: Mapping[str, Any], *,
        note: Mapping[str, str] | None = None, marks: Mapping[str, int] | None = None,
    ) -> None:
        """Replace a whole table, schema included, in one commit, which keeps the marks (Delta's transactions)."""
        from deltalake import CommitProperties, Transaction, write_deltalake

        self.check_lease()
        folder, kept = self.folder(layer, name), [Transaction(*one) for one in (marks or {}).items()]
        with storage_errors(folder.label):
            write_deltalake(
                folder.uri, to_arrow(rows.collect(), schema), mode="overwrite", schema_mode="overwrite",
                commit_properties=CommitProperties(custom_metadata=dict(note or {}), app_transactions=kept),
                storage_options=folder.options,
            )

    def append(
        self, layer: Layer, name: str, rows: pl.DataFrame | Sequence[Mapping[str, Any]], schema: Mapping[str, Any]
    ) -> None:
        """Append rows to a table that others may append to at the same time."""
        from deltalake import write_deltalake

        folder = self.folder(layer, name)
        frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows, schema=pl.Schema(schema))
        table = to_arrow(frame, schema)
        with storage_errors(folder.label):
            for attempt in range(ATTEMPTS):
                try:
                    write_deltalake(folder.uri, table, mode="append", storage_options=folder.options)
                    return
                except Exception as error:  # delta-rs has one exception per cause of a lost race
                    lost = re.search(r"version|exists|conflict|concurrent|changed since", str(error), re.IGNORECASE)
                    if attempt == ATTEMPTS - 1 or not lost or refusal(error):
                        raise
                    time.sleep(0.02 * (attempt + 1))

    def compact(self, layer: Layer, name: str, *, by: str | None = None) -> None:
        """Rewrite small files as few, sorted by a column if one is given; no row changes."""
        self.check_lease()
        optimizer = opened(self.folder(layer, name)).optimize
        optimizer.z_order([by]) if by else optimizer.compact()

    def vacuum(self, layer: Layer, name: str, hours: int) -> None:
        """Remove the files no version of the last hours needs."""
        self.check_lease()
        opened(self.folder(layer, name)).vacuum(retention_hours=hours, dry_run=False, full=True)

    @contextmanager
    def workspace(self, name: str, *, shared: bool) -> Iterator[Location]:
        """Give a step a place of its own for rows on their way; nothing of it stays, nor of attempts that died.

        A step in one process works on this machine; one over the engine's workers in a place that all of them share.
        """
        store, place = self.objects if shared else self.objects.own, f"{STAGING}/{name}"
        store.remove(place)
        try:
            with storage_errors(name):
                # A straggler of a dead attempt writes elsewhere.
                yield store.location(f"{place}/{uuid.uuid4().hex}")
        finally:
            store.remove(place)

    # -- accounting ------------------------------------------------------------------------------------------------
    def record(self, report: StageReport) -> None:
        """Append one row to `ops.runs`: what a stage did with a batch."""
        row = {
            "stage": report.stage, "dataset": report.dataset, "batch": report.batch, "outcome": report.outcome,
            **{name: getattr(report, name) for name in COUNTS},
            "reasons": json.dumps(dict(report.reasons), sort_keys=True),
            "warnings": json.dumps(dict(report.warnings), sort_keys=True),
            "notes": json.dumps(list(report.notes), ensure_ascii=False),
            "extra": json.dumps(dict(report.extra), sort_keys=True, ensure_ascii=False),
            "seconds": round(report.seconds, 3), "recorded_at": datetime.now(UTC),
        }
        self.append(Layer.OPS, "runs", [row], RUNS)

    def runs(self) -> pl.DataFrame:
        """Return `ops.runs`, oldest first; empty before the first run."""
        return self._runs.rows(self.table(Layer.OPS, "runs"))

    def judged(self, stage: str, dataset: str) -> dict[str, dict[str, Any]]:
        """Return batch → its latest run of one stage, as `jobs.sets.runs.judged` has it."""
        return judged(self.runs(), stage, dataset)

    def interrupted(self, stage: str, dataset: str) -> set[str]:
        """Return the batches that a stage began to judge again and never finished: their tables may be ahead of it."""
        return interrupted(self.runs(), stage, dataset)

    def last_report(self, stage: str, dataset: str, batch: str) -> StageReport:
        """Return the latest accounting of one batch at one stage; raise RequestError when there is none."""
        row = self.judged(stage, dataset).get(batch)
        if row is None:
            raise RequestError(f"batch {batch} has not passed {stage}.", dataset=dataset)
        row.pop("recorded_at")
        for name in ("reasons", "warnings", "notes", "extra"):
            row[name] = json.loads(row[name])
        return StageReport(**row)

    def feeders(self, register: str) -> dict[str, list[str]]:
        """Return register field → the datasets whose rows speak about it."""
        speaking: dict[str, list[str]] = {name: [] for name in self.catalogue.registers[register].fields}
        for contract in self.catalogue.feeding(register):
            for link in contract.entities.values():
                for name in link.fields if link.register_ == register else ():
                    if contract.name not in speaking[name]:
                        speaking[name].append(contract.name)
        return speaking

    def terms(self, register: str) -> Terms:
        """Return by what rule claims win in a keyed register."""
        from jobs.registers.keyed import Terms

        declared = self.catalogue.registers[register]
        says = {
            (contract.name, role): tuple(link.fields)
            for contract in self.catalogue.feeding(register)
            for role, link in contract.entities.items() if link.register_ == register
        }
        ending = frozenset(name for name in declared.lead if self.catalogue.contract(name).load.deleted_when)
        return Terms(declared, dict(self.catalogue.types), says, ending)

    def batches(self, dataset: str, *, without: Collection[str] = ()) -> list[Batch]:
        """Return the landed batches of a dataset, by data date and id; a batch is landed once its manifest is.

        Of those that are left out nothing is read. A batch whose manifest is damaged, or gone (alone or with its whole
        folder) after its landing was recorded, is among them and says so (`Batch.damage`): it stops no other.
        """
        landed, place = self.judged("land", dataset), layers.landing_path(dataset)
        told = {name for name, row in landed.items() if row["outcome"] == "done"}
        lying, found = {name.name for name in self.objects.names(place)}, []
        for name in (lying | told).difference(without):
            manifest = place / name / "_manifest.json"
            text = self.objects.read(manifest) if name in lying and self.objects.exists(manifest) else None
            if text is not None or name in told:
                found.append(Batch.at(dataset, name, text, landed.get(name, {})))
        return sorted(found, key=lambda batch: (batch.data_date, batch.id))

    def retracted(self, dataset: str) -> set[str]:
        """Return the batches of a dataset that are withdrawn, as `jobs.sets.runs.retracted` has it."""
        return retracted(self.runs(), dataset)

    def withdrawn(self, dataset: str) -> set[str]:
        """Return the batches of a dataset whose own withdrawal is on record."""
        return withdrawn(self.runs(), dataset)
