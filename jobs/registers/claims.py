"""Claims: what one accepted row of a dataset says about one entity of a register."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from jobs.contract import Contract, Register, TypeSpec
from jobs.registers.keys import entity_ids, has_key, keyed, ranges
from jobs.rows.casting import storage_type

RANGES = 8

ORIGIN: dict[str, Any] = {
    "_entity_id": pl.String,
    "_range": pl.Int32,
    "_kind": pl.String,
    "_dataset": pl.String,
    "_role": pl.String,
    "_batch_id": pl.String,
    "_source_file": pl.String,
    "_source_row": pl.Int64,
    "_as_of": pl.Date,
    "_delivered_on": pl.Date,
    "_withdrawn": pl.Boolean,
}


def field_schema(register: Register, types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Return the register's fields with their stored types; an amount of money is in yuan."""
    return {name: storage_type(field.type, types) for name, field in register.fields.items()}


def claim_schema(register: Register, types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Return a claim's columns: where it comes from, then the register's fields."""
    return {**ORIGIN, **field_schema(register, types)}


def claims(
    rows: pl.DataFrame, contract: Contract, register: Register, types: Mapping[str, TypeSpec], register_key: bytes
) -> pl.DataFrame:
    """Return the claims of silver rows on one register: one per row and role, equal claims of a batch once.

    A row that neither names the entity by a key nor says anything about it makes no claim. Claims that say the same
    of the same entity on the same date count once, with the first file and row, so that a person insured five ways
    is not five witnesses.
    """
    wanted = claim_schema(register, types)
    found = []
    for role, link in contract.entities.items():
        if link.register_ != register.name:
            continue
        says = pl.any_horizontal([pl.col(field).is_not_null() for field in link.fields.values()] or [pl.lit(False)])
        speaking = rows.filter(has_key(link) | says)
        subject = keyed(speaking, contract, role)
        ids = entity_ids(subject["_kind"], subject["_key"], register_key)
        as_of = pl.col(contract.load.as_of).cast(pl.Date) if contract.load.as_of else pl.lit(None, pl.Date)
        leads = contract.name in register.lead
        found.append(
            speaking.select(
                ids.alias("_entity_id"),
                ranges(ids, RANGES).alias("_range"),
                subject["_kind"],
                pl.lit(contract.name).alias("_dataset"),
                pl.lit(role).alias("_role"),
                "_batch_id",
                "_source_file",
                "_source_row",
                pl.coalesce(as_of, "_data_date").alias("_as_of"),
                pl.col("_data_date").alias("_delivered_on"),
                (pl.col("_deleted") & pl.lit(leads)).alias("_withdrawn"),
                *[
                    (_said(speaking, link.fields[name]) if name in link.fields else pl.lit(None)).cast(kind).alias(name)
                    for name, kind in field_schema(register, types).items()
                ],
            )
        )
    if not found:
        return pl.DataFrame(schema=wanted)
    said = [c for c in wanted if c not in ("_source_file", "_source_row")]
    return (
        pl.concat(found)
        .sort("_source_file", "_source_row")
        .unique(said, keep="first", maintain_order=True)
        .select(pl.col(name).cast(kind) for name, kind in wanted.items())
    )


def _said(rows: pl.DataFrame, field: str) -> pl.Expr:
    """Return what a row says of a field; an amount in another currency is not said in yuan, so it is no claim."""
    if f"{field}_currency" in rows.columns:
        return pl.when(pl.col(f"{field}_currency") == "CNY").then(pl.col(field))
    return pl.col(field)
