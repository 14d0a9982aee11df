import polars as pl
import pytest

from jobs.rows.names import clean_address, clean_organisation_name, clean_person_name, clean_phone


def one(clean, cell):
    return clean(pl.Series([cell], dtype=pl.String))[0]


@pytest.mark.parametrize("dot", "·•‧∙⋅・･●．.")
def test_every_middle_dot_of_a_name_becomes_the_standard_one(dot):
    assert one(clean_person_name, f"阿里木{dot}买买提") == "阿里木·买买提"


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("张　三", "张三"),
        (" 王 五 ", "王五"),
        ("JOHN  SMITH", "JOHN SMITH"),
        ("无", None),
        ("欧\u200b娜", "欧娜"),
    ],
)
def test_people_have_one_spelling(cell, name):
    assert one(clean_person_name, cell) == name


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("某某(北京)有限公司", "某某（北京）有限公司"),
        ("某某（北京） 有限公司", "某某（北京）有限公司"),
        ("某某［北京］公司", "某某（北京）公司"),
        ("ＡＢＣ科技 有限公司", "ABC科技有限公司"),
        ("Acme (China) Ltd", "Acme (China) Ltd"),
    ],
)
def test_organisations_have_one_spelling(cell, name):
    assert one(clean_organisation_name, cell) == name


def test_addresses_lose_blanks_and_full_width_digits():
    assert one(clean_address, "解放路 １２ 号 3 单元") == "解放路12号3单元"


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("13800138000", "13800138000"),
        ("+86 138-0013-8000", "13800138000"),
        ("１３８００１３８０００", "13800138000"),
        ("(010)12345678", "010-12345678"),
        ("0571 8888888 转 12", "0571-8888888-12"),
    ],
)
def test_telephone_numbers_have_one_form(cell, number):
    numbers, unknown = clean_phone(pl.Series([cell, None, "13800138000"]))
    assert numbers.to_list() == [number, None, "13800138000"]
    assert not unknown.any()


def test_what_is_no_telephone_number_stays_and_is_marked():
    numbers, unknown = clean_phone(pl.Series(["12345", "13800138000", "无"]))
    assert numbers.to_list() == ["12345", "13800138000", None]
    assert unknown.to_list() == [True, False, False]
