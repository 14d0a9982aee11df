"""A register's ledger of assertions as stored, and what follows from it: the id-change feed and the log of cases.

`<register>_decisions` is an inbox: persons and models hand assertions in at any time. Resolve alone writes the rest,
each table once per commit: `<register>_assertions`, append-only, what entered, was dated anew or was taken back;
`<register>_id_changes`, an id's new state; `<register>_cases`, a case's new state. All of it is read and written
natively.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from jobs.layers import Layer
from jobs.registers.assertions import PERSON, in_force
from jobs.registers.assertions import SCHEMA as ASSERTION
from jobs.registers.cases import OPEN, REOPENED
from jobs.registers.cases import SCHEMA as CASE
from jobs.registers.identities import ACTIVE, MAP
from jobs.storage.tables import Lake

REGISTERS = Layer.REGISTERS
_STAMP: dict[str, Any] = {"_commit": pl.Int64, "_recorded_at": pl.Datetime("us", "UTC")}
ENTRY = {**ASSERTION, **_STAMP}
CHANGE = {**MAP, **_STAMP}
CASE_ENTRY = {**CASE, **_STAMP}


class Court:
    """Read and write what is asserted about one register's keys."""

    def __init__(self, lake: Lake, register: str) -> None:
        self.lake, self.register = lake, register
        self.inbox, self.assertions = f"{register}_decisions", f"{register}_assertions"
        self.id_changes, self.cases_log = f"{register}_id_changes", f"{register}_cases"

    # -- the inbox -------------------------------------------------------------------------------------------------
    def hand_in(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append assertions of a person or a model to the inbox; the next resolve takes them up."""
        entries = pl.DataFrame(list(rows), schema=ASSERTION)
        self.lake.append(REGISTERS, self.inbox, entries, ASSERTION)

    def handed_in(self) -> pl.DataFrame:
        """Return everything in the inbox, each assertion once."""
        return self._scan(self.inbox, ASSERTION).unique("id", keep="any").sort("id").collect()

    # -- what resolve writes ---------------------------------------------------------------------------------------
    def write(self, table: str, rows: pl.DataFrame, number: int) -> None:
        """Append one commit's rows to a table, once: a commit that is there already is left as it is."""
        schema = {self.assertions: ENTRY, self.id_changes: CHANGE, self.cases_log: CASE_ENTRY}[table]
        if rows.is_empty() or self.holds(table, number):
            return
        stamped = rows.with_columns(
            pl.lit(number, pl.Int64).alias("_commit"), pl.lit(datetime.now(UTC)).cast(_STAMP["_recorded_at"]).alias(
                "_recorded_at")
        )
        self.lake.append(REGISTERS, table, stamped.select(list(schema)), schema)

    def holds(self, table: str, number: int) -> bool:
        """Tell whether a table has a commit's rows."""
        return bool(self._scan(table, CHANGE).filter(pl.col("_commit") == number).head(1).collect().height)

    # -- reading ---------------------------------------------------------------------------------------------------
    def entries(self, known_at: int | None = None, *, among: Iterable[str] | None = None) -> pl.DataFrame:
        """Return the ledger's entries up to a commit, all of them or those that name one of some ids."""
        rows = self._scan(self.assertions, ENTRY)
        if known_at is not None:
            rows = rows.filter(pl.col("_commit") <= known_at)
        if among is not None:
            ids = list(among)
            rows = rows.filter(pl.col("left").is_in(ids) | pl.col("right").is_in(ids) | pl.col("subject").is_in(ids))
        return rows.collect()

    def decisions(self, known_at: int) -> pl.DataFrame:
        """Return the ledger's entries of persons, up to a commit."""
        rows = self._scan(self.assertions, ENTRY).filter(pl.col("_commit") <= known_at)
        return rows.filter(pl.col("rule") == PERSON).collect()

    def force(self, known_at: int | None = None) -> pl.DataFrame:
        """Return the assertions in force after a commit, by default now."""
        return in_force(self.entries(known_at))

    def id_map(self, known_at: int | None = None, *, among: Iterable[str] | None = None) -> pl.DataFrame:
        """Return the id map after a commit, by default now: what is not simply itself."""
        rows = self._scan(self.id_changes, CHANGE)
        if known_at is not None:
            rows = rows.filter(pl.col("_commit") <= known_at)
        if among is not None:
            rows = rows.filter(pl.col("id").is_in(list(among)))
        return _newest(rows.collect(), "id").filter(pl.col("state") != ACTIVE).select(list(MAP))

    def members(self, entities: Iterable[str]) -> pl.DataFrame:
        """Return the ids that go to some entities, themselves excluded."""
        ids = list(entities)
        rows = self._scan(self.id_changes, CHANGE)
        ever = rows.filter(pl.col("entity").is_in(ids)).select("id").unique().collect()["id"]
        return self.id_map(among=ever.to_list()).filter(pl.col("entity").is_in(ids))

    def changes_of(self, ids: Iterable[str]) -> pl.DataFrame:
        """Return the id-change feed of some ids, oldest first."""
        return self._scan(self.id_changes, CHANGE).filter(pl.col("id").is_in(list(ids))).sort("_commit", "id").collect()

    def known(self, ids: Iterable[str]) -> str | None:
        """Return the first of some ids that the ledger names; one may be a party that a decision told apart."""
        wanted = list(ids)
        for table, column in ((self.id_changes, "id"), (self.assertions, "right"), (self.assertions, "left")):
            schema = CHANGE if table == self.id_changes else ENTRY
            found = self._scan(table, schema).filter(pl.col(column).is_in(wanted)).select(column).head(1).collect()
            if found.height:
                return str(found.item())
        return next((one for one in wanted if self.keys_of_parties([one])), None)

    def kind(self, key: str) -> str | None:
        """Return the kind of a key that some assertion names."""
        for side in ("left", "right"):
            named = self._scan(self.assertions, ENTRY).filter(pl.col(side) == key)
            rows = named.select(f"{side}_kind").head(1).collect()
            if rows.height:
                return str(rows.item())
        return None

    def keys_of_parties(self, ids: Iterable[str]) -> list[str]:
        """Return the keys under which decisions told some ids apart."""
        decided = self.handed_in().filter(pl.col("rule") == PERSON, pl.col("right").is_null())
        wanted = list(ids)
        return decided.filter(pl.col("parties").str.contains_any(wanted))["subject"].unique().sort().to_list()

    def changed_ids(self, number: int) -> pl.Series:
        """Return the ids whose place changed in one commit."""
        return self._scan(self.id_changes, CHANGE).filter(pl.col("_commit") == number).select("id").collect()["id"]

    def cases(self, known_at: int | None = None) -> pl.DataFrame:
        """Return every case that still stands, as it stood after a commit, by default now."""
        rows = self._scan(self.cases_log, CASE_ENTRY)
        if known_at is not None:
            rows = rows.filter(pl.col("_commit") <= known_at)
        return _newest(rows.collect(), "id").filter(pl.col("state") != GONE).select(list(CASE))

    def asked_since(self) -> pl.DataFrame:
        """Return since when each waiting case waits (`id`, `since`): when it was opened, or opened again."""
        rows = self._scan(self.cases_log, CASE_ENTRY).select("id", "state", "_commit", "_recorded_at").collect()
        waits = pl.col("state").is_in([OPEN, REOPENED])
        rows = rows.sort("_commit").with_columns(_calm=(~waits).cum_sum().over("id"))
        return rows.filter((pl.col("_calm") == pl.col("_calm").max().over("id")) & waits).group_by("id").agg(
            pl.col("_recorded_at").min().alias("since")
        )

    def _scan(self, table: str, schema: Mapping[str, Any]) -> pl.LazyFrame:
        return self.lake.scan(REGISTERS, table, absent=schema)


GONE = "gone"  # a case whose ground has fallen away


def map_changes(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return what the id-change feed has to say between two id maps; an id that is itself again becomes active."""
    same = after.join(before, on=list(MAP), how="semi", nulls_equal=True)
    changed = after.join(same.select("id"), on="id", how="anti")
    gone = before.join(after.select("id"), on="id", how="anti").with_columns(
        pl.lit(ACTIVE).alias("state"), pl.col("id").alias("entity"), pl.col("kind").alias("entity_kind"),
        pl.lit(None, pl.List(pl.String)).alias("parties"), pl.lit(None, pl.String).alias("why"),
    )
    return pl.concat([changed, gone.select(list(MAP))]).sort("id")


def case_changes(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return the cases that are new, changed or gone."""
    known = {row["id"]: row for row in before.iter_rows(named=True)}
    fresh = [row for row in after.iter_rows(named=True) if known.get(row["id"]) != row]
    gone = before.join(after.select("id"), on="id", how="anti").with_columns(pl.lit(GONE).alias("state"))
    return pl.concat([pl.DataFrame(fresh, schema=CASE), gone.select(list(CASE))]).sort("id")


def _newest(rows: pl.DataFrame, by: str) -> pl.DataFrame:
    return rows.sort("_commit").unique(by, keep="last", maintain_order=True).sort(by)
