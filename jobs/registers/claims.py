"""Claims: what one accepted row of a dataset says about one entity of a register."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import polars as pl

from jobs.contract import Contract, TypeSpec
from jobs.register import Register
from jobs.registers.keys import KEYS, has_key, identified, keys_in, told_by
from jobs.registers.naming import NAMES, written
from jobs.registers.nearness import near_marks
from jobs.rows.casting import storage_type
from jobs.rows.comparable import sounds
from jobs.sets.deduplication import day_of

ORIGIN: dict[str, Any] = {
    "_key_id": pl.String,
    "_kind": pl.String,
    "_keys": KEYS,
    "_evidence": pl.String,
    "_alike": pl.List(pl.String),
    "_record": pl.String,
    "_dataset": pl.String,
    "_role": pl.String,
    "_batch_id": pl.String,
    "_source_file": pl.String,
    "_source_row": pl.Int64,
    "_as_of": pl.Date,
    "_delivered_on": pl.Date,
    "_withdrawn": pl.Boolean,
}

OF_KEY = "_of_key"  # after a field's name: what the key itself says of it
_JUDGED = ("_keys", "_evidence", "_alike", "_record")  # what only a conflict rule looks at


def field_schema(register: Register, types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Return the register's fields with their stored types; an amount of money is in yuan."""
    return {name: storage_type(field.type, types) for name, field in register.fields.items()}


