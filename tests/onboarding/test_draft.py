"""Drafting a contract: any layout is onboarded by the draft alone, and the draft holds no value of the sample."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sqlite3
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from jobs.catalogue import Catalogue
from jobs.contract import Contract
from jobs.errors import LakeError, RequestError
from jobs.onboarding.draft import draft
from jobs.rows.coarsening import method_named
from jobs.rows.protection import protection_of
from tests.onboarding.samples import checked, onboard, write

HEADER = ["身份证号", "姓名", "性别", "接种日期", "疫苗名称", "剂次", "接种单位", "联系电话", "行政区划", "奇怪的列"]
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def _id(serial: int) -> str:
    body = f"110101{1950 + serial % 50}0{1 + serial % 9}1{serial % 9}{serial % 1000:03d}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, WEIGHTS, strict=True)) % 11]


def _rows(count: int = 30) -> list[list[str]]:
    dice = random.Random(7)
    return [
        [
            _id(n + 1), f"张{'伟芳娜敏静丽强磊军洋'[n % 10]}{'一二三四五'[n % 5]}", "男女"[n % 2],
            f"2025-03-{1 + n % 28:02d}", f"麻疹疫苗{'甲乙丙'[n % 3]}型", str(21 + n % 40), f"朝阳第{n + 2}卫生服务站",
            f"138{dice.randrange(10**8):08d}", ("110101", "110102", "310101")[n % 3], f"杂项记载{n}",
        ]
        for n in range(count)
    ]


def _csv(delimiter: str, encoding: str, before: str = "") -> bytes:
    out = io.StringIO()
    out.write(before)
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows([HEADER, *_rows()])
    return out.getvalue().encode(encoding)


def _workbook(path: Path) -> Path:
    book = openpyxl.Workbook()
    book.active.title = "封面"
    sheet = book.create_sheet("数据")
    sheet["A2"] = "绝密标题二零二五年度接种登记汇总表"
    sheet.merge_cells("A2:J2")
    sheet["A3"] = "填报单位：某某疾控中心内部"
    for row in [HEADER, *_rows()]:
        sheet.append(row)
    book.save(path)
    return path


def _database(path: Path) -> Path:
    with sqlite3.connect(path) as database:
        columns = ", ".join(f'"{name}" text' for name in HEADER)
        database.execute("create table settings (k text)")
        database.execute(f'create table jab (serial integer primary key, {columns})')
        marks = ", ".join("?" * (len(HEADER) + 1))
        database.executemany(f"insert into jab values ({marks})", [[n + 500, *row] for n, row in enumerate(_rows())])
    return path


def _json_lines(path: Path) -> Path:
    lines = [json.dumps(dict(zip(HEADER, row, strict=True)), ensure_ascii=False) for row in _rows()]
    return write(path, ("\n".join(lines) + "\n").encode())


def _objects() -> list[dict[str, str]]:
    return [dict(zip(HEADER, row, strict=True)) for row in _rows()]


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _quoted(quote: str) -> bytes:
    lines = (",".join(f"{quote}{cell}{quote}" for cell in row) for row in [HEADER, *_rows()])
    return "\n".join(lines).encode()


def _fixed_width() -> bytes:
    rows = [[cell.encode("gb18030") for cell in row] for row in [HEADER, *_rows()]]
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    return b"".join(b"".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + b"\r\n" for row in rows)


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _xml() -> bytes:
    records = "".join(f"<jab>{''.join(f'<{n}>{c}</{n}>' for n, c in one.items())}</jab>" for one in _objects())
    head = "<?xml version='1.0' encoding='GBK'?>"
    return f"{head}<all><head><unit>疾控</unit></head><list>{records}</list></all>".encode("gbk")


def _parquet(path: Path) -> Path:
    pl.DataFrame(_rows(), schema=HEADER, orient="row").write_parquet(path)
    return path


def _ods(path: Path) -> Path:
    names = " ".join(f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text"))
    cells = [
        "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in row)
        for row in [["绝密标题"], HEADER, *_rows()]
    ]
    rows = "".join(f"<table:table-row>{row}</table:table-row>" for row in cells)
    body = f'<office:spreadsheet><table:table table:name="a">{rows}</table:table></office:spreadsheet>'
    document = f"<office:document-content {names}><office:body>{body}</office:body></office:document-content>"
    return _zip(path, {"content.xml": document.encode()})


PREAMBLE = "绝密标题二零二五年度接种登记汇总表\r\n\r\n填报单位：某某疾控中心内部,负责人：王某某某\r\n"
LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "csv": lambda folder: write(folder / "jab_20260302.csv", _csv(",", "utf-8")),
    "bom_tab": lambda folder: write(folder / "jab-2026-03-02.tsv", _csv("\t", "utf-8-sig")),
    "gb18030_semicolon": lambda folder: write(folder / "jab.txt", _csv(";", "gb18030")),
    "utf16_pipe": lambda folder: write(folder / "jab.txt", _csv("|", "utf-16")),
    "preamble": lambda folder: write(folder / "jab.csv", _csv(",", "gb18030", PREAMBLE)),
    "json_lines": lambda folder: _json_lines(folder / "jab.jsonl"),
    "carriage_returns": lambda folder: write(folder / "jab.csv", _csv(",", "gb18030").replace(b"\r\n", b"\r")),
    "apostrophes": lambda folder: write(folder / "jab.csv", _quoted("'")),
    "fixed_width": lambda folder: write(folder / "jab.txt", _fixed_width()),
    "gzip": lambda folder: write(folder / "jab.csv.gz", gzip.compress(_csv(",", "gb18030"))),
    "zip": lambda folder: _zip(folder / "jab_20260302.zip", {"说明.txt": b"x", "jab.csv": _csv(";", "gb18030")}),
    "json": lambda folder: write(folder / "jab.json", _json({"total": 30, "data": {"rows": _objects()}})),
    "json_array": lambda folder: write(folder / "jab.json", _json(_objects())),
    "xml": lambda folder: write(folder / "jab.xml", _xml()),
    "parquet": lambda folder: _parquet(folder / "jab.parquet"),
    "ods": lambda folder: _ods(folder / "jab.ods"),
    "workbook": lambda folder: _workbook(folder / "接种 2026_03_02.xlsx"),
    "database": lambda folder: _database(folder / "jab 50%#?.sqlite"),
}


@pytest.fixture(scope="module")
def drafts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Contract, Catalogue, str]]:
    """Draft a layout's contract once for all that is asked about it; returns its sample, too."""

    @cache
    def drafted(layout: str) -> tuple[Path, Contract, Catalogue, str]:
        folder = tmp_path_factory.mktemp(layout)
        sample = LAYOUTS[layout](folder)
        return sample, *onboard(sample, folder)

    return drafted


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_never_seen_before_is_onboarded_by_its_draft_alone(layout: str, drafts) -> None:
    sample, contract, catalogue, _ = drafts(layout)
    assert set(HEADER) <= set(contract.source_columns)
    assert checked(sample, contract, catalogue) == (30, 30)


