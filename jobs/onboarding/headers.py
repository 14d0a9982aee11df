"""Where the header of a table nobody has described stands, and whether it is one at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from jobs.errors import RequestError
from jobs.rows.cleaning import clean_key
from jobs.rows.dates import read_dates, read_timestamps
from jobs.storage.reading.framing import joined
from jobs.storage.reading.layout import header_name

HEADER_SHARE = 0.6  # of the widest row's cells; a row of fewer is a title or a note above the header
GIVE_HEADER = "give the table one header row with a name for each column, and no values in it."
_LABEL = re.compile(r"\s*[^\d:：]{2,12}[:：]")  # such as 填报单位：, above the header
_VALUE = re.compile(
    r"\d{6}|^\s*[\d.,+-]+\s*$|@|有限(责任)?公司|\d号|\*\*|^\s*\d[\d.,]*\s*[万亿]?元|^(?=.*\d)[0-9A-Z]{15,}$"
)
Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Header:
    """Say in which row a header begins, how many rows it has, and the columns' names."""

    row: int
    rows: int
    names: list[str]


def find_header(rows: Sequence[Row]) -> Header:
    """Return the header among the first rows: the first row nearly as wide as the widest, and the other half of it.

    Raises RequestError, which holds no cell, where there is none or where it holds values.
    """
    filled = [sum(bool(cell.strip()) for cell in cells) for _, cells in rows]
    for place, ((number, cells), count) in enumerate(zip(rows, filled, strict=True)):
        first = next((cell for cell in cells if cell.strip()), "")
        if count < HEADER_SHARE * max(filled) or _LABEL.match(first):
            continue
        for column, cell in enumerate(cells, 1):
            if looks_like_value(cell):
                raise refusal(f"row {number} is no header: its cell {column} looks like a value.", GIVE_HEADER)
        for above, below in ((place - 1, place), (place, place + 1)):
            if above >= 0 and below < len(rows) and _halves(rows[above], rows[below]):
                names = joined([rows[above][1], rows[below][1]])
                return Header(rows[above][0], 2, names)
        return Header(number, 1, [header_name(cell) for cell in cells])
    raise refusal("the sample has no header.", GIVE_HEADER)


@lru_cache(maxsize=256)  # a header is looked at once for each delimiter and quote that might be its file's
def looks_like_value(cell: str) -> bool:
    """Tell whether a header cell holds what a header does not: a date, a number, an identifier, a name of a firm."""
    if _VALUE.search(cell):
        return True
    cleaned = clean_key(pl.Series([cell], dtype=pl.String))
    dated = pl.concat([read_dates(cleaned)[0].is_not_null(), read_timestamps(cleaned).is_not_null()])
    return dated.any()


def refuse_data_as_header(columns: Sequence[str], rows: pl.DataFrame) -> None:
    """Raise RequestError when a column's name is one of its own values, unless the whole header is repeated."""
    data = rows.filter(~pl.all_horizontal(pl.col(name) == name for name in columns).fill_null(value=False))
    for place, name in enumerate(columns, 1):
        if name in data[name]:
            raise refusal(f"the name of column {place} is also a value in it.", GIVE_HEADER)


def unique(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the columns that have one; raise RequestError for one given twice."""
    named = [name for name in columns if name]
    if len(set(named)) != len(named):
        raise refusal("the header has a name twice.", "give each column one name.")
    return tuple(named)


def refusal(what: str, remedy: str) -> RequestError:
    """Return the error that says why no contract can be drafted from a sample."""
    return RequestError(what, where="sample", remedy=remedy)


def _halves(above: Row, below: Row) -> bool:
    """Tell whether two rows are the two halves of one header: groups above, their parts below, neither a value.

    Each then names a column the other leaves empty; of a header and its first record only the header does so.
    """
    if below[0] != above[0] + 1:
        return False
    over = {place for place, cell in enumerate(above[1]) if cell.strip()}
    under = {place for place, cell in enumerate(below[1]) if cell.strip()}
    if not (over - under) or not (under - over) or not (over & under) or len(over) < 2:
        return False
    return not any(looks_like_value(cell) for cell in (*above[1], *below[1]) if cell.strip())
