"""Taxpayer numbers: many forms under one name, some of which hold a person's number."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import judged
from jobs.rows.identifiers.identification import identify

ON = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("number", "sound", "reasons"),
    [
        ("91350100M000100Y43", True, None),
        ("91350200M000000510", False, "E_CHECK"),
        ("310115600037341", True, "L_TAX15"),
        ("310115600037342", False, "E_CHECK;L_TAX15"),
        ("11010519491231002X", True, "L_TAXID"),
        ("110105491231002", True, "L_15;L_TAXID"),
        ("11010519491231002X01", True, "L_TAXID"),
        ("11010519491231003X01", False, "E_CHECK;L_TAXID"),
        ("11010549123100201", True, "L_15;L_TAXID"),
        ("L91350100M000100Y43", True, None),
        ("L11010519491231002X", True, "L_TAXID"),
        ("L91350200M000000510", False, "E_CHECK"),
        ("C2023156000000001A", True, None),
        ("J11000012345678", True, None),
        ("J1100001234567", False, "E_LEN"),
        ("1234", False, "E_LEN"),
    ],
)
def test_a_taxpayer_number_is_judged_by_what_is_in_it(
    codes: CodeBook, number: str, sound: bool, reasons: str | None
) -> None:
    found = identify(pl.Series([number]), codes, ON, "taxpayer_number").row(0, named=True)
    assert (found["structure_ok"], found["reasons"], found["normalised"]) == (sound, reasons, number)


def test_a_wrong_check_of_the_old_form_rejects_no_row_for_an_older_variant_had_none(codes: CodeBook) -> None:
    found = judged("taxpayer_number", pl.Series(["310115600037342"]), codes, ON).frame().row(0, named=True)
    assert (found["value"], found["reasons"]) == ("310115600037342", [])
    assert "taxpayer_check" in found["warnings"]


def test_a_number_that_holds_a_persons_number_says_so(codes: CodeBook) -> None:
    numbers = pl.Series(["11010519491231002X01", "310115600037341", "91350100M000100Y43"])
    found = judged("taxpayer_number", numbers, codes, ON).masks(rejecting=False)["embeds_resident_id"]
    assert found.to_list() == [True, False, False]


def test_a_persons_number_that_lost_its_last_digit_is_no_taxpayer_number(codes: CodeBook) -> None:
    found = identify(pl.Series(["11010520101231002"]), codes, ON).row(0, named=True)  # 1920-10-12 with a serial, or cut
    assert (found["kind"], found["reasons"]) == ("resident_id", "E_LEN")
