"""Judging: which claims of a key stay with it, go to a party of their own, or wait, and what that asserts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from jobs.register import Register
from jobs.registers.assertions import (
    ARITHMETIC,
    CLASH,
    CO_OCCURRENCE,
    DIFFERENT,
    PLACEHOLDER,
    SAME,
    SCHEMA,
    UNSURE,
    Ruling,
    assertion,
    frame,
)
from jobs.registers.claims import compared
from jobs.registers.clashes import Party, Said, clashing, fingerprint_of, parties
from jobs.registers.keys import PARTS
from jobs.registers.naming import NAMES, Spelling, spellings

Rulings = Mapping[str, Ruling]
_WHOLE = next(iter(PARTS))  # the kind of key that leads by arithmetic to a better one


@dataclass
class Verdict:
    """Say of one key: where each statement goes (None: it waits), and what is still in dispute."""

    homes: dict[tuple[str, bool], str | None] = field(default_factory=dict)
    disputed: list[Party] = field(default_factory=list)
    anchored: bool = False
    placeholder: bool = False


def judge(claims: pl.DataFrame, register: Register, rulings: Rulings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the claims with `_node` (the key, or a party of it) and `_waits`, and what a rule asserts of clashes.

    All claims of each key must be present. A key is looked at closely only where its claims differ in what could
    contradict. The answer depends on the claims and the decisions alone.
    """
    doubtful = claims.join(_suspects(claims, register, rulings), on="_key_id", how="semi")
    names = spelled(doubtful, register)
    homes: list[tuple[str, str, bool, str, bool]] = []
    disputes: list[dict[str, Any]] = []
    for (key_id,), rows in doubtful.group_by(["_key_id"], maintain_order=True):
        key = str(key_id)
        verdict = decide(key, statements(rows, register, names), register.clash.most_parties, rulings.get(key))
        homes += [
            (key, evidence, lead, home or key, home is None) for (evidence, lead), home in verdict.homes.items()
        ]
        if verdict.disputed:
            disputes.append(_dispute(key, str(rows["_kind"][0]), verdict))
    table = pl.DataFrame(
        homes, orient="row",
        schema={"_key_id": pl.String, "_evidence": pl.String, "_lead": pl.Boolean, "_node": pl.String,
                "_waits": pl.Boolean},
    )
    lead = pl.col("_dataset").is_in(register.lead).alias("_lead")
    placed = claims.with_columns(lead).join(
        table, on=["_key_id", "_evidence", "_lead"], how="left", maintain_order="left"
    )
    return placed.drop("_lead").with_columns(
        pl.coalesce("_node", "_key_id"), pl.col("_waits").fill_null(value=False)
    ), frame(disputes)


def edges(judged: pl.DataFrame) -> pl.DataFrame:
    """Return what the rows of judged claims assert of keys: that those written in one row are one entity's.

    The best key of a row is joined to each other one, per source; a row that waits joins nothing.
    """
    several = judged.filter(~pl.col("_waits") & (pl.col("_keys").list.len() > 1))
    pairs = (
        several.select("_node", "_key_id", "_kind", "_dataset", "_as_of", "_batch_id", pl.col("_keys").list.slice(1))
        .explode("_keys")
        .with_columns(pl.col("_keys").struct.field("kind").alias("right_kind"),
                      pl.col("_keys").struct.field("id").alias("right"))
        .filter(pl.col("right") != pl.col("_key_id"))
    )
    arithmetic = (pl.col("right_kind") == _WHOLE) & (pl.col("_kind") == PARTS[_WHOLE][0])
    found = (
        pairs.with_columns(
            pl.when(arithmetic).then(pl.lit(ARITHMETIC)).otherwise(pl.lit(CO_OCCURRENCE)).alias("rule"),
            pl.when(~arithmetic).then("_dataset").alias("source"),
        )
        .sort("_as_of", "_batch_id")
        .group_by("_node", "_key_id", "_kind", "right", "right_kind", "rule", "source", maintain_order=True)
        .agg(pl.col("_as_of").first(), pl.col("_batch_id").first())
    )
    return frame(
        assertion(
            SAME, row["_key_id"], row["rule"], left=row["_node"], left_kind=row["_kind"], right=row["right"],
            right_kind=row["right_kind"], as_of=row["_as_of"], batch=row["_batch_id"],
            evidence=json.dumps({row["_kind"]: row["_node"], row["right_kind"]: row["right"],
                                 **({"source": row["source"]} if row["source"] else {})}),
        )
        for row in found.iter_rows(named=True)
    ) if found.height else pl.DataFrame(schema=SCHEMA)


def decide(key: str, said: list[Said], most: int, ruling: Ruling | None) -> Verdict:
    """Return the verdict on one key from what is said under it and the decision in force, if any."""
    if ruling is not None and ruling.judgement == DIFFERENT:
        return _told_apart(said, most, ruling)
    if ruling is not None and ruling.judgement == SAME:
        known = [one for one in said if one.evidence in ruling.covered]
        if known:
            return _joined(key, said, most, known)
    found, left = parties(said, most)
    if len(found) <= 1:
        return Verdict({_mark(one): key for one in said})
    anchored = found[0][0].lead and len(found) <= most
    verdict = Verdict({_mark(one): None for one in said}, found, anchored, placeholder=len(found) > most)
    if anchored:
        verdict.homes |= {_mark(one): key for one in (*found[0], *left)}
    return verdict


