"""Identifiers of people, organisations and places: separate verdicts and a class, never one boolean."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import polars as pl

from jobs.errors import RequestError
from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import divisions, documents, organisations, resident_id, taxpayers
from jobs.rows.identifiers.spelling import Spelling, spelled
from jobs.rows.identifiers.verdicts import Verdicts

Judge = Callable[[Spelling, CodeBook, date], Verdicts]

JUDGES: dict[str, Judge] = {
    "resident_id": resident_id.judge,
    "credit_code": organisations.judge_credit_code,
    "organisation_code": organisations.judge_organisation_code,
    "registration_number": organisations.judge_registration_number,
    "taxpayer_number": taxpayers.judge,
    "permanent_resident_number": documents.judge_permanent_resident,
    "passport": documents.judge_passport,
    "travel_permit": documents.judge_travel_permit,
    "institution_certificate": documents.judge_institution_certificate,
    "social_organisation_certificate": documents.judge_social_organisation_certificate,
    "division_code": divisions.judge,
}
KINDS = tuple(JUDGES)


def judged(kind: str, cells: pl.Series, codes: CodeBook, on: date, *, centenarians: bool = True) -> Verdicts:
    """Judge cells of one kind of identifier; `on` is the data date.

    Without `centenarians` nobody among 15-digit citizen ID numbers was born before 1900.
    Raises RequestError for an unknown kind.
    """
    if kind not in JUDGES:
        raise RequestError(f"there is no kind {kind!r}.", remedy=f"kinds: {', '.join(KINDS)}.")
    spelling = spelled(cells)
    if kind == "resident_id":
        return resident_id.judge(spelling, codes, on, centenarians=centenarians)
    return JUDGES[kind](spelling, codes, on)


def birth_date(ids: pl.Series) -> pl.Series:
    """Return the birth dates in citizen ID numbers of 18 characters (Date), null where there is none."""
    return resident_id.birth_dates(ids)


def sex(ids: pl.Series) -> pl.Series:
    """Return `male` or `female` from citizen ID numbers of 18 characters."""
    return resident_id.sexes(ids)
