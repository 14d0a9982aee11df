"""Recognise equal rows and choose the current row of each key, in whatever order they arrived."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import polars_hash

from jobs.contract import Contract

_SEPARATOR = "\x1f"  # the ASCII unit separator; doubled where a value contains it
# Lake columns that are part of what a row says; the others tell where and when it came.
_TELLING = ("_deleted", "_extra")


def fingerprint(rows: pl.DataFrame, fields: Sequence[str]) -> pl.Series:
    """Return 32 hex digits (the first 128 bits of BLAKE3) per row over the values of `fields`.

    Values are written in one canonical text, fields in name order and only where not null: equal rows get
    equal fingerprints on any machine, in any column order, and a new column that is still empty changes
    nothing.
    """
    if not fields or rows.is_empty():
        return pl.Series("fingerprint", [""] * rows.height, dtype=pl.String)
    told = [name for name in sorted(fields) if rows[name].null_count() < rows.height] or list(fields)
    texts = rows.select(_canonical(rows[name]).alias(name) for name in told)
    parts: list[pl.Expr] = []
    for name in told:
        before, value = pl.lit(f"{_SEPARATOR}{name}="), _escaped(texts[name])
        # A missing value leaves its name out, too; where none is missing, nothing need be joined twice.
        parts += [(before + value).fill_null("")] if texts[name].null_count() else [before, value]
    digest = polars_hash.concat_str(parts).chash.blake3()
    found: pl.Series = texts.select(digest.str.slice(0, 32).alias("fingerprint"))["fingerprint"]
    return found


def telling_fields(rows: pl.DataFrame) -> list[str]:
    """Return the columns that speak of a row's subject: the fields, withdrawal and unknown columns."""
    return [name for name in rows.columns if not name.startswith("_") or name in _TELLING]


def current(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Return the rows in force: one per key, the newest; a withdrawn key has none.

    Needs `_data_date` (Date) and, where the dataset has withdrawals, `_deleted`. A row without an as-of
    date speaks of its data date. A snapshot consists of its newest data date alone, so a key it lacks is
    gone. At equal dates a withdrawal wins, then the greater fingerprint: any order of arrival gives the
    same rows. A dataset that appends keeps all rows. Same columns; rows sorted by key.
    """
    load = contract.load
    if load.mode == "append" or not load.key:
        return rows.filter(~_deleted(rows)) if "_deleted" in rows.columns else rows
    if load.mode == "snapshot" and rows.height:
        rows = rows.filter(pl.col("_data_date") == pl.col("_data_date").max())
    as_of = pl.col("_data_date")
    if load.as_of is not None:
        as_of = pl.coalesce(day_of(rows, load.as_of), as_of)
    order = ["_as_of", "_data_date", "_gone", "_mark"]
    marked = rows.with_columns(
        _as_of=as_of, _gone=_deleted(rows), _mark=fingerprint(rows, telling_fields(rows))
    )
    newest = marked.sort(order, nulls_last=False).unique(
        subset=list(load.key), keep="last", maintain_order=True
    )
    return newest.filter(~pl.col("_gone")).drop("_as_of", "_gone", "_mark").sort(load.key, nulls_last=True)


def _deleted(rows: pl.DataFrame) -> pl.Series:
    if "_deleted" in rows.columns:
        return rows["_deleted"].fill_null(value=False)
    return pl.Series("_deleted", dtype=pl.Boolean).extend_constant(value=False, n=rows.height)


def day_of(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Return the day in China that a date or point in time of a column falls on."""
    if isinstance(rows.schema[name], pl.Datetime):
        return pl.col(name).dt.convert_time_zone("Asia/Shanghai").dt.date()
    return pl.col(name)


def _escaped(text: pl.Series) -> pl.Expr:
    if text.str.contains(_SEPARATOR, literal=True).any():
        return pl.col(text.name).str.replace_all(_SEPARATOR, _SEPARATOR * 2, literal=True)
    return pl.col(text.name)


def _canonical(values: pl.Series) -> pl.Series:
    """Write values as text: ISO dates and UTC times, numbers without trailing zeros, true and false."""
    dtype = values.dtype
    if dtype == pl.Boolean:
        return (
            values.replace_strict({True: "true", False: None}, default=None, return_dtype=pl.String)
            if (values.name in _TELLING)
            else values.replace_strict({True: "true", False: "false"}, default=None, return_dtype=pl.String)
        )
    if isinstance(dtype, pl.Datetime):
        return values.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    if isinstance(dtype, pl.Decimal):
        text = values.cast(pl.String)
        trimmed = text.str.strip_chars_end("0").str.strip_chars_end(".")
        return trimmed.zip_with(text.str.contains(".", literal=True).fill_null(value=False), text)
    return values.cast(pl.String)
