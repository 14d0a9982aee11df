"""Where the table lies in a file or worksheet of rows: what stands above it, its header, its records, its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading.layout import KEPT_RAW, RAW, Layout, Record, header_name
from jobs.storage.reading.limits import Limits

REPEATED, SECOND = "record.repeated_header", "record.second_table"
COLUMN_COUNT = "record.column_count"


class Frame:
    """Take a source's rows in order and say of each what it is.

    Rows above the header are passed over, the header's names are checked once, and every row below is a record until
    the declared section ends.
    """

    def __init__(self, source: Source, layout: Layout, limits: Limits) -> None:
        self.source, self.layout, self.limits = source, layout, limits
        self.after = source.section.after if source.section else None
        self.base = None if self.after else 0  # the row after which header_row counts
        self.names: list[str] | None = None
        self.nameless: list[int] = []  # places of columns without a name that must be empty
        self.ended = False
        self.is_second = False  # below a header that came again undeclared, the rows may be another table's
        self._heads: list[list[str]] = []
        self._named = list(source.columns or source.widths)

    def is_above(self, row: int, first_cell: str) -> bool:
        """Tell whether a row stands above the table, and note it when it is the one the section begins after."""
        if self.base is None:
            if self.after and first_cell.strip().startswith(self.after):
                self.base = row
            return True
        return row < self.base + self.source.header_row

    def take(self, row: int, cells: Sequence[str | None], raw: str | None = None) -> Record | None:
        """Return the record in a row that is not above the table; None for header rows and below the section's end."""
        if self.names is None and not self._header(cells):
            return None
        if self.ended or self._is_end(cells):
            self.ended = True
            return None
        assert self.names is not None
        if len(cells) != len(self.names) or self._is_beside(cells):
            partial = self.layout.record(row, self.names, cells)
            kept = raw if raw is not None else "\t".join(cell or "" for cell in cells)
            return Record(row, partial.cells, COLUMN_COUNT, {RAW: kept[:KEPT_RAW]})
        record = self.layout.record(row, self.names, cells)
        if self._is_header(cells):
            if self.source.section and self.source.section.header_repeats:
                return None
            self.is_second = True
            return replace(record, defect=REPEATED)
        return replace(record, defect=SECOND) if self.is_second else record

    def _is_beside(self, cells: Sequence[str | None]) -> bool:
        """Tell whether something stands in a column without a name, which the contract does not say to drop."""
        return any(cell and cell.strip() for cell in (cells[place] for place in self.nameless))

    @property
    def in_header(self) -> bool:
        """Tell whether some of several header rows were taken, and some are still to come."""
        return self.names is None and bool(self._heads)

    def blank(self) -> None:
        """Note a row without any cell: it may end the section."""
        section = self.source.section
        if self.names is not None and section and section.ends_at_blank:
            self.ended = True

    def finish(self) -> None:
        """Raise SourceError when the file ended before its header."""
        if self.names is not None:
            return
        if self.base is None:
            raise SourceError(
                "the row its section begins after is not there.", remedy="mend section: in the contract."
            )
        if self.source.header_rows:
            raise SourceError(
                "the file has no header.", remedy="deliver it again, or mend header_row: in the contract."
            )

    def _header(self, cells: Sequence[str | None]) -> bool:
        """Take one header row; tell whether the row is a record already, where there is no header."""
        if self._named:
            self.names = self.layout.check_columns(self._named)
            return True
        self.limits.check_columns(len(cells))
        self._heads.append([cell or "" for cell in cells])
        if len(self._heads) == self.source.header_rows:
            self.names = self.layout.check_header(joined(self._heads))
            if self.layout.unknown != "drop":
                self.nameless = [place for place, name in enumerate(self.names) if not name]
        return False

    def first_head(self, column: int) -> str:
        """Return a column's cell in the file's own header, as it is written there; empty where there is no header."""
        return self._heads[0][column] if len(self._heads) == 1 and column < len(self._heads[0]) else ""

    def _is_header(self, cells: Sequence[str | None]) -> bool:
        """Tell whether a record is the header once more, as where files were joined."""
        if len(self._heads) != 1 or not cells:
            return False
        first = (cells[0] or "").removeprefix("\ufeff")  # of a whole file that was joined to another
        return first == self._heads[0][0] and [first, *(c or "" for c in cells[1:])] == self._heads[0]

    def _is_end(self, cells: Sequence[str | None]) -> bool:
        section = self.source.section
        if section is None or section.before is None:
            return False
        first = next((cell for cell in cells if cell and cell.strip()), "")
        return first.strip().startswith(section.before)


def joined(heads: Sequence[Sequence[str]]) -> list[str]:
    """Return one name per column from several header rows, top to bottom, joined by a space.

    In all rows but the last an empty cell belongs to the group on its left, as a merged cell leaves it, where the last
    row has a name of its own.
    """
    if len(heads) == 1:
        return list(heads[0])
    width = max(map(len, heads))
    rows = [[header_name(cell) for cell in row] + [""] * (width - len(row)) for row in heads]
    for row in rows[:-1]:
        for place in range(1, width):
            if not row[place] and rows[-1][place]:
                row[place] = row[place - 1]
    return [" ".join(filter(None, column)) for column in zip(*rows, strict=True)]
