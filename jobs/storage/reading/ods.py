"""OpenDocument spreadsheets (ODS): one worksheet as a stream, cells by their stored values (ODF 1.3 part 3, 9)."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading import grid
from jobs.storage.reading.archive import check_package
from jobs.storage.reading.diagnosis import not_of_kind
from jobs.storage.reading.layout import Layout, Records
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.markup import local, parsed

_DURATION = re.compile(r"^PT(\d+)H(\d+)M(\d+)(?:[.,]\d+)?S$")
_ERROR = re.compile(r"(Err:\d{3}|#[A-Z0-9/]+[!?]|#N/A)\s*$")
_STORED = {"float": "value", "currency": "value", "percentage": "value", "date": "date-value",
           "time": "time-value", "boolean": "boolean-value"}


@dataclass(frozen=True)
class OdsRow:
    """Hold one row: its number, its cells, the same with those merged downwards, whether a formula lacks a value."""

    number: int
    cells: list[str | None]
    filled: list[str | None]
    unvalued: bool


def read_ods(file: Path, source: Source, layout: Layout, limits: Limits) -> Records:
    """Yield the records below the header row, numbered as the worksheet shows them; empty rows are none.

    Cells merged over several rows count in each of them. Raises SourceError for another kind of file, a protected,
    damaged or bomb-like one, a missing worksheet, and a header that is not the contract's.
    """
    unvalued: set[int] = set()

    def rows() -> Iterator[grid.Row]:
        for row in sheet_rows(file, source.sheet, limits):
            if row.unvalued:
                unvalued.add(row.number)
            yield row.number, row.cells, row.filled

    yield from grid.records(_even(rows()), source, layout, limits, unvalued)


def sheet_rows(file: Path, sheet: str | None, limits: Limits) -> Iterator[OdsRow]:
    """Yield a worksheet's rows that have any cell."""
    with file.open("rb") as stream:
        start = stream.read(1000)
    if not start.startswith(b"PK"):
        raise not_of_kind(start, "ods")
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if "content.xml" not in names:
                kind = "an XLSX workbook" if "xl/workbook.xml" in names else "an archive, not a workbook"
                raise SourceError(f"the file is {kind}.", remedy="mend reader: in the contract, or deliver ODS.")
            manifest = archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in names else b""
        if b"encryption-data" in manifest:
            raise SourceError("the workbook is protected by a password.", remedy="save it without one.")
        check_package(file, limits)
        handler = _Handler(sheet, limits)
        with zipfile.ZipFile(file) as archive, archive.open("content.xml") as content:
            yield from parsed(content, "utf-8", handler, limits)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):
        raise SourceError("the workbook is damaged or half-written.", remedy="deliver it again.") from None
    if not handler.found:
        what = f"there is no worksheet {sheet!r}." if sheet is not None else "the workbook has no worksheet."
        raise SourceError(what, remedy="mend sheet: in the contract.")


def sheet_names(file: Path, limits: Limits) -> list[str]:
    """Return the names of a workbook's worksheets in order."""
    names = _Names()
    try:
        check_package(file, limits)
        with zipfile.ZipFile(file) as archive, archive.open("content.xml") as content:
            return list(parsed(content, "utf-8", names, limits))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):
        raise SourceError("the workbook is damaged or half-written.", remedy="deliver it again.") from None


class _Names:
    """Gather the names of the tables that are no part of another one."""

    def __init__(self) -> None:
        self._depth = 0
        self._found: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if local(tag) == "table":
            self._depth += 1
            if self._depth == 1:
                self._found += [value for key, value in attributes.items() if local(key) == "name"][:1]

    def end(self, tag: str) -> None:
        self._depth -= local(tag) == "table"

    def data(self, text: str) -> None:
        """Texts are not looked at."""

    def taken(self) -> list[str]:
        found, self._found = self._found, []
        return found


def _even(rows: Iterator[grid.Row]) -> Iterator[grid.Row]:
    """Yield rows at least as wide as the widest before them: cells at their end may be left out of the file."""
    width = 0
    for number, cells, filled in rows:
        width = max(width, len(filled))
        yield number, [*cells, *[None] * (width - len(cells))], [*filled, *[None] * (width - len(filled))]


@dataclass
class _Cell:
    repeated: int
    rows: int
    columns: int
    stored: str | None
    texts: list[str] = field(default_factory=list)
    unvalued: bool = False
    formula: bool = False
    meant: str | None = None  # a text that is stored, and not shown

    def text(self) -> str | None:
        shown = "".join(self.texts).rstrip("\n")
        return self.stored if self.stored is not None else shown or self.meant or None


