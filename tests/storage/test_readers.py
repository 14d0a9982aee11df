"""Readers: every record is counted once, a defective one says why, a file that is another one says so in one error."""

from __future__ import annotations

import io
import json
import sqlite3
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from jobs.errors import SourceError
from jobs.storage.readers import BATCH_ROWS, Limits, dump_database, read
from jobs.storage.reading.delimited import read_delimited
from jobs.storage.reading.layout import Layout, Sound
from tests.storage.trials import GOOD, SECRET, brief, contract, rows_of, said


def test_records_come_as_strings_numbered_as_an_editor_shows_them(taken) -> None:
    rows = taken(GOOD)
    assert brief(rows) == [(2, "A1", "某甲", None), (3, "A2", "某乙", None)]
    assert {row["_source_file"] for row in rows} == {"trials_20260302.txt"}


def test_a_large_file_comes_in_batches_and_no_record_is_lost(tmp_path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("证号,姓名\n" + "".join(f"{n},x\n" for n in range(BATCH_ROWS + 1)), encoding="utf-8")
    assert [batch.num_rows for batch in read(file, contract(), Limits())] == [BATCH_ROWS, 1]


# -- the file as a whole -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", ["csv", "jsonl", "xlsx"])
def test_an_empty_file_is_an_error_that_asks_for_another_delivery(reader: str, taken) -> None:
    with pytest.raises(SourceError, match="empty") as refused:
        taken(b"", reader=reader)
    assert "deliver it again" in said(refused)


def test_a_blank_file_has_no_header(taken) -> None:
    with pytest.raises(SourceError, match="no header"):
        taken("\n\r\n  \n")


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_half_written_file_loses_only_the_record_it_was_cut_in(encoding: str, taken) -> None:
    lines = GOOD + f"A3,{SECRET}\n" * 20 + f"A4,{SECRET}"
    rows = taken(lines.encode(encoding)[:-1], encoding=encoding)
    assert len(rows) == 23
    assert [row["_defect"] for row in rows] == [None] * 22 + ["record.encoding"]


@pytest.mark.parametrize(
    ("declared", "really"),
    [("utf-8", "gb18030"), ("gb18030", "utf-8"), ("utf-8", "utf-16"), ("gb18030", "utf-16"), ("utf-16", "utf-8")],
)
def test_a_wrong_encoding_names_the_fitting_one(declared: str, really: str, taken) -> None:
    text = "证号,姓名\n" + f"A1,{SECRET}\n" * 30
    with pytest.raises(SourceError) as refused:
        taken(text.encode(really), encoding=declared)
    assert really in said(refused)


def test_an_encoding_that_does_not_exist_is_the_contracts_fault(taken) -> None:
    with pytest.raises(SourceError, match="no encoding 'gb18031'") as refused:
        taken(GOOD, encoding="gb18031")
    assert "contract" in said(refused)


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"PK\x03\x04", "workbook"), (b"\xd0\xcf\x11\xe0", "protected workbook"), (b"\x1f\x8b", "gzip"), (b"%PDF", "PDF"),
     (b"SQLite format 3\x00", "SQLite")],
)
def test_another_kind_of_file_is_named(start: bytes, kind: str, taken) -> None:
    with pytest.raises(SourceError, match=kind) as refused:
        taken(start + SECRET.encode())
    said(refused)


# -- the header --------------------------------------------------------------------------------------------------


def test_a_name_given_twice_in_the_header_is_an_error(taken) -> None:
    with pytest.raises(SourceError, match="'姓名' twice") as refused:
        taken(f"证号,姓名,姓名\nA1,{SECRET},x\n")
    said(refused)


def test_a_missing_required_column_is_an_error_and_another_one_is_empty(taken) -> None:
    with pytest.raises(SourceError, match="'证号' is missing") as refused:
        taken(f"姓名\n{SECRET}\n")
    said(refused)
    assert brief(taken("证号\nA1\n")) == [(2, "A1", None, None)]


def test_an_unknown_column_stops_is_kept_or_is_dropped_as_the_contract_says(taken) -> None:
    text = f"证号,备注,姓名\nA1,{SECRET},某甲\n"
    with pytest.raises(SourceError, match="column 2 of 3 is unknown") as refused:
        taken(text)
    said(refused)
    kept = taken(text, load={"unknown_columns": "keep"})
    assert json.loads(kept[0]["_extra"]) == {"备注": SECRET}
    dropped = taken(text, load={"unknown_columns": "drop"})
    assert dropped[0]["_extra"] is None
    assert brief(kept) == brief(dropped) == [(2, "A1", "某甲", None)]


