"""Identifiers of organisations: unified social credit code, organisation code, registration number.

GB 32100-2015, GB 11714-1997, GS 15-2006. A credit-code column of a real register holds older identifiers too: they
are recognised by kind, not merely rejected.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers.characters import (
    CREDIT_ALPHABET,
    credit_check,
    matrix,
    organisation_check,
    registration_check,
)
from jobs.rows.identifiers.verdicts import PLACEHOLDER, SPREADSHEET, normalised, nowhere, placed, verdicts

ISSUED = "issued_credit_codes"  # code list of codes that fail the standard and were issued all the same
_CREDIT = f"^[{CREDIT_ALPHABET.decode()}]{{18}}$"
_ORGANISATION = r"^[0-9A-Z]{8}[0-9X]$"
# 登记管理部门 and the categories it knows (GB 32100-2015, annex); others are a remark.
_CATEGORIES = {
    "1": "1239", "2": "19", "3": "123459", "4": "19", "5": "1239", "6": "129", "7": "129", "8": "19", "9": "1239",
    "A": "19", "N": "1239", "Y": "1",
}
_PAIRS = [department + category for department, known in _CATEGORIES.items() for category in known]
_JUNK_CODES = ("000000000", "123456788")  # pass the check of GB 11714 and mean nothing
LEGACY_KINDS = (
    "registration_number", "registration_number_13", "organisation_code", "taxpayer_number", "certificate_text"
)


def check_credit_code(cells: pl.Series, codes: CodeBook, on: date) -> pl.DataFrame:
    """Judge unified social credit codes.

    Reasons: length, alphabet, check_character, placeholder, spreadsheet_damage, and `legacy_<kind>` for an older
    identifier, whose kind is in `legacy`. Warnings: embedded_check, department_category, division_unknown,
    issued_nonconforming, full_width, lower_case. A code that fails the check is accepted when it is on the list of
    codes issued all the same.
    """
    text, warnings = normalised(cells)
    text = text.str.strip_chars("()[]<>（）【】“”\",.;:")
    text = text.set(text.str.len_chars() == 0, None)
    damaged = text.str.contains(SPREADSHEET)
    junk = (text.str.contains(PLACEHOLDER) | text.is_in(list(_JUNK_CODES))) & ~damaged
    shaped = (text.str.contains(_CREDIT) & ~junk).fill_null(value=False)
    legacy = _legacy_kinds(text.set((shaped | junk | damaged).fill_null(value=False), None))
    plain = text.is_not_null() & ~shaped & ~junk & ~damaged & legacy.is_null()
    found = text.filter(shaped)
    letters = matrix(found, 18)
    passes = pl.Series(credit_check(letters) == letters[:, 17], dtype=pl.Boolean)
    issued = _issued(found, codes, on)
    inside = letters[:, 8:17]
    embedded = pl.Series(organisation_check(inside) == inside[:, 8], dtype=pl.Boolean)
    listed, _ = codes.division_known(found.str.slice(2, 6))
    eighteen = text.str.len_chars() == 18
    reasons = {
        "length": plain & ~eighteen,
        "alphabet": plain & eighteen,
        "placeholder": junk,
        "spreadsheet_damage": damaged,
        "check_character": placed(shaped, ~passes & ~issued),
        **{f"legacy_{kind}": legacy == kind for kind in LEGACY_KINDS},
    }
    national = found.str.slice(2, 6) == "100000"
    warnings |= {
        "embedded_check": placed(shaped, ~embedded),
        "department_category": placed(shaped, ~found.str.slice(0, 2).is_in(_PAIRS)),
        "division_unknown": placed(shaped, ~(listed | national)),
        "issued_nonconforming": placed(shaped, ~passes & issued),
    }
    return verdicts(text, reasons, warnings, legacy)


def check_organisation_code(cells: pl.Series, codes: CodeBook, on: date) -> pl.DataFrame:
    """Judge organisation codes; the hyphen is dropped. Reasons: length, alphabet, check_character, placeholder."""
    del codes, on
    text, warnings = normalised(cells)
    junk = text.str.contains(PLACEHOLDER) | text.is_in(list(_JUNK_CODES))
    shaped = (text.str.contains(r"^[0-9A-Z]{9}$") & ~junk).fill_null(value=False)
    local_unit = text.str.ends_with("B") & shaped  # a statistics marker for a local unit, not a check character
    letters = matrix(text.filter(shaped), 9)
    wrong = placed(shaped, pl.Series(organisation_check(letters) != letters[:, 8], dtype=pl.Boolean))
    reasons = {
        "length": (text.str.len_chars() != 9) & ~junk,
        "alphabet": (text.str.len_chars() == 9) & ~shaped & ~junk,
        "check_character": wrong & ~local_unit,
        "placeholder": junk,
    }
    return verdicts(text, reasons, {**warnings, "local_unit": local_unit})


def check_registration_number(cells: pl.Series, codes: CodeBook, on: date) -> pl.DataFrame:
    """Judge business registration numbers: 15 digits with a check digit, or 13 free ones from before 2007.

    A wrong check digit is a remark: old offices issued such numbers.
    """
    del codes, on
    text, warnings = normalised(cells)
    junk = text.str.contains(PLACEHOLDER)
    fifteen = (text.str.contains(r"^\d{15}$") & ~junk).fill_null(value=False)
    thirteen = (text.str.contains(r"^\d{13}$") & ~junk).fill_null(value=False)
    digits = matrix(text.filter(fifteen), 15)
    wrong = placed(fifteen, pl.Series(registration_check(digits) != digits[:, 14], dtype=pl.Boolean))
    reasons = {"length": text.is_not_null() & ~fifteen & ~thirteen & ~junk, "placeholder": junk}
    return verdicts(text, reasons, {**warnings, "registration_check": wrong, "registration_13": thirteen})


def _issued(found: pl.Series, codes: CodeBook, on: date) -> pl.Series:
    if not codes.has(ISSUED):
        return nowhere(len(found))
    listed = codes.table(ISSUED).filter(pl.col("valid_from").fill_null("0000") <= on.isoformat())
    return found.is_in(listed["code"].implode())


def _legacy_kinds(text: pl.Series) -> pl.Series:
    """Return the kind of an older identifier, null for what is none.

    Fifteen digits in an organisation's column are a registration number when the check of GS 15-2006 holds, else a
    taxpayer number when the last nine hold as an organisation code, else a registration number of an office that did
    not follow the standard: most are.
    """
    kinds = pl.Series("legacy", dtype=pl.String).extend_constant(None, len(text))
    fifteen = text.str.contains(r"^\d{15}$").fill_null(value=False)
    mixed = text.str.contains(r"^\d{6}[0-9A-Z]{9}$").fill_null(value=False)
    nine = text.str.contains(_ORGANISATION).fill_null(value=False)
    digits = matrix(text.filter(fifteen), 15)
    registered = placed(fifteen, pl.Series(registration_check(digits) == digits[:, 14], dtype=pl.Boolean))
    tails = matrix(text.filter(mixed).str.slice(6, 9), 9)
    taxed = placed(mixed, pl.Series(organisation_check(tails) == tails[:, 8], dtype=pl.Boolean))
    bodies = matrix(text.filter(nine), 9)
    coded = placed(nine, pl.Series(organisation_check(bodies) == bodies[:, 8], dtype=pl.Boolean))
    written = text.str.contains(r"[\p{Han}]").fill_null(value=False) | text.str.contains(
        r"^[A-Z]{1,4}\d{4,14}$"
    ).fill_null(value=False)
    for kind, mask in (
        ("certificate_text", written),
        ("organisation_code", coded),
        ("registration_number_13", text.str.contains(r"^\d{13}$")),
        ("registration_number", fifteen),
        ("taxpayer_number", taxed & ~registered),
    ):
        kinds = kinds.set(mask.fill_null(value=False), kind)
    return kinds
