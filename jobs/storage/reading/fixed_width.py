"""Text of fixed width: each cell a span of bytes (as mainframes count) or of characters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading import encodings
from jobs.storage.reading.diagnosis import other_kind
from jobs.storage.reading.framing import COLUMN_COUNT, Frame
from jobs.storage.reading.layout import KEPT_RAW, RAW, Layout, Record, Records
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.text import ENCODING, Lines

_PADDING = " \u3000\t"


def read_fixed_width(file: Path, source: Source, layout: Layout, limits: Limits) -> Records:
    """Yield one record per line that is not blank; padding around a cell is none of it.

    A line shorter than the sum of the widths has lost trailing padding at most where the rest of it is empty; a longer
    one, a cut cell and a character that lies across two cells are defects of the record. A last line without a line end
    gets a remark: the file may have been cut in it.
    """
    with file.open("rb") as stream:
        start = stream.read(encodings.PROBED)
    other_kind(start, "fixed_width")
    encodings.check(start, source.encoding)
    if source.widths_in == "bytes" and encodings.wide(source.encoding):
        raise SourceError("widths in bytes mean nothing in UTF-16.", remedy="set widths_in: characters.")
    frame, spans = Frame(source, layout, limits), _spans(source)
    lines = Lines(file, source, limits)
    while not frame.ended and (line := lines.next()) is not None:
        if not line.text.strip(_PADDING):
            frame.blank()
            continue
        if frame.names is None and frame.is_above(line.number, line.text):
            continue
        if source.comment and line.text.startswith(source.comment):
            continue
        if line.defect:
            if frame.names is None:
                frame.names = layout.check_columns(list(source.widths))
            yield Record(line.number, {}, line.defect, {RAW: line.text[:KEPT_RAW]})
        else:
            for record in _record(line.number, line.text, source, spans, frame):
                yield replace(record, remark=lines.remark)
    frame.finish()


def _spans(source: Source) -> list[tuple[int, int]]:
    ends = list(accumulate(source.widths.values()))
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _record(
    number: int, text: str, source: Source, spans: list[tuple[int, int]], frame: Frame
) -> Iterator[Record]:
    cells, defect = _cells(text, source, spans)
    if frame.names is None and source.header_rows:
        # The names are the contract's; what the file's own header says is only passed over.
        source_names = frame.layout.check_columns(list(source.widths))
        frame.skipped += 1
        frame.names = source_names if frame.skipped == source.header_rows else None
        return
    record = frame.take(number, cells)
    if record is not None:
        yield Record(number, record.cells, defect, {RAW: text[:KEPT_RAW]}) if defect else record


def _cells(text: str, source: Source, spans: list[tuple[int, int]]) -> tuple[list[str], str | None]:
    width = spans[-1][1]
    if source.widths_in == "characters":
        odd = text[width:].strip(_PADDING) or len(text) <= spans[-1][0]
        return [text[a:b].strip(_PADDING) for a, b in spans], COLUMN_COUNT if odd else None
    data = text.encode(source.encoding, "replace")
    parts = [data[a:b] for a, b in spans]
    defect = COLUMN_COUNT if data[width:].strip() or len(data) <= spans[-1][0] else None
    if not all(encodings.reads(part, source.encoding) for part in parts):
        defect = ENCODING
    return [part.decode(source.encoding, "replace").strip(_PADDING) for part in parts], defect
