"""Cases: what a person is asked, a pure function of the assertions in force and of what the id map refuses.

A case's id depends on its kind and keys alone. It is open until a decision covers its evidence, decided while one
does, and reopened when evidence appears that the decision did not know; the decision stands until there is another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import polars as pl

from jobs.registers.assertions import (
    ALIKE,
    CLASH,
    CONTRADICTION,
    DIFFERENT,
    NEAR,
    PERSON,
    PLACEHOLDER,
    SAME,
    UNDO,
    UNSURE,
    assertion,
    pair,
)
from jobs.registers.identities import Identities
from jobs.registers.keys import KEYS, party_ids

OPEN, DECIDED, REOPENED = "open", "decided", "reopened"
STATES = (OPEN, DECIDED, REOPENED)
CONTESTED, NOBODY = "contested_key", "placeholder"
SHARED, TWO_KEYS, LARGE, TWO_NUMBERS = "shared_key", "two_keys", "large_component", "two_numbers"
NEAR_KEY, LINKED = "near_key", "linked"

SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "kind": pl.String,
    "state": pl.String,
    "keys": KEYS,
    "parties": pl.String,  # JSON: fingerprints and evidence of a key's parties, or the ids between which it stands
    "covers": pl.List(pl.String),  # the evidence a decision on the case has seen
    "suggestion": pl.String,
    "confidence": pl.Float64,
    "judgement": pl.String,
    "as_of": pl.Date,
}
# What a rule would answer, and how sure it is; a person decides.
_SUGGESTIONS = {
    CONTESTED: (DIFFERENT, 0.8), NOBODY: (DIFFERENT, 0.95), SHARED: (UNSURE, 0.5), TWO_KEYS: (UNSURE, 0.5),
    LARGE: (DIFFERENT, 0.6), TWO_NUMBERS: (SAME, 0.8),
    NEAR_KEY: (SAME, 0.7), LINKED: (SAME, 0.5),
}


@dataclass(frozen=True)
class Decision:
    """Hold a person's answer to a case: `same`, `different` or `unsure`, who, when (ISO 8601) and why."""

    judgement: str
    by: str
    reason: str
    decided_at: str


def case_id(kind: str, keys: Iterable[str]) -> str:
    """Return a case's id: `case-` and 12 hex digits over its kind and keys."""
    text = "|".join([kind, *sorted(keys)])
    return f"case-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"


def cases(force: pl.DataFrame, found: Identities) -> pl.DataFrame:
    """Return every case (`SCHEMA`), by id: those in dispute and those whose decision is in force."""
    persons = force.filter(pl.col("rule") == PERSON).sort("decided_at", "id").to_dicts()
    decided = {str(row["case"]): row for row in persons}
    pairs = {str(row["subject"]): row for row in persons if row["right"] is not None}
    contradicted = set(force.filter(pl.col("rule") == CONTRADICTION)["subject"])
    doubted = {str(row["case"]) for row in persons if row["subject"] in contradicted}
    rows = {}
    for dispute in (*_of_keys(force), *_of_conflicts(found)):
        known = decided.get(dispute["id"])
        state = OPEN if known is None else DECIDED if _covered(dispute, known) else REOPENED
        if known is None and dispute["kind"] in (TWO_NUMBERS, NEAR_KEY, LINKED):
            known = pairs.get(pair(*(key["id"] for key in dispute["keys"])))  # decided when something else asked
            if known is not None and known["judgement"] == SAME:
                continue
            state = OPEN if known is None else REOPENED
        state = REOPENED if known and known["case"] in doubted else state
        judgement = known["judgement"] if known else None
        rows[dispute["id"]] = {**dispute, "state": state, "judgement": judgement}
    for case, row in decided.items():
        if case not in rows:
            told = json.loads(row["evidence"])
            rows[case] = {
                **_case(row["case_kind"], told["keys"], json.loads(row["parties"] or "[]"), told["covers"],
                        row["as_of"]),
                "id": case, "state": REOPENED if case in doubted else DECIDED, "judgement": row["judgement"],
            }
    return pl.DataFrame(list(rows.values()), schema=SCHEMA).sort("id")


def _covered(dispute: dict[str, Any], known: dict[str, Any]) -> bool:
    return set(dispute["covers"]) <= set(json.loads(known["evidence"])["covers"])


def sides(case: dict[str, Any]) -> list[dict[str, str]]:
    """Return the keys between which a case stands; a key that contradicts itself stands alone."""
    return list(json.loads(case["parties"] or "[]") if case["kind"] == SHARED else case["keys"])


