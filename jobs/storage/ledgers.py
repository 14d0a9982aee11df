"""A register as stored: an append-only log of versions, a snapshot for reading, and the commits that made them.

`<register>_versions` is the log, `<register>` the snapshot; what is true now is the newest row of each entity in
either. `<register>_replaced` keeps for each version what it took the place of, so that what is made from a register can
follow its changes. `<register>_claims` is a log too: a claim stays when its delivery is withdrawn, but is not in force
any more, because the commits say which batches are. So is `<register>_nearness`, the index by which near keys are
found. A commit is planned before any table changes and done after all have: whoever finds a planned commit finishes
exactly it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

import polars as pl

from jobs import layers
from jobs.layers import Layer
from jobs.register import Register
from jobs.registers.claims import SNAPSHOTS, claim_schema, corrected, standing, with_absences
from jobs.registers.fold import ACTIVE, CONTESTED, ENDED, REMOVED, register_schema, replaced_schema
from jobs.registers.nearness import MARKS
from jobs.storage.growing import Growing
from jobs.storage.logs import EVERYWHERE, Interval, Log
from jobs.storage.tables import Lake

REGISTERS = Layer.REGISTERS
LOGS = ("_versions", "_replaced", "_claims", "_nearness", "_assertions", "_id_changes", "_cases", "_decisions")
COMMITS = {
    "commit": pl.Int64(), **dict.fromkeys(("state", "add", "remove", "decisions"), pl.String()),
    "recorded_at": pl.Datetime("us", "UTC"),
}
OPENS, OPENING = 1, "opening:"  # the commit that opens a register, and how it names its files' digest
RULES = "rules:"  # how a commit names the digest of the rules it folds by, among its decisions
Consumed = tuple[str, str, str]  # dataset, batch, fingerprint of the contract that conformed it


@dataclass(frozen=True)
class Commit:
    """Hold one step of a register: which batches join its claims, which leave them, which decisions it takes up."""

    number: int
    add: tuple[Consumed, ...]
    remove: tuple[Consumed, ...]
    decisions: tuple[str, ...] = ()

    @property
    def opens(self) -> bool:
        """Tell whether it fills the register with rows from elsewhere; `decisions` names what they are."""
        return self.number == OPENS and any(one.startswith(OPENING) for one in self.decisions)

    @property
    def decided(self) -> tuple[str, ...]:
        """Return the decisions of people that it takes up."""
        return tuple(one for one in self.decisions if not one.startswith((OPENING, RULES)))

    def by(self, rules: str) -> Commit:
        """Return it as carried out by some rules; by no rules of their own where it was planned by others."""
        mixed = rules if rules in self.decisions else f"{RULES}mixed"
        return replace(self, decisions=(*(one for one in self.decisions if not one.startswith(RULES)), mixed))


@dataclass(frozen=True)
class Claims:
    """Hold the claims in force after a commit, as anything that reads them needs: crosses processes."""

    log: Log
    until: int
    gone: pl.DataFrame  # (_dataset, _batch_id, _commit) of claims that entered by then and left again
    corrected: pl.DataFrame  # see `jobs.registers.claims.corrected`
    snapshots: pl.DataFrame  # see `jobs.registers.claims.with_absences`

    def scan(self, within: Interval = EVERYWHERE) -> pl.LazyFrame:
        """Return the claims under an interval of keys."""
        return self.of(self.log.scan(within))

    def of(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return which of the log's rows are in force and still stand, and what snapshots withdrew by silence."""
        return with_absences(standing(self._in_force(rows), self.corrected), self.snapshots)

    def all(self) -> pl.LazyFrame:
        """Return the claims in force, those of corrected records included."""
        return self._in_force(self.log.scan())

    def _in_force(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        rows = rows.filter(pl.col("_commit") <= self.until)
        return rows.join(self.gone.lazy(), on=self.gone.columns, how="anti") if self.gone.height else rows


class Ledger:
    """Read and write one register's tables."""

    def __init__(self, lake: Lake, register: str) -> None:
        self.lake, self.register = lake, register
        self.versions, self.claims = f"{register}_versions", f"{register}_claims"
        self.commits = f"{register}_commits"
        self._commits = Growing(lake.folder(REGISTERS, self.commits), COMMITS, "commit")

    # -- commits ---------------------------------------------------------------------------------------------------
    def plans(self) -> list[tuple[Commit, bool]]:
        """Return every commit in order, with whether it is done."""
        rows = self._commits.rows(self.lake.table(REGISTERS, self.commits))
        done = set(rows.filter(pl.col("state") == "done")["commit"].to_list())
        planned = rows.filter(pl.col("state") == "planned").sort("commit")
        return [
            (Commit(n, _pairs(add), _pairs(remove), tuple(json.loads(decisions))), n in done)
            for n, add, remove, decisions in planned.select("commit", "add", "remove", "decisions").iter_rows()
        ]

    def past(self, until: int) -> int:
        """Return a digest (60 bits) of the commits up to one: of what, by what and when; of another past another."""
        rows = self._commits.rows(self.lake.table(REGISTERS, self.commits))
        done = rows.filter((pl.col("state") == "done") & (pl.col("commit") <= until)).sort("commit", "recorded_at")
        return int(hashlib.sha256(done.write_csv().encode()).hexdigest()[:15], 16)

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

    def rules(self) -> str:
        """Return the digest of the rules by which the last done commit was carried out; none where none says."""
        rows = self._commits.rows(self.lake.table(REGISTERS, self.commits)).filter(pl.col("state") == "done")
        told = [json.loads(one) for one in rows.sort("commit", descending=True)["decisions"]]
        return next((one for decisions in told for one in decisions if one.startswith(RULES)), "")

    def write_commit(self, commit: Commit, state: str) -> None:
        """Append one line to the commits: `planned` before the tables change, `done` after."""
        row = {
            "commit": commit.number, "state": state, "add": json.dumps(commit.add),
            "remove": json.dumps(commit.remove), "decisions": json.dumps(commit.decisions),
            "recorded_at": datetime.now(UTC),
        }
        self.lake.append(REGISTERS, self.commits, [row], COMMITS)

    # -- rows ------------------------------------------------------------------------------------------------------
    def scan_current(self, known_at: int | None = None, *, among: Iterable[str] | None = None) -> pl.LazyFrame:
        """Return the living rows natively, all or those of some entities.

        With `known_at` as the register stood after that commit (from the log alone).
        """
        versions, snapshot = self.versions_log(), self.snapshot_log()
        ids = None if among is None else list(among)
        after = snapshot.last if known_at is None else 0
        rows = versions.scan(after=after) if ids is None else versions.among(ids, after=after)
        if known_at is not None:
            rows = rows.filter(pl.col("_commit") <= known_at)
        elif after:
            rows = pl.concat([snapshot.scan() if ids is None else snapshot.among(ids), rows])
        return newest(rows).filter(pl.col("_status") != REMOVED)

    def counts(self) -> dict[str, int]:
        """Return how many entities live and in what state, how many claims are in force, how many of those wait."""
        states = [(pl.col("_status") == state).sum().alias(state) for state in (ACTIVE, ENDED, CONTESTED)]
        held = pl.lit(0) if self._register.keyed else pl.col("_held").list.len().sum()
        counted = self.scan_current().select(pl.len().alias("entities"), *states, held.alias("held"))
        claims = self.claims_in_force().all().select(pl.len()).collect().item()
        return {**counted.collect().row(0, named=True), "claims": claims}

    @property
    def opening(self) -> int:
        """Return the commit by which the register was opened with rows from elsewhere, 0 for none."""
        return next((commit.number for commit, done in self.plans()[:1] if commit.opens and done), 0)

    def versions_log(self) -> Log:
        """Return the log of versions as it stands."""
        return self._log(self.versions)

    def snapshot_log(self) -> Log:
        """Return the snapshot as it stands; its last commit is the one it covers."""
        return self._log(self.register)

    def _log(self, table: str) -> Log:
        schema = {"_commit": pl.Int64, **register_schema(self._register, self.lake.catalogue.types)}
        return Log.open(self.lake.folder(REGISTERS, table), schema, "_entity_id")

    def replaced_log(self) -> Log:
        """Return the log of what versions replaced as it stands: for each version of a commit one row."""
        schema = {"_commit": pl.Int64, **replaced_schema(self._register, self.lake.catalogue.types)}
        return Log.open(self.lake.folder(REGISTERS, f"{self.register}_replaced"), schema, "_entity_id")

    def claims_log(self) -> Log:
        """Return the log of claims as it stands: every claim that ever entered, with the commit it came by."""
        schema = {"_commit": pl.Int64, **claim_schema(self._register, self.lake.catalogue.types)}
        return Log.open(self.lake.folder(REGISTERS, self.claims), schema, "_key_id")

    def marks_log(self) -> Log:
        """Return the index of marks as it stands: keys by their marks, and under a key the keys near to it."""
        folder = self.lake.folder(REGISTERS, f"{self.register}_nearness")
        return Log.open(folder, {"_commit": pl.Int64, **MARKS}, "mark")

    @property
    def _register(self) -> Register:
        return self.lake.catalogue.registers[self.register]

    def history(self, entity: str) -> pl.DataFrame:
        """Return every version of one entity, oldest first."""
        return self.versions_log().among([entity]).sort("_commit").collect()

    def status(self, entity: str, known_at: int | None = None) -> str | None:
        """Return an entity's status now or after a commit, removed ones included; None when it never had a row."""
        rows = self.versions_log().among([entity]).select("_commit", "_status").collect()
        known = rows if known_at is None else rows.filter(pl.col("_commit") <= known_at)
        return str(known.sort("_commit")["_status"][-1]) if known.height else None

    def kind(self, entity: str) -> str | None:
        """Return the kind of the key that an entity's id was made of."""
        rows = self.versions_log().among([entity]).select("_kind").head(1).collect()
        return str(rows.item()) if rows.height else None

    def known(self, ids: Iterable[str]) -> str | None:
        """Return the first of some ids that ever had a row."""
        rows = self.versions_log().among(list(ids)).select("_entity_id").head(1).collect()
        return str(rows.item()) if rows.height else None

    # -- claims ----------------------------------------------------------------------------------------------------
    def claims_in_force(self, known_at: int | None = None) -> Claims:
        """Return the claims in force after a commit, by default the last that is done.

        Where a later row of one record may be about somebody else, this looks through all claims of such records.
        """
        plans = self.plans()
        until = known_at if known_at is not None else max((one.number for one, done in plans if done), default=0)
        held: dict[Consumed, int] = {}
        entered: set[tuple[str, str, int]] = set()
        for commit, _ in plans:
            if commit.number <= until:
                held = {one: number for one, number in held.items() if one not in commit.remove}
                held |= dict.fromkeys(commit.add, commit.number)
                entered |= {(dataset, batch, commit.number) for dataset, batch, _ in commit.add}
        left = entered - {(dataset, batch, number) for (dataset, batch, _), number in held.items()}
        schema = {"_dataset": pl.String, "_batch_id": pl.String, "_commit": pl.Int64}
        nobody = pl.DataFrame(schema={"_record": pl.String, "_about": pl.String})
        gone = pl.DataFrame(sorted(left), schema=schema, orient="row")
        claims = Claims(self.claims_log(), until, gone, nobody, self._snapshots(held))
        return replace(claims, corrected=corrected(claims.scan())) if self.correctable else claims

    def _snapshots(self, held: Iterable[Consumed]) -> pl.DataFrame:
        """Return the snapshot after each, of the lead's datasets that come as snapshots."""
        rows = []
        for dataset in self._register.lead:
            if self.lake.catalogue.contract(dataset).load.mode == "snapshot":
                batches = {batch for name, batch, _ in held if name == dataset}
                ordered = [batch for batch in self.lake.batches(dataset) if batch.id in batches]
                rows += [(dataset, one.id, after.id, after.data_date) for one, after in pairwise(ordered)]
        return pl.DataFrame(rows, schema=SNAPSHOTS, orient="row")

    @property
    def correctable(self) -> bool:
        """Tell whether a later row of one record may be about somebody else."""
        return any(
            link.register_ == self.register and contract.correctable(role)
            for contract in self.lake.catalogue.feeding(self.register)
            for role, link in contract.entities.items()
        )

    def claims_under(self, keys: Iterable[str], known_at: int | None = None) -> pl.DataFrame:
        """Return every claim made under some keys that is in force and still stands."""
        claims = self.claims_in_force(known_at)
        return claims.of(claims.log.among(sorted(keys))).drop("_commit").collect()


def newest(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return the newest version of each entity, removed ones included."""
    ordered = rows.sort("_commit", descending=True)
    return ordered.unique("_entity_id", keep="first", maintain_order=True)


def _pairs(text: str) -> tuple[Consumed, ...]:
    return tuple((str(a), str(b), str(c)) for a, b, c in json.loads(text))


def table_names(register: str) -> list[str]:
    """Return the paths of a register's Delta tables, the snapshot first."""
    return [str(layers.table_path(REGISTERS, f"{register}{suffix}")) for suffix in ("", *LOGS, "_commits")]
