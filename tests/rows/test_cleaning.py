import polars as pl
import pytest

from jobs.rows.cleaning import PLACEHOLDERS, clean_free_text, clean_key, clean_text, without_han_gaps


def one(clean, cell):
    return clean(pl.Series([cell], dtype=pl.String))[0]


@pytest.mark.parametrize(
    "cell", [*sorted(PLACEHOLDERS), "NULL", "Ｎ／Ａ", "－", " 无 ", "　", "", "\u200b", None]
)
def test_a_placeholder_or_an_empty_cell_becomes_null(cell):
    assert one(clean_text, cell) is None
    assert one(clean_key, cell) is None


@pytest.mark.parametrize("cell", ["无锡市", "未央区", "-5", "NAN YANG", "不详细", "空港路", ".5"])
def test_a_cell_that_only_begins_like_a_placeholder_stays(cell):
    assert one(clean_text, cell) == cell


def test_identifiers_lose_full_width_forms_and_invisible_characters():
    assert one(clean_key, "\ufeff１１０１０５\u200b１９４９ ") == "1101051949"


def test_text_keeps_its_full_width_punctuation():
    assert one(clean_text, "广告，咨询。（甲）") == "广告，咨询。（甲）"


def test_runs_of_whitespace_become_one_blank():
    assert one(clean_text, " a\t\tb\u3000\u3000c ") == "a b c"


def test_free_text_keeps_its_lines():
    assert one(clean_free_text, "first\r\nsecond\rthird\x07") == "first\nsecond\nthird"


def test_blanks_between_latin_words_stay_and_those_in_chinese_go():
    assert one(without_han_gaps, "张 三 of New  York 市") == "张三of New York市"


def test_an_empty_column_stays_empty():
    assert clean_text(pl.Series([], dtype=pl.String)).to_list() == []
    assert clean_key(pl.Series([None, None], dtype=pl.String)).to_list() == [None, None]
