"""Naming what a number is, without being told."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import RequestError
from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import KINDS, identify

ON = date(2026, 3, 2)


def _one(codes: CodeBook, value: str | None, kind: str | None = None) -> dict[str, object]:
    return identify(pl.Series([value], dtype=pl.String), codes, ON, kind).row(0, named=True)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("11010519491231002X", "resident_id"),
        ("110105491231002", "resident_id"),
        ("91350100M000100Y43", "credit_code"),
        ("60003734-1", "organisation_code"),
        ("440301103097413", "registration_number"),
        ("1101081234567", "registration_number"),
        ("无", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_number_is_named_by_its_kind(codes: CodeBook, value: str | None, kind: str) -> None:
    assert _one(codes, value)["kind"] == kind


def test_what_the_column_should_hold_settles_an_ambiguous_number(codes: CodeBook) -> None:
    # This old identity number also passes the check of registration numbers.
    found = {kind: _one(codes, "110105491231002", kind)["normalised"] for kind in KINDS}
    assert found["resident_id"] == "11010519491231002X"
    assert found["registration_number"] == "110105491231002"
    assert _one(codes, "110105491231002", "credit_code")["kind"] == "registration_number"


def test_a_credit_code_with_a_wrong_check_is_said_to_be_that_not_a_misshapen_identity_number(codes: CodeBook) -> None:
    found = _one(codes, "91350200M000000510")
    assert (found["kind"], found["structure"], found["reasons"]) == ("unknown", False, ["check_character"])


@pytest.mark.parametrize(
    ("value", "structure", "division", "at_birth"),
    [
        ("110105199003070033", True, True, True),
        ("440524198001010013", True, True, None),  # before the table of divisions begins
        ("440524199901010015", False, True, None),
        ("91460600MA5RC30P9Y", True, False, None),
    ],
)
def test_three_verdicts_are_given_apart(
    codes: CodeBook, value: str, structure: bool, division: bool, at_birth: bool | None
) -> None:
    found = _one(codes, value)
    assert (found["structure"], found["division"], found["division_at_birth"]) == (structure, division, at_birth)


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(codes: CodeBook) -> None:
    with pytest.raises(RequestError, match="kinds: resident_id"):
        _one(codes, "1", "passport")


@given(st.lists(st.one_of(st.none(), st.text(max_size=20), st.text("0123456789X", max_size=20)), max_size=6))
def test_every_value_gets_one_row_in_order(codes: CodeBook, values: list[str | None]) -> None:
    assert identify(pl.Series(values, dtype=pl.String), codes, ON)["value"].to_list() == values
