"""Foreigners' permanent-resident numbers: the form of 2017 (15 characters), that of 2023 (18), and what links them.

2017: nationality (three letters), issuing place (four digits), birth date YYMMDD, one digit, check digit (ICAO 9303).
2023: `9`, province of application, nationality (ISO 3166-1 numeric), birth date YYYYMMDD, sequence, check character as
in a citizen ID number (国家移民管理局, numbers issued from 2023-12-01). One person can hold both.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers.characters import matrix, number, travel_document_check
from jobs.rows.identifiers.spelling import Mask, Spelling, truth
from jobs.rows.identifiers.verdicts import Findings, Verdicts

FORM_2017 = "^[A-Z]{3}[0-9]{12}$"
FORM_2023 = "^9[0-9]{16}[0-9X]$"
COUNTRIES = "country"  # code list: alpha-3 codes with their numeric ones


def judge_2017(spelling: Spelling, codes: CodeBook) -> Verdicts:
    """Judge numbers that all have the form of 2017: check digit, date, issuing place."""
    findings = Findings(spelling)
    letters = matrix(spelling.text, 15)
    rows = np.ones(len(spelling.text), dtype=np.bool_)
    known, _ = codes.divisions.known(number(letters, 3, 7) * 100)
    findings.division_known[rows] = known
    findings.mark("permanent_resident_2017", rows)
    findings.mark("division_unknown", ~known)
    findings.mark("calendar_date", ~_dated(spelling.text.str.slice(7, 6)))
    findings.mark("check_character", travel_document_check(letters[:, :14]) != letters[:, 14])
    return findings.verdicts()


def may_be_one_holder(old: pl.Series, new: pl.Series, codes: CodeBook) -> pl.Series:
    """Return whether a number of 2017 and one of 2023, row by row, agree in nationality and birth date.

    Agreement is what the numbers can show, not proof: many people share both. Null where either is of another form or
    the nationality is on no list; a stateless person (000) agrees with none.
    """
    table = codes.table(COUNTRIES)
    numeric = dict(table.select("code", "numeric").iter_rows())
    nationality = old.str.slice(0, 3).replace_strict(numeric, default=None, return_dtype=pl.String)
    agree = (nationality == new.str.slice(3, 3)) & (old.str.slice(7, 6) == new.str.slice(8, 6))
    fit = old.str.contains(FORM_2017) & new.str.contains(FORM_2023) & nationality.is_not_null()
    return agree.set(~fit.fill_null(value=False), None)


def _dated(digits: pl.Series) -> Mask:
    """Return which six digits are a date in some century; only 29 February depends on it."""
    here, before = (century + digits for century in ("20", "19"))
    found = [part.str.to_date("%Y%m%d", strict=False).is_not_null() for part in (here, before)]
    return truth(found[0] | found[1])
