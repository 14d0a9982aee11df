"""The workbook a steward gets back: rejected rows as delivered, the bad cells marked, the reasons beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.exceptions import XlsxWriterException

from jobs.contract import Contract
from jobs.errors import StorageError
from jobs.onboarding.precheck import Precheck
from jobs.quality.rulebook import expected_form
from jobs.storage.reading.layout import RAW

MOST_ROWS = 1_000_000  # of one worksheet; Excel itself stops at 1,048,576
MOST_CHARACTERS = 32_000  # of one cell; Excel itself stops at 32,767
CUT = "…"  # ends a cell that is longer
ROW, FILE = "行号 row", "文件 file"
BESIDE = (ROW, "原因 reasons", "应为 expected form")
TICKET = "票据 ticket"  # the sheet that says which batch the rows are of
RAW_TITLE = "原文 record as delivered"
_WIDTHS = (9, 34, 60, 24)


def write_workbook(
    result: Precheck, contract: Contract, path: Path, expectations: Path, *, batch: str | None = None
) -> None:
    """Write the rejected rows (source columns, raw cells) and, on a second kind of sheet, what each rule expects.

    With `batch`, the rows of a landed one, each also names its file and a further sheet the batch, so that the
    workbook can come back mended (`jobs.onboarding.mended`).
    Every cell is text: nothing a department typed becomes a formula, a link or a number. Memory does not grow with
    the rows. Raises StorageError when the file cannot be written.
    """
    options = {
        "constant_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False,
    }
    chinese, english = expected_form(expectations, "zh"), expected_form(expectations, "en")
    try:
        with xlsxwriter.Workbook(str(path), options) as book:
            formats = _formats(book)
            for number, start in enumerate(range(0, max(result.quarantined, 1), MOST_ROWS), 1):
                sheet = book.add_worksheet("退回 rejected" if number == 1 else f"退回 rejected {number}")
                _rejected(sheet, formats, _rows(result, start), contract, chinese, english, landed=batch is not None)
            if batch is not None:
                ticket = book.add_worksheet(TICKET)
                for number, text in enumerate((contract.name, batch)):
                    ticket.write_string(number, 0, text, formats["cell"])
            _rules(book.add_worksheet("规则 rules"), formats, result, chinese, english)
    except (XlsxWriterException, OSError) as error:
        raise StorageError(
            f"the workbook cannot be written ({type(error).__name__}).", where=str(path),
            remedy="close it where it is open, or write it elsewhere.",
        ) from None


def marked_columns(reason: str, contract: Contract) -> tuple[str, ...]:
    """Return the source columns a reason (`field.rule`) speaks about; none for a defect of the whole record.

    A field that only receives older identifiers is spoken about by the columns that hand them over.
    """
    name = reason.partition(".")[0]
    field = contract.fields.get(name)
    if field is None:
        return ()
    if field.from_:
        return (field.from_,)
    return tuple(other.from_ for other in contract.fields.values() if other.from_ and name in other.legacy.values())


def _formats(book: Any) -> dict[str, Any]:
    # "@" is text: an 18-digit number stays whole, and "=1+1" stays text even after it is edited.
    text = {"num_format": "@", "valign": "top"}
    return {
        "head": book.add_format({"bold": True, "bg_color": "#DDE6EE", "bottom": 1}),
        "cell": book.add_format(text),
        "bad": book.add_format({**text, "bg_color": "#FFC7CE", "font_color": "#9C0006"}),
        "note": book.add_format({**text, "text_wrap": True}),
        "count": book.add_format({"valign": "top"}),
    }


def _rows(result: Precheck, start: int) -> Iterator[dict[str, Any]]:
    return result.rejected.slice(start, MOST_ROWS).iter_rows(named=True)


def _rejected(
    sheet: Any,
    formats: dict[str, Any],
    rows: Iterator[dict[str, Any]],
    contract: Contract,
    chinese: Callable[[str], str],
    english: Callable[[str], str],
    *,
    landed: bool,
) -> None:
    columns = contract.source_columns
    beside = (*BESIDE, FILE) if landed else BESIDE
    head = (*beside, *columns, RAW_TITLE)
    for place, title in enumerate(head):
        sheet.set_column(place, place, _WIDTHS[place] if place < len(beside) else 20)
        sheet.write_string(0, place, _fitting(title), formats["head"])
    sheet.freeze_panes(1, len(beside))
    for number, row in enumerate(rows, 1):
        reasons = row["_reasons"]
        cells = json.loads(row["_cells"])
        marked = {column for reason in reasons for column in marked_columns(reason, contract)}
        sheet.write_number(number, 0, row["_source_row"], formats["count"])
        sheet.write_string(number, 1, _lines(reasons), formats["note"])
        sheet.write_string(number, 2, _lines([f"{chinese(r)} {english(r)}" for r in reasons]), formats["note"])
        if landed:
            sheet.write_string(number, len(BESIDE), _fitting(row["_source_file"]), formats["cell"])
        for place, column in enumerate(columns, len(beside)):
            _cell(sheet, number, place, cells.get(column), formats["bad" if column in marked else "cell"])
        raw = json.loads(row["_extra"] or "{}").get(RAW)
        if raw is not None:
            _cell(sheet, number, len(head) - 1, raw, formats["bad"])


def _rules(
    sheet: Any,
    formats: dict[str, Any],
    result: Precheck,
    chinese: Callable[[str], str],
    english: Callable[[str], str],
) -> None:
    titles = ("规则 rule", "行数 rows", "处理 effect", "应为", "expected form")
    for place, (title, width) in enumerate(zip(titles, (40, 10, 18, 46, 60), strict=True)):
        sheet.set_column(place, place, width)
        sheet.write_string(0, place, title, formats["head"])
    sheet.freeze_panes(1, 0)
    number = 0
    for effect, rules in (("退回 rejected", result.reasons), ("提示 remark", result.warnings)):
        for rule, count in rules.items():
            number += 1
            sheet.write_string(number, 0, rule, formats["cell"])
            sheet.write_number(number, 1, count, formats["count"])
            for place, text in enumerate((effect, chinese(rule), english(rule)), 2):
                sheet.write_string(number, place, text, formats["note"])


def _cell(sheet: Any, row: int, column: int, text: str | None, form: Any) -> None:
    """Write one delivered cell as text; an empty one that is marked still gets its colour."""
    if text:
        sheet.write_string(row, column, _fitting(text), form)
    else:
        sheet.write_blank(row, column, None, form)


def _lines(texts: Sequence[str]) -> str:
    return _fitting("\n".join(texts))


def _fitting(text: str) -> str:
    """Return as much of a text as a cell may hold, and say so where it was cut."""
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + CUT
