"""`lake identify` and `lake code` as a person meets them: what is printed, in which order, with which exit code."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter
from click.testing import Result
from typer.testing import CliRunner

from jobs.cli import app
from jobs.errors import RequestError, SourceError

HEADER = ["value", "kind", "normalised", "structure_ok", "division_known", "division_in_force", "conforming", "reasons"]
NUMBERS = ["11010519491231002X", "", "91350100m000100y43", "无"]


def _run(*words: object, **more: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False, **more)


def _rows(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0
    reader = csv.DictReader(io.StringIO(result.stdout))
    assert reader.fieldnames == HEADER
    return list(reader)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    text = "name,number\n" + "".join(f"某,{number}\n" for number in NUMBERS)
    (tmp_path / "plain.csv").write_text(text, encoding="utf-8")
    (tmp_path / "marked.csv").write_text(text, encoding="utf-8-sig")
    (tmp_path / "old.csv").write_text(text, encoding="gb18030")
    (tmp_path / "wide.csv").write_text(text, encoding="utf-16")
    (tmp_path / "tabs.tsv").write_text(text.replace(",", "\t"), encoding="utf-8")
    table = pl.DataFrame({"name": ["某"] * 4, "number": NUMBERS})
    table.write_parquet(tmp_path / "columns.parquet")
    table.write_excel(tmp_path / "book.xlsx")
    return tmp_path


@pytest.mark.parametrize(
    "file", ["plain.csv", "marked.csv", "old.csv", "wide.csv", "tabs.tsv", "columns.parquet", "book.xlsx"]
)
def test_the_same_numbers_in_any_file_get_the_same_rows_in_the_same_order(made: Path, file: str) -> None:
    rows = _rows(_run("identify", made / file, "--column", "number"))
    assert [row["value"] for row in rows] == NUMBERS
    assert [row["kind"] for row in rows] == ["resident_id", "unknown", "credit_code", "unknown"]
    assert [row["normalised"] for row in rows[:3]] == ["11010519491231002X", "", "91350100M000100Y43"]
    assert [row["structure_ok"] for row in rows] == ["true", "false", "true", "false"]
    assert [row["reasons"] for row in rows] == ["", "E_NULL", "W_CASE", "E_PLACEHOLDER"]


def test_a_chinese_column_in_the_encoding_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("證號\n11010519491231002X\n".encode("big5"))
    rows = _rows(_run("identify", tmp_path / "a.csv", "--column", "證號", "--encoding", "big5"))
    assert rows[0]["kind"] == "resident_id"


def test_json_has_the_same_rows_with_reasons_as_a_list(made: Path) -> None:
    result = _run("identify", made / "plain.csv", "--column", "number", "--kind", "credit_code", "--json")
    rows = json.loads(result.stdout)
    assert list(rows[0]) == HEADER
    assert [row["reasons"] for row in rows][1:] == [["E_NULL"], ["W_CASE"], ["E_PLACEHOLDER"]]
    assert rows[2]["conforming"] is True


def test_standard_input_is_read_too() -> None:
    assert _rows(_run("identify", "-", "--column", "n", input="n\nMA1B3N1N2\n"))[0]["kind"] == "organisation_code"


def test_a_number_that_a_worksheet_took_for_a_quantity_shows_its_lost_digits(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "book.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_string(0, 0, "n")
        sheet.write_number(1, 0, 110105194912310021)
        sheet.write_number(3, 0, 110105491231002)
    rows = _rows(_run("identify", tmp_path / "book.xlsx", "--column", "n", "--kind", "resident_id"))
    assert [row["reasons"] for row in rows] == ["E_CHECK;W_SEQ;W_EXCEL_TAIL", "E_NULL", "L_15"]


def test_whole_numbers_of_a_parquet_file_are_their_digits(tmp_path: Path) -> None:
    table = pl.DataFrame({"i": [110105194912310021, None], "f": [110105491231002.0, None]})
    table.write_parquet(tmp_path / "a.parquet")
    assert _rows(_run("identify", tmp_path / "a.parquet", "--column", "i"))[0]["value"] == "110105194912310021"
    assert _rows(_run("identify", tmp_path / "a.parquet", "--column", "f"))[0]["normalised"] == "11010519491231002X"


def test_many_rows_have_one_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.commands.identification.SLICE", 2)
    (tmp_path / "a.csv").write_text("n\n" + "110105\n" * 5, encoding="utf-8")
    assert len(_rows(_run("identify", tmp_path / "a.csv", "--column", "n"))) == 5


def test_a_file_with_a_header_only_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n", encoding="utf-8")
    assert _rows(_run("identify", tmp_path / "a.csv", "--column", "n")) == []


@pytest.mark.parametrize(
    ("content", "words", "error", "says"),
    [
        (b"n\n1\n", ["--column", "m"], RequestError, "has no such column; its header has 1"),
        (b"n\n1\n", ["--column", "n", "--kind", "shoe"], RequestError, "kinds: resident_id"),
        (b"n\n1\n", ["--column", "n", "--encoding", "klingon"], RequestError, "no encoding"),
        (b"n\n1\n\xff\xff\n", ["--column", "n"], SourceError, ":3: the file is in none of UTF-8"),
        (b"", ["--column", "n"], SourceError, "empty"),
        (b"PAR1....", ["--column", "n"], SourceError, "Parquet"),
        (b"PK\x03\x04....", ["--column", "n"], SourceError, "workbook"),
        (b"%PDF-1.7", ["--column", "n"], SourceError, "a PDF"),
        (b'n\n"1\n', ["--column", "n"], SourceError, ":2: a quoted cell does not end"),
    ],
)
def test_what_cannot_be_read_is_said_with_what_to_do(
    tmp_path: Path, content: bytes, words: list[str], error: type[Exception], says: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(error, match=says):
        _run("identify", tmp_path / "file", *words)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be opened"):
        _run("identify", tmp_path / "none.csv", "--column", "n")


def test_the_offices_division_is_judged_at_registration_where_a_column_gives_the_date(tmp_path: Path) -> None:
    text = "n,d\n91350100M000100Y43,2015-06-30\n91350100M000100Y43,\n"
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    rows = _rows(_run("identify", tmp_path / "a.csv", "--column", "n", "--registered", "d"))
    assert [row["division_in_force"] for row in rows] == ["true", ""]


def test_a_division_is_described_and_translated() -> None:
    result = _run("code", "division", "440524", "--at", "1990-06-30", "--to", "2024-12-31", "--json")
    found = json.loads(result.stdout)
    assert (found["name"], found["in_force"], found["from"], found["to"]) == ("潮阳县", True, 1983, 1993)
    assert (found["authority"], found["successors"]) == ("MCA", [{"code": "440582", "year": None}])
    assert [one["name"] for one in found["parents"]] == ["广东省", "汕头市"]
    assert found["translation"]["kind"] == "several"
    assert [one["code"] for one in found["translation"]["targets"]] == ["440512", "440513", "440514"]
    assert "潮南区" in _run("code", "division", "440524", "--at", "1990", "--to", "2024").stdout


def test_a_division_no_year_knows_ends_with_no() -> None:
    assert _run("code", "division", "999999").exit_code == 1
    assert json.loads(_run("code", "division", "440401", "--json").stdout)["synthetic"] is True


def test_other_lists_are_printed_whole_or_by_code_or_name() -> None:
    assert "ethnic_group" in _run("code", "list").stdout
    assert len(json.loads(_run("code", "sex", "--json").stdout)) == 4
    assert json.loads(_run("code", "sex", "男", "--json").stdout)[0]["code"] == "1"
    assert json.loads(_run("code", "registering_category", "51", "--json").stdout)[0]["organisation_kind"] == "4"


@pytest.mark.parametrize(
    "words", [["shoe_size"], ["sex", "7"], ["division", "12"], ["sex", "1", "--to", "2000-01-01"]]
)
def test_a_code_or_list_that_does_not_exist_is_refused(words: list[str]) -> None:
    with pytest.raises(RequestError):
        _run("code", *words)
