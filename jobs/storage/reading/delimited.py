"""Delimited text (RFC 4180 and its relatives): one record is one record of the declared dialect, ragged or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from jobs.source import Source
from jobs.storage.reading import encodings, fast
from jobs.storage.reading.diagnosis import check_width, other_kind, wrong_header
from jobs.storage.reading.dialect import Dialect
from jobs.storage.reading.framing import Frame
from jobs.storage.reading.layout import KEPT_RAW, RAW, Layout, Record, Records
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.pieces import plan
from jobs.storage.reading.text import TOO_LARGE, Line, Lines, Piece

MOST_LINES = 100  # of one record: beyond, a quote was never closed


def read_delimited(file: Path, source: Source, layout: Layout, limits: Limits, piece: Piece | None = None) -> Records:
    """Yield the records of a delimited file, or of one piece of it; blank lines are none.

    A last record without a line end is read as it is, with a remark: it is whole (RFC 4180 allows it), or the file was
    cut inside its last cell. Raises SourceError for another kind of file, an encoding that does not fit, and a header
    that is not the contract's.
    """
    with file.open("rb") as stream:
        start = stream.read(encodings.PROBED)
    other_kind(start, "csv")
    encodings.check(start, source.encoding)
    if source.columns:
        check_width(file, source)
    for one in [piece] if piece else plan(file, source):
        yield from _Reading(file, source, layout, limits).records(one)


class _Reading:
    """Read one piece of a file: its header from the beginning, its records from the piece."""

    def __init__(self, file: Path, source: Source, layout: Layout, limits: Limits) -> None:
        self.file, self.source, self.layout, self.limits = file, source, layout, limits
        self.dialect = Dialect(source)
        self.frame = Frame(source, layout, limits)

    def records(self, piece: Piece) -> Records:
        lines = Lines(self.file, self.source, self.limits, Piece(stop=piece.stop) if piece.start == 0 else None)
        with wrong_header(self.file, self.source, self.layout):
            first = self._head(lines)
        self.frame.finish()
        if piece.start:
            lines, first = Lines(self.file, self.source, self.limits, piece), None
        if first is not None:
            yield first
        plain = fast.columns(self.source, self.frame) if self.frame.names is not None else None
        while not self.frame.ended:
            if plain is not None and (block := lines.block()) is not None:
                if piece.end is not None and block.first >= piece.end:
                    return
                sound = plain.sound(block, self.limits)
                if sound is None:
                    lines.put_back(block)
                else:
                    yield from sound
                    continue
            found = next(self._texts(lines), None)
            if found is None or (piece.end is not None and found[0] >= piece.end):
                return
            if (record := self._record(*found)) is not None:
                yield replace(record, remark=lines.remark)

    def _head(self, lines: Lines) -> Record | None:
        """Read up to the end of the header; return the first record where there is no header."""
        frame = self.frame
        while frame.names is None:
            line = lines.next()
            if line is None:
                break
            if frame.is_above(line.number, line.text.lstrip(self.dialect.quote or None)):
                continue
            lines.give_back([line])
            found = next(self._texts(lines), None)
            if found is None:
                break
            if (record := self._record(*found)) is not None:
                return replace(record, remark=lines.remark)
        return None

    def _record(self, number: int, text: str, defect: str | None) -> Record | None:
        cells = None if defect else self.dialect.cells(text)
        if cells is not None:
            return self.frame.take(number, cells, text)
        if self.frame.names is None and self.source.header_rows:
            self.frame.take(number, text.split(self.source.delimiter))  # a header is judged by its names alone
            return None
        if self.frame.names is None:
            self.frame.names = self.layout.check_columns(list(self.source.columns))
        return Record(number, {}, defect or "record.quoting", {RAW: text[:KEPT_RAW]})

    def _texts(self, lines: Lines) -> Iterator[tuple[int, str, str | None]]:
        """Yield number, text and defect of each record; a record ends where its quotes are closed."""
        comment = self.source.comment
        while (line := lines.next()) is not None:
            if line.defect:
                yield line.number, line.text, line.defect
            elif not line.text.strip():
                self.frame.blank()
                if self.frame.ended:
                    return
            elif comment and line.text.startswith(comment):
                continue
            elif not self.dialect.is_open(line.text):
                yield line.number, line.text, None
            else:
                lines.give_back([line])
                yield self._joined(lines)

    def _joined(self, lines: Lines) -> tuple[int, str, str | None]:
        """Add lines until the record's quotes are closed; when they never are, only its first line is defective."""
        first = lines.next()
        assert first is not None
        taken: list[Line] = []
        texts, size, end = [first.text], len(first.text), first.end
        while len(taken) < MOST_LINES and (more := lines.next()) is not None:
            taken.append(more)
            texts += [end, more.text]
            end, size = more.end, size + len(more.text)
            if more.defect == TOO_LARGE or size > self.limits.max_record_bytes:
                break
            if self.dialect.quote in more.text and not self.dialect.is_open(whole := "".join(texts)):
                if self.dialect.cells(whole) is None:
                    break  # two stray quotes make no cell; the lines between are records of their own
                return first.number, whole, next((line.defect for line in taken if line.defect), None)
        lines.give_back(taken)
        return first.number, first.text, "record.stray_quote"
