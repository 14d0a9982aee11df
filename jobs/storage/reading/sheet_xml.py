"""What the XML of an XLSX worksheet says and readers of cells leave out: its extent, merged cells, bare formulas.

Rows as nearly all programs write them are looked at by their bytes, a chunk at a time; a worksheet that is written in
any other way is parsed as XML. Both say the same.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import join, normpath
from typing import Any, NamedTuple

from jobs.errors import SourceError
from jobs.storage.reading.archive import check_directory, check_package
from jobs.storage.reading.cell_values import Element, Styles
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.markup import Handler, declared_encoding, local, parsed

_ATTRIBUTE = re.compile(rb' ([A-Za-z:_]+)="([^"]*)"')
_DIGITS = 8  # of a row's number, and more than it may have
_MERGED = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7}):\$?([A-Z]{1,3})\$?(\d{1,7})")
_PLACE = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})")
_MOST_PART = 8 << 20  # bytes of the list of worksheets
_MOST_STYLES = 64 << 20
_STYLES = "xl/styles.xml"
_LONGEST_START = 1 << 20  # bytes before a worksheet's rows


@dataclass
class Sheet:
    """Hold a worksheet's name, the columns (from 0) with cells, its last row, and how many cells it lists.

    `filled` are the columns with a cell that holds something: many a cell has a border or a format and no more.
    `merged` has ranges (top, bottom, left, right), rows from 1 and columns from 0; `unvalued` the rows with an error or
    a formula without a value; `given`, by column, rows and texts of cells that the reader of cells would misread.
    """

    name: str
    styles: Styles = field(default_factory=Styles)
    columns: set[int] = field(default_factory=set)
    filled: set[int] = field(default_factory=set)
    last_row: int = 0
    cells: int = 0
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    unvalued: set[int] = field(default_factory=set)
    given: dict[int, tuple[list[int], list[str]]] = field(default_factory=dict)

    def take(self, row: int, column: int, kind: str, style: str, value: str | None, *, formula: bool) -> None:
        """Look at the value of one cell; it is None where the file gives none."""
        if kind == "e" or (formula and not value and not (kind == "str" and value is not None)):
            self.unvalued.add(row)
        elif kind == "s" and value and not value.isdecimal():
            raise _broken("a cell of the worksheet refers to no text.")
        elif kind in ("", "n") and value and (text := self.styles.text(style, value)) is not None:
            rows, texts = self.given.setdefault(column, ([], []))
            rows.append(row)
            texts.append(text)

    def merge(self, reference: str) -> None:
        """Take the range of a merged cell."""
        if found := _MERGED.fullmatch(reference):
            left, top, right, bottom = found.groups()
            self.merged.append((int(top), int(bottom), _column(left), _column(right)))


def scan(file: Path, wanted: str | None, limits: Limits) -> Sheet:
    """Look through a whole workbook once: its sizes, its entities, and the structure of one worksheet.

    Raises SourceError for a bomb, for declared entities, for a worksheet that is not there and for one that gives a row
    or a cell twice; BadZipFile for damage.
    """
    with zipfile.ZipFile(file) as archive:
        check_directory(archive, file.stat().st_size, limits)
        sheet, part = _part(archive, wanted, limits)
        for entry in archive.infolist():
            if entry.filename.endswith((".xml", ".rels")):
                with archive.open(entry) as stream:
                    start = stream.read(2000)
                if b"<!DOCTYPE" in start.replace(b"\x00", b""):
                    raise SourceError(
                        "the workbook declares entities.", remedy="open and save it again, then deliver it."
                    )
    scanner = _Scanner(sheet, limits)
    check_package(file, limits, {part: scanner.feed})
    if scanner.finish():
        return sheet
    slowly = Sheet(sheet.name, sheet.styles)
    with zipfile.ZipFile(file) as archive:
        for _ in _parsed(archive, part, _Handler(slowly), limits):
            pass
    return slowly


class _Forms(NamedTuple):
    """Hold the patterns of rows and cells as nearly all programs write them, under one prefix of their namespace."""

    places: re.Pattern[bytes]
    cell: re.Pattern[bytes]
    moments: re.Pattern[bytes] | None
    formula: re.Pattern[bytes]
    row_end: bytes

    @classmethod
    def of(cls, prefix: bytes, styles: Styles) -> _Forms:
        p, attribute = re.escape(prefix), rb' [A-Za-z:_]+="[^"<>]*"'
        start = b"<" + p + rb'c r="([A-Z]{1,3})([1-9]\d{0,6})"'
        numbers = "|".join(map(str, styles.odd)).encode()
        formula = b"<" + p + b"f(?:" + attribute + b")*\\s?(?:/>|>[^<]*</" + p + b"f>)"
        value = b"<" + p + b"v(?:" + attribute + b")*\\s?(?:/>|></" + p + b"v>)"
        nothing = rb"\s?(?:(/)>|>(?=((?:" + formula + b"|" + value + b")*</" + p + b"c>)?))"  # a cell without a value
        return cls(
            re.compile(b"<" + p + rb'row r="([1-9]\d{0,6})"|' + start + b"(?:" + attribute + b")*" + nothing),
            re.compile(start + b"((?:" + attribute + b")*)\\s?(?:/>|>(.*?)</" + p + b"c>)", re.DOTALL),
            re.compile(start + b"((?:" + attribute + rb')*? s="(?:' + numbers + b')"(?:' + attribute + b")*)\\s?>(?!</)"
                       b"(<.*?)</" + p + b"c>", re.DOTALL)
            if numbers else None,
            re.compile(b"<" + p + rb"f[ />]"),
            b"</" + prefix + b"row>",
        )


class _Scanner:
    """Look at a worksheet's bytes as they come; gives up where they are not written as nearly all programs do."""

    def __init__(self, sheet: Sheet, limits: Limits) -> None:
        self.sheet, self.limits, self.kept = sheet, limits, b""
        self.forms: _Forms | None = None
        self.prefix = b""
        self.row = 0
        self.plain = True

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the worksheet; only whole rows are looked at."""
        if not self.plain:
            return
        text = self.kept + chunk
        if self.forms is None:
            if not (found := re.search(rb"<([A-Za-z_][\w.-]*:)?sheetData(?=[\s/>])", text)):
                self.plain, self.kept = len(text) < _LONGEST_START, text
                return
            self.prefix = found.group(1) or b""
            self.forms = _Forms.of(self.prefix, self.sheet.styles)
            text = text[found.end() :]
        end = text.rfind(self.forms.row_end)
        if end >= 0:
            end += len(self.forms.row_end)
            self._rows(text[:end], self.forms)
            text = text[end:]
        elif len(text) > 8 * self.limits.max_record_bytes:
            raise SourceError("a row of the worksheet is too large.", remedy="deliver an ordinary workbook.")
        self.kept = text

    def finish(self) -> bool:
        """Look at what is left, the merged cells; tell whether everything was written as expected."""
        if self.forms is None or not self.plain:
            return False
        if self.forms.places.search(self.kept) or b"<!" in self.kept:
            return False  # a row without an end, or a comment that may hide merged cells
        for reference in re.findall(rb'<' + self.prefix + rb'mergeCell\b[^<>]*?\bref="([^"]*)"', self.kept):
            self.sheet.merge(reference.decode("ascii", "replace"))
        return self.plain and self.kept.rstrip().endswith(b"</" + self.prefix + b"worksheet>")

    def _rows(self, text: bytes, forms: _Forms) -> None:
        sheet, prefix = self.sheet, self.prefix
        found = forms.places.findall(text)
        written = text.count(b"<" + prefix + b"row") + text.count(b"<" + prefix + b"c")
        odd = (b"<!", b"<?", b"</" + prefix + b"sheetData")  # rows below the end of the rows
        if written != len(found) or any(sign in text for sign in odd):
            self.plain = False
            return
        row, letters, filled, last = str(self.row).encode(), set(), set(), (0, b"")
        for one, column, of_row, closed, nothing in found:
            if one:
                if int(one) <= int(row):
                    self.plain = False
                    return
                row, last = one, (0, b"")
                continue
            place = (len(column), column)
            if of_row != row or place <= last:
                self.plain = False
                return
            last = place
            letters.add(column)
            if not (closed or nothing):
                filled.add(column)
        self.row = int(row)
        sheet.cells += len(found)
        sheet.columns |= {_column(one.decode()) for one in letters}
        sheet.filled |= {_column(one.decode()) for one in filled}
        sheet.last_row = self.row
        self._values(text, forms)

    def _values(self, text: bytes, forms: _Forms) -> None:
        """Look at the cells whose value may need it."""
        p = re.escape(self.prefix)
        cells: list[tuple[bytes, ...]] = []
        if (
            b't="e"' in text or forms.formula.search(text)
            or re.search(b"<" + p + rb"v>-?\d{16,}<", text)
            or re.search(rb't="s"[^<>]*><' + p + rb"v>(?!\d+<)", text)
        ):
            cells = forms.cell.findall(text)
        elif forms.moments is not None:
            cells = forms.moments.findall(text)
        for column, row, attributes, inside in cells:
            has = {key: value.decode() for key, value in _ATTRIBUTE.findall(attributes)}
            found = re.search(b"<" + p + rb"(?:v|t)(?: [^<>]*)?(?:/>|>([^<]*))", inside)
            value = (found.group(1) or b"").decode("utf-8", "replace") if found else None
            formula = bool(forms.formula.search(inside))
            kind, style, place = has.get(b"t", ""), has.get(b"s", ""), _column(column.decode())
            self.sheet.take(int(row), place, kind, style, value, formula=formula)


class _Handler:
    """Look at a worksheet that is written in any other way, by the events of its XML."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self._columns: set[int] = set()
        self._row, self._column = 0, -1
        self._cell: dict[str, str] | None = None
        self._value: str | None = None
        self._formula = self._inside = self._begun = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin a row, a cell or a part of one."""
        name = local(tag)
        if name == "sheetData":
            if self._begun:
                raise _broken("the worksheet has its rows in two places.")
            self._begun = True
        elif name == "row":
            self._begin_row(attributes.get("r"))
        elif name == "c":
            self._begin_cell(attributes)
        elif name == "mergeCell":
            self.sheet.merge(attributes.get("ref", ""))
        elif self._cell is not None and name in ("v", "t"):
            self._value, self._inside = self._value or "", True
        elif self._cell is not None and name == "f":
            self._formula = True

    def end(self, tag: str) -> None:
        """End a cell or its value."""
        name = local(tag)
        if name in ("v", "t"):
            self._inside = False
        elif name == "c" and self._cell is not None:
            kind, style = self._cell.get("t", ""), self._cell.get("s", "")
            self.sheet.take(self._row, self._column, kind, style, self._value, formula=self._formula)
            if self._value:
                self.sheet.filled.add(self._column)
            self._cell = None

    def data(self, text: str) -> None:
        """Take text of a cell's value."""
        if self._inside:
            self._value = f"{self._value}{text}"

    def taken(self) -> list[None]:
        """Return nothing: the sheet has it all."""
        return []

    def _begin_row(self, written: str | None) -> None:
        number = int(written) if written and written.isdecimal() and len(written) < _DIGITS else self._row + 1
        if number <= self._row:
            raise _broken(f"row {number} of the worksheet is there twice, or stands below a later one.")
        self._row, self._column = number, -1
        self._columns = set()
        self.sheet.last_row = max(self.sheet.last_row, number)

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        column, row = self._column + 1, self._row
        if "r" in attributes:
            place = _PLACE.fullmatch(attributes["r"].upper())
            if place is None or int(place.group(2)) != row:
                raise _broken(f"a cell in row {row} of the worksheet says it stands elsewhere.")
            column = _column(place.group(1))
        if column in self._columns:
            raise _broken(f"a cell in row {row} of the worksheet is there twice.")
        self._columns.add(column)
        self.sheet.columns.add(column)
        self.sheet.cells += 1
        self._cell, self._column, self._value, self._formula = attributes, column, None, False


