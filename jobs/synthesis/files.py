"""Deliveries as files: each format as its department writes it, to the byte the same for the same rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl


def write_csv(rows: pl.DataFrame, path: Path) -> None:
    """Write GB18030 with commas, as the public security system exports it."""
    path.write_bytes(rows.write_csv(line_terminator="\n").encode("gb18030"))


def write_plain_csv(rows: pl.DataFrame, path: Path) -> None:
    """Write UTF-8 with commas."""
    rows.write_csv(path, line_terminator="\n")


def write_tsv(rows: pl.DataFrame, path: Path) -> None:
    """Write UTF-8 with byte order mark and tabs."""
    rows.write_csv(path, separator="\t", include_bom=True, line_terminator="\n")


def write_json_lines(rows: pl.DataFrame, path: Path) -> None:
    """Write one JSON object per line."""
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for row in rows.iter_rows(named=True):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_workbook(rows: pl.DataFrame, path: Path) -> None:
    """Write a worksheet with a merged title, a merged row of groups, and the header in the third row."""
    import xlsxwriter

    with xlsxwriter.Workbook(
        path, {"constant_memory": True, "strings_to_numbers": False, "strings_to_formulas": False}
    ) as book:
        book.set_properties({"created": datetime(2026, 1, 1), "author": "synthetic city"})  # noqa: DTZ001 (a fixed date)
        sheet = book.add_worksheet("婚姻登记")
        last = rows.width - 1
        sheet.merge_range(0, 0, 0, last, "婚姻登记信息表（合成数据）")
        sheet.write_string(1, 0, "")
        sheet.merge_range(1, 1, 1, 3, "男方")
        sheet.merge_range(1, 4, 1, 6, "女方")
        sheet.merge_range(1, 7, 1, last, "登记")
        for place, row in enumerate([rows.columns, *rows.iter_rows()], 2):
            for column, cell in enumerate(row):
                sheet.write_string(place, column, cell or "")


Writer = Callable[[pl.DataFrame, Path], None]
