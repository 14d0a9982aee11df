import polars as pl
import pytest

from jobs.linking import forms
from jobs.linking.records import comparable, make_plan, row_keys
from jobs.linking.roles import Role


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("19320315", "1932-03-15"),
        ("1932-03-15", "1932-03-15"),
        ("1932/3/15", "1932-03-15"),
        ("15/03/1932", "1932-03-15"),
        ("03/15/1932", "1932-03-15"),
        ("15 March 1932", "1932-03-15"),
        ("Mar 15, 1932", "1932-03-15"),
        ("1932年3月15日", "1932-03-15"),
        ("1932", "1932"),
        ("1932-03", "1932-03"),
        ("19323199", "1932-31-99"),
        ("soon", None),
        ("1630-08-01", "1630-08-01"),
        (None, None),
    ],
)
def test_dates_have_one_form_whatever_they_were_written_in(cell, read):
    assert forms.dates(pl.Series([cell], dtype=pl.String), day_first=True)[0] == read


def test_a_columns_own_days_above_twelve_tell_the_order_of_day_and_month():
    assert forms.day_first(pl.Series(["13/02/1990", "01/02/1990"]))
    assert not forms.day_first(pl.Series(["02/13/1990", "01/02/1990"]))


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("Clifford, Thomas", ("thomas", "clifford")),
        ("Dr Thomas James Clifford", ("thomas", "clifford")),
        ("thomas clifford, 1st baron clifford", ("thomas", "clifford")),
        ("Thomas", ("thomas", None)),
        (None, (None, None)),
    ],
)
def test_a_whole_name_is_split_at_its_ends(cell, parts):
    first, last = forms.split_name(pl.Series([cell], dtype=pl.String))
    assert (first[0], last[0]) == parts


def test_columns_that_repeat_others_are_not_compared_twice():
    table = pl.DataFrame(
        {
            "first_name": ["ann", "bob", "eve"],
            "surname": ["lee", "kay", "fox"],
            "name": ["ann lee", "bob kay", "eve fox"],
            "again": ["lee", "kay", "fox"],
        }
    )
    plan = make_plan(table, {"again": Role.SURNAME}, set())
    assert sorted(field.role for field in plan.fields) == [Role.GIVEN, Role.SURNAME]


def test_words_of_a_longer_name_are_kept_apart_from_given_name_and_surname():
    table = pl.DataFrame(
        {
            "first_name": ["ann", "bob", "eve"],
            "surname": ["lee", "kay", "fox"],
            "full_name": ["ann may lee", "sir bob kay", "eve fox of ash"],
        }
    )
    records = comparable(table, make_plan(table, {}, set()))
    assert records["name_rest"].to_list() == [["may"], ["sir"], ["ash", "of"]]


def test_keys_of_rows_follow_from_content_not_from_order():
    table = pl.DataFrame({"a": ["x", "y", "x"], "b": [None, "1", None]})
    keys = row_keys(table, "s", None)
    assert sorted(keys) == sorted(row_keys(table.reverse(), "s", None))
    assert keys.n_unique() == 3


def test_only_numbers_whose_check_character_holds_exclude_each_other():
    cells = [
        "11010519491231002X",
        "110105194912310021",
        "91350100M000100Y43",
        "91350100M000100Y44",
        "110105491231002",
        None,
    ]
    kept = forms.verified(pl.Series(cells, dtype=pl.String)).to_list()
    assert kept == ["11010519491231002X", None, "91350100M000100Y43", None, None, None]
