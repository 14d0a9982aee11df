"""Turn a column of delivered cells into typed values, with what was wrong about each cell.

One function per type word; `cast` finds it. A cell that cannot be read becomes null and is marked with the
rule it breaks; an empty or placeholder cell becomes null without a mark (whether it may be empty is
`required`'s business).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from jobs.contract import Contract, ContractField, TypeSpec
from jobs.errors import ContractError
from jobs.rows.cleaning import TEXT_LIMIT, blank_placeholders, clean_free_text, clean_key, clean_text
from jobs.rows.codes import CodeBook
from jobs.rows.dates import counted_timestamps, out_of_range, read_dates, read_timestamps
from jobs.rows.identifiers import KINDS, judged
from jobs.rows.money import AMOUNT, read_money
from jobs.rows.names import clean_address, clean_organisation_name, clean_person_name, clean_phone

Masks = dict[str, pl.Series]

STORAGE: dict[str, pl.DataType] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "decimal": pl.Decimal(38, 8),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
    "boolean": pl.Boolean(),
    "money": AMOUNT,
}
# A cell of digits alone, or one that holds a telephone or identity number.
_NUMBER_AS_NAME = r"^[\dXx ()+-]{6,}$|\d{11}"
TRUE = frozenset(["是", "有", "真", "对", "1", "true", "t", "yes", "y", "√", "✓"])
FALSE = frozenset(["否", "无", "没有", "假", "错", "0", "false", "f", "no", "n", "×", "✗"])


@dataclass(frozen=True)
class Cast:
    """Hold a column's typed values and, per rule, where it is broken or worth a remark.

    `currency` goes with money. `legacy` names the kind of older identifier a cell turned out to be, else null, and
    `older` is that identifier in its normal form.
    """

    values: pl.Series
    reasons: Masks = field(default_factory=dict)
    warnings: Masks = field(default_factory=dict)
    currency: pl.Series | None = None
    legacy: pl.Series | None = None
    older: pl.Series | None = None


Caster = Callable[[pl.Series, ContractField, CodeBook, date], Cast]


def storage_type(word: str, types: Mapping[str, TypeSpec]) -> pl.DataType:
    """Return the Polars type that holds values of a type word; raise ContractError for an unknown word."""
    if word not in types:
        raise ContractError(f"there is no type {word!r}.", remedy="see schemas/types.yaml.")
    return STORAGE[types[word].storage]


def silver_schema(contract: Contract, types: Mapping[str, TypeSpec]) -> dict[str, pl.DataType]:
    """Return silver's typed columns in the contract's order; money has `<field>_currency` beside it."""
    schema: dict[str, pl.DataType] = {}
    for name, spec in contract.fields.items():
        schema[name] = storage_type(spec.type, types)
        if types[spec.type].storage == "money":
            schema[f"{name}_currency"] = pl.String()
    return schema


def cast(
    cells: pl.Series, spec: ContractField, types: Mapping[str, TypeSpec], codes: CodeBook, on: date
) -> Cast:
    """Cast delivered cells (Utf8) to a field's type; `on` is the data date, which dates the code lists."""
    caster = CASTERS.get(spec.type) or CASTERS[types[spec.type].storage]
    return caster(cells, spec, codes, on)


def _text(cells: pl.Series, _spec: ContractField, _codes: CodeBook, _on: date) -> Cast:
    return _bounded(clean_text(cells))


def _free_text(cells: pl.Series, _spec: ContractField, _codes: CodeBook, _on: date) -> Cast:
    return _bounded(clean_free_text(cells))


def _person_name(cells: pl.Series, _spec: ContractField, _codes: CodeBook, _on: date) -> Cast:
    names = clean_person_name(cells)
    # A run of digits is a slipped column (a number where the name should be), and a number must not pass as
    # a name.
    numbers = names.str.contains(_NUMBER_AS_NAME).fill_null(value=False)
    found = _bounded(names.set(numbers, None))
    return Cast(found.values, {**found.reasons, "not_a_name": numbers}, _private_use(names))


