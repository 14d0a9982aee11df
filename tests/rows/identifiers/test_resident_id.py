"""Citizen ID numbers: published vectors, junk, and properties that hold for all of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import polars as pl
import pytest
import stdnum.cn.ric
from hypothesis import given
from hypothesis import strategies as st

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import birth_date, judged, sex
from jobs.rows.identifiers.resident_id import upgraded

ON = date(2026, 3, 2)
Verdict = Callable[[str | None], dict[str, object]]

places = st.sampled_from(["110105", "310115", "510104", "440582"])
births = st.dates(date(1900, 1, 1), date(2025, 12, 31))
orders = st.integers(1, 999).map("{:03}".format)
bodies = st.builds(lambda place, birth, order: f"{place}{birth:%Y%m%d}{order}", places, births, orders)


def check(cells: pl.Series, codes: CodeBook, on: date) -> pl.DataFrame:
    return judged("resident_id", cells, codes, on).frame()


def _numbered(body: str) -> str:
    return body + stdnum.cn.ric.calc_check_digit(body + "0")


numbers = bodies.map(_numbered)


@pytest.fixture(scope="module")
def verdict(codes: CodeBook) -> Verdict:
    return lambda cell: check(pl.Series([cell], dtype=pl.String), codes, ON).row(0, named=True)


@pytest.mark.parametrize(
    "number",
    [
        "11010519491231002X",  # the example of GB 11643-1999
        "440524188001010014",  # born in 1880, code in force from 1983 to 1993
        "810000199408230021",  # residence permit, Hong Kong
        "830000199201300022",  # residence permit, Taiwan
        "932682198501010017",  # permanent resident, form of 2023
        "911124198108030024",
    ],
)
def test_published_numbers_are_accepted(verdict: Verdict, number: str) -> None:
    found = verdict(number)
    assert (found["value"], found["reasons"]) == (number, [])


@pytest.mark.parametrize(
    ("cell", "reasons"),
    [
        ("11010519491231002Y", ["alphabet"]),
        ("11010520991231002X", ["check_character"]),
        ("1101051949123100", ["length"]),
        ("1101051949123100211", ["length"]),
        (_numbered("11010519490230002"), ["calendar_date"]),
        (_numbered("11010519001301002"), ["calendar_date"]),
        ("1.10105E+17", ["spreadsheet_damage"]),
        ("000000000000000000", ["placeholder"]),
        ("无", ["placeholder"]),
        ("某甲", ["length"]),
    ],
)
def test_what_is_wrong_is_named(verdict: Verdict, cell: str, reasons: list[str]) -> None:
    found = verdict(cell)
    assert (found["value"], found["reasons"]) == (None, reasons)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("110105491231002", "11010519491231002X"),
        ("410881790605552", "410881197906055527"),
        ("440524800101001", "440524198001010013"),
        ("440524800101999", "440524188001019991"),  # a sequence of those born before 1900
    ],
)
def test_fifteen_digits_are_upgraded(verdict: Verdict, old: str, new: str) -> None:
    found = verdict(old)
    assert found["value"] == new
    assert "upgraded_15" in str(found["warnings"])


def test_the_special_sequences_mean_nothing_in_eighteen_digits(verdict: Verdict) -> None:
    found = verdict("440524198001019990")
    assert (found["value"], found["reasons"]) == ("440524198001019990", [])


@pytest.mark.parametrize(
    ("cell", "remarks"),
    [
        ("11010519491231002x", ["lower_case"]),
        ("１１０１０５１９４９１２３１００２Ｘ", ["full_width"]),
        (" 110105 19491231 002X ", []),
        ("'11010519491231002X", []),
        ('="11010519491231002X"', []),
        ("（11010519491231002X）", ["full_width"]),
        ("110105-19491231-002X", []),
    ],
)
def test_the_same_number_however_it_is_written(verdict: Verdict, cell: str, remarks: list[str]) -> None:
    found = verdict(cell)
    assert (found["value"], found["warnings"]) == ("11010519491231002X", remarks)


@pytest.mark.parametrize(
    ("place", "born", "remarked"),
    [
        ("440524", 1975, False),  # the table begins in 1981: of earlier years it says nothing
        ("440524", 1980, False),
        ("440524", 1981, True),  # in force from 1983
        ("440524", 1983, False),
        ("440524", 1992, False),
        ("440524", 1993, True),  # the end year is no longer in force
        ("110105", 1949, False),
        ("110105", 2000, False),
    ],
)
def test_a_division_is_missed_only_in_years_the_table_knows(
    verdict: Verdict, place: str, born: int, remarked: bool
) -> None:
    found = verdict(_numbered(f"{place}{born}0101002"))
    assert found["reasons"] == []
    assert ("division_not_at_birth" in str(found["warnings"])) == remarked


def test_a_place_no_year_knows_is_a_reason_and_a_synthetic_county_a_remark(verdict: Verdict) -> None:
    assert verdict(_numbered("11999919900101002"))["reasons"] == ["division"]
    found = verdict(_numbered("44040119900101002"))
    assert (found["reasons"], found["warnings"]) == ([], ["division_synthetic"])


def test_a_birth_after_the_data_date_and_a_great_age_are_remarks(verdict: Verdict) -> None:
    assert verdict(_numbered("11010520260303002"))["warnings"] == ["future_birth"]
    assert verdict(_numbered("11010520260302002"))["warnings"] == []
    assert verdict(_numbered("11010519000101002"))["warnings"] == ["age"]


@given(numbers)
def test_a_number_the_oracle_computes_is_accepted_and_tells_birth_and_sex(codes: CodeBook, number: str) -> None:
    found = check(pl.Series([number]), codes, ON).row(0, named=True)
    assert found["value"] == number
    assert birth_date(pl.Series([number]))[0] == stdnum.cn.ric.get_birth_date(number)
    assert sex(pl.Series([number]))[0] == ("male" if int(number[16]) % 2 else "female")


@given(numbers, st.integers(0, 17), st.integers(1, 9))
def test_one_wrong_digit_never_passes(codes: CodeBook, number: str, place: int, step: int) -> None:
    old = 10 if number[place] == "X" else int(number[place])
    new = (old + step) % 10
    wrong = number[:place] + str(new) + number[place + 1 :]
    if wrong == number:
        return
    assert "check_character" in check(pl.Series([wrong]), codes, ON)["reasons"][0].to_list()


@given(numbers, st.integers(0, 15))
def test_two_swapped_neighbours_never_pass(codes: CodeBook, number: str, place: int) -> None:
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    found = check(pl.Series([swapped]), codes, ON).row(0, named=True)
    assert (found["value"] == number) if swapped == number else "check_character" in found["reasons"]


@given(st.builds(lambda p, b, o: f"{p}{b:%y%m%d}{o}", places, births, orders))
def test_an_upgraded_number_keeps_its_digits_and_gains_a_true_check(old: str) -> None:
    new = upgraded(pl.Series([old]))[0]
    assert new[:6] + new[8:17] == old
    assert new[17] == stdnum.cn.ric.calc_check_digit(new)
    assert new[6:8] == ("18" if old[12:] in ("996", "997", "998", "999") else "19")


@given(st.lists(st.one_of(st.none(), st.text(max_size=25), numbers), max_size=8))
def test_any_cells_get_one_verdict_each_and_a_value_exactly_without_reasons(
    codes: CodeBook, cells: list[str | None]
) -> None:
    found = check(pl.Series(cells, dtype=pl.String), codes, ON)
    assert found.height == len(cells)
    for value, reasons in found.select("value", "reasons").iter_rows():
        assert value is None or not reasons