def test_big5_and_two_header_rows_are_recognised(tmp_path) -> None:
    text = "姓名,住址\n" + "".join(f"陳大文,臺北市中正區重慶南路{n}段\n" for n in range(30))
    assert "encoding: big5" in draft("a/b", write(tmp_path / "a.csv", text.encode("big5")))
    book = openpyxl.Workbook()
    people = [[f"A{n}", "2020-01-05", "某地"] for n in range(9)]
    for row in (["某表"], ["证号", "出生", None], [None, "日期", "地点"], *people):
        book.active.append(row)
    book.save(tmp_path / "b.xlsx")
    drafted = draft("a/c", tmp_path / "b.xlsx")
    assert "header_rows: 2" in drafted
    assert all(name in drafted for name in ("证号", "出生 日期", "出生 地点"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_draft_holds_no_value_and_no_title_of_the_sample(layout: str, drafts) -> None:
    *_, text = drafts(layout)
    values = {cell for row in _rows() for cell in row} - {"男", "女"}
    assert [cell for cell in values if len(cell) > 2 and cell in text] == []
    assert "绝密" not in text
    assert "疾控" not in text
    assert "王某某某" not in text


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_draft_opens_nothing_and_lets_nothing_sensitive_into_gold(layout: str, drafts) -> None:
    _, contract, catalogue, _ = drafts(layout)
    assert contract.release is None
    assert contract.published == {}
    for field in contract.fields.values():
        assert protection_of(field, catalogue.types) in ("drop", "pseudonym")
        method_named(field.protect or "keep")


def test_types_are_guessed_by_the_lakes_own_judges(drafts) -> None:
    _, contract, *_ = drafts("csv")
    assert {name: field.type for name, field in contract.fields.items()} == {
        "resident_id": "resident_id", "person_name": "person_name", "sex_code": "code", "column_4": "date",
        "column_5": "text", "column_6": "integer", "column_7": "organisation_name", "phone": "phone",
        "division_code": "division_code", "column_10": "text",
    }


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("jab_20260302.csv", "jab_{date:%Y%m%d}.csv"),
        ("jab-2026-03-02-north.csv", "jab-{date:%Y-%m-%d}-north.csv"),
        ("jab_20269902.csv", "jab_*.csv"),
        ("jab_20260302_153000.csv", "jab_{date:%Y%m%d}_*.csv"),
        ("110101195001011234.csv", "*.csv"),
        ("{x}.csv", "*x*.csv"),
        ("one.csv", "*.csv"),
    ],
)
def test_the_file_names_date_becomes_a_pattern_that_finds_the_file(name: str, path: str, tmp_path, onboarded) -> None:
    sample = write(tmp_path / name, b"word,count\none,1\ntwo,2\n")
    contract, *_ = onboarded(sample)
    assert contract.source is not None
    assert contract.source.path == f"health/{path}"
    assert contract.source.date_pattern().match(f"health/{name}")


