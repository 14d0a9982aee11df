import polars as pl
import pytest

from jobs.rows.industry import industry_of


@pytest.mark.parametrize(
    ("scope", "letter"),
    [
        ("许可经营项目：餐饮服务。", "H"),
        ("一般项目：软件开发；计算机销售。", "I"),
        ("水泥制造，批发", "C"),
        ("批发：水泥；水泥制造", "F"),
        ("房地产开发经营", "K"),
        ("幼儿园", "P"),
        ("其他", None),
        (None, None),
    ],
)
def test_the_business_named_first_gives_the_letter(scope, letter):
    assert industry_of(pl.Series([scope], dtype=pl.String)).to_list() == [letter]
