"""DBF tables (dBASE III to 7, FoxPro): records of fixed width, decoded cell by cell.

The maintained library decodes a whole table by the code page it says it has, and stops at the first byte that is not;
departments' tables often say nothing or the wrong one, so the bytes are taken apart here. Layout of the header: dBASE
Table File Format (DBF) level 5.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading import encodings
from jobs.storage.reading.diagnosis import not_of_kind
from jobs.storage.reading.layout import KEPT_RAW, RAW, Layout, Record, Records
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.text import ENCODING

_VERSIONS = frozenset({0x02, 0x03, 0x04, 0x05, 0x30, 0x31, 0x32, 0x43, 0x63, 0x83, 0x8B, 0x8C, 0xCB, 0xF5, 0xFB})
_CODE_PAGES = {0x4D: "gb18030", 0x7A: "gb18030", 0x4F: "big5", 0x78: "big5", 0x03: "cp1252", 0x57: "cp1252"}
_TEXT, _MEMO, _DELETED, _END = b"CNFLDV", b"MGBPW", b"*", b"\x1a"
_DOUBLE = b"double"  # what FoxPro calls B, as others call a memo
_VARYING = (b"V", b"Q")
_FOXPRO, _SYSTEM, _NULLABLE = (0x30, 0x31, 0x32), 1, 2
_MOST_HEADER = 1 << 20
_LEAST_TABLE = 65  # bytes
_LOGICAL = {"T": "true", "Y": "true", "F": "false", "N": "false", "?": None}


@dataclass(frozen=True)
class Column:
    """Describe one column: its name, kind (one letter) and the bytes of a record it lies in."""

    name: str
    kind: bytes
    start: int
    stop: int
    flags: int = 0

    @property
    def is_hidden(self) -> bool:
        """Tell whether it is the table's own column, which says of others whether they are null."""
        return bool(self.flags & _SYSTEM)


@dataclass(frozen=True)
class Table:
    """Describe a table: its columns, where its records begin, their length and number, and the code page it says.

    `nulls` is the column whose bits say which cells are null or shorter than their column, in FoxPro's tables.
    """

    columns: tuple[Column, ...]
    begin: int
    length: int
    count: int
    says: str | None
    nulls: Column | None = None


def read_dbf(file: Path, source: Source, layout: Layout, limits: Limits) -> Records:
    """Yield the records of a table that are not marked deleted, numbered from 1 with the deleted ones.

    Text is decoded by the declared encoding; the padding around it is none of it. Raises SourceError for another kind
    of file, a table that ends before its last record, an encoding that does not fit, and columns that are not the
    contract's, or whose contents lie in another file (memos).
    """
    with file.open("rb") as stream:
        table = header(stream, source.encoding, limits)
        stream.seek(table.begin)
        _check_encoding(stream.read(encodings.PROBED), table, source.encoding)
        names = layout.check_header([column.name for column in table.columns])
        kinds = {name: column.kind for name, column in zip(names, table.columns, strict=True)}
        memo = next((name for name in layout.columns if kinds.get(name, b"C") in _MEMO), None)
        if memo is not None:
            raise SourceError(
                f"the column {memo!r} is a memo, whose text lies in another file.",
                remedy="deliver the table as CSV or XLSX, or leave the column out of the contract.",
            )
        stream.seek(table.begin)
        for number in range(1, table.count + 1):
            data = stream.read(table.length)
            if len(data) < table.length or data.startswith(_END):
                raise SourceError(
                    f"the table says it has {table.count} records and ends after {number - 1}.",
                    where=f"record {number}", remedy="deliver it again, whole.",
                )
            if not data.startswith(_DELETED):
                yield _record(number, data, table, names, source.encoding, layout)
        _check_end(stream, table, source.encoding, limits)


def _check_end(stream: BinaryIO, table: Table, encoding: str, limits: Limits) -> None:
    """Raise SourceError where records follow those that the table's header counts, or another table does."""
    rest = stream.read(_MOST_HEADER)
    more = rest[:1] in (b" ", _DELETED) and bool(rest.strip(b" \0\x1a"))  # padding is none; a cut record is
    if rest[:1] == _END and len(rest) > _LEAST_TABLE:
        try:
            header(io.BytesIO(rest[1:]), encoding, limits)
            more = True
        except SourceError:
            pass  # what an older, longer table left below the end
    if more:
        raise SourceError(
            f"the table says it has {table.count} records, and more follow.", where=f"record {table.count + 1}",
            remedy="deliver it again, as its program writes it.",
        )


