"""The referee: blind to order, awake to one cell, and it names who differs."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from jobs.benchmark import referee
from jobs.benchmark.rules import QUARANTINE
from jobs.benchmark.run import Turns


@pytest.fixture
def outputs(turns: dict[str, Turns], tmp_path: Path) -> dict[str, Path]:
    found = {name: turns[name].out for name in ("duckdb", "polars")}
    damaged = tmp_path / "damaged"
    assert found["duckdb"] is not None
    shutil.copytree(found["duckdb"], damaged)
    return {name: path for name, path in found.items() if path is not None} | {"damaged": damaged}


def _rewrite(path: Path, changed: pl.DataFrame) -> None:
    changed.write_parquet(path)


def test_the_order_of_rows_does_not_matter(outputs: dict[str, Path]) -> None:
    path = outputs["damaged"] / "quarantine.parquet"
    _rewrite(path, pl.read_parquet(path).reverse())
    assert {verdict.word for verdict in referee.judge(outputs)} == {referee.AGREE}


def test_one_cell_is_seen_and_its_engine_named(outputs: dict[str, Path]) -> None:
    path = outputs["damaged"] / "quarantine.parquet"
    rows = pl.read_parquet(path)
    first = pl.int_range(pl.len()) == 0
    _rewrite(path, rows.with_columns(raw_id=pl.when(first).then(pl.lit("other")).otherwise("raw_id")))
    verdicts = referee.judge(outputs)
    assert {verdict.output: verdict.differing for verdict in verdicts if verdict.word == referee.DIFFER} == {
        "quarantine.parquet": ("damaged",)
    }
    assert referee.agreement(verdicts, "damaged") == "DIFFER: quarantine.parquet"
    assert referee.agreement(verdicts, "duckdb") == "AGREE"


def test_a_row_that_is_twice_there_is_seen(outputs: dict[str, Path]) -> None:
    path = outputs["damaged"] / "quarantine.parquet"
    rows = pl.read_parquet(path)
    _rewrite(path, pl.concat([rows, rows.head(2), rows.head(2)]))
    assert referee.agreement(referee.judge(outputs), "damaged") == "DIFFER: quarantine.parquet"


def test_what_is_missing_or_broken_differs(outputs: dict[str, Path]) -> None:
    shutil.rmtree(outputs["damaged"] / "export")
    (outputs["damaged"] / "quarantine.parquet").write_bytes(b"PAR1 no more")
    verdicts = referee.judge(outputs)
    assert referee.agreement(verdicts, "damaged") == "DIFFER: quarantine.parquet, export"
    assert referee.agreement(verdicts, "polars") == "AGREE"


def test_of_two_that_differ_neither_is_right(tmp_path: Path, outputs: dict[str, Path]) -> None:
    path = outputs["damaged"] / "quarantine.parquet"
    _rewrite(path, pl.read_parquet(path).head(1).select(QUARANTINE))
    both = {name: outputs[name] for name in ("duckdb", "damaged")}
    assert referee.judge(both)[2].differing == ("duckdb", "damaged")


def test_one_engine_alone_is_told_so(outputs: dict[str, Path]) -> None:
    verdicts = referee.judge({"duckdb": outputs["duckdb"]})
    assert referee.agreement(verdicts, "duckdb") == "ALONE"
