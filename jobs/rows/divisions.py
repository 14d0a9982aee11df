"""Administrative divisions through time (GB/T 2260): what a code meant in a year, and which codes follow it.

The table has the granularity of years: a record holds from `valid_from` to before `valid_to`, every year as at
31 December. A code lives in several records where it was renamed or used again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

Authority = Literal["MCA", "NBS", "unknown"]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Counties that cards carry though no list of the Ministry of Civil Affairs has them: 市辖区, 城区, 郊区, 市区.
SYNTHETIC_COUNTIES = ("01", "02", "11", "20")
# Counties that only the National Bureau of Statistics numbers: development zones and the like.
STATISTICAL_COUNTIES = range(71, 80)
_NEVER = 9999
_ABSENT = -1


@dataclass(frozen=True)
class Division:
    """Hold one record of a division: a code with one name and parent, from a year to before another."""

    code: str
    name: str
    level: str
    parent: str | None
    begin: int
    end: int | None
    successors: tuple[tuple[str, int | None], ...] = ()

    def covers(self, year: int) -> bool:
        """Tell whether the record was in force on 31 December of a year."""
        return self.begin <= year < (self.end or _NEVER)


@dataclass(frozen=True)
class Answer:
    """Say what a code is in a year.

    `record` is the one in force, else the last before the year, else the first after it; null where no year knows the
    code. `parents` are the codes and names above it, province first.
    """

    code: str
    year: int
    record: Division | None
    in_force: bool
    synthetic: bool
    authority: Authority
    parents: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Translation:
    """Say which codes of year `to` cover a code of year `year`.

    `kind` is `one` (1:1), `several` (1:n: which of them depends on the place, so nothing is picked), or `none` (no
    successor is known, or the code was not in force in `year`).
    """

    code: str
    year: int
    to: int
    kind: Literal["one", "several", "none"]
    targets: tuple[Division, ...]


class Divisions:
    """Answer questions about divisions from the table `code, label_zh, level, parent_zh, valid_from, valid_to, …`."""

    def __init__(self, table: pl.DataFrame) -> None:
        self._table = table

    def __reduce__(self) -> tuple[type[Divisions], tuple[pl.DataFrame]]:
        # What is derived from the table is made again where it is wanted (a Spark worker), not sent there.
        return Divisions, (self._table,)

    # -- columns at once ---------------------------------------------------------------------------------------------
    @cached_property
    def since(self) -> int:
        """Return the first year the table knows; of earlier years it says nothing."""
        years = [record.begin for record in self._records if record.begin]
        return min(years, default=0)

    def known(self, codes: Codes) -> tuple[Mask, Mask]:
        """Return for six-digit codes as numbers whether any year knew them, and whether only as a synthetic county.

        A synthetic county (市辖区 01, 城区 02, 郊区 11, 市区 20) counts when its prefecture existed.
        """
        standing = self._standing[codes]
        return standing > 0, standing == 2

    def in_force(self, codes: Codes, years: Codes) -> Mask:
        """Return whether each code was in force in the year beside it; a synthetic county as its prefecture was."""
        asked = np.where(self._standing[codes] == 2, codes // 100 * 100, codes)
        row = self._row[asked]
        year = np.clip(years - self.since, -1, self._calendar.shape[1] - 2) + 1
        found: Mask = (row >= 0) & self._calendar[row, year]
        return found

    # -- one code ----------------------------------------------------------------------------------------------------
    def at(self, code: str, year: int) -> Answer:
        """Return what a six-digit code (or the county of a statistical code of 9 or 12 digits) is in a year."""
        county = code[:6]
        records = self._by_code.get(county, ())
        record = _nearest(records, year)
        synthetic = record is None and self._is_synthetic(county)
        parents = tuple(self._parents(county, year))
        force = bool(record and record.covers(year))
        if synthetic:
            force = any(parent.covers(year) for parent in self._by_code.get(f"{county[:4]}00", ()))
        return Answer(county, year, record, force, synthetic, self.authority(code), parents)

    def authority(self, code: str) -> Authority:
        """Return whose code it is: the Ministry of Civil Affairs, the National Bureau of Statistics, or unknown.

        Statistical codes have 9 or 12 digits, or number a zone inside a prefecture that the ministry does not.
        """
        if len(code) in (9, 12):
            return "NBS"
        if code in self._by_code:
            return "MCA"
        zone = code[4:6].isdecimal() and int(code[4:6]) in STATISTICAL_COUNTIES
        return "NBS" if zone and f"{code[:4]}00" in self._by_code else "unknown"

    def translate(self, code: str, year: int, to: int) -> Translation:
        """Return the codes of year `to` that cover what a code covered in `year`; forwards or backwards."""
        county = code[:6]
        start = next((record for record in self._by_code.get(county, ()) if record.covers(year)), None)
        if start is None:
            return Translation(county, year, to, "none", ())
        if to >= year:
            found = self._forward(start, year, to)
        else:
            older = (record for record in self._records if record.covers(to))
            found = {
                record.code: record
                for record in older
                if record.level == start.level and county in self._forward(record, to, year)
            }
        targets = tuple(found[key] for key in sorted(found))
        kinds: tuple[Literal["none", "one", "several"], ...] = ("none", "one", "several")
        return Translation(county, year, to, kinds[min(len(targets), 2)], targets)

    # -- inside --------------------------------------------------------------------------------------------------------
    def _forward(self, start: Division, year: int, to: int) -> dict[str, Division]:
        found: dict[str, Division] = {}
        seen: set[tuple[str, int]] = set()
        waiting = [(start, year)]
        while waiting:
            record, since = waiting.pop()
            if (record.code, record.begin) in seen:
                continue
            seen.add((record.code, record.begin))
            if record.covers(to):
                found[record.code] = record
            for successor, moved in record.successors:
                when = moved or record.end
                if when is None or not since < when <= to:
                    continue
                following = [one for one in self._by_code.get(successor, ()) if one.covers(when)]
                waiting += [(one, when) for one in following]
        return found

    def _parents(self, code: str, year: int) -> Iterator[tuple[str, str]]:
        for parent in (f"{code[:2]}0000", f"{code[:4]}00"):
            record = _nearest(self._by_code.get(parent, ()), year)
            if record is not None and parent != code:
                yield parent, record.name

    def _is_synthetic(self, code: str) -> bool:
        return code[4:6] in SYNTHETIC_COUNTIES and code[:4] != "0000" and f"{code[:4]}00" in self._by_code

    @cached_property
    def _records(self) -> tuple[Division, ...]:
        columns = ("code", "label_zh", "level", "parent_zh", "valid_from", "valid_to", "successors")
        held = self._table.with_columns(
            pl.lit(None, pl.String).alias(name) for name in columns if name not in self._table.columns
        )
        return tuple(_record(row) for row in held.select(columns).iter_rows())

    @cached_property
    def _by_code(self) -> dict[str, tuple[Division, ...]]:
        found: dict[str, list[Division]] = {}
        for record in sorted(self._records, key=lambda one: one.begin):
            found.setdefault(record.code, []).append(record)
        return {code: tuple(records) for code, records in found.items()}

    @cached_property
    def _standing(self) -> npt.NDArray[np.uint8]:
        """Hold for every six-digit number 0 unknown, 1 on the list, 2 a synthetic county."""
        standing = np.zeros(1_000_000, dtype=np.uint8)
        listed = [int(code) for code in self._by_code]
        prefectures = np.array([code for code in listed if code % 100 == 0 and code % 10_000], dtype=np.int64)
        for county in SYNTHETIC_COUNTIES:
            standing[prefectures + int(county)] = 2
        standing[listed] = 1
        return standing

    @cached_property
    def _row(self) -> npt.NDArray[np.int32]:
        row = np.full(1_000_000, _ABSENT, dtype=np.int32)
        row[[int(code) for code in self._by_code]] = np.arange(len(self._by_code))
        return row

    @cached_property
    def _calendar(self) -> Mask:
        """Hold code × year: column 0 is every year before the first, the last column every year after the last."""
        last = max((record.end or record.begin for record in self._records), default=self.since)
        calendar = np.zeros((max(len(self._by_code), 1), last - self.since + 2), dtype=np.bool_)
        for row, records in enumerate(self._by_code.values()):
            for record in records:
                end = calendar.shape[1] if record.end is None else record.end - self.since + 1
                calendar[row, max(record.begin - self.since, 0) + 1 : end] = True
        return calendar


def _nearest(records: tuple[Division, ...], year: int) -> Division | None:
    """Return the record in force in a year, else the last that began before it, else the first."""
    covering = [record for record in records if record.covers(year)]
    earlier = [record for record in records if record.begin <= year]
    return next(iter(covering or earlier[-1:] or records), None)


def _record(row: tuple[Any, ...]) -> Division:
    code, name, level, parent, begin, end, successors = row
    moves = []
    for part in filter(None, (successors or "").split(";")):
        successor, _, when = part.partition("[")
        moves.append((successor, int(when.rstrip("]")) if when else None))
    return Division(code, name, level or "", parent, int(begin or 0), int(end) if end else None, tuple(moves))
