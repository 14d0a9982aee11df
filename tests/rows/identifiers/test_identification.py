"""Naming what a number is, without being told, and what is said of it apart from its name."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
import stdnum.cn.ric
import stdnum.cn.uscc
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import RequestError
from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import KINDS
from jobs.rows.identifiers.identification import COLUMNS, identify

ON = date(2026, 3, 2)


def _one(codes: CodeBook, value: str | None, kind: str | None = None) -> dict[str, object]:
    return identify(pl.Series([value], dtype=pl.String), codes, ON, kind).row(0, named=True)


def _reasons(found: dict[str, object]) -> list[str]:
    return str(found["reasons"] or "").split(";") if found["reasons"] else []


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("11010519491231002X", "resident_id"),
        ("810000199408230021", "resident_id"),
        ("932682198501010017", "resident_id"),
        ("110105491231002", "resident_id"),  # passes the check of registration numbers too
        ("CAN110081080310", "resident_id"),
        ("11010519491231002Y", "resident_id"),  # a calendar date, though the last character is none of them
        ("1101051949123100", "resident_id"),  # cut
        ("110105194912310", "resident_id"),  # cut to fifteen, its date still whole
        ("110105194912310O21", "resident_id"),  # a stray letter
        ("110105********002X", "resident_id"),  # masked
        ("91350100M000100Y43", "credit_code"),
        ("121526004609138637", "credit_code"),  # digits only
        ("913502007760496539", "credit_code"),  # digits only, check wrong: no date, a known office
        ("91350100I000100Y43", "credit_code"),
        ("60003734-1", "organisation_code"),
        ("MA5RC30P9", "organisation_code"),
        ("440301103097413", "registration_number"),
        ("1101081234567", "registration_number"),
        ("310115600037341", "taxpayer_number"),
        ("110108MA1B3N1N2", "taxpayer_number"),
        ("11010549123100201", "taxpayer_number"),
        ("11010519491231002X01", "taxpayer_number"),
        ("L91350100M000100Y43", "taxpayer_number"),
        ("C2023156000000001A", "taxpayer_number"),
        ("J11000012345678", "taxpayer_number"),
        ("E87654321", "passport"),
        ("EA7654321", "passport"),
        ("H87654321", "travel_permit"),
        ("M8765432101", "travel_permit"),
        ("事证第111000000012号", "institution_certificate"),
        ("社证字第4016号", "social_organisation_certificate"),
        ("110105", "division_code"),
        ("无", "unknown"),
        ("某甲", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_number_is_named_by_its_kind(codes: CodeBook, value: str | None, kind: str) -> None:
    assert _one(codes, value)["kind"] == kind


def test_what_the_column_should_hold_settles_an_ambiguous_number(codes: CodeBook) -> None:
    assert "W_AMBIGUOUS" in _reasons(_one(codes, "110105491231002"))
    person = _one(codes, "110105491231002", "resident_id")
    assert (person["normalised"], person["reasons"]) == ("11010519491231002X", "L_15")
    firm = _one(codes, "110105491231002", "registration_number")
    assert (firm["normalised"], firm["structure_ok"], firm["reasons"]) == ("110105491231002", True, None)


@pytest.mark.parametrize(
    ("value", "kind", "named", "reasons"),
    [
        ("110108000000016", "credit_code", "registration_number", "L_REG15"),
        ("1101081234567", "credit_code", "registration_number", "L_REG13"),
        ("60003734-1", "credit_code", "organisation_code", "L_ORG9"),
        ("310115600037341", "credit_code", "taxpayer_number", "L_TAX15"),
        ("11010519491231002X01", "credit_code", "taxpayer_number", "L_TAXID"),
        ("11010519491231002X01", "resident_id", "taxpayer_number", "L_TAXID"),
        ("民证字第0001号", "credit_code", "social_organisation_certificate", "L_TEXT"),
        ("110105194912310", "credit_code", "registration_number", "L_REG15"),
        ("E87654321", "resident_id", "resident_id", "E_LEN"),
    ],
)
def test_another_identifier_in_a_column_is_recognised_and_not_sound_as_what_was_asked_for(
    codes: CodeBook, value: str, kind: str, named: str, reasons: str
) -> None:
    found = _one(codes, value, kind)
    assert (found["kind"], found["structure_ok"], found["reasons"]) == (named, False, reasons)


@pytest.mark.parametrize(
    ("value", "structure", "known", "force", "reasons"),
    [
        ("110105199003070033", True, True, True, []),
        ("440524198001010013", True, True, None, []),  # before the table of divisions begins
        ("440524199901010015", False, True, False, ["E_CHECK", "W_DIV_NOT_AT_BIRTH"]),
        ("810000199408230021", True, True, None, []),
        ("932682198501010017", True, True, None, []),
        ("11010519491231002Y", False, None, None, ["E_CHAR"]),
        ("11010520991231002X", False, True, True, ["E_CHECK", "W_FUTURE"]),
        ("110105194912310000", False, True, None, ["E_CHECK", "W_SEQ", "W_EXCEL_TAIL"]),
        ("1.10105E+17", False, None, None, ["E_EXCEL"]),
        ("111111111111111111", False, None, None, ["E_PLACEHOLDER"]),
        ("91460600MA5RC30P9Y", True, False, None, ["W_REGION"]),
        ("91350200M000000510", False, True, None, ["E_CHECK"]),
        ("MA1B3N1N2", True, None, None, ["L_ORG9"]),
        ("110108000000017", False, True, None, ["E_CHECK", "L_REG15"]),
        ("", False, None, None, ["E_NULL"]),
    ],
)
def test_the_verdicts_are_given_apart(
    codes: CodeBook, value: str, structure: bool, known: bool | None, force: bool | None, reasons: list[str]
) -> None:
    found = _one(codes, value)
    assert (found["structure_ok"], found["division_known"], found["division_in_force"]) == (structure, known, force)
    assert _reasons(found) == reasons


def test_a_place_no_year_knows_does_not_break_the_structure(codes: CodeBook) -> None:
    found = _one(codes, "119999199001010025"[:17] + stdnum.cn.ric.calc_check_digit("119999199001010020"))
    assert (found["structure_ok"], found["division_known"], found["conforming"]) == (True, False, True)
    assert found["reasons"] == "E_DIV"


def test_a_code_that_was_issued_against_the_standard_is_sound_and_not_conforming(codes: CodeBook) -> None:
    found = _one(codes, "91350203M0001FUE2P")
    assert (found["kind"], found["structure_ok"], found["conforming"]) == ("credit_code", True, False)
    assert found["reasons"] == "K_ISSUED"


def test_every_code_on_the_list_of_issued_ones_fails_the_check_and_names_its_evidence(codes: CodeBook) -> None:
    listed = codes.table("issued_credit_codes")
    assert not any(stdnum.cn.uscc.is_valid(code) for code in listed["code"])
    assert listed["evidence"].str.len_chars().min() > 40
    assert listed["evidence_on"].str.to_date().null_count() == 0


def test_the_year_of_registration_tells_whether_an_offices_division_was_in_force(codes: CodeBook) -> None:
    body = "91440524MA5RC30P9"
    code = body + stdnum.cn.uscc.calc_check_digit(body)
    days = pl.Series([date(1990, 5, 1), date(2016, 5, 1), None, date(1970, 1, 1)])
    found = identify(pl.Series([code] * 4), codes, ON, "credit_code", days)
    assert found["division_in_force"].to_list() == [True, False, None, None]


def test_digits_that_are_a_person_by_one_check_and_a_firm_by_the_other_are_a_person(codes: CodeBook) -> None:
    found = _one(codes, "440524198001019990")  # passes both; 44 is no department and category
    assert (found["kind"], found["reasons"]) == ("resident_id", None)


def test_digits_that_hold_as_both_are_a_firm_where_the_birth_would_lie_in_the_future(codes: CodeBook) -> None:
    bodies = [f"913502209901{day:02}{order:03}" for day in range(1, 29) for order in range(1, 1000)]
    numbers = [body + stdnum.cn.ric.calc_check_digit(body + "0") for body in bodies]
    both = [number for number in numbers if stdnum.cn.uscc.is_valid(number)]
    assert both
    found = identify(pl.Series(both), codes, ON)
    assert set(found["kind"]) == {"credit_code"}
    assert found["reasons"].str.contains("W_AMBIGUOUS").all()


def test_a_mistyped_persons_number_that_happens_to_sum_up_as_a_credit_code_stays_a_persons(codes: CodeBook) -> None:
    body = "11010519491231"
    wrong = [
        number
        for order in range(1000)
        for last in "0123456789"
        if stdnum.cn.uscc.is_valid(number := f"{body}{order:03}{last}") and not stdnum.cn.ric.is_valid(number)
    ]
    assert len(wrong) > 100
    found = identify(pl.Series(wrong), codes, ON)
    assert set(found["kind"]) == {"resident_id"}
    assert not found["structure_ok"].any()


def test_the_cells_of_the_caller_are_left_as_they_are(codes: CodeBook) -> None:
    cells = pl.Series([" 11010519491231002x", "110105491231002", "91350100m000100y43"])
    identify(cells, codes, ON)
    identify(cells, codes, ON, "resident_id")
    assert cells.to_list() == [" 11010519491231002x", "110105491231002", "91350100m000100y43"]


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(codes: CodeBook) -> None:
    with pytest.raises(RequestError, match="kinds: resident_id"):
        _one(codes, "1", "shoe_size")


cells = st.one_of(
    st.none(), st.text(max_size=20), st.text("0123456789X", max_size=20),
    st.text("0123456789", min_size=12, max_size=20),
    st.sampled_from(["11010519491231002X", "91350100M000100Y43", "CAN110081080310", "١٢٣٤٥٦٧٨٩٠١٢٣٤٥", "一二三四五六"]),
)


@given(st.lists(cells, max_size=6), st.sampled_from([None, *KINDS]))
def test_every_value_gets_one_row_in_order_alone_or_in_company(
    codes: CodeBook, values: list[str | None], kind: str | None
) -> None:
    found = identify(pl.Series(values, dtype=pl.String), codes, ON, kind)
    assert tuple(found.columns) == COLUMNS
    assert found["value"].to_list() == values
    assert [_one(codes, value, kind) for value in values] == found.to_dicts()


@given(st.lists(cells, min_size=1, max_size=6), st.sampled_from([None, *KINDS]))
def test_what_is_sound_has_no_error_and_what_is_not_has_one(
    codes: CodeBook, values: list[str | None], kind: str | None
) -> None:
    for row in identify(pl.Series(values, dtype=pl.String), codes, ON, kind).to_dicts():
        breaking = [code for code in _reasons(row) if code[:2] == "E_" and code != "E_DIV"]
        legacy = [code for code in _reasons(row) if code[:2] == "L_"]
        assert not (row["structure_ok"] and breaking)
        assert row["structure_ok"] or breaking or legacy
        assert row["structure_ok"] or not row["conforming"]
