"""Worksheets as rows of text: the same framing for XLSX, XLS and ODS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading.framing import Frame
from jobs.storage.reading.layout import Layout, Record
from jobs.storage.reading.limits import Limits

FORMULA = "record.formula"  # a cell holds an error, or a formula nobody has calculated
_SEARCHED = 30

Row = tuple[int, Sequence[str | None]]
Merged = Mapping[int, Mapping[int, int]]


@dataclass(frozen=True)
class Structure:
    """Hold what a worksheet says beside its cells: row → column → the row with the value of a cell merged downwards;
    and the rows in which a formula has no value.
    """

    merged: dict[int, dict[int, int]] = field(default_factory=dict)
    unvalued: frozenset[int] = frozenset()


def records(
    rows: Iterable[Row], source: Source, layout: Layout, limits: Limits, unvalued: frozenset[int] = frozenset()
) -> Iterator[Record]:
    """Yield the records below a worksheet's header, numbered as the worksheet shows them; empty rows are none.

    Raises SourceError when the header is not there or not the contract's; it names the row that would fit.
    """
    frame, above = Frame(source, layout, limits), []
    for number, cells in rows:
        first = next((cell for cell in cells if cell and cell.strip()), None)
        if frame.names is None and not frame.in_header:
            if len(above) < _SEARCHED:
                above.append((number, cells))
            if frame.is_above(number, first or ""):
                continue
        if first is None and frame.names is not None:
            frame.blank()
        elif (record := _take(frame, number, cells, above, layout)) is not None:
            yield replace(record, defect=record.defect or FORMULA) if number in unvalued else record
        if frame.ended:
            return
    if frame.names is None and source.header_rows and frame.base is not None:
        raise SourceError(
            "the header row is not there.", where=f"row {frame.base + source.header_row}",
            remedy=f"mend header_row: in the contract{_hint(above, layout)}.",
        )
    frame.finish()


def _take(
    frame: Frame, number: int, cells: Sequence[str | None], above: list[Row], layout: Layout
) -> Record | None:
    if frame.names is not None:
        return frame.take(number, cells)
    try:
        return frame.take(number, cells)
    except SourceError as error:
        hint = _hint([row for row in above if row[0] != number], layout)
        if not hint:
            raise
        raise SourceError(error.what, where=error.where, remedy=f"mend header_row: in the contract{hint}.") from None


def _hint(rows: Sequence[Row], layout: Layout) -> str:
    found = next((number for number, cells in rows if layout.fits([cell or "" for cell in cells])), None)
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
    """Yield numbered rows with the cells merged downwards filled in each of them."""
    for number, cells in enumerate(rows, 1):
        if number in merged:
            values = list(cells)
            for column, top in merged[number].items():
                values[column] = rows[top - 1][column]
            yield number, values
        else:
            yield number, cells
