"""All engines write the same rows; a batch that comes again changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, convert_to_deltalake

from jobs.benchmark import referee, tables
from jobs.benchmark.measuring import Meter
from jobs.benchmark.peers import spark_merge, spark_sql
from jobs.benchmark.rules import COLUMNS, OUTPUTS
from jobs.benchmark.run import NOT_INSTALLED, Turns, take_turns
from jobs.settings import Settings
from jobs.storage import engine as server


def _outputs(turns: dict[str, Turns]) -> dict[str, Path]:
    return {name: turn.out for name, turn in turns.items() if turn.out is not None}


def test_engines_without_java_agree_in_every_output(turns: dict[str, Turns]) -> None:
    outputs = _outputs(turns)
    assert {"duckdb", "polars", "delta_rs"} <= set(outputs)
    assert turns["sail"].note in ("", NOT_INSTALLED)
    verdicts = referee.judge(outputs)
    assert [verdict.output for verdict in verdicts] == list(OUTPUTS)
    for verdict in verdicts:
        assert verdict.word == referee.AGREE, verdict
        assert not next(iter(verdict.checksums.values())).startswith("0 "), verdict.output


def test_counts_add_up(turns: dict[str, Turns]) -> None:
    for turn in turns.values():
        for result in turn.results:
            counts, out = result["counts"], turn.out
            assert out is not None
            assert counts == turns["duckdb"].results[0]["counts"], turn.engine
            exported = pl.scan_parquet(out / "export/**/*.parquet").select(pl.len()).collect().item()
            assert exported == counts["register"] - counts["suppressed"]
            assert counts["read"] == 5_000


def test_history_closes_what_the_register_had(data: Path, turns: dict[str, Turns]) -> None:
    out = turns["polars"].out
    assert out is not None
    before = pl.read_parquet(data / "register/*.parquet")
    history = pl.read_parquet(tables.files(out / "history"))
    assert history.columns == list(COLUMNS["history"])
    assert history.drop("valid_to").join(before, on=before.columns, how="anti", nulls_equal=True).height == 0
    after = pl.read_parquet(tables.files(out / "register"))
    versions = after.join(history.select("id18"), on="id18", how="semi")["version"]
    assert versions.unique().to_list() == [2]


def test_the_same_batch_again_changes_nothing(data: Path, turns: dict[str, Turns], tmp_path: Path) -> None:
    out = turns["duckdb"].out
    assert out is not None
    again = tmp_path / "again"
    shutil.copytree(data, again)
    shutil.rmtree(again / "register")
    (again / "register").mkdir()
    pl.read_parquet(tables.files(out / "register")).write_parquet(again / "register" / "part.parquet")
    convert_to_deltalake(str(again / "register"))
    taken = take_turns(again, tmp_path / "outputs", ["duckdb", "polars"], 1, 2, lambda _: None, lambda: None)
    assert [turn.results[0]["counts"]["changed"] for turn in taken] == [0, 0]
    same = {turn.engine: turn.out for turn in taken if turn.out is not None} | {"first": out}
    verdicts = {verdict.output: verdict for verdict in referee.judge(same)}
    assert verdicts["register"].word == verdicts["export"].word == referee.AGREE
    assert all(verdicts["history"].checksums[name].startswith("0 ") for name in ("duckdb", "polars"))


@pytest.mark.spark
def test_the_lake_agrees_by_its_own_stages(
    data: Path, turns: dict[str, Turns], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_STORAGE", "s3://somebodys")  # the benchmark's lakes are not the user's
    (taken,) = take_turns(data, data.parent / "the lake's outputs", ["lake"], 1, 2, lambda _: None, lambda: None)
    assert taken.note == ""
    assert taken.without == {"resolve"}
    verdicts = referee.judge({**_outputs(turns), "lake": taken.out}, without={"lake": taken.without})
    assert [verdict.output for verdict in verdicts if "lake" in verdict.checksums] == list(OUTPUTS)
    for verdict in verdicts:
        assert verdict.word == referee.AGREE, verdict
    known, mine = turns["duckdb"].results[0], taken.results[0]
    counted = ("read", "quarantined", "register", "suppressed")
    assert all(mine["counts"][name] == known["counts"][name] for name in counted)
    assert mine["stored"]["register"] > 0
    assert mine["stored"]["export"] > 0
    assert mine["counts"]["since"] > 0  # gold was changed, not made anew
    assert mine["total"]["seconds"] > mine["merged"]["seconds"]


def test_spark_agrees_whether_it_writes_the_register_anew_or_merges_into_it(
    data: Path, turns: dict[str, Turns], tmp_path: Path, engine: str
) -> None:
    rewritten, merged = tmp_path / "rewritten", tmp_path / "merged"
    spark = server.session(Settings(root=tmp_path / "lake", spark=engine))
    spark.conf.set("spark.sql.codegen.wholeStage", "false")  # so few rows do not repay compiling
    try:
        spark_sql.work(Meter("spark_sql", data, rewritten, 2, {}), lambda: spark)
        register = spark_merge.own_register(spark, data, merged)
        spark_merge.merge(spark, register, merged)  # of the batch that was staged already
        assert "deletionVectors" in (DeltaTable(str(register)).protocol().reader_features or [])
        spark_merge.settle(spark, register, merged)
    finally:
        spark.conf.unset("spark.sql.codegen.wholeStage")
        server.close(spark)
    verdicts = referee.judge({**_outputs(turns), "rewritten": rewritten})
    assert {verdict.word for verdict in verdicts} == {referee.AGREE}, verdicts
    both = referee.judge({"rewritten": rewritten, "merged": merged})
    assert [verdict.word for verdict in both[:2]] == [referee.AGREE, referee.AGREE], both
