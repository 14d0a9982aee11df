"""Assertions: what rules, models and persons say about keys; which of it is in force is a fold over all entries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

SAME, DIFFERENT, UNSURE, UNDO = "same", "different", "unsure", "undo"
JUDGEMENTS = (SAME, DIFFERENT, UNSURE)

ARITHMETIC, CO_OCCURRENCE = "arithmetic@1", "co_occurrence@1"
CLASH, PLACEHOLDER, ALIKE, NEAR = "clash@2", "placeholder@1", "alike@1", "near@1"
CONTRADICTION = "contradiction@1"
PERSON = "person"
# Found anew every time, from the claims; a contradiction from them and the decisions.
OWN_RULES = (ARITHMETIC, CO_OCCURRENCE, CLASH, PLACEHOLDER, ALIKE, NEAR, CONTRADICTION)

# `subject` is the key under which a rule found it, or what a person decided on: a key, or two joined by "+".
# `evidence` and `parties` are JSON of ids and keyed fingerprints, never of values.
SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "judgement": pl.String,
    "subject": pl.String,
    "left": pl.String,
    "left_kind": pl.String,
    "right": pl.String,
    "right_kind": pl.String,
    "parties": pl.String,
    "evidence": pl.String,
    "rule": pl.String,
    "by": pl.String,
    "reason": pl.String,
    "case": pl.String,
    "case_kind": pl.String,
    "as_of": pl.Date,
    "decided_at": pl.String,
    "undoes": pl.String,
    "batch": pl.String,
}
_CONTENT = ("judgement", "subject", "left", "right", "evidence", "parties", "rule", "by", "reason", "case",
            "decided_at", "undoes")


def assertion(judgement: str, subject: str, rule: str, **more: Any) -> dict[str, Any]:
    """Return one assertion as a row of `SCHEMA`; its id is a hash of its content, whatever commit it enters in."""
    row: dict[str, Any] = {**dict.fromkeys(SCHEMA), "judgement": judgement, "subject": subject, "rule": rule, **more}
    row["id"] = assertion_id(row)
    return row


def assertion_id(row: Mapping[str, Any]) -> str:
    """Return 32 hex digits over what an assertion says."""
    text = json.dumps([row[name] for name in _CONTENT], ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def frame(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return assertions as a frame, each id once, by id."""
    return pl.DataFrame(list(rows), schema=SCHEMA).unique("id", keep="any").sort("id")


def pair(one: str, other: str) -> str:
    """Return the subject of an assertion about two keys, whichever is named first."""
    return "+".join(sorted((one, other)))


def in_force(entries: pl.DataFrame) -> pl.DataFrame:
    """Return the assertions in force of a ledger's entries (`SCHEMA` and `_commit`).

    What a rule found counts until a later commit takes it back; the last entry of an id says its as-of date and batch.
    What was handed in (by a person or a model) counts unless some entry undoes it, in whatever order both came. Of
    several answers to one case, and of several decisions on one pair or key, the latest counts, by time of decision.
    """
    ruled = pl.col("rule").is_in(OWN_RULES)
    target = pl.coalesce(pl.when(pl.col("judgement") == UNDO).then(pl.col("undoes")), pl.col("id"))
    found = entries.filter(ruled).with_columns(target.alias("_target"))
    found = found.sort("_commit").unique("_target", keep="last", maintain_order=True)
    found = found.filter(pl.col("judgement") != UNDO).select(list(SCHEMA))
    handed = entries.filter(~ruled)
    undone = handed.filter(pl.col("judgement") == UNDO)["undoes"]
    handed = handed.filter((pl.col("judgement") != UNDO) & ~pl.col("id").is_in(undone.implode())).unique("id")
    decided = handed.filter(pl.col("rule") == PERSON)
    last = decided.sort("decided_at", "by", "judgement").unique("case", keep="last", maintain_order=True)
    decided = decided.join(last, on=["case", "decided_at", "by", "judgement"], how="semi")  # an answer may be several
    decided = decided.sort("decided_at", "id").unique("subject", keep="last", maintain_order=True)
    models = handed.filter(pl.col("rule") != PERSON)
    return pl.concat([part.select(list(SCHEMA)) for part in (found, decided, models)]).sort("id")


def taken_back(row: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return the entry that takes an assertion back."""
    return assertion(UNDO, str(row["subject"]), str(row["rule"]), undoes=row["id"], **more)


@dataclass(frozen=True)
class Ruling:
    """Hold a person's decision on one key: the parties it tells apart or joins, each with the evidence it consists of.

    A `different` without parties says that the key stands for nobody.
    """

    judgement: str
    parties: tuple[tuple[str, frozenset[str]], ...]

    @property
    def covered(self) -> frozenset[str]:
        """Return all evidence the decision knew."""
        return frozenset().union(*(evidence for _, evidence in self.parties))


def rulings(force: pl.DataFrame) -> dict[str, Ruling]:
    """Return key id → the decision in force on it."""
    decided = force.filter((pl.col("rule") == PERSON) & pl.col("right").is_null())
    return {
        str(subject): Ruling(str(judgement), tuple(
            (str(party["id"]), frozenset(party["evidence"])) for party in json.loads(parties or "[]")
        ))
        for subject, judgement, parties in decided.select("subject", "judgement", "parties").iter_rows()
    }


def parties_of(entries: pl.DataFrame) -> pl.Series:
    """Return the ids of every party that a decision ever told apart."""
    decided = entries.filter((pl.col("rule") == PERSON) & (pl.col("judgement") == DIFFERENT))["parties"].drop_nulls()
    ids = [one["id"] for told in decided for one in json.loads(told) if "party" in one]
    return pl.Series("id", sorted(set(ids)), pl.String)


def difference(force: pl.DataFrame, wanted: pl.DataFrame, touched: pl.Series) -> pl.DataFrame:
    """Return the entries that bring what rules found under touched keys to what they find now.

    A new or newly dated assertion enters; one whose evidence is gone is taken back.
    """
    mine = force.filter(pl.col("rule").is_in(OWN_RULES) & pl.col("subject").is_in(touched.implode()))
    known = mine.select("id", _known_as_of="as_of", _known_batch="batch", _known=pl.lit(value=True))
    compared = wanted.join(known, on="id", how="left")
    changed = pl.col("as_of").ne_missing(pl.col("_known_as_of")) | pl.col("batch").ne_missing(pl.col("_known_batch"))
    fresh = compared.filter(pl.col("_known").is_null() | changed).select(list(SCHEMA))
    gone = mine.join(wanted, on="id", how="anti")
    return pl.concat([fresh, frame(taken_back(row) for row in gone.iter_rows(named=True))])
