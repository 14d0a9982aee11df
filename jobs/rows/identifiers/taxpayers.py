"""Taxpayer numbers (税总发〔2013〕41号, 总局公告2015年第66号, 国税函〔2006〕820号): many forms under one name.

Who has a credit code or an ID number bears that. Older and special forms: division and organisation code (15), an ID
number with a serial of two digits (17 or 20), `L` before either (temporary), a letter for the document of a person
without an ID number (18), `J` for soldiers (15). A number that holds an ID number is personal information.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import organisations, resident_id
from jobs.rows.identifiers.characters import credit_check, matrix, resident_check
from jobs.rows.identifiers.organisations import checked_tail, place_office
from jobs.rows.identifiers.spelling import PLACEHOLDER, SPREADSHEET, Mask, Spelling, truth
from jobs.rows.identifiers.verdicts import Findings, Verdicts

PERSON_WITHOUT_ID = "^[LCWHMT][0-9][0-9A-Z]{16}$"
SOLDIER = "^J[0-9]{14}$"
TEMPORARY = "^L(?:[0-9A-Z]{18}|[0-9]{15})$"
ORGANISATION = "^[0-9]{6}[0-9A-Z]{9}$"
_LENGTHS = (15, 16, 17, 18, 19, 20)


def judge(spelling: Spelling, codes: CodeBook, on: date) -> Verdicts:
    """Judge taxpayer numbers; an embedded ID number, credit code or organisation code is judged as that.

    The check of the 15-character form breaks the structure and rejects no row: an older variant of it has none.
    """
    findings = Findings(spelling)
    junk, damaged = spelling.matches(PLACEHOLDER), spelling.matches(SPREADSHEET)
    findings.mark("spreadsheet_damage", damaged)
    findings.mark("placeholder", junk & ~damaged)
    rest = ~truth(spelling.text.is_null()) & ~junk & ~damaged
    lettered = (spelling.matches(PERSON_WITHOUT_ID) | spelling.matches(SOLDIER)) & rest
    lengths = spelling.lengths()
    temporary = spelling.matches(TEMPORARY) & rest & ~lettered
    whole = (lengths == 18) & rest & ~lettered
    serial = spelling.matches(resident_id.PERSONAL_TAX) & rest
    fifteen = spelling.matches(ORGANISATION) & rest
    _embedded(findings, spelling, temporary, 1, None, codes, on)
    _embedded(findings, spelling, whole, 0, None, codes, on)
    _embedded(findings, spelling, serial, 0, -2, codes, on)
    # A person taxed under the old ID number, unless the last nine places say an organisation.
    person = fifteen & truth(resident_id.old_birth_dates(spelling.text).is_not_null())
    person &= ~checked_tail(spelling, person, 6) & spelling.matches("^[0-9]{15}$")
    _embedded(findings, spelling, person, 0, None, codes, on)
    _fifteen(findings, spelling, fifteen & ~person, codes)
    left = rest & ~(lettered | temporary | whole | serial | fifteen)
    sized = np.isin(lengths, _LENGTHS)
    findings.mark("length", left & ~sized)
    findings.mark("alphabet", left & sized)
    return findings.verdicts()


def _fifteen(findings: Findings, spelling: Spelling, rows: Mask, codes: CodeBook) -> None:
    if not rows.any():
        return
    findings.mark("taxpayer_15", rows)
    findings.mark("taxpayer_check", rows & ~checked_tail(spelling, rows, 6))
    place_office(findings, spelling, rows, codes)


def _embedded(
    findings: Findings, spelling: Spelling, rows: Mask, begin: int, end: int | None, codes: CodeBook, on: date
) -> None:
    """Judge the ID number or credit code between two places; one of letters, or whose check says so, is a code."""
    if not rows.any():
        return
    texts = spelling.text.filter(pl.Series(rows))
    kept = texts.str.len_chars().cast(pl.Int64) - begin + (end or 0)
    inner = pl.select(pl.lit(texts).str.slice(begin, pl.lit(kept))).to_series()
    old, new = truth(inner.str.contains("^[0-9]{15}$")), truth(inner.str.contains("^[0-9]{17}[0-9X]$"))
    person = old | (new & ~coded(inner) if end is None else new)
    nothing = np.zeros(len(inner), dtype=np.bool_)
    part = Spelling(inner, nothing, nothing, nothing)
    of_person, of_code = rows.copy(), rows.copy()
    of_person[rows], of_code[rows] = person, ~person
    findings.place(of_person, resident_id.judge(part.filter(person), codes, on), spelling=False)
    findings.mark("embeds_resident_id", of_person)
    if of_code.any():
        found = organisations.judge_credit_code(part.filter(~person), codes, on)
        findings.place(of_code, found, spelling=False)


def coded(text: pl.Series) -> Mask:
    """Return which texts of 18 characters are a credit code rather than an ID number.

    Both may be all digits. The check character decides; where both hold, or none, a calendar date speaks for a person.
    """
    shaped = truth(text.str.contains("^[0-9]{17}[0-9X]$"))
    letters = matrix(text.filter(pl.Series(shaped)), 18)
    found = ~shaped
    holds = credit_check(letters) == letters[:, 17]
    dated = truth(resident_id.birth_dates(text.filter(pl.Series(shaped))).is_not_null())
    found[shaped] = holds & ~(dated & (resident_check(letters) == letters[:, 17]))
    return found
