"""Masks show what they say and no more."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.rows.coarsening import METHODS, Context
from jobs.rows.masking import MASKS, mask_of_type


@pytest.mark.parametrize(
    ("kind", "value", "masked"),
    [
        ("name", "张伟", "张*"), ("name", "张三丰", "张**"), ("name", "欧阳娜娜", "欧阳**"), ("name", "欧阳", "欧*"),
        ("name", "Maria Lopez", "M***"), ("name", "王", "*"), ("name", "阿依古丽·买买提", "阿***"),
        ("resident_id", "11010519491231002X", "110105********002X"),
        ("resident_id", "110105491231002", "110105*****1002"),
        ("phone", "13800138000", "138****8000"), ("phone", "+86 13800138000", "138****8000"),
        ("phone", "010-12345678", "010-*****678"), ("phone", "05718765432", "0571-****432"),
        ("email", "somebody@example.com", "s***@example.com"),
        ("bank_card", "6222021234567890128", "***************0128"),
        ("address", "浙江省杭州市西湖区文三路138号", "浙江省杭州市西湖区***"),
        ("address", "杭州市西湖区北山街道葛岭5号", "杭州市西湖区北山街道***"),
        ("plate", "京A12345", "京A***45"), ("plate", "粤AD12345", "粤A****45"), ("passport", "E12345678", "E******78"),
    ],
)
def test_a_value_is_masked_as_people_are_used_to_see_it(kind: str, value: str, masked: str) -> None:
    assert MASKS[kind][0](pl.Series("v", [value, None])).to_list() == [masked, None]


@given(kind=st.sampled_from(sorted(set(MASKS) - {"name"})), value=st.text(min_size=1, max_size=20))
def test_what_does_not_look_like_its_kind_is_masked_whole(kind: str, value: str) -> None:
    masked = MASKS[kind][0](pl.Series([value])).item()
    assert masked == "***" or "*" in masked or kind == "address"
    if len(value.strip()) > 12:
        assert masked != value.strip()


@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=8))
def test_a_name_of_more_than_one_character_is_never_shown_whole(values: list[str | None]) -> None:
    masked = MASKS["name"][0](pl.Series(values, dtype=pl.String))
    for value, shown in zip(values, masked, strict=True):
        assert (value is None) == (shown is None)
        if value and value.strip():
            assert "*" in shown


def test_the_method_mask_goes_by_the_fields_type() -> None:
    values = pl.Series("v", ["张三丰", None])
    assert METHODS["mask"].apply(values, Context(domain="person_name")).to_list() == ["张**", None]
    assert mask_of_type(values, "free_text").to_list() == ["***", None]
    assert METHODS["mask_plate"].apply(pl.Series(["京A12345"]), Context()).to_list() == ["京A***45"]
