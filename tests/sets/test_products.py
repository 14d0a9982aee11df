"""What a product's rows are: filtered, joined, named."""

from __future__ import annotations

import polars as pl

from jobs.contract import ContractField, ProductSource
from jobs.sets.products import joined

PEOPLE = pl.LazyFrame(
    {
        "id": ["a", "b", "c", "d"], "sex": ["1", "2", None, "1"], "alive": [True, True, True, False],
        "place": ["330102", None, "330103", "330102"],
    }
)
PLACES = pl.LazyFrame({"code": ["330102", "330104", None], "name": ["上城区", "江干区", "无"]})


def _product(**source: object) -> list[tuple[object, ...]]:
    fields = {
        "person": ContractField.model_validate({"from": "id", "type": "text"}),
        "county": ContractField.model_validate({"from": "county", "type": "text"}),
    }
    made = ProductSource.model_validate(
        {"register": "person", "join": [{"dataset": "a/b", "on": {"place": "code"}, "columns": {"county": "name"},
                                         **source.pop("join", {})}], **source}  # type: ignore[dict-item]
    )
    return sorted(joined(PEOPLE, [PLACES], made, fields).collect().iter_rows(), key=str)


def test_what_has_no_partner_stays_and_a_key_without_a_value_meets_nothing() -> None:
    assert _product() == [("a", "上城区"), ("b", None), ("c", None), ("d", "上城区")]


def test_an_inner_join_keeps_only_what_has_a_partner() -> None:
    assert _product(join={"how": "inner"}) == [("a", "上城区"), ("d", "上城区")]


def test_filters_compare_text_of_any_column_and_no_value_is_neither_equal_nor_unequal() -> None:
    assert _product(where={"alive": ["true"], "sex": ["1", "2"]}) == [("a", "上城区"), ("b", None)]
    assert _product(where={"sex": "null"}) == [("c", None)]
    assert _product(where={"place": "not_null", "sex": ["1"]}) == [("a", "上城区"), ("d", "上城区")]
