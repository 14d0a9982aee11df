"""JSON lines: one object per line, numbers kept as they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.contract import Source
from jobs.errors import SourceError
from jobs.storage.reading.layout import KEPT_RAW, RAW, Layout, Record, check_encoding


class _RepeatedKeyError(ValueError):
    """A key is given twice in one object."""


def read_json_lines(file: Path, source: Source, layout: Layout) -> Iterator[Record]:
    """Yield one record per non-blank line; a line that is no object is a defective record.

    Raises SourceError for a file that is no JSON lines at all, and for an unknown key where the contract says stop.
    """
    check_encoding(source.encoding)
    with file.open("rb") as stream:
        for row, line in enumerate(stream, 1):
            if row == 1:
                _probe(line)
            if not line.strip():
                continue
            try:
                text = line.decode("utf-8-sig" if row == 1 else source.encoding)
            except UnicodeDecodeError:
                yield Record(row, {}, "record.encoding", {RAW: line.decode("utf-8", "replace")[:KEPT_RAW]})
                continue
            yield _record(row, text, layout)


def _record(row: int, text: str, layout: Layout) -> Record:
    try:
        # Numbers stay text: an 18-digit identifier is not a float.
        found = json.loads(text, object_pairs_hook=_object, parse_int=str, parse_float=str)
    except _RepeatedKeyError:
        return Record(row, {}, "record.duplicate_key", {RAW: text[:KEPT_RAW]})
    except (ValueError, RecursionError):
        return Record(row, {}, "record.syntax", {RAW: text[:KEPT_RAW]})
    if not isinstance(found, dict):
        return Record(row, {}, "record.syntax", {RAW: text[:KEPT_RAW]})
    if "\\u" in text and not _is_text(found):
        return Record(row, {}, "record.syntax", {RAW: text[:KEPT_RAW]})
    unknown = [name for name in found if name not in layout.columns]
    layout.check_unknown(unknown, where=f"line {row}", named=len(unknown) < len(found))
    names = list(found)
    return layout.record(row, names, [_text(found[name]) for name in names])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedKeyError
    return found


def _is_text(found: dict[str, Any]) -> bool:
    """Tell whether everything can be written as text: an escaped half of a surrogate pair cannot."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)


def _probe(line: bytes) -> None:
    start = line.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"[":
        raise SourceError("the file is one JSON array, not JSON lines.", remedy="deliver one object per line.")
    if b"\x00" in line[:100] and not start.startswith(b"{"):
        raise SourceError("the file is no UTF-8 text.", remedy="deliver JSON lines in UTF-8.")
