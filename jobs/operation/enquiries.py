"""Enquiries: where an id went, why, and what a case is about, read natively, without the engine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from jobs.errors import RequestError
from jobs.layers import Layer
from jobs.register import Register
from jobs.registers.assertions import OWN_RULES, PERSON, SAME, UNDO, in_force, pair, rulings
from jobs.registers.assertions import SCHEMA as ASSERTION
from jobs.registers.cases import LINKED as LINKED_CASE
from jobs.registers.claims import compared
from jobs.registers.fold import REMOVED, fold, valid_on
from jobs.registers.identities import ACTIVE, AMBIGUOUS, HELD, REDIRECT
from jobs.registers.judging import judge
from jobs.registers.keyed import merged_on
from jobs.registers.linked import LINKED
from jobs.registers.resolution import Resolution, placed, resolved
from jobs.storage.court import Court
from jobs.storage.ledgers import Ledger
from jobs.storage.tables import Lake

UNKNOWN = "unknown"
FARTHEST = 2_000  # keys followed from one id; the largest component a register merges has far fewer


@dataclass
class Desk:
    """Answer questions about one register."""

    lake: Lake
    register: Register
    ledger: Ledger
    court: Court

    @classmethod
    def of(cls, lake: Lake, register: str) -> Desk:
        """Return the desk of a register."""
        return cls(lake, lake.catalogue.registers[register], Ledger(lake, register), Court(lake, register))

    @classmethod
    def all(cls, lake: Lake, register: str | None = None) -> list[Desk]:
        """Return the desks of all registers that were ever resolved, or of one."""
        if register is not None and register not in lake.catalogue.registers:
            known = ", ".join(lake.catalogue.registers)
            raise RequestError(f"there is no register {register!r}.", remedy=f"registers: {known}.")
        names = [register] if register else sorted(lake.catalogue.registers)
        return [  # one just opened has no claim yet
            cls.of(lake, name) for name in names
            if any(lake.has(Layer.REGISTERS, f"{name}{part}") for part in ("_claims", "_versions"))
        ]

    @property
    def claims_table(self) -> tuple[Layer, str]:
        """Return where the register's claims lie."""
        return Layer.REGISTERS, self.ledger.claims

    # -- where an id went ------------------------------------------------------------------------------------------
    def resolve(self, key: str, as_of: date | None = None, known_at: int | None = None) -> dict[str, Any]:
        """Return an id's state (active, redirect, ambiguous, held or unknown), its entity or parties, path and why."""
        if as_of is not None:
            return self._resolve_on(key, as_of, known_at)
        found = self.court.id_map(known_at, among=[key])
        if found.height:
            row = found.row(0, named=True)
            return _answer(key, row["state"], row["entity"], row["parties"], row["why"])
        status = self.ledger.status(key, known_at)
        if status is None:
            return _answer(key, UNKNOWN, None, None, "no register row and no assertion names it.")
        if status == REMOVED:
            return _answer(key, UNKNOWN, None, None, "nothing is claimed of it any more.")
        return _answer(key, HELD if status == "contested" else ACTIVE, key, None, None)

    def _resolve_on(self, key: str, as_of: date, known_at: int | None) -> dict[str, Any]:
        if self.register.keyed:
            if self._keyed_on(key, as_of, known_at).height:
                return _answer(key, ACTIVE, key, None, None)
            return _answer(key, UNKNOWN, None, None, "nothing was claimed of it by then.")
        found = self.on(key, as_of, known_at)
        rows = found.identities.map.filter(pl.col("id") == key)
        if rows.height:
            row = rows.row(0, named=True)
            return _answer(key, row["state"], row["entity"], row["parties"], row["why"])
        claimed = found.placed.filter((pl.col("_key_id") == key) | (pl.col("_entity_id") == key))
        if claimed.is_empty() and key not in {one["id"] for keys in found.placed["_keys"] for one in keys}:
            return _answer(key, UNKNOWN, None, None, "nothing was claimed of it by then.")
        held = claimed.height and bool(claimed["_waits"].all())
        return _answer(key, HELD if held else ACTIVE, key, None, None)

    def on(self, key: str, as_of: date, known_at: int | None = None) -> Resolution:
        """Return what the claims up to a day come to, for all keys that anything ever joined to one."""
        entries, keys = self._around(key, known_at)
        claims = valid_on(self.ledger.claims_under(keys, known_at), as_of)
        handed = entries.filter(~pl.col("rule").is_in(OWN_RULES)).select(list(ASSERTION))
        return resolved(claims, handed, self.register)

    def _keyed_on(self, key: str, as_of: date, known_at: int | None) -> pl.DataFrame:
        """Return a keyed register's row of an entity as it was on a day."""
        opened = self.ledger.versions_log().among([key]).filter(pl.col("_commit") == self.ledger.opening).collect()
        terms = self.lake.terms(self.register.name)
        claims = self.ledger.claims_under([key], known_at)
        return merged_on(as_of, opened.select(list(terms.schema)), claims.select(list(terms.claim_schema)), terms)

    def _around(self, key: str, known_at: int | None) -> tuple[pl.DataFrame, list[str]]:
        """Return the ledger's entries that lead from an id to others, step by step, and all ids met."""
        met, frontier = {key}, {key, *self.court.keys_of_parties([key])}
        entries = self.court.entries(known_at, among=frontier)
        while frontier - met or len(met) == 1:
            met |= frontier
            entries = self.court.entries(known_at, among=met)
            ends = pl.concat([entries["left"], entries["right"]]).drop_nulls().unique().to_list()
            frontier = {*ends, *self.court.keys_of_parties(ends)}
            if len(met) > FARTHEST or frontier <= met:
                break
        return entries, sorted(met)

    # -- what is known of an entity --------------------------------------------------------------------------------
    def entity_of(self, key: str) -> str:
        """Return the entity an id stands for now, itself where it stands for none."""
        found = self.court.id_map(among=[key])
        return str(found["entity"][0]) if found.height else key

    def claims_of(self, entity: str) -> pl.DataFrame:
        """Return the claims behind an entity, whether each waits."""
        if self.register.keyed:
            return self.ledger.claims_under([entity]).with_columns(_waits=pl.lit(value=False))
        keys = [entity, *self.court.members([entity])["id"], *self.court.keys_of_parties([entity])]
        decided = rulings(in_force(self.court.entries(among=keys)))
        judged, _ = judge(self.ledger.claims_under(keys), self.register, decided)
        nodes = judged["_node"].unique()
        rows = placed(judged, self.court.id_map(among=nodes), self.register.lead)
        return rows.filter(pl.col("_entity_id") == entity)

    def row(self, entity: str, as_of: date | None = None, known_at: int | None = None) -> dict[str, Any] | None:
        """Return an entity's register row, now, as known at a commit or as it was on a day; None when there is none."""
        if as_of is None:
            rows = self.ledger.scan_current(known_at, among=[entity]).collect()
        elif self.register.keyed:
            rows = self._keyed_on(entity, as_of, known_at)
        else:
            claims = self.on(entity, as_of, known_at).placed.filter(pl.col("_entity_id") == entity)
            feeders = self.lake.feeders(self.register.name)
            rows = fold(claims, self.register, self.lake.catalogue.types, feeders)
        return rows.row(0, named=True) if rows.height else None

    def why(self, key: str) -> dict[str, Any]:
        """Return the keys of an id's entity, the edges that join them, the decisions and the redirects."""
        entity = self.entity_of(key)
        members = self.court.members([entity])
        ids = sorted({key, entity, *members["id"]})
        entries = self.court.entries(among=[*ids, *self.court.keys_of_parties(ids)])
        force = in_force(entries)
        edges = force.filter((pl.col("judgement") == SAME) & pl.col("right").is_not_null())
        undone = set(entries.filter(pl.col("judgement") == UNDO)["undoes"].to_list())
        decisions = entries.filter((pl.col("rule") == PERSON) & (pl.col("judgement") != UNDO)).sort("decided_at")
        return {
            **self.resolve(key), "register": self.register.name,
            "keys": [{"id": entity, "kind": self._kind(entity, members), "state": "entity"}, *members.select(
                "id", "kind", "state").iter_rows(named=True)],
            "edges": [
                {**{name: row[name] for name in ("id", "left", "right", "rule", "as_of", "batch")},
                 "evidence": json.loads(row["evidence"] or "{}")}
                for row in edges.sort("as_of", "id", nulls_last=True).iter_rows(named=True)
            ],
            "decisions": [
                {**{name: row[name] for name in ("id", "case", "judgement", "subject", "by", "reason", "decided_at")},
                 "undone": row["id"] in undone}
                for row in decisions.iter_rows(named=True)
            ],
            "redirects": [
                {"commit": row["_commit"], "at": row["_recorded_at"], "id": row["id"], "state": row["state"],
                 "became": row["entity"], "why": row["why"]}
                for row in self.court.changes_of(ids).iter_rows(named=True)
            ],
        }

    def _kind(self, entity: str, members: pl.DataFrame) -> str | None:
        return str(members["entity_kind"][0]) if members.height else self.ledger.kind(entity)

    def case(self, case: str) -> dict[str, Any] | None:
        """Return one case with its evidence side by side, None when the register has none of this id."""
        found = self.court.cases().filter(pl.col("id") == case)
        if found.is_empty():
            return None
        row = found.row(0, named=True)
        told = json.loads(row["parties"] or "[]")
        sides = [{"party": one["id"], "keys": [one["id"]]} for one in told if "party" not in one] or [
            {"party": one["party"], "keys": [row["keys"][0]["id"]], "evidence": one["evidence"]} for one in told
        ] or [{"party": one["id"], "keys": [one["id"]]} for one in row["keys"]]
        claims = self.ledger.claims_under({key for side in sides for key in side["keys"]})
        return {
            **{name: row[name] for name in ("id", "kind", "state", "keys", "suggestion", "confidence", "judgement",
                                            "as_of")},
            "register": self.register.name, "weights": self._weights(row),
            "sides": [{"party": side["party"], "says": self._said(claims, side)} for side in sides],
        }

    def _weights(self, case: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what each step added to the weight of a linked pair, in bits; nothing of any other case."""
        if case["kind"] != LINKED_CASE:
            return []
        ids = [key["id"] for key in case["keys"]]
        force = in_force(self.court.entries(among=ids)).filter(pl.col("subject") == pair(*ids))
        weighed = force.filter(pl.col("rule").str.starts_with(LINKED)).sort("decided_at")["evidence"]
        told = json.loads(weighed[-1]).get("weights", []) if len(weighed) else []
        return [{"step": label, "bits": bits} for label, bits in told]

    def _said(self, claims: pl.DataFrame, side: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what one side of a case says, each statement once, with who says it and since when."""
        mine = claims.filter(pl.col("_key_id").is_in(side["keys"]))
        if "evidence" in side:
            mine = mine.filter(pl.col("_evidence").is_in(side["evidence"]))
        fields = compared(self.register)
        said = mine.group_by(fields).agg(
            pl.col("_dataset").unique().sort().alias("sources"), pl.len().alias("claims"),
            pl.col("_as_of").min().alias("since"),
        )
        return list(said.sort("since", *fields, nulls_last=True).iter_rows(named=True))


def find(lake: Lake, ids: Iterable[str], register: str | None = None) -> tuple[Desk, str]:
    """Return the desk of the register that knows one of some ids, and that id; raise RequestError when none does."""
    wanted, desks = list(ids), Desk.all(lake, register)
    if len(wanted) == 1 and (whose := _kept_by(desks, wanted[0])):
        return whose, wanted[0]
    for desk in desks:
        if known := desk.ledger.known(wanted) or desk.court.known(wanted):
            return desk, known
    raise RequestError(
        "no register knows this entity.", remedy="`lake runs` shows whether the registers were resolved."
    )


def _kept_by(desks: Sequence[Desk], key: str) -> Desk | None:
    """Return the desk whose register has rows of an id, where no desk before it can know a key of that kind."""
    for place, desk in enumerate(desks):
        kind = desk.ledger.kind(key)
        if kind in desk.register.kinds:
            return None if any(kind in other.register.kinds for other in desks[:place]) else desk
    return None


def _answer(key: str, state: str, entity: str | None, parties: list[str] | None, why: str | None) -> dict[str, Any]:
    apart = state == AMBIGUOUS and (parties is None or entity not in parties)
    path = [key, *([entity] if entity not in (None, key) and state in (REDIRECT, HELD) else [])]
    return {"id": key, "state": state, "entity": None if apart else entity, "parties": parties or [], "path": path,
            "why": why}

