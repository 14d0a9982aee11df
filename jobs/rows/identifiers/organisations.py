"""Identifiers of organisations: unified social credit code, organisation code, registration number.

GB 32100-2015, GB 11714-1997, GS 15-2006. A credit-code column of a real register holds older identifiers too: they
are recognised by kind, not merely rejected.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers.characters import (
    Matrix,
    credit_check,
    digits,
    matrix,
    number,
    organisation_check,
    registration_check,
    within,
)
from jobs.rows.identifiers.resident_id import PERSONAL_TAX, filler, personal_tax
from jobs.rows.identifiers.spelling import PLACEHOLDER, SPREADSHEET, Mask, Spelling, truth
from jobs.rows.identifiers.verdicts import Findings, Verdicts

ISSUED = "issued_credit_codes"  # code list of codes that fail the standard and were issued all the same
CATEGORIES = "registering_category"  # code list of departments with the categories they register
NATIONAL = 100_000  # the division of an office of the whole country
JUNK_CODES = ("000000000", "123456788")  # pass the check of GB 11714 and mean nothing
LEGACY_KINDS = (
    "registration_number", "registration_number_13", "organisation_code", "taxpayer_number",
    "personal_taxpayer_number", "certificate_text",
)
_ORGANISATION = "^[0-9A-Z]{8}[0-9X]$"
_CERTIFICATE = r"\p{Han}|^[A-Z]{1,4}[0-9]{4,14}$"


def judge_credit_code(spelling: Spelling, codes: CodeBook, on: date) -> Verdicts:
    """Judge unified social credit codes.

    Reasons: length, alphabet, check_character, placeholder, spreadsheet_damage, and `legacy_<kind>` for an older
    identifier, whose kind is in `legacy`. Remarks: embedded_check, department_category, division_unknown,
    issued_nonconforming. A code that fails the check is accepted when it is on the list of codes issued all the same.
    """
    findings = Findings(spelling)
    eighteen = (spelling.lengths() == 18) & spelling.plain()
    other = ~eighteen & ~truth(spelling.text.is_null())
    if eighteen.any():
        letters = matrix(spelling.text if eighteen.all() else spelling.text.filter(pl.Series(eighteen)), 18)
        junk = filler(letters)
        shaped = within(letters) & digits(letters[:, 2:8]) & ~junk
        findings.mark_in("placeholder", eighteen, junk)
        findings.mark_in("alphabet", eighteen, ~shaped & ~junk)
        chosen = eighteen.copy()
        chosen[chosen] = shaped
        _judge_shaped(findings, letters if shaped.all() else letters[shaped], chosen, codes, on)
    if other.any():
        findings.place(other, _judge_others(spelling.filter(other)))
    return findings.verdicts()


def _judge_shaped(findings: Findings, letters: Matrix, rows: Mask, codes: CodeBook, on: date) -> None:
    places = number(letters, 2, 8)
    known, _ = codes.divisions.known(places)
    known |= places == NATIONAL
    findings.division_known[rows] = known
    wrong = credit_check(letters) != letters[:, 17]
    issued = np.zeros_like(wrong)
    if wrong.any() and codes.has(ISSUED):
        suspects = findings.normalised.gather(np.flatnonzero(rows)[wrong])
        issued[wrong] = truth(suspects.is_in(_issued(codes, on).implode()))
    inside = letters[:, 8:17]
    for rule, mask in (
        ("check_character", wrong & ~issued),
        ("issued_nonconforming", issued),
        ("embedded_check", organisation_check(inside) != inside[:, 8]),
        ("division_unknown", ~known),
        ("department_category", ~registrable(letters, codes)),
    ):
        findings.mark_in(rule, rows, mask)


def registrable(letters: Matrix, codes: CodeBook) -> Mask:
    """Return which credit codes begin with a department and a category it registers; all where there is no list."""
    if not codes.has(CATEGORIES):
        return np.ones(letters.shape[0], dtype=np.bool_)
    pairs = np.zeros(65_536, dtype=np.bool_)
    for pair in codes.table(CATEGORIES)["code"].to_list():
        pairs[ord(pair[0]) * 256 + ord(pair[1])] = True
    found: Mask = pairs[letters[:, 0].astype(np.uint16) * np.uint16(256) + letters[:, 1]]
    return found


def legal_entity_kinds(credit_codes: pl.Series, codes: CodeBook) -> pl.Series:
    """Return which of the plan's five kinds of legal entity each credit code speaks of (list `organisation_kind`).

    Null where the prefix does not tell (91 covers branches and partnerships too, and is taken as enterprise), is on no
    list, or stands for what is no legal person (92, sole traders). Source: GB 32100-2015 with GB/T 20091.
    """
    table = codes.table(CATEGORIES)
    kinds = dict(table.select("code", "organisation_kind").iter_rows())
    return credit_codes.str.slice(0, 2).replace_strict(kinds, default=None, return_dtype=pl.String)


def judge_organisation_code(spelling: Spelling, codes: CodeBook, on: date) -> Verdicts:
    """Judge organisation codes; the hyphen is dropped.

    Reasons: length, alphabet, check_character, placeholder. Remarks: local_unit (a statistics marker at the last
    place), in_house (PDY00001 to PDY99999 are never national).
    """
    del codes, on
    findings = Findings(spelling)
    there = ~truth(spelling.text.is_null())
    junk = spelling.matches(PLACEHOLDER) | truth(spelling.text.is_in(list(JUNK_CODES)))
    nine = spelling.lengths() == 9
    shaped = spelling.matches("^[0-9A-Z]{9}$") & ~junk
    letters = matrix(spelling.text.filter(pl.Series(shaped)), 9)
    local = letters[:, 8] == ord("B")
    findings.mark("placeholder", junk)
    findings.mark("length", there & ~nine & ~junk)
    findings.mark("alphabet", nine & ~shaped & ~junk)
    findings.mark_in("local_unit", shaped, local)
    findings.mark_in("check_character", shaped, (organisation_check(letters) != letters[:, 8]) & ~local)
    findings.mark("in_house", spelling.matches("^PDY[0-9]{5}") & shaped)
    return findings.verdicts()


def judge_registration_number(spelling: Spelling, codes: CodeBook, on: date) -> Verdicts:
    """Judge business registration numbers: 15 digits with a check digit, or 13 free ones from before 2007.

    A wrong check digit breaks the structure and rejects no row: old offices issued such numbers.
    """
    del on
    findings = Findings(spelling)
    there = ~truth(spelling.text.is_null())
    junk, damaged = spelling.matches(PLACEHOLDER), spelling.matches(SPREADSHEET)
    lengths = spelling.lengths()
    shaped = spelling.matches("^[0-9]{13}(?:[0-9]{2})?$") & ~junk
    fifteen = shaped & (lengths == 15)
    full = matrix(spelling.text.filter(pl.Series(fifteen)), 15)
    findings.mark("placeholder", junk & ~damaged)
    findings.mark("spreadsheet_damage", damaged)
    sized = np.isin(lengths, (13, 15))
    findings.mark("length", there & ~sized & ~junk & ~damaged)
    findings.mark("alphabet", sized & ~shaped & ~junk & ~damaged)
    findings.mark_in("registration_check", fifteen, registration_check(full) != full[:, 14])
    findings.mark("registration_13", shaped & (lengths == 13))
    place_office(findings, spelling, shaped, codes)
    return findings.verdicts()


def place_office(findings: Findings, spelling: Spelling, rows: Mask, codes: CodeBook, begin: int = 0) -> None:
    """Say of identifiers with an office's division from place `begin` whether it ever existed."""
    if not rows.any():
        return
    places = spelling.text.filter(pl.Series(rows)).str.slice(begin, 6).cast(pl.Int64).to_numpy()
    known, _ = codes.divisions.known(places)
    known |= places == NATIONAL
    findings.division_known[rows] = known
    findings.mark_in("division_unknown", rows, ~known)


