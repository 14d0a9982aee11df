"""Text of fixed width: each cell a span of bytes (as mainframes count) or of characters."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading import encodings
from jobs.storage.reading.diagnosis import other_kind
from jobs.storage.reading.framing import COLUMN_COUNT, Frame
from jobs.storage.reading.layout import KEPT_RAW, RAW, Layout, Record, Records, header_name
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
    heads: list[list[str]] = []
    lines = Lines(file, source, limits)
    while not frame.ended and (line := lines.next()) is not None:
        if not line.text.strip(_PADDING):
            frame.blank()
            continue
        if frame.names is None and frame.is_above(line.number, line.text):
            continue
        if source.comment and line.text.startswith(source.comment):
            continue
        if frame.names is None:
            names = layout.check_columns(list(source.widths))
            if len(heads) < source.header_rows:
                heads.append([] if line.defect else _cells(line.text, source, spans)[0])
                if len(heads) == source.header_rows:
                    _check_heads(heads, names)
                    frame.names = names
                continue
            frame.names = names
        if line.defect:
            yield Record(line.number, {}, line.defect, {RAW: line.text[:KEPT_RAW]})
        else:
            cells, defect = _cells(line.text, source, spans)
            record = frame.take(line.number, cells)
            if record is not None and defect:
                record = Record(line.number, record.cells, defect, {RAW: line.text[:KEPT_RAW]})
            if record is not None:
                yield replace(record, remark=lines.remark)
    frame.finish()


def _check_heads(heads: list[list[str]], names: list[str]) -> None:
    """Raise SourceError for header rows in which no column has its name: they are records, and would be lost.

    A name may be cut where its column ends; in several rows it may stand in any of them, or its parts in each.
    """
    for column, name in enumerate(names):
        said = [header_name(row[column]) for row in heads if column < len(row)]
        whole = "".join(said).replace(" ", "")
        if any(one and name.startswith(one) for one in said) or whole == name.replace(" ", ""):
            return
    raise SourceError(
        f"the header row has none of the names of widths:{' (perhaps it is a record)' * (len(heads) == 1)}.",
        where="header",
        remedy="set header_rows: 0 where there is no header (with header_row: the first row to read), or mend widths:.",
    )


def _spans(source: Source) -> list[tuple[int, int]]:
    ends = list(accumulate(source.widths.values()))
    return list(zip([0, *ends[:-1]], ends, strict=True))


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
