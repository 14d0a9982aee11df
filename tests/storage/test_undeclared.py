"""Tables nobody wrote a contract for: any usual spelling gives the same rows, and no line is cut or filled to fit."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.errors import LakeError, RequestError, SourceError
from jobs.storage.undeclared import read, scan

SECRET = "11010519491231002X"
ROWS = [("A1", "某甲"), ("A2", None), ("A3", "某, 丙")]
TEXT = '证号,姓名\nA1,某甲\nA2,\nA3,"某, 丙"\n'


def _book(rows: list[tuple[str | None, ...]]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(rows, schema=[f"c{n}" for n in range(len(rows[0]))], orient="row").write_excel(
        out, include_header=False
    )
    return out.getvalue()


def _parquet() -> bytes:
    out = io.BytesIO()
    pl.DataFrame(ROWS, schema=["证号", "姓名"], orient="row").write_parquet(out)
    return out.getvalue()


SPELLINGS: dict[str, Callable[[], bytes]] = {
    "utf-8": TEXT.encode,
    "byte order mark": lambda: TEXT.encode("utf-8-sig"),
    "gb18030": lambda: TEXT.encode("gb18030"),
    "utf-16": lambda: TEXT.encode("utf-16"),
    "carriage return and line feed": lambda: TEXT.replace("\n", "\r\n").encode(),
    "carriage return": lambda: TEXT.replace("\n", "\r").encode(),
    "no line end at the end": lambda: TEXT.removesuffix("\n").encode(),
    "blank lines": lambda: ("\n\n" + TEXT.replace("A2,\n", "\n\nA2,\n") + "\n\n").encode(),
    "semicolons": lambda: TEXT.replace(",", ";").replace("某;", "某,").encode(),
    "tabs": lambda: TEXT.replace(",", "\t").replace("某\t", "某,").encode(),
    "bars": lambda: TEXT.replace(",", "|").replace("某|", "某,").encode(),
    "gzip": lambda: gzip.compress(TEXT.encode("gb18030"), mtime=0),
    "blanks in the header": lambda: TEXT.replace("证号,姓名", " 证号 ,\u200b姓名").encode(),
    "workbook": lambda: _book([("证号", "姓名"), *ROWS]),
    "workbook with blank rows": lambda: _book([(None, None), ("证号", "姓名"), ROWS[0], (None, None), *ROWS[1:]]),
    "parquet": _parquet,
    "packed parquet": lambda: gzip.compress(_parquet(), mtime=0),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_a_table_gives_its_rows(spelling: str, tmp_path: Path) -> None:
    content = SPELLINGS[spelling]()
    file = tmp_path / "table"
    file.write_bytes(content)
    for table in (read(file), read(content), scan(file).collect()):
        assert table.columns == ["证号", "姓名"]
        assert table.rows() == ROWS
    assert read(file, ["姓名"]).rows() == [row[1:] for row in ROWS]
    assert read(file, ["姓名", "证号"]).select("证号", "姓名").rows() == ROWS


def test_traditional_text_is_told_from_simplified() -> None:
    # Few characters of a text would leave it open which of the two it is.
    table = "編號,姓名\n" + "A4,以上各行之姓名均由本局依法登記並公告之\n" * 3
    assert read(table.encode("big5")).columns == ["編號", "姓名"]
    assert read(table.encode("gb18030")).columns == ["編號", "姓名"]


def test_the_columns_asked_for_decide_the_separator() -> None:
    assert read(b"a,b,c;d\n1,2,3;4\n", ["d"]).rows() == [("4",)]
    assert read(b"a;b,c\n1;2,3\n", ["b,c"]).rows() == [("2,3",)]
    assert read(b'"a,b";c\n1;2\n').columns == ["a,b", "c"]


def test_an_empty_line_of_a_table_of_one_column_is_an_empty_cell() -> None:
    assert read(b"n\n1\n\n2\n")["n"].to_list() == ["1", None, "2"]


def test_a_header_alone_has_no_rows_and_a_column_without_a_name_gets_one() -> None:
    for content in (b"a,,c", b"a,,c\n", b"a,,c\r\n"):
        assert read(content).columns == ["a", "column_2", "c"]
        assert read(content).height == 0


RAGGED = {
    "longer": ("证号,姓名\nA1,某甲\n\nA2,某乙,more\n", "4: the line has 3 cells, the header 2"),
    "shorter": ("证号,姓名\nA1\nA2,某乙\n", "2: the line has 1 cells"),
    "after a cell of two lines": ('证号,姓名\n"A\n1",某甲\nA2\n', "4: the line has 1 cells"),
    "a quote that never closes": ('证号,姓名\nA1,某甲\nA2,"某乙\nA3,某丙\n', "3: a quoted cell does not end"),
    "a quote that closes too early": ('证号,姓名\nA1,"某"甲\nA2,某乙\n', "2: a quoted cell does not end"),
}


@pytest.mark.parametrize("case", RAGGED)
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_a_ragged_line_is_an_error_with_its_number_and_never_cut(case: str, encoding: str, tmp_path: Path) -> None:
    text, says = RAGGED[case]
    file = tmp_path / "table.csv"
    file.write_bytes(text.replace("某", SECRET).encode(encoding))
    for columns in ((), ["证号"]):
        with pytest.raises(SourceError, match=f"table.csv:{says}") as refused:
            read(file, columns)
        assert refused.value.remedy
        assert SECRET not in str(refused.value)


def test_a_quote_inside_a_cell_without_quotes_is_a_sign_like_any_other() -> None:
    assert read(b'a,b\n5" pipe,1\n6" pipe,2\n').rows() == [('5" pipe', "1"), ('6" pipe', "2")]


def test_a_line_in_another_encoding_is_an_error_with_its_number_however_late() -> None:
    late = b"a,b\n" + "1,某\n".encode() * 200_000 + "1,中\n".encode("gb18030")
    with pytest.raises(SourceError, match="standard input:200002: the line is not utf-8"):
        read(late)


@pytest.mark.parametrize("content", [f"{SECRET},欧阳某某\n{SECRET},x\n".encode(), _book([(SECRET, "欧阳某某")] * 2)])
def test_a_column_that_is_not_there_is_an_error_that_quotes_no_header(content: bytes) -> None:
    for columns in (["证号"], ["姓名"]):
        with pytest.raises(RequestError, match="its header has 2") as refused:
            read(content, columns)
        assert SECRET not in str(refused.value)
        assert "欧阳" not in str(refused.value)


def test_a_column_nearly_named_is_told_by_its_place() -> None:
    with pytest.raises(RequestError, match="column 2 is nearly that"):
        read(b"a,Birth-Date\n1,2\n", ["birth_date"])


def test_columns_of_one_name_are_an_error_where_they_are_read() -> None:
    with pytest.raises(SourceError, match=r"columns 1, 3 have one name"):
        read(b"a,b,a\n1,2,3\n")
    assert read(b"a,b,a\n1,2,3\n", ["b"]).rows() == [("2",)]


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", SourceError, "empty"), (b" \n\n", SourceError, "empty"), (b"%PDF-1.7", SourceError, "a PDF"),
        (b"\xd0\xcf\x11\xe0" + bytes(99), SourceError, "old workbook"), (b"PAR1....", SourceError, "as a table"),
        (b"PK\x03\x04....", SourceError, "workbook"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-9], SourceError, "archive"),
        (b"n\n1\n\xff\xff\n", SourceError, ":3: the file is in none of UTF-8"),
    ],
)
def test_what_is_no_table_is_said_with_what_to_do(content: bytes, error: type[LakeError], says: str) -> None:
    with pytest.raises(error, match=says) as refused:
        read(content)
    assert refused.value.remedy


def test_a_bomb_of_a_workbook_is_refused_as_in_a_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_MAX_CELLS", "3")
    with pytest.raises(SourceError, match="more than 3 cells"):
        read(_book([("证号", "姓名"), *ROWS]))


def test_parquet_keeps_its_types_unless_text_is_asked_for(tmp_path: Path) -> None:
    table = pl.DataFrame({"n": [110105491231002.0, 1.5, None], "many": [[1], [2], []], "is": [True, None, False]})
    table.write_parquet(tmp_path / "a.parquet")
    assert scan(tmp_path / "a.parquet").collect().equals(table)
    assert read(tmp_path / "a.parquet").to_dict(as_series=False) == {
        "n": ["110105491231002", "1.5", None], "is": ["true", None, "false"]
    }
    with pytest.raises(SourceError, match="does not hold text or numbers"):
        read(tmp_path / "a.parquet", ["many"])


CELLS = st.text("某甲A1 ,;\"'\n|", max_size=5)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=6), st.sampled_from([",", ";", "\t", "|"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_writer_writes_is_read_again(rows: list[tuple[str, str]], separator: str) -> None:
    table = pl.DataFrame(rows, schema={"证号": pl.String, "姓名": pl.String}, orient="row")
    content = table.write_csv(separator=separator, quote_style="always").encode()
    assert read(content, ["证号", "姓名"]).rows() == [tuple(cell or None for cell in row) for row in rows]
