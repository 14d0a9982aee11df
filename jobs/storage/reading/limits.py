"""How much one delivered file may ask of the machine that reads it."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.errors import SourceError
from jobs.settings import Settings

SMALL = 1 << 20  # bytes; a file is never judged by the share it grows by before it holds as much


@dataclass(frozen=True)
class Limits:
    """Bound a cell, a record and a file; the defaults are those of `Settings`.

    A cell or record beyond its bound is a defect of its row; a file beyond one of the others is refused as a whole.
    """

    max_cell_bytes: int = 1 << 20
    max_record_bytes: int = 16 << 20
    max_columns: int = 16_384
    max_cells: int = 100_000_000  # of a worksheet, filled or not
    max_depth: int = 64
    max_unpacked_bytes: int = 16 << 30
    max_expansion: int = 300
    max_members: int = 1_000

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return the limits a lake is set to."""
        return cls(**{name: getattr(settings, name) for name in cls.__dataclass_fields__})

    def check_columns(self, count: int) -> None:
        """Raise SourceError for a table wider than allowed."""
        if count > self.max_columns:
            raise SourceError(
                f"the table has more than {self.max_columns} columns.", where="header",
                remedy="deliver a narrower table, or raise LAKE_MAX_COLUMNS.",
            )

    def check_cells(self, count: int) -> None:
        """Raise SourceError for a worksheet that spans more cells than allowed."""
        if count > self.max_cells:
            raise SourceError(
                f"the worksheet spans more than {self.max_cells} cells.",
                remedy="delete stray cells far from the table, split it, or raise LAKE_MAX_CELLS.",
            )

    def check_unpacked(self, unpacked: int, packed: int) -> None:
        """Raise SourceError for content that grows more than allowed when it is unpacked; both in bytes."""
        if unpacked > self.max_unpacked_bytes or unpacked > self.max_expansion * max(packed, SMALL):
            raise SourceError(
                "the file unpacks to far more than it may.",
                remedy="deliver it unpacked, or raise LAKE_MAX_EXPANSION or LAKE_MAX_UNPACKED_BYTES.",
            )
