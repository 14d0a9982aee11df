"""Linked: what a frozen model says of records without a key, as assertions that a person's decision overrides."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from jobs.register import Register
from jobs.registers.assertions import SAME, UNSURE, assertion, frame, pair, taken_back
from jobs.registers.claims import compared
from jobs.registers.clashes import Said, clashing
from jobs.registers.judging import spelled, statements

LINKED = "linked:"  # a rule is this and the model's fingerprint
PLACES = 4  # of a probability as kept


def linked(
    pairs: pl.DataFrame, records: pl.DataFrame, register: Register, model: str, high: float, decided_at: str,
    weights: Mapping[tuple[str, str], Sequence[tuple[str, float]]] | None = None,
) -> pl.DataFrame:
    """Return what pairs of records (`left`, `right`, `probability`) come to: an edge from `high` on, else a case.

    A pair that contradicts itself is a case however alike it looks. `records` have `_entity_id`, `_kind` and the
    register's fields, one row each. `weights` says of a pair what each step adds to its weight, in bits; a case keeps
    it as evidence: labels name columns, never a cell.
    """
    ends = pl.concat([pairs["left"], pairs["right"]]).implode()
    said = _said(records.filter(pl.col("_entity_id").is_in(ends)), register)
    kinds = dict(records.select("_entity_id", "_kind").iter_rows())
    found = []
    for left, right, chance in pairs.sort("left", "right").select("left", "right", "probability").iter_rows():
        against = clashing(said[left], said[right])
        sure = chance >= high and not against
        told = {} if sure or not weights else {"weights": [list(step) for step in weights.get((left, right), ())]}
        found.append(assertion(
            SAME if sure else UNSURE, pair(left, right), f"{LINKED}{model}",
            left=left, left_kind=kinds[left], right=right, right_kind=kinds[right], decided_at=decided_at,
            evidence=json.dumps(
                {"probability": round(chance, PLACES), "contradicts": against, **told}, ensure_ascii=False,
                sort_keys=True),
        ))
    return frame(found)


def handing_in(force: pl.DataFrame, found: pl.DataFrame, decided_at: str) -> list[dict[str, Any]]:
    """Return what must be handed in to bring the models' assertions in force to those found now.

    What says the same as one in force stays; what is found no more, or weighed otherwise, is taken back.
    """
    said = ["subject", "judgement", "rule", "evidence"]
    known = force.filter(pl.col("rule").str.starts_with(LINKED))
    fresh = found.join(known, on=said, how="anti")
    gone = known.join(found, on=said, how="anti")
    back = [taken_back(row, decided_at=decided_at) for row in gone.iter_rows(named=True)]
    return [*fresh.iter_rows(named=True), *back]


def _said(records: pl.DataFrame, register: Register) -> dict[str, Said]:
    """Return what each record says, as claims under a key say it."""
    rows = records.select(
        "_entity_id", *compared(register), _evidence=pl.col("_entity_id"), _dataset=pl.lit(""),
        _as_of=pl.lit(date.min), _delivered_on=pl.lit(date.min),
        _keys=pl.lit([], pl.List(pl.Struct({"kind": pl.String, "id": pl.String}))),
    )
    return {one.evidence: one for one in statements(rows, register, spelled(rows, register))}
