"""Hostile and broken files: each ends in records or in one SourceError without cell content, never in anything else."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from jobs.contract import Contract
from jobs.errors import SourceError
from jobs.storage.readers import Limits, read

SECRET = "某机密内容"
TITLE = {"en": "Trials", "zh": "试验"}
DEFECTS = {
    None, "record.encoding", "record.column_count", "record.quoting", "record.stray_quote", "record.nul_byte",
    "record.cell_too_large", "record.syntax", "record.duplicate_key", "record.too_large", "record.repeated_header",
    "record.second_table", "record.formula", "record.unterminated",
}
# Public collections of messy files (csv-spectrum, Pollock, frictionless) are read too where somebody has them.
_COLLECTIONS = (folder / "shared" / "data" / "messy" for folder in Path(__file__).resolve().parents)
MESSY = next((folder for folder in _COLLECTIONS if folder.is_dir()), Path("nowhere"))
DIALECTS: list[dict[str, Any]] = [
    {"reader": "csv"},
    {"reader": "csv", "delimiter": "\t", "encoding": "gb18030"},
    {"reader": "csv", "delimiter": ";", "quote": "'", "encoding": "utf-16"},
    {"reader": "csv", "delimiter": "|", "encoding": "utf-8-sig", "header_row": 3},
    {"reader": "jsonl"},
    {"reader": "jsonl", "encoding": "gb18030"},
    {"reader": "xlsx"},
    {"reader": "xlsx", "header_row": 2},
    {"reader": "csv", "encoding": "big5", "line_end": "cr", "escape": "\\"},
    {"reader": "csv", "encoding": "gbk", "header_rows": 0, "columns": ["证号", "姓名"], "delimiter": "||"},
    {"reader": "csv", "header_rows": 2, "section": {"after": "证", "before": "A2", "ends_at_blank": True}},
    {"reader": "fixed_width", "header_rows": 0, "widths": {"证号": 3, "姓名": 9}},
    {"reader": "fixed_width", "widths": {"证号": 3, "姓名": 9}, "widths_in": "characters", "encoding": "utf-16"},
    {"reader": "json"},
    {"reader": "json", "encoding": "gb18030", "records": "a/b"},
    {"reader": "xml"},
    {"reader": "xls"},
    {"reader": "ods"},
    {"reader": "parquet"},
    {"reader": "dbf", "encoding": "gb18030"},
    {"reader": "csv", "packed": "gzip"},
    {"reader": "csv", "packed": "zip"},
    {"reader": "xml", "packed": "zip", "member": "*.xml"},
]


def _contract(named: tuple[str, ...] = ("证号", "姓名"), required: bool = False, **source: Any) -> Contract:
    fields = {
        f"column_{n}": {"from": column, "type": "text", "required": required} for n, column in enumerate(named, 1)
    }
    return Contract.model_validate(
        {
            "name": "a/trials", "title": TITLE, "description": TITLE, "steward": "tests@example.gov", "fields": fields,
            "source": {"path": "trials", **source}, "load": {"unknown_columns": "keep"}, "rows": {"min": 0},
        }
    )


def _outcome(file: Path, contract: Contract) -> list[dict[str, Any]] | str:
    """Return the records or the error's text; anything else that is raised fails the test."""
    refused: SourceError | None = None
    rows: list[dict[str, Any]] = []
    try:
        rows = [row for batch in read(file, contract, Limits(10_000)) for row in batch.to_pylist()]
    except SourceError as error:
        refused = error
    if refused is not None:
        assert refused.remedy
        assert refused.dataset == "a/trials"
        assert SECRET not in str(refused)
        return str(refused)
    assert {row["_defect"] for row in rows} <= DEFECTS
    numbers = [(row["_source_file"], row["_source_row"]) for row in rows]
    assert len(set(numbers)) == len(numbers), "each record has its own place"
    return rows


@pytest.fixture
def outcome(tmp_path: Path) -> Callable[..., list[dict[str, Any]] | str]:
    def of(content: bytes, **source: Any) -> list[dict[str, Any]] | str:
        file = tmp_path / "hostile_file"
        file.write_bytes(content)
        return _outcome(file, _contract(**source))

    return of


