"""What a delivery should look like, and one record of it."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import pyarrow as pa

from jobs.contract import Contract
from jobs.errors import SourceError

NUL = "\x00"
RAW = "_raw"  # key in `_extra` under which a defective record's text is kept
KEPT_RAW = 4000  # characters of it; the whole is in landing


@dataclass(frozen=True)
class Record:
    """Hold one record: cells by source column, what is wrong with it as a record, and what is only odd about it."""

    row: int
    cells: dict[str, str | None]
    defect: str | None = None
    extra: dict[str, str | None] = field(default_factory=dict)
    remark: str | None = None

    def bounded(self, max_bytes: int) -> Record:
        """Return the record without cells larger than allowed, and with its NUL bytes named as a defect."""
        filled = list(filter(None, self.cells.values()))
        if max(map(len, filled), default=0) * 4 <= max_bytes and NUL not in "".join(filled):
            return self
        large = {n for n, cell in self.cells.items() if cell and len(cell.encode("utf-8", "replace")) > max_bytes}
        cells = {n: None if n in large else cell and cell.replace(NUL, "␀") for n, cell in self.cells.items()}
        if not large and cells == self.cells:
            return self
        found = "record.cell_too_large" if large else "record.nul_byte"
        return replace(self, cells=cells, defect=self.defect or found)

    def size(self) -> int:
        """Return the length of all cells in characters."""
        return sum(map(len, filter(None, self.cells.values())))

    def extra_json(self) -> str | None:
        """Return unknown columns and kept raw text as JSON, None when there is nothing."""
        return json.dumps(self.extra, ensure_ascii=False, sort_keys=True) if self.extra else None


@dataclass(frozen=True)
class Sound:
    """Hold records that are sound as records, in columns: each one's row, and its cells by source column (null: none).

    A column the delivery does not have is left out.
    """

    rows: pa.Array
    cells: dict[str, pa.Array]


Records = Iterator["Record | Sound"]


@dataclass(frozen=True)
class Layout:
    """Name the columns a contract reads and what it does about others."""

    columns: tuple[str, ...]
    required: tuple[str, ...]
    unknown: str

    @classmethod
    def of(cls, contract: Contract) -> Layout:
        """Return a contract's layout."""
        return cls(contract.source_columns, contract.required_columns, contract.load.unknown_columns)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.columns)

    def fits(self, header: Sequence[str]) -> bool:
        """Tell whether a header has every required column, and at least one of the contract's."""
        names = set(map(header_name, header))
        return set(self.required) <= names and not names.isdisjoint(self.columns)

    def check_columns(self, names: Sequence[str]) -> list[str]:
        """Return the names the contract gives a table without a header, after the same checks as a header's."""
        return self.check_header(names, "columns:")

    def check_header(self, header: Sequence[str], where: str = "header") -> list[str]:
        """Return a header's names as the contract spells them; raise SourceError when the table is another one."""
        names = [header_name(cell) for cell in header]
        known = [name for name in names if name]
        missing = [name for name in self.required if name not in known]
        if missing:
            raise SourceError(
                f"the required column {_some(missing)} is missing.", where=where,
                remedy="deliver it, or mend from: and header_row: in the contract.",
            )
        unknown = [name for name in known if name not in self.columns]
        if len(unknown) == len(known):
            # Perhaps it is no header at all but a row, so nothing of it is shown.
            raise SourceError(
                "the header has none of the contract's columns.", where=where,
                remedy="mend from: and header_row: in the contract, or deliver the table it describes.",
            )
        repeated = sorted(name for name, count in Counter(known).items() if count > 1)
        if repeated:
            raise SourceError(
                f"the header has {_some(repeated)} twice.", where=where, remedy="give each column one name."
            )
        self.check_unknown(unknown, where)
        return names

    def check_unknown(self, names: Sequence[str], where: str = "header", *, named: bool = True) -> None:
        """Raise SourceError for unknown columns where the contract says stop; name them unless they may be cells."""
        if names and self.unknown == "stop":
            what = f"the column {_some(names)} is unknown." if named else "none of the columns is known."
            raise SourceError(
                what, where=where,
                remedy="add it to the contract, or set load.unknown_columns to keep or drop.",
            )

    def record(self, row: int, names: Sequence[str], cells: Sequence[str | None]) -> Record:
        """Return a record from a header's names and as many cells."""
        values = {name: cell or None for name, cell in zip(names, cells, strict=False) if name}
        if values.keys() <= self._known:
            return Record(row, values)
        known = {name: cell for name, cell in values.items() if name in self._known}
        return Record(row, known, extra=self.kept({n: c for n, c in values.items() if n not in known}))

    def kept(self, unknown: dict[str, str | None]) -> dict[str, str | None]:
        """Return the unknown cells to keep: all or none."""
        return {n: c for n, c in unknown.items() if c is not None} if self.unknown == "keep" else {}


def header_name(cell: str | None) -> str:
    """Return a header cell without what hides in one: byte order mark, odd spaces, line breaks, full-width forms."""
    visible = (c for c in cell or "" if c in "\r\n\t" or unicodedata.category(c) not in ("Cf", "Cc"))
    text = "".join(" " if c in "\r\n\t" else c for c in visible)
    text = "".join(unicodedata.normalize("NFKC", c) if "！" <= c <= "～" and c.isalnum() else c for c in text)
    return text.strip()


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} (and {len(names) - 5} more)"
