"""Codes of administrative divisions, in force or historical."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import judged


@pytest.mark.parametrize(
    ("cell", "value", "reasons", "warnings"),
    [
        ("110105", "110105", [], []),
        ("110000", "110000", [], []),
        ("１１０１０５", "110105", [], ["full_width"]),
        ("110105001", "110105", [], ["division_cut"]),  # a township of the statistical code
        ("110105001001", "110105", [], ["division_cut"]),
        ("440524", "440524", [], ["division_not_in_force"]),  # until 1993
        ("440401", "440401", [], ["division_synthetic"]),  # on cards, on no list
        ("999999", None, ["division"], []),
        ("11010", None, ["length"], []),
        ("1101050", None, ["length"], []),
        ("北京市", None, ["alphabet"], []),
    ],
)
def test_a_division_code_is_judged(
    codes: CodeBook, cell: str, value: str | None, reasons: list[str], warnings: list[str]
) -> None:
    found = judged("division_code", pl.Series([cell]), codes, date(2026, 3, 2)).frame().row(0, named=True)
    assert (found["value"], found["reasons"], found["warnings"]) == (value, reasons, warnings)


def test_the_day_decides_whether_a_division_is_in_force(codes: CodeBook) -> None:
    found = judged("division_code", pl.Series(["440524"]), codes, date(1990, 1, 1)).frame()
    assert found["warnings"].to_list() == [[]]
