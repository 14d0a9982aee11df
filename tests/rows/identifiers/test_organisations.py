"""Credit codes, organisation codes, registration numbers: published vectors, junk, and properties."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import polars as pl
import pytest
import stdnum.cn.uscc
from hypothesis import given
from hypothesis import strategies as st

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import judged as judge
from jobs.rows.identifiers.characters import CREDIT_ALPHABET, matrix, organisation_check, registration_check
from jobs.rows.identifiers.organisations import legal_entity_kinds

ON = date(2026, 3, 2)
ALPHABET = CREDIT_ALPHABET.decode()
Verdict = Callable[[str, str | None], dict[str, object]]

bodies = st.builds(
    lambda head, place, tail: head + place + tail,
    st.sampled_from(["11", "12", "51", "52", "91", "92", "93"]),
    st.sampled_from(["110105", "310115", "510104"]),
    st.text(ALPHABET, min_size=9, max_size=9),
)
credit_codes = bodies.map(lambda body: body + stdnum.cn.uscc.calc_check_digit(body))


@pytest.fixture(scope="module")
def verdict(codes: CodeBook) -> Verdict:
    def verdict(kind: str, cell: str | None) -> dict[str, object]:
        return judge(kind, pl.Series([cell], dtype=pl.String), codes, ON).frame().row(0, named=True)

    return verdict


@pytest.mark.parametrize(
    "code",
    [
        "91350100M000100Y43",  # the example of GB 32100-2015
        "91110000600037341L", "91341000MA2N0ABGXX", "91460600MA5RC30P9Y",
        "11100000000013338W", "11330283002982634F",
        "121526004609138637", "51100000500019541K", "52610500MJU60350X1", "92510100MA61WJ3204",
        "11991000010647510A",
    ],
)
def test_published_credit_codes_are_accepted(verdict: Verdict, code: str) -> None:
    found = verdict("credit_code", code)
    assert (found["value"], found["reasons"]) == (code, [])
    assert "embedded_check" not in str(found["warnings"])


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("91350200M000000510", "check_character"),
        ("91350128M00000019A", "check_character"),
        ("91310115077567433M", "check_character"),
        ("A1110000600037341L", "check_character"),  # department and category swapped
        ("91350100I000100Y43", "alphabet"),  # the letters I, O, S, V, Z are never used
        ("91350100M000100Y4", "length"),
        ("9.135E+17", "spreadsheet_damage"),
        ("000000000", "placeholder"),
        ("无", "placeholder"),
    ],
)
def test_what_is_wrong_with_a_credit_code_is_named(verdict: Verdict, cell: str, reason: str) -> None:
    found = verdict("credit_code", cell)
    assert (found["value"], found["reasons"]) == (None, [reason])


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("110108000000016", "registration_number"),  # the example of GS 15-2006
        ("440301103097413", "registration_number"),
        ("1101081234567", "registration_number_13"),
        ("60003734-1", "organisation_code"),
        ("MA1B3N1N2", "organisation_code"),
        ("310115600037341", "taxpayer_number"),  # division and organisation code
        ("110108MA1B3N1N2", "taxpayer_number"),
        ("民证字第0001号", "certificate_text"),
    ],
)
def test_an_older_identifier_in_a_credit_code_column_is_named_by_its_kind(
    verdict: Verdict, cell: str, kind: str
) -> None:
    found = verdict("credit_code", cell)
    assert (found["value"], found["reasons"], found["legacy"]) == (None, [f"legacy_{kind}"], kind)


@pytest.mark.parametrize(
    ("cell", "warning"),
    [
        ("91460600MA5RC30P9Y", "division_unknown"),
        ("11991000010647510A", "division_unknown"),
        ("91350100m000100y43", "lower_case"),
        ("９１３５０１００M000100Y43", "full_width"),
    ],
)
def test_a_doubt_about_a_credit_code_is_a_remark(verdict: Verdict, cell: str, warning: str) -> None:
    found = verdict("credit_code", cell)
    assert found["reasons"] == []
    assert found["warnings"] == [warning]


@pytest.mark.parametrize("cell", ["（91350100M000100Y43）", "91350100M000100Y43-", " 91350100 M000100Y43 "])
def test_brackets_dashes_and_blanks_around_a_code_do_no_harm(verdict: Verdict, cell: str) -> None:
    assert verdict("credit_code", cell)["value"] == "91350100M000100Y43"


def test_an_unknown_category_and_a_broken_inner_check_are_remarks(verdict: Verdict) -> None:
    body = "98110105MA1B3N1N3"
    found = verdict("credit_code", body + stdnum.cn.uscc.calc_check_digit(body))
    assert (found["reasons"], found["warnings"]) == ([], ["department_category", "embedded_check"])


def test_a_code_issued_against_the_standard_is_accepted_from_its_day_on(codes: CodeBook) -> None:
    listed = pl.DataFrame({"code": ["91350200M000000510"], "valid_from": ["2020-01-01"]})
    book = CodeBook({**codes.tables, "issued_credit_codes": listed})

    def judged(on: date) -> Mapping[str, object]:
        return judge("credit_code", pl.Series(["91350200M000000510"]), book, on).frame().row(0, named=True)

    assert judged(date(2019, 12, 31))["reasons"] == ["check_character"]
    found = judged(date(2020, 1, 1))
    assert (found["value"], found["reasons"]) == ("91350200M000000510", [])
    assert "issued_nonconforming" in str(found["warnings"])


@pytest.mark.parametrize(
    "code",
    [
        "D2143569X", "600037341",  # GB 11714-1997, and one of digits only
        # these pass only where A is 10 and Z is 35, not in the alphabet of the credit code
        "MA5RC30P9", "MJU60350X", "MB2900168", "MA61WJ320", "MA2N0ABGX", "MJ1693047", "MJK998048", "MJ0529018",
        "MA1B3N1N2",
    ],
)
def test_published_organisation_codes_are_accepted(verdict: Verdict, code: str) -> None:
    assert verdict("organisation_code", code)["value"] == code
    assert verdict("organisation_code", f"{code[:8]}-{code[8]}")["value"] == code


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("MA1B3N1N3", "check_character"),
        ("MA1B3N1N", "length"),
        ("MA1B3N一N2", "alphabet"),
        ("000000000", "placeholder"),  # passes the check and means nothing
        ("123456788", "placeholder"),
    ],
)
def test_what_is_wrong_with_an_organisation_code_is_named(verdict: Verdict, cell: str, reason: str) -> None:
    found = verdict("organisation_code", cell)
    assert (found["value"], found["reasons"]) == (None, [reason])


def test_the_marker_of_a_local_unit_is_no_wrong_check_character(verdict: Verdict) -> None:
    found = verdict("organisation_code", "MA1B3N1NB")
    assert (found["value"], found["warnings"]) == ("MA1B3N1NB", ["local_unit"])


@pytest.mark.parametrize(
    "number", ["110108000000016", "440301103097413", "310117003171688", "440307811872564", "131125600053703"]
)
def test_published_registration_numbers_are_accepted_without_remark(verdict: Verdict, number: str) -> None:
    found = verdict("registration_number", number)
    assert (found["value"], found["warnings"]) == (number, [])


def test_a_wrong_check_digit_of_a_registration_number_is_a_remark(verdict: Verdict) -> None:
    found = verdict("registration_number", "110108000000017")
    assert (found["value"], found["warnings"]) == ("110108000000017", ["registration_check"])
    assert verdict("registration_number", "11010800000001")["reasons"] == ["length"]
    assert verdict("registration_number", "1101081234567")["warnings"] == ["registration_13"]


@given(credit_codes)
def test_a_code_the_oracle_computes_is_accepted(codes: CodeBook, code: str) -> None:
    found = judge("credit_code", pl.Series([code]), codes, ON).frame().row(0, named=True)
    assert (found["value"], found["reasons"]) == (code, [])


@given(bodies, st.sampled_from(ALPHABET))
def test_the_oracle_and_the_lake_agree_on_every_last_character(codes: CodeBook, body: str, last: str) -> None:
    reasons = judge("credit_code", pl.Series([body + last]), codes, ON).frame()["reasons"][0].to_list()
    assert ("check_character" not in reasons) == stdnum.cn.uscc.is_valid(body + last)


@given(credit_codes, st.integers(0, 17), st.sampled_from(ALPHABET))
def test_one_wrong_character_never_passes(codes: CodeBook, code: str, place: int, letter: str) -> None:
    wrong = code[:place] + letter + code[place + 1 :]
    found = judge("credit_code", pl.Series([wrong]), codes, ON).frame().row(0, named=True)
    assert (found["value"] is not None) == (wrong == code)


def _old_check(body: str) -> str:
    """GB 11714-1997 by the letter of its text."""
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    rest = 11 - sum(int(c, 36) * w for c, w in zip(body, weights, strict=True)) % 11
    return {10: "X", 11: "0"}.get(rest, str(rest))


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=8, max_size=8))
def test_the_check_of_organisation_codes_is_the_standards(body: str) -> None:
    assert bytes(organisation_check(matrix(pl.Series([body]), 8))).decode() == _old_check(body)


@given(st.text("0123456789", min_size=14, max_size=14), st.integers(0, 13), st.integers(1, 9))
def test_one_wrong_digit_changes_the_check_of_a_registration_number(body: str, place: int, step: int) -> None:
    other = body[:place] + str((int(body[place]) + step) % 10) + body[place + 1 :]
    first, second = registration_check(matrix(pl.Series([body, other]), 14))
    assert first != second


@given(st.lists(st.one_of(st.none(), st.text(max_size=25), credit_codes), max_size=8))
@pytest.mark.parametrize("kind", ["credit_code", "organisation_code", "registration_number", "division_code"])
def test_any_cells_get_one_verdict_each_and_a_value_exactly_without_reasons(
    codes: CodeBook, kind: str, cells: list[str | None]
) -> None:
    found = judge(kind, pl.Series(cells, dtype=pl.String), codes, ON).frame()
    assert found.height == len(cells)
    for value, reasons in found.select("value", "reasons").iter_rows():
        assert value is None or not reasons


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("11100000000013338W", "1"),
        ("121526004609138637", "2"),
        ("91350100M000100Y43", "3"),
        ("51100000500019541K", "4"),
        ("52610500MJU60350X1", "4"),
        ("93110000600037341L", "9"),
        ("A1110000600037341L", "2"),
        ("92510100MA61WJ3204", None),  # a sole trader is no legal person
        ("98110105MA1B3N1N3Q", None),
        (None, None),
    ],
)
def test_the_prefix_of_a_credit_code_tells_the_kind_of_legal_entity(
    codes: CodeBook, code: str | None, kind: str | None
) -> None:
    assert legal_entity_kinds(pl.Series([code], dtype=pl.String), codes).to_list() == [kind]


def test_every_kind_of_legal_entity_named_by_a_category_is_on_the_list_of_kinds(codes: CodeBook) -> None:
    named = codes.table("registering_category")["organisation_kind"].drop_nulls()
    assert set(named) == set(codes.table("organisation_kind")["code"])