class _Handler:
    """Gather one worksheet's rows from the events of content.xml."""

    def __init__(self, sheet: str | None, limits: Limits) -> None:
        self.sheet, self.limits, self.found = sheet, limits, False
        self._inside, self._tables, self._notes, self._paragraphs = False, 0, 0, 0
        self._number, self._spanned, self._size = 0, 0, 0
        self._row: list[str | None] = []
        self._blank_columns, self._repeated, self._unvalued = 0, 1, False
        self._cell: _Cell | None = None
        self._below: dict[int, tuple[str | None, int]] = {}  # column: value and rows left of a cell merged downwards
        self._merging: list[tuple[int, str | None, int]] = []
        self._done: list[OdsRow] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name, has = local(tag), {local(key): value for key, value in attributes.items()}
        if name == "table":
            self._tables += 1
            if self._tables == 1 and not self.found and self.sheet in (None, has.get("name")):
                self._inside = self.found = True
        if not self._inside or self._tables > 1:
            return  # a table within a cell or a drawing is none of the worksheet's rows
        if name == "table-row":
            self._row, self._blank_columns, self._unvalued = [], 0, False
            self._repeated = _count(has, "number-rows-repeated")
        elif name in ("table-cell", "covered-table-cell"):
            self._cell = self._begun(has)
        elif name == "annotation":
            self._notes += 1
        elif self._cell is not None and not self._notes:
            if name == "p":
                self._paragraphs += 1
            elif name == "s":
                self._cell.texts.append(" " * min(_count(has, "c"), self.limits.max_cell_bytes))
            elif name in ("line-break", "tab"):
                self._cell.texts.append("\n" if name == "line-break" else "\t")

    def end(self, tag: str) -> None:
        name = local(tag)
        if name == "table":
            self._tables -= 1
            self._inside = self._inside and self._tables > 0
        if not self._inside or self._tables > 1:
            return
        if name == "annotation":
            self._notes -= 1
        elif name == "p" and self._cell is not None and not self._notes:
            self._paragraphs -= 1
            self._cell.texts.append("\n")
        elif name in ("table-cell", "covered-table-cell") and self._cell is not None:
            self._end_cell(self._cell)
            self._cell = None
        elif name == "table-row":
            self._end_row()

    def data(self, text: str) -> None:
        if self._cell is not None and self._paragraphs and not self._notes and self._tables == 1:
            self._cell.texts.append(text)

    def taken(self) -> list[OdsRow]:
        done, self._done = self._done, []
        return done

    def _begun(self, has: dict[str, str]) -> _Cell:
        kind = has.get("value-type", "")
        stored = has.get(_STORED.get(kind, "")) if kind in _STORED else None
        if kind == "date" and stored:
            stored = stored.replace("T", " ")
        elif kind == "time" and stored and (found := _DURATION.match(stored)):
            stored = "{:0>2}:{:0>2}:{:0>2}".format(*found.groups())
        cell = _Cell(
            _count(has, "number-columns-repeated"), _count(has, "number-rows-spanned"),
            _count(has, "number-columns-spanned"), stored,
        )
        cell.formula, cell.meant = "formula" in has, has.get("string-value")
        cell.unvalued = kind == "error" or (cell.formula and not kind)
        return cell

    def _end_cell(self, cell: _Cell) -> None:
        text = cell.text()
        if cell.formula and _ERROR.match("".join(cell.texts)):
            cell.unvalued = True  # some programs say so by what is shown alone
        if cell.unvalued and text and text.startswith(("#", "Err:")):
            text = None  # the error's own name is no value
        self._unvalued = self._unvalued or cell.unvalued
        place = len(self._row) + self._blank_columns
        if text is None:
            self._blank_columns += cell.repeated  # written out only where a filled cell follows
            return
        self.limits.check_columns(place + cell.repeated)
        self._row += [None] * self._blank_columns + [text] * cell.repeated
        self._blank_columns = 0
        if cell.rows > 1:
            self.limits.check_columns(place + cell.columns)
            self._merging += [(place + n, text, cell.rows) for n in range(cell.columns)]

    def _end_row(self) -> None:
        first = self._number + 1
        self._number += self._repeated
        row, filled = self._row, self._filled()
        if filled or self._unvalued:
            self._size += max(len(filled), 1) * self._repeated
            self.limits.check_cells(self._size)
            self._done += [OdsRow(first + n, row, filled, self._unvalued) for n in range(self._repeated)]
        else:
            # One empty row stands for all that are repeated: it may end a section.
            self._done.append(OdsRow(first, [], [], unvalued=False))
        self._below = {
            column: (text, left - self._repeated)
            for column, (text, left) in self._below.items() if left > self._repeated
        }
        self._below.update({column: (text, left - 1) for column, text, left in self._merging if left > 1})
        self._merging = []

    def _filled(self) -> list[str | None]:
        """Return the row with the cells that are merged into it from above."""
        if not self._below:
            return self._row
        filled = [*self._row, *[None] * (max(self._below) + 1 - len(self._row))]
        for column, (text, _) in self._below.items():
            filled[column] = filled[column] or text
        return filled


def _count(has: dict[str, str], name: str) -> int:
    text = has.get(name, "1")
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 10 else 1
