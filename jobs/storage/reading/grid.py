"""Worksheets as rows of text: the same framing for XLSX, XLS and ODS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading.framing import Frame
from jobs.storage.reading.layout import Layout, Record
from jobs.storage.reading.limits import Limits

FORMULA = "record.formula"  # a cell holds an error, or a formula nobody has calculated
_SEARCHED = 30

# A row's number, its cells as they are, and its cells with those merged downwards from rows above: a record counts the
# latter, a header the former.
Row = tuple[int, Sequence[str | None], Sequence[str | None]]
Merged = Mapping[int, Mapping[int, int]]


def records(
    rows: Iterator[Row], source: Source, layout: Layout, limits: Limits, unvalued: Set[int] = frozenset()
) -> Iterator[Record]:
    """Yield the records below a worksheet's header, numbered as the worksheet shows them; empty rows are none.

    `unvalued` has the rows in which a formula has no value. Raises SourceError when the header is not there or not the
    contract's; it names the row that would fit.
    """
    frame = Frame(source, layout, limits)
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
                values[column] = rows[top - 1][column]
            yield number, cells, values
        else:
            yield number, cells, cells