def decision(
    case: dict[str, Any], answer: Decision, register_key: bytes, knows: Iterable[str] | None = None
) -> list[dict[str, Any]]:
    """Return the assertions that a person's answer to a case makes.

    A contested key told apart fixes its parties' ids; a key shared by others, or two keys, are judged pair by pair.
    `knows` is the evidence said under the `sides` when the person looked; what comes later may reopen the case.
    """
    told, keys = json.loads(case["parties"] or "[]"), list(case["keys"])
    more: dict[str, Any] = {
        "by": answer.by, "reason": answer.reason, "decided_at": answer.decided_at, "case": case["id"],
        "case_kind": case["kind"], "rule": PERSON,
        "evidence": json.dumps({"covers": sorted(case["covers"]), "keys": keys}, sort_keys=True),
    }
    key = keys[0]
    if case["kind"] in (CONTESTED, NOBODY):
        parties = [] if case["kind"] == NOBODY and answer.judgement == DIFFERENT else told
        ids = party_ids(key["id"], [one["party"] for one in parties], register_key)
        fixed = [{**one, "id": name} for one, name in zip(parties, ids, strict=True)]
        return [
            assertion(answer.judgement, key["id"], **more, **_ends(key), parties=json.dumps(fixed))
        ]
    ends = sides(case)
    more["parties"] = json.dumps(told)
    if knows is not None:
        seen = {"covers": sorted(case["covers"]), "keys": keys, "knows": sorted(set(knows))}
        more["evidence"] = json.dumps(seen, sort_keys=True)
    if answer.judgement == UNSURE or case["kind"] == LARGE:
        return [assertion(UNSURE, str(case["id"]), **more, **_ends(key, ends[-1]))]
    return [
        assertion(answer.judgement, pair(one["id"], other["id"]), **more, **_ends(one, other))
        for one, other in combinations(sorted(ends, key=lambda side: str(side["id"])), 2)
    ]


def _ends(left: dict[str, str], right: dict[str, str] | None = None) -> dict[str, Any]:
    ends = {"left": left["id"], "left_kind": left["kind"]}
    return ends if right is None else {**ends, "right": right["id"], "right_kind": right["kind"]}


def undone(entries: pl.DataFrame, case: str, answer: Decision) -> list[dict[str, Any]]:
    """Return the entries that take back every decision on a case that stands."""
    mine = entries.filter((pl.col("rule") == PERSON) & (pl.col("case") == case) & (pl.col("judgement") != UNDO))
    gone = entries.filter(pl.col("judgement") == UNDO)["undoes"]
    return [
        assertion(UNDO, row["subject"], PERSON, undoes=row["id"], case=case, by=answer.by, reason=answer.reason,
                  decided_at=answer.decided_at)
        for row in mine.filter(~pl.col("id").is_in(gone.implode())).unique("id").sort("id").iter_rows(named=True)
    ]


def of_pair(one: tuple[str, str], other: tuple[str, str], force: pl.DataFrame) -> dict[str, Any]:
    """Return the case of two keys (id, kind) that nobody asked about, for a person to decide all the same."""
    keys = [{"id": name, "kind": kind} for name, kind in (one, other)]
    ends = [one[0], other[0]]
    between = (pl.col("judgement") == SAME) & pl.col("left").is_in(ends) & pl.col("right").is_in(ends)
    covers = force.filter(between)["id"].to_list()
    return {**_case(TWO_KEYS, keys, [], covers, None), "state": OPEN, "judgement": None}


def _of_keys(force: pl.DataFrame) -> list[dict[str, Any]]:
    """Return what rules doubt: keys that contradict themselves, pairs that look like one party."""
    kinds = {CLASH: CONTESTED, PLACEHOLDER: NOBODY, ALIKE: TWO_NUMBERS, NEAR: NEAR_KEY}
    doubts = force.filter((pl.col("judgement") == UNSURE) & ~pl.col("rule").is_in([PERSON, CONTRADICTION]))
    alike = doubts.filter(pl.col("rule") == ALIKE)["subject"].implode()  # asks the same on more evidence
    found = []
    for row in doubts.filter((pl.col("rule") != NEAR) | ~pl.col("subject").is_in(alike)).iter_rows(named=True):
        told = json.loads(row["parties"] or "[]")
        kind = kinds.get(row["rule"], LINKED)
        covers = sorted({mark for one in told for mark in one["evidence"]}) or [row["id"]]
        keys = [{"id": row[side], "kind": row[f"{side}_kind"]} for side in ("left", "right") if row[side]]
        case = _case(kind, keys, told, [row["rule"]] if kind == LINKED else covers, row["as_of"])
        if kind == LINKED:
            case["confidence"] = json.loads(row["evidence"])["probability"]
        found.append(case)
    return found


def _of_conflicts(found: Identities) -> list[dict[str, Any]]:
    told: dict[tuple[str, ...], dict[str, Any]] = {}
    for one in found.conflicts:
        kept = told.setdefault((one["kind"], *(key["id"] for key in one["keys"])), {**one, "edges": []})
        kept["edges"] = sorted({*kept["edges"], *one["edges"]})
    rows = []
    for one in told.values():
        if one["kind"] == SHARED:
            covers = [party["id"] for party in one["parties"]]
            rows += [_case(SHARED, [key], one["parties"], covers, None) for key in one["keys"]]
        else:
            rows.append(_case(one["kind"], one["keys"], [], one["edges"], None))
    return rows


def _case(
    kind: str, keys: list[dict[str, str]], parties: list[Any], covers: list[str], as_of: object
) -> dict[str, Any]:
    suggestion, confidence = _SUGGESTIONS[kind]
    keys = sorted(keys, key=lambda key: key["id"])
    return {
        "id": case_id(kind, [key["id"] for key in keys]), "kind": kind, "keys": keys, "parties": json.dumps(parties),
        "covers": covers, "suggestion": suggestion, "confidence": confidence, "as_of": as_of,
    }
