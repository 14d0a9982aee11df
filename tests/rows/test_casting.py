from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.contract import ContractField
from jobs.errors import ContractError
from jobs.rows.casting import CASTERS, STORAGE, cast, silver_schema

ON = date(2026, 3, 2)


@pytest.fixture
def read(types, codes):
    def read(word, cells, **field):
        spec = ContractField.model_validate({"from": "列", "type": word, **field})
        return cast(pl.Series(cells, dtype=pl.String), spec, types, codes, ON)

    return read


def broken(found):
    return sorted(rule for rule, mask in found.reasons.items() if mask.any())


def test_every_type_word_has_a_cast_and_a_storage(types):
    for word, spec in types.items():
        assert word in CASTERS, word
        assert spec.storage in STORAGE


def test_whole_numbers_may_be_grouped_signed_and_full_width(read):
    found = read("integer", ["1,234", "-5", "１２", "7.00", None, "无"])
    assert found.values.to_list() == [1234, -5, 12, 7, None, None]
    assert broken(found) == []


@pytest.mark.parametrize("cell", ["1.5", "12,34", "1e3", "many", "99999999999999999999", "1 2"])
def test_what_is_no_whole_number_is_refused(read, cell):
    assert broken(read("integer", [cell])) == ["not_a_number"]


def test_decimals_keep_their_digits_exactly(read):
    found = read("decimal", ["0.1", "123,456.78900000", ".5", "1.123456789"])
    assert found.values.to_list() == [
        Decimal("0.1"),
        Decimal("123456.789"),
        Decimal("0.5"),
        Decimal("1.12345679"),
    ]
    assert found.warnings["rounded"].to_list() == [False, False, False, True]


def test_yes_and_no_have_many_words_and_the_rest_is_refused(read):
    found = read("boolean", ["是", "有", "1", "TRUE", "否", "无", "0", "Ｎ", None, "-"])
    assert found.values.to_list() == [True] * 4 + [False] * 4 + [None] * 2
    assert broken(found) == []
    assert broken(read("boolean", ["maybe"])) == ["not_a_boolean"]


def test_codes_come_as_code_or_label_and_the_unknown_are_refused(read):
    found = read("code", ["男", "2", " 女 ", None, "n/a", "x"], codes="sex")
    assert found.values.to_list() == ["1", "2", "2", None, None, None]
    assert found.reasons["unknown_code"].to_list() == [False] * 5 + [True]


def test_a_word_that_is_a_placeholder_elsewhere_is_a_code_where_the_list_has_it(read):
    assert read("code", ["未知"], codes="sex").values.to_list() == ["0"]


def test_a_missing_code_list_is_the_contracts_fault(read):
    with pytest.raises(ContractError, match="no code list"):
        read("code", ["1"], codes="no_such_list")


def test_a_number_in_a_name_column_is_refused_and_not_kept(read):
    found = read("person_name", ["张三", "11010519491231002X", "张三13800138000", "REP_1234567"])
    assert found.values.to_list() == ["张三", None, None, "REP_1234567"]
    assert found.reasons["not_a_name"].to_list() == [False, True, True, False]


def test_a_private_use_character_is_a_remark(read):
    found = read("person_name", ["张\ue001"])
    assert broken(found) == []
    assert found.warnings["private_use_character"].to_list() == [True]


def test_a_document_pasted_into_a_cell_is_too_long(read):
    assert broken(read("text", ["字" * 10_001])) == ["too_long"]
    assert broken(read("free_text", ["字" * 10_000])) == []


def test_money_brings_its_currency(read):
    found = read("registered_capital", ["300(万元)", "20万美元", "lots", None])
    assert found.values.to_list() == [Decimal(3_000_000), Decimal(200_000), None, None]
    assert found.currency.to_list() == ["CNY", "USD", None, None]
    assert found.reasons["not_money"].to_list() == [False, False, True, False]


def test_dates_are_judged_by_the_data_date(read):
    found = read("date", ["2026-03-01", "9999-12-31", "soon", None])
    assert found.values.to_list() == [date(2026, 3, 1), None, None, None]
    assert found.reasons["out_of_range"].to_list() == [False, True, False, False]
    assert found.reasons["not_a_date"].to_list() == [False, False, True, False]


def test_an_identifier_keeps_only_what_passes_its_check(read):
    found = read("resident_id", ["11010519491231002X", "110105194912310021", "无", None])
    assert found.values.to_list() == ["11010519491231002X", None, None, None]
    assert found.reasons["check_character"].to_list() == [False, True, False, False]


def test_silver_has_the_types_columns_and_a_currency_beside_money(contract_of, types):
    contract = contract_of(
        {"name": {"from": "名", "type": "text"}, "capital": {"from": "资", "type": "registered_capital"}}
    )
    assert silver_schema(contract, types) == {
        "name": pl.String,
        "capital": pl.Decimal(24, 4),
        "capital_currency": pl.String,
    }


ODD = st.text(st.sampled_from("0123456789+-._eE,xX \t\n\u00a0\u3000\u200b\ufeff\x1f１．＋－甲无N"), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(ODD, min_size=1, max_size=20))
@pytest.mark.parametrize(("word", "odd", "more"), [
    ("integer", "１", {}), ("timestamp", "１", {"unit": "s"}), ("text", "甲  乙", {}), ("free_text", " 甲\r", {}),
    ("address", "甲  乙", {}), ("resident_id", "1101０5", {}),
])
def test_what_a_cell_is_read_as_does_not_depend_on_the_cells_beside_it(read, word, odd, more, cells):
    together = read(word, [*cells, odd, None], **more)  # the odd one takes the whole column the long way
    for place, cell in enumerate(cells):
        alone = read(word, [cell], **more)
        assert alone.values[0] == together.values[place], repr(cell)
        assert {rule for rule, mask in alone.reasons.items() if mask[0]} == {
            rule for rule, mask in together.reasons.items() if mask[place]
        }, repr(cell)
