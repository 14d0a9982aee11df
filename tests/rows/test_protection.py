from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from jobs.errors import ContractError
from jobs.rows.protection import (
    GENERALISATIONS,
    PROTECTIONS,
    coarsen,
    generalise,
    gold_column,
    gold_schema,
    ladder,
    ladders,
    protect,
    published_schema,
)

KEY = b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def contract(contract_of):
    return contract_of(
        {
            "resident_id": {"from": "a", "type": "resident_id", "protect": "pseudonym"},
            "resident_name": {"from": "b", "type": "person_name"},
            "remark": {"from": "c", "type": "free_text"},
            "birth_date": {
                "from": "d",
                "type": "date",
                "protect": "year",
                "publish": {"as": "birth_band", "generalise": "ten_years"},
            },
            "registered_on": {
                "from": "e",
                "type": "date",
                "protect": "month",
                "publish": {"as": "registered_month"},
            },
            "division_code": {"from": "f", "type": "division_code", "publish": {"as": "division_code"}},
            "capital": {"from": "g", "type": "money", "publish": {"as": "capital"}},
            "size": {"from": "h", "type": "money", "protect": "magnitude"},
        }
    )


@pytest.fixture
def silver():
    money = pl.Decimal(24, 4)
    return pl.DataFrame(
        {
            "resident_id": ["11010519491231002X", None],
            "resident_name": ["某甲", "某乙"],
            "remark": ["tel 13800138000", None],
            "birth_date": [date(1949, 12, 31), None],
            "registered_on": [date(2026, 1, 5), date(2026, 2, 6)],
            "division_code": ["110105", "330185"],
            "capital": pl.Series([Decimal(100), Decimal(200)], dtype=money),
            "capital_currency": ["CNY", "USD"],
            "size": pl.Series([Decimal(100), Decimal(200)], dtype=money),
            "size_currency": ["CNY", "USD"],
            "_source_row": [2, 3],
        }
    )


def test_gold_holds_only_what_the_contract_lets_through(contract, types, codes, silver):
    gold = protect(silver, contract, types, KEY, codes)
    assert gold.columns == [
        "resident_id",
        "birth_year",
        "registered_month",
        "division_code",
        "capital",
        "capital_currency",
        "size_band",
    ]
    assert dict(gold.schema) == gold_schema(contract, types)
    assert gold["birth_year"].to_list() == [1949, None]
    assert gold["registered_month"].to_list() == ["2026-01", "2026-02"]
    assert gold["size_band"].to_list() == ["100-999", "USD 100-999"]


def test_no_identifier_survives_in_gold(contract, types, codes, silver):
    text = protect(silver, contract, types, KEY, codes).write_csv()
    for planted in ("11010519491231002X", "某甲", "13800138000", "1949-12-31"):
        assert planted not in text


def test_an_empty_table_has_golds_columns_and_types(contract, types, codes, silver):
    gold = protect(silver.clear(), contract, types, KEY, codes)
    assert dict(gold.schema) == gold_schema(contract, types)
    public = generalise(gold, contract, codes)
    assert dict(public.schema) == published_schema(contract, types)


def test_published_columns_may_be_coarser_than_gold(contract, types, codes, silver):
    public = generalise(protect(silver, contract, types, KEY, codes), contract, codes)
    assert dict(public.schema) == published_schema(contract, types)
    assert public.to_dicts() == [
        {
            "birth_band": "1940-1949",
            "registered_month": "2026-01",
            "division_code": "110105",
            "capital": Decimal(100),
        },
        {"birth_band": None, "registered_month": "2026-02", "division_code": "330185", "capital": None},
    ]


def test_steps_lead_down_each_ladder_to_suppression(contract, types, codes, silver):
    gold = protect(silver, contract, types, KEY, codes)
    first = generalise(gold, contract, codes, step={"division_code": 1, "registered_month": 2})
    assert first["division_code"].to_list() == ["110100", "330100"]
    assert first["registered_month"].to_list() == ["2026", "2026"]
    last = generalise(gold, contract, codes, step=99)
    assert set(last.row(0)) == {"*"}


