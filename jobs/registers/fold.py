"""The fold: a register row is a pure function of all claims about its entity, whatever order they came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from jobs.contract import TypeSpec
from jobs.register import Register
from jobs.registers.claims import claim_schema, field_schema, moment
from jobs.sets.deduplication import fingerprint

ACTIVE, ENDED, CONTESTED, REMOVED = "active", "ended", "contested", "removed"

_ORIGIN = {"_dataset": pl.String, "_batch_id": pl.String, "_source_file": pl.String, "_source_row": pl.Int64}
HELD = pl.List(pl.Struct(_ORIGIN))


STATE: dict[str, Any] = {"_entity_id": pl.String, "_kind": pl.String, "_status": pl.String}

# Where the id map puts a claim, and whether it waits there.
PLACED: dict[str, Any] = {"_entity_id": pl.String, "_entity_kind": pl.String, "_waits": pl.Boolean}


def placed_schema(register: Register, types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Return the columns of claims that know their entity."""
    return {**claim_schema(register, types), **PLACED}


def register_schema(register: Register, types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Return a register row's columns: id, state, then each field with its source and as-of date."""
    fields: dict[str, Any] = {}
    for name, kind in field_schema(register, types).items():
        fields |= {name: kind, f"{name}_source": pl.String, f"{name}_as_of": moment(register)}
    if register.keyed:
        return {**STATE, "_standing_as_of": moment(register), **fields}
    return {**STATE, **fields, "_held": HELD, "_became": pl.String, "_fingerprint": pl.String}


def replaced_schema(register: Register, types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Return what is kept of a row that a version takes the place of: its state and values, without their origin."""
    return {"_entity_id": pl.String, "_status": pl.String, **field_schema(register, types)}


def replaced(changed: pl.DataFrame, current: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return what the current rows said of each changed one (`replaced_schema`); without status where there was none.

    One row for each changed row, so that whoever reads both finds every version with what it took the place of.
    """
    known = current.select(list(schema))
    return changed.select("_entity_id").join(known, on="_entity_id", how="left", maintain_order="left")


def fold(
    claims: pl.DataFrame, register: Register, types: Mapping[str, TypeSpec], feeders: Mapping[str, Sequence[str]]
) -> pl.DataFrame:
    """Return one row per entity of the claims (`placed_schema`).

    For every field the best claim wins: by the field's policy (source before date, or date before source), then as-of
    date, delivery date, value, dataset. `feeders` names the datasets that speak about each field, needed where a null
    clears. A claim that waits is held; an entity whose every claim is held is `contested` and has no values.
    """
    schema = register_schema(register, types)
    if claims.is_empty():
        return pl.DataFrame(schema=schema)
    kept = claims.filter(~pl.col("_waits"))
    rows = claims.group_by("_entity_id").agg(pl.col("_entity_kind").first().alias("_kind"))
    rows = rows.with_columns(pl.lit(None).alias("_became"))
    last = kept.filter(pl.col("_dataset").is_in(register.lead)).sort(
        "_as_of", "_delivered_on", "_withdrawn", descending=True
    )
    ended = last.unique("_entity_id", keep="first", maintain_order=True).select("_entity_id", "_withdrawn")
    rows = rows.join(ended, on="_entity_id", how="left").join(
        _held_rows(claims.filter(pl.col("_waits"))), on="_entity_id", how="left"
    )
    for name in register.fields:
        rows = rows.join(_best(kept, register, name, feeders.get(name, ())), on="_entity_id", how="left")
    alone = rows["_entity_id"].is_in(kept["_entity_id"].unique().implode()).not_()
    rows = rows.with_columns(
        pl.when(alone)
        .then(pl.lit(CONTESTED))
        .when(pl.col("_withdrawn").fill_null(False))
        .then(pl.lit(ENDED))
        .otherwise(pl.lit(ACTIVE))
        .alias("_status"),
        pl.col("_held").fill_null(pl.lit([], HELD)),
    )
    said = [name for name in schema if name not in ("_fingerprint", "_became")]
    rows = rows.with_columns(
        fingerprint(rows.with_columns(_held_text(rows)), said).alias("_fingerprint")
    )
    return rows.select(pl.col(name).cast(kind) for name, kind in schema.items()).sort("_entity_id")


def valid_on(claims: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return the claims that speak of a day or before: folding them gives what was so on that day."""
    return claims.filter(pl.col("_as_of") <= day)


def changes(
    claims: pl.DataFrame, current: pl.DataFrame, register: Register, types: Mapping[str, TypeSpec],
    feeders: Mapping[str, Sequence[str]],
) -> pl.DataFrame:
    """Return the rows of a refold that differ from the current ones; an entity without claims left is `removed`."""
    wanted = placed_schema(register, types)
    folded = fold(claims.select(list(wanted)), register, types, feeders)
    known = current.select("_entity_id", pl.col("_fingerprint").alias("_known"))
    changed = folded.join(known, on="_entity_id", how="left").filter(
        pl.col("_fingerprint").ne_missing(pl.col("_known"))
    )
    gone = current.filter(pl.col("_status") != REMOVED).join(folded, on="_entity_id", how="anti")
    schema = register_schema(register, types)
    emptied = gone.select(
        *[
            pl.col(name) if name in ("_entity_id", "_kind") else pl.lit(None, kind).alias(name)
            for name, kind in schema.items()
        ]
    ).with_columns(pl.lit(REMOVED).alias("_status"), pl.lit("").alias("_fingerprint"))
    return pl.concat([changed.select(list(schema)), emptied.select(list(schema))])


def living(rows: pl.DataFrame) -> dict[str, int]:
    """Return how many `entities` live of some register rows, how many claims are `held`, how many are `contested`."""
    alive = rows.filter(pl.col("_status") != REMOVED)
    held = alive["_held"].list.len().sum() if "_held" in rows.columns else 0
    contested = alive.filter(pl.col("_status") == CONTESTED).height
    return {"entities": alive.height, "held": int(held), "contested": contested}


def growth(changed: pl.DataFrame, current: pl.DataFrame) -> dict[str, int]:
    """Return by how much a register grows (`living`) when changed rows take the place of current ones."""
    before = living(current.join(changed, on="_entity_id", how="semi"))
    return {name: count - before[name] for name, count in living(changed).items()}


def _held_rows(claims: pl.DataFrame) -> pl.DataFrame:
    where = list(_ORIGIN)
    return (
        claims.sort(where)
        .group_by("_entity_id", maintain_order=True)
        .agg(pl.struct(where).alias("_held"))
    )


def _held_text(rows: pl.DataFrame) -> pl.Series:
    texts = ["|".join("·".join(map(str, one.values())) for one in found) for found in rows["_held"].to_list()]
    return pl.Series("_held", texts, pl.String)


def _best(claims: pl.DataFrame, register: Register, name: str, feeders: Sequence[str]) -> pl.DataFrame:
    """Return the winning value of one field per entity, with its source and as-of date."""
    field = register.fields[name]
    ranks = {dataset: rank for rank, dataset in enumerate(field.prefer)}
    speaking = pl.col(name).is_not_null()
    if field.null == "clears":
        speaking = speaking | pl.col("_dataset").is_in(list(feeders))
    found = claims.filter(speaking).select(
        "_entity_id", name, "_dataset", "_as_of", "_delivered_on",
        pl.col("_dataset").replace_strict(ranks, default=len(ranks), return_dtype=pl.Int32).alias("_rank")
        if ranks
        else pl.lit(0, pl.Int32).alias("_rank"),
    )
    by_date, by_source = [("_as_of", True), ("_delivered_on", True)], [("_rank", False)]
    order = by_source + by_date if field.policy == "preferred" else by_date + by_source
    order += [(name, True), ("_dataset", False)]
    best = found.sort(
        [column for column, _ in order], descending=[down for _, down in order], nulls_last=True
    ).unique("_entity_id", keep="first", maintain_order=True)
    return best.select(
        "_entity_id", name, pl.col("_dataset").alias(f"{name}_source"), pl.col("_as_of").alias(f"{name}_as_of")
    )
