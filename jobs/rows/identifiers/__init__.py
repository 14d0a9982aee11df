"""Identifiers of people, organisations and places: three verdicts and a class, never one boolean."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import polars as pl

from jobs.errors import RequestError
from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import divisions, organisations, resident_id

Check = Callable[[pl.Series, CodeBook, date], pl.DataFrame]

CHECKS: dict[str, Check] = {
    "resident_id": resident_id.check,
    "credit_code": organisations.check_credit_code,
    "organisation_code": organisations.check_organisation_code,
    "registration_number": organisations.check_registration_number,
    "division_code": divisions.check_division_code,
}
KINDS = tuple(CHECKS)
_STRUCTURE = ("length", "alphabet", "check_character", "calendar_date", "placeholder", "spreadsheet_damage")


def birth_date(ids: pl.Series) -> pl.Series:
    """Return the birth dates in citizen ID numbers of 18 characters (Date), null where there is none."""
    return resident_id.birth_dates(ids)


def sex(ids: pl.Series) -> pl.Series:
    """Return `male` or `female` from citizen ID numbers of 18 characters."""
    return resident_id.sexes(ids)


def identify(values: pl.Series, codes: CodeBook, on: date, kind: str | None = None) -> pl.DataFrame:
    """Say of every value what it is.

    Returns value, kind, normalised, and three verdicts: `structure` (form, date and check character), `division`
    (its place ever existed), `division_at_birth` (in force in the birth year; null for what is no person's number and
    for births before the table of divisions begins), then reasons and warnings. Without `kind` each value is tried as
    each kind; an older identifier is named by its own kind.
    Raises RequestError for an unknown kind.
    """
    if kind is not None and kind not in CHECKS:
        raise RequestError(f"there is no kind {kind!r}.", remedy=f"kinds: {', '.join(KINDS)}.")
    answer: pl.DataFrame | None = None
    for name in [kind] if kind else ["resident_id", "credit_code", "organisation_code", "registration_number"]:
        found = _named(CHECKS[name](values.cast(pl.String), codes, on), name)
        answer = found if answer is None else _better(answer, found)
    assert answer is not None
    reasons = pl.col("reasons").list
    born = pl.col("value").str.slice(6, 4).cast(pl.Int32, strict=False)
    return answer.select(
        values.cast(pl.String).alias("value"),
        "kind",
        pl.col("value").alias("normalised"),
        (reasons.set_intersection(list(_STRUCTURE)).list.len() == 0).alias("structure"),
        (~reasons.contains("division") & ~pl.col("warnings").list.contains("division_unknown")).alias("division"),
        pl.when((pl.col("kind") == "resident_id") & (born >= codes.divisions_since))
        .then(~pl.col("warnings").list.contains("division_not_at_birth"))
        .alias("division_at_birth"),
        "reasons",
        "warnings",
    )


def _named(found: pl.DataFrame, kind: str) -> pl.DataFrame:
    accepted, older = pl.col("value").is_not_null(), pl.coalesce("legacy", pl.lit("unknown"))
    return found.with_columns(pl.when(accepted).then(pl.lit(kind)).otherwise(older).alias("kind"))


def _better(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return row by row the first verdict that accepts, else that names an older kind, else whose form fits."""

    def rank(frame: pl.DataFrame) -> pl.Series:
        misshapen = frame["reasons"].list.set_intersection(["length", "alphabet"]).list.len() > 0
        unknown = (frame["kind"] == "unknown").cast(pl.Int8) * (1 + misshapen.cast(pl.Int8))
        return frame["value"].is_null().cast(pl.Int8) * (1 + unknown)

    take = rank(one) <= rank(other)
    return pl.DataFrame({name: one[name].zip_with(take, other[name]) for name in one.columns})
