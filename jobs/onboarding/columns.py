"""One column of any table a person has at hand: CSV in any usual encoding, a workbook, or Parquet, told by content."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from jobs.errors import RequestError, SourceError
from jobs.storage.reading.workbook import probe_workbook

DELIMITERS = (",", "\t", ";", "|")
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
_OTHER_KINDS = {b"\xd0\xcf\x11\xe0": "an old or protected workbook", b"\x1f\x8b": "compressed", b"%PDF": "a PDF"}


def read_column(
    source: Path | bytes, column: str, *, encoding: str | None = None, sheet: str | None = None
) -> pl.Series:
    """Return one column as text, every row in order, empty cells as null or empty text.

    A number becomes its digits. Without `encoding` a CSV file is UTF-8, UTF-16 by its mark, else GB 18030.
    Raises RequestError when the file or the column is not there, SourceError when it cannot be read.
    """
    name = "standard input" if isinstance(source, bytes) else source.name
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        said = f"the file cannot be opened ({error.strerror})."
        raise RequestError(said, where=name, remedy="check the path.") from None
    if not data:
        raise SourceError("the file is empty.", where=name, remedy="give one with a header.")
    for magic, kind in _OTHER_KINDS.items():
        if data.startswith(magic):
            raise SourceError(f"the file is {kind}.", where=name, remedy="give CSV, XLSX or Parquet.")
    if data.startswith(b"PAR1"):
        return _parquet(data, column, name)
    if data.startswith(b"PK\x03\x04"):
        return _workbook(source, data, column, sheet, name)
    return _delimited(data, column, encoding, name)


def _parquet(data: bytes, column: str, name: str) -> pl.Series:
    try:
        columns = pl.read_parquet_schema(io.BytesIO(data))
        _require(column, list(columns), name)
        return _text(pl.read_parquet(io.BytesIO(data), columns=[column])[column])
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable("Parquet file", name, error) from None


def _workbook(source: Path | bytes, data: bytes, column: str, sheet: str | None, name: str) -> pl.Series:
    import fastexcel

    if isinstance(source, Path):
        probe_workbook(source)
    try:
        workbook = fastexcel.read_excel(data)
        chosen = sheet or workbook.sheet_names[0]
        if chosen not in workbook.sheet_names:
            raise RequestError("there is no such worksheet.", where=f"{name}:{chosen}", remedy="mend --sheet.")
        cells: pl.DataFrame = workbook.load_sheet(chosen, header_row=None, skip_rows=0, dtypes="string").to_polars()
    except fastexcel.FastExcelError as error:
        raise _unreadable("workbook", name, error) from None
    if not cells.height:
        raise SourceError("the worksheet is empty.", where=name, remedy="give one with a header.")
    heads = [(cell or "").strip() for cell in cells.row(0)]
    _require(column, heads, name)
    return cells.to_series(heads.index(column.strip())).slice(1).alias(column)


def _delimited(data: bytes, column: str, encoding: str | None, name: str) -> pl.Series:
    text = _decoded(data, encoding, name)
    header = text.partition("\n")[0].rstrip("\r")
    cells = {mark: [cell.strip().strip('"') for cell in header.split(mark)] for mark in DELIMITERS}
    mark = next((mark for mark in DELIMITERS if column.strip() in cells[mark]), ",")
    body = text.replace("\x00", "�").encode()
    try:
        table = pl.read_csv(io.BytesIO(body), separator=mark, infer_schema=False, truncate_ragged_lines=True)
    except pl.exceptions.PolarsError as error:
        raise _unreadable("file as delimited text", name, error) from None
    heads = {head.strip(): head for head in table.columns}
    _require(column, list(heads), name)
    return table[heads[column.strip()]].alias(column)


def _decoded(data: bytes, encoding: str | None, name: str) -> str:
    asked = encoding or next((told for mark, told in _MARKS.items() if data.startswith(mark)), None)
    for candidate in [asked] if asked else ["utf-8", "gb18030"]:
        try:
            return data.decode(candidate).removeprefix("\ufeff")
        except LookupError:
            said = f"there is no encoding {candidate!r}."
            raise RequestError(said, remedy="for example utf-8, gb18030, big5.") from None
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
    told = f"is not {asked}" if asked else "is neither UTF-8 nor GB 18030"
    raise SourceError(f"the file {told}.", where=f"{name}:{line}", remedy="name its encoding by --encoding.")


def _text(values: pl.Series) -> pl.Series:
    """Return values as text: whole numbers as their digits, even where a float holds them."""
    if values.dtype.is_float():
        whole = (values == values.floor()) & values.is_finite() & (values.abs() < 1e20)
        digits = values.set(~whole.fill_null(value=False), None).cast(pl.Decimal(38, 0), strict=False).cast(pl.String)
        return digits.zip_with(whole.fill_null(value=False), values.cast(pl.String))
    if values.dtype in (pl.Binary, pl.List, pl.Struct, pl.Object) or values.dtype.is_nested():
        raise SourceError("the column does not hold text or numbers.", where=values.name, remedy="give another column.")
    return values.cast(pl.String)


def _require(column: str, columns: list[str], name: str) -> None:
    if column.strip() not in [one.strip() for one in columns]:
        known = ", ".join(one for one in columns[:20] if one)
        raise RequestError("the file has no such column.", where=f"{name}:{column}", remedy=f"columns: {known}.")


def _unreadable(what: str, name: str, error: Exception) -> SourceError:
    # The text of a foreign exception may quote a cell; only its kind is shown.
    return SourceError(f"the {what} cannot be read ({type(error).__name__}).", where=name, remedy="check the file.")
