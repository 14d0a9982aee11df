"""Give a released version in the formats people ask for: a workbook, or JSON lines. Equal rows, equal bytes."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import polars as pl

from jobs.errors import RequestError
from jobs.layers import Layer
from jobs.releases.listing import Released
from jobs.releases.metadata.entry import Entry

LONGEST_SHEET = 1_048_575  # rows of a worksheet, without its header


def export(one: Released, kind: str) -> bytes:
    """Return a version's rows as `xlsx` or `jsonl`.

    Raises RequestError for another kind, for a withdrawn version, and for more rows than a worksheet holds.
    """
    if one.withdrawn:
        raise RequestError(f"version {one.version} was withdrawn.", dataset=one.dataset, layer=Layer.OPEN)
    rows = pl.read_parquet(one.data("parquet"))
    if kind == "jsonl":
        return json_lines(rows)
    if kind != "xlsx":
        raise RequestError(f"there is no format {kind!r}.", dataset=one.dataset, remedy="xlsx or jsonl.")
    if rows.height > LONGEST_SHEET:
        raise RequestError(
            f"a worksheet holds {LONGEST_SHEET} rows, the version has {rows.height}.", dataset=one.dataset,
            remedy="take the CSV.",
        )
    return workbook(rows, Entry.of(one.manifest))


def json_lines(rows: pl.DataFrame) -> bytes:
    """Return rows as JSON lines (UTF-8, one object a line); decimals are strings, so that no digit is lost."""
    exact = [pl.col(name).cast(pl.String) for name, kind in rows.schema.items() if kind.is_decimal()]
    return rows.with_columns(exact).write_ndjson().encode()


def workbook(rows: pl.DataFrame, entry: Entry) -> bytes:
    """Return rows as a workbook: one sheet of rows, one of what the columns mean. Texts stay texts, codes too."""
    import xlsxwriter

    into = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(into, options) as book:
        # No clock: the file's times are those of its data.
        book.set_properties({"title": entry.title.zh, "created": datetime.fromisoformat(entry.data_date)})
        heading = book.add_format({"bold": True})
        sheet = book.add_worksheet("data")
        sheet.freeze_panes(1, 0)
        sheet.write_row(0, 0, rows.columns, heading)
        for number, row in enumerate(rows.iter_rows(), 1):
            for column, value in enumerate(row):
                _write(sheet, number, column, value)
        about = book.add_worksheet("dictionary")
        about.write_row(0, 0, ("column", "名称", "title", "处理方式", "how it came about"), heading)
        for number, one in enumerate(entry.columns, 1):
            for column, text in enumerate((one.name, one.title.zh, one.title.en, one.derivation.zh, one.derivation.en)):
                about.write_string(number, column, text)
    return into.getvalue()


def _write(sheet: Any, row: int, column: int, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float) and abs(value) < 10**15:  # a spreadsheet keeps fifteen digits
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, str(value))
