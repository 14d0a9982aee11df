"""Count a table into equivalence classes: everything the measures need, at the size of the distinct tuples.

An equivalence class is the rows that share one tuple of quasi-identifiers. Conventions, the same for every measure:

- A row whose quasi-identifiers are all `*` is *suppressed*: it says nothing, is in no class and does not count in
  `n`. It still counts in the overall distribution of a sensitive column, since that column is there to be read.
- `*` in some of the columns, and an empty cell, are values like any other: two empty cells are equal.
- An empty sensitive cell is a value of its own, lowest in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.errors import RequestError

Counts = npt.NDArray[np.int64]
SUPPRESSED = "*"
_LARGEST_KEY = 1 << 62
_WIDEST_BAND = 1 << 20
_LEADING_ZERO = r"^[+-]?0[0-9]"


@dataclass(frozen=True)
class Sensitive:
    """Hold how one sensitive column spreads over the classes: one entry per (class, value) that occurs.

    `classes` (ascending), `values` (rank of the value, ascending within a class) and `rows` are parallel; `totals` is
    rows per value in the whole table, suppressed rows included. `ordered` says whether values are numbers.
    """

    classes: Counts
    values: Counts
    rows: Counts
    totals: Counts
    ordered: bool


@dataclass(frozen=True)
class Classes:
    """Hold the classes of a table.

    By quasi-identifier, `values` are its distinct values and `codes` say which of them each class has; `sizes` is rows
    per class. `suppressed` rows are in none. `sensitive` is how sensitive columns spread.
    """

    values: Mapping[str, pl.Series]
    codes: Mapping[str, Counts]
    sizes: Counts
    suppressed: int
    sensitive: Mapping[str, Sensitive]

    @property
    def n(self) -> int:
        """Return the number of rows that are in a class."""
        return int(self.sizes.sum())

    @property
    def tuples(self) -> pl.DataFrame:
        """Return the quasi-identifiers of every class, one row each."""
        return pl.DataFrame({name: self.values[name].gather(codes) for name, codes in self.codes.items()})


def count_classes(
    table: pl.LazyFrame, quasi: Sequence[str], sensitive: Sequence[str] = (), nominal: Iterable[str] = ()
) -> Classes:
    """Count a table into classes (see count_rows)."""
    return count_rows(table, quasi, sensitive, nominal)[0]


def count_rows(
    table: pl.LazyFrame, quasi: Sequence[str], sensitive: Sequence[str] = (), nominal: Iterable[str] = ()
) -> tuple[Classes, Key]:
    """Count a table into classes; return them and the key of every row, by which its codes are known.

    A sensitive column is ordered when it holds numbers (texts that all read as numbers, none with a leading zero,
    count as such), unless `nominal` names it. Raises RequestError for columns that are missing, repeated, both
    quasi-identifying and sensitive, or nominal without being sensitive.
    """
    nominal = set(nominal)
    _check_columns(table, quasi, sensitive, nominal)
    rows = table.select([*quasi, *sensitive]).collect(engine="streaming")
    values: dict[str, pl.Series] = {}
    codes: list[Counts] = []
    for name in quasi:
        code, values[name] = encoded(rows.drop_in_place(name))
        codes.append(code)
    key = Key.of(codes, [len(values[name]) for name in quasi])
    del codes
    first, *others = [_pairs(key.rows, rows.drop_in_place(name), name not in nominal) for name in sensitive] or [
        _Pairs.of_rows(key.rows)
    ]
    distinct, sizes = first.groups()
    parts = dict(zip(quasi, key.parts(distinct), strict=True))
    silent = says_nothing(list(parts.values()), list(values.values()))
    spread = [one.spread(distinct, silent) for one in (first, *others)]
    counted = Classes(
        values,
        {name: part[~silent] for name, part in parts.items()},
        sizes[~silent],
        int(sizes[silent].sum()),
        dict(zip(sensitive, spread, strict=False)),
    )
    return counted, key


def _check_columns(
    table: pl.LazyFrame, quasi: Sequence[str], sensitive: Sequence[str], nominal: Iterable[str]
) -> None:
    names = table.collect_schema().names()
    if not quasi:
        raise RequestError("no quasi-identifier is named.", remedy="name at least one column in --quasi.")
    asked = [*quasi, *sensitive]
    for name in asked:
        if name not in names:
            raise RequestError("the table has no such column.", where=name, remedy=f"columns: {', '.join(names)}.")
        if asked.count(name) > 1:
            raise RequestError("a column is named twice.", where=name, remedy="a column is quasi or sensitive, once.")
    if other := sorted(set(nominal) - set(sensitive)):
        raise RequestError("a nominal column is not a sensitive one.", where=other[0], remedy="name it in both.")


def encoded(values: pl.Series) -> tuple[Counts, pl.Series]:
    """Return a code per row and the value of each code (numbers: perhaps some that no row has).

    0.0 and -0.0 are one value. Raises RequestError for values that are equal and are written differently.
    """
    if values.dtype.is_integer() and (band := _band(values)) is not None:
        return band
    if values.dtype.is_float():
        values = values.set(values == 0, 0.0)  # -0.0 is 0.0, though it is written in another way
    texts = _categories(values)
    distinct = texts.unique() if values.dtype == pl.String else values.unique()
    physical = _categories(distinct).to_physical()
    top = max(int(one.max() or 0) for one in (physical, texts.to_physical())) + 1  # type: ignore[arg-type]
    place = np.full(top + 1, -1, dtype=np.int64)
    place[physical.fill_null(top).to_numpy()] = np.arange(len(distinct))
    codes = place[texts.to_physical().fill_null(top).to_numpy()]
    if len(codes) and int(codes.min()) < 0:
        raise RequestError(
            "some values of a column are told apart only when written.", where=values.name,
            remedy="give it as texts or whole numbers.",
        )
    return codes, distinct.cast(values.dtype).alias(values.name)


def _categories(values: pl.Series) -> pl.Series:
    known = values.dtype in (pl.Categorical, pl.Enum)
    return values if known else values.cast(pl.String).cast(pl.Categorical)


def _band(values: pl.Series) -> tuple[Counts, pl.Series] | None:
    """Encode whole numbers that lie close together by their distance from the least."""
    low, high = values.min(), values.max()
    if not isinstance(low, int) or not isinstance(high, int) or high - low >= _WIDEST_BAND:
        return None
    numbers = pl.Series(values.name, range(low, high + 1), dtype=values.dtype)
    if not values.null_count():
        return values.cast(pl.Int64).to_numpy() - low, numbers
    codes = values.cast(pl.Int64).fill_null(high + 1).to_numpy() - low
    return codes, numbers.append(pl.Series([None], dtype=values.dtype))


@dataclass(frozen=True)
class Key:
    """Hold one whole number per row, equal exactly where all codes are and ordered as they are, and how to read it."""

    rows: Counts
    widths: Sequence[int]
    dense: Mapping[int, Counts]  # column number → the keys that stood before it, where they had grown too large

    @staticmethod
    def of(codes: Sequence[Counts], widths: Sequence[int]) -> Key:
        """Return the key of rows: of each column its codes, and below what number they are."""
        key, span, dense = np.zeros(len(codes[0]), dtype=np.int64), 1, {}
        for i, (column, width) in enumerate(zip(codes, widths, strict=True)):
            if span * max(width, 1) >= _LARGEST_KEY:
                dense[i], key = np.unique(key, return_inverse=True)
                span = len(dense[i])
            key, span = key * width + column, span * max(width, 1)
        return Key(key, widths, dense)

    def parts(self, keys: Counts) -> list[Counts]:
        """Return the codes of every column for some keys."""
        return list(self.columns(keys))[::-1]

    def columns(self, keys: Counts) -> Iterator[Counts]:
        """Yield the codes of the columns for some keys, the last column first."""
        for i in range(len(self.widths) - 1, -1, -1):
            keys, code = np.divmod(keys, max(self.widths[i], 1))
            yield code
            if i in self.dense:
                keys = self.dense[i][keys]


@dataclass(frozen=True)
class _Pairs:
    """Hold, sorted, every (key, rank of the sensitive value) that occurs, with its rows."""

    keys: Counts
    ranks: Counts
    rows: Counts
    totals: Counts
    ordered: bool

    @staticmethod
    def of_rows(key: Counts, ranks: Counts | None = None, m: int = 1, *, ordered: bool = False) -> _Pairs:
        both = key if ranks is None else key * m + ranks if _fits(key, m) else None
        if both is None:
            distinct, key = np.unique(key, return_inverse=True)
            pairs = _Pairs.of_rows(key, ranks, m, ordered=ordered)
            return _Pairs(distinct[pairs.keys], pairs.ranks, pairs.rows, pairs.totals, ordered)
        both, rows = _runs(np.sort(both))
        totals = np.bincount(ranks, minlength=m).astype(np.int64) if ranks is not None else rows[:0]
        return _Pairs(both // m, both % m, rows, totals, ordered)

    def groups(self) -> tuple[Counts, Counts]:
        """Return the distinct keys and the rows of each."""
        keys, _ = _runs(self.keys)
        starts = np.searchsorted(self.keys, keys)
        return keys, np.add.reduceat(self.rows, starts) if len(keys) else self.rows

    def spread(self, distinct: Counts, silent: npt.NDArray[np.bool_]) -> Sensitive:
        """Number the keys as classes, leaving the suppressed out."""
        number = np.cumsum(~silent) - 1
        place = np.searchsorted(distinct, self.keys)
        kept = ~silent[place] if len(place) else place.astype(bool)
        return Sensitive(number[place[kept]], self.ranks[kept], self.rows[kept], self.totals, self.ordered)


def _fits(key: Counts, m: int) -> bool:
    return int(key.max(initial=0)) < _LARGEST_KEY // max(m, 1)


def _runs(ordered: Counts) -> tuple[Counts, Counts]:
    """Return the distinct values of a sorted array and how often each stands there."""
    if not len(ordered):
        return ordered, ordered
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return ordered[starts], np.diff(np.append(starts, len(ordered)))


def says_nothing(codes: Iterable[Counts], values: Sequence[pl.Series]) -> npt.NDArray[np.bool_]:
    """Tell which rows, or classes, have nothing but `*`, from the codes of each column and what they stand for."""
    stars = [
        (one.cast(pl.String) == SUPPRESSED).fill_null(value=False).to_numpy()
        if one.dtype in (pl.String, pl.Categorical, pl.Enum) else np.zeros(len(one), dtype=bool) for one in values
    ]
    silent: npt.NDArray[np.bool_] | None = None
    for column, star in zip(codes, stars, strict=True):
        silent = star[column] if silent is None else silent & star[column]
    assert silent is not None
    return silent


def _pairs(key: Counts, column: pl.Series, may_order: bool) -> _Pairs:
    codes, values = encoded(column)
    used = np.bincount(codes, minlength=len(values)) > 0
    ranks, ordered = _ranks(values.filter(pl.Series(used)), may_order=may_order)
    rank_of_code = np.zeros(len(values), dtype=np.int64)
    rank_of_code[used] = ranks
    return _Pairs.of_rows(key, rank_of_code[codes], int(ranks.max(initial=0)) + 1, ordered=ordered)


def _ranks(values: pl.Series, *, may_order: bool) -> tuple[Counts, bool]:
    """Return the rank of each distinct value, from 0, and whether the order is that of numbers."""
    numbers = _numbers(values) if may_order else None
    # Texts such as 1 and 1.0 are one number: they share a rank. Nothing comes first.
    rank = (values.cast(pl.String) if numbers is None else numbers).rank("dense").cast(pl.Int64)
    empty = rank.null_count()
    return _array(rank.fill_null(0)) - (0 if empty else 1), numbers is not None


def _numbers(values: pl.Series) -> pl.Series | None:
    """Return distinct values as numbers, or None when they are no numbers (codes with leading zeros are not)."""
    if values.dtype.is_numeric():
        return values
    if values.dtype.is_temporal():
        return values.to_physical()
    if values.dtype != pl.String or values.drop_nulls().is_empty():
        return None
    if values.str.contains(_LEADING_ZERO).any():
        return None
    numbers = values.cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == values.null_count() and numbers.is_finite().all() else None


def _array(values: pl.Series) -> Counts:
    return values.cast(pl.Int64).to_numpy()
