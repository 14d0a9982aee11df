"""The workbook for stewards: what they delivered, where it is wrong, what is expected, and nothing that runs."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from jobs.catalogue import load_catalogue
from jobs.contract import Contract
from jobs.errors import StorageError
from jobs.onboarding.precheck import precheck
from jobs.onboarding.workbook import BESIDE, marked_columns, write_workbook
from jobs.rows.codes import CodeBook
from jobs.settings import PROJECT
from jobs.storage.readers import Limits

BAD = "FFFFC7CE"
GOOD: dict[str, str | None] = {
    "登记编号": "S-1", "身份证号": "11010519491231002X", "姓名": "某甲", "性别": "女", "死亡日期": "2025-12-30",
    "登记机关区划": "110105", "登记日期": "2026-01-05",
}


@pytest.fixture(scope="module")
def deaths(schemas: Path) -> Contract:
    return load_catalogue(schemas).contract("civil_affairs/deaths")


@pytest.fixture
def written(schemas: Path, codes: CodeBook, tmp_path: Path) -> Callable[..., Path]:
    """Check rows (dicts, or lines as they are) as deaths, write the workbook, return its path."""

    def write(*rows: dict[str, str | None] | str) -> Path:
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        file, path = tmp_path / "deaths.jsonl", tmp_path / "deaths_precheck.xlsx"
        file.write_text("\n".join(lines), encoding="utf-8")
        catalogue = load_catalogue(schemas)
        contract = catalogue.contract("civil_affairs/deaths")
        result = precheck(file, contract, catalogue.types, codes, Limits(), date(2026, 3, 2))
        write_workbook(result, contract, path, PROJECT / "expectations")
        return path

    return write


def _rows(path: Path, sheet: int = 0) -> list[dict[str, Any]]:
    head, *rows = openpyxl.load_workbook(path).worksheets[sheet].iter_rows()
    return [{str(h.value): cell for h, cell in zip(head, row, strict=True)} for row in rows]


def _marked(row: dict[str, Any]) -> set[str]:
    return {name for name, cell in row.items() if cell.fill.fgColor.rgb == BAD}


def test_rejected_rows_stand_as_delivered_with_place_reasons_and_expected_form(written) -> None:
    wrong = {**GOOD, "身份证号": "110105194912310021", "死亡日期": "2025年13月"}
    (row,) = _rows(written(GOOD, wrong))
    assert {name: row[name].value for name in wrong} == wrong
    number, reasons, expected = (row[name].value for name in BESIDE)
    assert number == 2
    assert reasons.splitlines() == ["died_on.not_a_date", "resident_id.check_character"]
    assert "2023年1月5日" in expected.splitlines()[0]
    assert "校验码" in expected.splitlines()[1]
    assert "last character" in expected.splitlines()[1]


def test_exactly_the_bad_cells_are_marked_empty_ones_too(written) -> None:
    first, second = _rows(written({**GOOD, "身份证号": "x", "姓名": None}, {**GOOD, "性别": "？"}))
    assert _marked(first) == {"身份证号", "姓名"}
    assert _marked(second) == {"性别"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+2", "@SUM(1)", "{=1}", "http://x.example", "0012", "1E5"])
def test_nothing_a_department_typed_becomes_a_formula_a_link_or_a_number(text: str, written) -> None:
    path = written({**GOOD, "登记编号": text, "姓名": None})
    (row,) = _rows(path)
    assert (row["登记编号"].value, row["登记编号"].data_type) == (text, "s")
    assert row["登记编号"].number_format == "@"
    with zipfile.ZipFile(path) as archive:
        xml = b"".join(archive.read(name) for name in archive.namelist() if "worksheets" in name)
    assert b"<f>" not in xml
    assert b"hyperlink" not in xml


def test_a_defective_record_is_shown_as_it_was_delivered(written) -> None:
    (row,) = _rows(written(GOOD, '{"登记编号": "S-2", '))
    assert row[BESIDE[1]].value == "record.syntax"
    assert _marked(row) == {"原文 record as delivered"}
    assert row["原文 record as delivered"].value.startswith('{"登记编号": "S-2"')


def test_the_second_sheet_counts_each_rule_and_says_what_it_expects(written) -> None:
    path = written(*({**GOOD, "身份证号": number} for number in ("12", "34", "11010519491231002x")))
    found = {row["规则 rule"].value: row for row in _rows(path, 1)}
    assert found["resident_id.length"]["行数 rows"].value == 2
    assert found["resident_id.length"]["处理 effect"].value == "退回 rejected"
    assert found["resident_id.lower_case"]["处理 effect"].value == "提示 remark"
    assert all(row["应为"].value and row["expected form"].value for row in found.values())


def test_a_cell_longer_than_a_workbook_allows_is_cut_visibly(written) -> None:
    (row,) = _rows(written({**GOOD, "登记编号": "长" * 40_000}))
    assert row["登记编号"].value.endswith("长…")
    assert len(row["登记编号"].value) < 32_767


def test_control_characters_do_not_break_the_workbook(written) -> None:
    (row,) = _rows(written({**GOOD, "登记编号": "a\x0b\x1fb<&>\ufffe", "姓名": None}))
    assert "<&>" in row["登记编号"].value


def test_a_reason_about_a_received_identifier_marks_the_column_that_handed_it_over(schemas, deaths) -> None:
    firms = load_catalogue(schemas).contract("market_regulation/enterprise_registrations")
    assert marked_columns("registration_number.required", firms) == ("统一社会信用代码",)
    assert marked_columns("credit_code.length", firms) == ("统一社会信用代码",)
    assert marked_columns("record.syntax", deaths) == ()


def test_a_workbook_that_cannot_be_written_is_one_error(written, schemas, codes, deaths, tmp_path) -> None:
    written(GOOD)
    types = load_catalogue(schemas).types
    result = precheck(tmp_path / "deaths.jsonl", deaths, types, codes, Limits(), date(2026, 3, 2))
    with pytest.raises(StorageError, match="write it elsewhere"):
        write_workbook(result, deaths, tmp_path / "nowhere" / "x.xlsx", PROJECT / "expectations")