def _organisation_name(cells: pl.Series, _spec: ContractField, _codes: CodeBook, _on: date) -> Cast:
    names = clean_organisation_name(cells)
    found = _bounded(names)
    return Cast(found.values, found.reasons, _private_use(names))


def _address(cells: pl.Series, _spec: ContractField, _codes: CodeBook, _on: date) -> Cast:
    return _bounded(clean_address(cells))


def _phone(cells: pl.Series, _spec: ContractField, _codes: CodeBook, _on: date) -> Cast:
    numbers, unknown = clean_phone(cells)
    found = _bounded(numbers)
    return Cast(found.values, found.reasons, {"phone_format": unknown})


def _integer(cells: pl.Series, _spec: ContractField, _codes: CodeBook, _on: date) -> Cast:
    if (whole := _whole_numbers(cells)) is not None:
        return Cast(whole, {"not_a_number": _nowhere(cells)})
    cleaned = clean_key(cells)
    plain = _ungrouped(cleaned).str.replace(r"\.0*$", "")
    values = plain.cast(pl.Int64, strict=False).set(~_is_numeral(plain), None)
    return Cast(values, {"not_a_number": cleaned.is_not_null() & values.is_null()})


def _decimal(cells: pl.Series, _spec: ContractField, _codes: CodeBook, _on: date) -> Cast:
    cleaned = clean_key(cells)
    plain = _ungrouped(cleaned)
    values = plain.cast(pl.Decimal(38, 8), strict=False).set(~_is_numeral(plain), None)
    rounded = plain.str.contains(r"\.\d{8}0*[1-9]").fill_null(value=False) & values.is_not_null()
    return Cast(values, {"not_a_number": cleaned.is_not_null() & values.is_null()}, {"rounded": rounded})


def _money(cells: pl.Series, spec: ContractField, _codes: CodeBook, _on: date) -> Cast:
    found = read_money(cells, unit=spec.unit, currency=spec.currency)
    return Cast(
        found.values,
        {"not_money": found.not_money},
        {
            "unit_missing": found.unit_missing,
            "amount_missing": found.amount_missing,
            "rounded": found.rounded,
        },
        currency=found.currencies,
    )


def _date(cells: pl.Series, _spec: ContractField, _codes: CodeBook, on: date) -> Cast:
    distinct = cells.drop_nulls().unique()  # few days pass even in a million rows
    cleaned = clean_key(distinct)
    dates, dropped = read_dates(cleaned)
    outside = out_of_range(dates, on)
    table = pl.DataFrame(
        {
            "cell": distinct,
            "date": dates.set(outside, None),
            "unread": cleaned.is_not_null() & dates.is_null(),
            "outside": outside,
            "dropped": dropped,
        }
    )
    found = pl.DataFrame({"cell": cells}).join(table, on="cell", how="left", maintain_order="left")
    marks = {name: found[name].fill_null(value=False) for name in ("unread", "outside", "dropped")}
    reasons = {"not_a_date": marks["unread"], "out_of_range": marks["outside"]}
    return Cast(found["date"], reasons, {"time_dropped": marks["dropped"]})


def _timestamp(cells: pl.Series, spec: ContractField, _codes: CodeBook, on: date) -> Cast:
    cleaned = cells if spec.unit and _whole_numbers(cells) is not None else clean_key(cells)
    stamps = counted_timestamps(cleaned, spec.unit) if spec.unit else read_timestamps(cleaned)
    outside = out_of_range(stamps, on)
    not_one = cleaned.is_not_null() & stamps.is_null()
    return Cast(stamps.set(outside, None), {"not_a_timestamp": not_one, "out_of_range": outside})


def _boolean(cells: pl.Series, _spec: ContractField, _codes: CodeBook, _on: date) -> Cast:
    distinct = cells.drop_nulls().unique()
    words = distinct.str.normalize("NFKC").str.strip_chars().str.to_lowercase()
    meaning = {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}
    return _looked_up(
        cells, distinct, words.replace_strict(meaning, default=None, return_dtype=pl.Boolean), "not_a_boolean"
    )


