"""Worksheets as rows of text: the same framing for XLSX, XLS and ODS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import polars as pl
import pyarrow as pa

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading.framing import Frame
from jobs.storage.reading.layout import NUL, Layout, Record, Records, Sound
from jobs.storage.reading.limits import Limits

FORMULA = "record.formula"  # a cell holds an error, or a formula nobody has calculated
_SEARCHED = 30
_PART = 20_000  # rows of a worksheet that are judged together

# A row's number, its cells as they are, and its cells with those merged downwards from rows above: a record counts the
# latter, a header the former.
Row = tuple[int, Sequence[str | None], Sequence[str | None]]
Merged = Mapping[int, Mapping[int, int]]


def records(
    rows: Iterator[Row], source: Source, layout: Layout, limits: Limits, unvalued: Set[int] = frozenset(),
    begun: Frame | None = None,
) -> Iterator[Record]:
    """Yield the records below a worksheet's header, numbered as the worksheet shows them; empty rows are none.

    `unvalued` has the rows in which a formula has no value; `begun` knows the rows above, where these are only some.
    Raises SourceError when the header is not there or not the contract's; it names the row that would fit.
    """
    frame = begun or Frame(source, layout, limits)
    above: list[Row] = []
    for row in rows:
        number, cells, filled_cells = row
        if frame.names is None:
            above += [row] if len(above) < _SEARCHED else []
            first = next((cell for cell in cells if cell and cell.strip()), "")
            if not frame.in_header and frame.is_above(number, first):
                continue
            with _likely_row(above, rows, layout):
                record = frame.take(number, cells)
        elif number not in unvalued and not any(cell and cell.strip() for cell in filled_cells):
            frame.blank()
            record = None
        else:
            record = frame.take(number, filled_cells)
        if frame.ended:
            return
        if record is not None:
            yield replace(record, defect=record.defect or FORMULA) if number in unvalued else record
    if frame.names is None and source.header_rows and frame.base is not None:
        raise SourceError(
            "the header row is not there.", where=f"row {frame.base + source.header_row}",
            remedy=f"mend header_row: in the contract{_hint(above, layout)}.",
        )
    frame.finish()


def table_records(
    table: pl.DataFrame, merged: Merged, source: Source, layout: Layout, limits: Limits, unvalued: Set[int]
) -> Records:
    """Yield a worksheet's records as `records` does, in columns where all rows of a part are beyond doubt."""
    top = source.header_row + source.header_rows + _SEARCHED
    if merged or source.section or (layout.unknown == "keep") or table.height <= top:
        yield from records(filled(table.rows(), merged), source, layout, limits, unvalued)
        return
    frame = Frame(source, layout, limits)
    yield from records(filled(table.head(top).rows(), {}), source, layout, limits, unvalued, frame)
    for start in range(top, table.height, _PART):
        part = table.slice(start, _PART)
        if unvalued.isdisjoint(range(start + 1, start + 1 + part.height)) and (sound := _sound(part, start, frame)):
            yield sound
        else:
            rows = ((start + number, cells, cells) for number, cells in enumerate(part.rows(), 1))
            yield from records(rows, source, layout, limits, unvalued, frame)


def _sound(part: pl.DataFrame, start: int, frame: Frame) -> Sound | None:
    """Return a part's records in columns, None where one of them is not as its columns say."""
    names = frame.names
    if names is None or frame.is_second or len(names) != part.width:
        return None
    filled_rows = part.select(pl.any_horizontal(pl.all().str.strip_chars().str.len_bytes() > 0).fill_null(value=False))
    rows = filled_rows.to_series().arg_true()
    kept = part[rows] if len(rows) < part.height else part
    cells = [kept.to_series(place) for place in range(part.width)]
    if any((one.str.len_bytes() > 0).any() for one in (cells[place] for place in frame.nameless)):
        return None
    head = frame.first_head(0)
    if cells[0].is_in([head, f"\ufeff{head}"]).any() or (cells[0].is_null().any() and not head):
        return None
    wanted = {name: cells[place] for place, name in enumerate(names) if name in frame.layout.columns}
    most = frame.limits.max_cell_bytes
    if any((one.str.len_bytes() > most).any() or one.str.contains(NUL, literal=True).any() for one in wanted.values()):
        return None
    arrays = {name: one.replace("", None).to_arrow().cast(pa.string()) for name, one in wanted.items()}
    return Sound((rows + (start + 1)).cast(pl.Int64).to_arrow(), arrays)


@contextmanager
def _likely_row(above: Sequence[Row], below: Iterator[Row], layout: Layout) -> Iterator[None]:
    """Add to an error about the header which other row looks like it."""
    try:
        yield
    except SourceError as error:
        hint = _hint([*above[:-1], *islice(below, _SEARCHED)], layout)
        if not hint:
            raise
        raise SourceError(error.what, where=error.where, remedy=f"mend header_row: in the contract{hint}.") from None


def _hint(rows: Sequence[Row], layout: Layout) -> str:
    found = next((number for number, cells, _ in rows if layout.fits([cell or "" for cell in cells])), None)
    return f"; row {found} looks like the header" if found else ""


def spread(merged: Iterable[tuple[int, int, int, int]], height: int, width: int, limits: Limits) -> Merged:
    """Return row → column → the row that holds the value, for ranges (top, bottom, left, right) of merged cells.

    Rows count from 1, columns from 0; a range may claim more than there is.
    """
    found: dict[int, dict[int, int]] = {}
    count = 0
    for top, bottom, left, right in merged:
        rows = range(top + 1, min(bottom, height) + 1)
        columns = range(max(left, 0), min(right + 1, width))
        count += len(rows) * len(columns)
        limits.check_cells(count)
        for row in rows:
            for column in columns:
                found.setdefault(row, {})[column] = top
    return found


def filled(rows: Sequence[Sequence[str | None]], merged: Merged) -> Iterator[Row]:
    """Yield numbered rows, each also with the cells merged downwards filled in."""
    for number, cells in enumerate(rows, 1):
        if number in merged:
            values = list(cells)
            for column, top in merged[number].items():
                values[column] = values[column] or rows[top - 1][column]  # its own value is not hidden by another's
            yield number, cells, values
        else:
            yield number, cells, cells
