"""A released version as a workbook and as JSON lines: the same rows, the same bytes every time."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import openpyxl
import polars as pl
import pytest

from jobs.errors import RequestError
from jobs.releases import listing
from jobs.releases.exports import export, json_lines


@pytest.fixture
def version(three_versions):
    return listing.version(three_versions.objects, "health/visits", "1.0.2")


def test_a_workbook_has_the_rows_with_codes_as_texts_and_a_dictionary(version):
    book = openpyxl.load_workbook(io.BytesIO(export(version, "xlsx")), read_only=True)
    rows = list(book["data"].iter_rows(values_only=True))
    table = pl.read_parquet(version.data("parquet"))
    assert list(rows[0]) == table.columns
    assert len(rows) - 1 == table.height
    assert rows[1][0] == "330100"
    assert [row[0] for row in book["dictionary"].iter_rows(min_row=2, values_only=True)] == table.columns


def test_equal_rows_are_equal_workbooks(version):
    assert export(version, "xlsx") == export(version, "xlsx")


def test_json_lines_are_the_rows(version):
    lines = export(version, "jsonl").splitlines()
    table = pl.read_parquet(version.data("parquet"))
    assert [json.loads(line) for line in lines] == table.to_dicts()


def test_no_digit_of_a_decimal_is_lost():
    rows = pl.DataFrame({"fee": [Decimal("12345678901234567.89")]})
    assert json.loads(json_lines(rows)) == {"fee": "12345678901234567.89"}


def test_another_format_is_a_wrong_request(version):
    with pytest.raises(RequestError, match="no format"):
        export(version, "docx")
