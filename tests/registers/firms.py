"""A small register of firms, its claims written in few letters, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import polars as pl

from jobs.contract import TypeSpec
from jobs.register import Register
from jobs.registers.assertions import frame
from jobs.registers.cases import Decision, decision
from jobs.registers.claims import claim_schema, compared, mark
from jobs.registers.keys import kind_ranks
from jobs.registers.naming import sounding
from jobs.registers.nearness import MARKS, TRACE
from jobs.registers.resolution import Resolution, resolved

LEAD, OTHER, THIRD = "market/register", "tax/payers", "labour/employers"
KEY = b"k" * 32
TITLE = {"en": "x", "zh": "x"}
FIELDS = {"name": "organisation_name", "established_on": "date", "representative": "person_name", "phone": "text"}
TYPES = {
    name: TypeSpec.model_validate(
        {"name": name, "title": TITLE, "storage": "date" if name == "date" else "text", "class": "ordinary", "grade": 1}
    )
    for name in sorted({*FIELDS.values()})
}
FIRM = Register.model_validate(
    {
        "name": "firm", "title": TITLE, "description": TITLE, "lead": [LEAD], "most_keys": 6,
        "kinds": ["organisation_code", "credit_code", "registration_number", "taxpayer_number"],
        "fields": {name: {"type": kind, "title": TITLE} for name, kind in FIELDS.items()},
        "clash": {
            "name": "name", "other": ["established_on"], "changing": ["representative"], "most_parties": 3,
            "alike": [["name", "established_on", "phone"]],
        },
    }
)
KINDS = {"A": "organisation_code", "C": "credit_code", "R": "registration_number", "T": "taxpayer_number"}
RANKS = kind_ranks(FIRM)
RED, BLUE, GREEN = "红星机械制造厂", "蓝天餐饮管理中心", "绿洲软件开发公司"


def claim(keys: str, source: str = OTHER, batch: str = "b1", day: int = 1, **said: Any) -> dict[str, Any]:
    """A claim whose keys are written `A2 R3`: a kind's letter and a number; both make the id."""
    ids = sorted(keys.split(), key=lambda key: RANKS[KINDS[key[0]]])
    row = {
        **dict.fromkeys(claim_schema(FIRM, TYPES)), "_key_id": ids[0], "_kind": KINDS[ids[0][0]],
        "_keys": [{"kind": KINDS[key[0]], "id": key} for key in ids], "_dataset": source, "_role": "firm",
        "_batch_id": batch, "_source_file": "f", "_source_row": day, "_as_of": date(2026, 1, day),
        "_delivered_on": date(2026, 2, 1), "_withdrawn": False, **said,
    }
    whole = [key for key in ids if key[0] == "C"]
    row["_evidence"] = mark([*[said.get(name) for name in compared(FIRM)], *whole], KEY)
    facts = [said.get(name) for name in FIRM.clash.alike[0]]
    row["_alike"] = [] if None in facts else [mark(facts, KEY)]
    return row


def firms(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=claim_schema(FIRM, TYPES))


@cache
def sound(name: str) -> str:
    return str(sounding(pl.Series([name]), "organisation_name")[0])


def marks(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """The index of marks: the organisation codes A2 and A3 are near to each other, A4 is near to none."""
    near = {(sound(row["name"]), row["_key_id"]) for row in rows if row["name"] and row["_key_id"] in ("A2", "A3")}
    return pl.DataFrame([(*one, "A" * TRACE) for one in sorted(near)], schema=MARKS, orient="row")


def resolve(*rows: dict[str, Any], handed: Sequence[dict[str, Any]] = ()) -> Resolution:
    return resolved(firms(rows), frame(handed), FIRM, marks(rows))


def entities(found: Resolution) -> dict[str, list[int]]:
    """Entity → the days of the claims that count for it."""
    kept = found.placed.filter(~pl.col("_waits"))
    return {
        key: sorted(days) for key, days in kept.group_by("_entity_id").agg(pl.col("_source_row")).sort(
            "_entity_id").iter_rows()
    }


def state_of(found: Resolution, key: str) -> tuple[str, list[str]]:
    rows = found.identities.map.filter(pl.col("id") == key)
    state, parties = rows.select("state", "parties").row(0) if rows.height else ("active", None)
    return state, parties or []


def answer(judgement: str, day: int = 1) -> Decision:
    return Decision(judgement, "a steward", "looked at the files", f"2026-03-{day:02d}T08:00:00Z")


def decided(found: Resolution, judgement: str, kind: str | None = None, day: int = 1) -> list[dict[str, Any]]:
    """A person's decision, in knowledge of everything that was said by then."""
    rows = found.cases if kind is None else found.cases.filter(pl.col("kind") == kind)
    return decision(rows.row(0, named=True), answer(judgement, day), KEY, found.placed["_evidence"])


def kinds_of(found: Resolution) -> list[tuple[str, str]]:
    return sorted(found.cases.select("kind", "state").rows())
