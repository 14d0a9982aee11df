"""Passports, permits, certificates: numbers known by their form; foreigners' numbers and what links their two forms."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import judged
from jobs.rows.identifiers.identification import identify
from jobs.rows.identifiers.permanent_resident import may_be_one_holder

ON = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("kind", "number", "sound", "reasons"),
    [
        ("passport", "E87654321", True, None),
        ("passport", "ea7654321", True, "W_CASE"),
        ("passport", "EI7654321", False, "E_FORM"),  # I and O are not used
        ("passport", "G87654321", True, None),
        ("passport", "E8765432", False, "E_FORM"),
        ("passport", "E876543210", False, "E_LEN"),
        ("travel_permit", "H87654321", True, None),
        ("travel_permit", "M8765432101", True, None),
        ("travel_permit", "87654321", True, None),
        ("travel_permit", "A87654321", False, "E_FORM"),
        ("permanent_resident_number", "CAN110081080310", True, "L_PR2017"),
        ("permanent_resident_number", "CAN110081080311", False, "E_CHECK;L_PR2017"),
        ("permanent_resident_number", "911124198108030024", True, None),
        ("permanent_resident_number", "11010519491231002X", False, "E_FORM"),
        ("institution_certificate", "事证第111000000012号", True, None),
        ("institution_certificate", "111000000012", True, None),
        ("institution_certificate", "11100000001", False, "E_LEN"),
        ("social_organisation_certificate", "社证字第4016号", True, None),
        ("social_organisation_certificate", "(京)民证字第0010035号", True, None),
        ("social_organisation_certificate", "?!", False, "E_FORM"),
        ("social_organisation_certificate", "无", False, "E_PLACEHOLDER"),
    ],
)
def test_a_document_is_judged_by_its_form(
    codes: CodeBook, kind: str, number: str, sound: bool, reasons: str | None
) -> None:
    found = identify(pl.Series([number]), codes, ON, kind).row(0, named=True)
    assert (found["kind"], found["structure_ok"], found["reasons"]) == (kind, sound, reasons)


def test_another_states_passport_is_no_fault_of_its_row(codes: CodeBook) -> None:
    found = judged("passport", pl.Series(["X1234567"]), codes, ON).frame().row(0, named=True)
    assert (found["value"], found["reasons"], found["warnings"]) == ("X1234567", [], ["foreign_form"])


def test_a_certificate_is_compared_by_its_number(codes: CodeBook) -> None:
    found = judged("institution_certificate", pl.Series(["事证第111000000012号"]), codes, ON)
    assert found.accepted.to_list() == ["111000000012"]
    assert found.division_known.tolist() == [1]


def test_a_foreigners_number_of_2023_needs_a_province_and_a_sequence(codes: CodeBook) -> None:
    found = identify(pl.Series(["911124198108030024", "999124198108030021", "911124198108030008"]), codes, ON)
    assert found["division_known"].to_list() == [True, False, True]
    assert "E_SEQ" in found["reasons"][2]


def test_the_two_forms_of_one_holder_agree_in_nationality_and_birth(codes: CodeBook) -> None:
    old = pl.Series(["CAN110081080310", "CAN110081080310", "CAN110081080310", "CAN110081080310", "QQQ110081080310"])
    new = pl.Series(["911124198108030024", "932682198108030017", "911124198108040024", None, "911124198108030024"])
    assert may_be_one_holder(old, new, codes).to_list() == [True, False, False, None, None]
