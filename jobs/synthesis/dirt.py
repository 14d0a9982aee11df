"""Dirt as departments make it: each kind by its share of the rows, and what must become of such a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

ACCEPTED, REJECTED, DUPLICATE, HELD = "accepted", "rejected", "duplicate", "held"

_FULL_WIDTH = str.maketrans(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", "０１２３４５６７８９ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ"
)
_PERSON = "0123456789X"
_ORGANISATION = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def _full_width(number: str) -> tuple[str, str]:
    return number.translate(_FULL_WIDTH), ACCEPTED


def _fifteen(number: str) -> tuple[str, str] | None:
    return (number[:6] + number[8:17], ACCEPTED) if number[6:8] == "19" and len(number) == 18 else None


def _lower_x(number: str) -> tuple[str, str] | None:
    return (number.lower(), ACCEPTED) if number.endswith("X") else None


def _spreadsheet_tail(number: str) -> tuple[str, str] | None:
    cut = f"{number[:15]}000"
    if not number.isdecimal() or cut == number:
        return None
    return cut, ACCEPTED if _PERSON[(1 - 2 * int(cut[:17], 13)) % 11] == "0" else REJECTED


def _scientific(number: str) -> tuple[str, str] | None:
    return (f"{int(number):.5E}", REJECTED) if number.isdecimal() else None


def _wrong_check(number: str) -> tuple[str, str]:
    alphabet = _PERSON if number[:17].isdecimal() else _ORGANISATION
    return number[:-1] + alphabet[(alphabet.index(number[-1]) + 4) % len(alphabet)], REJECTED


def _nothing(_number: str) -> tuple[str, str]:
    return "无", REJECTED


def _filler(number: str) -> tuple[str, str]:
    return "1" * len(number), REJECTED


Spoiler = Callable[[str], tuple[str, str] | None]
PERSON_DIRT: dict[str, tuple[float, Spoiler]] = {
    "full_width": (0.006, _full_width),
    "fifteen": (0.004, _fifteen),
    "lower_x": (0.03, _lower_x),
    "spreadsheet_tail": (0.002, _spreadsheet_tail),
    "scientific": (0.001, _scientific),
    "wrong_check": (0.003, _wrong_check),
    "nothing": (0.001, _nothing),
    "filler": (0.001, _filler),
}
ENTITY_DIRT: dict[str, tuple[float, Spoiler]] = {
    "full_width": (0.01, _full_width),
    "wrong_check": (0.008, _wrong_check),
    "nothing": (0.003, _nothing),
}


def spoiled(
    chance: np.random.Generator, rows: pl.DataFrame, column: str, kinds: dict[str, tuple[float, Spoiler]]
) -> pl.DataFrame:
    """Return the rows with some identifiers of a column spoiled; `_dirt` and `_expected` say how and what follows.

    A row that is spoiled already is left alone, so that each row tells one story.
    """
    numbers, dirt, expected = rows[column].clone(), rows["_dirt"].clone(), rows["_expected"].clone()
    free = ((dirt == "") & (numbers != "").fill_null(value=False)).to_numpy()
    luck, at = chance.random(rows.height), 0.0
    for name, (share, spoil) in kinds.items():
        places = np.flatnonzero((luck >= at) & (luck < at + share) & free)
        made = [(place, found) for place, number in zip(places.tolist(), numbers.gather(places), strict=True)
                if (found := spoil(number))]
        hit = [place for place, _ in made]
        numbers = numbers.scatter(hit, [cell for _, (cell, _) in made])
        dirt = dirt.scatter(hit, [name] * len(hit))
        expected = expected.scatter(hit, [outcome for _, (_, outcome) in made])
        at += share
    return rows.with_columns(numbers.alias(column), dirt.alias("_dirt"), expected.alias("_expected"))


def swapped(chance: np.random.Generator, rows: pl.DataFrame, one: str, other: str, share: float) -> pl.DataFrame:
    """Return the rows with two columns' cells exchanged in a few of them, as when a clerk pastes them askew."""
    hit = pl.Series(chance.random(rows.height) < share) & (rows["_dirt"] == "")
    return rows.with_columns(
        pl.when(hit).then(other).otherwise(one).alias(one),
        pl.when(hit).then(one).otherwise(other).alias(other),
        _dirt=pl.when(hit).then(pl.lit("swapped")).otherwise("_dirt"),
        _expected=pl.when(hit).then(pl.lit(REJECTED)).otherwise("_expected"),
    )


def repeated(chance: np.random.Generator, rows: pl.DataFrame, share: float) -> pl.DataFrame:
    """Return the rows with some untouched ones once more at the end."""
    clean = rows.filter(pl.col("_dirt") == "")
    count = min(clean.height, max(1, int(rows.height * share)))
    again = clean[sorted(chance.choice(clean.height, count, replace=False).tolist())] if count else clean
    again = again.with_columns(_dirt=pl.lit("exact_duplicate"), _expected=pl.lit(DUPLICATE))
    return pl.concat([rows, again])


