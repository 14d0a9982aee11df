"""JSON lines: one object per line, numbers kept as they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading import encodings
from jobs.storage.reading.diagnosis import other_kind
from jobs.storage.reading.layout import KEPT_RAW, RAW, Layout, Record, Records
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.text import Lines

_LEAST_OBJECTS = 0.05  # share of the first lines that look like objects; fewer, and the file is something else


class RepeatedKeyError(ValueError):
    """A key is given twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RepeatedKeyError
    return found


# Numbers stay text: an 18-digit identifier is not a float.
DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=str, parse_float=str)


def read_json_lines(file: Path, source: Source, layout: Layout, limits: Limits) -> Records:
    """Yield one record per non-blank line; a line that is no object is a defective record.

    Raises SourceError for a file that is no JSON lines at all, and for an unknown key where the contract says stop.
    """
    with file.open("rb") as stream:
        start = stream.read(encodings.PROBED)
    _probe(start, source)
    lines = Lines(file, source, limits)
    while (line := lines.next()) is not None:
        if line.defect:
            yield Record(line.number, {}, line.defect, {RAW: line.text[:KEPT_RAW]})
        elif line.text.strip():
            yield _record(line.number, line.text, layout, limits)


def _record(row: int, text: str, layout: Layout, limits: Limits) -> Record:
    try:
        found = DECODER.decode(text)
    except RepeatedKeyError:
        return Record(row, {}, "record.duplicate_key", {RAW: text[:KEPT_RAW]})
    except (ValueError, RecursionError):
        return Record(row, {}, "record.syntax", {RAW: text[:KEPT_RAW]})
    if not isinstance(found, dict):
        return Record(row, {}, "record.syntax", {RAW: text[:KEPT_RAW]})
    return record_of(row, found, layout, f"line {row}", limits)


def record_of(row: int, found: dict[str, Any], layout: Layout, where: str, limits: Limits) -> Record:
    """Return the record an object of JSON is; raise SourceError for unknown keys where the contract says stop."""
    if not _is_text(found):
        return Record(row, {}, "record.syntax")
    if len(found) > limits.max_columns:
        return Record(row, {}, "record.column_count")
    names = list(found)
    layout.check_unknown(names, where)
    if found.get("") is not None and layout.unknown != "drop":
        return Record(row, {}, "record.column_count", {RAW: skimmed(found)})  # a value that nobody has named
    return layout.record(row, names, [_text(found[name]) for name in names])


def skimmed(value: Any) -> str:
    """Return the beginning of a value as JSON text, to be kept beside a defective record."""
    try:
        return json.dumps(value, ensure_ascii=False)[:KEPT_RAW].encode("utf-8", "replace").decode()
    except RecursionError:
        return ""


def _is_text(found: dict[str, Any]) -> bool:
    """Tell whether everything can be written as text: an escaped half of a surrogate pair cannot."""
    try:
        for name, value in found.items():
            name.encode()
            (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)


def _probe(start: bytes, source: Source) -> None:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"[":
        raise SourceError(
            "the file is one JSON array, not JSON lines.", remedy="set reader: json, or deliver one object per line."
        )
    other_kind(start, "jsonl")
    if not encodings.wide(source.encoding) and b"\x00" in start[:100] and not text.startswith(b"{"):
        raise SourceError(
            f"the file is no {source.encoding} text.", remedy="deliver JSON lines in UTF-8, or mend encoding:."
        )
    encodings.check(start, source.encoding)