def _saved(*rows: list[Any]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def _repacked(content: bytes, **changes: bytes | None) -> bytes:
    """Return a workbook with parts (named by their last word) replaced, or left out where None."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            word = Path(name).name.partition(".")[0]
            change = changes.get(word, old.read(name))
            if change is not None:
                new.writestr(name, change)
    return out.getvalue()


def _archive(**entries: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def _inflated(archive: bytes) -> bytes:
    """Return an archive whose directory says that its last entry unpacks to two gigabytes."""
    place = archive.rindex(b"PK\x01\x02") + 24
    return archive[:place] + (1 << 31).to_bytes(4, "little") + archive[place + 4 :]


def _sheet(content: bytes) -> bytes:
    return b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">' + content + b"</worksheet>"


PLAIN = f"证号,姓名\nA1,{SECRET}\nA2,某乙\n"
OBJECTS = "".join(f'{{"证号": "A{n}", "姓名": "{SECRET}"}}\n' for n in range(3))
BOOK = _saved(["证号", "姓名"], ["A1", SECRET], ["A2", "某乙"])
CASES: dict[str, bytes] = {
    "empty": b"",
    "one_nul": b"\x00",
    "only_nuls": bytes(5000),
    "only_a_mark": b"\xef\xbb\xbf",
    "only_a_wide_mark": b"\xff\xfe",
    "only_line_ends": b"\r\n\n\r\r\n",
    "only_quotes": b'"' * 1001,
    "only_delimiters": b",;|\t" * 99,
    "plain": PLAIN.encode(),
    "plain_gb18030": PLAIN.encode("gb18030"),
    "plain_utf16": PLAIN.encode("utf-16"),
    "carriage_returns": PLAIN.replace("\n", "\r").encode(),
    "unclosed_quote": (PLAIN + f'A3,"{SECRET}\n' * 500).encode(),
    "a_quote_in_the_header": PLAIN.replace("姓名", '"姓名').encode(),
    "ten_megabytes_in_a_cell": PLAIN.encode() + b"A3," + b"x" * 10_000_000 + b"\n",
    "ten_megabytes_in_a_quoted_cell": PLAIN.encode() + b'A3,"' + (b"x" * 50_000 + b"\n") * 200 + b'"\n',
    "ten_thousand_columns": b",".join(b"c%d" % n for n in range(10_000)) + b"\n" + b"x," * 9_999 + b"x\n",
    "a_million_columns": b",".join(b"c%d" % n for n in range(1_000_000)) + b"\n" + b"x," * 999_999 + b"x\n",
    "a_record_of_a_million_cells": PLAIN.encode() + b"x," * 999_999 + b"x\n",
    "one_line_of_forty_megabytes": b"x" * 40_000_000,
    "forty_megabytes_below_the_header": PLAIN.encode() + b"x" * 40_000_000 + b"\nA3,x\n",
    "mixed_encodings": PLAIN.encode() + PLAIN.encode("gb18030") * 3 + PLAIN.encode("utf-16"),
    "a_character_cut_at_the_end": PLAIN.encode()[:-2],
    "impossible_dates": "证号,姓名\n0000-00-00,2026-02-30\n9999-99-99,民国一一五年\n".encode(),
    "entities": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a><r>&c;</r></a>',
    "deep_xml": b"<a>" * 100_000,
    "one_endless_tag": b"<a " + b"x" * 20_000_000,
    "random_bytes": random.Random(5).randbytes(200_000),
    "half_of_utf16": PLAIN.encode("utf-16")[:-1],
    "surrogates_in_json": b'{"\xe8\xaf\x81\xe5\x8f\xb7": "\\ud800", "\\udfff": "\\udc00x"}\n' + OBJECTS.encode(),
    "deep_json": OBJECTS.encode() + b'{"a":' * 50_000,
    "deep_lists": OBJECTS.encode() + b"[" * 200_000 + b"]" * 200_000,
    "not_a_number_in_json": b'{"\xe8\xaf\x81\xe5\x8f\xb7": NaN}\n{"\xe8\xaf\x81\xe5\x8f\xb7": 1e999}\n',
    "huge_number_in_json": b'{"\xe8\xaf\x81\xe5\x8f\xb7": ' + b"9" * 9_000 + b"}\n",
    "nul_in_a_key": b'{"\\u0000": 1, "": 2, " ": 3}\n',
    "objects": OBJECTS.encode(),
    "objects_utf16": OBJECTS.encode("utf-16"),
    "json_array": b"[" + OBJECTS.replace("\n", ",").encode() + b"{}]",
    "protected_workbook": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096) + SECRET.encode(),
    "workbook": BOOK,
    "half_a_workbook": BOOK[: len(BOOK) // 2],
    "workbook_with_a_broken_sheet": _repacked(BOOK, sheet1=b"<worksheet><sheetData><row r='1'><c r='A1'>"),
    "workbook_with_nonsense_for_a_sheet": _repacked(BOOK, sheet1=b"\x00\xff nonsense"),
    "workbook_with_an_odd_place": _repacked(
        BOOK, sheet1=_sheet(b'<sheetData><row r="0"><c r="ZZZZZZ99999999999"><v>1</v></c></row></sheetData>')
    ),
    "workbook_without_a_sheet": _repacked(BOOK, sheet1=None),
    "workbook_without_a_book": _repacked(BOOK, workbook=None),
    "workbook_with_an_entity_bomb": _repacked(
        BOOK, sheet1=b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><worksheet><sheetData>'
        b'<row r="1"><c r="A1" t="inlineStr"><is><t>&b;</t></is></c></row></sheetData></worksheet>',
    ),
    "empty_workbook": _saved(),
    "workbook_merged_to_the_end_of_the_world": _repacked(
        BOOK, sheet1=_sheet(
            '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>证号</t></is></c></row>'
            '<row r="2"><c r="A2"><v>1</v></c></row></sheetData>'
            '<mergeCells><mergeCell ref="A2:XFD1048576"/></mergeCells>'.encode()
        ),
    ),
    "workbook_with_two_cells_at_its_ends": _repacked(
        BOOK, sheet1=_sheet(
            b'<sheetData><row r="1"><c r="A1"><v>1</v></c></row>'
            b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
        ),
    ),
    "an_archive_of_something": _archive(readme__txt=SECRET.encode()),
    "an_archive_that_says_it_is_a_workbook": _archive(xl__nothing=b""),
    "an_archive_of_zeros": _inflated(_archive(xl__zeros=bytes(1000))),
    "gzip": b"\x1f\x8b" + bytes(100),
    "pdf": b"%PDF-1.7 " + SECRET.encode(),
    "html_called_xls": f"<html><table><tr><td>{SECRET}</td></tr></table></html>".encode(),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Read each file by the readers it is for and a third of the dialects; with --soak every file by every dialect."""
    own = {"json": "json", "xml": "xml", "book": "xlsx", "xls": "xls", "archive": "ods", "gzip": "csv"}
    if {"case", "dialect"} <= set(metafunc.fixturenames):
        every = metafunc.config.getoption("--soak")
        pairs = [
            pytest.param(case, dialect, id=f"{case}-{'-'.join(map(str, dialect.values()))}")
            for number, case in enumerate(CASES) for at, dialect in enumerate(DIALECTS)
            if every or (number + at) % 3 == 0 or any(dialect["reader"] == own[word] for word in own if word in case)
        ]
        metafunc.parametrize(("case", "dialect"), pairs)


def test_any_file_ends_in_records_or_in_one_error_without_content(case: str, dialect: dict[str, Any], outcome) -> None:
    outcome(CASES[case], **dialect)


@pytest.mark.parametrize(
    ("case", "reader", "says"),
    [
        ("protected_workbook", "xlsx", "password"),
        ("protected_workbook", "csv", "protected workbook"),
        ("half_a_workbook", "xlsx", "half-written"),
        ("an_archive_of_something", "xlsx", "not a workbook"),
        ("an_archive_of_zeros", "xlsx", "unpacks to far more"),
        ("empty_workbook", "xlsx", "header row is not there"),
        ("workbook_with_two_cells_at_its_ends", "xlsx", "far apart"),
        ("workbook", "csv", "workbook"),
        ("workbook_without_a_sheet", "xlsx", "cannot be read"),
        ("pdf", "csv", "PDF"),
        ("json_array", "jsonl", "JSON array"),
        ("a_million_columns", "csv", "more than 16384 columns"),
        ("one_line_of_forty_megabytes", "csv", "no header|missing|none of"),
        ("entities", "xml", "entities"),
        ("deep_xml", "xml", "nested more than 64"),
        ("html_called_xls", "xls", "looks like HTML"),
        ("workbook", "ods", "an XLSX workbook"),
        ("an_archive_of_something", "ods", "not a workbook"),
        ("plain", "parquet", "delimited text"),
        ("random_bytes", "dbf", "not a DBF table"),
        ("objects_utf16", "jsonl", "UTF-8"),
    ],
)
def test_what_a_file_really_is_is_said_in_words(case: str, reader: str, says: str, outcome) -> None:
    found = outcome(CASES[case], reader=reader)
    assert isinstance(found, str)
    assert re.search(says, found)


@pytest.mark.parametrize(
    ("case", "reader", "defects"),
    [
        ("ten_megabytes_in_a_cell", "csv", [None, None, "record.cell_too_large"]),
        ("unclosed_quote", "csv", 502),
        ("a_record_of_a_million_cells", "csv", [None, None, "record.column_count"]),
        ("forty_megabytes_below_the_header", "csv", [None, None, "record.too_large", None]),
        ("a_character_cut_at_the_end", "csv", [None, "record.encoding"]),
        ("impossible_dates", "csv", [None, None]),
        ("surrogates_in_json", "jsonl", ["record.syntax", None, None, None]),
        ("deep_json", "jsonl", [None, None, None, "record.syntax"]),
        ("deep_lists", "jsonl", [None, None, None, "record.syntax"]),
        ("not_a_number_in_json", "jsonl", [None, None]),
        ("workbook_merged_to_the_end_of_the_world", "xlsx", [None]),
    ],
)
def test_one_bad_record_costs_no_other(case: str, reader: str, defects: list[str | None] | int, outcome) -> None:
    rows = outcome(CASES[case], reader=reader)
    assert isinstance(rows, list)
    assert len(rows) == (defects if isinstance(defects, int) else len(defects))
    if isinstance(defects, list):
        assert [row["_defect"] for row in rows] == defects


@pytest.mark.parametrize("place", range(0, len(PLAIN.encode()), 3))
def test_a_file_cut_anywhere_loses_no_whole_record(place: int, outcome) -> None:
    found = outcome(PLAIN.encode()[:place], reader="csv")
    whole = PLAIN.encode()[:place].count(b"\n") - 1
    if isinstance(found, list):
        assert len(found) in (whole, whole + 1)
        assert all(row["_defect"] is None for row in found[:whole])
    else:
        assert whole < 1 or "not utf-8" in found


@pytest.mark.parametrize("seed", range(30))
def test_damaged_bytes_never_change_how_many_lines_are_accounted_for(seed: int, outcome) -> None:
    dice = random.Random(seed)
    lines = [f"A{n},某{n}".encode() for n in range(200)]
    for number in dice.sample(range(200), 5):
        line = bytearray(lines[number])
        line[dice.randrange(len(line))] = dice.choice([0x00, 0xFF, 0x2C, 0x80, 0xFE])
        lines[number] = bytes(line)
    rows = outcome("证号,姓名\n".encode() + b"\n".join(lines) + b"\n", reader="csv")
    assert isinstance(rows, list)
    assert [row["_source_row"] for row in rows] == list(range(2, 202))


def test_a_message_names_columns_but_quotes_no_cell(outcome) -> None:
    found = outcome(f"证号,姓名,姓名\n{SECRET},{SECRET},{SECRET}\n".encode(), reader="csv")
    assert isinstance(found, str)
    assert "hostile_file:header" in found


def _messy() -> list[Path]:
    return sorted(path for path in MESSY.rglob("*") if path.is_file()) if MESSY.is_dir() else []


@pytest.mark.parametrize("file", _messy(), ids=lambda path: path.relative_to(MESSY).as_posix())
def test_messy_files_of_others_end_in_records_or_in_one_error(file: Path) -> None:
    for dialect in DIALECTS:
        _outcome(file, _contract(**dialect))
    for columns in _declared(file):
        _outcome(file, _contract(columns, required=True, reader="csv"))


def _declared(file: Path) -> list[tuple[str, ...]]:
    """Return the columns that Pollock's parameters declare for a file."""
    names = _parameters(file).get("column_names") or []
    return [tuple(dict.fromkeys(str(name) for name in names if name))] if names else []


def _parameters(file: Path) -> dict[str, Any]:
    parameters = file.parents[1] / "parameters" / f"{file.name}_parameters.json"
    return json.loads(parameters.read_text(encoding="utf-8")) if parameters.is_file() else {}


def _as_declared(file: Path, width: int) -> dict[str, Any]:
    """Return the contract's source for a file of Pollock's, from its parameters."""
    about = _parameters(file)
    quote, escape = about.get("quotechar") or '"', about.get("escapechar") or ""
    source = {
        "reader": "csv", "delimiter": about.get("delimiter") or ",", "quote": quote,
        "escape": "" if escape == quote else escape, "header_row": about.get("preamble_lines", 0) + 1,
        "header_rows": about.get("header_lines", 1), "line_end": "cr" if about.get("row_delimiter") == "\r" else "lf",
    }
    return source if source["header_rows"] else {**source, "columns": [f"c{n}" for n in range(width)]}


def _twins() -> list[tuple[Path, Path]]:
    clean = sorted((MESSY / "pollock" / "clean").glob("*.csv"))
    return [(MESSY / "pollock" / "csv" / file.name, file) for file in clean if file.stat().st_size]


@pytest.mark.parametrize(("file", "clean"), _twins(), ids=lambda path: path.name)
def test_accepted_cells_equal_those_of_the_clean_twin(file: Path, clean: Path) -> None:
    with clean.open(encoding="utf-8", newline="") as stream:
        expected = list(csv.reader(stream))
    source = _as_declared(file, len(expected[0]))
    names = tuple(source.get("columns") or expected.pop(0))
    rows = _outcome(file, _contract(names, **source))
    assert isinstance(rows, list)
    accepted = [[row[name] or "" for name in names] for row in rows if row["_defect"] is None]
    left = iter(expected)
    assert all(cells in left for cells in accepted), "each accepted record is the twin's, in its order"
    assert len(accepted) == len(expected) or len(rows) >= len(expected)