def _issued(codes: CodeBook, on: date) -> pl.Series:
    listed = codes.table(ISSUED)
    return listed.filter(pl.col("valid_from").fill_null("0000") <= on.isoformat())["code"]


def _judge_others(spelling: Spelling) -> Verdicts:
    findings = Findings(spelling)
    damaged = spelling.matches(SPREADSHEET)
    junk = (spelling.matches(PLACEHOLDER) | truth(spelling.text.is_in(list(JUNK_CODES)))) & ~damaged
    findings.mark("spreadsheet_damage", damaged)
    findings.mark("placeholder", junk)
    rest = ~damaged & ~junk
    for kind, mask in _legacy_kinds(spelling).items():
        findings.name(kind, mask & rest)
        rest &= ~mask
    eighteen = spelling.lengths() == 18
    findings.mark("length", rest & ~eighteen)
    findings.mark("alphabet", rest & eighteen)
    return findings.verdicts()


def _legacy_kinds(spelling: Spelling) -> dict[str, Mask]:
    """Return the kinds of older identifiers, the surest first, with where they are found.

    Fifteen digits in an organisation's column are a registration number when the check of GS 15-2006 holds, else a
    taxpayer number when the last nine hold as an organisation code, else a registration number of an office that did
    not follow the standard: most are.
    """
    fifteen = spelling.matches("^[0-9]{15}$")
    registered = checked_registration(spelling, fifteen)
    taxed = checked_tail(spelling, spelling.matches("^[0-9]{6}[0-9A-Z]{8}[0-9X]$"), 6) & ~registered
    personal = spelling.matches(PERSONAL_TAX)
    if personal.any():
        personal[personal] = personal_tax(spelling.filter(personal).text)
    return {
        "taxpayer_number": taxed,
        "registration_number": fifteen,
        "registration_number_13": spelling.matches("^[0-9]{13}$"),
        "personal_taxpayer_number": personal,
        "organisation_code": checked_tail(spelling, spelling.matches(_ORGANISATION), 0),
        "certificate_text": spelling.matches(_CERTIFICATE),
    }


def checked_registration(spelling: Spelling, fifteen: Mask) -> Mask:
    """Return which numbers of 15 digits hold by the check of GS 15-2006."""
    found = fifteen.copy()
    letters = matrix(spelling.text.filter(pl.Series(fifteen)), 15)
    found[found] = registration_check(letters) == letters[:, 14]
    return found


def checked_tail(spelling: Spelling, rows: Mask, begin: int) -> Mask:
    """Return which texts hold as an organisation code in the nine places from `begin` on."""
    found = rows.copy()
    letters = matrix(spelling.text.filter(pl.Series(rows)).str.slice(begin, 9), 9)
    found[found] = organisation_check(letters) == letters[:, 8]
    return found


