"""Any bytes at all, and any mutation of a sound file, through every reader: records or one error, nothing else.

Accounting holds whatever the content: a line that is no part of a longer record, and is not blank, is one record.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.contract import Contract
from jobs.errors import SourceError
from jobs.storage.readers import Limits, read
from jobs.storage.reading import text

TITLE = {"en": "Trials", "zh": "试验"}
SMALL = Limits(max_cell_bytes=200, max_record_bytes=1 << 16, max_columns=50, max_cells=10_000, max_depth=8)
PLAIN = "证号,姓名\nA1,某甲\nA2,某乙\n"
FIXED = {"证号": 3, "姓名": 4}
fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def contract(**source: Any) -> Contract:
    fields = {"number": {"from": "证号", "type": "text"}, "person_name": {"from": "姓名", "type": "text"}}
    return Contract.model_validate(
        {
            "name": "a/trials", "title": TITLE, "description": TITLE, "steward": "tests@example.gov", "fields": fields,
            "source": {"path": "trials", **source}, "load": {"unknown_columns": "drop"},
        }
    )


def _book() -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in (["证号", "姓名"], ["A1", "某甲"], ["A2", "=1+1"]):
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"证号": ["A1", "A2"], "姓名": ["某甲", None]}), out)
    return out.getvalue()


def _dbf() -> bytes:
    columns = [(b"ZH", 3), (b"XM", 8)]
    head = b"".join(name.ljust(11, b"\0") + b"C" + bytes(4) + bytes([size]) + bytes(15) for name, size in columns)
    sizes = struct.pack("<IHH", 2, 33 + len(head), 12)
    records = b" A1 " + "某甲".encode("gbk").ljust(8) + b" A2 " + b"x".ljust(8)
    return bytes([3, 26, 1, 5]) + sizes + bytes(20) + head + b"\r" + records + b"\x1a"


OBJECTS = [{"证号": "A1", "姓名": "某甲"}, {"证号": "A2", "姓名": None}]
SOUND: dict[str, tuple[bytes, dict[str, Any]]] = {
    "csv": (PLAIN.encode(), {"reader": "csv"}),
    "csv_quoted": ('证号,姓名\n"A1","某\n""甲"\n'.encode(), {"reader": "csv", "escape": "\\"}),
    "csv_gb18030": (PLAIN.encode("gb18030"), {"reader": "csv", "encoding": "gb18030"}),
    "csv_utf16": (PLAIN.encode("utf-16"), {"reader": "csv", "encoding": "utf-16"}),
    "csv_cr": (PLAIN.replace("\n", "\r").encode("gbk"), {"reader": "csv", "encoding": "gbk", "line_end": "cr"}),
    "csv_headless": (PLAIN.encode(), {"reader": "csv", "header_rows": 0, "columns": ["证号", "姓名"]}),
    "csv_section": (PLAIN.encode(), {"reader": "csv", "header_rows": 2, "section": {"ends_at_blank": True}}),
    "fixed_width": ("A1 某甲\nA2 某乙\n".encode("gbk"), {
        "reader": "fixed_width", "header_rows": 0, "widths": FIXED, "encoding": "gbk"}),
    "jsonl": ("\n".join(json.dumps(one) for one in OBJECTS).encode(), {"reader": "jsonl"}),
    "json": (json.dumps({"a": {"b": OBJECTS}}).encode(), {"reader": "json", "records": "a/b"}),
    "xml": ("<a><b><证号>A1</证号><姓名>某甲</姓名></b></a>".encode(), {"reader": "xml"}),
    "xlsx": (_book(), {"reader": "xlsx"}),
    "ods": (_book(), {"reader": "ods"}),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4000), {"reader": "xls"}),
    "parquet": (_parquet(), {"reader": "parquet"}),
    "dbf": (_dbf(), {"reader": "dbf", "encoding": "gbk"}),
    "gzip": (gzip.compress(PLAIN.encode()), {"reader": "csv", "packed": "gzip"}),
    "zip": (_book(), {"reader": "xml", "packed": "zip", "member": "*.xml"}),
}


def outcome(file: Path, source: dict[str, Any]) -> list[dict[str, Any]] | None:
    rows: list[dict[str, Any]] = []
    refused: SourceError | None = None
    try:
        rows = [row for batch in read(file, contract(**source), SMALL) for row in batch.to_pylist()]
    except SourceError as error:
        refused = error
    if refused is not None:
        assert refused.remedy
        return None
    places = [(row["_source_file"], row["_source_row"]) for row in rows]
    assert len(set(places)) == len(places), "each record has its own place"
    for row in rows:
        for cell in (row["证号"], row["姓名"]):
            assert cell is None or len(cell.encode()) <= SMALL.max_cell_bytes
    return rows


@pytest.mark.parametrize("kind", SOUND)
@fuzzed
@given(data=st.data())
def test_any_mutation_of_a_sound_file_ends_in_records_or_in_one_error(kind: str, data: st.DataObject, tmp_path) -> None:
    content, source = SOUND[kind]
    mutated = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, max(len(mutated) - 1, 0)))
        length = data.draw(st.integers(0, 8))
        mutated[place : place + length] = data.draw(st.binary(max_size=12))
    file = tmp_path / "mutated"
    file.write_bytes(bytes(mutated))
    outcome(file, source)


@pytest.mark.parametrize("kind", SOUND)
@fuzzed
@given(content=st.binary(max_size=300))
def test_any_bytes_end_in_records_or_in_one_error(kind: str, content: bytes, tmp_path) -> None:
    sound, source = SOUND[kind]
    file = tmp_path / "any"
    for start in (b"", sound[:8], sound[: len(sound) // 2]):
        file.write_bytes(start + content)
        outcome(file, source)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff", exclude_categories=["Cs"]), max_size=12)


@fuzzed
@given(
    rows=st.lists(st.tuples(cells, cells), max_size=30), delimiter=st.sampled_from([",", ";", "\t", "|", "||", ", "]),
    encoding=st.sampled_from(["utf-8", "gb18030", "utf-16"]), end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_writer_writes_the_reader_reads(
    rows: list[tuple[str, str]], delimiter: str, encoding: str, end: str, tmp_path
) -> None:
    lines = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [("证号", "姓名"), *rows]]
    file = tmp_path / "written.csv"
    file.write_bytes((end.join(lines) + end).encode(encoding))
    found = outcome(file, {"reader": "csv", "delimiter": delimiter, "encoding": encoding})
    if found is None:
        return  # so few characters may look like another encoding
    sound = [(row["证号"] or "", row["姓名"] or "") for row in found if row["_defect"] is None]
    if all(row["_defect"] is None for row in found):
        assert sound == [row for row in rows if row != ("证号", "姓名")][: len(sound)]
        assert len(sound) == len(rows)


@fuzzed
@given(
    rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=30), odd=st.lists(st.integers(0, 29), max_size=4),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]), block=st.integers(16, 200),
)
def test_blocks_give_what_lines_give(
    rows: list[tuple[str, str]], odd: list[int], quoting: Any, block: int, tmp_path
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=quoting)
    writer.writerow(["证号", "姓名"])
    for number, row in enumerate(rows):
        writer.writerow([*row, "x"] if number in odd else row)
    quick, slow = tmp_path / "quick.csv", tmp_path / "slow.csv"
    quick.write_text(out.getvalue(), encoding="utf-8", newline="")
    slow.write_text(out.getvalue(), encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK", block)  # the header's own block is always read line by line
        blocks = outcome(quick, {"reader": "csv"})
    lines = outcome(slow, {"reader": "csv", "comment": "a comment nobody writes"})
    assert (blocks is None) == (lines is None)
    if blocks is not None and lines is not None:
        key = [{k: v for k, v in row.items() if k != "_source_file"} for row in blocks]
        other = [{k: v for k, v in row.items() if k != "_source_file"} for row in lines]
        assert sorted(key, key=lambda row: row["_source_row"]) == other


@pytest.mark.parametrize("quote", ["'", "＂"])
def test_quotes_of_any_kind_enclose_cells_in_every_block(quote: str, tmp_path: Path) -> None:
    lines = [f"{quote}A,{number}{quote},{quote}某甲{quote}" for number in range(200)]
    (tmp_path / "quoted.csv").write_text("\n".join(["证号,姓名", *lines, ""]), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK", 500)
        rows = outcome(tmp_path / "quoted.csv", {"reader": "csv", "quote": quote})
    assert rows is not None
    assert [(row["证号"], row["姓名"]) for row in rows] == [(f"A,{number}", "某甲") for number in range(200)]
