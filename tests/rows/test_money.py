from decimal import Decimal

import polars as pl
import pytest

from jobs.rows.money import CURRENCIES, read_money, read_unit


def read(cell, unit=None, currency=None):
    return read_money(pl.Series([cell], dtype=pl.String), unit=unit, currency=currency)


@pytest.mark.parametrize(
    ("cell", "amount", "currency"),
    [
        ("120(万元人民币)", "1200000", "CNY"),
        ("4,321.5(万元人民币)", "43215000", "CNY"),
        ("77(万)", "770000", "CNY"),
        ("88万人民币元", "880000", "CNY"),
        ("88( 万人民币元)", "880000", "CNY"),
        ("12（万元（人民币））", "120000", "CNY"),
        ("12(万元(港币))", "120000", "HKD"),
        ("9,000,000(人民币元)", "9000000", "CNY"),
        ("1,234元人民币", "1234", "CNY"),
        ("50(万元美元)", "500000", "USD"),
        ("30万新加坡元", "300000", "SGD"),
        ("25(万德国马克)", "250000", "DEM"),
        ("1,000(万日元)", "10000000", "JPY"),
        ("5(万澳门元)", "50000", "MOP"),
        ("1.5亿元", "150000000", "CNY"),
        ("2千万元", "20000000", "CNY"),
        ("人民币100万元整", "1000000", "CNY"),
        ("注册资本：３００万元", "3000000", "CNY"),
        ("USD 10,000", "10000", "USD"),
        ("¥5000", "5000", "CNY"),
        ("伍佰万元整", "5000000", "CNY"),
        ("人民币壹仟贰佰万元", "12000000", "CNY"),
        ("一亿二千万元", "120000000", "CNY"),
        ("十万美元", "100000", "USD"),
        ("五百万", "5000000", "CNY"),
        ("0.00005万元", "0.5", "CNY"),
        ("-3万元", "-30000", "CNY"),
    ],
)
def test_amounts_are_read_with_their_unit_and_currency(cell, amount, currency):
    found = read(cell)
    assert found.values.to_list() == [Decimal(amount)]
    assert found.currencies.to_list() == [currency]
    assert not (found.not_money.any())
    assert not (found.unit_missing.any())
    assert not (found.rounded.any())


@pytest.mark.parametrize("cell", ["5()", "5", "5.000", "5（）", "9,999,999()", "424.100000", "五十"])
def test_an_amount_without_a_unit_is_no_amount_and_no_guess(cell):
    found = read(cell)
    assert found.values.to_list() == [None]
    assert found.currencies.to_list() == [None]
    assert found.unit_missing.to_list() == [True]
    assert not found.not_money.any()


@pytest.mark.parametrize("cell", ["5()", "5（）", "5.000", "五"])
def test_a_declared_unit_holds_for_cells_that_name_none(cell):
    assert read(cell, unit="万元").values.to_list() == [Decimal(50000)]


def test_a_unit_declared_by_the_contract_is_no_assumption():
    found = read("5360.00", unit="元", currency="CNY")
    assert found.values.to_list() == [Decimal(5360)]
    assert not found.unit_missing.any()


def test_a_declared_currency_holds_for_cells_that_name_none():
    assert read("5(万)", currency="USD").currencies.to_list() == ["USD"]
    assert read("5(万港元)", currency="USD").currencies.to_list() == ["HKD"]


@pytest.mark.parametrize("cell", ["N/A", "-", "无", "", None])
def test_an_empty_amount_is_null_without_blame(cell):
    found = read(cell)
    assert found.values.to_list() == [None]
    assert not (found.not_money.any())
    assert not (found.amount_missing.any())


def test_a_unit_without_an_amount_is_a_missing_amount():
    found = read("万人民币")
    assert found.values.to_list() == [None]
    assert found.amount_missing.to_list() == [True]
    assert not found.not_money.any()


@pytest.mark.parametrize(
    "cell",
    ["5-10万元", "about five", "5万元或6万", "5万贝壳", "5(万美元港币)", "1,23万", "1E+06元", "12 34万"],
)
def test_what_is_not_one_amount_is_refused(cell):
    found = read(cell)
    assert found.values.to_list() == [None]
    assert found.not_money.to_list() == [True]


def test_digits_beyond_the_store_are_rounded_and_noticed():
    found = read("183.333333333333万元")
    assert found.values.to_list() == [Decimal("1833333.3333")]
    assert found.rounded.to_list() == [True]


def test_every_currency_word_is_read_alone_and_with_a_unit():
    for word, code in CURRENCIES.items():
        unit = read_unit(f"(万{word})")
        assert unit is not None, word
        assert (unit.power, unit.currency) == (4, code), word
