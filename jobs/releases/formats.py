"""Write and read a release's files: equal rows, equal bytes, whoever writes them and on however many cores."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from jobs.releases.describe import Column

# A spreadsheet takes a text that begins so for a formula; an apostrophe before it makes it a text again.
_FORMULA = r"^[=+\-@\t\r]"
# Rows of one row group: what a reader over HTTP fetches at least; a few megabytes, with statistics of its own.
ROW_GROUP = 1 << 17
ZSTD_LEVEL = 3


def arrow_schema(table: pl.DataFrame) -> pa.Schema:
    """Return the schema a table has in Parquet: texts are plain `string`."""
    schema = table.head(0).to_arrow().schema
    large = (pa.types.is_large_string, pa.types.is_string_view)
    plain = [pa.string() if any(one(field.type) for one in large) else field.type for field in schema]
    return pa.schema([pa.field(name, kind) for name, kind in zip(schema.names, plain, strict=True)])


def write_parquet(table: pl.DataFrame, columns: Sequence[Column], about: Mapping[str, str], path: Path) -> None:
    """Write sorted rows as Parquet; `about` and each column's titles and derivation go into the schema's metadata.

    zstd, row groups of 131,072 rows, statistics per group and per page (page index), the order of rows declared: fit
    for range reads. The file holds no time and no version of the release: equal rows and descriptions, equal bytes.
    """
    stored = arrow_schema(table)
    fields = [
        stored.field(one.name).with_metadata(
            {
                "description": one.derivation.en, "description_zh": one.derivation.zh,
                "title": one.title.en, "title_zh": one.title.zh,
            }
        )
        for one in columns
    ]
    # Pieces of their own lengths would become pages of their own lengths.
    whole = table.to_arrow().cast(pa.schema(fields, metadata=dict(about))).combine_chunks()
    order = [pq.SortingColumn(number, nulls_first=True) for number in range(len(fields))]
    pq.write_table(
        whole, path, version="2.6", data_page_version="1.0", compression="zstd", compression_level=ZSTD_LEVEL,
        row_group_size=ROW_GROUP, write_statistics=True, write_page_index=True, sorting_columns=order,
    )


def write_plain(table: pl.DataFrame, path: Path) -> None:
    """Write rows as Parquet and, beside it, as CSV; `path` is without its ending."""
    whole = table.to_arrow().cast(arrow_schema(table)).combine_chunks()
    pq.write_table(
        whole, path.with_suffix(".parquet"), version="2.6", data_page_version="1.0", compression="zstd",
        compression_level=ZSTD_LEVEL, row_group_size=ROW_GROUP,
    )
    path.with_suffix(".csv").write_bytes(csv_bytes(table))


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
