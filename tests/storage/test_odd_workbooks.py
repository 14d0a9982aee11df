"""Workbooks as few programs write them: what they say is read, or refused by name, never read as something else."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from jobs.errors import SourceError
from jobs.storage.readers import Limits
from jobs.storage.reading import grid
from tests.storage.trials import Rows, brief, said

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
FORMATS = (0, 14, 31, 20, 164, 165, 57, 166)  # of the cells' styles, in order: 2 and 6 are East Asian dates
HEADER = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'


def _relations(*targets: tuple[str, str, str]) -> str:
    each = (f'<Relationship Id="{i}" Type="{OFFICE}/{kind}" Target="{target}"/>' for i, kind, target in targets)
    return f'<Relationships xmlns="{PACKAGE}">{"".join(each)}</Relationships>'


def book(rows: str, *, tail: str = "", start: str = "", properties: str = "", part: str | None = None) -> bytes:
    """Return a workbook of one worksheet with the header of a trial in its first row, and rows of XML below."""
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{start or HEADER}{rows}</sheetData>{tail}</worksheet>'
    styles = "".join(f'<xf numFmtId="{number}"/>' for number in FORMATS)
    codes = '<numFmt numFmtId="164" formatCode="[h]:mm"/><numFmt numFmtId="165" formatCode="0.00&quot;day&quot;"/>'
    codes += '<numFmt numFmtId="166" formatCode="G/通用格式"/>'
    texts = "".join(f"<si><t>{text}</t></si>" for text in ("证号", "姓名"))
    parts = {
        "_rels/.rels": _relations(("a", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{properties}<sheets>'
                           '<sheet name="S" sheetId="1" r:id="b"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relations(
            ("b", "worksheet", "worksheets/sheet1.xml"), ("c", "sharedStrings", "sharedStrings.xml"),
            ("d", "styles", "styles.xml"),
        ),
        "xl/worksheets/sheet1.xml": part or sheet, "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{texts}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><numFmts>{codes}</numFmts><fonts><font/></fonts><cellStyleXfs>'
                         f'<xf numFmtId="14"/></cellStyleXfs><cellXfs>{styles}</cellXfs></styleSheet>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def text(place: str, content: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{content}</t></is></c>'


def beside(cell: str) -> str:
    """Return a row whose first cell is sound and whose second is the one in question."""
    return f'<row r="2">{text("A2", "A1")}{cell}</row>'


@pytest.fixture
def taken(taken: Callable[..., Rows]) -> Callable[..., Rows]:
    return partial(taken, reader="xlsx")


@pytest.mark.parametrize(
    ("style", "value", "expected"),
    [
        (1, "61", "1900-03-01 00:00:00"), (1, "60", "60"), (1, "-1", "-1"), (1, "2958466", "2958466"),
        (1, "1e10", "1e10"), (1, "NaN", "NaN"), (1, "0.75", "18:00:00"), (3, "0.5", "12:00:00"),
        (2, "45000", "2023-03-15 00:00:00"), (6, "59.25", "1900-02-28 06:00:00"), (4, "1.5", "36:00:00"),
        (5, "1.5", "1.5"), (0, "110105194912310021", "110105194912310021"), (0, "0.1", "0.1"), (99, "7", "7"),
        (7, "1.5", "1.5"), (3, "0.999999", "23:59:59"), (4, "0.999999", "24:00:00"), (4, "60.5", "1452:00:00"),
    ],
)
@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_number_is_the_moment_its_style_shows_or_its_own_digits(
    style: int, value: str, expected: str, quote: str, taken
) -> None:
    cell = f'<c r="B2" s="{style}"><v>{value}</v></c>'.replace('"', quote)
    assert brief(taken(book(beside(cell)))) == [(2, "A1", expected, None)]


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("empty", ['s="2"/>', 's="2" />', 's="2"></c>', 's="2"><v/></c>', 's="2"><v></v></c>'])
def test_an_empty_cell_with_the_style_of_a_date_says_nothing_of_its_neighbour(empty: str, quote: str, taken) -> None:
    below = '<row r="3"><c r="A3" s="6"><v>45000</v></c><c r="B3"><v>13800000000</v></c></row>'
    rows = (
        f'<row r="2"><c r="A2" {empty}<c r="B2" t="s"><v>1</v></c></row>{below}'
        f'<row r="4"><c r="A4" t="s"><v>0</v></c><c r="B4" {empty}</row><row r="5"><c r="A5"><v>7</v></c></row>'
    )
    expected = [
        (2, None, "姓名", None), (3, "2023-03-15 00:00:00", "13800000000", None), (4, "证号", None, None),
        (5, "7", None, None),
    ]
    content = book(rows.replace('"', quote))
    assert brief(taken(content)) == expected


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("frame", ['s="3"/>', 's="3"></c>', 's="3"><f>1</f></c>'])
def test_a_framed_column_without_a_value_moves_no_other(frame: str, quote: str, taken) -> None:
    start = f'<row r="1"><c r="A1" {frame}<c r="B1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>'
    rows = (
        f'<row r="2"><c r="A2" s="3"/>{text("B2", "A1")}<c r="C2" s="2"><v>45000</v></c></row>'
        f'<row r="3"><c r="A3" s="3"/><c r="B3" s="3"/><c r="C3" s="2"><v>45001</v></c></row>'
    )
    content = book(rows.replace('"', quote), start=start.replace('"', quote), tail=(
        '<mergeCells count="1"><mergeCell ref="B2:B3"/></mergeCells>'
    ))
    assert brief(taken(content)) == [(2, "A1", "2023-03-15 00:00:00", None), (3, "A1", "2023-03-16 00:00:00", None)]


def test_days_may_count_from_1904(taken) -> None:
    properties = '<workbookPr date1904="1"/>'
    cells = (beside(f'<c r="B2" s="{style}"><v>60</v></c>') for style in (1, 2))
    found = [brief(taken(book(one, properties=properties))) for one in cells]
    assert found == [[(2, "A1", "1904-03-01 00:00:00", None)]] * 2


ERROR = "record.formula"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (beside("<c r='B2' t='e'><v>#N/A</v></c>"), [(2, "A1", None, ERROR)]),
        (beside('<c r = "B2" t = "e"><v>#N/A</v></c>'), [(2, "A1", None, ERROR)]),
        (beside('<c t="e"><v>#N/A</v></c>'), [(2, "A1", None, ERROR)]),
        (beside("<c><f>1+1</f></c>"), [(2, "A1", None, ERROR)]),
        (beside('<c r="B2" t="str"><f>IF(A2=1,2,"")</f><v></v></c>'), [(2, "A1", None, None)]),
        (f"<!-- {beside(text('B2', 'x'))} -->{beside(text('B2', '某甲'))}", [(2, "A1", "某甲", None)]),
        (beside(text("B2", "<![CDATA[<某甲>]]>")), [(2, "A1", "<某甲>", None)]),
        (beside(text("B2", "某甲")) + "<row>" + text("B3", "某乙") + "</row>",
         [(2, "A1", "某甲", None), (3, None, "某乙", None)]),
    ],
)
def test_cells_are_known_however_their_xml_is_written(rows: str, expected: list[Any], taken) -> None:
    assert brief(taken(book(rows))) == expected


def test_a_cell_below_a_merged_one_keeps_a_value_of_its_own(taken) -> None:
    below = f'<row r="3">{text("A3", "A2")}</row><row r="4">{text("A4", "A3")}{text("B4", "某丙")}</row>'
    rows = beside(text("B2", "某甲")) + below
    merged = '<mergeCells><mergeCell ref="B2:B4"/></mergeCells>'
    expected = [(2, "A1", "某甲", None), (3, "A2", "某甲", None), (4, "A3", "某丙", None)]
    assert brief(taken(book(rows, tail=merged))) == expected


SOUND = beside(text("B2", "某甲"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (book(SOUND + SOUND), "row 2 .* twice"),
        (book(beside(text("B2", "某甲") + text("B2", "某乙"))), "a cell in row 2 .* twice"),
        (book(beside(text("B3", "某甲"))), "row 2 .* stands elsewhere"),
        (book(beside(text("ZZZZ2", "某甲"))), "stands elsewhere"),
        (book(beside(text("XFE2", "某甲"))), "more than 16384 columns"),
        (book(beside('<c r="B2" t="s"><v>-1</v></c>')), "refers to no text"),
        (book(beside('<c r="B2" t="s"><v>x</v></c>')), "refers to no text"),
        (book(f"{SOUND}</sheetData><sheetData>{SOUND.replace('2', '3')}"), "in two places"),
        (book(SOUND) + book(SOUND), "one archive after another"),
    ],
)
def test_what_would_hide_a_row_or_a_cell_is_refused(content: bytes, says: str, taken) -> None:
    with pytest.raises(SourceError, match=says) as refused:
        taken(content)
    said(refused)


def test_rows_out_of_order_are_refused(taken) -> None:
    rows = "".join(f'<row r="{n}">{text(f"A{n}", f"A{n}")}</row>' for n in (2, 5, 3))
    with pytest.raises(SourceError, match="stands below a later one"):
        taken(book(rows))


def test_rows_read_in_columns_are_those_read_one_by_one(taken, monkeypatch: pytest.MonkeyPatch) -> None:
    def line(number: int, *cells: str) -> str:
        places = zip("ABCD", cells, strict=False)
        return f'<row r="{number}">{"".join(text(f"{column}{number}", cell) for column, cell in places)}</row>'

    odd = {61: ("证号", "姓名"), 55: (" ", "\u3000"), 57: ("A57", "x_x0000_"), 59: ("A59", "x" * 2000)}
    rows = "".join(line(n, *odd.get(n, (f"A{n}", "某甲"))) for n in range(2, 66) if n != 40)
    content, limits = book(rows), Limits(max_cell_bytes=1000)
    whole = taken(content, limits=limits)
    monkeypatch.setattr(grid, "_PART", 7)
    assert taken(content, limits=limits) == whole
    defects = {one[0]: one[3] for one in brief(whole) if one[3]}
    assert [defects.get(n) for n in (57, 59, 61, 62)] == [
        "record.nul_byte", "record.cell_too_large", "record.repeated_header", "record.second_table"
    ]
    assert {40, 55}.isdisjoint(one[0] for one in brief(whole))
