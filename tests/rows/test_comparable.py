import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.rows import comparable

names = st.lists(st.none() | st.text(max_size=12), min_size=1, max_size=6)


def one(function, cell):
    return function(pl.Series([cell], dtype=pl.String))[0]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("張偉", "张伟"),
        ("阿里木•买买提", "阿里木·买买提"),
        ("MÜLLER", "muller"),
        ("O'Brien", "obrien"),
        ("Anna-Maria", "anna maria"),
        ("张　三", "张三"),
    ],
)
def test_spellings_of_one_persons_name_compare_equal(left, right):
    assert one(comparable.person_name, left) == one(comparable.person_name, right)


@pytest.mark.parametrize("spelling", ["王小明", "Wang Xiaoming", "xiaoming wang", "王曉明"])
def test_a_chinese_name_and_its_pinyin_sound_alike_in_any_order(spelling):
    sound = comparable.sounds(comparable.person_name(pl.Series([spelling])))[0]
    assert sound == comparable.sounds(pl.Series(["王小明"]))[0]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("华为技术有限公司", "华为技术有限责任公司"),
        ("上海(浦东)实业公司", "上海（浦东）实业有限公司"),
        ("Foo & Bar Ltd.", "FOO AND BAR LIMITED"),
        ("I.B.M. Corp.", "IBM Corporation"),
        ("國際貿易股份有限公司", "国际贸易公司"),
    ],
)
def test_a_firms_legal_form_and_brackets_do_not_matter(left, right):
    cores = comparable.organisation_core(comparable.organisation_name(pl.Series([left, right])))
    assert cores[0] == cores[1]


def test_a_name_that_is_only_a_legal_form_stays():
    assert one(lambda c: comparable.organisation_core(comparable.organisation_name(c)), "Ltd") == "ltd"


def test_surnames_of_two_characters_are_kept_whole():
    found = comparable.chinese_surnames(pl.Series(["欧阳娜娜", "欧阳", "张伟", None]))
    assert found.to_list() == ["欧阳", "欧", "张", None]


def test_words_for_streets_are_abbreviated_but_not_inside_words():
    assert one(comparable.address, "12 Street Road, Northfield") == "12 st rd northfield"


@given(names)
def test_forms_for_comparing_keep_length_and_are_stable(cells):
    given_ = pl.Series(cells, dtype=pl.String)
    for function in (comparable.person_name, comparable.organisation_name, comparable.address, comparable.folded):
        once = function(given_)
        assert len(once) == len(given_)
        assert (once != "").fill_null(value=True).all()
    folded = comparable.folded(given_)
    assert comparable.folded(folded).eq_missing(folded).all()
