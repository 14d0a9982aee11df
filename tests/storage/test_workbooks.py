"""Workbooks of every age: the same records, dates by the workbook's own date system, formulas by their saved values."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter

from jobs.errors import SourceError
from jobs.storage.readers import Limits, read
from jobs.storage.reading import grid, old_workbook
from jobs.storage.reading.layout import Layout
from tests.storage.trials import SECRET, Rows, brief, contract


@pytest.fixture
def taken(taken: Callable[..., Rows]) -> Callable[..., Rows]:
    """Read a workbook by a contract that keeps columns it does not know."""
    return partial(taken, load={"unknown_columns": "keep"})


def written(fill: Callable[[xlsxwriter.Workbook, Any], None], **options: Any) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, options) as book:
        fill(book, book.add_worksheet())
    return out.getvalue()


def repacked(content: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name.endswith(part) else old.read(name))
    return out.getvalue()


# -- XLSX --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("date_1904", [False, True])
def test_dates_follow_the_workbooks_own_date_system(date_1904: bool, taken) -> None:
    def fill(book: xlsxwriter.Workbook, sheet: Any) -> None:
        sheet.write_row(0, 0, ["证号", "姓名"])
        sheet.write_datetime(1, 0, date(2026, 1, 5), book.add_format({"num_format": "yyyy-mm-dd"}))

    rows = taken(written(fill, date_1904=date_1904), reader="xlsx")
    assert [row["证号"][:10] for row in rows] == ["2026-01-05"]


def test_a_formula_counts_as_its_saved_value_and_without_one_is_a_defect(taken) -> None:
    def fill(_: xlsxwriter.Workbook, sheet: Any) -> None:
        sheet.write_row(0, 0, ["证号", "姓名"])
        sheet.write_formula(1, 0, '="A"&1', None, "A1")
        sheet.write_formula(2, 0, "=[other.xlsx]Sheet1!$A$1", None, "A2")
        sheet.write_formula(3, 0, "=1/0", None, "#DIV/0!")
        sheet.write_row(4, 0, ["A4", '=cmd|"/c calc"!A1'])
        sheet.write_string(5, 0, "A5")

    content = repacked(
        written(fill, strings_to_formulas=False), "sheet1.xml",
        lambda xml: xml.replace(b"<v>A1</v>", b"<v></v>").replace(b'r="A2" t="str"', b'r="A2"'),
    )
    assert brief(taken(content, reader="xlsx")) == [
        (2, None, None, "record.formula"), (3, "A2", None, None), (4, None, None, "record.formula"),
        (5, "A4", '=cmd|"/c calc"!A1', None), (6, "A5", None, None),
    ]


def test_macros_are_never_run_and_do_not_matter(taken) -> None:
    def fill(_: xlsxwriter.Workbook, sheet: Any) -> None:
        sheet.write_row(0, 0, ["证号", "姓名"])
        sheet.write_row(1, 0, ["A1", "某甲"])

    content, out = written(fill), io.BytesIO()
    out.write(content)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0" + SECRET.encode())
    assert brief(taken(out.getvalue(), reader="xlsx")) == [(2, "A1", "某甲", None)]


def test_header_rows_with_merged_groups_and_titles_above_are_one_name_per_column(tmp_path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in ([SECRET], ["证号", "信息", None], [None, "姓名", "住址"], ["A1", "某甲", "某路"]):
        sheet.append(row)
    sheet.merge_cells("A1:C1")
    sheet.merge_cells("B2:C2")
    sheet.merge_cells("A2:A3")
    book.save(tmp_path / "x.xlsx")
    how = contract(load={"unknown_columns": "keep"}, reader="xlsx", header_row=2, header_rows=2)
    fields = {**how.fields, "person_name": how.fields["person_name"].model_copy(update={"from_": "信息 姓名"})}
    rows = [
        row for batch in read(tmp_path / "x.xlsx", how.model_copy(update={"fields": fields}), Limits())
        for row in batch.to_pylist()
    ]
    assert [(row["_source_row"], row["证号"], row["信息 姓名"]) for row in rows] == [(4, "A1", "某甲")]
    assert "某路" in rows[0]["_extra"]


def test_a_section_of_a_worksheet_ends_where_the_contract_says(taken) -> None:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in (["表一"], ["x", "y"], [1, 2], ["表二"], ["证号", "姓名"], ["A1", "某甲"], ["合计", 1], ["A9", "某乙"]):
        book.active.append(row)
    book.save(out)
    rows = taken(out.getvalue(), reader="xlsx", section={"after": "表二", "before": "合计"})
    assert brief(rows) == [(6, "A1", "某甲", None)]


def test_a_header_in_another_row_is_named(taken) -> None:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in ([SECRET, "x"], [], ["证号", "姓名"], ["A1", "某甲"]):
        book.active.append(row)
    book.save(out)
    for row in (1, 4):
        with pytest.raises(SourceError, match="row 3 looks like the header" if row == 1 else "missing|none") as refused:
            taken(out.getvalue(), reader="xlsx", header_row=row)
        assert SECRET not in str(refused.value)


def test_a_workbook_whose_directory_lies_about_sizes_is_damaged(taken) -> None:
    def fill(_: xlsxwriter.Workbook, sheet: Any) -> None:
        sheet.write_row(0, 0, ["证号", "姓名"])

    content = bytearray(written(fill))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = (3).to_bytes(4, "little")
    with pytest.raises(SourceError, match=r"damaged|cannot be read"):
        taken(bytes(content), reader="xlsx")


def test_entities_in_any_part_of_a_workbook_are_refused(taken) -> None:
    def fill(_: xlsxwriter.Workbook, sheet: Any) -> None:
        sheet.write_row(0, 0, ["证号", "姓名"])

    def declare(xml: bytes) -> bytes:
        return re.sub(rb"(<\?xml[^>]*>)", rb'\1<!DOCTYPE sst [<!ENTITY a SYSTEM "file:///etc/passwd">]>', xml)

    with pytest.raises(SourceError, match="entities"):
        taken(repacked(written(fill), "sharedStrings.xml", declare), reader="xlsx")


# -- ODS ---------------------------------------------------------------------------------------------------------------

_NAMES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in (("office", "office"), ("table", "table"), ("text", "text"))
)


def ods(rows: str, name: str = "表一") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "content.xml",
            f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {_NAMES}><office:body><office:spreadsheet>'
            f'<table:table table:name="{name}">{rows}</table:table></office:spreadsheet></office:body>'
            "</office:document-content>",
        )
    return out.getvalue()


def cell(text: str = "", **attributes: str) -> str:
    written_out = " ".join(f'{key.replace("__", ":").replace("_", "-")}="{value}"' for key, value in attributes.items())
    return f"<table:table-cell {written_out}>{f'<text:p>{text}</text:p>' if text else ''}</table:table-cell>"


def row(*cells: str, repeated: int = 1) -> str:
    return f'<table:table-row table:number-rows-repeated="{repeated}">{"".join(cells)}</table:table-row>'


HEAD = row(cell("证号"), cell("姓名"))


def test_ods_cells_come_by_their_stored_values(taken) -> None:
    rows = (
        row(cell("1,5", office__value_type="float", office__value="1.5"), cell("某<text:s text:c='2'/>甲"))
        + row(repeated=3)
        + row(cell("05.01.26", office__value_type="date", office__date_value="2026-01-05"),
              cell("x", office__value_type="time", office__time_value="PT8H5M0S"))
        + row(cell("wahr", office__value_type="boolean", office__boolean_value="true"),
              "<table:table-cell><office:annotation><text:p>note</text:p></office:annotation><text:p>a</text:p>"
              "<text:p>b</text:p></table:table-cell>")
        + row(cell(table__formula="of:=1+1"), cell("x"))
        + row(cell(table__number_columns_repeated="16384"), repeated=1_048_000)
    )
    assert brief(taken(ods(HEAD + rows), reader="ods")) == [
        (2, "1.5", "某  甲", None), (6, "2026-01-05", "08:05:00", None), (7, "true", "a\nb", None),
        (8, None, "x", "record.formula"),
    ]


def test_ods_cells_merged_downwards_count_in_each_row_and_repeated_rows_are_rows(taken) -> None:
    rows = (
        row(cell("A1"), cell("某甲", table__number_rows_spanned="2"))
        + row(cell("A2"), "<table:covered-table-cell/>") + row(cell("A3"), cell("某乙"), repeated=2)
    )
    assert brief(taken(ods(HEAD + rows), reader="ods")) == [
        (2, "A1", "某甲", None), (3, "A2", "某甲", None), (4, "A3", "某乙", None), (5, "A3", "某乙", None)
    ]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (HEAD + row(cell("x"), repeated=999_999_999), "spans more than"),
        (HEAD + row(cell("x", table__number_columns_repeated="999999999")), "more than 16384 columns"),
        ("<table:table-row>", "broken or cut off"),
    ],
)
def test_an_ods_bomb_or_a_broken_one_is_one_error(rows: str, says: str, taken) -> None:
    with pytest.raises(SourceError, match=says):
        taken(ods(rows), reader="ods")


def test_ods_and_xlsx_are_told_apart(taken) -> None:
    with pytest.raises(SourceError, match="ODS, not XLSX"):
        taken(ods(HEAD), reader="xlsx")
    with pytest.raises(SourceError, match="an XLSX workbook"):
        taken(written(lambda _, sheet: sheet.write(0, 0, SECRET)), reader="ods")
    with pytest.raises(SourceError, match="no worksheet '别的'"):
        taken(ods(HEAD), reader="ods", sheet="别的")


# -- XLS ---------------------------------------------------------------------------------------------------------------


def test_old_workbooks_of_others_are_read_with_their_merged_cells(tmp_path) -> None:
    collections = (folder / "shared" / "data" / "messy" for folder in Path(__file__).resolve().parents)
    for folder in collections:
        for file in sorted((folder / "frictionless").glob("*.xls")):
            rows, unvalued, merged = old_workbook.load(file, None)
            assert rows
            assert merged
            assert not unvalued


def _old(value: float, code: str) -> bytes:
    """Return an old workbook (BIFF 5) of one number under a format code."""

    def told(kind: int, data: bytes = b"") -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    def head(start: int) -> bytes:
        font = told(0x31, struct.pack("<HHHHHBBBB", 200, 0, 0x7FFF, 400, 0, 0, 0, 0, 0) + b"\x05Arial")
        styles = b"".join(told(0xE0, struct.pack("<8H", 0, number, 1, 0x20, 0, 0, 0, 0)) for number in (0, 164))
        sheet = told(0x85, struct.pack("<IHB", start, 0, 1) + b"S")
        shown = told(0x41E, struct.pack("<HB", 164, len(code)) + code.encode())
        return told(0x809, struct.pack("<4H", 0x500, 5, 0, 1993)) + font * 4 + shown + styles + sheet + told(0xA)

    cell = told(0x203, struct.pack("<HHHd", 0, 0, 1, value))
    return head(len(head(0))) + told(0x809, struct.pack("<4H", 0x500, 0x10, 0, 1993)) + cell + told(0xA)


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        (1.5, "[h]:mm", "36:00:00"), (60.5, "[h]:mm", "1452:00:00"), (0.25, "h:mm", "06:00:00"),
        (0.999999, "h:mm", "23:59:59"), (1.5, "yyyy-mm-dd", "1900-01-01 12:00:00"), (60, "yyyy-mm-dd", "60"),
    ],
)
def test_old_workbooks_tell_time_gone_by_from_a_moment(value: float, code: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "old.xls"
    file.write_bytes(_old(value, code))
    assert old_workbook.load(file, None)[0] == [[expected]]


@pytest.mark.parametrize(
    "content",
    [b"\xd0\xcf\x11\xe0" + bytes(5000), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 5000, b"\x09\x08" + b"x" * 99],
)
def test_a_damaged_old_workbook_is_one_error(content: bytes, taken) -> None:
    with pytest.raises(SourceError, match=r"damaged|password"):
        taken(content, reader="xls")


@pytest.mark.parametrize("content", [f"<html><table><tr><td>{SECRET}".encode(), f"证号,姓名\nA1,{SECRET}\n".encode()])
def test_what_is_called_xls_but_is_none_is_said_in_words(content: bytes, taken) -> None:
    with pytest.raises(SourceError, match=r"looks like (HTML|delimited text)") as refused:
        taken(content, reader="xls")
    assert SECRET not in str(refused.value)


def test_numbers_are_shown_as_a_spreadsheet_shows_them_in_a_wide_cell() -> None:
    assert [old_workbook.number_text(n) for n in (7.0, 0.1, -3.0, 1e15, 1.5e300)] == [
        "7", "0.1", "-3", "1000000000000000", "1.5e+300"
    ]


def test_merged_ranges_may_claim_more_than_there_is() -> None:
    assert grid.spread([(1, 1_048_576, 0, 16_383)], 2, 1, Limits()) == {2: {0: 1}}
    layout = Layout(("a",), ("a",), "stop")
    assert layout.fits(["a"])
