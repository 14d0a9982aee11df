"""Old workbooks (XLS, BIFF): one worksheet, cells as text, dates by the workbook's own date system."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import Any

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading import grid
from jobs.storage.reading.cell_values import DAYS, NO_DAY, clock, is_elapsed
from jobs.storage.reading.diagnosis import OLE, not_of_kind
from jobs.storage.reading.layout import Layout, Records
from jobs.storage.reading.limits import Limits

_STREAM = 2  # kind of a directory's entry
_REMEDY = "save it as .xlsx without a password, then deliver it (and set reader: xlsx)."


def read_old_workbook(file: Path, source: Source, layout: Layout, limits: Limits) -> Records:
    """Yield the records below the header row, numbered as the worksheet shows them; empty rows are none.

    Cells merged over several data rows count in each of them. Raises SourceError for another kind of file, a protected
    or damaged workbook, a missing worksheet, and a header that is not the contract's.
    """
    rows, unvalued, merged = load(file, source.sheet)
    width = max(map(len, rows), default=0)
    limits.check_cells(len(rows) * width)
    padded = [row + [None] * (width - len(row)) for row in rows]
    downwards = grid.spread(merged, len(rows), width, limits)
    yield from grid.records(grid.filled(padded, downwards), source, layout, limits, frozenset(unvalued))


def load(
    file: Path, sheet: str | None
) -> tuple[list[list[str | None]], set[int], list[tuple[int, int, int, int]]]:
    """Return a worksheet's rows, the rows with an error in them, and the ranges of merged cells."""
    import xlrd

    with file.open("rb") as stream:
        start = stream.read(1000)
    if not start.startswith(OLE) and not start.startswith((b"\x09\x08", b"\x09\x04", b"\x09\x02", b"\x09\x00")):
        raise not_of_kind(start, "xls")
    try:
        if start.startswith(OLE):
            _check_chains(file)
        book = xlrd.open_workbook(
            str(file), logfile=io.StringIO(), formatting_info=True, ragged_rows=True, on_demand=True
        )
        names = book.sheet_names()
        if sheet is not None and sheet not in names:
            raise SourceError(f"there is no worksheet {sheet!r}.", remedy="mend sheet: in the contract.")
        table = book.sheet_by_name(sheet) if sheet is not None else book.sheet_by_index(0)
        unvalued: set[int] = set()
        rows = []
        for number in range(table.nrows):
            cells = table.row(number)
            rows.append([_text(cell, book.datemode, _code(book, cell)) for cell in cells])
            if any(cell.ctype == xlrd.XL_CELL_ERROR for cell in cells):
                unvalued.add(number + 1)
        merged = [(top + 1, bottom, left, right - 1) for top, bottom, left, right in table.merged_cells]
    except SourceError:
        raise
    except Exception as error:  # damaged files break this parser in any of a dozen ways
        protected = isinstance(error, xlrd.XLRDError) and "encrypted" in str(error)
        what = "the workbook is protected by a password." if protected else (
            f"the workbook is damaged, or not of a kind that can be read ({type(error).__name__})."
        )
        raise SourceError(what, remedy=_REMEDY) from None
    return rows, unvalued, merged


def _check_chains(file: Path) -> None:
    """Raise ValueError where the places of a short stream lead back to one of them: the library follows them for ever.

    It checks the long ones itself. Layout: Microsoft's compound file binary format (MS-CFB), 2.4.
    """
    from xlrd.compdoc import CompDoc

    document = CompDoc(file.read_bytes(), io.StringIO())
    for entry in document.dirlist:
        if entry.etype != _STREAM or entry.tot_size >= document.min_size_std_stream:
            continue
        place, seen = entry.first_SID, set()
        while 0 <= place < len(document.SSAT):
            if place in seen:
                raise ValueError("the places of a stream lead back to one of them")
            seen.add(place)
            place = document.SSAT[place]


def sheet_names(file: Path) -> list[str]:
    """Return the names of a workbook's worksheets in order."""
    import xlrd

    try:
        with file.open("rb") as stream:
            start = stream.read(len(OLE))
        if start == OLE:
            _check_chains(file)
        return list(xlrd.open_workbook(str(file), logfile=io.StringIO(), on_demand=True).sheet_names())
    except Exception as error:
        raise SourceError(f"the workbook cannot be read ({type(error).__name__}).", remedy=_REMEDY) from None


def _code(book: Any, cell: Any) -> str:
    """Return the format code of a cell, empty where the workbook does not say."""
    style = book.xf_list[cell.xf_index] if cell.xf_index is not None and cell.xf_index < len(book.xf_list) else None
    shown = book.format_map.get(style.format_key) if style is not None else None
    return shown.format_str if shown is not None else ""


def _text(cell: Any, datemode: int, code: str) -> str | None:
    import xlrd

    if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
        return None
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return "true" if cell.value else "false"
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return None
    if cell.ctype == xlrd.XL_CELL_DATE:
        if 0 <= cell.value < DAYS[bool(datemode)] and is_elapsed(code):
            return clock(cell.value, elapsed=True)
        if int(cell.value) == NO_DAY and not datemode:
            return number_text(cell.value)
        try:
            moment: datetime = xlrd.xldate_as_datetime(cell.value, datemode)
        except (ValueError, OverflowError, xlrd.XLDateError):
            return number_text(cell.value)
        return moment.strftime("%H:%M:%S") if 0 <= cell.value < 1 else moment.isoformat(" ", "seconds")
    if cell.ctype == xlrd.XL_CELL_NUMBER:
        return number_text(cell.value)
    return str(cell.value) or None


def number_text(value: float) -> str:
    """Return a number as a spreadsheet would show it in a wide cell: whole numbers without a point."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
