"""Delta tables kept by batch: a batch's rows come and go as a whole, in one commit, written and read natively.

As with the registers' logs, a task writes Parquet files into the table's folder, wherever it runs; they count once the
holder of the write lease commits them. Files of an attempt that died are swept by maintenance.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import polars as pl
import pyarrow as pa

from jobs.errors import StorageError
from jobs.storage.frames import arrow_schema, to_arrow
from jobs.storage.locations import Location

if TYPE_CHECKING:
    import pyarrow.parquet as pq
    from deltalake import DeltaTable

Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)
BATCH, ROW = "_batch_id", "_source_row"
FILE_ROWS = 1_000_000  # at most, so that whoever reads one file needs little memory
SAMPLED = 1_000  # rows that tell whether a column's values repeat
SLICE_ROWS = 50_000  # rows that a task holds in memory at once
FILE: dict[str, Any] = {"path": pl.String, "size": pl.Int64, "rows": pl.Int64}
LEFT: dict[str, Any] = {"bucket": pl.Int64, **FILE}  # what a task left in buckets; `path` is an address


@dataclass
class Writer:
    """Write rows of one schema into a folder as Parquet files of limited size; a folder without rows gets none.

    What is read again soon and then removed is `passing`: written fast rather than small. No file holds statistics:
    they are a quarter of what writing costs, and who reads a batch reads all of it.
    """

    folder: Location
    schema: Mapping[str, Any]
    passing: bool = False
    parts: list[tuple[str, int, int]] = field(default_factory=list)
    _open: pq.ParquetWriter | None = None
    _sink: pa.NativeFile | None = None
    _name: str = ""
    _rows: int = 0

    def write(self, rows: pl.DataFrame | pa.Table) -> tuple[str, int]:
        """Append rows, as a row group of their own; return the file they are in and the place of the first there."""
        import pyarrow.parquet as pq

        table = to_arrow(rows, self.schema) if isinstance(rows, pl.DataFrame) else rows.cast(arrow_schema(self.schema))
        if not table.num_rows:
            return "", 0
        if self._open is None:
            self._name = f"part-{uuid.uuid4().hex}.zstd.parquet"
            self._sink = self.folder.create(self._name)
            packing = {"compression": "lz4"} if self.passing else {"compression": "zstd", "compression_level": 1}
            self._open = pq.ParquetWriter(
                self._sink, table.schema, use_dictionary=repeating(table), write_statistics=False, **packing
            )
        self._open.write_table(table)
        written = self._name, self._rows
        self._rows += table.num_rows
        if self._rows >= FILE_ROWS:
            self._finish()
        return written

    def _finish(self) -> None:
        if self._open is not None and self._sink is not None:
            self._open.close()
            size = self._sink.tell()
            self._sink.close()
            self.parts.append((self._name, size, self._rows))
            self._open, self._sink, self._rows = None, None, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            self._finish()
        elif self._open is not None and self._sink is not None:
            with suppress(Exception):  # what went wrong first is what is told; the file counts for nobody
                self._open.close()
                self._sink.close()
                self.folder.remove(self._name)

    def files(self) -> pl.DataFrame:
        """Return what was written (`FILE`), paths below the folder."""
        return pl.DataFrame(self.parts, schema=FILE, orient="row")

    def left(self, bucket: int = 0) -> pl.DataFrame:
        """Return what was written (`LEFT`), for whoever reads it next.

        Only what a task returns is read on: a task that the engine tried twice has left some files twice.
        """
        placed = self.files().with_columns(pl.lit(bucket, pl.Int64).alias("bucket"))
        addresses = pl.Series("path", [self.folder.address(path) for path in placed["path"]], pl.String)
        return placed.with_columns(addresses).select(list(LEFT))

    def scan(self) -> pl.LazyFrame:
        """Return the rows written."""
        return scan_files(self.folder, (self.folder.address(path) for path, _, _ in self.parts), self.schema)


@dataclass(frozen=True)
class BatchTable:
    """Name a table kept by batch, with the schema its rows should have. Crosses processes."""

    folder: Location
    schema: Mapping[str, Any]

    @property
    def stored(self) -> dict[str, Any]:
        """Return the columns of its files: all but the batch, which the log knows."""
        return {name: kind for name, kind in self.schema.items() if name != BATCH}

    def writer(self, batch: str) -> Writer:
        """Return a writer of one batch's rows, into files that do not count yet."""
        return Writer(self.folder / f"{BATCH}={batch}", self.stored)

    def written(self, batch: str, files: pl.DataFrame) -> pl.LazyFrame:
        """Return the rows of files (`FILE`) that a writer of this batch has written, whether they count yet or not."""
        folder = self.writer(batch).folder
        return scan_files(folder, map(folder.address, files["path"]), self.stored)

    def read(self, file: str, batch: str) -> pl.LazyFrame:
        """Return one file's rows with exactly the schema's columns; the file may be older than some of them."""
        return _typed(scan_files(self.folder, [file], self.schema), self.schema, batch)

    def slices(self, file: str, batch: str) -> Iterator[pl.DataFrame]:
        """Yield the rows of one file as `read` gives them, a limited number at a time."""
        return (_typed(rows, self.schema, batch) for rows in slices(self.folder, file))

    def check(self) -> None:
        """Raise StorageError where the table is there and stores a column as another type than the schema's."""
        if self.folder.has_table():
            self._table()

    def replace(self, batch: str, files: pl.DataFrame) -> None:
        """Put written files (`FILE`) in the place of whatever the table holds of a batch, in one commit.

        Raises StorageError where a column is stored as another type than the schema's.
        """
        from deltalake import CommitProperties
        from deltalake.transaction import AddAction

        table, now = self._table(), int(time.time() * 1000)
        actions = [
            AddAction(f"{BATCH}={batch}/{path}", size, {BATCH: batch}, now, True, json.dumps({"numRecords": rows}))
            for path, size, rows in files.select(list(FILE)).iter_rows()
        ]
        table.create_write_transaction(
            actions, "overwrite", table.schema(), [BATCH], [(BATCH, "=", batch)],
            commit_properties=CommitProperties(custom_metadata={"batch": batch}),
        )

    def _table(self) -> DeltaTable:
        """Return the table, made if it is absent, with every column of the schema."""
        from deltalake import DeltaTable, Schema

        schema = Schema.from_arrow(arrow_schema(self.schema))
        indexed = {"delta.dataSkippingStatsColumns": ROW}  # what rows say is nobody's statistics
        table = DeltaTable.create(
            self.folder.uri, schema, mode="ignore", partition_by=[BATCH], configuration=indexed,
            storage_options=self.folder.options,
        )
        known = {one.name: one.type for one in table.schema().fields}
        if changed := [one.name for one in schema.fields if known.get(one.name, one.type) != one.type]:
            raise StorageError(
                f"the type of {', '.join(changed)} is not the one the table was made with.",
                where=self.folder.label,
                remedy="give the field of the new type a new name; or move the table away and run the stage again "
                "for every batch.",
            )
        if fresh := [one for one in schema.fields if one.name not in known]:
            table.alter.add_columns(fresh)
        return table


