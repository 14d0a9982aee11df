"""Deliveries in the formats of older and of exchanged systems, to the byte the same for the same rows."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

import polars as pl

Writer = Callable[[pl.DataFrame, Path], None]
_EPOCH = (2026, 1, 1, 0, 0, 0)  # what archives say their files' time is
_DAY = (126, 1, 1)  # the same in a DBF header: years since 1900, month, day


def delimited(encoding: str, delimiter: str, above: str = "", *, quoted: bool = True) -> Writer:
    """Return a writer of delimited text; `above` stands before the header, lines included."""

    def write(rows: pl.DataFrame, path: Path) -> None:
        style: Literal["necessary", "never"] = "necessary" if quoted else "never"
        text = above + rows.write_csv(separator=delimiter, line_terminator="\n", quote_style=style)
        path.write_bytes(text.encode(encoding))

    return write


def write_utf_16(rows: pl.DataFrame, path: Path) -> None:
    """Write UTF-16 (little-endian, with byte order mark) and tabs, as spreadsheets save Unicode text."""
    text = rows.write_csv(separator="\t", line_terminator="\r\n")
    path.write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))


def zipped(inner: str, encoding: str) -> Writer:
    """Return a writer of one CSV file, named `inner`, in a ZIP archive."""

    def write(rows: pl.DataFrame, path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            entry = zipfile.ZipInfo(inner, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, rows.write_csv(line_terminator="\n").encode(encoding), compresslevel=1)

    return write


def _gzip(data: bytes, path: Path) -> None:
    with path.open("wb") as out, gzip.GzipFile("", "wb", 1, out, mtime=0) as packed:
        packed.write(data)


def write_gzip_csv(rows: pl.DataFrame, path: Path) -> None:
    """Write UTF-8 with semicolons, compressed."""
    _gzip(rows.write_csv(separator=";", line_terminator="\n").encode(), path)


def write_gzip_json_lines(rows: pl.DataFrame, path: Path) -> None:
    """Write one JSON object per line, compressed."""
    _gzip(rows.write_ndjson().encode(), path)


def write_json_document(rows: pl.DataFrame, path: Path) -> None:
    """Write a service's answer: a JSON document with the records at data/rows."""
    head = f'{{"code":"200","message":"成功","data":{{"total":{rows.height},"rows":[\n'
    records = rows.write_ndjson().rstrip("\n").replace("\n", ",\n")  # no line end stands inside a record
    path.write_text(f"{head}{records}\n]}}}}\n", encoding="utf-8", newline="\n")


def write_parquet(rows: pl.DataFrame, path: Path) -> None:
    """Write Parquet with typed columns."""
    rows.write_parquet(path, compression="zstd", statistics=False)


def xml(above: str, record: str, below: str, encoding: str = "utf-8") -> Writer:
    """Return a writer of XML: one element per row; a column `a/b` is an element b inside an element a."""

    def write(rows: pl.DataFrame, path: Path) -> None:
        parts: list[pl.Expr] = []
        group = ""
        for name in rows.columns:
            inside, _, tag = name.rpartition("/")
            opening = (f"</{group}>" if group and inside != group else "") + (f"<{inside}>" if inside != group else "")
            opening = opening.replace("<>", "")
            parts += [pl.lit(f"{opening}<{tag}>"), _escaped(name), pl.lit(f"</{tag}>")]
            group = inside
        closing = f"</{group}>" if group else ""
        lines = rows.select(pl.concat_str(pl.lit(f"<{record}>"), *parts, pl.lit(f"{closing}</{record}>\n"))).to_series()
        text = f'<?xml version="1.0" encoding="{encoding.upper()}"?>\n{above}{"".join(lines)}{below}\n'
        path.write_bytes(text.encode(encoding))

    return write


def _escaped(name: str) -> pl.Expr:
    cell = pl.col(name).fill_null("")
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        cell = cell.str.replace_all(sign, entity, literal=True)
    return cell


def fixed_width(widths: Mapping[str, int]) -> Writer:
    """Return a writer of lines whose cells are spans of bytes in GB18030, as a mainframe counts them."""

    def write(rows: pl.DataFrame, path: Path) -> None:
        path.write_bytes("".join(_padded(rows, widths) + "\n").encode("gb18030"))

    return write


