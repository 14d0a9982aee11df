"""Checking before delivery: the same verdicts and the same counts as the lake's own stages, without an engine."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs.catalogue import Catalogue, load_catalogue
from jobs.errors import RequestError, SourceError
from jobs.onboarding.precheck import Precheck, precheck
from jobs.rows.codes import CodeBook
from jobs.storage.readers import BATCH_ROWS, Limits

DAY = date(2026, 3, 2)
DEATH = {
    "登记编号": "S-1", "身份证号": "11010519491231002X", "姓名": "某甲", "性别": "女", "出生日期": "1949-12-31",
    "死亡日期": "2025-12-30", "登记机关区划": "110105", "登记日期": "2026-01-05",
}


@pytest.fixture(scope="module")
def catalogue(schemas: Path) -> Catalogue:
    return load_catalogue(schemas)


@pytest.fixture
def checked(catalogue: Catalogue, codes: CodeBook, tmp_path: Path) -> Callable[..., Precheck]:
    """Write lines to a file and check it as a delivery of a dataset."""

    def check(*lines: str, dataset: str = "civil_affairs/deaths", day: date = DAY) -> Precheck:
        file = tmp_path / "delivery_20260302"
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return precheck(file, catalogue.contract(dataset), catalogue.types, codes, Limits(), day)

    return check


def _death(**changes: str | None) -> str:
    return json.dumps({**DEATH, **changes}, ensure_ascii=False)


def test_every_record_is_accepted_rejected_or_a_duplicate(checked) -> None:
    result = checked(
        _death(), _death(), _death(登记编号="S-2"), _death(登记编号="S-3", 身份证号="110105194912310021"),
        _death(登记编号="S-4", 姓名=None, 死亡日期="2025-02-30"), "{", "",
    )
    assert (result.delivered, result.accepted, result.quarantined, result.duplicates) == (6, 2, 3, 1)
    assert result.reasons == {
        "deceased_name.required": 1, "died_on.not_a_date": 1, "record.syntax": 1, "resident_id.check_character": 1
    }


def test_equal_rows_are_duplicates_whatever_their_spelling(checked) -> None:
    result = checked(_death(), _death(死亡日期="2025年12月30日", 登记机关区划="１１０１０５", 性别="2"))
    assert (result.accepted, result.duplicates) == (1, 1)


def test_equal_rows_far_apart_are_duplicates_too(checked) -> None:
    others = [_death(登记编号=f"T-{n}") for n in range(BATCH_ROWS)]
    result = checked(_death(), *others, _death())
    assert (result.delivered, result.accepted, result.duplicates) == (BATCH_ROWS + 2, BATCH_ROWS + 1, 1)


def test_remarks_are_counted_over_accepted_rows_only(checked) -> None:
    lower = "11010519491231002x"
    result = checked(_death(身份证号=lower), _death(身份证号=lower, 死亡日期="then"))
    assert result.warnings["resident_id.lower_case"] == 1


def test_the_data_date_decides_what_lies_in_the_future(checked) -> None:
    assert checked(_death()).quarantined == 0
    assert checked(_death(), day=date(2025, 12, 1)).reasons == {"died_on.not_future": 1}


def test_rejected_rows_come_with_their_own_cells_and_place(checked) -> None:
    result = checked(_death(), "", _death(登记编号="=1+1", 身份证号="x"))
    row = result.rejected.row(0, named=True)
    assert result.rejected.height == 1
    assert (row["_source_file"], row["_source_row"]) == ("delivery_20260302", 3)
    assert json.loads(row["_cells"])["登记编号"] == "=1+1"


def test_a_results_own_text_shows_no_cell(checked) -> None:
    assert "某甲" not in repr(checked(_death(身份证号="x")))


def test_a_header_alone_counts_nothing(checked, catalogue) -> None:
    columns = ",".join(catalogue.contract("market_regulation/enterprise_registrations").source_columns)
    result = checked(columns, dataset="market_regulation/enterprise_registrations")
    assert (result.delivered, result.accepted, result.quarantined, result.duplicates) == (0, 0, 0, 0)
    assert result.rejected.is_empty()


def test_a_database_is_dumped_and_judged_like_any_file(catalogue, codes, tmp_path) -> None:
    contract = catalogue.contract("social_security/social_insurance")
    good: dict[str, Any] = {
        "id_number": "11010519491231002X", "name": "某甲", "insurance_kind": "养老", "employer_credit_code": None,
        "employer_name": None, "contribution_base": 5360.5, "status": "参保", "division_code": "110105",
        "updated_on": "2026-01-05",
    }
    file = tmp_path / "insurance 50%_20260302.sqlite"
    with sqlite3.connect(file) as database:
        database.execute(f"create table insured_persons ({', '.join(good)})")
        for row in (good, {**good, "insurance_kind": "寿险"}):
            database.execute(f"insert into insured_persons values ({', '.join('?' * len(row))})", list(row.values()))
    result = precheck(file, contract, catalogue.types, codes, Limits(), DAY)
    assert (result.delivered, result.accepted, result.reasons) == (2, 1, {"insurance_code.unknown_code": 1})
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_database_that_cannot_be_dumped_is_an_error_with_its_dataset_file_rule_and_remedy(
    catalogue, codes, tmp_path
) -> None:
    contract = catalogue.contract("social_security/social_insurance")
    file = tmp_path / "insurance_20260302.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("create table others (a)")
    with pytest.raises(SourceError, match="no table 'insured_persons'") as refused:
        precheck(file, contract, catalogue.types, codes, Limits(), DAY)
    assert (refused.value.dataset, refused.value.where) == (contract.name, f"{file.name}:source.table")
    assert refused.value.remedy
    file.write_bytes(b"SQLite format 3\x00 half a database")
    with pytest.raises(SourceError, match="cannot be read") as refused:
        precheck(file, contract, catalogue.types, codes, Limits(), DAY)
    assert (refused.value.dataset, refused.value.where) == (contract.name, file.name)
    assert refused.value.remedy


def test_a_file_that_cannot_be_read_is_one_error_and_a_missing_one_another(checked, catalogue, codes, tmp_path) -> None:
    with pytest.raises(SourceError, match="JSON array"):
        checked("[" + _death() + "]")
    contract = catalogue.contract("civil_affairs/deaths")
    with pytest.raises(RequestError, match="no such file"):
        precheck(tmp_path / "missing", contract, catalogue.types, codes, Limits(), DAY)


def test_checking_and_drafting_import_no_engine_and_no_scheduler() -> None:
    heavy = "{'pyspark', 'airflow', 'great_expectations', 'delta', 'pandas'} & set(sys.modules)"
    code = f"import sys, jobs.onboarding.precheck, jobs.onboarding.workbook, jobs.onboarding.draft; print({heavy})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
