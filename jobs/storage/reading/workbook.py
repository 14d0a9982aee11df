"""Workbooks (XLSX): one worksheet, its header in the row the contract names, cells as text."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from jobs.contract import Source
from jobs.errors import SourceError
from jobs.storage.reading.layout import Layout, Record

MOST_BYTES = 4 << 30  # unpacked; beyond, or beyond the ratio, the file is a bomb
MOST_RATIO = 300
MOST_CELLS = 10_000_000  # a worksheet spans, filled or not; beyond, most of them must be filled
LEAST_FILLED = 0.01


def read_workbook(file: Path, source: Source, layout: Layout) -> Iterator[Record]:
    """Yield the records below the header row, numbered as the worksheet shows them; empty rows are none.

    Cells merged over several data rows count in each of them. Raises SourceError for a protected, half-written or
    bomb-like workbook, a missing worksheet, and a header that is not the contract's.
    """
    probe_workbook(file)
    import fastexcel

    try:
        workbook = fastexcel.read_excel(file)
        sheet = source.sheet or workbook.sheet_names[0]
        if sheet not in workbook.sheet_names:
            raise SourceError(f"there is no worksheet {sheet!r}.", remedy="mend sheet: in the contract.")
        xml = _sheet_xml(file, sheet)
        _refuse_sparse(xml)
        table = workbook.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string").to_polars()
    except fastexcel.FastExcelError as error:
        raise SourceError(
            f"the workbook cannot be read ({type(error).__name__}).", remedy="open and save it again, then deliver it."
        ) from None
    rows = table.rows()  # from the worksheet's first row on, filled or not; columns from the first filled one on
    head = source.header_row - 1
    if head >= len(rows):
        raise SourceError("the header row is not there.", where=f"row {source.header_row}", remedy="mend header_row:.")
    names = layout.check_header([cell or "" for cell in rows[head]])
    spread = _merged_down(xml, len(rows), table.width)
    for row, cells in enumerate(rows[head + 1 :], source.header_row + 1):
        values = list(cells)
        for column, first in spread.get(row, {}).items():
            values[column] = rows[first - 1][column]
        if all(cell is None or not cell.strip() for cell in values):
            continue
        yield layout.record(row, names, values)


def probe_workbook(file: Path) -> None:
    """Raise SourceError for what is no sound workbook: protected, half-written, bomb-like, or another archive."""
    with file.open("rb") as stream:
        start = stream.read(8)
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise SourceError(
            "the workbook is protected by a password, or an old .xls.", remedy="save it as .xlsx without a password."
        )
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > MOST_BYTES or unpacked > MOST_RATIO * max(file.stat().st_size, 1 << 20):
                raise SourceError("the workbook unpacks to far more than it may.", remedy="deliver an ordinary one.")
            if not any(entry.filename.startswith("xl/") for entry in archive.infolist()):
                raise SourceError("the file is an archive, not a workbook.", remedy="deliver an .xlsx workbook.")
    except zipfile.BadZipFile:
        raise SourceError("the workbook is damaged or half-written.", remedy="deliver it again.") from None


def _sheet_xml(file: Path, sheet: str) -> str:
    """Return a worksheet's XML; empty where it cannot be had, which the reader of cells says better."""
    try:
        return _unpacked(file, sheet)
    except (KeyError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error):
        return ""


def _unpacked(file: Path, sheet: str) -> str:
    with zipfile.ZipFile(file) as archive:
        book = archive.read("xl/workbook.xml").decode("utf-8", "replace")
        names = re.findall(r"<sheet\b[^>]*\bname=\"([^\"]*)\"[^>]*\br:id=\"([^\"]+)\"", book)
        relations = archive.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
        target = None
        for name, identity in names:
            if _unescaped(name) == sheet:
                found = re.search(
                    rf"<Relationship\b(?=[^>]*\bId=\"{re.escape(identity)}\")[^>]*\bTarget=\"([^\"]+)\"", relations
                )
                target = found.group(1) if found else None
        if target is None:
            return ""
        path = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        return archive.read(path).decode("utf-8", "replace")


def _refuse_sparse(xml: str) -> None:
    """Raise SourceError where few cells span a huge area: what reads a worksheet makes room for all of it."""
    places = re.findall(r"\br=[\"']([A-Z]+)(\d+)[\"']", xml)
    if not places:
        return
    columns = {_column(letters) for letters in {letters for letters, _ in places}}
    rows = [int(number) for _, number in places]
    area = (max(columns) - min(columns) + 1) * (max(rows) + 1)
    if area > MOST_CELLS and len(places) < LEAST_FILLED * area:
        raise SourceError(
            "a few cells of the worksheet lie far apart from the others.", remedy="delete the stray cells and save it."
        )


def _unescaped(text: str) -> str:
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
        text = text.replace(entity, character)
    return text


def _merged_down(xml: str, height: int, width: int) -> dict[int, dict[int, int]]:
    """Return row → column → the row that holds the value, for cells merged over several rows.

    Columns count from the first one with a filled cell, as the rows read do; a range may claim more than there is.
    """
    spread: dict[int, dict[int, int]] = {}
    merged = re.findall(r"<mergeCell\b[^>]*\bref=\"([A-Z]+)(\d+):([A-Z]+)(\d+)\"", xml)
    filled = re.findall(r"<c\b[^>]*\br=\"([A-Z]+)\d+\"[^>/]*>", xml) if merged else []
    begin = min(map(_column, set(filled)), default=0)
    for left, top, right, bottom in merged:
        for row in range(int(top) + 1, min(int(bottom), height) + 1):
            for column in range(max(_column(left) - begin, 0), min(_column(right) - begin + 1, width)):
                spread.setdefault(row, {})[column] = int(top)
    return spread


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
