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
from jobs.registers.claims import RANGES
from jobs.registers.fold import REMOVED
from jobs.registers.keys import ranges
from jobs.storage.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

REGISTERS = Layer.REGISTERS
LOGS = ("_versions", "_claims", "_assertions", "_id_changes", "_cases", "_decisions")
Consumed = tuple[str, str, str]  # dataset, batch, fingerprint of the contract that conformed it


@dataclass(frozen=True)
class Commit:
    """Hold one step of a register: which batches join its claims, which leave them, which decisions it takes up."""

    number: int
    add: tuple[Consumed, ...]
    remove: tuple[Consumed, ...]
    decisions: tuple[str, ...] = ()


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
            (Commit(n, _pairs(add), _pairs(remove), tuple(json.loads(decisions))), n in done)
            for n, add, remove, decisions in planned.select("commit", "add", "remove", "decisions").iter_rows()
        ]

    def consumed(self, known_at: int | None = None) -> set[Consumed]:
        """Return the batches whose claims the register holds, or held after a commit: the fold of its done commits."""
        held: set[Consumed] = set()
        for commit, done in self.plans():
            if done and (known_at is None or commit.number <= known_at):
                held = (held - set(commit.remove)) | set(commit.add)
        return held

    def decisions(self) -> set[str]:
        """Return the decisions taken up by done commits."""
        return {one for commit, done in self.plans() if done for one in commit.decisions}

    def write_commit(self, commit: Commit, state: str) -> None:
        """Append one line to the commits: `planned` before the tables change, `done` after."""
        import pyarrow as pa
        from deltalake import write_deltalake

        row = {
            "commit": commit.number,
            "state": state,
            "add": json.dumps(commit.add),
            "remove": json.dumps(commit.remove),
            "decisions": json.dumps(commit.decisions),
            "recorded_at": datetime.now(UTC),
        }
        schema = pa.schema(
            [
                ("commit", pa.int64()), ("state", pa.string()), ("add", pa.string()), ("remove", pa.string()),
                ("decisions", pa.string()),
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

    def scan_current(self, known_at: int | None = None, *, among: Iterable[str] | None = None) -> pl.LazyFrame:
        """Return the living rows natively, all or those of some entities.

        With `known_at` as the register stood after that commit (from the log alone).
        """
        rows = self._versions_of(among)
        if known_at is not None:
            rows = rows.filter(pl.col("_commit") <= known_at)
        elif self.lake.has(REGISTERS, self.register):
            snapshot = self.lake.scan(REGISTERS, self.register)
            snapshot = snapshot if among is None else snapshot.filter(_within(among))
            rows = pl.concat([snapshot, rows.filter(pl.col("_commit") > self.covered())], how="diagonal")
        newest = rows.sort("_commit", descending=True).unique("_entity_id", keep="first", maintain_order=True)
        return newest.filter(pl.col("_status") != REMOVED)

    def covered(self) -> int:
        """Return the last commit the snapshot holds rows of; none between it and the log is missing."""
        snapshot = self.lake.scan(REGISTERS, self.register)
        return int(snapshot.select(pl.col("_commit").max().fill_null(0)).collect().item())

    def _versions_of(self, among: Iterable[str] | None) -> pl.LazyFrame:
        rows = self.lake.scan(REGISTERS, self.versions)
        return rows if among is None else rows.filter(_within(among))

    def history(self, entity: str) -> pl.DataFrame:
        """Return every version of one entity, oldest first."""
        return self._versions_of([entity]).sort("_commit").collect()

    def status(self, entity: str, known_at: int | None = None) -> str | None:
        """Return an entity's status now or after a commit, removed ones included; None when it never had a row."""
        rows = self._versions_of([entity]).select("_commit", "_status").collect()
        known = rows if known_at is None else rows.filter(pl.col("_commit") <= known_at)
        return str(known.sort("_commit")["_status"][-1]) if known.height else None

    def kind(self, entity: str) -> str | None:
        """Return the kind of the key that an entity's id was made of."""
        rows = self._versions_of([entity]).select("_kind").head(1).collect()
        return str(rows.item()) if rows.height else None

    def known(self, ids: Iterable[str]) -> str | None:
        """Return the first of some ids that ever had a row."""
        rows = self._versions_of(ids).select("_entity_id").head(1).collect()
        return str(rows.item()) if rows.height else None

    def claims_under(self, keys: Iterable[str]) -> pl.DataFrame:
        """Return every claim made under some keys."""
        return self.lake.scan(REGISTERS, self.claims).filter(pl.col("_key_id").is_in(list(keys))).collect()


def _within(ids: Iterable[str]) -> pl.Expr:
    """Return which rows are of some entities, naming their key ranges too, so that other files are left unread."""
    wanted = pl.Series(list(ids), dtype=pl.String)
    places = ranges(wanted, RANGES).unique().to_list()
    return pl.col("_range").is_in(places) & pl.col("_entity_id").is_in(wanted.to_list())


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
    return [str(layers.table_path(REGISTERS, f"{register}{suffix}")) for suffix in ("", *LOGS, "_commits")]