def header(stream: BinaryIO, encoding: str, limits: Limits) -> Table:
    """Read a table's header; raise SourceError for a file that is no DBF table."""
    start = stream.read(32)
    encodings.known(encoding)
    size = stream.seek(0, 2)
    stream.seek(32)
    if len(start) < 32 or start[0] not in _VERSIONS:
        stream.seek(0)
        raise not_of_kind(stream.read(100_000), "dbf")
    count, begin, length = struct.unpack_from("<IHH", start, 4)
    seven = start[0] & 0x07 == 4
    wide, width = (32, 48) if seven else (11, 32)
    stream.seek(68 if seven else 32)
    columns: list[Column] = []
    at = 1
    while (entry := stream.read(width)) and entry[0] != 0x0D and stream.tell() <= min(begin, _MOST_HEADER):
        if len(entry) < width:
            break
        name = entry[:wide].split(b"\x00")[0].decode(encoding, "replace").strip()
        kind, size_of = entry[wide : wide + 1], entry[wide + 1 if seven else 16]
        if kind == b"C" and not seven:
            size_of += entry[17] << 8  # long texts put their length's upper half where others have decimals
        columns.append(Column(name, kind, at, at + size_of, entry[18] if start[0] in _FOXPRO else 0))
        at += size_of
    limits.check_columns(len(columns))
    if not columns or at > length or begin + 1 > size or any(one.start == one.stop for one in columns):
        raise SourceError("the file is no DBF table, or its header is damaged.", remedy="deliver it again.")
    shown = [replace(one, kind=_DOUBLE) if _is_double(one) else one for one in columns if not one.is_hidden]
    nulls = next((one for one in columns if one.is_hidden and one.kind == b"0"), None)
    return Table(tuple(shown), begin, length, count, _CODE_PAGES.get(start[29]), nulls)


def _is_double(column: Column) -> bool:
    """Tell whether a column holds numbers that other programs mark as a memo's place."""
    return column.kind == b"B" and column.stop - column.start == struct.calcsize("<d")


def _record(number: int, data: bytes, table: Table, names: list[str], encoding: str, layout: Layout) -> Record:
    parts = _parts(data, table)
    try:
        cells = [_cell(part, c.kind, encoding) if part is not None else None
                 for part, c in zip(parts, table.columns, strict=True)]
    except UnicodeError:
        return Record(number, {}, ENCODING, {RAW: data.decode(encoding, "replace").replace("\x00", "␀")[:KEPT_RAW]})
    record = layout.record(number, names, cells)
    return record if data[:1] == b" " else replace(record, defect="record.syntax")  # no sign that it is one


def _parts(data: bytes, table: Table) -> list[bytes | None]:
    """Return the bytes of a record's cells, None for those that are null."""
    parts: list[bytes | None] = [data[column.start : column.stop] for column in table.columns]
    if table.nulls is None:
        return parts
    bits, bit = int.from_bytes(data[table.nulls.start : table.nulls.stop], "little"), 0
    for place, column in enumerate(table.columns):
        if column.kind in _VARYING:
            part = parts[place] or b""
            if bits >> bit & 1:
                parts[place] = part[: part[-1]]
            bit += 1
        if column.flags & _NULLABLE:
            parts[place] = None if bits >> bit & 1 else parts[place]
            bit += 1
    return parts


def _cell(data: bytes, kind: bytes, encoding: str) -> str | None:
    if kind == b"I" and len(data) == 4:
        return str(struct.unpack("<i", data)[0])
    if kind == b"Y" and len(data) == 8:
        units = struct.unpack("<q", data)[0]
        return f"{'-' if units < 0 else ''}{abs(units) // 10_000}.{abs(units) % 10_000:04}"
    if kind in (_DOUBLE, b"O") and len(data) == 8:
        value = struct.unpack("<d", data)[0]
        return repr(value)
    if kind in (b"T", b"@") and len(data) == 8:
        return _moment(*struct.unpack("<ii", data))
    if kind not in _TEXT and kind not in _MEMO:
        return data.hex()
    text = data.decode(encoding).strip(" \x00")
    if kind == b"D" and len(text) == 8 and text.isdigit():
        return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text.strip("0") else None
    if kind == b"L":
        return _LOGICAL.get(text.upper(), text or None)
    return text or None


def _moment(day: int, milliseconds: int) -> str | None:
    """Return a timestamp from its Julian day and milliseconds, None where it is not set."""
    if not day:
        return None
    try:
        found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day - 2_440_588, milliseconds=milliseconds)
    except OverflowError:
        return f"{day} {milliseconds}"
    return found.strftime("%Y-%m-%d %H:%M:%S")


def _check_encoding(data: bytes, table: Table, declared: str) -> None:
    """Raise SourceError where text is not in the declared encoding; name the likely one."""
    texts = list(_texts(data, table))
    bad = sum(not encodings.reads(text, declared) for text in texts)
    sample = b"\n".join(texts[:20_000])
    if sample and not bad and not encodings.wide(declared):
        encodings.check(sample + b"\n", declared)
    if bad > max(1, encodings.BAD_SHARE * len(texts)) or (bad and len(texts) < 3):
        fitting = table.says if table.says and all(encodings.reads(t, table.says) for t in texts) else None
        fitting = fitting or encodings.likely(sample + b"\n")
        hint = f"; {fitting} fits" if fitting else ""
        raise SourceError(
            f"{bad} of the first {len(texts)} texts are not {declared}{hint}.",
            remedy="mend encoding: in the contract, or deliver the table in the declared encoding.",
        )


def _texts(data: bytes, table: Table) -> Iterator[bytes]:
    columns = [column for column in table.columns if column.kind == b"C"]
    for place in range(0, len(data) - table.length + 1, table.length):
        record = data[place : place + table.length]
        for column in columns:
            text = record[column.start : column.stop].strip(b" \x00")
            if not text.isascii():
                yield text
