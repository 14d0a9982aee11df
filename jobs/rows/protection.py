"""Decide what gold holds of a field, and what open holds of gold. Default closed.

`protect` takes silver's typed rows to gold's columns, `generalise` takes gold to published columns. Every
method rounds down or cuts off, so that a coarser step can always be taken from a finer one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from jobs.contract import Contract, ContractField, TypeSpec
from jobs.errors import ContractError
from jobs.rows.casting import storage_type
from jobs.rows.coarsening import METHODS, SUPPRESSED, Context, Method, method_named
from jobs.rows.codes import CodeBook

__all__ = [
    "GENERALISATIONS",
    "PROTECTIONS",
    "SUPPRESSED",
    "coarsen",
    "generalise",
    "gold_column",
    "gold_schema",
    "in_scope",
    "ladder",
    "ladders",
    "protect",
    "protection_of",
    "published_schema",
]

# Still about a person: may be seen in gold by those who are allowed to, never published.
_CONTROLLED = frozenset(name for name in METHODS if name == "redacted" or name.partition("_")[0] == "mask")
_CLOSING = frozenset({"drop", "pseudonym"}) | _CONTROLLED  # no generalisation of what is published
PROTECTIONS: dict[str, tuple[Method, str]] = {name: (method, method.says) for name, method in METHODS.items()}
GENERALISATIONS = {name: entry for name, entry in PROTECTIONS.items() if name not in _CLOSING}

# From fine to coarse; a column coarsened past the end of its ladder is suppressed.
_LADDERS = (
    ("day", "month", "quarter", "year", "five_years", "ten_years", "twenty_years"),
    ("county", "city", "province"),
    ("thousands", "five_thousands", "ten_thousands", "hundred_thousands", "magnitude"),
)
_BASE_OF_TYPE = {"date": "day", "timestamp": "day", "division_code": "county", "money": "thousands"}
_BASE_OF_TYPE["registered_capital"] = "thousands"
_DATE_SUFFIX = re.compile(r"_(on|at|date|year|month)$")


def protection_of(spec: ContractField, types: Mapping[str, TypeSpec]) -> str:
    """Return how a field is protected: as declared, else drop for a direct or sensitive type, else keep."""
    if spec.protect is not None:
        return spec.protect
    if spec.type not in types:
        raise ContractError(f"there is no type {spec.type!r}.", remedy="see schemas/types.yaml.")
    return "drop" if types[spec.type].closed else "keep"


def gold_column(field_name: str, protect: str | None) -> str:
    """Return a field's column in gold: registered_on by month is registered_month, and so on."""
    if protect is None:
        return field_name
    method, _ = method_named(protect)
    if method.column is not None:
        return method.column
    if method.suffix is None:
        return field_name
    return f"{_DATE_SUFFIX.sub('', field_name)}{method.suffix}"


def gold_schema(contract: Contract, types: Mapping[str, TypeSpec]) -> dict[str, pl.DataType]:
    """Return gold's columns in the contract's order; raise ContractError when two fields would share one."""
    schema: dict[str, pl.DataType] = {}
    for name, spec in contract.fields.items():
        how = protection_of(spec, types)
        if how == "drop":
            continue
        column = gold_column(name, how)
        if column in schema:
            raise ContractError(
                f"two fields would become the gold column {column!r}.",
                dataset=contract.name,
                layer="gold",
                where=f"fields.{name}",
                remedy="rename one field or protect it otherwise.",
            )
        schema[column] = method_named(how)[0].stores or storage_type(spec.type, types)
        if _keeps_currency(spec, how, types):
            schema[f"{column}_currency"] = pl.String()
    return schema


def protect(
    rows: pl.DataFrame, contract: Contract, types: Mapping[str, TypeSpec], key: bytes, codes: CodeBook
) -> pl.DataFrame:
    """Turn silver's typed rows into gold's columns: same rows, same order, only what the contract names.

    `key` makes the pseudonyms (HMAC-SM3, see coarsening.pseudonyms); equal values of one type get equal
    pseudonyms in every dataset protected with the same key. A field that the rows lack is empty.
    """
    schema = gold_schema(contract, types)
    columns: dict[str, pl.Series] = {}
    for name, spec in contract.fields.items():
        how = protection_of(spec, types)
        if how == "drop":
            continue
        column = gold_column(name, how)
        values = _column(rows, name, storage_type(spec.type, types))
        currency = (
            _column(rows, f"{name}_currency", pl.String()) if types[spec.type].storage == "money" else None
        )
        method, argument = method_named(how)
        if method.whole:
            raise ContractError(
                f"{how} is for a whole column, and gold is made in slices.", dataset=contract.name,
                where=f"fields.{name}.protect", remedy="generalise by it under publish:.",
            )
        made = method.apply(values, Context(key=key, domain=spec.type, codes=codes, argument=argument))
        if currency is not None and made.dtype == pl.String:
            made = _name_foreign(made, currency, spec)
        columns[column] = made.cast(schema[column]).alias(column)
        if currency is not None and f"{column}_currency" in schema:
            columns[f"{column}_currency"] = currency.alias(f"{column}_currency")
    return pl.DataFrame(columns) if columns else pl.DataFrame()


