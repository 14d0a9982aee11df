"""Citizen ID numbers (GB 11643-1999) and the numbers of residence permits that share their form.

18 characters, or the 15 digits of the 1989 edition, which are upgraded. Permits of residents of Hong Kong, Macao and
Taiwan begin 81, 82, 83; a foreigner's permanent-resident number of 2023 begins 9; that of 2017 has its own 15 places.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import permanent_resident
from jobs.rows.identifiers.characters import Matrix, digits, matrix, number, resident_check
from jobs.rows.identifiers.reasons import BIT
from jobs.rows.identifiers.spelling import PLACEHOLDER, SPREADSHEET, Mask, Spelling, truth
from jobs.rows.identifiers.verdicts import NO_ANSWER, Answers, Findings, Verdicts

PERMITS = (810000, 820000, 830000)  # residents of Hong Kong, Macao, Taiwan
CENTENARIANS = ("996", "997", "998", "999")  # sequences of the 15-digit form for births before 1900
OLDEST = 120
FIRST_YEAR = 1800
PERSONAL_TAX = "^(?:[0-9]{17}|[0-9]{17}[0-9X][0-9]{2})$"
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def judge(spelling: Spelling, codes: CodeBook, on: date, *, centenarians: bool = True) -> Verdicts:
    """Judge citizen ID numbers; `on` is the data date, against which a birth can lie in the future.

    Reasons: length, alphabet, check_character, calendar_date, division, foreign_sequence, placeholder,
    spreadsheet_damage. Remarks: upgraded_15, division_synthetic, division_not_at_birth, future_birth, age, sequence,
    spreadsheet_tail. That the county did not exist in the birth year is a remark only, as a number keeps the code of
    its assignment, and none at all for births before the first year of the table.
    """
    lengths = spelling.lengths()
    fifteen = lengths == 15
    if fifteen.any():
        fifteen[fifteen] = spelling.filter(fifteen).matches("^[0-9]{15}$")
        fifteen &= ~_junk(spelling, fifteen)
    written = spelling.text
    if fifteen.any():
        spelling = replace(spelling, text=upgraded(spelling.text, centenarians=centenarians))
        lengths = np.where(fifteen, 18, lengths)
    findings = Findings(spelling)
    eighteen = (lengths == 18) & spelling.plain()
    if eighteen.any():
        _judge_eighteen(findings, spelling.filter(eighteen), eighteen, codes, on)
    other = ~eighteen & (lengths > 0)
    if other.any():
        findings.place(other, _judge_others(spelling.filter(other), codes))
    if fifteen.any():
        undated = (findings.flags & BIT["calendar_date"]) != 0  # no century makes a date of it
        findings.mark("upgraded_15", fifteen & ~undated)
        if (fifteen & undated).any():
            findings.normalised = written.zip_with(pl.Series(fifteen & undated), findings.normalised)
    return findings.verdicts()


def _junk(spelling: Spelling, rows: Mask) -> Mask:
    found = np.zeros(len(rows), dtype=np.bool_)
    found[rows] = spelling.filter(rows).matches(PLACEHOLDER)
    return found


def _judge_others(spelling: Spelling, codes: CodeBook) -> Verdicts:
    findings = Findings(spelling)
    damaged, junk = spelling.matches(SPREADSHEET), spelling.matches(PLACEHOLDER)
    foreign = spelling.matches(permanent_resident.FORM_2017) & ~junk
    taxed = spelling.matches(PERSONAL_TAX) & ~junk & personal_tax(spelling.text)
    findings.mark("spreadsheet_damage", damaged)
    findings.mark("placeholder", junk & ~damaged)
    findings.name("personal_taxpayer_number", taxed)
    eighteen = spelling.lengths() == 18  # one of them no ASCII character
    findings.mark("alphabet", eighteen & ~junk)
    findings.mark("length", ~(damaged | junk | foreign | taxed | eighteen))
    findings.place(foreign, permanent_resident.judge_2017(spelling.filter(foreign), codes))
    return findings.verdicts()


def _judge_eighteen(findings: Findings, spelling: Spelling, rows: Mask, codes: CodeBook, on: date) -> None:
    letters = matrix(spelling.text, 18)
    shaped = digits(letters[:, :17]) & (digits(letters[:, 17:]) | (letters[:, 17] == ord("X")))
    junk = filler(letters)
    regular = shaped & ~junk
    findings.mark_in("placeholder", rows, junk)
    findings.mark_in("alphabet", rows, ~shaped & ~junk)
    if regular.all():
        _judge_regular(findings, letters, rows, codes, on)
    elif regular.any():
        chosen = rows.copy()
        chosen[rows] = regular
        _judge_regular(findings, letters[regular], chosen, codes, on)


def _judge_regular(findings: Findings, ids: Matrix, rows: Mask, codes: CodeBook, on: date) -> None:
    places, year, day = number(ids, 0, 6), number(ids, 6, 10), number(ids, 10, 14)
    dated = (year >= FIRST_YEAR) & _real(year, day // 100, day % 100)
    permit, foreign = np.isin(places, PERMITS), ids[:, 0] == ord("9")
    known, synthetic = codes.divisions.known(np.where(foreign, places // 1000 % 100 * 10_000, places))
    known |= permit
    plain = ~(permit | foreign)
    then = codes.divisions.in_force(places, year)
    force: Answers = np.where(dated & plain & known & (year >= codes.divisions.since), then, NO_ANSWER).astype(np.int8)
    findings.division_known[rows] = known
    findings.division_in_force[rows] = force
    nil = (ids[:, 14] == ord("0")) & (ids[:, 15] == ord("0")) & (ids[:, 16] == ord("0"))
    for rule, mask in (
        ("check_character", resident_check(ids) != ids[:, 17]),
        ("calendar_date", ~dated),
        ("division", ~known),
        ("foreign_sequence", nil & foreign),
        ("division_synthetic", synthetic & plain),
        ("division_not_at_birth", force == 0),
        ("future_birth", dated & (year * 10_000 + day > on.year * 10_000 + on.month * 100 + on.day)),
        ("age", dated & (year < on.year - OLDEST)),
        ("sequence", nil & ~foreign),
        ("spreadsheet_tail", (ids[:, 15] == ord("0")) & (ids[:, 16] == ord("0")) & (ids[:, 17] == ord("0"))),
    ):
        findings.mark_in(rule, rows, mask)


def filler(letters: Matrix) -> Mask:
    """Return which rows are no identifier but one character again and again, or 123456 and other digits."""
    same = np.ones(letters.shape[0], dtype=np.bool_)
    for place in range(1, letters.shape[1]):
        same &= letters[:, place] == letters[:, 0]
    counted = (letters[:, 0] == ord("1")) & (letters[:, 1] == ord("2")) & (letters[:, 2] == ord("3"))
    if counted.any():
        counted &= (letters[:, 3] == ord("4")) & (letters[:, 4] == ord("5")) & (letters[:, 5] == ord("6"))
        counted &= digits(letters)
    found: Mask = same | counted
    return found


def _real(year: npt.NDArray[np.int64], month: npt.NDArray[np.int64], day: npt.NDArray[np.int64]) -> Mask:
    """Return which numbers are dates of the Gregorian calendar."""
    length = _MONTH_DAYS[np.where(month > 12, 0, month)]
    found: Mask = (day >= 1) & (day <= length)
    late = (month == 2) & (day == 29)
    if late.any():
        found &= ~late | ((year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0)))
    return found


def personal_tax(text: pl.Series) -> Mask:
    """Return which numbers of 17 or 20 characters are an ID number and a serial (国税函〔2006〕820号).

    The 17 digits of an 18-character number that lost its last one are none: they hold a birth date with its century.
    """
    born = birth_dates(pl.select(pl.lit(text).str.slice(0, 18)).to_series()).is_not_null()
    old = text.str.len_bytes() == 17
    return truth((old & old_birth_dates(text).is_not_null() & ~born) | (~old & born))


def upgraded(numbers: pl.Series, *, centenarians: bool = True) -> pl.Series:
    """Return the 18-character form of 15-digit numbers: the century put in, the check character appended."""
    fits = numbers.str.contains(r"^[0-9]{15}$").fill_null(value=False)
    old = numbers.filter(fits)
    if old.is_empty():
        return numbers
    ancient = old.str.slice(12, 3).is_in(list(CENTENARIANS) if centenarians else [])
    century = ancient.replace_strict({True: "18", False: "19"}, return_dtype=pl.String)
    body = old.str.slice(0, 6) + century + old.str.slice(6, 9)
    check_letters = resident_check(matrix(body, 17))
    whole = body + pl.Series(check_letters.view("S1").astype("U1").tolist(), dtype=pl.String)
    return numbers.clone().scatter(fits.arg_true(), whole)


def birth_dates(ids: pl.Series) -> pl.Series:
    """Return the birth dates in 18-character numbers, null where the digits are no calendar date of 1800 or later."""
    found = ids.str.slice(6, 8)
    dates = found.str.to_date("%Y%m%d", strict=False).set(~found.str.contains("^[0-9]{8}$"), None)
    return dates.set((dates.dt.year() < FIRST_YEAR).fill_null(value=False), None)


def old_birth_dates(ids: pl.Series) -> pl.Series:
    """Return the birth dates in 15-digit numbers, null where the digits are no date; all are of the 20th century."""
    return ("19" + ids.str.slice(6, 6)).str.to_date("%Y%m%d", strict=False)


def sexes(ids: pl.Series) -> pl.Series:
    """Return `male` or `female` from the parity of the sequence in 18-character numbers."""
    odd = ids.str.slice(16, 1).cast(pl.Int8, strict=False) % 2
    return odd.replace_strict({1: "male", 0: "female"}, default=None, return_dtype=pl.String)
