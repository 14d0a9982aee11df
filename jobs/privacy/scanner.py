"""Find identifiers where none may be: citizen ID numbers, credit codes and mobile numbers in any text."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from jobs.rows.identifiers.characters import CREDIT_ALPHABET, credit_check, matrix, resident_check
from jobs.rows.identifiers.resident_id import birth_dates, upgraded

_CREDIT_LETTERS = CREDIT_ALPHABET.decode()
# Department, category, division, organisation code, check character (GB 32100-2015).
_CREDIT = f"[1-9ANY][1-59][0-9]{{6}}[{_CREDIT_LETTERS}]{{10}}"
_MOBILE = "1[3-9][0-9]{9}"
# First two digits of the divisions of the People's Republic, and of foreigners' permits.
_PROVINCE = r"^(1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|7[1]|8[1-3]|9[1])"
# Cheap first look, over the whole column; ASCII edges only, so that a number right after Chinese text is seen.
_SUSPECT = (
    r"(?:^|[^0-9])[0-9]{17}[0-9Xx](?:$|[^0-9])"
    rf"|(?:^|[^0-9A-Za-z])(?:[0-9]{{15}}|{_MOBILE}|(?i:{_CREDIT}))(?:$|[^0-9A-Za-z])"
)
_WIDE = "[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]"
# A decimal number is one word: its fraction's digits are no number of anybody.
_WORD = r"[0-9]+\.[0-9]+|[0-9A-Za-z]+"
_DIGITS = r"[0-9]+[Xx]?"


@dataclass(frozen=True)
class Finding:
    """Count the rows of a column that hold one kind of identifier; never what they hold."""

    column: str
    kind: str
    count: int


def scan(frame: pl.DataFrame) -> list[Finding]:
    """Return every column and kind of identifier found in texts, lists of texts and whole numbers.

    Kinds: `resident_id` (18 characters: calendar date and check character hold, GB 11643), `resident_id_15` (15 digits
    standing alone: known province, calendar date), `credit_code` (check character holds, GB 32100), `mobile` (11
    digits standing alone). A pseudonym (26 characters of base32) is none. Numbers written in pieces are not put
    together.
    """
    found: list[Finding] = []
    for column in frame.columns:
        texts = _texts(frame[column])
        if texts is None:
            continue
        masks = _kinds(texts)
        found += [Finding(column, kind, count) for kind, count in masks.items() if count]
    return found


def scan_text(text: str) -> list[Finding]:
    """Return the kinds of identifier in a text such as a log, counted in lines; the column is empty."""
    lines = pl.DataFrame({"": text.splitlines()}, schema={"": pl.String})
    return scan(lines)


def resident_numbers(texts: pl.Series) -> pl.Series:
    """Return the distinct well-formed citizen ID numbers that stand alone in texts, each with 18 characters.

    Those of 15 digits are upgraded; both must have a calendar date, the longer ones their check character.
    """
    spoken = texts.drop_nulls()
    suspects = spoken.filter(spoken.str.contains(_SUSPECT) | spoken.str.contains(_WIDE))
    if suspects.is_empty():
        return pl.Series("part", [], pl.String)
    parts = pl.DataFrame({"text": suspects.str.normalize("NFKC")}).with_row_index("row")
    long = _numbers(parts, _DIGITS, r"^[1-9][0-9]{16}[0-9X]$")
    short = _numbers(parts, _WORD, r"^[0-9]{15}$").filter(pl.col("part").str.contains(_PROVINCE))
    older = short.with_columns(upgraded(short["part"]).alias("part")).drop_nulls("part")
    found = pl.concat([long, older]).select("part").unique().with_row_index("row")
    good = _with_check(found)
    return found.filter(pl.col("row").is_in(list(good)))["part"]


def _numbers(parts: pl.DataFrame, pattern: str, shape: str) -> pl.DataFrame:
    return _parts(parts, pattern).filter(pl.col("part").str.contains(shape)).select("row", "part")


def _texts(values: pl.Series) -> pl.Series | None:
    """Return a column as text, null-free; None for what cannot hold an identifier (dates, fractions, booleans)."""
    if values.dtype == pl.List(pl.String):
        values = values.list.join(" ", ignore_nulls=True)
    elif values.dtype in (pl.Categorical, pl.Enum) or values.dtype.is_integer():
        values = values.cast(pl.String)
    elif values.dtype != pl.String:
        return None
    return values.drop_nulls()


def _kinds(texts: pl.Series) -> dict[str, int]:
    """Return kind → number of texts that hold one."""
    wide = texts.str.contains(_WIDE)
    if wide.any():
        texts = texts.zip_with(~wide, texts.str.normalize("NFKC"))
    suspects = texts.filter(texts.str.contains(_SUSPECT))
    if suspects.is_empty():
        return {}
    counted = suspects.alias("text").value_counts(name="rows").with_row_index("row")
    digits = _parts(counted, _DIGITS)
    words = _parts(counted, _WORD)
    rows = dict(counted.select("row", "rows").iter_rows())
    residents = _residents(digits)
    hits = {
        "resident_id": residents,
        "resident_id_15": _old_residents(words),
        # An 18-digit citizen ID may pass as a credit code by chance; it is counted once.
        "credit_code": _credit_codes(words) - residents,
        "mobile": set(words.filter(pl.col("part").str.contains(f"^{_MOBILE}$"))["row"].to_list()),
    }
    return {kind: sum(rows[row] for row in found) for kind, found in hits.items()}


def _parts(counted: pl.DataFrame, pattern: str) -> pl.DataFrame:
    """Return row and each maximal run of it that the pattern matches, in capitals."""
    parts = counted.select("row", pl.col("text").str.extract_all(pattern).alias("part")).explode("part")
    return parts.drop_nulls("part").with_columns(pl.col("part").str.to_uppercase())


def _residents(digits: pl.DataFrame) -> set[int]:
    shaped = digits.filter(pl.col("part").str.contains(r"^[1-9][0-9]{16}[0-9X]$"))
    return _with_check(shaped)


def _with_check(shaped: pl.DataFrame) -> set[int]:
    if shaped.is_empty():
        return set()
    letters = matrix(shaped["part"], 18)
    passes = pl.Series(resident_check(letters) == letters[:, 17], dtype=pl.Boolean)
    dated = birth_dates(shaped["part"]).is_between(pl.date(1800, 1, 1), pl.date(2100, 1, 1))
    return set(shaped.filter(passes & dated.fill_null(value=False))["row"].to_list())


def _old_residents(words: pl.DataFrame) -> set[int]:
    shaped = words.filter(
        pl.col("part").str.contains(r"^[0-9]{15}$") & pl.col("part").str.contains(_PROVINCE)
    )
    if shaped.is_empty():
        return set()
    return _with_check(shaped.with_columns(upgraded(shaped["part"]).alias("part")))


def _credit_codes(words: pl.DataFrame) -> set[int]:
    shaped = words.filter(pl.col("part").str.contains(f"^{_CREDIT}$"))
    if shaped.is_empty():
        return set()
    letters = matrix(shaped["part"], 18)
    passes = pl.Series(credit_check(letters) == letters[:, 17], dtype=pl.Boolean)
    return set(shaped.filter(passes)["row"].to_list())
