"""What the XML of an XLSX worksheet says and readers of cells leave out: its extent, merged cells, bare formulas."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from jobs.errors import SourceError
from jobs.storage.reading.archive import check_directory, check_package
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.markup import declared_encoding, local, parsed

_P = rb"(?:[A-Za-z_][\w.-]*:)?"  # a namespace's prefix, which some programs write
_ROW_END = re.compile(rb"</" + _P + rb"row>")
_PLACE = re.compile(rb"<" + _P + rb"c\b[^>]*?\br=[\"']([A-Z]{1,7})(\d{1,12})[\"']")
_LETTERS = re.compile(rb"<" + _P + rb"c\b[^>]*?\br=[\"']([A-Z]{1,7})")
_ROW = re.compile(rb"<" + _P + rb"row\b[^>]*?\br=[\"'](\d{1,12})[\"']")
_CELL = re.compile(rb"<" + _P + rb"c\b([^>]*)>(.*?)</" + _P + rb"c>", re.DOTALL)
_VALUE = re.compile(rb"<" + _P + rb"(?:v|t)\b[^>/]*>[^<]")
_MERGED = re.compile(rb"<" + _P + rb"mergeCell\b[^>]*\bref=[\"']([A-Z]{1,7})(\d{1,12}):([A-Z]{1,7})(\d{1,12})[\"']")
_MOST_PART = 8 << 20  # bytes of the list of worksheets


@dataclass
class Sheet:
    """Hold a worksheet's name, the columns (from 0) with cells, its last row, and how many cells it lists.

    `merged` has ranges (top, bottom, left, right), rows from 1 and columns from 0; `unvalued` the rows with an error or
    a formula without a value.
    """

    name: str
    columns: set[int] = field(default_factory=set)
    last_row: int = 0
    cells: int = 0
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    unvalued: set[int] = field(default_factory=set)


def scan(file: Path, wanted: str | None, limits: Limits) -> Sheet:
    """Look through a whole workbook once: its sizes, its entities, and the structure of one worksheet.

    Raises SourceError for a bomb, for declared entities and for a worksheet that is not there, BadZipFile for damage.
    """
    with zipfile.ZipFile(file) as archive:
        check_directory(archive, file.stat().st_size, limits)
        name, part = _part(archive, wanted, limits)
        for entry in archive.infolist():
            if entry.filename.endswith((".xml", ".rels")):
                with archive.open(entry) as stream:
                    start = stream.read(2000)
                if b"<!DOCTYPE" in start.replace(b"\x00", b""):
                    raise SourceError(
                        "the workbook declares entities.", remedy="open and save it again, then deliver it."
                    )
    scanner = _Scanner(Sheet(name), limits)
    check_package(file, limits, {part: scanner.feed} if part else None)
    scanner.finish()
    return scanner.sheet


class _Scanner:
    def __init__(self, sheet: Sheet, limits: Limits) -> None:
        self.sheet, self.limits, self.kept = sheet, limits, b""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the worksheet; only whole rows are looked at."""
        text = self.kept + chunk
        ends = [m.end() for m in _ROW_END.finditer(text, max(len(self.kept) - 20, 0))][-1:]
        if ends:
            self._rows(text[: ends[0]])
            text = text[ends[0] :]
        elif len(text) > 8 * self.limits.max_record_bytes:
            raise SourceError("a row of the worksheet is too large.", remedy="deliver an ordinary workbook.")
        self.kept = text

    def finish(self) -> None:
        """Look at what is left: rows that never end, and the merged cells."""
        self._rows(self.kept)
        for left, top, right, bottom in _MERGED.findall(self.kept):
            self.sheet.merged.append((int(top), int(bottom), _column(left), _column(right)))

    def _rows(self, text: bytes) -> None:
        sheet = self.sheet
        letters = _LETTERS.findall(text)
        sheet.cells += len(letters)
        sheet.columns |= {_column(one) for one in set(letters)}
        sheet.last_row = max(sheet.last_row, *(int(n) for n in _ROW.findall(text)), 0, 0)
        if b't="e"' in text or re.search(rb"<" + _P + rb"f\b", text):
            self._formulas(text)

    def _formulas(self, text: bytes) -> None:
        for cell in _CELL.finditer(text):
            attributes, inside = cell.groups()
            error = b't="e"' in attributes
            bare = re.search(rb"<" + _P + rb"f\b", inside) and not _VALUE.search(inside)
            if error or bare:
                place = _PLACE.match(cell.group())
                if place:
                    self.sheet.unvalued.add(int(place.group(2)))


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


def _part(archive: zipfile.ZipFile, wanted: str | None, limits: Limits) -> tuple[str, str | None]:
    """Return the worksheet's name and which part of the archive it is."""
    try:
        book = _elements(archive, "xl/workbook.xml", limits)
        relations = _elements(archive, "xl/_rels/workbook.xml.rels", limits)
    except KeyError:
        raise SourceError("the workbook cannot be read.", remedy="open and save it again, then deliver it.") from None
    sheets = [(a.get("name", ""), a.get("id", "")) for tag, a in book if tag == "sheet"]
    targets = {a.get("Id", ""): a.get("Target", "") for tag, a in relations if tag == "Relationship"}
    if not sheets:
        raise SourceError("the workbook has no worksheet.", remedy="deliver it again.")
    for name, identity in sheets:
        if wanted in (None, name):
            target = targets.get(identity, "")
            return name, target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    raise SourceError(f"there is no worksheet {wanted!r}.", remedy="mend sheet: in the contract.")


def _elements(archive: zipfile.ZipFile, part: str, limits: Limits) -> list[tuple[str, dict[str, str]]]:
    info = archive.getinfo(part)
    if info.file_size > _MOST_PART:
        raise SourceError("the workbook's list of worksheets is too large.", remedy="deliver an ordinary workbook.")
    with archive.open(info) as stream:
        start = stream.read(400)
    with archive.open(info) as stream:
        return list(parsed(stream, declared_encoding(start) or "utf-8", _Elements(), limits))


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1
