"""Citizen ID numbers (GB 11643-1999): 18 characters, or the 15 digits of the 1989 edition, upgraded."""

from __future__ import annotations

from datetime import date

import polars as pl

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers.characters import matrix, resident_check
from jobs.rows.identifiers.verdicts import PLACEHOLDER, SPREADSHEET, normalised, placed, verdicts

PERMITS = ("810000", "820000", "830000")  # residents of Hong Kong, Macao, Taiwan
CENTENARIANS = ("996", "997", "998", "999")  # sequences of the 15-digit form for births before 1900
OLDEST = 120


def check(cells: pl.Series, codes: CodeBook, on: date) -> pl.DataFrame:
    """Judge citizen ID numbers; `on` is the data date, against which a birth can lie in the future.

    Reasons: length, alphabet, check_character, calendar_date, division, placeholder, spreadsheet_damage. Warnings:
    upgraded_15, division_synthetic, division_not_at_birth, future_birth, age, sequence, spreadsheet_tail, full_width,
    lower_case. That the county did not exist in the birth year is a remark only, as a number keeps the code of its
    assignment, and none at all for births before the first year of the table.
    """
    text, warnings = normalised(cells)
    lengths = text.str.len_chars()
    damaged = text.str.contains(SPREADSHEET)
    junk = text.str.contains(PLACEHOLDER) & ~damaged
    fifteen = ((lengths == 15) & text.str.contains(r"^\d{15}$") & ~junk).fill_null(value=False)
    text = text.zip_with(~fifteen, upgraded(text))
    lengths = text.str.len_chars()
    wrong_length = (lengths != 18) & ~damaged & ~junk
    wrong_letters = (lengths == 18) & ~text.str.contains(r"^\d{17}[\dX]$") & ~junk
    regular = ((lengths == 18) & text.str.contains(r"^\d{17}[\dX]$") & ~junk).fill_null(value=False)
    ids = text.filter(regular)
    places, birth = ids.str.slice(0, 6), birth_dates(ids)
    permit, foreign = places.is_in(list(PERMITS)), ids.str.starts_with("9")
    known, synthetic = codes.division_known(places)
    years = ids.str.slice(6, 4).cast(pl.Int32)
    absent_at_birth = ~codes.division_in_force(places, years) & (years >= codes.divisions_since)
    letters = matrix(ids, 18)
    reasons = {
        "length": wrong_length,
        "alphabet": wrong_letters,
        "placeholder": junk,
        "spreadsheet_damage": damaged,
        "check_character": placed(regular, pl.Series(resident_check(letters) != letters[:, 17], dtype=pl.Boolean)),
        "calendar_date": placed(regular, birth.is_null()),
        "division": placed(regular, ~(known | permit | foreign)),
    }
    later = (birth > on).fill_null(value=False)
    warnings |= {
        "upgraded_15": fifteen,
        "division_synthetic": placed(regular, synthetic),
        "division_not_at_birth": placed(regular, known & ~synthetic & absent_at_birth & ~permit & ~foreign),
        "future_birth": placed(regular, later),
        "age": placed(regular, (years < on.year - OLDEST) & birth.is_not_null()),
        "sequence": placed(regular, ids.str.slice(14, 3) == "000"),
        "spreadsheet_tail": placed(regular, ids.str.ends_with("000")),
    }
    return verdicts(text, reasons, warnings)


def upgraded(numbers: pl.Series) -> pl.Series:
    """Return the 18-character form of 15-digit numbers: the century put in, the check character appended."""
    fits = numbers.str.contains(r"^\d{15}$").fill_null(value=False)
    old = numbers.filter(fits)
    ancient = old.str.slice(12, 3).is_in(list(CENTENARIANS))
    century = ancient.replace_strict({True: "18", False: "19"}, return_dtype=pl.String)
    body = old.str.slice(0, 6) + century + old.str.slice(6, 9)
    check_letters = resident_check(matrix(body, 17))
    whole = body + pl.Series(check_letters.view("S1").astype("U1").tolist(), dtype=pl.String)
    return numbers.scatter(fits.arg_true(), whole) if len(old) else numbers


def birth_dates(ids: pl.Series) -> pl.Series:
    """Return the birth dates in 18-character numbers, null where the digits are no calendar date of 1800 or later."""
    digits = ids.str.slice(6, 8)
    dates = digits.str.to_date("%Y%m%d", strict=False)
    return dates.set((dates.dt.year() < 1800).fill_null(value=False), None)


def sexes(ids: pl.Series) -> pl.Series:
    """Return `male` or `female` from the parity of the sequence in 18-character numbers."""
    odd = ids.str.slice(16, 1).cast(pl.Int8, strict=False) % 2
    return odd.replace_strict({1: "male", 0: "female"}, default=None, return_dtype=pl.String)


