"""What a delivery should look like, and one record of it."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import pyarrow as pa
from rapidfuzz.distance import Levenshtein

from jobs.contract import Contract
from jobs.errors import SourceError

NUL = "\x00"
RAW = "_raw"  # key in `_extra` under which a defective record's text is kept
KEPT_RAW = 4000  # characters of it; the whole is in landing
_SHOWN = 5  # names or places in one error
_LETTERS_PER_SLIP = 4  # of a name, for another to be taken for it misspelt


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
        """Return a header's names as the contract spells them; raise SourceError when the table is another one.

        What stands as a header may be a record, so an error names the contract's own columns only, and tells of the
        others where they stand.
        """
        names = [header_name(cell) for cell in header]
        missing = [name for name in self.required if name not in names]
        if missing:
            lacks = f"column {_some(missing)} is" if len(missing) == 1 else f"columns {_some(missing)} are"
            raise SourceError(
                f"the required {lacks} missing; {self._told(names)}.", where=where,
                remedy="deliver it, or mend from: and header_row: in the contract.",
            )
        if self._known.isdisjoint(names):
            raise SourceError(
                f"the header has none of the contract's columns; {self._told(names)}.", where=where,
                remedy="mend from: and header_row: in the contract, or deliver the table it describes.",
            )
        repeated = next((name for name, count in Counter(names).items() if name and count > 1), None)
        if repeated is not None:
            places = _places([place for place, name in enumerate(names, 1) if name == repeated])
            shown = repr(repeated) if repeated in self._known else "one name"
            raise SourceError(
                f"the header has {shown} twice, in {places}.", where=where, remedy="give each column one name."
            )
        self.check_unknown(names, where)
        return names

    def check_unknown(self, names: Sequence[str], where: str = "header") -> None:
        """Raise SourceError for a name that is not the contract's where it says stop; tell where, never which."""
        if self.unknown == "stop" and not self._known.issuperset(filter(None, names)):
            raise SourceError(
                f"{self._told(names)}.", where=where,
                remedy="add it to the contract, or set load.unknown_columns to keep or drop.",
            )

    def _told(self, names: Sequence[str]) -> str:
        """Say which places of a header hold no column of the contract, and which of its columns they may be."""
        unknown = {place: name for place, name in enumerate(names, 1) if name and name not in self._known}
        absent = [name for name in self.columns if name not in names]
        if not unknown:
            return f"the header has {_counted(len(names))}, each of them known or without a name"
        if self._known.isdisjoint(names):
            said = [f"none of its {_counted(len(names))} is known (perhaps it is a record, and the header is missing)"]
        else:
            verb = "is" if len(unknown) == 1 else "are"
            said = [f"{_places(list(unknown))} of {len(names)} {verb} unknown"]
        likely = {place: near for place, name in unknown.items() if (near := nearest(name, absent))}
        said += [f"column {place} is nearly {near!r}" for place, near in list(likely.items())[:_SHOWN]]
        if absent:
            said.append(f"of the contract's, {_some(absent)} {'is' if len(absent) == 1 else 'are'} not there")
        return "; ".join(said)

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


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the known name another one differs from by case, signs and blanks, or by a slip of the keys; else None."""
    plain = _letters(name)
    close = min(known, key=lambda one: Levenshtein.distance(plain, _letters(one)), default=None)
    if close is None:
        return None
    slips = len(_letters(close)) // _LETTERS_PER_SLIP
    return close if Levenshtein.distance(plain, _letters(close)) <= slips else None


def _letters(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} (and {len(names) - _SHOWN} more)"


def _counted(columns: int) -> str:
    return f"{columns} column{'s' * (columns != 1)}"


def _places(places: Sequence[int]) -> str:
    shown = ", ".join(map(str, places[:_SHOWN]))
    more = f" (and {len(places) - _SHOWN} more)" if len(places) > _SHOWN else ""
    return f"column{'s' * (len(places) > 1)} {shown}{more}"
