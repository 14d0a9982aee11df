"""Guessing types: the header suggests, the cells decide, and what many numbers look like proves nothing."""

from __future__ import annotations

from datetime import date

import pytest

from jobs.onboarding import wording
from jobs.onboarding.draft import draft
from jobs.onboarding.precheck import precheck
from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import KINDS
from jobs.rows.protection import protection_of
from jobs.storage.readers import Limits
from tests.onboarding.samples import checked, write


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("col", ["91350100M000100Y43", "51100000500019541K"], "credit_code"),
        ("col", ["2026/1/5", "2026年1月6日"], "date"),
        ("col", ["2026-01-05 08:00:00", "2026-01-06 09:30:10"], "timestamp"),
        ("登记时间", ["20260105", "20260106"], "date"),
        ("col", ["12345", "23456"], "integer"),
        ("col", ["00123", "45678"], "text"),
        ("col", ["1.5", "22"], "decimal"),
        ("col", ["5万元", "120元"], "money"),
        ("工程款(万元)", ["5", "12.5"], "money"),
        ("col", ["120", "5300"], "integer"),
        ("col", ["120000", "310000", "130000"], "integer"),
        ("col", ["110101", "110102", "310101"], "division_code"),
        ("col", ["是", "否"], "boolean"),
        ("col", ["1", "0"], "integer"),
        ("是否在保", ["1", "0"], "boolean"),
        ("批次编号", ["20260105", "20260106"], "text"),
        ("col", ["13812345678", "13912345678"], "phone"),
        ("col", ["x" * 80, "y" * 90], "free_text"),
        ("col", ["", ""], "text"),
        ("客户姓名", ["某甲甲", "某乙乙"], "person_name"),
        ("customerAddress", ["a", "b"], "address"),
    ],
)
def test_a_type_is_guessed_from_cells_and_header(header: str, cells: list[str], expected: str, tmp_path) -> None:
    lines = [f"serial;{header}", *(f"k{n};{cell}" for n, cell in enumerate(cells))]
    text = draft("a/b", write(tmp_path / "a.csv", ("\n".join(lines) + "\n").encode()))
    found = next(line for line in text.splitlines() if f"from: {header}," in line or f"from: '{header}'" in line)
    assert f"type: {expected}," in found


PROVED = {
    "resident_id": ["11010519491231002X", "440524188001010014"],
    "credit_code": ["91350100M000100Y43", "51100000500019541K"],
    "organisation_code": ["M000100Y4", "500019541"],
    "registration_number": ["110108000000016"],
    "taxpayer_number": ["110105M000100Y4", "110105500019541", "11010519491231002X01"],
    "permanent_resident_number": ["USA110178010113", "911840197801010017", "931250197902020023"],
    "passport": ["E12345678", "EA1234567", "K01234567"],
    "travel_permit": ["H12345678", "M12345678", "H1234567801"],
    "institution_certificate": ["事证第111010500001号", "111010500002"],
    "social_organisation_certificate": ["京社证字第0012345号", "沪民证字第012号"],
    "division_code": ["110101", "310101"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_identifier_is_guessed_where_the_cells_prove_it(kind: str, tmp_path, onboarded) -> None:
    lines = ["serial;甲", *(f"k{n};{cell}" for n, cell in enumerate(PROVED[kind]))]
    contract, catalogue, text = onboarded(write(tmp_path / "a.csv", "\n".join(lines).encode() + b"\n"))
    field = contract.fields["column_2"]
    assert (field.type, protection_of(field, catalogue.types)) == (kind, field.protect)
    assert field.protect == ("drop" if kind == "division_code" else "pseudonym")
    assert checked(tmp_path / "a.csv", contract, catalogue) == (len(PROVED[kind]), len(PROVED[kind]))
    assert not any(cell in text for cell in PROVED[kind] if cell not in str(wording.INVENTED))


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("护照号码", ["AB123456", "X1234567"], "passport"),  # of other states
        ("来往内地通行证号", ["02345671", "87654312"], "travel_permit"),
        ("纳税人识别号", ["91350100M000100Y43", "110105M000100Y4"], "taxpayer_number"),
        ("登记证书 社会组织登记证号", ["1234A", "5678B"], "social_organisation_certificate"),
        ("单位 事业单位法人证书号", ["111010500001", "131010500012"], "institution_certificate"),
        ("外国人永久居留身份证号码", ["USA110178010113"], "permanent_resident_number"),
        ("证件号码", ["E12345678", "EA1234567"], "passport"),
        # Forms that many numbers have prove nothing.
        ("col", ["22345671", "87654312"], "integer"),
        ("col", ["141234567", "151234567"], "integer"),
        ("col", ["AB123456", "X1234567"], "text"),
        ("col", ["100000000001", "100000000002"], "text"),
        ("col", ["SC12345678", "SC12345679"], "text"),
        ("车辆通行证编号", ["02345671", "87654312"], "text"),
    ],
)
def test_newer_identifiers_need_their_header_or_a_form_of_their_own(
    header: str, cells: list[str], expected: str, tmp_path
) -> None:
    lines = [f"serial;{header}", *(f"k{n};{cell}" for n, cell in enumerate(cells))]
    text = draft("a/b", write(tmp_path / "a.csv", ("\n".join(lines) + "\n").encode()))
    assert f"{{from: {header}, type: {expected}," in text


def test_a_type_needs_a_high_share_of_the_cells(tmp_path) -> None:
    good, bad = ["2026-01-05"] * 8, ["soon"] * 2
    for cells, expected in ((good + bad, "type: date"), (good + bad + ["later"], "type: text")):
        lines = ["serial,day", *(f"k{n},{cell}" for n, cell in enumerate(cells))]
        assert expected in draft("a/b", write(tmp_path / "a.csv", "\n".join(lines).encode()))


def test_older_identifiers_in_a_credit_code_column_get_fields_of_their_own(tmp_path, onboarded) -> None:
    cells = ["91350100M000100Y43", "51100000500019541K", "110108000000016", "91350100M000100Y43"]
    sample = write(tmp_path / "a.csv", "\n".join(["统一社会信用代码,备注"] + [f"{c},无" for c in cells]).encode())
    contract, catalogue, _ = onboarded(sample)
    assert contract.fields["credit_code"].legacy == {"registration_number": "registration_number"}
    codes = CodeBook.load(catalogue.root / "codes")
    result = precheck(sample, contract, catalogue.types, codes, Limits(), date(2026, 3, 2))
    assert (result.accepted, result.duplicates, result.quarantined) == (3, 1, 0)
