"""Methods that make a value say less: one function per word that `protect:` and `generalise:` may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from jobs.errors import ContractError
from jobs.rows.industry import industry_of
from jobs.rows.masking import MASKS, Mask, mask_of_type
from jobs.rows.microaggregation import MICROAGGREGATE, microaggregated
from jobs.rows.pseudonymisation import pseudonyms
from jobs.rows.recognition import redacted

if TYPE_CHECKING:
    from jobs.rows.codes import CodeBook

SUPPRESSED = "*"


@dataclass(frozen=True)
class Context:
    """Carry what a method may need beside the values; keys and tables are arguments, never global."""

    key: bytes | None = None
    domain: str = ""
    codes: CodeBook | None = None
    argument: int | None = None


@dataclass(frozen=True)
class Method:
    """Describe one method: its function, what it says about itself, its result's type and column name.

    `stores` None keeps the value's own type; `suffix` renames the gold column, `column` fixes its name. `whole`: what a
    value becomes depends on the others, so that it is for a whole published column, not for gold's slices.
    """

    apply: Callable[[pl.Series, Context], pl.Series]
    says: str
    stores: pl.DataType | None = None
    suffix: str | None = None
    column: str | None = None
    takes_argument: bool = False
    takes_day: bool = False
    whole: bool = False


def method_named(text: str) -> tuple[Method, int | None]:
    """Find a method by its word, `name` or `name:number`; raise ContractError for an unknown one."""
    name, colon, argument = text.partition(":")
    method = METHODS.get(name)
    if method is None:
        raise ContractError(f"there is no method {name!r}.", remedy=f"methods: {', '.join(METHODS)}.")
    if not method.takes_argument:
        if colon:
            raise ContractError(f"the method {name} takes no argument.", remedy=f"write {name}.")
        return method, None
    if method.takes_day and not _is_day(argument):
        raise ContractError(f"the method {name} needs a day.", remedy=f"write {name}:20260101.")
    if not argument.isdecimal() or int(argument) == 0:
        raise ContractError(f"the method {name} needs a whole number.", remedy=f"write {name}:1000.")
    return method, int(argument)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).strftime("%Y%m%d") == text
    except ValueError:
        return False


def _keep(values: pl.Series, _context: Context) -> pl.Series:
    return values


def _pseudonym(values: pl.Series, context: Context) -> pl.Series:
    return pseudonyms(values, context.key or b"", context.domain)


def _mask(values: pl.Series, context: Context) -> pl.Series:
    return mask_of_type(values, context.domain)


def _masked_as(mask: Mask) -> Callable[[pl.Series, Context], pl.Series]:
    return lambda values, _context: mask(values)


def _redacted(values: pl.Series, _context: Context) -> pl.Series:
    return redacted(values)


def _suppressed(values: pl.Series, _context: Context) -> pl.Series:
    return pl.Series(values.name, dtype=pl.String).extend_constant(SUPPRESSED, len(values))


def _day(values: pl.Series) -> pl.Series:
    # Days of the domain are days in China, wherever the point in time is stored.
    return (
        values.dt.convert_time_zone("Asia/Shanghai").dt.date()
        if isinstance(values.dtype, pl.Datetime)
        else values
    )


def year_of(values: pl.Series) -> pl.Series:
    """Return the year (Int32) of dates, times, years, or texts that begin with one (2026-Q1, 1980-1984)."""
    if values.dtype.is_temporal():
        return _day(values).dt.year()
    if values.dtype == pl.String:
        return values.str.slice(0, 4).cast(pl.Int32, strict=False)
    return values.cast(pl.Int32, strict=False)


def _month(values: pl.Series, _context: Context) -> pl.Series:
    return _day(values).dt.strftime("%Y-%m") if values.dtype.is_temporal() else values.cast(pl.String)


def _quarter(values: pl.Series, _context: Context) -> pl.Series:
    if values.dtype.is_temporal():
        days = _day(values)
        return days.dt.year().cast(pl.String) + "-Q" + days.dt.quarter().cast(pl.String)
    months = values.cast(pl.String)
    number = months.str.extract(r"^\d{4}-(\d{2})$", 1).cast(pl.Int32, strict=False)
    return (months.str.slice(0, 4) + "-Q" + ((number + 2) // 3).cast(pl.String)).fill_null(months)


def _year(values: pl.Series, _context: Context) -> pl.Series:
    return year_of(values)


def _years(width: int) -> Callable[[pl.Series, Context], pl.Series]:
    def band(values: pl.Series, _context: Context) -> pl.Series:
        return _band(year_of(values), width)

    return band


def _band(values: pl.Series, width: int) -> pl.Series:
    first = values // width * width
    return first.cast(pl.String) + "-" + (first + (width - 1)).cast(pl.String)


def _lower_bound(values: pl.Series) -> pl.Series:
    """Return the whole number an amount, or the text of a band, begins with."""
    if values.dtype == pl.String:
        return values.str.extract(r"(-?\d+)", 1).cast(pl.Int64, strict=False)
    return values.cast(pl.Float64).floor().cast(pl.Int64, strict=False)


def _amounts(width: int) -> Callable[[pl.Series, Context], pl.Series]:
    def band(values: pl.Series, _context: Context) -> pl.Series:
        return _in_its_currency(values, _band(_lower_bound(values), width))

    return band


def _in_its_currency(values: pl.Series, bands: pl.Series) -> pl.Series:
    if values.dtype != pl.String:
        return bands
    return (values.str.extract(r"^([A-Z]{3} )", 1) + bands).fill_null(bands)


def _magnitude(values: pl.Series, _context: Context) -> pl.Series:
    amounts = _lower_bound(values)
    digits = amounts.abs().cast(pl.String).str.len_chars().cast(pl.Int64)
    first = pl.Series([10], dtype=pl.Int64).pow(digits - 1)
    bands = first.cast(pl.String) + "-" + (first * 10 - 1).cast(pl.String)
    bands = bands.set((amounts == 0).fill_null(value=False), "0").set(
        (amounts < 0).fill_null(value=False), "<0"
    )
    return _in_its_currency(values, bands)


def _thousands(values: pl.Series, _context: Context) -> pl.Series:
    return _floored(values, 1000)


def _round(values: pl.Series, context: Context) -> pl.Series:
    return _floored(values, context.argument or 1)


def _floored(values: pl.Series, width: int) -> pl.Series:
    if values.dtype == pl.String:
        return values
    return (_lower_bound(values) // width * width).cast(values.dtype)


def _division(digits: int) -> Callable[[pl.Series, Context], pl.Series]:
    def cut(values: pl.Series, _context: Context) -> pl.Series:
        return values.str.slice(0, digits) + "0" * (6 - digits)

    return cut


def _age_band(values: pl.Series, context: Context) -> pl.Series:
    """Return the band of five years of the age on a day (YYYYMMDD) of those born on dates; before birth null."""
    number = context.argument or 0
    year, day = number // 10_000, number % 10_000
    born = _day(values) if values.dtype.is_temporal() else values.cast(pl.String).str.to_date("%Y-%m-%d", strict=False)
    age = year - born.dt.year() - (born.dt.month().cast(pl.Int32) * 100 + born.dt.day() > day).cast(pl.Int32)
    return _band(age.set((age < 0).fill_null(value=False), None), 5)


def _beginning(values: pl.Series, context: Context) -> pl.Series:
    return values.str.slice(0, context.argument or 1)


def _initial(values: pl.Series, _context: Context) -> pl.Series:
    return values.str.slice(0, 1)


def _microaggregate(values: pl.Series, context: Context) -> pl.Series:
    return microaggregated(values, context.argument or 1)


def _industry(values: pl.Series, _context: Context) -> pl.Series:
    return industry_of(values)


_TEXT = pl.String()
METHODS: dict[str, Method] = {
    "keep": Method(_keep, "as it is"),
    "drop": Method(_suppressed, "left out", _TEXT),
    "pseudonym": Method(_pseudonym, "a keyed pseudonym (HMAC-SM3)", _TEXT),
    "suppressed": Method(_suppressed, "only an asterisk", _TEXT),
    # For controlled views only: a mask does not anonymise, and text is never surely free of people.
    "mask": Method(_mask, "masked by its type; not anonymous", _TEXT),
    **{
        f"mask_{kind}": Method(_masked_as(mask), f"masked: {says}; not anonymous", _TEXT)
        for kind, (mask, says) in MASKS.items()
    },
    "redacted": Method(_redacted, "text without the identifiers that were recognised; not anonymous", _TEXT),
    "month": Method(_month, "the month", _TEXT, "_month"),
    "quarter": Method(_quarter, "the quarter", _TEXT, "_quarter"),
    "year": Method(_year, "the year", pl.Int32(), "_year"),
    "five_years": Method(_years(5), "a band of five years", _TEXT, "_band"),
    "ten_years": Method(_years(10), "a band of ten years", _TEXT, "_band"),
    "twenty_years": Method(_years(20), "a band of twenty years", _TEXT, "_band"),
    "county": Method(_division(6), "the county", _TEXT),
    "city": Method(_division(4), "the city (prefecture)", _TEXT),
    "province": Method(_division(2), "the province", _TEXT),
    "age_band": Method(
        _age_band, "a band of five years of age on the day given (YYYYMMDD)", _TEXT, "_age_band", takes_argument=True,
        takes_day=True,
    ),
    "beginning": Method(_beginning, "as many characters of the beginning as the number given", _TEXT,
                        takes_argument=True),
    "initial": Method(_initial, "the first character", _TEXT, "_initial"),
    "industry": Method(
        _industry, "the industry's letter (GB/T 4754) read from the words", _TEXT, column="industry_code"
    ),
    "thousands": Method(_thousands, "rounded down to whole thousands"),
    "round": Method(_round, "rounded down to a multiple of the number given", takes_argument=True),
    MICROAGGREGATE: Method(
        _microaggregate, "the mean of at least as many neighbours as the number given", takes_argument=True, whole=True
    ),
    "five_thousands": Method(_amounts(5_000), "a band of 5,000", _TEXT, "_band"),
    "ten_thousands": Method(_amounts(10_000), "a band of 10,000", _TEXT, "_band"),
    "hundred_thousands": Method(_amounts(100_000), "a band of 100,000", _TEXT, "_band"),
    "magnitude": Method(_magnitude, "the order of magnitude", _TEXT, "_band"),
}
