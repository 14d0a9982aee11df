"""Documents of travel, and certificates of registration: numbers known by their form alone.

Passports and permits follow what public validators of Chinese documents agree on; none carries a check character.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import permanent_resident, resident_id
from jobs.rows.identifiers.organisations import place_office
from jobs.rows.identifiers.spelling import PLACEHOLDER, SPREADSHEET, Mask, Spelling, truth
from jobs.rows.identifiers.verdicts import Findings, Verdicts

# Ordinary (E, G, 14, 15), service and diplomatic (D, S, P), Hong Kong (K), Macao (M) passports.
PASSPORT = "^(?:[EGDSPK][0-9]{8}|E[A-HJ-NP-Z][0-9]{7}|[DSP]E[0-9]{7}|(?:KJ|MA|MB)[0-9]{7}|1[45][0-9]{7})$"
MACHINE_READABLE = "^[0-9A-Z]{5,9}$"  # any state's passport (ICAO 9303): up to nine characters
# Residents of Hong Kong and Macao (H, M), of Taiwan (digits), and mainland residents going there (C, W, L, T).
TRAVEL_PERMIT = (
    "^(?:[HM][0-9]{8}(?:[0-9]{2})?|[0-9]{8}|[0-9]{10}[A-Z]?|[CWLT][0-9]{8}|[CL][A-HJ-NP-Z][0-9]{7})$"
)
INSTITUTION = "^(?:事证第?)?1[0-9]{11}号?$"
SOCIAL_ORGANISATION = r"^[\p{Han}()\[\]]{0,12}?[社民基政团]\p{Han}{0,4}[证登]字?.{0,12}?第?[0-9A-Z]{1,18}号?$"


def judge_passport(spelling: Spelling, codes: CodeBook, on: date) -> Verdicts:
    """Judge passport numbers by the forms of Chinese passports.

    A number in any other state's form breaks the structure, which cannot be judged, and rejects no row.
    """
    del codes, on
    findings, rest = _begun(spelling)
    chinese = spelling.matches(PASSPORT) & rest
    foreign = spelling.matches(MACHINE_READABLE) & spelling.matches("[0-9]") & rest & ~chinese
    findings.mark("foreign_form", foreign)
    _misshapen(findings, spelling, rest & ~chinese & ~foreign, (9,))
    return findings.verdicts()


def judge_travel_permit(spelling: Spelling, codes: CodeBook, on: date) -> Verdicts:
    """Judge permits to travel between the mainland and Hong Kong, Macao or Taiwan by their forms."""
    del codes, on
    findings, rest = _begun(spelling)
    _misshapen(findings, spelling, rest & ~spelling.matches(TRAVEL_PERMIT), (8, 9, 10, 11))
    return findings.verdicts()


def judge_permanent_resident(spelling: Spelling, codes: CodeBook, on: date) -> Verdicts:
    """Judge foreigners' permanent-resident numbers of 2017 and of 2023; a citizen's number is of another form."""
    findings, rest = _begun(spelling)
    old, new = spelling.matches(permanent_resident.FORM_2017), spelling.matches(permanent_resident.FORM_2023) & rest
    findings.place(old & rest, permanent_resident.judge_2017(spelling.filter(old & rest), codes))
    findings.place(new, resident_id.judge(spelling.filter(new), codes, on))
    _misshapen(findings, spelling, rest & ~old & ~new, (15, 18))
    return findings.verdicts()


def judge_institution_certificate(spelling: Spelling, codes: CodeBook, on: date) -> Verdicts:
    """Judge certificate numbers of public institutions: 1, the division of the office, a serial; words around it.

    No relation to the credit code: only a table of both links them.
    """
    del on
    findings, rest = _begun(spelling)
    shaped = spelling.matches(INSTITUTION) & rest
    number = spelling.text.str.extract("(1[0-9]{11})")
    place_office(findings, replace(spelling, text=number), shaped, codes, begin=1)
    findings.normalised = number.zip_with(pl.Series(shaped), spelling.text)
    _misshapen(findings, spelling, rest & ~shaped, (12,))
    return findings.verdicts()


def judge_social_organisation_certificate(spelling: Spelling, codes: CodeBook, on: date) -> Verdicts:
    """Judge certificate numbers of associations, private non-enterprise units and foundations: words and a number.

    Every office wrote them its own way, so that only the form of a certificate's number can be asked for.
    """
    del codes, on
    findings, rest = _begun(spelling)
    shaped = (spelling.matches(SOCIAL_ORGANISATION) | spelling.matches("^[0-9A-Z]{3,18}$")) & rest
    findings.mark("form", rest & ~shaped)
    return findings.verdicts()


def _begun(spelling: Spelling) -> tuple[Findings, Mask]:
    """Return findings with what is no identifier at all, and where there is one to judge."""
    findings = Findings(spelling)
    damaged = spelling.matches(SPREADSHEET)
    junk = spelling.matches(PLACEHOLDER) & ~damaged
    findings.mark("spreadsheet_damage", damaged)
    findings.mark("placeholder", junk)
    return findings, ~truth(spelling.text.is_null()) & ~damaged & ~junk


def _misshapen(findings: Findings, spelling: Spelling, rows: Mask, lengths: tuple[int, ...]) -> None:
    sized = np.isin(spelling.lengths(), lengths)
    findings.mark("length", rows & ~sized)
    findings.mark("form", rows & sized & spelling.matches("^[0-9A-Z]+$"))
    findings.mark("alphabet", rows & sized & ~spelling.matches("^[0-9A-Z]+$"))