def claim_schema(register: Register, types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Return a claim's columns: where it comes from, then the register's fields."""
    if register.keyed:
        origin = {name: kind for name, kind in ORIGIN.items() if name not in _JUDGED}
        own = {f"{name}{OF_KEY}": storage_type(register.fields[name].type, types) for name in register.of_key}
        return {**origin, "_as_of": moment(register), **field_schema(register, types), **own}
    return {**ORIGIN, **field_schema(register, types)}


def moment(register: Register) -> pl.DataType:
    """Return the type of a register's as-of: a day; in a keyed one, where nothing else orders, a point in time."""
    return pl.Datetime("us", "UTC") if register.keyed else pl.Date()


def fresh_schema(register: Register, types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Return the columns of claims just made: their keys' marks as well, which only the index of marks keeps."""
    near = {} if register.keyed else {"_near": pl.List(pl.String)}
    return {**claim_schema(register, types), **near}


def claims(
    rows: pl.DataFrame, contract: Contract, register: Register, types: Mapping[str, TypeSpec], register_key: bytes
) -> pl.DataFrame:
    """Return the claims of silver rows on one register: one per row and role.

    Columns as `fresh_schema`: `_key_id` is the birth id of the row's best key, `_keys` holds all of them, `_evidence`
    is a keyed fingerprint of what could contradict another claim, `_alike` of what could suggest a second key,
    `_record` of the row key where a later delivery may say that the record is about somebody else, `_near` the marks of
    the best key under the names (see `jobs.registers.nearness`).
    A row that neither names the entity by a key nor says anything about it makes no claim.
    """
    wanted = fresh_schema(register, types)
    found = []
    for role, link in contract.entities.items():
        if link.register_ != register.name:
            continue
        says = pl.any_horizontal([pl.col(field).is_not_null() for field in link.fields.values()] or [pl.lit(False)])
        speaking = rows.filter(has_key(link) | says)
        subject = identified(speaking, contract, role, register, register_key)
        leads = contract.name in register.lead
        judged = [] if register.keyed else [
            subject["_keys"], _best_text(speaking, contract, role, register),
            _records(speaking, contract, role, register_key),
        ]
        found.append(
            speaking.select(
                subject["_key_id"],
                subject["_kind"],
                *judged,
                pl.lit(contract.name).alias("_dataset"),
                pl.lit(role).alias("_role"),
                "_batch_id",
                "_source_file",
                "_source_row",
                pl.coalesce(_as_of(speaking, contract, register), _delivered(register)).alias("_as_of"),
                pl.col("_data_date").alias("_delivered_on"),
                (pl.col("_deleted") & pl.lit(leads)).alias("_withdrawn"),
                *[
                    (_said(speaking, link.fields[name]) if name in link.fields else pl.lit(None)).cast(kind).alias(name)
                    for name, kind in field_schema(register, types).items()
                ],
                *_told_by_key(speaking, contract, role, register),
            )
        )
    if not found:
        return pl.DataFrame(schema=wanted)
    rows = pl.concat(found)
    if register.keyed:
        return rows.select(pl.col(name).cast(kind) for name, kind in wanted.items())
    plain = _names_written(rows, register)
    return rows.with_columns(
        _near(plain, register, register_key),
        _marks(rows, compared(register), register_key, "_evidence", partial=True),
        pl.concat_list(
            [_marks(plain, fields, register_key, str(at), partial=False)
             for at, fields in enumerate(register.clash.alike)] or [pl.lit(None, pl.String)]
        ).list.drop_nulls().alias("_alike"),
    ).select(pl.col(name).cast(kind) for name, kind in wanted.items())


def _told_by_key(rows: pl.DataFrame, contract: Contract, role: str, register: Register) -> list[pl.Series]:
    """Return what each row's key itself says of the register's fields."""
    if not register.of_key:
        return []
    numbers = _best_text(rows, contract, role, register)
    return [told_by(numbers, what).alias(f"{name}{OF_KEY}") for name, what in register.of_key.items()]


def _as_of(rows: pl.DataFrame, contract: Contract, register: Register) -> pl.Expr:
    name = contract.load.as_of
    if name is None:
        return pl.lit(None, moment(register))
    return pl.col(name) if register.keyed else day_of(rows, name)


def _delivered(register: Register) -> pl.Expr:
    """Return the delivery's day, in a keyed register the moment at which it begins in China."""
    day = pl.col("_data_date")
    if not register.keyed:
        return day
    return day.cast(pl.Datetime("us")).dt.replace_time_zone("Asia/Shanghai").dt.convert_time_zone("UTC")


def needed(contract: Contract, register: Register) -> list[str]:
    """Return the columns of silver that claims on a register are made of."""
    load = contract.load
    names = [*load.key, *([load.as_of] if load.as_of else [])]
    for link in contract.entities.values():
        if link.register_ == register.name:
            names += [*link.key, *link.fields.values(), *(f"{name}_currency" for name in link.fields.values())]
    lake = ("_batch_id", "_source_file", "_source_row", "_data_date", "_deleted", "_fingerprint")
    return list(dict.fromkeys([*names, *lake]))


def once(claims: pl.DataFrame) -> pl.DataFrame:
    """Return claims of whole batches, those that say the same of the same entity on the same date once.

    The first by file and row stays, so that a person insured five ways is not five witnesses. Same columns.
    """
    ids = pl.col("_keys").list.eval(pl.element().struct.field("id")).list.join("|").alias("_ids")
    untold = ("_keys", "_alike", "_near", "_source_file", "_source_row")
    said = [name for name in claims.columns if name not in untold]
    ordered = claims.with_columns(ids).sort("_source_file", "_source_row")
    return ordered.unique([*said, "_ids"], keep="first", maintain_order=True).drop("_ids")


def corrected(claims: pl.LazyFrame) -> pl.DataFrame:
    """Return the records that were ever about several entities, each with whom it is about now (`_record`, `_about`).

    The newest claim of a record, by as-of and delivery date, says whom it is about.
    """
    said = claims.filter(pl.col("_record").is_not_null()).select("_record", *RECORD_ORDER)
    several = said.group_by("_record").agg(pl.col("_key_id").n_unique()).filter(pl.col("_key_id") > 1)
    found = said.join(several, on="_record", how="semi").collect(engine="streaming")
    newest = found.sort(*RECORD_ORDER, descending=True).unique("_record", keep="first", maintain_order=True)
    return newest.select("_record", pl.col("_key_id").alias("_about")).sort("_record")


def standing(claims: pl.LazyFrame, corrected: pl.DataFrame) -> pl.LazyFrame:
    """Return the claims that still stand: a record that was corrected to be about somebody else no longer speaks.

    Its older claims about the same entity stay as its history. Same columns.
    """
    if corrected.is_empty():
        return claims
    rows = claims.join(corrected.lazy(), on="_record", how="left")
    return rows.filter(pl.col("_about").is_null() | (pl.col("_about") == pl.col("_key_id"))).drop("_about")


SNAPSHOTS: dict[str, Any] = {
    "_dataset": pl.String, "_batch_id": pl.String, "_next_batch": pl.String, "_next_on": pl.Date
}


def with_absences(claims: pl.LazyFrame, snapshots: pl.DataFrame) -> pl.LazyFrame:
    """Return claims and, for a key that a snapshot has and the next one lacks, its claims again as withdrawn that day.

    `snapshots` (`SNAPSHOTS`) names the snapshot after each; all claims of each key must be present. Same columns.
    """
    if snapshots.is_empty():
        return claims
    key = ["_dataset", "_role", "_key_id"]
    said = claims.join(snapshots.lazy(), on=["_dataset", "_batch_id"])
    present = claims.select(*key, "_batch_id")
    gone = said.join(present, left_on=[*key, "_next_batch"], right_on=[*key, "_batch_id"], how="anti")
    withdrawn = gone.with_columns(
        pl.lit(value=True).alias("_withdrawn"), _as_of=pl.max_horizontal("_as_of", "_next_on"), _delivered_on="_next_on"
    )
    return pl.concat([claims, withdrawn.drop("_next_batch", "_next_on")])


_SEPARATOR = "\x1f"  # the ASCII unit separator
RECORD_ORDER = ("_as_of", "_delivered_on", "_batch_id", "_source_row", "_key_id")


def _best_text(rows: pl.DataFrame, contract: Contract, role: str, register: Register) -> pl.Series:
    """Return the text of each row's best key (`_text`), which no claim keeps."""
    texts = [key for _, key in keys_in(contract, role, register)]
    return rows.select((pl.coalesce(texts) if texts else pl.lit(None, pl.String)).alias("_text"))["_text"]


def _near(rows: pl.DataFrame, register: Register, register_key: bytes) -> pl.Series:
    """Return the marks by which the best key of each row is near to others, under each name the row gives."""
    marks = [
        near_marks(rows["_text"], rows["_kind"], sounds(rows[name]), register_key).alias(name)
        for name in (register.clash.name, register.clash.former) if name
    ]
    return pl.DataFrame(marks).select(pl.concat_list(pl.all()).alias("_near"))["_near"]


def _records(rows: pl.DataFrame, contract: Contract, role: str, register_key: bytes) -> pl.Series:
    """Return keyed fingerprints of the row keys; null where the row key itself says whom the row is about."""
    if not contract.correctable(role):
        return pl.Series("_record", [None] * rows.height, pl.String)
    cells = [pl.col(name).cast(pl.String) for name in contract.load.key]
    given = pl.any_horizontal(cell.is_not_null() for cell in cells)
    said = [pl.lit(contract.name), pl.lit(role), *(cell.fill_null("") for cell in cells)]
    told = pl.when(given).then(pl.concat_str(said, separator=_SEPARATOR))
    texts = rows.select(told.alias("text"))["text"].to_list()
    marks = [None if one is None else _fingerprint(one, register_key) for one in texts]
    return pl.Series("_record", marks, pl.String)


def compared(register: Register) -> list[str]:
    """Return the fields by which claims of one key may contradict each other."""
    clash = register.clash
    return [clash.name, *([clash.former] if clash.former else []), *clash.other, *clash.changing]


def mark(texts: Sequence[object], register_key: bytes) -> str:
    """Return a keyed fingerprint of values: 32 hex digits of BLAKE2b (RFC 7693) with the register's key."""
    return _fingerprint(_SEPARATOR.join("" if one is None else str(one) for one in texts), register_key)


def _fingerprint(text: str, register_key: bytes) -> str:
    return hashlib.blake2b(text.encode(), key=register_key, digest_size=16).hexdigest()


def _marks(rows: pl.DataFrame, fields: Sequence[str], register_key: bytes, name: str, *, partial: bool) -> pl.Series:
    """Return fingerprints (`mark`) over fields of rows; unless `partial`, null where any of them is absent."""
    values = [pl.col(field).cast(pl.String) for field in fields]
    absent = pl.lit(value=False) if partial else pl.any_horizontal(one.is_null() for one in values)
    if partial:  # claims with different whole credit codes are different evidence
        codes = pl.col("_keys").list.eval(pl.element().struct.field("kind") + ":" + pl.element().struct.field("id"))
        values.append(codes.list.eval(pl.element().filter(pl.element().str.starts_with("credit_code:"))).list.join("|"))
    told = [*(pl.lit(field) for field in fields), *(value.fill_null("") for value in values)]
    text = pl.when(~absent).then(pl.concat_str(told, separator=_SEPARATOR)).alias(name)
    texts = rows.select(text)[name].to_list()
    marks = [None if one is None else _fingerprint(one, register_key) for one in texts]
    return pl.Series(name, marks, pl.String)


def _names_written(rows: pl.DataFrame, register: Register) -> pl.DataFrame:
    """Return rows with their names as they are compared: a fact that is spelled otherwise is the same fact."""
    clash = register.clash
    wanted = {name for name in chain.from_iterable(clash.alike) if register.fields[name].type in NAMES}
    wanted |= {name for name in (clash.name, clash.former) if name}
    return rows.with_columns(
        written(rows[name].cast(pl.String), register.fields[name].type).alias(name) for name in sorted(wanted)
    )


def _said(rows: pl.DataFrame, field: str) -> pl.Expr:
    """Return what a row says of a field; an amount in another currency is not said in yuan, so it is no claim."""
    if f"{field}_currency" in rows.columns:
        return pl.when(pl.col(f"{field}_currency") == "CNY").then(pl.col(field))
    return pl.col(field)
