"""Delimited text (RFC 4180 and its relatives): one record is one record of the declared dialect, ragged or not."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path

from jobs.contract import Source
from jobs.errors import SourceError
from jobs.storage.reading.layout import KEPT_RAW, RAW, Layout, Record, check_encoding

MOST_LINES = 100  # of one record: beyond, a quote was never closed
BAD_SHARE = 0.05  # of the first lines; beyond, the encoding is not the declared one
PROBED = 1 << 20
CANDIDATES = ("utf-8", "gb18030", "utf-16")
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAGIC = {
    b"PK\x03\x04": "a ZIP archive or a workbook", b"\xd0\xcf\x11\xe0": "an old or protected workbook",
    b"\x1f\x8b": "compressed (gzip)", b"%PDF": "a PDF", b"SQLite format 3": "an SQLite database",
}

csv.field_size_limit(1 << 30)  # a large cell is a defect of its row, judged later; it must not stop the file


def read_delimited(file: Path, source: Source, layout: Layout) -> Iterator[Record]:
    """Yield the records of a delimited file; blank lines are none.

    Raises SourceError for another kind of file, an encoding that does not fit, and a header that is not the contract's.
    """
    _probe(file, source)
    lines = Lines(file, source.encoding)
    names: list[str] | None = None
    for row, text, bad in _records(lines, source):
        if row < source.header_row:
            continue
        if names is None:
            names = _header(_cells(text, source) or [], file, source, layout)
            continue
        cells = None if bad else _cells(text, source)
        if cells is None:
            yield Record(row, {}, bad or "record.quoting", {RAW: text[:KEPT_RAW]})
        elif len(cells) != len(names):
            partial = layout.record(row, names, cells)
            yield Record(row, partial.cells, "record.column_count", {RAW: text[:KEPT_RAW]})
        else:
            yield layout.record(row, names, cells)
    if names is None:
        raise SourceError("the file has no header.", remedy="deliver it again, or mend header_row: in the contract.")


class Lines:
    """Give a file's lines with their numbers, and take lines back that were read too far."""

    def __init__(self, file: Path, encoding: str) -> None:
        self._lines = _decoded(file, encoding)
        self._back: list[tuple[int, str, bool]] = []

    def next(self) -> tuple[int, str, bool] | None:
        """Return number, text and whether its bytes were readable; None at the end."""
        return self._back.pop() if self._back else next(self._lines, None)

    def give_back(self, lines: list[tuple[int, str, bool]]) -> None:
        """Take lines back, to be given again in order."""
        self._back.extend(reversed(lines))


def _decoded(file: Path, encoding: str) -> Iterator[tuple[int, str, bool]]:
    if _wide(encoding):
        with file.open(encoding=encoding, errors="replace", newline="\n") as text:
            for number, line in enumerate(text, 1):
                yield number, line.rstrip("\r\n"), "�" not in line
        return
    number = 0
    # Of the encodings in use here none has a line feed inside a character, so bytes may be cut there.
    with file.open("rb") as stream:
        while chunk := stream.readlines(PROBED):
            try:
                texts = b"".join(chunk).decode(encoding).split("\n")
                readable = None
            except UnicodeDecodeError:
                texts = [line.decode(encoding, "replace").rstrip("\n") for line in chunk]
                readable = [_reads(line, encoding) for line in chunk]
            for place in range(len(chunk)):
                number += 1
                yield number, texts[place].rstrip("\r"), readable is None or readable[place]


def _reads(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _records(lines: Lines, source: Source) -> Iterator[tuple[int, str, str | None]]:
    """Yield row number, text and defect of each record; a record ends where its quotes are closed."""
    while (found := lines.next()) is not None:
        number, text, readable = found
        if not readable:
            yield number, text, "record.encoding"
        elif not text.strip():
            continue
        elif source.quote not in text or not _open(text, source):
            yield number, text, None
        else:
            yield _joined(lines, number, text, source)


def _joined(lines: Lines, number: int, text: str, source: Source) -> tuple[int, str, str | None]:
    """Add lines until the record's quotes are closed; when they never are, only its first line is defective."""
    taken: list[tuple[int, str, bool]] = []
    whole = text
    while len(taken) < MOST_LINES and (more := lines.next()) is not None:
        taken.append(more)
        whole += f"\n{more[1]}"
        if source.quote in more[1] and not _open(whole, source):
            if _cells(whole, source) is None:
                break  # two stray quotes make no cell; the lines between are records of their own
            return number, whole, None
    lines.give_back(taken)
    return number, text, "record.stray_quote"


def _open(text: str, source: Source) -> bool:
    """Tell whether a quoted cell is still open at the end of a text."""
    try:
        next(csv.reader([text], delimiter=source.delimiter, quotechar=source.quote, strict=True), None)
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _cells(text: str, source: Source) -> list[str] | None:
    """Return a record's cells, None when its quoting cannot be read."""
    if source.quote not in text:
        return text.split(source.delimiter)
    try:
        return next(csv.reader([text], delimiter=source.delimiter, quotechar=source.quote, strict=True), [])
    except csv.Error:
        return None


def _header(cells: list[str], file: Path, source: Source, layout: Layout) -> list[str]:
    if not layout.fits(cells) and (fitting := _other_encoding(file, source, layout)):
        raise SourceError(
            f"the file is {fitting}, not {source.encoding} as declared.", where="header",
            remedy="mend encoding: in the contract, or deliver the file in the declared encoding.",
        )
    return layout.check_header(cells)


def _other_encoding(file: Path, source: Source, layout: Layout) -> str | None:
    for encoding in CANDIDATES:
        if encoding == source.encoding.lower():
            continue
        first = _first(file, encoding, source.header_row)
        found = [text for number, text, ok in first if number == source.header_row and ok]
        if found and layout.fits(_cells(found[0], source) or []):
            return encoding
    return None


def _first(file: Path, encoding: str, count: int) -> Iterator[tuple[int, str, bool]]:
    try:
        for line in _decoded(file, encoding):
            yield line
            if line[0] >= count:
                return
    except (UnicodeError, LookupError):
        return


def _probe(file: Path, source: Source) -> None:
    """Raise SourceError for a file that is no text at all, or not in the declared encoding."""
    with file.open("rb") as stream:
        start = stream.read(PROBED)
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            raise SourceError(f"the file is {kind}, not delimited text.", remedy="deliver delimited text.")
    check_encoding(source.encoding)
    lines = start.split(b"\n")[:-1] or [start]
    if _wide(source.encoding):
        # Its characters do not end where bytes say "line feed", so it is judged as a whole.
        try:
            codecs.getincrementaldecoder(source.encoding)().decode(start)
            bad = 0 if source.encoding.lower()[-2:] in ("le", "be") or start.startswith(_MARKS) else len(lines)
        except UnicodeError:
            bad = len(lines)
    else:
        bad = sum(not _reads(line, source.encoding) for line in lines)
    if bad > max(1, BAD_SHARE * len(lines)) or (bad and len(lines) < 3):
        fitting = _fitting(start, lines)
        hint = f"; {fitting} fits" if fitting else ""
        raise SourceError(
            f"{bad} of the first {len(lines)} lines are not {source.encoding}{hint}.",
            remedy="mend encoding: in the contract, or deliver the file in the declared encoding.",
        )


def _wide(encoding: str) -> bool:
    """Tell whether an encoding writes every character in two or four bytes."""
    return encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32"))


def _fitting(start: bytes, lines: list[bytes]) -> str | None:
    if start.startswith(_MARKS):
        return "utf-16"
    return next((e for e in CANDIDATES[:2] if all(_reads(line, e) for line in lines)), None)
