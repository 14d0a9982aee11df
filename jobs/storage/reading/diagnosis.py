"""What a file really is, when it is not what the contract declares: said in words, never by quoting it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading import encodings
from jobs.storage.reading.dialect import Dialect
from jobs.storage.reading.layout import Layout
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.text import Line, Lines
from jobs.storage.sealed import MAGIC

ZIP, OLE, GZIP, SQLITE, PARQUET = b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"SQLite format 3", b"PAR1"
# How a file of a kind begins: what it is, and what the contract would have to say.
_KINDS: dict[bytes, tuple[str, str]] = {
    ZIP: ("a ZIP archive or an XLSX or ODS workbook", "reader: xlsx (or ods), or packed: zip"),
    b"PK\x05\x06": ("an empty ZIP archive", ""),
    OLE: ("an old workbook (XLS), or a protected workbook", "reader: xls"),
    GZIP: ("compressed (gzip)", "packed: gzip"),
    b"%PDF": ("a PDF", ""),
    SQLITE: ("an SQLite database", "reader: database"),
    PARQUET: ("Parquet", "reader: parquet"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", ""),
    b"Rar!": ("a RAR archive", ""),
    MAGIC: ("an encrypted file of landing (`lake delivered` gives the one that was delivered)", ""),
    b"\x89PNG": ("a picture", ""),
    b"\xff\xd8\xff": ("a picture", ""),
}
_WORDS = {
    "csv": "delimited text", "fixed_width": "text of fixed width", "jsonl": "JSON lines", "json": "JSON", "xml": "XML",
    "xlsx": "an XLSX workbook", "xls": "an XLS workbook", "ods": "an ODS workbook", "dbf": "a DBF table",
    "parquet": "Parquet", "database": "a dump of a database", "rest": "a dump of a REST source",
}
_OWN = {"xlsx": (ZIP,), "ods": (ZIP,), "xls": (OLE,), "parquet": (PARQUET,)}
_DELIMITERS = (",", "\t", ";", "|")
_QUOTES = ('"', "'")
_PROBED_ROWS = 30
_FEW = 0.05
_LONGEST_HEADER = 1 << 16  # characters, where another declaration is looked for


def kind_of(start: bytes) -> str | None:
    """Return the kind of file that begins so, None for text and what is not known."""
    return next((kind for magic, (kind, _) in _KINDS.items() if start.startswith(magic)), None)


def other_kind(start: bytes, reader: str) -> None:
    """Raise SourceError for a file whose first bytes are those of another kind than the declared reader reads."""
    for magic, (kind, remedy) in _KINDS.items():
        if start.startswith(magic) and magic not in _OWN.get(reader, ()):
            declare = f"declare {remedy} in the contract, or " if remedy else ""
            what = _WORDS[reader]
            raise SourceError(f"the file is {kind}, not {what}.", remedy=f"{declare}deliver {what}.")


def not_of_kind(start: bytes, reader: str) -> SourceError:
    """Return the error for a file that is not what the reader reads; name what it looks like."""
    try:
        other_kind(start, reader)
    except SourceError as error:
        return error
    text = start[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")
    looks = ""
    if text[:1] in (b"{", b"["):
        looks = "; it looks like JSON"
    elif text[:1] == b"<":
        is_page = b"<html" in text.lower() or b"<table" in text.lower()
        looks = f"; it looks like {'HTML' if is_page else 'XML'}"
    elif text and b"\x00" not in text and encodings.likely(start[:100_000]):
        looks = "; it looks like delimited text"
    what = _WORDS[reader]
    return SourceError(
        f"the file is not {what}{looks}.", remedy=f"mend reader: in the contract, or deliver {what}."
    )


@contextmanager
def wrong_header(file: Path, source: Source, layout: Layout) -> Iterator[None]:
    """Add to an error about a text's header how the file should be declared so that its header would fit."""
    try:
        yield
    except SourceError as error:
        fitting = _fitting(file, source, layout)
        if fitting is None:
            raise
        really = ", ".join(f"{key}: {value!r}" for key, value in fitting.items())
        if list(fitting) == ["encoding"]:
            what = f"the file is {fitting['encoding']}, not {source.encoding} as declared."
        else:
            what = f"the header is not there as declared; it fits with {really}."
        raise SourceError(
            what, where=error.where or "header", remedy="mend the contract's source:, or deliver the file as declared."
        ) from None


def _fitting(file: Path, source: Source, layout: Layout) -> dict[str, str | int] | None:
    """Return the declarations, other than now, under which the header would fit."""
    with file.open("rb") as stream:
        start = stream.read(100_000)
    ends = [source.line_end] if b"\n" in start and b"\r" in start else ["cr" if b"\r" in start else "lf"]
    if source.line_end == "cr" and b"\n" in start:
        ends.append("lf")
    tried = (
        {"line_end": end, "encoding": encoding, "delimiter": delimiter, "quote": quote}
        for encoding in dict.fromkeys((source.encoding, *encodings.CANDIDATES))
        for end in ends
        for quote in dict.fromkeys((source.quote, *_QUOTES))
        for delimiter in dict.fromkeys((source.delimiter, *_DELIMITERS))
        if quote not in delimiter or not quote
    )
    for declared in tried:
        one = source.model_copy(update={**declared, "section": None})
        row = _header_row(file, one, layout)
        if row is not None:
            found: dict[str, str | int] = {**declared, "header_row": row}
            return {k: v for k, v in found.items() if v != getattr(source, k)} or None
    return None


def _header_row(file: Path, source: Source, layout: Layout) -> int | None:
    dialect, lines = Dialect(source), Lines(file, source, Limits(max_record_bytes=1 << 20))
    try:
        first = list(islice(iter(lines.next, None), _PROBED_ROWS))
    except (UnicodeError, LookupError):
        return None
    rows = [(line.number, dialect.cells(line.text)) for line in first if _may_be_header(line)]
    fits = [number for number, cells in rows if cells and layout.fits(cells)]
    if source.header_row in fits:
        return source.header_row
    return fits[0] if fits else None


def _may_be_header(line: Line) -> bool:
    return not line.defect and bool(line.text.strip()) and len(line.text) < _LONGEST_HEADER


def check_width(file: Path, source: Source) -> None:
    """Raise SourceError where a text without a header has the declared number of cells only by another delimiter."""
    lines = Lines(file, source, Limits(max_record_bytes=1 << 20))
    sample = [line.text for line in islice(iter(lines.next, None), 100) if line.text.strip() and not line.defect]

    def share(delimiter: str) -> float:
        dialect = Dialect(source.model_copy(update={"delimiter": delimiter}))
        counts = [len(dialect.cells(text) or []) for text in sample]
        return sum(count == len(source.columns) for count in counts) / len(sample)

    if not sample or len(source.columns) < 2 or share(source.delimiter) > _FEW:
        return
    for delimiter in _DELIMITERS:
        if delimiter != source.quote and share(delimiter) >= 1 - _FEW:
            raise SourceError(
                f"the records have their {len(source.columns)} cells with delimiter: {delimiter!r}, not as declared.",
                remedy="mend delimiter: in the contract, or deliver the file as declared.",
            )
