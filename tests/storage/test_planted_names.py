"""What stands where names should stand may be a person: an error says where and how many, never what."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.errors import SourceError
from jobs.storage.reading.layout import nearest
from tests.storage.trials import said

PLANTED = ("11010519491231002X", "欧阳某某", "13912345678")
Row = tuple[str, ...]


def _csv(*rows: Row) -> bytes:
    return "".join(f"{','.join(row)}\n" for row in rows).encode()


def _json_lines(names: Row, *rows: Row) -> bytes:
    return "\n".join(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows).encode()


def _xml(names: Row, *rows: Row) -> bytes:
    # A tag cannot begin with a digit; an identity number in its place has a letter before it.
    tags = [f"P{name}" if name[0].isdigit() else name for name in names]
    cells = ("".join(f"<{t}>{c}</{t}>" for t, c in zip(tags, row, strict=True)) for row in rows)
    return f"<all>{''.join(f'<one>{one}</one>' for one in cells)}</all>".encode()


def _workbook(*rows: Row) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def _ods(*rows: Row) -> bytes:
    spaces = " ".join(f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text"))
    inner = "".join(
        f"<table:table-row>{''.join(f'<table:table-cell><text:p>{c}</text:p></table:table-cell>' for c in row)}"
        "</table:table-row>" for row in rows
    )
    body = f'<office:spreadsheet><table:table table:name="a">{inner}</table:table></office:spreadsheet>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("content.xml", f"<office:all {spaces}><office:body>{body}</office:body></office:all>")
    return out.getvalue()


def _parquet(names: Row, *rows: Row) -> bytes:
    out = io.BytesIO()
    columns = [pa.array([row[n] for row in rows], pa.string()) for n in range(len(names))]
    pq.write_table(pa.table(columns, list(names)), out)
    return out.getvalue()


def _dbf(names: Row, *rows: Row) -> bytes:
    cut = [name.encode()[:11] for name in names]  # eleven bytes is all a name has here
    head = b"".join(name.ljust(11, b"\0") + b"C" + bytes(4) + bytes([24]) + bytes(15) for name in cut)
    sizes = struct.pack("<IHH", len(rows), 33 + len(head), 1 + 24 * len(names))
    records = b"".join(b" " + b"".join(cell.encode().ljust(24) for cell in row) for row in rows)
    return bytes([3, 26, 1, 5]) + sizes + bytes(20) + head + b"\r" + records + b"\x1a"


FORMATS: dict[str, tuple[Callable[..., bytes], dict[str, Any]]] = {
    "csv": (_csv, {}),
    "jsonl": (_json_lines, {"reader": "jsonl"}),
    "json": (lambda *rows: b"[" + _json_lines(*rows).replace(b"\n", b",") + b"]", {"reader": "json"}),
    "xml": (_xml, {"reader": "xml"}),
    "xlsx": (_workbook, {"reader": "xlsx"}),
    "ods": (_ods, {"reader": "ods"}),
    "parquet": (_parquet, {"reader": "parquet"}),
    "dbf": (_dbf, {"reader": "dbf"}),
    "database": (_json_lines, {"reader": "database", "table": "t", "order_by": ["证号"]}),
    "rest": (_json_lines, {"reader": "rest", "url": "https://source.example", "path": None}),
}


def _holds_nobody(refused: pytest.ExceptionInfo[SourceError]) -> str:
    text = said(refused)
    # A table of short names may have cut them: no four characters of any of them may be told.
    assert not any(one[at : at + 4] in text for one in PLANTED for at in range(len(one) - 3)), text
    return text


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("required", [True, False])
def test_a_table_without_a_header_is_refused_without_telling_its_first_record(form: str, required: bool, taken) -> None:
    write, how = FORMATS[form]
    with pytest.raises(SourceError, match="none of its 3 columns is known") as refused:
        taken(write(PLANTED, PLANTED), required=required, **how)
    assert "'姓名'" in _holds_nobody(refused), "what should be there is the contract's own, and is told"


@pytest.mark.parametrize("form", FORMATS)
def test_unknown_names_beside_known_ones_are_told_by_their_places(form: str, taken) -> None:
    write, how = FORMATS[form]
    with pytest.raises(SourceError, match=r"columns 1, 3 of 4 are unknown") as refused:
        taken(write((PLANTED[0], "证号", PLANTED[1], "姓名"), ("x", "A1", "y", "某甲")), **how)
    assert "load.unknown_columns" in _holds_nobody(refused)


@pytest.mark.parametrize("form", ["csv", "xlsx", "ods", "parquet", "dbf"])
def test_a_name_given_twice_is_told_by_its_places_unless_it_is_the_contracts(form: str, taken) -> None:
    write, how = FORMATS[form]
    names = ("证号", PLANTED[1], "姓名", PLANTED[1])
    with pytest.raises(SourceError, match=r"one name twice, in columns 2, 4\.") as refused:
        taken(write(names, ("A1", "x", "某甲", "y")), **how)
    _holds_nobody(refused)
    with pytest.raises(SourceError, match=r"'证号' twice, in columns 1, 2\."):
        taken(write(("证号", "证号"), ("A1", "A2")), **how)


def test_keys_that_are_people_in_a_later_record_are_told_by_their_place(taken) -> None:
    lines = [{"证号": "A1"}, {"证号": "A2", PLANTED[0]: PLANTED[1]}]
    with pytest.raises(SourceError, match=r"line 2: column 2 of 2 is unknown") as refused:
        taken("\n".join(json.dumps(one) for one in lines), reader="jsonl")
    _holds_nobody(refused)


def test_two_header_rows_that_are_records_tell_nothing(taken) -> None:
    with pytest.raises(SourceError, match="none of its 3 columns") as refused:
        taken(_csv(PLANTED, PLANTED, PLANTED), header_rows=2)
    _holds_nobody(refused)


def test_the_contracts_own_name_is_told_where_a_header_nearly_has_it(taken) -> None:
    fields = ("resident_id_number", "姓名")
    with pytest.raises(SourceError, match=r"'resident_id_number' is missing.*column 1 is nearly 'resident_id_number'"):
        taken("Resident ID nunber,姓名\nA1,某甲\n", fields=fields)
    with pytest.raises(SourceError, match=r"column 2 of 2 is unknown; of the contract's, '姓名' is not") as refused:
        taken("证号,人名\nA1,某甲\n")
    assert "人名" not in said(refused)


@pytest.mark.parametrize(
    ("name", "near"),
    [("Birth-Date", "birth_date"), ("birthdate", "birth_date"), ("brth_date", "birth_date"), ("birth_place", None),
     ("身份证号码", "身份证号"), ("ｂｉｒｔｈ＿ｄａｔｅ", "birth_date"), ("姓", None), (PLANTED[0], None), ("", None)],
)
def test_names_are_near_by_case_signs_and_few_slips(name: str, near: str | None) -> None:
    assert nearest(name, ["birth_date", "身份证号", "姓名"]) == near
    assert nearest(name, []) is None


def test_an_xml_declaration_is_no_place_to_tell_a_number_from(taken) -> None:
    with pytest.raises(SourceError, match="says it is another") as refused:
        taken(f'<?xml version="1.0" encoding="I{PLANTED[0]}"?><all/>', reader="xml")
    _holds_nobody(refused)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "big5"])
@pytest.mark.parametrize("shift", range(3))
def test_a_document_on_one_line_longer_than_what_is_probed_is_read(encoding: str, shift: int, taken) -> None:
    records = [{"number": f"A{n}", "name": "某甲乙丙丁" * 9} for n in range(12_000)]
    how = {"encoding": encoding, "fields": ("number", "name")}
    text = " " * shift + json.dumps(records, ensure_ascii=False)
    assert len(text.encode(encoding)) > 1 << 20
    assert len(taken(text.encode(encoding), reader="json", **how)) == len(records)
    xml = "".join(f"<a><number>{one['number']}</number><name>{one['name']}</name></a>" for one in records)
    assert len(taken(f"<all{' ' * shift}>{xml}</all>".encode(encoding), reader="xml", **how)) == len(records)


def test_a_document_on_one_line_in_another_encoding_is_still_refused(taken) -> None:
    text = json.dumps([{"证号": "A1", "姓名": "某甲乙丙丁" * 9}] * 12_000, ensure_ascii=False)
    for really, declared in (("gb18030", "utf-8"), ("utf-8", "gb18030")):
        with pytest.raises(SourceError, match=f"{really} fits"):
            taken(text.encode(really), reader="json", encoding=declared)