def dbf(widths: Mapping[str, int]) -> Writer:
    """Return a writer of dBASE III tables with columns of text (dBASE Table File Format)."""

    def write(rows: pl.DataFrame, path: Path) -> None:
        begin, length = 32 + 32 * len(widths) + 1, 1 + sum(widths.values())
        head = struct.pack("<4BIHH17xBxx", 3, *_DAY, rows.height, begin, length, 0x4D)
        fields = [struct.pack("<11sc4xBB14x", name.encode("gb18030"), b"C", width, 0) for name, width in widths.items()]
        records = "".join(" " + _padded(rows, widths)).encode("gb18030")
        path.write_bytes(head + b"".join(fields) + b"\r" + records + b"\x1a")

    return write


def _padded(rows: pl.DataFrame, widths: Mapping[str, int]) -> pl.Series:
    """Return one text per row whose cells are as many bytes in GB18030 as said; all signs outside ASCII take two."""
    cells = []
    for name, width in widths.items():
        cell = pl.col(name).fill_null("")
        wide = (cell.str.len_bytes() - cell.str.len_chars()) // 2  # such a sign is three bytes in UTF-8
        if rows.select((cell.str.len_chars() + wide).max()).item() > width:
            raise ValueError(f"a cell of {name} is wider than {width} bytes")
        cells.append(cell.str.pad_end(width - wide, " "))
    return rows.select(pl.concat_str(cells)).to_series()


def workbook(sheet: str, title: str, groups: Mapping[str, int] | None = None) -> Writer:
    """Return a writer of a worksheet with a merged title above the header.

    With `groups` (name: columns) the header has two rows, the upper one merged; a column is named `group name`.
    """

    def write(rows: pl.DataFrame, path: Path) -> None:
        import xlsxwriter

        with xlsxwriter.Workbook(
            path, {"constant_memory": True, "strings_to_numbers": False, "strings_to_formulas": False}
        ) as book:
            book.set_properties({"created": datetime(*_EPOCH[:3]), "author": "synthetic city"})  # noqa: DTZ001
            page = book.add_worksheet(sheet)
            page.merge_range(0, 0, 0, rows.width - 1, title)
            header = [name.rpartition(" ")[2] if groups else name for name in rows.columns]
            at = 0
            for name, width in (groups or {}).items():
                page.merge_range(1, at, 1, at + width - 1, name)
                at += width
            for place, row in enumerate([header, *rows.iter_rows()], 2 if groups else 1):
                for column, cell in enumerate(row):
                    page.write_string(place, column, cell or "")

    return write


_ODS_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<office:document-content office:version="1.3"'
    ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
)
_ODS_TYPE = "application/vnd.oasis.opendocument.spreadsheet"
_ODS_MANIFEST = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.3">'
    f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{_ODS_TYPE}"/>'
    '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
)


def spreadsheet(sheet: str, title: str) -> Writer:
    """Return a writer of an OpenDocument spreadsheet (ODF 1.3): a title spanning the table, the header, texts."""

    def write(rows: pl.DataFrame, path: Path) -> None:
        lines = rows.select(pl.concat_str(
            pl.lit("<table:table-row>"), *[part for name in rows.columns for part in _ods_cell(name)],
            pl.lit("</table:table-row>"),
        )).to_series()
        span = f'<table:table-cell office:value-type="string" table:number-columns-spanned="{rows.width}">'
        header = "".join(_ods_text(name) for name in rows.columns)
        content = "".join([
            _ODS_HEAD, f'<table:table table:name="{escape(sheet)}">',
            f"<table:table-row>{span}<text:p>{escape(title)}</text:p></table:table-cell></table:table-row>",
            f"<table:table-row>{header}</table:table-row>", *lines,
            "</table:table></office:spreadsheet></office:body></office:document-content>",
        ])
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            parts = {"mimetype": _ODS_TYPE, "META-INF/manifest.xml": _ODS_MANIFEST, "content.xml": content}
            for name, text in parts.items():
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.compress_type = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
                archive.writestr(entry, text.encode())
        path.write_bytes(out.getvalue())

    return write


def _ods_text(text: str) -> str:
    return f'<table:table-cell office:value-type="string"><text:p>{escape(text)}</text:p></table:table-cell>'


def _ods_cell(name: str) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    before, _, after = _ods_text("\x00").partition("\x00")
    return pl.lit(before), _escaped(name), pl.lit(after)


def database(table: str) -> Writer:
    """Return a writer of an SQLite database with one table of texts."""

    def write(rows: pl.DataFrame, path: Path) -> None:
        import sqlite3

        with sqlite3.connect(path) as connection:
            columns = ", ".join(f'"{name}" TEXT' for name in rows.columns)
            connection.execute(f'CREATE TABLE {table} ({columns})')
            marks = ", ".join("?" * rows.width)
            connection.executemany(f'INSERT INTO {table} VALUES ({marks})', rows.iter_rows())
        connection.close()

    return write
