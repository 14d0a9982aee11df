"""Failures leave a worker and the command line without the values they quote."""

from __future__ import annotations

import polars as pl
import pytest

from jobs.errors import SourceError
from jobs.storage.translation import carrying, unexpected


def test_a_foreign_exception_leaves_a_worker_without_what_it_quotes() -> None:
    with pytest.raises(RuntimeError) as caught, carrying():
        pl.Series(["张三 11010519491231002X"]).str.to_date("%Y-%m-%d")
    assert "unexpected InvalidOperationError" in str(caught.value)
    assert "张三" not in str(caught.value)
    assert "11010519491231002X" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_error_of_the_lake_leaves_a_worker_whole() -> None:
    with pytest.raises(RuntimeError, match="the file ends in the middle") as caught, carrying():
        raise SourceError("the file ends in the middle of a record.", where="deaths.csv:7")
    assert "SourceError" in str(caught.value)
    assert "deaths.csv:7" in str(caught.value)


def test_a_foreign_exception_is_told_by_kind_and_by_the_line_of_the_project_it_passed() -> None:
    from jobs.rows.money import read_unit

    with pytest.raises(TypeError) as caught:
        read_unit(None)  # type: ignore[arg-type]
    assert unexpected(caught.value).startswith("unexpected TypeError in jobs/rows/money.py:")
