from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from jobs.errors import ContractError
from jobs.rows.coarsening import METHODS, Context, method_named

KEY = bytes(range(1, 33))


def made(method, values, dtype=None):
    found, argument = method_named(method)
    return found.apply(
        pl.Series(values, dtype=dtype), Context(key=KEY, domain="x", argument=argument)
    ).to_list()


@pytest.mark.parametrize(
    ("method", "label"),
    [
        ("month", "1984-12"),
        ("quarter", "1984-Q4"),
        ("year", 1984),
        ("five_years", "1980-1984"),
        ("ten_years", "1980-1989"),
        ("twenty_years", "1980-1999"),
        ("suppressed", "*"),
    ],
)
def test_a_day_becomes_coarser(method, label):
    assert made(method, [date(1984, 12, 31)]) == [label]


def test_a_point_in_time_is_a_day_in_china():
    assert made("month", [datetime(2025, 12, 31, 17, tzinfo=UTC)], pl.Datetime("us", "UTC")) == ["2026-01"]


@pytest.mark.parametrize("method", ["quarter", "year", "five_years", "ten_years", "twenty_years"])
def test_a_coarser_step_from_a_finer_one_is_the_same_as_from_the_day(method):
    finer = {
        "month": "quarter year ten_years",
        "quarter": "year ten_years",
        "year": "five_years twenty_years",
    }
    day = [date(1999, 5, 17), date(2000, 1, 1), None]
    for step, coarser in finer.items():
        if method in coarser.split():
            assert made(method, made(step, day)) == made(method, day)


def test_divisions_are_cut_to_city_and_province():
    assert made("county", ["330185"]) == ["330185"]
    assert made("city", ["330185", None]) == ["330100", None]
    assert made("province", ["330185"]) == ["330000"]


def test_an_age_is_that_on_the_day_given_birthday_included():
    born = [date(1990, 5, 1), date(1990, 5, 2), date(2026, 5, 2), date(1925, 1, 1), None]
    assert made("age_band:20260501", born, pl.Date) == ["35-39", "35-39", None, "100-104", None]
    assert made("age_band:20250501", born[:2], pl.Date) == ["35-39", "30-34"]


def test_the_beginning_of_a_text_is_as_long_as_asked():
    assert made("beginning:3", ["浙江省杭州市", "浙", None]) == ["浙江省", "浙", None]


def test_amounts_are_rounded_down_and_banded():
    amounts = [Decimal("4999.9900"), Decimal(5000), Decimal(0), None]
    money = pl.Decimal(24, 4)
    assert made("thousands", amounts, money) == [Decimal(4000), Decimal(5000), Decimal(0), None]
    assert made("round:500", amounts, money) == [Decimal(4500), Decimal(5000), Decimal(0), None]
    assert made("five_thousands", amounts, money) == ["0-4999", "5000-9999", "0-4999", None]
    assert made("magnitude", amounts, money) == ["1000-9999", "1000-9999", "0", None]
    assert made("ten_thousands", ["USD 5000-9999", "0-4999"]) == ["USD 0-9999", "0-9999"]


def test_large_amounts_keep_their_magnitude():
    assert made("magnitude", [Decimal(174618979413)], pl.Decimal(24, 4)) == ["100000000000-999999999999"]


def test_an_unknown_method_or_argument_is_the_contracts_fault():
    for text in ("no_such_method", "round", "round:0", "round:x", "year:5", "age_band:10", "age_band:20260230"):
        with pytest.raises(ContractError):
            method_named(text)


def test_every_method_keeps_nulls_apart_from_suppression():
    for name, method in METHODS.items():
        if name in ("drop", "suppressed"):
            continue
        nothing = pl.Series([None], dtype=pl.String)
        assert method.apply(nothing, Context(key=KEY, argument=10)).to_list() == [None], name