def repeating(rows: pa.Table) -> list[str]:
    """Return the columns of text whose values repeat, by the first ones; for others a dictionary only costs time."""
    import pyarrow.compute as pc

    first = rows.slice(0, SAMPLED)
    texts = [one.name for one in rows.schema if pa.types.is_string(one.type) or pa.types.is_large_string(one.type)]
    return [name for name in texts if pc.count_distinct(first[name]).as_py() * 2 < first.num_rows ]


def in_buckets(left: pl.DataFrame) -> list[list[str]]:
    """Return the files (`LEFT`) of each bucket that has some."""
    return left.sort("bucket", "path").group_by("bucket", maintain_order=True).agg("path")["path"].to_list()


def scan_files(folder: Location, files: Iterable[str], schema: Mapping[str, Any]) -> pl.LazyFrame:
    """Return the rows of Parquet files of one schema by their addresses, in that order; of no file no row."""
    found = list(files)
    if not found:
        return pl.LazyFrame(schema=schema)
    return pl.scan_parquet(found, glob=False, hive_partitioning=False, storage_options=folder.scanning)


def slices(folder: Location, file: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a Parquet file, a limited number at a time."""
    import pyarrow.parquet as pq

    with folder.open(file) as source:
        for some in pq.ParquetFile(source).iter_batches(SLICE_ROWS):
            yield pl.DataFrame(pl.from_arrow(some))


def _typed(rows: Rows, schema: Mapping[str, Any], batch: str) -> Rows:
    known = rows.collect_schema().names()
    return rows.select(
        pl.lit(batch).alias(name) if name == BATCH
        else (pl.col(name) if name in known else pl.lit(None)).cast(kind).alias(name)
        for name, kind in schema.items()
    )
