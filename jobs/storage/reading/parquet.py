"""Parquet: columns as text, a few thousand rows at a time."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading.diagnosis import PARQUET, not_of_kind
from jobs.storage.reading.encodings import reads
from jobs.storage.reading.layout import Layout, Record, Records, Sound
from jobs.storage.reading.limits import SMALL, Limits
from jobs.storage.reading.text import ENCODING

_ROWS = 20_000
_NOTHING = pa.nulls(1, pa.string())[0]  # of a bare None pyarrow asks pandas what it is, half a second of imports


def read_parquet(file: Path, _: Source, layout: Layout, limits: Limits) -> Records:
    """Yield the rows of a Parquet file, numbered from 1: decimals and dates as they are written, bytes as base64.

    Raises SourceError for a damaged file, one that unpacks to too much, and columns that are not the contract's.
    """
    with file.open("rb") as stream:
        start = stream.read(1000)
    if not start.startswith(PARQUET):
        raise not_of_kind(start, "parquet")
    try:
        with pq.ParquetFile(file, coerce_int96_timestamp_unit="us") as table:  # of nanoseconds few centuries fit
            yield from _records(table, file.stat().st_size, layout, limits)
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):
            raise
        raise SourceError(
            f"the Parquet file is damaged, cut off or encrypted ({type(error).__name__}).", remedy="deliver it again."
        ) from None


def _records(table: pq.ParquetFile, size: int, layout: Layout, limits: Limits) -> Records:
    names = list(table.schema_arrow.names)
    limits.check_columns(len(names))
    shown = layout.check_header(names)
    if "" in shown and layout.unknown != "drop":
        raise SourceError(
            f"column {shown.index('') + 1} has no name.", where="header", remedy="give each column one name."
        )
    unpacked = sum(table.metadata.row_group(n).total_byte_size for n in range(table.metadata.num_row_groups))
    # Runs of one value take no room at all, so the cells count too.
    limits.check_unpacked(max(unpacked, table.metadata.num_rows * len(names)), max(size, SMALL))
    wanted = [n for n, name in enumerate(shown) if name in layout.columns or (name and layout.unknown == "keep")]
    row = 1
    for batch in table.iter_batches(_ROWS, columns=[names[n] for n in wanted], use_threads=False):
        columns = [_sound(batch.column(place)) for place in range(len(wanted))]
        damaged = {place for _, places in columns for place in places}
        cells = {shown[n]: _texts(column) for n, (column, _) in zip(wanted, columns, strict=True)}
        if damaged:
            yield from _undecodable(row, cells, damaged, layout)
        elif layout.unknown == "keep" and set(cells) - set(layout.columns):
            for number, values in enumerate(_rows(cells), row):
                yield layout.record(number, list(cells), values)
        else:
            rows = pa.array(np.arange(row, row + batch.num_rows))
            yield from _bounded(Sound(rows, cells), limits)
        row += batch.num_rows


def _bounded(sound: Sound, limits: Limits) -> list[Record | Sound]:
    """Return sound records as they are, or one by one where a cell may be a defect."""
    large = any((pc.max(pc.binary_length(one)).as_py() or 0) > limits.max_cell_bytes for one in sound.cells.values())
    odd = large or any(pc.any(pc.match_substring(one, "\x00")).as_py() for one in sound.cells.values())
    if not odd:
        return [sound]
    return [
        Record(row, dict(zip(sound.cells, values, strict=True)))
        for row, values in zip(sound.rows.to_pylist(), _rows(sound.cells), strict=True)
    ]


def _rows(cells: dict[str, pa.Array]) -> Iterator[tuple[str | None, ...]]:
    return zip(*[one.to_pylist() for one in cells.values()], strict=True)


def _undecodable(row: int, cells: dict[str, pa.Array], damaged: set[int], layout: Layout) -> Iterator[Record]:
    """Yield the records of a batch; those at the damaged places hold bytes that are not UTF-8."""
    for place, values in enumerate(_rows(cells)):
        record = layout.record(row + place, list(cells), values)
        yield replace(record, defect=ENCODING) if place in damaged else record


def _sound(column: pa.Array) -> tuple[pa.Array, list[int]]:
    """Return a column whose texts are UTF-8, and the places where they were not; nothing checks this before."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        kind = column.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise
        values = column.cast(pa.binary() if pa.types.is_string(kind) else pa.large_binary()).to_pylist()
        texts = [None if value is None else value.decode("utf-8", "replace") for value in values]
        places = [n for n, value in enumerate(values) if value is not None and not reads(value, "utf-8")]
        return pa.array(texts, pa.string()), places
    return column, []


def _texts(column: pa.Array) -> pa.Array:
    """Return a column as strings; an empty string is no value."""
    kind = column.type
    if pa.types.is_boolean(kind):
        found = pc.if_else(column, "true", "false")
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        found = column.cast(pa.string())
    elif pa.types.is_date(kind):
        found = column.cast(pa.date32()).cast(pa.string())
    elif pa.types.is_decimal(kind):
        found = pa.array([None if v is None else format(v, "f") for v in column.to_pylist()], pa.string())
    else:
        found = pa.array([_text(scalar) for scalar in column], pa.string())
    return pc.if_else(pc.equal(found, ""), _NOTHING, found)


def _text(scalar: pa.Scalar) -> str | None:
    if not scalar.is_valid:
        return None
    if pa.types.is_timestamp(scalar.type) or pa.types.is_time(scalar.type):
        return str(scalar.cast(pa.string()).as_py())
    value = scalar.as_py()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    if pa.types.is_float32(scalar.type):
        return str(np.float32(value))  # its own digits, not those of the nearest double
    return repr(value) if isinstance(value, float) else str(value)


def _plain(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
