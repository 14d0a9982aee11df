"""Workbooks (XLSX, with or without macros, which are never run): one worksheet, cells as text."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import polars as pl

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading import grid
from jobs.storage.reading.diagnosis import OLE, not_of_kind
from jobs.storage.reading.layout import Layout, Records
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.sheet_xml import Sheet, scan

SPARSE_CELLS = 10_000_000  # a worksheet spans, filled or not; beyond, most of them must be filled
LEAST_FILLED = 0.01


def read_workbook(file: Path, source: Source, layout: Layout, limits: Limits) -> Records:
    """Yield the records below the header row, numbered as the worksheet shows them; empty rows are none.

    Cells merged over several data rows count in each of them; a formula counts as the value it was saved with. Raises
    SourceError for a protected, half-written or bomb-like workbook, a missing worksheet, and a header that is not the
    contract's.
    """
    sheet, table = _loaded(file, source.sheet, limits)
    # Rows come from the worksheet's first one on, filled or not; columns from the first filled one on.
    limits.check_cells(table.height * table.width)
    begin = _first_column(sheet, table)
    merged = [(top, bottom, left - begin, right - begin) for top, bottom, left, right in sheet.merged]
    downwards = grid.spread(merged, table.height, table.width, limits)
    yield from grid.table_records(table, downwards, source, layout, limits, frozenset(sheet.unvalued))


def sheet_names(file: Path) -> list[str]:
    """Return the names of a workbook's worksheets in order."""
    import fastexcel

    try:
        return list(fastexcel.read_excel(file).sheet_names)
    except fastexcel.FastExcelError as error:
        raise SourceError(
            f"the workbook cannot be read ({type(error).__name__}).", remedy="open and save it again, then deliver it."
        ) from None


def first_rows(file: Path, sheet: str | None, limits: Limits, count: int | None = None) -> pl.DataFrame:
    """Return a worksheet's first rows (default: all) as text; raise SourceError for one that is broken or a bomb."""
    return _loaded(file, sheet, limits, count)[1]


def _loaded(file: Path, wanted: str | None, limits: Limits, count: int | None = None) -> tuple[Sheet, pl.DataFrame]:
    import fastexcel

    probe_workbook(file)
    try:
        sheet = scan(file, wanted, limits)
        _refuse_sparse(sheet, limits)
        book = fastexcel.read_excel(file)
        table = pl.DataFrame(
            book.load_sheet(sheet.name, header_row=None, skip_rows=0, n_rows=count, dtypes="string").to_polars()
        )
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):
        raise SourceError("the workbook is damaged or half-written.", remedy="deliver it again.") from None
    except fastexcel.FastExcelError as error:
        raise SourceError(
            f"the workbook cannot be read ({type(error).__name__}).", remedy="open and save it again, then deliver it."
        ) from None
    begin = _first_column(sheet, table)
    for column, (rows, texts) in sheet.given.items():
        known = [(row - 1, text) for row, text in zip(rows, texts, strict=True) if row <= table.height]
        if known:
            places, values = zip(*known, strict=True)
            table = table.with_columns(table.to_series(column - begin).scatter(list(places), list(values)))
    return sheet, table


def _first_column(sheet: Sheet, table: pl.DataFrame) -> int:
    """Return which column of the worksheet the table begins with: the first with a value.

    Raises SourceError where that cannot be told and something must be put in its place.
    """
    first, last = min(sheet.filled, default=0), max(sheet.filled, default=-1)
    if (sheet.given or sheet.merged) and table.height and table.width != last - first + 1:
        raise SourceError(
            "the columns of the worksheet cannot be told from each other.",
            remedy="open and save it again, then deliver it.",
        )
    return first


def probe_workbook(file: Path) -> None:
    """Raise SourceError for what is no sound workbook: protected, half-written, bomb-like, or another archive."""
    with file.open("rb") as stream:
        start = stream.read(1000)
    if start.startswith(OLE):
        raise SourceError(
            "the workbook is protected by a password, or an old .xls.",
            remedy="save it as .xlsx without a password, or set reader: xls in the contract.",
        )
    if not start.startswith(b"PK"):
        raise not_of_kind(start, "xlsx")
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        raise SourceError("the workbook is damaged or half-written.", remedy="deliver it again.") from None
    if "content.xml" in names:
        raise SourceError("the workbook is ODS, not XLSX.", remedy="set reader: ods in the contract.")
    if not any(name.startswith("xl/") for name in names):
        raise SourceError(
            "the file is an archive, not a workbook.", remedy="deliver an .xlsx workbook, or declare packed: zip."
        )


def _refuse_sparse(sheet: Sheet, limits: Limits) -> None:
    """Raise SourceError where few cells span a huge area: what reads a worksheet makes room for all of it."""
    if not sheet.columns:
        return
    limits.check_columns(max(sheet.columns) - min(sheet.columns) + 1)
    area = (max(sheet.columns) - min(sheet.columns) + 1) * (sheet.last_row + 1)
    if area > SPARSE_CELLS and sheet.cells < LEAST_FILLED * area:
        raise SourceError(
            "a few cells of the worksheet lie far apart from the others.", remedy="delete the stray cells and save it."
        )
    limits.check_cells(area)
