"""Identifiers are found wherever they hide, and what only looks like one is left alone."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric, uscc

from jobs.privacy.scanner import Finding, scan, scan_text
from jobs.rows.pseudonymisation import pseudonyms

RESIDENT = "11010519491231002X"  # the specimen of GB 11643
CREDIT = "91350100M000100Y43"  # the specimen of GB 32100


def kinds(*texts: str | None) -> dict[str, int]:
    return {one.kind: one.count for one in scan(pl.DataFrame({"cell": texts}, schema={"cell": pl.String}))}


@pytest.mark.parametrize(
    "text",
    [
        RESIDENT, RESIDENT.lower(), f"身份证号{RESIDENT}，已核", f"({RESIDENT})", f"id_{RESIDENT}_1", f"ID{RESIDENT}",
        "１１０１０５１９４９１２３１００２Ｘ", f"110105194912310021,{RESIDENT}",
    ],
)  # fmt: skip
def test_a_citizen_number_is_found_in_any_surroundings(text):
    assert kinds(text, "nothing", None) == {"resident_id": 1}


@pytest.mark.parametrize(
    "text",
    [
        "110105194912310021", "110105194913310022", f"9{RESIDENT}", f"1{RESIDENT[:17]}", "0.110105491231002",
        "110105491331002", "000105491231002", "1980-1984", "10000000-99999999", "100000000-999999999",
    ],
)  # fmt: skip
def test_digits_that_are_no_identifier_are_left_alone(text):
    assert kinds(text) == {}


def test_an_old_citizen_number_of_fifteen_digits_is_found_standing_alone():
    assert kinds("旧号 110105491231002。") == {"resident_id_15": 1}


def test_a_credit_code_is_found_only_with_its_check_character():
    assert kinds(f"代码：{CREDIT}", CREDIT.lower()) == {"credit_code": 2}
    assert kinds(CREDIT[:17] + "4") == {}


def test_a_mobile_number_stands_alone():
    assert kinds("电话13800138000", "13800138000 / 13900139000") == {"mobile": 2}
    assert kinds("12800138000", "138001380001", "A13800138000") == {}


def test_whole_numbers_and_lists_of_texts_are_looked_at():
    frame = pl.DataFrame({"phone": [13800138000, 5], "ids": [[RESIDENT, "x"], None], "share": [0.5, 1.5]})
    assert scan(frame) == [Finding("phone", "mobile", 1), Finding("ids", "resident_id", 1)]


def test_pseudonyms_are_no_identifiers():
    values = pl.Series("who", [str(number) for number in range(20_000)])
    assert scan(pl.DataFrame(pseudonyms(values, bytes(range(32)), "resident_id"))) == []


def test_lines_of_a_text_are_counted():
    assert scan_text(f"first\nwho={RESIDENT}\nagain {RESIDENT} {RESIDENT}\n") == [Finding("", "resident_id", 2)]
    assert scan_text("") == []


@given(
    st.dates(date(1900, 1, 1), date(2090, 12, 31)),
    st.integers(1, 999),
    st.text(alphabet="号码 是，。;|/", max_size=5),
)
def test_every_well_formed_citizen_number_is_found(born, sequence, around):
    body = f"310101{born:%Y%m%d}{sequence:03d}"
    assert kinds(f"{around}{body}{ric.calc_check_digit(body + '0')}{around}") == {"resident_id": 1}


@given(st.text(alphabet="0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=9, max_size=9))
def test_every_well_formed_credit_code_is_found(organisation):
    body = f"91310101{organisation}"
    assert kinds(body + uscc.calc_check_digit(body + "0")) in ({"credit_code": 1}, {"resident_id": 1})
