"""python-stdnum as one oracle among several: where it agrees, and every known disagreement with the reason for it.

It is never the gate: it looks a county up in the birth year, knows no fifteen digits, no permits of residents of Hong
Kong, Macao and Taiwan, no foreigners, and no department written with a letter.
"""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
import stdnum.cn.ric
import stdnum.cn.uscc
import stdnum.exceptions
from hypothesis import given
from hypothesis import strategies as st

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers.characters import CREDIT_ALPHABET
from jobs.rows.identifiers.identification import identify

ON = date(2026, 3, 2)
ALPHABET = CREDIT_ALPHABET.decode()


def _sound(codes: CodeBook, value: str, kind: str) -> bool:
    return bool(identify(pl.Series([value]), codes, ON, kind)["structure_ok"][0])


@pytest.mark.parametrize(
    ("number", "raised"),
    [
        # The standard's own examples: the county of the second existed from 1983 to 1993. A number keeps the county
        # of its assignment, so the birth year is no test.
        ("440524188001010014", "InvalidComponent"),
        # Residence permits: 81, 82 and 83 are fixed by their regulation, 83 is no division at all.
        ("810000199408230021", "InvalidComponent"),
        ("830000199201300022", "InvalidComponent"),
        # Foreigners' numbers of 2023, official samples.
        ("932682198501010017", "InvalidComponent"),
        ("911124198108030024", "InvalidComponent"),
        # The edition of 1989 had fifteen digits; they are still in every register.
        ("110105491231002", "InvalidLength"),
        # Full-width digits are how a form was filled in, not another number.
        ("１１０１０５１９４９１２３１００２Ｘ", "InvalidChecksum"),
    ],
)
def test_persons_numbers_that_the_oracle_rejects_and_the_lake_accepts(
    codes: CodeBook, number: str, raised: str
) -> None:
    with pytest.raises(getattr(stdnum.exceptions, raised)):
        stdnum.cn.ric.validate(number)
    assert _sound(codes, number, "resident_id")


def test_departments_written_with_a_letter_are_rejected_by_the_oracle_and_accepted_by_the_lake(codes: CodeBook) -> None:
    for head in ("A1", "N1", "N2", "Y1"):
        body = f"{head}110000600037341"
        total = sum(ALPHABET.index(letter) * pow(3, place, 31) for place, letter in enumerate(body))
        code = body + ALPHABET[(31 - total % 31) % 31]
        with pytest.raises(stdnum.exceptions.InvalidFormat):
            stdnum.cn.uscc.validate(code)
        found = identify(pl.Series([code]), codes, ON, "credit_code").row(0, named=True)
        assert (found["structure_ok"], found["reasons"]) == (True, None)


@given(
    st.sampled_from(["110105", "310104", "210102"]), st.dates(date(1985, 1, 1), date(2020, 12, 31)),
    st.integers(1, 999), st.sampled_from("0123456789X"),
)
def test_both_agree_on_numbers_of_counties_that_existed_at_birth(
    codes: CodeBook, place: str, born: date, order: int, last: str
) -> None:
    number = f"{place}{born:%Y%m%d}{order:03}{last}"
    assert _sound(codes, number, "resident_id") == stdnum.cn.ric.is_valid(number)


@given(st.sampled_from(["11", "12", "51", "91", "92", "98"]), st.text(ALPHABET, min_size=9, max_size=9),
       st.sampled_from(ALPHABET))
def test_both_agree_on_credit_codes_whose_department_is_a_digit(
    codes: CodeBook, head: str, inside: str, last: str
) -> None:
    code = f"{head}110105{inside}{last}"
    assert _sound(codes, code, "credit_code") == stdnum.cn.uscc.is_valid(code)


@given(st.text(ALPHABET, min_size=9, max_size=9), st.integers(0, 16))
def test_two_swapped_neighbours_of_a_credit_code_never_pass(codes: CodeBook, inside: str, place: int) -> None:
    body = f"91110105{inside}"
    code = body + stdnum.cn.uscc.calc_check_digit(body)
    swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    assert _sound(codes, swapped, "credit_code") == (swapped == code)


@given(st.text(ALPHABET, min_size=8, max_size=8))
def test_the_two_alphabets_count_letters_apart(codes: CodeBook, body: str) -> None:
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    rest = 11 - sum(int(letter, 36) * weight for letter, weight in zip(body, weights, strict=True)) % 11
    inside = body + {10: "X", 11: "0"}.get(rest, str(rest))
    whole = f"91110105{inside}"
    found = identify(pl.Series([whole + stdnum.cn.uscc.calc_check_digit(whole)]), codes, ON, "credit_code")
    assert found["structure_ok"][0]
    assert "W_ORG_CHECK" not in (found["reasons"][0] or "")
