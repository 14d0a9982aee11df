"""Read a whole table of any layout as text: CSV of any usual encoding and separator, XLSX, Parquet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import polars as pl

from jobs.errors import RequestError, SourceError
from jobs.storage.reading.layout import header_name

_ENCODINGS = ("utf-8-sig", "gb18030", "cp1252")
_SEPARATORS = ",;\t|"
_MARKS = (b"\xff\xfe", b"\xfe\xff")
_PARQUET, _WORKBOOK = b"PAR1", b"PK\x03\x04"


def read_whole_table(file: Path) -> pl.DataFrame:
    """Return a file's rows, every cell as text, outer blanks removed, empty cells null.

    Raises RequestError when there is no such file, SourceError when it is no table.
    """
    try:
        start = file.open("rb").read(4)
    except OSError:
        raise RequestError("there is no such file, or it cannot be read.", where=str(file)) from None
    if not start:
        raise SourceError("the file is empty.", where=file.name, remedy="deliver it again.")
    try:
        if start == _PARQUET:
            table = pl.read_parquet(file)
        elif start == _WORKBOOK:
            table = pl.read_excel(file, engine="calamine", infer_schema_length=0)
        else:
            table = _delimited(file)
    except (pl.exceptions.PolarsError, ValueError, UnicodeError) as error:
        what = f"the file is no table that can be read ({type(error).__name__})."
        raise SourceError(what, where=file.name, remedy="deliver CSV, XLSX or Parquet.") from None
    return _as_text(table, file)


def _delimited(file: Path) -> pl.DataFrame:
    data = file.read_bytes()
    if data.startswith(_MARKS):
        text = data.decode("utf-16")
    else:
        text = next(decoded for encoding in _ENCODINGS if (decoded := _decoded(data, encoding)) is not None)
    head = text[: text.find("\n")] if "\n" in text else text
    separator = max(
        _SEPARATORS, key=lambda sign: (len(next(csv.reader([head], delimiter=sign))), -_SEPARATORS.index(sign))
    )
    encoded = io.BytesIO(text.encode())
    return pl.read_csv(encoded, separator=separator, infer_schema=False, truncate_ragged_lines=True)


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding, errors="replace" if encoding == _ENCODINGS[-1] else "strict")
    except UnicodeDecodeError:
        return None


def _as_text(table: pl.DataFrame, file: Path) -> pl.DataFrame:
    nested = [name for name, kind in table.schema.items() if kind.is_nested() or kind == pl.Object]
    table = table.drop(nested)
    names = [header_name(name) for name in table.columns]
    if len(set(names)) != len(names):
        raise SourceError("two columns have one name.", where=f"{file.name}:1", remedy="give them different names.")
    text = table.rename(dict(zip(table.columns, names, strict=True))).select(pl.all().cast(pl.String).str.strip_chars())
    return text.with_columns(pl.when(pl.all() != "").then(pl.all()))
