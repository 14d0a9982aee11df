"""Append-only Delta tables of files sorted by an id, read and written natively, without the engine.

A register's claims and versions are such logs. A task writes a Parquet file into the table's folder, wherever it runs;
the file counts once the holder of the write lease commits it, each commit once. A file that was never committed is
swept by VACUUM. Ids are evenly spread (they are keyed hashes), so cutting their space evenly cuts the work evenly.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs.errors import StorageError
from jobs.registers.keys import ALPHABET, places
from jobs.storage.batch_tables import FILE_ROWS, repeating
from jobs.storage.frames import arrow_schema, to_arrow
from jobs.storage.locations import Location
from jobs.storage.scanning import files

if TYPE_CHECKING:
    from deltalake import DeltaTable

GROUP_ROWS = 65_536  # a lookup of one id decodes one row group
PART: dict[str, Any] = {
    "path": pl.String, "size": pl.Int64, "rows": pl.Int64, "low": pl.String, "high": pl.String, "first": pl.Int64,
    "last": pl.Int64,
}


NAMED: dict[str, Any] = {"log": pl.String, **PART}  # what a task tells that writes into several logs


@dataclass(frozen=True)
class Interval:
    """Name the ids from `low` on and below `high`; without `high` to the end."""

    low: str = ""
    high: str | None = None

    def holds(self, column: str) -> pl.Expr:
        """Return which rows' ids lie in it."""
        above = pl.lit(value=True) if not self.low else pl.col(column) >= self.low
        return above if self.high is None else above & (pl.col(column) < self.high)


EVERYWHERE = Interval()


