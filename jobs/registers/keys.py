"""Entity ids: every key has one from birth, made from the key alone, holding nothing of it that can be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from jobs.contract import Contract, EntityLink
from jobs.register import Register
from jobs.rows.identifiers import birth_date, sex
from jobs.rows.identifiers.characters import matrix
from jobs.rows.pseudonymisation import pseudonyms

UNKEYED = "unkeyed"

# What a field's type gives besides a key of its own kind. A credit code's identity is the organisation code inside it
# (GB 32100-2015, characters 9 to 17): the code changes when an office re-issues it, that part does not. The whole code
# is a key of a lower kind that leads to it.
PARTS = {"credit_code": ("organisation_code", 8, 9)}

KEYS = pl.List(pl.Struct({"kind": pl.String, "id": pl.String}))


def kind_ranks(register: Register) -> dict[str, int]:
    """Return kind → rank, best 0; a row without a key comes last."""
    return {kind: rank for rank, kind in enumerate((*register.kinds, UNKEYED))}


def keys_in(contract: Contract, role: str, register: Register) -> list[tuple[str, pl.Expr]]:
    """Return the kind and text of every key by which rows may name their entity, best kind first."""
    ranks = kind_ranks(register)
    found: list[tuple[str, pl.Expr]] = []
    for name in contract.entities[role].key:
        kind = contract.fields[name].type
        if kind in PARTS:
            part, start, length = PARTS[kind]
            found.append((part, pl.col(name).str.slice(start, length)))
        if kind in ranks:
            found.append((kind, pl.col(name)))
    return sorted(found, key=lambda one: ranks.get(one[0], len(ranks)))


def identified(
    rows: pl.DataFrame, contract: Contract, role: str, register: Register, register_key: bytes
) -> pl.DataFrame:
    """Return (`_key_id`, `_kind`, `_keys`) of the entity each row speaks about in one role.

    `_keys` holds every key of the row, best kind first; `_key_id` and `_kind` are the first one's. A row without any
    key is its own entity: kind `unkeyed`, key made of the dataset, the role and its row key, or the row's fingerprint
    where the row key is empty.
    """
    link = contract.entities[role]
    found = keys_in(contract, role, register)
    present = pl.any_horizontal([pl.col(name).is_not_null() for name in link.key])
    found.append((UNKEYED, pl.when(~present).then(_own(contract, role))))
    texts = rows.select(key.alias(str(at)) for at, (_, key) in enumerate(found))
    ids = [pseudonyms(texts[str(at)], register_key, kind) for at, (kind, _) in enumerate(found)]
    named = list(zip([kind for kind, _ in found], ids, strict=True))
    kinds = [pl.when(pl.col(one.name).is_not_null()).then(pl.lit(kind)) for kind, one in named]
    first = pl.DataFrame(ids).select(pl.coalesce(pl.all()).alias("_key_id"), pl.coalesce(kinds).alias("_kind"))
    return first if register.keyed else first.with_columns(_listed(named).alias("_keys"))


def _listed(named: Sequence[tuple[str, pl.Series]]) -> pl.Series:
    """Return the keys of each row that are not null as one list (`KEYS`), in the order given."""
    rows = pl.int_range(len(named[0][1]), eager=True).alias("row")
    parts = (pl.DataFrame([rows, ids.alias("id")]).with_columns(pl.lit(kind).alias("kind")) for kind, ids in named)
    every = pl.concat(parts).drop_nulls("id").sort("row", maintain_order=True)
    counts = rows.to_frame().join(every.group_by("row").len(), on="row", how="left", maintain_order="left")["len"]
    ends = np.concatenate([[0], counts.fill_null(0).cum_sum().to_numpy()])
    keys = every.select(pl.struct("kind", "id").alias("key"))["key"].to_arrow()
    return pl.Series("_keys", pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), keys)).cast(KEYS)


def _own(contract: Contract, role: str) -> pl.Expr:
    row_key = pl.concat_str(
        [pl.col(name).cast(pl.String).fill_null("") for name in contract.load.key] or [pl.lit("")], separator="|"
    )
    has_row_key = pl.any_horizontal([pl.col(name).is_not_null() for name in contract.load.key] or [pl.lit(False)])
    return pl.concat_str(
        pl.lit(f"{contract.name}|{role}|"), pl.when(has_row_key).then(row_key).otherwise(pl.col("_fingerprint"))
    )


def has_key(link: EntityLink) -> pl.Expr:
    """Return whether a row names its entity by any key field."""
    return pl.any_horizontal([pl.col(name).is_not_null() for name in link.key])


def told_by(numbers: pl.Series, what: str) -> pl.Series:
    """Return what citizen ID numbers of 18 characters say of themselves, null for null (GB 11643).

    `birth_date` (Date); `sex_code`: 1 male, 2 female (GB/T 2261.1, text); `division_code`: where it was first issued.
    """
    if what == "birth_date":
        return birth_date(numbers)
    if what == "sex_code":
        return sex(numbers).replace_strict(_SEX_CODES, default=None, return_dtype=pl.String)
    return numbers.str.slice(0, 6)


_SEX_CODES = {"male": "1", "female": "2"}


def entity_ids(kinds: pl.Series, keys: pl.Series, register_key: bytes) -> pl.Series:
    """Return `base32(HMAC-SM3(register key, "<kind>|<normalised key>")[:16])`, 26 characters, null for null."""
    ids = pl.Series("_entity_id", [None] * len(keys), pl.String)
    for kind in kinds.drop_nulls().unique().sort():
        ids = pseudonyms(keys, register_key, kind).zip_with(kinds == kind, ids)
    return ids.alias("_entity_id")


def party_ids(key_id: str, parties: Sequence[str], register_key: bytes) -> list[str]:
    """Return the ids of the parties that a decision tells apart under one key, from their fingerprints."""
    texts = pl.Series("party", [f"{key_id}|{party}" for party in parties], pl.String)
    return pseudonyms(texts, register_key, "party").to_list()


def places(ids: pl.Series) -> pl.Series:
    """Return whole numbers (Int64) in the order of ids, from their first 12 characters; nulls where some are no ids.

    They are sorted faster than ids; where they are equal nothing is said of the ids. Marks of near keys are ids, too.
    """
    begun = ids.str.slice(0, PLACE_LENGTH)
    whole = (begun.str.len_bytes() == PLACE_LENGTH).fill_null(value=False)
    if not whole.all():
        return pl.Series("place", [None] * len(ids), pl.Int64)
    letters = matrix(begun, PLACE_LENGTH)
    found = np.zeros(len(ids), dtype=np.int64)
    for at in range(PLACE_LENGTH):
        found = (found << 5) | _NUMBERS[letters[:, at]]
    nothing = (found < 0).any()  # -1 has every bit, whatever comes after it
    return pl.Series("place", [None] * len(ids), pl.Int64) if nothing else pl.Series("place", found)


ID_LENGTH, PLACE_LENGTH = 26, 12  # characters of five bits each
ALPHABET = "234567ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # RFC 4648 base32 in bytewise order
_NUMBERS = np.full(256, -1, dtype=np.int64)
_NUMBERS[np.frombuffer(ALPHABET.encode(), dtype=np.uint8)] = np.arange(len(ALPHABET))
