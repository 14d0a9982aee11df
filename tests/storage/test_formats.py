"""Formats: the same records come out of every format a department sends, each with its file and row."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dbf
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.contract import Contract
from jobs.errors import SourceError
from jobs.storage.readers import Limits, read
from tests.storage.trials import SECRET, TITLE, Rows, brief, said

GOOD = [("A1", "某甲"), ("A2", "某乙")]


def cells(rows: Rows) -> list[tuple[Any, ...]]:
    assert [row["_defect"] for row in rows] == [None] * len(rows)
    return [(row["证号"], row["姓名"]) for row in rows]


# -- delimited text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "utf-8", "utf-16", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|", "||", ", ", "\x01", "|@|"])
def test_every_encoding_and_delimiter_gives_the_same_cells(encoding: str, delimiter: str, taken) -> None:
    lines = [delimiter.join(row) for row in [("证号", "姓名"), ("A1", '王"小明'), ("A2", '"陳""大文"')]]
    rows = taken("\r\n".join([*lines, ""]).encode(encoding), reader="csv", encoding=encoding, delimiter=delimiter)
    assert cells(rows) == [("A1", '王"小明'), ("A2", '陳"大文')]


def test_big5_is_read_and_named_where_it_was_declared_otherwise(taken) -> None:
    content = ("姓名,證號\n" + "".join(f"陳大文住在臺北市中正區重慶南路,A{n}\n" for n in range(30))).encode("big5")
    rows = taken(content, reader="csv", encoding="big5", fields=("證號", "姓名"))
    assert len(rows) == 30
    assert rows[0]["姓名"].startswith("陳大文")
    for how in ({}, {"header_rows": 0, "columns": ["姓名", "證號"]}):
        with pytest.raises(SourceError, match="big5"):
            taken(content, reader="csv", encoding="gb18030", fields=("證號", "姓名"), **how)


def test_a_quoted_cell_keeps_its_own_line_ends(taken) -> None:
    assert cells(taken('证号,姓名\r\nA1,"某\r\n甲"\r\nA2,"某\n乙"\r\n'.encode(), reader="csv")) == [
        ("A1", "某\r\n甲"), ("A2", "某\n乙")
    ]


def test_lines_may_end_in_carriage_returns_alone_where_the_contract_says_so(taken) -> None:
    content = "证号,姓名\rA1,某甲\rA2,某乙\r".encode()
    assert brief(taken(content, reader="csv", line_end="cr")) == [(2, *GOOD[0], None), (3, *GOOD[1], None)]
    with pytest.raises(SourceError, match="line_end: 'cr'") as refused:
        taken(content, reader="csv")
    said(refused)


def test_an_escaped_quote_and_another_quotation_mark_are_read_as_declared(taken) -> None:
    assert cells(taken('证号,姓名\nA1,"某\\"甲"\n'.encode(), reader="csv", escape="\\")) == [("A1", '某"甲')]
    assert cells(taken("证号,姓名\nA1,'某,甲'\n".encode(), reader="csv", quote="'")) == [("A1", "某,甲")]
    assert cells(taken('证号,姓名\nA1,"某甲\n'.encode(), reader="csv", quote="")) == [("A1", '"某甲')]


def test_several_header_rows_are_one_name_per_column(taken) -> None:
    content = "证号,信息,\n,姓名,备注\nA1,某甲,x\n".encode()
    kept = {"unknown_columns": "keep"}
    rows = taken(content, reader="csv", header_rows=2, fields=("证号", "信息 姓名"), load=kept)
    assert [(row["_source_row"], row["证号"], row["信息 姓名"]) for row in rows] == [(3, "A1", "某甲")]
    assert json.loads(rows[0]["_extra"]) == {"信息 备注": "x"}


def test_a_file_without_a_header_is_read_by_the_contracts_columns(taken) -> None:
    content = "\ufeffA1,某甲\nA2,某乙\nA3\n".encode()
    rows = taken(content, reader="csv", header_rows=0, columns=["证号", "姓名"])
    assert brief(rows) == [(1, *GOOD[0], None), (2, *GOOD[1], None), (3, "A3", None, "record.column_count")]


def test_one_table_of_several_is_taken_by_its_section(taken) -> None:
    content = "表一\n编号,值\n1,2\n\n表二、人员\n证号,姓名\nA1,某甲\nA2,某乙\n合计,2\n填表人,x\n".encode()
    section = {"after": "表二", "before": "合计"}
    assert brief(taken(content, reader="csv", section=section)) == [(7, *GOOD[0], None), (8, *GOOD[1], None)]
    blank = "证号,姓名\nA1,某甲\nA2,某乙\n\n编号,值,x\n1,2,3\n".encode()
    assert cells(taken(blank, reader="csv", section={"ends_at_blank": True})) == GOOD
    with pytest.raises(SourceError, match="section begins after"):
        taken(content, reader="csv", section={"after": "表三"})


def test_below_a_header_that_comes_again_no_row_is_trusted_unless_the_contract_says_so(taken) -> None:
    content = "证号,姓名\nA1,某甲\n证号,姓名\nA2,某乙\n".encode()
    rows = taken(content, reader="csv")
    assert [row["_defect"] for row in rows] == [None, "record.repeated_header", "record.second_table"]
    assert brief(taken(content, reader="csv", section={"header_repeats": True})) == [
        (2, *GOOD[0], None), (4, *GOOD[1], None)
    ]


@pytest.mark.parametrize(
    ("content", "how", "says"),
    [
        ("证号;姓名\nA1;某甲\n", {}, "delimiter: ';'"),
        ("题目\n\n证号,姓名\nA1,某甲\n", {}, "header_row: 3"),
        ("'证号','姓名'\n'A1','某甲'\n", {}, 'quote: "\'"'),
        ("A1\t某甲\nA2\t某乙\n", {"header_rows": 0, "columns": ["证号", "姓名"]}, "delimiter: '\\t'"),
    ],
)
def test_a_wrong_dialect_is_an_error_that_names_the_likely_right_one(
    content: str, how: dict[str, Any], says: str, taken
) -> None:
    with pytest.raises(SourceError) as refused:
        taken(content.encode(), reader="csv", **how)
    assert says in said(refused)


def test_utf8_inside_a_gb18030_file_is_a_defect_of_its_lines_not_mojibake(taken) -> None:
    lines = ["证号,姓名\n".encode("gb18030")] + [f"A{n},某甲\n".encode("gb18030") for n in range(50)]
    lines[7] = "A6,张三李四王五\n".encode()
    rows = taken(b"".join(lines), reader="csv", encoding="gb18030")
    assert {row["_source_row"]: row["_defect"] for row in rows if row["_defect"]} == {8: "record.encoding"}


def test_a_line_beyond_the_limit_costs_its_own_record_only(taken) -> None:
    content = b"\xe8\xaf\x81\xe5\x8f\xb7,\xe5\xa7\x93\xe5\x90\x8d\nA1," + b"x" * 9_000_000 + "\nA2,某乙\n".encode()
    rows = taken(content, reader="csv", limits=Limits(max_record_bytes=1 << 20))
    assert [(row["_source_row"], row["_defect"]) for row in rows] == [(2, "record.too_large"), (3, None)]


# -- fixed width -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "name_width"), [("bytes", 6), ("characters", 3)])
def test_fixed_width_counts_bytes_or_characters(unit: str, name_width: int, taken) -> None:
    lines = ["A1  某甲  ", "A2  某乙  "] if unit == "bytes" else ["A1  某甲 ", "A2  某乙 "]
    how = {"reader": "fixed_width", "header_rows": 0, "encoding": "gb18030", "widths": {"证号": 4, "姓名": name_width}}
    assert cells(taken("\n".join([*lines, ""]).encode("gb18030"), widths_in=unit, **how)) == GOOD


def test_a_line_of_another_length_or_a_cut_character_is_a_defect(taken) -> None:
    how = {"reader": "fixed_width", "header_rows": 0, "encoding": "gb18030", "widths": {"证号": 3, "姓名": 4}}
    content = "A1 某甲\nA2 某乙丙\nA3\n某某甲乙\n".encode("gb18030")
    assert [row["_defect"] for row in taken(content, **how)] == [
        None, "record.column_count", "record.column_count", "record.encoding"
    ]


# -- trees -------------------------------------------------------------------------------------------------------------

OBJECTS = [{"证号": "A1", "姓名": "某甲"}, {"证号": "A2", "姓名": "某乙"}]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("path", ["", "data/rows"])
def test_json_documents_are_read_wherever_their_records_lie(encoding: str, path: str, taken) -> None:
    document: Any = OBJECTS if not path else {"total": 2, "data": {"page": [1], "rows": OBJECTS, "x": None}}
    text = json.dumps(document, ensure_ascii=False, indent=1)
    rows = taken(text.encode(encoding), reader="json", encoding=encoding, records=path or None)
    assert brief(rows) == [(1, *GOOD[0], None), (2, *GOOD[1], None)]


def test_numbers_of_json_stay_as_they_are_written_over_chunks(taken) -> None:
    numbers = [f"{n}110105194912310020001.50" for n in range(1, 60_000)]
    text = "[" + ",".join(f'{{"证号": {n}}}' for n in numbers) + "]"
    assert len(text) > 1 << 20
    assert [row["证号"] for row in taken(text.encode(), reader="json")] == numbers


@pytest.mark.parametrize(
    "text", ['[{"证号": "A1"}', '[{"证号": "A1"}] x', '{"a": [{"证号": "A1"}]', '[{"证号": "A1"},]', "[" * 5000]
)
def test_a_broken_json_document_is_one_error(text: str, taken) -> None:
    with pytest.raises(SourceError, match=r"broken|array") as refused:
        taken(text.encode(), reader="json", records="a" if text.startswith("{") else None)
    said(refused)


def test_elements_that_are_no_objects_are_defects(taken) -> None:
    rows = taken('[{"证号": "A1"}, 5, {"证号": 1, "证号": 2}, [[]]]'.encode(), reader="json")
    assert [row["_defect"] for row in rows] == [None, "record.syntax", "record.duplicate_key", "record.syntax"]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_xml_records_are_elements_with_their_attributes_and_parts(encoding: str, taken) -> None:
    text = f"""<?xml version="1.0" encoding="{encoding}"?>
    <表 xmlns:g="urn:x"><头>x</头><登记><g:人 号="A1"><姓名>某甲</姓名></g:人></登记>
    <登记><g:人 号="A2"><姓名>某乙</姓名></g:人></登记></表>"""
    rows = taken(
        text.encode(encoding), reader="xml", encoding=encoding, records="登记/人", fields=("@号", "姓名"),
        load={"unknown_columns": "drop"},
    )
    assert [(row["_source_row"], row["@号"], row["姓名"]) for row in rows] == [(1, *GOOD[0]), (2, *GOOD[1])]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (f'<!DOCTYPE x [<!ENTITY a "{SECRET}">]><x><r><证号>&a;</证号></r></x>', "entities"),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x><r><证号>&a;</证号></r></x>', "entities"),
        ("<x><r><证号>A1</证号></r>", "broken or cut off"),
        ("<x>" + "<y>" * 5000, "nested more than"),
        ('<?xml version="1.0" encoding="GBK"?><x><r><证号>A1</证号></r></x>', "says it is gbk"),
        ("证号,姓名\n", "looks like delimited text"),
    ],
)
def test_hostile_or_broken_xml_is_one_error(content: str, says: str, taken) -> None:
    with pytest.raises(SourceError, match=says) as refused:
        taken(content.encode(), reader="xml")
    said(refused)


# -- tables ------------------------------------------------------------------------------------------------------------


def _parquet(columns: dict[str, pa.Array]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def test_parquet_gives_exact_texts(taken) -> None:
    texts = {
        "1.10": Decimal("1.10"), "2026-01-05": date(2026, 1, 5), "true": True, "110105194912310021": 110105194912310021,
        "2026-01-05 08:30:00.000000": datetime(2026, 1, 5, 8, 30),  # noqa: DTZ001 (a column without a zone)
        '["a", null]': ["a", None], None: None,
    }
    for text, value in texts.items():
        column = pa.array([value]) if value is not None else pa.nulls(1)
        rows = taken(_parquet({"证号": pa.array(["A1"]), "姓名": column}), reader="parquet")
        assert brief(rows) == [(1, "A1", text, None)]


def test_a_parquet_file_of_a_billion_equal_rows_is_refused(taken) -> None:
    table = pa.table({"证号": pa.DictionaryArray.from_arrays(pa.array([0] * 3_000_000, pa.int8()), pa.array(["A1"]))})
    out = io.BytesIO()
    pq.write_table(table, out)
    with pytest.raises(SourceError, match="unpacks to far more"):
        taken(out.getvalue(), reader="parquet", limits=Limits(max_expansion=2))
    with pytest.raises(SourceError, match="damaged"):
        taken(out.getvalue()[:-100], reader="parquet")


@pytest.fixture
def dbf_bytes(tmp_path: Path) -> bytes:
    columns = "ZH C(10); XM C(20); RQ D; JE N(12,2); YX L"
    table = dbf.Table(str(tmp_path / "t.dbf"), columns, codepage="cp936", dbf_type="db3")
    table.open(dbf.READ_WRITE)
    table.append(("A1", "某甲", date(2026, 1, 5), 1.5, True))
    table.append(("A0", "删了", None, None, None))
    table.append(("A2", "某乙", None, None, None))
    dbf.delete(table[1])
    table.close()
    return (tmp_path / "t.dbf").read_bytes()


def test_dbf_records_keep_their_numbers_and_deleted_ones_are_none(dbf_bytes: bytes, tmp_path) -> None:
    fields = {n: {"from": n.upper(), "type": "text"} for n in ("zh", "xm", "rq", "je", "yx")}
    document = {"name": "a/b", "title": TITLE, "description": TITLE, "steward": "a@b.c", "fields": fields}
    how = Contract.model_validate({**document, "source": {"reader": "dbf", "path": "x", "encoding": "gbk"}})
    file = tmp_path / "x.dbf"
    file.write_bytes(dbf_bytes)
    rows = [list(row.values())[:7] for batch in read(file, how, Limits()) for row in batch.to_pylist()]
    assert rows == [
        ["A1", "某甲", "2026-01-05", "1.50", "true", "x.dbf", 1], ["A2", "某乙", None, None, None, "x.dbf", 3]
    ]
    wrong = Contract.model_validate({**document, "source": {"reader": "dbf", "path": "x", "encoding": "utf-8"}})
    with pytest.raises(SourceError, match="gb18030 fits"):
        list(read(file, wrong, Limits()))
    file.write_bytes(dbf_bytes[:-30])
    with pytest.raises(SourceError, match="says it has 3 records"):
        list(read(file, how, Limits()))


# -- packed files ------------------------------------------------------------------------------------------------------

PLAIN = "证号,姓名\nA1,某甲\nA2,某乙\n".encode()


def _zip(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def test_packed_files_are_read_and_named(taken) -> None:
    assert cells(taken(gzip.compress(PLAIN), reader="csv", packed="gzip")) == GOOD
    rows = taken(_zip(("一/a.csv", PLAIN), ("b.csv", PLAIN), ("说明.txt", b"x"), ("__MACOSX/a.csv", b"x")),
                 reader="csv", packed="zip", member="*.csv")
    assert cells(rows) == GOOD + GOOD
    assert {row["_source_file"] for row in rows} == {"trials_20260302.txt/b.csv", "trials_20260302.txt/一/a.csv"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda: _zip(("../a.csv", PLAIN)), "leaves it"), (lambda: _zip(("/etc/a.csv", PLAIN)), "leaves it"),
        (lambda: _zip(("c:\\a.csv", PLAIN)), "leaves it"),
        (lambda: _zip(("a.zip", _zip(("a.csv", PLAIN)))), "another archive"),
        (lambda: _zip(("a.csv", b"0" * (400 << 20))), "unpacks to far more"), (_zip, "no file"),
        (lambda: _zip(("a.csv", PLAIN))[:-30], "damaged"),
        (lambda: _zip(*((f"{n}.csv", PLAIN) for n in range(1001))), "more than 1000"),
        (lambda: _zip(("a.csv", b"")), "empty"), (lambda: PLAIN, "damaged"),
    ],
)
def test_a_hostile_archive_is_one_error(content: Callable[[], bytes], says: str, taken) -> None:
    with pytest.raises(SourceError, match=says) as refused:
        taken(content(), reader="csv", packed="zip")
    said(refused)


def test_a_half_written_or_undeclared_gzip_is_one_error(taken) -> None:
    packed = gzip.compress(PLAIN * 1000)
    for content in (packed[:-9], packed[: len(packed) // 2], packed[:-4] + b"xxxx"):
        with pytest.raises(SourceError, match="damaged"):
            taken(content, reader="csv", packed="gzip")
    with pytest.raises(SourceError, match="packed: gzip"):
        taken(packed, reader="csv")
    with pytest.raises(SourceError, match="unpacks to far more"):
        taken(gzip.compress(b"0" * (400 << 20)), reader="csv", packed="gzip")