class _Elements:
    """Gather the elements of a small document: tag and attributes, both without namespaces."""

    def __init__(self) -> None:
        self._found: list[tuple[str, dict[str, str]]] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._found.append((local(tag), {local(name): value for name, value in attributes.items()}))

    def end(self, tag: str) -> None:
        """Nothing to do."""

    def data(self, text: str) -> None:
        """Nothing to do."""

    def taken(self) -> list[tuple[str, dict[str, str]]]:
        found, self._found = self._found, []
        return found


def _part(archive: zipfile.ZipFile, wanted: str | None, limits: Limits) -> tuple[Sheet, str]:
    """Return the worksheet, empty yet, and which part of the archive it is."""
    try:
        book = _elements(archive, "xl/workbook.xml", limits)
        relations = _elements(archive, "xl/_rels/workbook.xml.rels", limits)
    except KeyError:
        raise _broken("the workbook cannot be read: it lacks a part.") from None
    styles = _elements(archive, _STYLES, limits, _MOST_STYLES) if _STYLES in archive.namelist() else []
    from_1904 = any(tag == "workbookPr" and a.get("date1904") in ("1", "true", "on") for tag, a in book)
    sheets = [(a.get("name", ""), a.get("id", "")) for tag, a in book if tag == "sheet"]
    targets = {a.get("Id", ""): a.get("Target", "") for tag, a in relations if tag == "Relationship"}
    if not sheets:
        raise SourceError("the workbook has no worksheet.", remedy="deliver it again.")
    found = next(((name, identity) for name, identity in sheets if wanted in (None, name)), None)
    if found is None:
        raise SourceError(f"there is no worksheet {wanted!r}.", remedy="mend sheet: in the contract.")
    target = normpath(join("/xl", targets.get(found[1], ""))).lstrip("/")
    parts = {entry.filename.lower(): entry.filename for entry in archive.infolist()}
    if target.lower() not in parts:
        raise _broken("the workbook cannot be read: its worksheet's part is not there.")
    return Sheet(found[0], Styles(styles, from_1904=from_1904)), parts[target.lower()]


def _parsed(archive: zipfile.ZipFile, part: str, handler: Handler, limits: Limits) -> Iterator[Any]:
    with archive.open(part) as stream:
        encoding = declared_encoding(stream.read(400)) or "utf-8"
    with archive.open(part) as stream:
        yield from parsed(stream, encoding, handler, limits)


def _elements(archive: zipfile.ZipFile, part: str, limits: Limits, most: int = _MOST_PART) -> list[Element]:
    if archive.getinfo(part).file_size > most:
        what = "the workbook's styles or its list of worksheets are too large."
        raise SourceError(what, remedy="deliver an ordinary workbook.")
    return list(_parsed(archive, part, _Elements(), limits))


def _broken(what: str) -> SourceError:
    return SourceError(what, remedy="open and save it again, then deliver it.")


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
