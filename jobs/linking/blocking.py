"""Which pairs are looked at: those that share a rare enough combination of values, bounded whatever the data.

A key is one value or a combination of values of a row. A block (the rows with one key) is used when it is small; the
rows of a block that is too large are asked for one value more. So no frequent surname explodes and no rare one is
missed, and the number of pairs is bounded by rows x largest block. After "dynamic blocking" (McNeill, Kardes and
Borthwick 2012, Dynamic record blocking: efficient linking of massive databases in MapReduce).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import polars as pl

from jobs.linking.records import Plan
from jobs.linking.roles import Role

LARGEST_BLOCK = 60  # rows
DEEPEST = 3  # values in one key
MOST_RULES = 60  # a rule is one bit of a 64-bit mask
PAIRS_PER_ROW = 60
FEWEST_PAIRS = 1_500_000


@dataclass(frozen=True)
class Atom:
    """One value of a row that may be a key's part: its name, where it comes from, its cells."""

    name: str
    origins: frozenset[str]  # the comparisons it says something about
    cells: pl.Series = field(compare=False)


@dataclass(frozen=True)
class Blocks:
    """Keys of rows: rule number, key, row; and what each rule is made of."""

    keys: pl.DataFrame  # rule (UInt8), key (UInt64), row (Int64)
    rules: tuple[tuple[str, ...], ...]
    origins: tuple[frozenset[str], ...]
    pairs: int  # at most, before pairs found twice count once


def budget(rows: int) -> int:
    """Return how many pairs may be looked at for so many rows."""
    return max(FEWEST_PAIRS, PAIRS_PER_ROW * rows)


def atoms_of(records: pl.DataFrame, plan: Plan) -> list[Atom]:
    """Return the values by which rows may meet."""
    have = set(records.columns)
    found: list[Atom] = []

    def add(name: str, cells: pl.Series, *origins: str) -> None:
        if cells.drop_nulls().len():
            found.append(Atom(name, frozenset(origins), cells))

    given = next((f.slug for f in plan.of(Role.GIVEN)), "given_name_1")
    surname = next((f.slug for f in plan.of(Role.SURNAME)), "surname_1")
    for slug, short in ((given, 3), (surname, 4)):
        if slug in have:
            add(slug, records[slug], slug)
            add(f"{slug}:{short}", records[slug].str.slice(0, short), slug)
    if {given, surname} <= have:
        # Either part in either column: rows with swapped names meet.
        pair = pl.DataFrame({"a": records[given], "b": records[surname]})
        both = pair.select(
            pl.when(pl.all_horizontal(pl.all().is_not_null())).then(
                pl.min_horizontal("a", "b") + "|" + pl.max_horizontal("a", "b")
            )
        ).to_series()
        add("name", both, given, surname)
    for slug in [f.slug for f in plan.of(Role.NAME) if f.slug in have]:
        add(slug, records[slug], slug)
        add(f"{slug}:sound", records.get_column(f"{slug}__sound", default=records[slug]), slug)
        add(f"{slug}:surname", records.get_column(f"{slug}__surname", default=records[slug].str.slice(0, 1)), slug)
        add(f"{slug}:end", records[slug].str.slice(-2), slug)
        if f"{slug}__other" in have:
            add(f"{slug}:other", records[f"{slug}__other"].fill_null(records[slug]), slug)
    for one in plan.fields:
        slug = one.slug
        if slug not in have or one.role in (Role.GIVEN, Role.SURNAME, Role.NAME, Role.SEX, Role.CATEGORY):
            continue
        cells = records[slug]
        add(slug, cells, slug)
        if one.role is Role.DATE:
            add(f"{slug}:year", cells.str.slice(0, 4), slug)
            add(
                f"{slug}:day", cells.str.slice(5, 5).set((cells.str.len_chars() < 10).fill_null(value=True), None), slug
            )
        elif one.role is Role.POSTCODE:
            add(f"{slug}:area", cells.str.replace(r"...$", ""), slug)
        elif one.role is Role.PHONE:
            add(f"{slug}:end", cells.str.slice(-7), slug)
        elif one.role is Role.EMAIL:
            add(f"{slug}:local", records[f"{slug}__local"], slug)
        elif one.role is Role.IDENTIFIER:
            add(f"{slug}:start", cells.str.slice(0, 5), slug)
            add(f"{slug}:end", cells.str.slice(-5), slug)
        elif one.role is Role.ADDRESS:
            add(f"{slug}:start", cells.str.slice(0, 8), slug)
        elif one.role is Role.ORGANISATION:
            dense = records[f"{slug}__dense"]
            add(f"{slug}:core", dense, slug)
            add(f"{slug}:start", dense.str.slice(0, 6), slug)
            add(f"{slug}:first", records[f"{slug}__core"].str.split(" ").list.first(), slug)
            add(f"{slug}:short", dense.str.slice(0, 3), slug)
            add(f"{slug}:end", dense.str.slice(-4), slug)
    return found


