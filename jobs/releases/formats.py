"""Write and read a release's files: equal rows, equal bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.releases.describe import Column

SUMS = "SHA256SUMS"
# A spreadsheet takes a text that begins so for a formula; an apostrophe before it makes it a text again.
_FORMULA = r"^[=+\-@\t\r]"
ROW_GROUP = 1 << 20


def write_parquet(table: pl.DataFrame, columns: Sequence[Column], about: Mapping[str, str], path: Path) -> None:
    """Write rows as Parquet (zstd); `about` and each column's titles and derivation go into the schema's metadata.

    The file holds no time and no version of the release: equal rows and descriptions give equal bytes.
    """
    arrow = table.to_arrow()
    kinds = {field.name: pa.string() if pa.types.is_large_string(field.type) else field.type for field in arrow.schema}
    fields = [
        pa.field(
            one.name,
            kinds[one.name],
            metadata={
                "description": one.derivation.en, "description_zh": one.derivation.zh,
                "title": one.title.en, "title_zh": one.title.zh,
            },
        )
        for one in columns
    ]
    # Pieces of their own lengths would become pages of their own lengths.
    whole = arrow.cast(pa.schema(fields, metadata=dict(about))).combine_chunks()
    pq.write_table(whole, path, compression="zstd", row_group_size=ROW_GROUP)


def csv_bytes(table: pl.DataFrame) -> bytes:
    """Return rows as CSV: UTF-8 without mark, RFC 4180 (CRLF, header, quotes where needed), null as nothing.

    A text that a spreadsheet would take for a formula (it begins with = + - @, tab or return) has an apostrophe before
    it; Parquet has it as it is.
    """
    return without_formulas(table).write_csv(line_terminator="\r\n").encode()


def without_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Return rows whose texts (and column names) no spreadsheet takes for a formula: an apostrophe stands before it."""
    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    safe = table.with_columns(
        pl.when(pl.col(name).str.contains(_FORMULA)).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name in texts
    )
    return safe.rename({name: f"'{name}" for name in table.columns if re.match(_FORMULA, name)})


def read_csv(path: Path) -> pl.DataFrame:
    """Return a release's CSV with every cell as text."""
    return pl.read_csv(path, infer_schema=False)


def json_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a description as JSON text, keys in the order given."""
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def digest(path: Path) -> str:
    """Return a file's SHA-256 as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sums_bytes(folder: Path) -> bytes:
    """Return the text of SHA256SUMS over a folder's files, as `sha256sum --check` reads it."""
    names = sorted(path.name for path in folder.iterdir() if path.name != SUMS)
    return "".join(f"{digest(folder / name)}  {name}\n" for name in names).encode()