def published_schema(contract: Contract, types: Mapping[str, TypeSpec]) -> dict[str, pl.DataType]:
    """Return the published columns (before any coarsening for anonymity) in the order of the contract.

    Raises ContractError for one that is only masked or redacted: that does not anonymise.
    """
    gold = gold_schema(contract, types)
    schema: dict[str, pl.DataType] = {}
    for name, spec in contract.fields.items():
        if spec.publish:
            _refuse_controlled(contract, name, spec)
            stored = gold[gold_column(name, spec.protect)]
            method, _ = method_named(spec.publish.generalise or "keep")
            schema[spec.publish.as_] = method.stores or stored
    return schema


def _refuse_controlled(contract: Contract, name: str, spec: ContractField) -> None:
    methods = (spec.protect, spec.publish and spec.publish.generalise)
    if any(method in _CONTROLLED for method in methods):
        raise ContractError(
            "a masked column is not anonymous and may not be published.", dataset=contract.name,
            where=f"fields.{name}", remedy="publish a generalisation, or nothing.",
        )


def in_scope(contract: Contract, types: Mapping[str, TypeSpec]) -> pl.Expr:
    """Return which gold rows a release is about (`release.only`); a field that gold does not hold narrows nothing."""
    kept = pl.lit(value=True)
    for name, wanted in contract.release.only.items() if contract.release else ():
        how = protection_of(contract.fields[name], types)
        if how != "drop":
            kept = kept & pl.col(gold_column(name, how)).cast(pl.String).is_in(list(wanted)).fill_null(value=False)
    return kept


def generalise(
    rows: pl.DataFrame, contract: Contract, codes: CodeBook, step: int | Mapping[str, int] = 0
) -> pl.DataFrame:
    """Turn gold rows into the published columns: same rows, same order.

    `step` takes that many steps down each column's ladder (one number, or a number per published column).
    An amount of money in another currency than the field's is published as null: it is never converted.
    """
    columns: dict[str, pl.Series] = {}
    steps_of = ladders(contract)
    for name, spec in contract.fields.items():
        if not spec.publish:
            continue
        column, public = gold_column(name, spec.protect), spec.publish.as_
        method, argument = method_named(spec.publish.generalise or "keep")
        values = method.apply(rows[column], Context(codes=codes, argument=argument))
        if f"{column}_currency" in rows.columns and values.dtype.is_numeric():
            foreign = rows[f"{column}_currency"] != _currency(spec)
            values = values.set(foreign.fill_null(value=False), None)
        down = step if isinstance(step, int) else step.get(public, 0)
        if down:
            coarser = steps_of[public]
            values = coarsen(values, coarser[min(down, len(coarser)) - 1], codes)
        columns[public] = values.alias(public)
    return pl.DataFrame(columns) if columns else pl.DataFrame()


def coarsen(values: pl.Series, step: str, codes: CodeBook | None = None) -> pl.Series:
    """Coarsen published values by one named step of a ladder; `suppressed` leaves only '*'."""
    method, argument = method_named(step)
    return method.apply(values, Context(codes=codes, argument=argument)).cast(pl.String)


def ladder(name: str) -> tuple[str, ...]:
    """Return the ever coarser steps after a method (or `day`, `county`, …), the last one always `suppressed`.

    A category, or a method without a ladder, can only be suppressed.
    """
    for steps in _LADDERS:
        if name in steps:
            return (*steps[steps.index(name) + 1 :], "suppressed")
    return ("suppressed",)


def ladders(contract: Contract) -> dict[str, tuple[str, ...]]:
    """Return published column: its coarser steps, starting from what it already is."""
    found: dict[str, tuple[str, ...]] = {}
    for spec in contract.fields.values():
        if spec.publish:
            declared = [how for how in (spec.publish.generalise, spec.protect) if how not in (None, "keep")]
            base = declared[0] if declared else _BASE_OF_TYPE.get(spec.type, "category")
            found[spec.publish.as_] = ladder(base or "category")
    return found


def _column(rows: pl.DataFrame, name: str, stored: pl.DataType) -> pl.Series:
    if name in rows.columns:
        return rows[name]
    return pl.Series(name, dtype=stored).extend_constant(None, rows.height)


def _keeps_currency(spec: ContractField, how: str, types: Mapping[str, TypeSpec]) -> bool:
    return types[spec.type].storage == "money" and method_named(how)[0].stores in (None, pl.Decimal(24, 4))


def _currency(spec: ContractField) -> str:
    return spec.currency or "CNY"


def _name_foreign(bands: pl.Series, currency: pl.Series, spec: ContractField) -> pl.Series:
    # A band of dollars is not a band of yuan: say so in the label instead of losing it.
    foreign = (currency != _currency(spec)).fill_null(value=False)
    return bands.zip_with(~foreign, currency + " " + bands)
