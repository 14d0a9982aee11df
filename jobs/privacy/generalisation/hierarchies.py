"""Value hierarchies: from a value as it is, level by level, to one that says nothing; in ARX's CSV form."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from jobs.errors import RequestError
from jobs.privacy.risk.classes import Counts


@dataclass(frozen=True)
class Hierarchy:
    """Hold a column's hierarchy: `labels[i]` is every value at level i, level 0 being the values themselves."""

    column: str
    labels: tuple[tuple[str, ...], ...]

    @property
    def height(self) -> int:
        """Return the highest level."""
        return len(self.labels) - 1


@dataclass(frozen=True)
class Ladder:
    """Hold a hierarchy cut down to the values a table has, as numbers.

    `maps[level][code]` is the label's number at a level for a code of the table, `labels[level]` the labels.
    """

    column: str
    maps: tuple[Counts, ...]
    labels: tuple[tuple[str | None, ...], ...]

    @property
    def height(self) -> int:
        """Return the highest level."""
        return len(self.maps) - 1

    def step(self, low: int, high: int) -> Counts:
        """Return the map from a level's numbers to a higher level's."""
        size = len(self.labels[low])
        step = np.zeros(size, dtype=np.int64)
        step[self.maps[low]] = self.maps[high]
        return step


def read_hierarchy(text: str, column: str, separator: str = ";") -> Hierarchy:
    """Read ARX's form: one line per value, from the value to its coarsest label, no header.

    Raises RequestError for lines of different length, a value listed twice, and a label that leads to two labels.
    """
    lines = [line for line in csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=separator) if line]
    if not lines:
        raise RequestError("the hierarchy is empty.", where=column, remedy="give one line per value.")
    wrong = next((number for number, line in enumerate(lines, 1) if len(line) != len(lines[0])), None)
    if wrong:
        raise RequestError(
            "a line has another number of levels than the first.", where=f"{column}:{wrong}",
            remedy="write every level in every line.",
        )
    hierarchy = Hierarchy(column, tuple(zip(*lines, strict=True)))
    _check(hierarchy)
    return hierarchy


def write_hierarchy(hierarchy: Hierarchy, separator: str = ";") -> str:
    """Write a hierarchy in ARX's form; reading it gives the same."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\n").writerows(zip(*hierarchy.labels, strict=True))
    return out.getvalue()


def from_steps(
    values: pl.Series, steps: Sequence[str], coarsen: Callable[[pl.Series, str], pl.Series]
) -> Hierarchy:
    """Make a hierarchy from a column's values and the lake's own ladder of coarser steps (see rows.protection).

    `coarsen(values, step)` takes one step from the value itself. Raises RequestError when the steps are no hierarchy.
    """
    distinct = values.unique().drop_nulls()
    distinct = distinct.sort()
    levels = [distinct.cast(pl.String), *(coarsen(distinct, step).cast(pl.String) for step in steps)]
    hierarchy = Hierarchy(values.name, tuple(tuple(level.fill_null("").to_list()) for level in levels))
    _check(hierarchy)
    return hierarchy


def ladder(hierarchy: Hierarchy, values: pl.Series, used: Counts) -> Ladder:
    """Cut a hierarchy down to a table's distinct values; `used` are the codes that occur.

    Values are matched as text; an empty cell as `""`, or as the `NULL` of ARX, and where the hierarchy has neither it
    stays itself until the top. Raises RequestError saying how many values the hierarchy lacks.
    """
    position = {value: row for row, value in enumerate(hierarchy.labels[0])}
    texts = values.cast(pl.String).to_list()
    rows: dict[int, int | None] = {}
    for code in used.tolist():
        text = texts[code]
        known = position.get(text) if text is not None else position.get("", position.get("NULL"))
        if known is None and text is not None:
            lacking = sum(texts[other] is not None and texts[other] not in position for other in used.tolist())
            raise RequestError(
                f"the hierarchy lacks {lacking} of the column's values.", where=hierarchy.column,
                remedy="add a line for each.",
            )
        rows[code] = known
    maps, labels = [], []
    for level, level_labels in enumerate(hierarchy.labels):
        top = level == hierarchy.height and len(set(level_labels)) == 1
        number: dict[str | None, int] = {}
        place = np.zeros(len(texts), dtype=np.int64)
        for code, row in rows.items():
            label = level_labels[row] if row is not None else level_labels[0] if top else None
            place[code] = number.setdefault(label, len(number))
        maps.append(place)
        labels.append(tuple(number))
    return Ladder(hierarchy.column, tuple(maps), tuple(labels))


def _check(hierarchy: Hierarchy) -> None:
    if len(set(hierarchy.labels[0])) < len(hierarchy.labels[0]):
        raise RequestError("a value is listed twice.", where=hierarchy.column, remedy="keep one line per value.")
    for level in range(1, hierarchy.height):
        pairs = set(zip(hierarchy.labels[level], hierarchy.labels[level + 1], strict=True))
        if len(pairs) > len({low for low, _ in pairs}):
            raise RequestError(
                f"a label of level {level} leads to two labels of level {level + 1}.", where=hierarchy.column,
                remedy="a label has one coarser label.",
            )