def reused(chance: np.random.Generator, rows: pl.DataFrame, column: str, name: str, count: int) -> pl.DataFrame:
    """Return the rows with a few numbers replaced by those of other persons wholly unlike in name."""
    numbers, names = rows[column].to_list(), rows[name].to_list()
    dirt, expected = rows["_dirt"].to_list(), rows["_expected"].to_list()
    for place in chance.permutation(rows.height)[: count * 3].tolist():
        other = int(chance.integers(0, rows.height))
        if count and not dirt[place] and not dirt[other] and not set(names[place][1:]) & set(names[other][1:]):
            numbers[place], dirt[place], expected[place], count = rows[column][other], "reused", HELD, count - 1
    return rows.with_columns(
        pl.Series(column, numbers, pl.String),
        pl.Series("_dirt", dirt, pl.String),
        pl.Series("_expected", expected, pl.String),
    )


Cell = Callable[[pl.Expr], pl.Expr]
_ISO = r"^(\d{4})-(\d{2})-(\d{2})(.*)$"
# What departments write into cells that hold no identifier, and what must become of the row. Whether a rule of the
# contract is broken depends on the column, so each is used only where its outcome is as stated.
MARS: dict[str, tuple[Cell, str]] = {
    "chinese_date": (lambda cell: cell.str.replace(_ISO, "${1}年${2}月${3}日${4}"), ACCEPTED),
    "compact_date": (lambda cell: cell.str.replace(_ISO, "${1}${2}${3}"), ACCEPTED),
    "slashed_date": (lambda cell: cell.str.replace(_ISO, "${1}/${2}/${3}"), ACCEPTED),
    "no_day": (lambda cell: cell.str.replace(_ISO, "${1}年${2}月"), REJECTED),
    "impossible_date": (lambda cell: cell.str.replace(_ISO, "${1}-02-30"), REJECTED),
    "in_the_future": (lambda cell: cell.str.replace(_ISO, "2031-${2}-${3}"), REJECTED),
    "two_digit_year": (lambda cell: cell.str.replace(r"^\d{2}", ""), REJECTED),
    "unknown_word": (lambda _: pl.lit("待核实"), REJECTED),
    "missing": (lambda _: pl.lit(""), REJECTED),
    "left_blank": (lambda _: pl.lit(""), ACCEPTED),
    "dash": (lambda _: pl.lit("--"), REJECTED),
    "grouped_amount": (lambda cell: cell.str.replace(r"^(\d+)(\d{3})(\.\d+)?$", "${1},${2}${3}"), ACCEPTED),
    "unit_in_cell": (lambda cell: cell + "元", ACCEPTED),
    "amount_in_words": (lambda _: pl.lit("五千左右"), REJECTED),
    "number_in_words": (lambda _: pl.lit("若干人"), REJECTED),
    "blank_in_name": (lambda cell: cell.str.replace(r"^(.)(.+)$", "${1} ${2}"), ACCEPTED),
    "number_as_name": (lambda _: pl.lit("13800000000"), REJECTED),
    "padded": (lambda cell: pl.lit("　") + cell + " ", ACCEPTED),
    "ten_times": (lambda cell: cell + "0", REJECTED),
}
SMALL = 200  # rows; in a delivery of as many each kind of mar occurs at least once


def marred(
    chance: np.random.Generator,
    rows: pl.DataFrame,
    columns: Mapping[str, Mapping[str, float]],
    own: Mapping[str, tuple[Cell, str]] | None = None,
) -> pl.DataFrame:
    """Return the rows with some cells written as people write them: column → kind of mar → share of the rows.

    `own` holds a department's own kinds beside MARS; an expression may look at the row's other columns. A row that
    tells a story already, or whose cell is empty, is left alone.
    """
    known = {**MARS, **(own or {})}
    dirt, expected = rows["_dirt"].clone(), rows["_expected"].clone()
    free = (dirt == "").to_numpy().copy()
    changed: dict[str, pl.Series] = {}
    for column, kinds in columns.items():
        cells = rows[column].clone()
        filled = (cells != "").fill_null(value=False).to_numpy()
        for name, share in kinds.items():
            places = np.flatnonzero(free & filled)
            count = min(len(places), max(int(share * rows.height + chance.random()), int(rows.height >= SMALL)))
            hit = np.sort(chance.choice(places, count, replace=False))
            write, outcome = known[name]
            cells = cells.scatter(hit, rows[hit.tolist()].select(write(pl.col(column)).alias(column))[column])
            dirt, expected = dirt.scatter(hit, name), expected.scatter(hit, outcome)
            free[hit] = False
        changed[column] = cells
    return rows.with_columns(**changed, _dirt=dirt, _expected=expected)
