"""Files whose parts contradict each other: no record goes lost in between, and no cell becomes another."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.errors import SourceError
from tests.storage.test_workbooks import HEAD, cell, ods, row
from tests.storage.trials import GOOD, brief, said

DBF = {"reader": "dbf", "encoding": "gbk", "fields": ("ZH", "XM")}
COLUMNS = ((b"ZH", b"C", 3, 0), (b"XM", b"C", 8, 0))
FIXED = {"reader": "fixed_width", "widths": {"证号": 3, "姓名": 4}, "encoding": "gbk"}


def table(
    *records: bytes, columns: tuple[tuple[bytes, bytes, int, int], ...] = COLUMNS, count: int | None = None,
    version: int = 3, end: bytes = b"\x1a",
) -> bytes:
    """Return a DBF table; a column is name, kind, length and flags."""
    head = b"".join(
        name.ljust(11, b"\0") + kind + bytes(4) + bytes([size, 0, flags]) + bytes(13)
        for name, kind, size, flags in columns
    )
    length = 1 + sum(size for _, _, size, _ in columns)
    sizes = struct.pack("<IHH", len(records) if count is None else count, 33 + len(head), length)
    return bytes([version, 26, 1, 5]) + sizes + bytes(20) + head + b"\r" + b"".join(records) + end


def person(number: str, name: str, sign: bytes = b" ") -> bytes:
    return sign + number.encode().ljust(3) + name.encode("gbk").ljust(8)


def named(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(found["ZH"], found["XM"], found["_defect"]) for found in rows]


ONE, TWO = person("A1", "某甲"), person("A2", "某乙")


@pytest.mark.parametrize(
    "content",
    [
        table(ONE, TWO, count=1), table(ONE, TWO[:-6], count=1, end=b""), table(ONE, TWO, count=0),
        table(ONE, TWO, count=1, end=b""), table(ONE) + table(TWO),
    ],
)
def test_a_table_that_counts_fewer_records_than_it_holds_is_refused(content: bytes, taken) -> None:
    with pytest.raises(SourceError, match="more follow") as refused:
        taken(content, **DBF)
    said(refused)


@pytest.mark.parametrize(
    "end",
    [b"", b"\x1a", b"\x1a" * 600, b"\x1a" + bytes(600), b"\x1a" + b"left over" * 20, b" " * 512, b" " * 40 + b"\x1a"],
)
def test_what_stands_below_a_tables_end_is_none_of_it(end: bytes, taken) -> None:
    assert named(taken(table(ONE, TWO, end=end), **DBF)) == [("A1", "某甲", None), ("A2", "某乙", None)]


def test_a_record_without_the_sign_of_one_is_a_defect(taken) -> None:
    found = named(taken(table(person("A1", "某甲", b"x"), TWO), **DBF))
    assert [defect for *_, defect in found] == ["record.syntax", None]


def test_foxpros_tables_say_which_cells_are_null_or_shorter(taken) -> None:
    columns = ((b"ZH", b"V", 4, 0), (b"XM", b"C", 8, 2), (b"_NullFlags", b"0", 1, 5))
    records = [b" " + b"A1\0\2" + b"x".ljust(8) + b"\1", b" " + b"A234" + b"hidden".ljust(8) + b"\2"]
    content = table(*records, columns=columns, version=0x32)
    assert named(taken(content, load={"unknown_columns": "stop"}, **DBF)) == [("A1", "x", None), ("A234", None, None)]
    double = table(b" A1 " + struct.pack("<d", 1.5), columns=((b"ZH", b"C", 3, 0), (b"XM", b"B", 8, 0)), version=0x30)
    assert named(taken(double, **DBF)) == [("A1", "1.5", None)]


def parquet(columns: dict[str, pa.Array], **how: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, **how)
    return out.getvalue()


def test_parquets_texts_that_are_no_utf8_are_defects_of_their_records(taken) -> None:
    offsets, texts = pa.py_buffer(struct.pack("<iii", 0, 2, 4)), pa.py_buffer(b"\xff\xfeab")
    odd = pa.Array.from_buffers(pa.string(), 2, [None, offsets, texts])
    for column in (odd, odd.dictionary_encode()):
        found = taken(parquet({"证号": pa.array(["A1", "A2"]), "姓名": column}), reader="parquet")
        assert [one[3] for one in brief(found)] == ["record.encoding", None]


def test_parquets_older_timestamps_and_short_floats_keep_their_values(taken) -> None:
    far = pa.array([253402300799000000], pa.timestamp("us"))
    old = parquet({"证号": far, "姓名": pa.array([0.1], pa.float32())}, use_deprecated_int96_timestamps=True)
    assert brief(taken(old, reader="parquet")) == [(1, "9999-12-31 23:59:59.000000", "0.1", None)]
    with pytest.raises(SourceError, match="column 1 has no name"):
        taken(parquet({"": pa.array(["x"]), "证号": pa.array(["A1"]), "姓名": pa.array(["b"])}), reader="parquet")


@pytest.mark.parametrize(
    "document",
    ['{"d": [{"证号": "A1"}], "d": [{"证号": "A2"}]}', '{"a": {"d": [{"证号": "A1"}]}, "a": {"d": [{"证号": "A2"}]}}'],
)
def test_a_json_document_with_its_records_in_two_places_is_refused(document: str, taken) -> None:
    with pytest.raises(SourceError, match="twice"):
        taken(document, reader="json", records="a/d" if '"a"' in document else "d")


def test_a_json_value_without_a_name_is_a_defect(taken) -> None:
    text = json.dumps([{"": "x", "证号": "A1"}, {"": None, "证号": "A2"}], ensure_ascii=False)
    assert [one[3] for one in brief(taken(text, reader="json"))] == ["record.column_count", None]


def _zip(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def _hiding(place: int) -> bytes:
    """Return an archive whose directory leaves one of its three files out."""
    whole = bytearray(_zip(a=GOOD, b=GOOD, c=GOOD))
    end = whole.rindex(b"PK\x05\x06")
    entries = [n for n in range(end) if whole[n : n + 4] == b"PK\x01\x02"]
    start, stop = entries[place], [*entries, end][place + 1]
    del whole[start:stop]
    end -= stop - start
    struct.pack_into("<HHI", whole, end + 8, 2, 2, end - entries[0])
    return bytes(whole)


def test_an_archive_written_as_a_stream_or_behind_a_program_is_whole(taken) -> None:
    class Stream(io.RawIOBase):
        """Take bytes without a way back, so that sizes follow each file."""

        def __init__(self) -> None:
            self.taken = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.taken += bytes(data)
            return len(data)

    out = Stream()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("a", "b"):
            archive.writestr(name, GOOD)
    for content in (out.taken, b"MZ PK\x03\x04" + _zip(a=GOOD, b=GOOD)):
        assert len(taken(content, packed="zip")) == 4


@pytest.mark.parametrize("content", [_zip(a=GOOD) + _zip(b=GOOD), *map(_hiding, range(3))])
def test_an_archive_with_a_file_that_its_directory_does_not_name_is_refused(content: bytes, taken) -> None:
    with pytest.raises(SourceError, match="one archive after another"):
        taken(content, packed="zip")


def test_files_that_were_joined_with_their_marks_repeat_their_header(taken) -> None:
    joined = [one[3] for one in brief(taken(GOOD + "\ufeff" + GOOD))]
    assert joined == [None, None, "record.repeated_header", "record.second_table", "record.second_table"]


@pytest.mark.parametrize("first", ["A0 某零\n".encode("gbk"), b"\xff\xff\xff\xff\n", b"ZH XM\n"])
def test_a_record_where_fixed_widths_header_should_be_is_not_lost(first: bytes, taken) -> None:
    records = "A1 某甲\nA2 某乙\n".encode("gbk")
    with pytest.raises(SourceError, match="none of the names of widths") as refused:
        taken(first + records, **FIXED)
    assert "header_rows: 0" in said(refused)
    assert len(taken(first + records, header_rows=0, **FIXED)) == 3
    assert len(taken(first + records, header_rows=0, header_row=2, **FIXED)) == 2


def test_fixed_widths_header_may_be_cut_or_lie_in_several_rows(taken) -> None:
    records = "A1 某甲\nA2 某乙\n"
    for heads, count in (("证  姓名\n", 1), ("证  姓\n号  名\n", 2), ("一览\n证  姓名\n", 2)):
        found = taken((heads + records).encode("gbk"), header_rows=count, **FIXED)
        assert [one[1:] for one in brief(found)] == [("A1", "某甲", None), ("A2", "某乙", None)]


INNER = '<table:table table:name="inner"><table:table-row><table:table-cell><text:p>z</text:p></table:table-cell>' \
        "</table:table-row></table:table>"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (cell("A1") + cell(office__value_type="string", office__string_value="v"), ("A1", "v", None)),
        (cell("A1") + f"<table:table-cell>{INNER}</table:table-cell>", ("A1", None, None)),
        (cell("A1") + cell("#DIV/0!", office__value_type="string", table__formula="=1/0"),
         ("A1", None, "record.formula")),
        (cell("A1") + cell("Err:502", office__value_type="float", office__value="0", table__formula="=X"),
         ("A1", "0", "record.formula")),
    ],
)
def test_an_ods_cell_says_what_its_program_would_show(
    cells: str, expected: tuple[Any, ...], taken: Callable[..., list[dict[str, Any]]]
) -> None:
    assert [one[1:] for one in brief(taken(ods(HEAD + row(cells)), reader="ods"))] == [expected]


def test_an_old_workbook_whose_streams_go_in_circles_is_refused(taken) -> None:
    free, end = -1, -2
    sectors = struct.pack("<128i", -3, end, end, end, *[free] * 124)  # where each sector goes on
    names = (("Root Entry", 5, 1, 3, 512), ("Workbook", 2, free, 0, 128))
    for name, kind, child, place, size in names:
        sectors += (name.encode("utf-16-le") + b"\0\0").ljust(64, b"\0")
        sectors += struct.pack("<HBBiii", 2 * len(name) + 2, kind, 1, free, free, child)
        sectors += bytes(36) + struct.pack("<iiI", place, size, 0)
    sectors = sectors.ljust(1024, b"\0") + struct.pack("<128i", 1, 0, *[free] * 126) + bytes(512)
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 62, 3, 0xFFFE, 9, 6) + bytes(10)
    head += struct.pack("<8i", 1, 1, 0, 4096, 2, 1, end, 0) + struct.pack("<109i", 0, *[free] * 108)
    with pytest.raises(SourceError, match="damaged") as refused:
        taken(head + sectors, reader="xls")
    said(refused)