def test_a_header_alone_is_enough_for_a_draft(tmp_path, onboarded) -> None:
    contract, *_ = onboarded(write(tmp_path / "a.csv", "姓名,出生日期\n".encode()))
    assert set(contract.source_columns) == {"姓名", "出生日期"}


def test_a_sample_full_of_gaps_is_drafted_without_rejecting_its_rows(tmp_path, onboarded) -> None:
    sample = write(tmp_path / "a.csv", b"word,count\none,\n,2\nthree,3\nfour,4\nfive,5\n")
    contract, catalogue, _ = onboarded(sample)
    assert checked(sample, contract, catalogue) == (5, 5)


def test_columns_of_one_meaning_get_names_of_their_own(tmp_path, onboarded) -> None:
    sample = write(tmp_path / "a.csv", "姓名,电话,联系电话,男方姓名,yes,No,客户#\n某,1,2,某,a,b,c\n".encode())
    contract, *_ = onboarded(sample)
    assert list(contract.fields) == ["person_name", "phone", "phone_3", "groom_name", "yes", "no", "column_7"]


def test_the_invented_examples_are_none_of_the_samples_cells(tmp_path) -> None:
    text = "证件号码,登记日期,区划\n11010519491231002X,2026-01-05,110105\n11010519491231002X,2026-01-05,110105\n"
    drafted = draft("a/b", write(tmp_path / "a.csv", text.encode()))
    for cell in ("11010519491231002X", "2026-01-05", "110105"):
        assert f": {cell}" not in drafted.replace("'", "")


@pytest.mark.parametrize(
    "content",
    [
        "张三,110105194912310021,朝阳\n李四,110105194912310022,海淀\n",
        "张三,2026-01-05,朝阳\n李四,2026-01-06,海淀\n",
        "张三;2026-01-05;朝阳\n李四;2026-01-06;海淀\n",
        "张三\t二〇二六年一月五日\n李四\t二〇二六年一月六日\n",
        "张三,是,朝阳\n李四,否,海淀\n王五,是,海淀\n",
        "张三,朝阳\n李四,朝阳\n王五,海淀\n赵六,张三\n",
        "张三有限公司,朝阳\n李四有限公司,海淀\n",
        '{"110105194912310021": "张三"}\n',
    ],
)
def test_a_sample_without_a_header_is_refused_without_quoting_it(content: str, tmp_path) -> None:
    with pytest.raises(RequestError) as refused:
        draft("a/b", write(tmp_path / "a.csv", content.encode()))
    assert refused.value.remedy
    assert not any(word in str(refused.value) for word in ("张三", "朝阳", "1101051949", "2026"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b" \r\n\r\n", "empty"),
        (b",,,\n,,,\n", "no header"),
        (b"a,a\n1,2\n", "twice"),
        (b"[1, 2]", "no array of objects"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "password"),
        (b"PK\x03\x04 half a workbook", "cannot be read"),
        (b"SQLite format 3\x00 half a database", "cannot be read"),
        (b"\xff\xff\xff\n\x81\xff\n\xff\x80\n", "GB 18030"),
    ],
)
def test_a_sample_that_is_no_table_is_refused_with_a_remedy(content: bytes, says: str, tmp_path) -> None:
    with pytest.raises(LakeError, match=says) as refused:
        draft("a/b", write(tmp_path / "sample", content))
    assert refused.value.remedy


def test_a_name_the_language_does_not_allow_and_a_missing_file_are_refused(tmp_path) -> None:
    sample = write(tmp_path / "a.csv", b"a,b\nc,d\n")
    for name in ("vaccinations", "Health/x", "health/x/y", "../x/y", "health/疫苗"):
        with pytest.raises(RequestError, match="department/dataset"):
            draft(name, sample)
    with pytest.raises(RequestError, match="no such file"):
        draft("a/b", tmp_path / "missing.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_document_on_one_line_longer_than_what_is_probed_is_drafted(encoding: str, tmp_path) -> None:
    rows = [{"编号": f"k{n}", "说明": "某甲乙丙丁" * 9} for n in range(12_000)]
    text = json.dumps({"rows": rows}, ensure_ascii=False)
    drafted = draft("a/b", write(tmp_path / "a.json", text.encode(encoding)))
    assert "records: rows" in drafted
    assert "from: 说明" in drafted
