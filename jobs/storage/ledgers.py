"""A register as stored: an append-only log of versions, a snapshot for reading, and the commits that made them.

`<register>_versions` is the log, `<register>` the snapshot; what is true now is the newest row of each entity in
either. A commit is planned before any table changes and done after all have: whoever finds a planned commit finishes
exactly that one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs import layers
from jobs.layers import Layer
from jobs.registers.fold import REMOVED
from jobs.storage.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

REGISTERS = Layer.REGISTERS
Consumed = tuple[str, str, str]  # dataset, batch, fingerprint of the contract that conformed it


@dataclass(frozen=True)
class Commit:
    """Hold one step of a register: which batches join its claims, which leave them."""

    number: int
    add: tuple[Consumed, ...]
    remove: tuple[Consumed, ...]


class Ledger:
    """Read and write one register's tables."""

    def __init__(self, lake: Lake, register: str) -> None:
        self.lake, self.register = lake, register
        self.versions, self.claims = f"{register}_versions", f"{register}_claims"
        self.commits = f"{register}_commits"

    # -- commits ---------------------------------------------------------------------------------------------------
    def plans(self) -> list[tuple[Commit, bool]]:
        """Return every commit in order, with whether it is done."""
        if not self.lake.has(REGISTERS, self.commits):
            return []
        rows = self.lake.scan(REGISTERS, self.commits).collect()
        done = set(rows.filter(pl.col("state") == "done")["commit"].to_list())
        planned = rows.filter(pl.col("state") == "planned").sort("commit")
        return [
            (Commit(n, _pairs(add), _pairs(remove)), n in done)
            for n, add, remove in planned.select("commit", "add", "remove").iter_rows()
        ]

    def consumed(self) -> set[Consumed]:
        """Return the batches whose claims the register holds: the fold of its done commits."""
        held: set[Consumed] = set()
        for commit, done in self.plans():
            if done:
                held = (held - set(commit.remove)) | set(commit.add)
        return held

    def write_commit(self, commit: Commit, state: str) -> None:
        """Append one line to the commits: `planned` before the tables change, `done` after."""
        import pyarrow as pa
        from deltalake import write_deltalake

        row = {
            "commit": commit.number,
            "state": state,
            "add": json.dumps(commit.add),
            "remove": json.dumps(commit.remove),
            "recorded_at": datetime.now(UTC),
        }
        schema = pa.schema(
            [
                ("commit", pa.int64()), ("state", pa.string()), ("add", pa.string()), ("remove", pa.string()),
                ("recorded_at", pa.timestamp("us", tz="UTC")),
            ]
        )
        write_deltalake(
            self.lake.uri(REGISTERS, self.commits), pa.Table.from_pylist([row], schema=schema), mode="append"
        )

    # -- rows ------------------------------------------------------------------------------------------------------
    def current(self) -> DataFrame | None:
        """Return the newest row of each entity as Spark sees it, removed ones included; None before the first."""
        from pyspark.sql import Window
        from pyspark.sql import functions as f

        if not self.lake.has(REGISTERS, self.versions):
            return None
        rows = self.lake.read(REGISTERS, self.versions)
        if self.lake.has(REGISTERS, self.register):
            newer = rows.where(f.col("_commit") > self.covered())
            rows = self.lake.read(REGISTERS, self.register).unionByName(newer, allowMissingColumns=True)
        newest = Window.partitionBy("_entity_id").orderBy(f.col("_commit").desc())
        return rows.withColumn("_age", f.row_number().over(newest)).where("_age = 1").drop("_age")

    def scan_current(self, known_at: int | None = None) -> pl.LazyFrame:
        """Return the living rows natively; with `known_at`, as the register stood after that commit (log only)."""
        rows = self.lake.scan(REGISTERS, self.versions)
        if known_at is not None:
            rows = rows.filter(pl.col("_commit") <= known_at)
        elif self.lake.has(REGISTERS, self.register):
            snapshot = self.lake.scan(REGISTERS, self.register)
            rows = pl.concat([snapshot, rows.filter(pl.col("_commit") > self.covered())], how="diagonal")
        newest = rows.sort("_commit", descending=True).unique("_entity_id", keep="first", maintain_order=True)
        return newest.filter(pl.col("_status") != REMOVED)

    def covered(self) -> int:
        """Return the last commit the snapshot holds rows of; none between it and the log is missing."""
        snapshot = self.lake.scan(REGISTERS, self.register)
        return int(snapshot.select(pl.col("_commit").max().fill_null(0)).collect().item())

    def history(self, entity: str) -> pl.DataFrame:
        """Return every version of one entity, oldest first."""
        return self.lake.scan(REGISTERS, self.versions).filter(pl.col("_entity_id") == entity).sort("_commit").collect()

    def claims_on(self, entity: str) -> pl.DataFrame:
        """Return every claim about one entity."""
        return self.lake.scan(REGISTERS, self.claims).filter(pl.col("_entity_id") == entity).collect()


def _pairs(text: str) -> tuple[Consumed, ...]:
    return tuple((str(a), str(b), str(c)) for a, b, c in json.loads(text))


def accepted(lake: Lake, datasets: Iterable[str]) -> set[Consumed]:
    """Return the batches a register should hold: conformed, neither withheld nor retracted."""
    wanted: set[Consumed] = set()
    for dataset in datasets:
        gone = lake.retracted(dataset)
        for batch, row in lake.judged("conform", dataset).items():
            if row["outcome"] == "done" and batch not in gone:
                extra: dict[str, Any] = json.loads(row["extra"])
                wanted.add((dataset, batch, str(extra.get("contract", ""))))
    return wanted


def table_names(register: str) -> list[str]:
    """Return the paths of a register's Delta tables, the snapshot first."""
    suffixes = ("", "_versions", "_claims", "_commits")
    return [str(layers.table_path(REGISTERS, f"{register}{suffix}")) for suffix in suffixes]
