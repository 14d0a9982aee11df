"""Deliveries that bring nothing and files that were cut off: refused, remarked or rejected, never in silence."""

from __future__ import annotations

import csv
import io
from typing import Any

import openpyxl
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.errors import SourceError
from tests.storage.trials import GOOD, brief, said


def _saved(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _workbook(rows: list[list[str]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return _saved(book)


def _parquet() -> bytes:
    out = io.BytesIO()
    pl.DataFrame(schema={"证号": pl.String, "姓名": pl.String}).write_parquet(out)
    return out.getvalue()


DUMPED = {"reader": "database", "table": "t", "order_by": ["证号"]}
NOTHING: dict[str, tuple[bytes, dict[str, Any]]] = {
    "csv": ("证号,姓名\n".encode(), {}),
    "csv with blank lines": ("证号,姓名\n\n  \n".encode(), {}),
    "csv, its end missing": ("证号,姓名".encode(), {}),
    "csv without a header": (b"\n", {"header_rows": 0, "columns": ["证号", "姓名"]}),
    "fixed width": ("证号 姓名\n".encode(), {"reader": "fixed_width", "widths": {"证号": 7, "姓名": 6}}),
    "workbook": (_workbook([["证号", "姓名"]]), {"reader": "xlsx"}),
    "json": (b" [ ]\n", {"reader": "json"}),
    "json below a key": (b'{"rows": [], "total": 0}', {"reader": "json", "records": "rows"}),
    "json lines": (b"\n", {"reader": "jsonl"}),
    "xml": (b"<all/>", {"reader": "xml"}),
    "xml at a path": (b"<all><list/></all>", {"reader": "xml", "records": "list/one"}),
    "parquet": (_parquet(), {"reader": "parquet"}),
    "database": (b"", DUMPED),
    "rest": (b"", {"reader": "rest", "url": "https://source.example"}),
}


@pytest.mark.parametrize("case", NOTHING)
def test_a_delivery_without_a_record_is_refused_unless_the_contract_allows_for_it(case: str, taken) -> None:
    content, source = NOTHING[case]
    source = {"path": None, **source} if source.get("reader") == "rest" else source
    for rows in ({}, {"max": 5}, {"min": 1}):
        with pytest.raises(SourceError, match=r"no record|no row|is empty") as refused:
            taken(content, rows=rows, **source)
        assert "rows: {min: 0}" in said(refused)
    assert taken(content, rows={"min": 0}, **source) == []


def test_no_contract_takes_a_file_of_no_byte_and_json_lines_say_how_nothing_is_delivered(taken) -> None:
    for reader in ("csv", "jsonl"):
        with pytest.raises(SourceError, match="the file is empty") as refused:
            taken(b"", reader=reader, rows={"min": 0})
        assert ("one empty line" in said(refused)) == (reader == "jsonl")


@pytest.mark.parametrize("content", [b"<all/>", b"<all><list><another/></list></all>"])
def test_xml_that_holds_something_else_where_records_should_be_is_not_taken_for_an_empty_one(
    content: bytes, taken
) -> None:
    with pytest.raises(SourceError, match="no element at list/one"):
        taken(content, reader="xml", records="list/one", rows={"min": 0})


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("first", ["A1,某甲", 'A1,"某甲"'])
def test_a_last_line_without_a_line_end_is_a_record_with_a_remark(line_end: str, first: str, taken) -> None:
    whole = line_end.join(["证号,姓名", first, "A2,某乙", ""])
    cut = taken(whole[: -len(line_end)])
    assert brief(cut) == [(2, "A1", "某甲", None), (3, "A2", "某乙", "record.unterminated")]
    assert all(row["_defect"] is None for row in taken(whole))
    assert brief(taken(whole + "  ")) == brief(taken(whole)), "blanks are no line"


@pytest.mark.parametrize(
    ("tail", "defect"),
    [("A3", "record.column_count"), ('A3,"某', "record.stray_quote"), ('A3,"', "record.stray_quote"),
     ("A3,\x00", "record.nul_byte")],
)
def test_a_last_record_that_was_cut_where_it_shows_is_a_defect_not_a_remark(tail: str, defect: str, taken) -> None:
    assert [row["_defect"] for row in taken(GOOD + tail)] == [None, None, defect]


def test_text_of_fixed_width_cut_in_its_last_cell_gets_the_remark_too(taken) -> None:
    fixed = {"reader": "fixed_width", "header_rows": 0, "widths": {"证号": 2, "姓名": 6}}
    assert [row["_defect"] for row in taken("A1某甲\nA2某", **fixed)] == [None, "record.unterminated"]


@pytest.mark.parametrize("how", [{"line_end": "cr"}, {"encoding": "utf-16"}, {"header_rows": 0, "columns": ["a", "b"]}])
def test_every_dialect_has_the_remark(how: dict[str, Any], taken) -> None:
    fields = ("a", "b") if "columns" in how else ("证号", "姓名")
    text = ("" if "columns" in how else "证号,姓名\n") + "A1,x\nA2,y"
    text = text.replace("\n", "\r") if "line_end" in how else text
    rows = taken(text.encode(how.get("encoding", "utf-8")), fields=fields, **how)
    assert [row["_defect"] for row in rows] == [None, "record.unterminated"]


CELLS = st.text("某甲乙A1 ,\"'x", max_size=6)


@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), st.data(),
    st.sampled_from(["utf-8", "gb18030", "utf-16-le"]), st.sampled_from(["\n", "\r\n"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wherever_a_file_is_cut_no_cell_changes_without_a_word(taken, rows, data, encoding, line_end) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end).writerows([("证号", "姓名"), *rows])
    whole = text.getvalue().encode(encoding)
    head = len(f"证号,姓名{line_end}".encode(encoding))
    cut = whole[: data.draw(st.integers(head, len(whole)), label="cut")]
    how = {"encoding": encoding, "rows": {"min": 0}}
    sound = [row for row in brief(taken(cut, **how)) if row[3] is None]
    assert sound == [row for row in brief(taken(whole, **how)) if row[3] is None][: len(sound)]