@pytest.mark.parametrize("header", ["\ufeff证号,姓名", " 证号 ,姓名\u200b", '"证号","姓名\n"', "\x01证号,\t姓名"])
def test_what_hides_in_a_header_cell_does_not_matter(header: str, taken) -> None:
    rows = taken(f"{header}\nA1,某甲\n")
    assert [(row["证号"], row["姓名"]) for row in rows] == [("A1", "某甲")]


def test_a_column_without_a_name_is_none_where_it_is_empty_or_to_be_dropped(taken) -> None:
    text = f"证号,,姓名,\nA1,{SECRET},某甲,\nA2, ,某乙,\n"
    assert brief(taken(text, load={"unknown_columns": "drop"})) == [(2, "A1", "某甲", None), (3, "A2", "某乙", None)]
    assert brief(taken(text)) == [(2, "A1", "某甲", "record.column_count"), (3, "A2", "某乙", None)]


@pytest.mark.parametrize("quote", ["", '"'])
def test_under_a_header_with_a_trailing_comma_only_blocks_with_something_there_are_read_line_by_line(
    quote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.storage.reading.text.BLOCK", 64)
    rows = [f"{quote}A{n}{quote},某甲,\n" for n in range(30)]
    file, declared = tmp_path / "trials.csv", contract()
    for odd in ("", " ", "x"):
        file.write_text("".join(["证号,姓名,\n", *rows, f"B1,某乙,{odd}\n"]), encoding="utf-8")
        found = list(read_delimited(file, declared.source, Layout.of(declared), Limits()))
        assert sum(len(one.rows) for one in found if isinstance(one, Sound)) > 15
        assert isinstance(found[-1], Sound) == (not odd)
        read = brief(rows_of(file))
        assert [one[3] for one in read] == [None] * 30 + ["record.column_count" if odd == "x" else None]
        assert read[-1][:3] == (32, "B1", "某乙")


def test_a_file_without_a_header_is_refused_without_naming_its_first_row(taken) -> None:
    for text in (f"{SECRET},x\nA1,某甲\n", f"{SECRET},{SECRET}\n"):
        with pytest.raises(SourceError, match="is missing") as refused:
            taken(text)
        said(refused)
    with pytest.raises(SourceError, match="none of its 1 column is known") as refused:
        taken(json.dumps({SECRET: "x"}), reader="jsonl")
    said(refused)


def test_rows_above_the_declared_header_are_none(taken) -> None:
    rows = taken(f"{SECRET}\n\n证号,姓名\nA1,某甲\n", header_row=3)
    assert brief(rows) == [(4, "A1", "某甲", None)]


# -- records of delimited text -----------------------------------------------------------------------------------


def test_a_ragged_record_keeps_its_place_and_says_so(taken) -> None:
    rows = taken("证号,姓名\nA1\nA2,某乙,more\nA3,某丙\n")
    assert [row["_defect"] for row in rows] == ["record.column_count", "record.column_count", None]
    assert json.loads(rows[1]["_extra"]) == {"_raw": "A2,某乙,more"}


def test_blank_lines_are_no_records_but_count_as_lines(taken) -> None:
    assert [row[0] for row in brief(taken("证号,姓名\n\nA1,某甲\r\n   \r\n\nA2,某乙\n\n\n"))] == [3, 6]


def test_a_nul_byte_is_a_defect_of_its_record_alone(taken) -> None:
    rows = taken("证号,姓名\nA1,某\x00甲\nA2,某乙\n")
    assert [row["_defect"] for row in rows] == ["record.nul_byte", None]
    assert "\x00" not in rows[0]["姓名"]


def test_a_cell_of_ten_megabytes_is_a_defect_of_its_record_alone(taken) -> None:
    rows = taken("证号,姓名\nA1," + "x" * 10_000_000 + "\nA2,某乙\n")
    assert brief(rows) == [(2, "A1", None, "record.cell_too_large"), (3, "A2", "某乙", None)]


def test_the_limit_of_a_cell_is_in_bytes_and_inclusive(taken) -> None:
    rows = taken("证号,姓名\nA1," + "汉" * 10 + "\nA2," + "汉" * 11 + "\n", limits=Limits(max_cell_bytes=30))
    assert [row["_defect"] for row in rows] == [None, "record.cell_too_large"]


def test_a_quoted_cell_may_hold_delimiters_line_breaks_and_doubled_quotes(taken) -> None:
    rows = taken('证号,姓名\nA1,"某,甲\n又名""乙"""\nA2,某丙\n')
    assert brief(rows) == [(2, "A1", '某,甲\n又名"乙"', None), (4, "A2", "某丙", None)]


def test_a_stray_quote_costs_its_own_record_only(taken) -> None:
    rows = taken('证号,姓名\nA1,"某甲\nA2,某乙\n' + "A3,某丙\n" * 300)
    assert len(rows) == 302
    assert [row["_defect"] for row in rows[:3]] == ["record.stray_quote", None, None]
    assert all(row["_defect"] is None for row in rows[2:])


def test_a_quote_inside_an_unquoted_cell_is_an_ordinary_character(taken) -> None:
    assert brief(taken('证号,姓名\nA1,某"甲"\n')) == [(2, "A1", '某"甲"', None)]


def test_text_after_a_closing_quote_is_a_defect_of_its_record(taken) -> None:
    assert [row["_defect"] for row in taken('证号,姓名\nA1,"某"甲\nA2,某乙\n')] == ["record.quoting", None]


@pytest.mark.parametrize(
    ("encoding", "delimiter", "line_end"),
    [
        ("utf-8", ",", "\n"), ("utf-8-sig", "\t", "\r\n"), ("gb18030", ";", "\r\n"), ("utf-16", "|", "\n"),
        ("utf-16-le", ",", "\r\n"),
    ],
)
def test_every_dialect_gives_the_same_records(encoding: str, delimiter: str, line_end: str, taken) -> None:
    text = GOOD.replace(",", delimiter).replace("\n", line_end)
    assert brief(taken(text.encode(encoding), encoding=encoding, delimiter=delimiter)) == brief(taken(GOOD))


# -- JSON lines --------------------------------------------------------------------------------------------------


def test_a_broken_line_a_repeated_key_and_a_bare_value_are_defects_of_their_records(taken) -> None:
    lines = ['{"证号": "A1"}', '{"证号": "A2", ', '{"证号": 3, "证号": 4}', '"A5"', "[" * 100_000, "", '{"证号": 6}']
    rows = taken("\n".join(lines), reader="jsonl")
    broken = {2: "record.syntax", 3: "record.duplicate_key", 4: "record.syntax", 5: "record.syntax"}
    assert {row["_source_row"]: row["_defect"] for row in rows} == {1: None, **broken, 7: None}


def test_numbers_stay_as_they_are_written_and_nested_values_become_text(taken) -> None:
    rows = taken('{"证号": 110105194912310020001, "姓名": {"姓": ["某", 1.50, null, true]}}', reader="jsonl")
    assert rows[0]["证号"] == "110105194912310020001"
    assert rows[0]["姓名"] == '{"姓": ["某", "1.50", null, true]}'


def test_json_lines_may_begin_with_a_byte_order_mark_and_end_half_written(taken) -> None:
    content = ("\ufeff" + f'{{"证号": "A1"}}\n{{"证号": "{SECRET}').encode()[:-1]
    assert [row["_defect"] for row in taken(content, reader="jsonl")] == [None, "record.encoding"]


def test_a_json_array_is_no_json_lines(taken) -> None:
    with pytest.raises(SourceError, match="JSON array") as refused:
        taken(f'[{{"证号": "{SECRET}"}}]', reader="jsonl")
    said(refused)


def test_an_unknown_key_stops_is_kept_or_is_dropped_as_the_contract_says(taken) -> None:
    text = f'{{"证号": "A1"}}\n{{"证号": "A2", "备注": "{SECRET}"}}\n'
    with pytest.raises(SourceError, match=r"line 2: column 2 of 2 is unknown") as refused:
        taken(text, reader="jsonl")
    said(refused)
    kept = taken(text, reader="jsonl", load={"unknown_columns": "keep"})
    assert [row["_extra"] for row in kept] == [None, json.dumps({"备注": SECRET}, ensure_ascii=False)]
    assert [row["_extra"] for row in taken(text, reader="jsonl", load={"unknown_columns": "drop"})] == [None, None]


# -- workbooks ---------------------------------------------------------------------------------------------------


def _saved(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_titles_and_merged_titles_above_the_header_are_no_records(taken, tmp_path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet["A1"] = SECRET
    sheet.merge_cells("A1:B1")
    for row in ([], ["证号", "姓名"], ["A1", "某甲"], [None, None], ["A2", None]):
        sheet.append(row)
    book.save(tmp_path / "x.xlsx")
    rows = taken((tmp_path / "x.xlsx").read_bytes(), reader="xlsx", header_row=3)
    assert brief(rows) == [(4, "A1", "某甲", None), (6, "A2", None, None)]


@pytest.mark.parametrize(("column", "name"), [("A", "B"), ("C", "D")])
@pytest.mark.parametrize("top", [1, 2, 5])
def test_the_table_may_stand_anywhere_and_cells_merged_downwards_count_in_each_row(
    column: str, name: str, top: int, taken
) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet[f"{column}{top}"], sheet[f"{name}{top}"] = "证号", "姓名"
    for place, number in enumerate(("A1", "A2", "A3"), top + 1):
        sheet[f"{column}{place}"] = number
    sheet[f"{name}{top + 1}"], sheet[f"{name}{top + 3}"] = "某甲", "某乙"
    sheet.merge_cells(f"{name}{top + 1}:{name}{top + 2}")
    rows = taken(_saved(book), reader="xlsx", header_row=top)
    assert brief(rows) == [
        (top + 1, "A1", "某甲", None), (top + 2, "A2", "某甲", None), (top + 3, "A3", "某乙", None)
    ]


def test_numbers_dates_and_formulas_of_a_workbook_become_text(taken) -> None:
    book = openpyxl.Workbook()
    for row in (["证号", "姓名"], [7, 0.1], [date(2026, 1, 5), "=1+1"]):
        book.active.append(row)
    rows = taken(_saved(book), reader="xlsx")
    assert [(row["证号"], row["姓名"]) for row in rows] == [("7", "0.1"), ("2026-01-05 00:00:00", None)]


@pytest.mark.parametrize(
    ("how", "says"),
    [({"sheet": "别的"}, "no worksheet '别的'"), ({"header_row": 9}, "header row is not there"), ({}, "is missing")],
)
def test_a_workbook_of_another_layout_is_an_error(how: dict[str, Any], says: str, taken) -> None:
    book = openpyxl.Workbook()
    book.active.append([SECRET])
    with pytest.raises(SourceError, match=says) as refused:
        taken(_saved(book), reader="xlsx", **how)
    said(refused)


# -- databases ---------------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "a.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute('create table people ("证号" text, "姓名" text, pay decimal(10, 2), since date)')
        connection.executemany(
            "insert into people values (?, ?, ?, ?)", [("A2", None, 10.5, None), ("A1", "某甲", 3, "2026-01-05")]
        )
    return file


def test_a_table_is_dumped_in_key_order_whatever_order_its_rows_were_written_in(database: Path, tmp_path) -> None:
    dump = tmp_path / "dump.jsonl"
    dump_database(f"sqlite:///{database}", "people", ["证号"], dump)
    how = contract(load={"unknown_columns": "drop"}, reader="database", table="people", order_by=["证号"])
    rows = [row for batch in read(dump, how, Limits()) for row in batch.to_pylist()]
    assert brief(rows) == [(1, "A1", "某甲", None), (2, "A2", None, None)]


@pytest.mark.parametrize(
    ("file", "table", "key", "says"),
    [
        ("a.sqlite", "persons", "证号", "no table 'persons'"),
        ("a.sqlite", "people", "编号", "no column '编号'"),
        ("missing.sqlite", "people", "证号", "cannot be read"),
        ("text.sqlite", "people", "证号", "cannot be read"),
    ],
)
def test_a_database_that_is_not_as_declared_is_an_error(
    file: str, table: str, key: str, says: str, database: Path, tmp_path
) -> None:
    (tmp_path / "text.sqlite").write_text(SECRET * 99, encoding="utf-8")
    with pytest.raises(SourceError, match=says) as refused:
        dump_database(f"sqlite:///file:{database.parent / file}?mode=ro&uri=true", table, [key], tmp_path / "dump")
    assert str(tmp_path) not in said(refused)
