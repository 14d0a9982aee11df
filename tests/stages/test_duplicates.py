"""Equal rows of one delivery: one of them counts, the first by file and row, wherever the others are."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import polars as pl
import pytest

from jobs.benchmark import lake as declared
from jobs.layers import Layer
from jobs.settings import Settings
from jobs.stages import conform, judging, land, load, maintain
from jobs.storage import batch_tables
from jobs.storage.batch_tables import SLICE_ROWS
from jobs.storage.tables import Lake

DATASET = "ps/extract"
KEY, WRONG = "11010519491231002X", "110105194912310021"
MANY = SLICE_ROWS + 10  # rows of the first file, so that it is judged in two slices


def written(folder: Path, name: str, numbers: list[int], wrong: set[int]) -> Path:
    """A file of the delivery: records by number, those at some places with a wrong key."""
    rows = {
        "rec_id": numbers, "raw_id": [WRONG if place in wrong else KEY for place in range(len(numbers))],
        "update_ts": [1_767_225_600] * len(numbers),
    }
    pl.DataFrame(rows).write_parquet(folder / f"part-20260105-{name}.parquet")
    return folder / f"part-20260105-{name}.parquet"


def declared_in(folder: Path) -> Path:
    pl.DataFrame({"division": ["110105"], "name": ["某区"]}).write_parquet(folder / "ref_division.parquet")
    return declared.declared(folder, folder / "schemas")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake's folder with one loaded delivery of two files."""
    folder = tmp_path_factory.mktemp("duplicates")
    schemas = declared_in(folder)
    first = [*range(MANY - 2), 3, 4]  # two rows of the second slice are said in the first slice
    second = [3, MANY, MANY, MANY + 1, MANY + 1]  # one is said in the other file, two here; of those two are wrong
    files = [written(folder, "a", first, set()), written(folder, "b", second, {3, 4})]
    with Lake.open(Settings(root=folder / "lake", schemas=schemas)) as lake:
        land.run(lake, DATASET, files=files)
        load.run(lake, DATASET)
    return folder


@pytest.mark.parametrize("over", ["process", pytest.param("engine", marks=pytest.mark.spark)])
def test_of_equal_rows_the_first_is_accepted(
    lake: Path, tmp_path: Path, over: str, request: pytest.FixtureRequest
) -> None:
    shutil.copytree(lake / "lake", tmp_path / "lake")
    more = {"spark": request.getfixturevalue("engine"), "engine_rows": 0} if over == "engine" else {}
    with Lake.open(Settings(root=tmp_path / "lake", schemas=lake / "schemas", **more)) as opened:
        (report,) = conform.run(opened, DATASET)
        silver = opened.scan(Layer.SILVER, DATASET).select("rec_id", "_source_file", "_source_row").collect()
    told = (report.delivered, report.accepted, report.quarantined, report.duplicates)
    assert told == (MANY + 5, MANY - 2 + 1, 2, 4)
    assert report.reasons == {"raw_id.check_character": 2}
    assert sorted(silver["rec_id"]) == [*range(MANY - 2), MANY]
    places = {number: (file[-9:], row) for number, file, row in silver.iter_rows()}
    assert (places[3], places[4], places[MANY]) == (("a.parquet", 4), ("a.parquet", 5), ("b.parquet", 2))


@pytest.mark.parametrize("seed", range(3))
def test_however_rows_are_spread_over_files_and_tasks_the_first_of_each_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    for name, rows in (("SLICE_ROWS", 7), ("FILE_ROWS", 20)):
        monkeypatch.setattr(batch_tables, name, rows)
    monkeypatch.setattr(judging, "SLICE_ROWS", 7)
    for name, rows in (("SLICE_ROWS", 7), ("TASK_ROWS", 25), ("BUCKET_ROWS", 13)):
        monkeypatch.setattr(conform, name, rows)
    monkeypatch.setattr(Lake, "much", lambda *_: False)
    draw = random.Random(seed)
    schemas, files, wanted, wrongs = declared_in(tmp_path), [], {}, 0
    for name in draw.sample("abcdefgh", 8):
        numbers = [draw.randrange(60) for _ in range(draw.randrange(1, 40))]
        wrong = {place for place in range(len(numbers)) if draw.random() < 0.1}
        files.append(written(tmp_path, name, numbers, wrong))
        wrongs += len(wrong)
        for place, number in enumerate(numbers, 1):
            if place - 1 not in wrong:
                at = (files[-1].name, place)
                wanted[number] = min(at, wanted.get(number, at))
    with Lake.open(Settings(root=tmp_path / "lake", schemas=schemas)) as lake:
        land.run(lake, DATASET, files=files)
        (loaded,) = load.run(lake, DATASET)
        for _ in range(2):  # judged again it is the same, and files that others stand in for are gone
            (report,) = conform.run(lake, DATASET, batch=loaded.batch)
            rows = lake.scan(Layer.SILVER, DATASET).select("rec_id", "_source_file", "_source_row").collect()
            assert {number: (file, row) for number, file, row in rows.iter_rows()} == wanted
            assert rows.height == report.accepted == len(wanted)
            assert (report.quarantined, report.delivered) == (wrongs, loaded.delivered)
            counted = report.reasons.get("raw_id.check_character", 0)
            assert (counted, lake.scan(Layer.QUARANTINE, DATASET).collect().height) == (wrongs, wrongs)


def test_files_that_one_replaces_do_not_stay_and_small_ones_become_one(tmp_path: Path) -> None:
    schemas = declared_in(tmp_path)
    with Lake.open(Settings(root=tmp_path / "lake", schemas=schemas)) as lake:
        for name in "hgfedcba":
            land.run(lake, DATASET, files=[written(tmp_path, name, [ord(name), 1], set())])
        land.run(lake, DATASET, files=[written(tmp_path, name, [ord(name), 1], set()) for name in "srqponm"])
        load.run(lake, DATASET)
        reports = conform.run(lake, DATASET)
        assert [one.duplicates for one in reports if one.delivered == 14] == [6]
        kept = lake.scan(Layer.SILVER, DATASET).filter(pl.col("_source_file").str.slice(-9).is_in(
            [f"{name}.parquet" for name in "srqponm"]
        )).select("rec_id", "_source_file").collect()
        assert kept["rec_id"].to_list() == [ord("m"), 1, *map(ord, "nopqrs")]  # in the order of delivery
    files = list((tmp_path / "lake" / "silver").rglob("part-*.parquet"))
    assert len(files) == len(reports)


def test_what_a_run_that_died_left_where_no_table_is_yet_is_swept_when_it_is_old(tmp_path: Path) -> None:
    with Lake.open(Settings(root=tmp_path / "lake", schemas=declared_in(tmp_path))) as lake:
        table = conform.silver_table(lake, lake.catalogue.contract(DATASET))
        with table.writer("b") as writer:
            writer.write(pl.DataFrame({"rec_id": [1]}).select(
                (pl.col(name) if name == "rec_id" else pl.lit(None)).cast(kind).alias(name)
                for name, kind in table.stored.items()
            ))
        (left,) = (tmp_path / "lake" / "silver").rglob("*.parquet")
        (report,) = maintain.run(lake)
        assert (left.exists(), report.extra["leftovers"]) == (True, 0)
        os.utime(left, (0, 0))
        (report,) = maintain.run(lake)
        assert (left.exists(), report.extra["leftovers"]) == (False, 1)
