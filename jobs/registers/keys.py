"""Entity ids: every key has one from birth, made from the key alone, holding nothing of it that can be read."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from jobs.contract import Contract, EntityLink
from jobs.rows.coarsening import pseudonyms

UNKEYED = "unkeyed"

# Kind of key that a field of each type gives. A credit code's identity is the organisation code inside it
# (GB 32100-2015, characters 9 to 17): the code changes when an office re-issues it, that part does not.
KEY_KINDS = {
    "resident_id": "resident_id",
    "credit_code": "organisation_code",
    "organisation_code": "organisation_code",
    "registration_number": "registration_number",
}


def keyed(rows: pl.DataFrame, contract: Contract, role: str) -> pl.DataFrame:
    """Return (`_kind`, `_key`) of the entity each row speaks about in one role; the first present key field wins.

    A row without any key is its own entity: kind `unkeyed`, key made of the dataset, the role and its row key, or
    the row's fingerprint where the row key is empty.
    """
    link = contract.entities[role]
    parts = [(KEY_KINDS[contract.fields[name].type], _key(contract, name)) for name in link.key]
    row_key = pl.concat_str(
        [pl.col(name).cast(pl.String).fill_null("") for name in contract.load.key] or [pl.lit("")], separator="|"
    )
    has_row_key = pl.any_horizontal([pl.col(name).is_not_null() for name in contract.load.key] or [pl.lit(False)])
    own = pl.concat_str(
        pl.lit(f"{contract.name}|{role}|"), pl.when(has_row_key).then(row_key).otherwise(pl.col("_fingerprint"))
    )
    kind = pl.coalesce(
        *[pl.when(key.is_not_null()).then(pl.lit(kind)) for kind, key in parts], pl.lit(UNKEYED)
    )
    return rows.select(kind.alias("_kind"), pl.coalesce(*[key for _, key in parts], own).alias("_key"))


def _key(contract: Contract, field: str) -> pl.Expr:
    if contract.fields[field].type == "credit_code":
        return pl.col(field).str.slice(8, 9)
    return pl.col(field)


def has_key(link: EntityLink) -> pl.Expr:
    """Return whether a row names its entity by any key field."""
    return pl.any_horizontal([pl.col(name).is_not_null() for name in link.key])


def entity_ids(kinds: pl.Series, keys: pl.Series, register_key: bytes) -> pl.Series:
    """Return `base32(HMAC-SM3(register key, "<kind>|<normalised key>")[:16])`, 26 characters, null for null."""
    ids = pl.Series("_entity_id", [None] * len(keys), pl.String)
    for kind in kinds.drop_nulls().unique().sort():
        ids = pseudonyms(keys, register_key, kind).zip_with(kinds == kind, ids)
    return ids.alias("_entity_id")


def ranges(ids: pl.Series, count: int) -> pl.Series:
    """Return which of `count` key ranges (a power of two up to 32) an id lies in; ranges follow the ids' order."""
    return (ids.str.slice(0, 1).replace_strict(_ORDER, return_dtype=pl.Int32) * count // 32).cast(pl.Int32)


_ALPHABET: Sequence[str] = "234567ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # RFC 4648 base32 in bytewise order
_ORDER = {character: place for place, character in enumerate(_ALPHABET)}