def choose(atoms: list[Atom], most_pairs: int, stated: list[list[Atom]], *, infer: bool = True) -> Blocks:
    """Return the blocks: of the stated rules whatever their size, of inferred ones those small enough."""
    rows = len(atoms[0].cells) if atoms else 0
    largest = max(2, min(LARGEST_BLOCK, 2 * most_pairs // max(1, rows)))
    while True:
        blocks = _blocks(atoms if infer else [], stated, largest)
        if blocks.pairs <= most_pairs or largest <= 5:
            return blocks
        largest = max(5, int(largest * 0.6))


def _blocks(atoms: list[Atom], stated: list[list[Atom]], largest: int) -> Blocks:
    keys: list[pl.DataFrame] = []
    rules: list[tuple[str, ...]] = []
    origins: list[frozenset[str]] = []
    pairs = 0

    def take(parts: list[Atom], hashed: pl.Series, used: pl.Series, size: pl.Series) -> int:
        wanted = used & (size > 1)
        count = int((wanted * (size.cast(pl.Int64) - 1)).sum() // 2)
        if count:
            frame = pl.DataFrame({"key": hashed, "row": pl.int_range(len(hashed), eager=True)}).filter(wanted)
            keys.append(frame.with_columns(pl.lit(len(rules), pl.UInt8).alias("rule")))
            rules.append(tuple(part.name for part in parts))
            origins.append(frozenset().union(*(part.origins for part in parts)))
        return count

    for parts in stated:
        hashed, size = _sizes(parts)
        pairs += take(parts, hashed, hashed.is_not_null(), size)
    crowded: dict[frozenset[str], pl.Series] = {}  # where a combination's block is too large
    for depth in range(1, DEEPEST + 1):
        for chosen in combinations(atoms, depth):
            parts = list(chosen)
            names = frozenset(part.name for part in parts)
            if len(frozenset().union(*(p.origins for p in parts))) < sum(len(p.origins) for p in parts):
                continue  # two values of one thing tell no more than one
            under = [crowded.get(frozenset(smaller)) for smaller in combinations(names, depth - 1)] if depth > 1 else []
            if any(mask is None for mask in under):
                continue
            hashed, size = _sizes(parts)
            open_ = hashed.is_not_null()
            for mask in under:
                assert mask is not None
                open_ &= mask
            if not open_.any():
                continue
            small = size <= largest
            if len(rules) < MOST_RULES:
                pairs += take(parts, hashed, open_ & small, size)
            if (open_ & ~small).any():
                crowded[names] = open_ & ~small
    empty = {"key": pl.UInt64, "row": pl.Int64, "rule": pl.UInt8}
    return Blocks(pl.concat(keys) if keys else pl.DataFrame(schema=empty), tuple(rules), tuple(origins), pairs)


def _sizes(parts: list[Atom]) -> tuple[pl.Series, pl.Series]:
    """Return every row's key, null where a part is missing, and how many rows share it."""
    frame = pl.DataFrame({f"p{i}": part.cells for i, part in enumerate(parts)})
    known = pl.all_horizontal(pl.all().is_not_null())
    keyed = frame.select(pl.when(known).then(pl.struct(pl.all()).hash(seed=7)).alias("key"))
    return keyed["key"], keyed.select(
        pl.when(pl.col("key").is_not_null()).then(pl.len().over("key")).fill_null(0)
    ).to_series()