def test_ladders_begin_at_what_the_column_already_is(contract):
    assert ladders(contract) == {
        "birth_band": ("twenty_years", "suppressed"),
        "registered_month": ("quarter", "year", "five_years", "ten_years", "twenty_years", "suppressed"),
        "division_code": ("city", "province", "suppressed"),
        "capital": ("five_thousands", "ten_thousands", "hundred_thousands", "magnitude", "suppressed"),
    }
    assert ladder("keep") == ("suppressed",)


def test_every_step_of_every_ladder_coarsens(codes):
    samples = {
        "day": pl.Series([date(1984, 5, 17)]),
        "county": pl.Series(["110105"]),
        "thousands": pl.Series([7000]),
    }
    for base, values in samples.items():
        for step in ladder(base):
            assert coarsen(values, step, codes).dtype == pl.String
        assert coarsen(values, "suppressed", codes).to_list() == ["*"]


@pytest.mark.parametrize(
    ("field", "how", "column"),
    [
        ("registered_on", "month", "registered_month"),
        ("birth_date", "year", "birth_year"),
        ("seen_at", "quarter", "seen_quarter"),
        ("birth_date", "five_years", "birth_band"),
        ("founded", "year", "founded_year"),
        ("registered_capital", "magnitude", "registered_capital_band"),
        ("business_scope", "industry", "industry_code"),
        ("division_code", "city", "division_code"),
        ("sex_code", "keep", "sex_code"),
        ("sex_code", None, "sex_code"),
    ],
)
def test_a_gold_column_says_what_it_holds(field, how, column):
    assert gold_column(field, how) == column


def test_two_fields_may_not_become_one_column(contract_of, types):
    contract = contract_of(
        {
            "born_on": {"from": "a", "type": "date", "protect": "year"},
            "born_year": {"from": "b", "type": "integer"},
        }
    )
    with pytest.raises(ContractError, match="born_year"):
        gold_schema(contract, types)


def test_a_pseudonym_is_no_way_to_publish():
    assert "pseudonym" in PROTECTIONS
    assert "pseudonym" not in GENERALISATIONS
    assert all(says for _, says in PROTECTIONS.values())


@pytest.mark.parametrize("method", ["mask", "mask_name", "redacted"])
def test_a_masked_field_may_be_in_gold_and_is_never_published(contract_of, silver, types, codes, method):
    seen = contract_of({"resident_name": {"from": "b", "type": "person_name", "protect": method}})
    assert gold_schema(seen, types) == {"resident_name": pl.String()}
    if method != "redacted":  # a name alone, with no words around it, is not recognised in text
        assert protect(silver, seen, types, KEY, codes)["resident_name"].to_list() == ["某*", "某*"]
    open_to_all = contract_of(
        {"resident_name": {"from": "b", "type": "person_name", "protect": method, "publish": {"as": "name"}}}
    )
    with pytest.raises(ContractError, match="not anonymous"):
        published_schema(open_to_all, types)


def test_micro_aggregation_is_of_a_whole_published_column(contract_of, types, codes):
    fields = {"fee": {"from": "a", "type": "integer", "publish": {"as": "fee", "generalise": "microaggregate:3"}}}
    contract = contract_of(fields)
    silver = pl.DataFrame({"fee": [1, 100, 2, 101, 3, 102]}, schema={"fee": pl.Int64})
    public = generalise(protect(silver, contract, types, KEY, codes), contract, codes)
    assert public["fee"].to_list() == [2, 101, 2, 101, 2, 101]
    assert published_schema(contract, types)["fee"] == public["fee"].dtype
    assert ladders(contract)["fee"] == ("suppressed",)
    with pytest.raises(ContractError, match="for a whole column"):
        protect(silver, contract_of({"fee": {**fields["fee"], "protect": "microaggregate:3"}}), types, KEY, codes)
