"""Which type a column's cells are of, told by the lake's own judges, its header having the first word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from jobs.contract import ContractField, TypeSpec
from jobs.onboarding.headers import refusal
from jobs.onboarding.vocabulary import UNIT, hinted, speaks_of_numbers
from jobs.rows.casting import cast
from jobs.rows.cleaning import clean_key, clean_text
from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import KINDS
from jobs.rows.identifiers.identification import identify
from jobs.rows.identifiers.organisations import LEGACY_KINDS

FIT = 0.8  # share of a column's filled cells that must be of a type for it to be guessed
LONG_TEXT = 60

# When the header says nothing, the strictest first; quantities only where it does not speak of a number or code.
_NUMBERS = (
    "permanent_resident_number", "resident_id", "credit_code", "organisation_code", "registration_number",
    "institution_certificate", "social_organisation_certificate", "taxpayer_number", "passport", "travel_permit",
)
# Kinds known by their form or by what is in them: many numbers have that form, so each cell must be told to be of the
# kind, and of no other, by what tells them apart.
_TOLD = (
    "institution_certificate", "social_organisation_certificate", "taxpayer_number", "passport", "travel_permit"
)
_COUNTED = (*_NUMBERS, "date", "timestamp", "phone", "division_code", "boolean", "money", "integer", "decimal")
_WORDS = ("person_name", "organisation_name", "address", "free_text", "text")
# Remarks, and shapes of cells, that speak against a type when only the cells suggest it.
_AGAINST = {"phone": ("phone_format",), "registration_number": ("registration_check", "registration_13")}
_ODD = {
    "date": r"^\d{1,7}$|^\d{9,}$", "timestamp": r"^\d+$", "phone": r"^0\d+$", "boolean": r"^\d$",
    "division_code": r"0000$", "integer": r"^\d{12,}$", "decimal": r"^\d{12,}$", "passport": r"^\d+$",
}


@dataclass(frozen=True)
class Guess:
    """Hold a column's drafted field, the share of its filled cells that fit, and whether every row has a value."""

    field: dict[str, Any]
    share: float | None = None
    complete: bool = False
    legacy: tuple[str, ...] = ()


def guess(column: str, cells: pl.Series, types: Mapping[str, TypeSpec], codes: CodeBook, on: date) -> Guess:
    """Guess a column's type from its header and cells, by the lake's own judges."""
    filled, suggested = clean_text(cells).is_not_null(), hinted(column)
    count, quantities = _count(filled), not speaks_of_numbers(column)
    words = not cells.str.contains(r"\d").any()  # no number, whatever its kind, is without a digit
    for kind in dict.fromkeys([*suggested, *(_COUNTED if quantities else _NUMBERS)]):
        if words and kind in _NUMBERS and kind not in suggested:
            continue
        word, _, listed = kind.partition(":")
        if word not in types or (listed and not codes.has(listed)):
            continue
        field = {"from": column, "type": word}
        if listed:
            field["codes"] = listed
        if types[word].storage == "money" and (unit := UNIT.search(column)):
            field["unit"] = unit[1]
        good, legacy = _fitting(field, cells, types, codes, on, hinted=kind in suggested)
        if count and good.any() and _count(good) >= FIT * count:
            if word not in _WORDS and _fitting(field, pl.Series([column]), types, codes, on, hinted=False)[0].any():
                raise refusal("a column's name is of its cells' type.", "give the table a header row.")
            return Guess(_closed(field, types), _count(good) / count, bool(good.all()), legacy)
    long = _count(cells.str.len_chars() > LONG_TEXT) > (1 - FIT) * count
    word = next((kind for kind in suggested if kind in _WORDS), "free_text" if long else "text")
    return Guess(_closed({"from": column, "type": word}, types), None, bool(count) and bool(filled.all()))


def _count(mask: pl.Series) -> int:
    return int(mask.sum() or 0)


def _fitting(
    field: dict[str, Any],
    cells: pl.Series,
    types: Mapping[str, TypeSpec],
    codes: CodeBook,
    on: date,
    *,
    hinted: bool,
) -> tuple[pl.Series, tuple[str, ...]]:
    """Return which cells are of a type, and the kinds of older identifier among them."""
    kind = field["type"]
    legacy = dict.fromkeys(LEGACY_KINDS, "older_number") if kind == "credit_code" else {}
    found = cast(cells, ContractField.model_validate({**field, "legacy": legacy}), types, codes, on)
    good = found.values.is_not_null()
    against = [] if hinted else [found.warnings[name] for name in _AGAINST.get(kind, ()) if name in found.warnings]
    if kind in _ODD and not hinted:
        against.append(clean_key(cells).str.contains(_ODD[kind]).fill_null(value=False))
    if kind in _TOLD and not hinted and good.any():
        against.append(~_told(kind, cells, codes, on))
    if kind in ("integer", "decimal"):
        coded = clean_key(cells).str.contains(r"^0\d|^\d{16,}$").fill_null(value=False)
        against.append(pl.Series([coded.any()]).new_from_index(0, len(cells)))  # 007 is a code, not a number
    if kind in ("date", "timestamp"):
        clocks = cast(cells, ContractField(type="date"), types, codes, on).warnings["time_dropped"]
        if (kind == "date") == (_count(clocks) > (1 - FIT) * _count(good)):
            good &= False
    for mask in against:
        good &= ~mask
    if found.legacy is None or _count(good) * 3 < len(cells):
        return good, ()
    return good | found.legacy.is_not_null(), tuple(found.legacy.drop_nulls().unique().sort())


def _told(kind: str, cells: pl.Series, codes: CodeBook, on: date) -> pl.Series:
    """Return which cells are, of all kinds of identifier, of one kind alone, whole and of a known place if of any."""
    found = identify(cells, codes, on)
    sure = (found["kind"] == kind) & found["structure_ok"] & found["division_known"].fill_null(value=True)
    return sure & ~found["reasons"].str.contains("W_AMBIGUOUS").fill_null(value=False)


def _closed(field: dict[str, Any], types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Add a protection that lets nothing out: a pseudonym for identifiers, which may link tables, else nothing."""
    return {**field, "protect": "pseudonym" if field["type"] in KINDS and types[field["type"]].closed else "drop"}