def _code(cells: pl.Series, spec: ContractField, codes: CodeBook, on: date) -> Cast:
    name = spec.codes or ""
    if not codes.has(name):
        raise ContractError(f"there is no code list {name!r}.", remedy=f"add schemas/codes/{name}.csv.")
    distinct = cells.drop_nulls().unique()
    asked = distinct.str.normalize("NFKC").str.strip_chars()
    return _looked_up(cells, distinct, codes.lookup(name, asked, on), "unknown_code")


def _looked_up(cells: pl.Series, distinct: pl.Series, found: pl.Series, rule: str) -> Cast:
    """Carry what was found for each distinct cell to all cells; one not found breaks the rule unless empty.

    Words such as 无 and 未知 are an answer in some columns and a placeholder in others, so they are looked
    up first.
    """
    unread = found.is_null() & clean_text(distinct).is_not_null()
    table = pl.DataFrame({"cell": distinct, "found": found, "unread": unread})
    every = pl.DataFrame({"cell": cells}).join(table, on="cell", how="left", maintain_order="left")
    return Cast(every["found"], {rule: every["unread"].fill_null(value=False)})


def _identifier(cells: pl.Series, spec: ContractField, codes: CodeBook, on: date) -> Cast:
    found = judged(spec.type, blank_placeholders(cells), codes, on, centenarians=spec.centenarians)
    reasons, warnings = found.masks(rejecting=True), found.masks(rejecting=False)
    moved = found.legacy.is_in(list(spec.legacy)).fill_null(value=False)
    if not moved.any():
        return Cast(found.accepted, reasons, warnings)
    # A declared older identifier is no fault of the row; it moves to its own field.
    reasons = {rule: mask & ~moved for rule, mask in reasons.items()}
    warnings |= {f"legacy_{kind}": (found.legacy == kind).fill_null(value=False) for kind in spec.legacy}
    # The words of a certificate are kept as they stand; a number moves in its one spelling, so that it is one key.
    words = (found.legacy == "certificate_text").fill_null(value=False)
    older = clean_text(cells).zip_with(words, found.normalised).set(~moved, None)
    return Cast(found.accepted, reasons, warnings, legacy=found.legacy.set(~moved, None), older=older)


CASTERS: dict[str, Caster] = {
    **dict.fromkeys(KINDS, _identifier),
    "text": _text,
    "free_text": _free_text,
    "person_name": _person_name,
    "organisation_name": _organisation_name,
    "address": _address,
    "phone": _phone,
    "integer": _integer,
    "decimal": _decimal,
    "money": _money,
    "registered_capital": _money,
    "date": _date,
    "timestamp": _timestamp,
    "boolean": _boolean,
    "code": _code,
}


def _bounded(cells: pl.Series) -> Cast:
    too_long = (cells.str.len_chars() > TEXT_LIMIT).fill_null(value=False)
    return Cast(cells.set(too_long, None), {"too_long": too_long})


def _private_use(cells: pl.Series) -> Masks:
    # Rare characters of older systems sit in the private use areas; only their makers can read them.
    return {"private_use_character": cells.str.contains(r"\p{Co}").fill_null(value=False)}


def _whole_numbers(cells: pl.Series) -> pl.Series | None:
    """Return cells as integers when each is one as it stands or null, else None: no other cleaning is needed then."""
    numbers = cells.cast(pl.Int64, strict=False)
    return numbers if numbers.null_count() == cells.null_count() else None


def _nowhere(cells: pl.Series) -> pl.Series:
    return pl.Series(dtype=pl.Boolean).extend_constant(value=False, n=len(cells))


def _ungrouped(cells: pl.Series) -> pl.Series:
    if not cells.str.contains(",", literal=True).any():
        return cells
    grouped = cells.str.contains(r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$").fill_null(value=False)
    return cells.zip_with(~grouped, cells.str.replace_all(",", "", literal=True))


def _is_numeral(cells: pl.Series) -> pl.Series:
    return cells.str.contains(r"^[+-]?(\d+(\.\d*)?|\.\d+)$").fill_null(value=False)
