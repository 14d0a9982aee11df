"""Divisions through time: what a code was, which codes follow it, whose it is."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.rows.codes import CodeBook
from jobs.rows.divisions import Divisions


def _table(*rows: tuple[str, str, str, str | None, str | None]) -> Divisions:
    names = ("code", "label_zh", "valid_from", "valid_to", "successors")
    return Divisions(pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row"))


def test_a_division_is_known_if_any_year_had_it_and_synthetic_if_only_its_prefecture_exists(codes: CodeBook) -> None:
    known, synthetic = codes.divisions.known(np.array([110105, 440524, 440401, 999901, 110199]))
    assert known.tolist() == [True, True, True, False, False]
    assert synthetic.tolist() == [False, False, True, False, False]


def test_a_division_is_in_force_from_its_first_year_to_before_its_last(codes: CodeBook) -> None:
    years = np.array([1066, 1982, 1983, 1992, 1993, 2150])
    assert codes.divisions.in_force(np.full(6, 440524), years).tolist() == [False, False, True, True, False, False]
    assert codes.divisions.in_force(np.full(2, 110105), np.array([1981, 2150])).tolist() == [True, True]


def test_the_table_of_divisions_says_nothing_before_its_first_year(codes: CodeBook) -> None:
    assert codes.divisions.since == 1981


def test_a_code_is_described_as_of_a_year(codes: CodeBook) -> None:
    then, now = codes.divisions.at("120110", 1990), codes.divisions.at("120110", 2000)
    assert (then.record.name, now.record.name) == ("东郊区", "东丽区")
    assert now.parents == (("120000", "天津市"),)
    gone = codes.divisions.at("440524", 2024)
    assert (gone.in_force, gone.record.name, gone.record.end) == (False, "潮阳县", 1993)


@pytest.mark.parametrize(
    ("code", "authority"),
    [
        ("110105", "MCA"),
        ("440524", "MCA"),
        ("110105001001", "NBS"),
        ("110105001", "NBS"),
        ("130171", "NBS"),  # a development zone
        ("440401", "unknown"),  # on cards only
        ("999999", "unknown"),
    ],
)
def test_a_code_says_whose_it_is(codes: CodeBook, code: str, authority: str) -> None:
    assert codes.divisions.at(code, 2024).authority == authority


@pytest.mark.parametrize(
    ("code", "year", "to", "kind", "targets"),
    [
        ("110105", 1990, 2024, "one", ["110105"]),
        ("120110", 1985, 2024, "one", ["120110"]),  # renamed under its code
        ("511027", 1990, 2024, "one", ["510185"]),  # through several codes
        ("440524", 1990, 2024, "several", ["440512", "440513", "440514"]),
        ("440524", 2024, 1990, "none", []),  # not in force in 2024
        ("110101", 2024, 1990, "several", ["110101", "110103"]),  # backwards: what it was made of
        ("999999", 1990, 2024, "none", []),
    ],
)
def test_a_code_is_translated_from_one_year_to_another(
    codes: CodeBook, code: str, year: int, to: int, kind: str, targets: list[str]
) -> None:
    found = codes.divisions.translate(code, year, to)
    assert (found.kind, [one.code for one in found.targets]) == (kind, targets)


def test_territory_that_moved_while_the_code_lived_on_is_named_too() -> None:
    divisions = _table(("110001", "甲", "1990", None, "110002[2000]"), ("110002", "乙", "1990", None, None))
    assert divisions.translate("110001", 1995, 1999).kind == "one"
    assert [one.code for one in divisions.translate("110001", 1995, 2001).targets] == ["110001", "110002"]
    assert [one.code for one in divisions.translate("110002", 2001, 1995).targets] == ["110001", "110002"]


def test_a_code_without_a_successor_leads_nowhere() -> None:
    assert _table(("110001", "甲", "1990", "2000", None)).translate("110001", 1995, 2020).kind == "none"


@given(st.data())
def test_a_translation_to_the_same_year_is_the_code_itself_and_forth_and_back_returns(
    codes: CodeBook, data: st.DataObject
) -> None:
    table = codes.table("division").filter(pl.col("valid_from").cast(pl.Int32) <= 2000)
    code = data.draw(st.sampled_from(table["code"].unique().sort().to_list()))
    if not codes.divisions.at(code, 2000).in_force:
        return
    same = codes.divisions.translate(code, 2000, 2000)
    assert [one.code for one in same.targets] == [code]
    for target in codes.divisions.translate(code, 2000, 2024).targets:
        back = codes.divisions.translate(target.code, 2024, 2000).targets
        if target.level == "county" == _level(codes, code) and back:
            assert code in [one.code for one in back]


def _level(codes: CodeBook, code: str) -> str:
    record = codes.divisions.at(code, 2000).record
    return record.level if record else ""