def intervals(count: int) -> list[Interval]:
    """Return the space of ids cut into `count` intervals of equal share, in order; at most 1,024."""
    places = len(ALPHABET) ** 2
    count = min(count, places)
    marks = [places * at // count for at in range(1, count)]
    cuts = ["", *(ALPHABET[mark // len(ALPHABET)] + ALPHABET[mark % len(ALPHABET)] for mark in marks)]
    return [Interval(low, high) for low, high in zip(cuts, [*cuts[1:], None], strict=True)]


@dataclass(frozen=True)
class Log:
    """Hold a table as it stood when it was opened: its folder, schema, id column and files. Crosses processes."""

    folder: Location
    schema: Mapping[str, Any]
    by: str
    files: tuple[tuple[str, str, str, int, int], ...]  # path, least and greatest id, last commit, rows

    @classmethod
    def open(cls, folder: Location, schema: Mapping[str, Any], by: str) -> Log:
        """Pin a table's newest version; one that does not exist yet has no files."""
        if not folder.has_table():
            return cls(folder, schema, by, ())
        found = files(folder)
        known = ("path", f"min.{by}", f"max.{by}", "max._commit", "num_records")
        if found.height and not set(known) <= set(found.columns):
            raise StorageError(
                "the table is of an older layout.", where=folder.label,
                remedy="move the register's tables away, all but <register>_decisions; `lake run resolve` makes them.",
            )
        rows = found.select(known).iter_rows() if found.height else ()
        return cls(folder, schema, by, tuple((str(a), str(b), str(c), int(d), int(e)) for a, b, c, d, e in rows))

    @property
    def rows(self) -> int:
        """Return how many rows it holds."""
        return sum(file[-1] for file in self.files)

    @property
    def last(self) -> int:
        """Return the newest commit of any row, 0 for none."""
        return max((file[-2] for file in self.files), default=0)

    def scan(self, within: Interval = EVERYWHERE, *, after: int = 0) -> pl.LazyFrame:
        """Return the rows of an interval of ids that came after a commit; other files are left unread."""
        paths = [
            path
            for path, low, high, last, _ in self.files
            if high >= within.low and (within.high is None or low < within.high) and last > after
        ]
        if not paths:
            return pl.LazyFrame(schema=self.schema)
        rows = pl.scan_parquet(
            paths, schema=self.schema, missing_columns="insert", extra_columns="ignore", glob=False,
            hive_partitioning=False, storage_options=self.folder.scanning,
        )
        wanted = within.holds(self.by)
        return rows.filter(wanted & (pl.col("_commit") > after) if after else wanted)

    def among(self, ids: Sequence[str], *, after: int = 0) -> pl.LazyFrame:
        """Return the rows of some ids, of those that came after a commit."""
        if not ids:
            return pl.LazyFrame(schema=self.schema)
        least, greatest = min(ids), max(ids)
        rows = self.scan(Interval(least, f"{greatest}\x7f"), after=after)
        key = pl.col(self.by)
        return rows.filter(key.is_between(pl.lit(least), pl.lit(greatest)) & key.is_in(list(ids)))

    def write(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Write rows into the table's folder, sorted, as files that do not count yet; return them as `PART`."""
        import pyarrow.parquet as pq

        typed = rows.select(pl.col(name).cast(kind) for name, kind in self.schema.items())
        place = places(typed[self.by])
        ordered = typed.sort(self.by) if place.null_count() else typed[place.arg_sort()]
        parts = []
        for chunk in ordered.iter_slices(FILE_ROWS):
            name = f"part-{uuid.uuid4().hex}.zstd.parquet"
            table = to_arrow(chunk, self.schema)
            with self.folder.create(name) as sink:
                pq.write_table(
                    table, sink, row_group_size=GROUP_ROWS, compression="zstd", compression_level=1,
                    use_dictionary=repeating(table), write_statistics=[self.by, "_commit"],
                )
                size = sink.tell()
            parts.append((name, size, chunk.height, chunk[self.by].min(), chunk[self.by].max(),
                          chunk["_commit"].min(), chunk["_commit"].max()))
        return pl.DataFrame(parts, schema=PART, orient="row")

    def written(self, rows: pl.DataFrame, name: str, number: int) -> pl.DataFrame:
        """Write rows as those of a commit, as `write` does; return them as `NAMED`."""
        parts = self.write(rows.with_columns(pl.lit(number, pl.Int64).alias("_commit")))
        return parts.select(pl.lit(name).alias("log"), *PART)

    def commit(self, parts: pl.DataFrame, number: int) -> None:
        """Append written files as one commit of the register; one that is there already is left as it is."""
        from deltalake import CommitProperties, Transaction

        if parts.is_empty():
            return
        table = self._table()
        if (table.transaction_version(self.by) or 0) >= number:
            return
        table.create_write_transaction(
            _actions(parts, self.by), "append", table.schema(), commit_properties=CommitProperties(
                custom_metadata={"commit": str(number)}, app_transactions=[Transaction(self.by, number)]
            ),
        )

    def replace(self, parts: pl.DataFrame) -> None:
        """Put written files in the place of all others, in one commit."""
        table = self._table()
        table.create_write_transaction(_actions(parts, self.by), "overwrite", table.schema())

    def _table(self) -> DeltaTable:
        """Return the table, made if it is absent, with every column of the schema."""
        from deltalake import DeltaTable, Schema

        schema = Schema.from_arrow(arrow_schema(self.schema))
        indexed = {"delta.dataSkippingStatsColumns": f"{self.by},_commit"}  # what rows say is nobody's statistics
        table = DeltaTable.create(
            self.folder.uri, schema, mode="ignore", configuration=indexed, storage_options=self.folder.options
        )
        known = {field.name for field in table.schema().fields}
        if fresh := [field for field in schema.fields if field.name not in known]:
            table.alter.add_columns(fresh)
        return table


def _actions(parts: pl.DataFrame, by: str) -> list[Any]:
    from deltalake.transaction import AddAction

    now = int(time.time() * 1000)
    found = []
    for one in parts.iter_rows(named=True):
        statistics = {
            "numRecords": one["rows"], "minValues": {by: one["low"], "_commit": one["first"]},
            "maxValues": {by: one["high"], "_commit": one["last"]}, "nullCount": {by: 0, "_commit": 0},
        }
        found.append(AddAction(one["path"], one["size"], {}, now, data_change=True, stats=json.dumps(statistics)))
    return found