def _joined(key: str, said: list[Said], most: int, known: Party) -> Verdict:
    """Return the verdict on a key whose parties a person found to be one: only what contradicts all of it waits."""
    homes: dict[tuple[str, bool], str | None] = {}
    strangers: Party = []
    for one in said:
        welcome = one.silent or one in known or any(not clashing(one, member) for member in known)
        homes[_mark(one)] = key if welcome else None
        strangers += [] if welcome else [one]
    disputed = [known, *parties(strangers, most)[0]] if strangers else []
    return Verdict(homes, disputed, anchored=True)


def _told_apart(said: list[Said], most: int, ruling: Ruling) -> Verdict:
    """Return the verdict on a key whose parties a person told apart: who agrees with exactly one goes there."""
    members = {party: [one for one in said if one.evidence in evidence] for party, evidence in ruling.parties}
    homes: dict[tuple[str, bool], str | None] = {}
    strangers: Party = []
    for one in said:
        listed = [party for party, evidence in ruling.parties if one.evidence in evidence]
        agreeing = listed or [
            party for party, known in members.items()
            if not one.silent and any(not clashing(one, member) for member in known)
        ]
        homes[_mark(one)] = agreeing[0] if len(agreeing) == 1 else None
        strangers += [] if len(agreeing) == 1 or one.silent or not ruling.parties else [one]
    disputed = parties(strangers, most)[0] if strangers else []
    return Verdict(homes, disputed)


def _dispute(key: str, kind: str, verdict: Verdict) -> dict[str, Any]:
    """Return the assertion that a key is in dispute, with its parties by fingerprint."""
    told = [
        {"party": fingerprint_of(party), "evidence": sorted({one.evidence for one in party}),
         "lead": any(one.lead for one in party)}
        for party in verdict.disputed
    ]
    begun = sorted(min(one.since for one in party) for party in verdict.disputed)
    return assertion(
        UNSURE, key, PLACEHOLDER if verdict.placeholder else CLASH, left=key, left_kind=kind,
        parties=json.dumps(told), evidence=json.dumps({"anchored": verdict.anchored}),
        as_of=begun[min(1, len(begun) - 1)],
    )


def _mark(one: Said) -> tuple[str, bool]:
    return one.evidence, one.lead


def _suspects(claims: pl.DataFrame, register: Register, rulings: Rulings) -> pl.DataFrame:
    """Return the keys whose claims differ enough to be looked at, and those a person has decided on."""
    clash = register.clash
    several = [pl.col(name).drop_nulls().n_unique() > 1 for name in (clash.name, *clash.other, *clash.changing)]
    names, facts = several[0], pl.sum_horizontal(several[1:])
    whole = pl.element().struct.field("kind") == _WHOLE
    codes = pl.col("_keys").list.eval(pl.element().filter(whole).struct.field("id")).list.first().alias("_whole")
    found = (
        claims.with_columns(codes)
        .group_by("_key_id")
        .agg((names | (facts > 1) | (pl.col("_whole").drop_nulls().n_unique() > 1)).alias("_doubt"))
    )
    return found.filter(pl.col("_doubt") | pl.col("_key_id").is_in(list(rulings))).select("_key_id")


def spelled(rows: pl.DataFrame, register: Register) -> dict[str, dict[str, Spelling]]:
    """Return field → name → how it is compared, for the fields that hold names."""
    clash = register.clash
    kinds = {name: register.fields[name].type for name in compared(register)}
    wanted = [name for name, kind in kinds.items() if kind in NAMES or name in (clash.name, clash.former)]
    return {name: spellings(rows[name].drop_nulls().unique().to_list(), kinds[name]) for name in wanted}


def statements(rows: pl.DataFrame, register: Register, names: Mapping[str, Mapping[str, Spelling]]) -> list[Said]:
    """Return what the claims of one key say, each statement once per kind of source (lead or not)."""
    clash = register.clash
    said: dict[tuple[str, bool], Said] = {}
    ordered = rows.with_columns(pl.coalesce("_as_of", "_delivered_on", pl.lit(date.min)).alias("_since"))
    for row in ordered.select(
        "_evidence", "_dataset", "_since", "_keys", *compared(register)
    ).iter_rows(named=True):
        lead = row["_dataset"] in register.lead
        keys = frozenset(one["id"] for one in row["_keys"][1:] if one["kind"] != _WHOLE)
        codes = frozenset(one["id"] for one in row["_keys"] if one["kind"] == _WHOLE)
        known = said.get((row["_evidence"], lead))
        told: dict[str, Any] = {
            name: names[name].get(row[name]) if name in names else row[name] for name in compared(register)
        }
        named = tuple(
            told[name] for name in (clash.name, clash.former) if name and isinstance(told[name], Spelling)
        )
        said[row["_evidence"], lead] = Said(
            row["_evidence"], named if told[clash.name] is not None else (),
            tuple(told[name] for name in clash.other), tuple(told[name] for name in clash.changing), lead,
            min(row["_since"], known.since) if known else row["_since"], codes,
            keys | known.keys if known else keys,
        )
    return list(said.values())
