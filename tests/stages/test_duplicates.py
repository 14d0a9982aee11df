"""Equal rows of one delivery: one of them counts, the first by file and row, wherever the others are."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from jobs.benchmark import lake as declared
from jobs.layers import Layer
from jobs.settings import Settings
from jobs.stages import conform, land, load
from jobs.storage.batch_tables import SLICE_ROWS
from jobs.storage.tables import Lake

DATASET = "ps/extract"
KEY, WRONG = "11010519491231002X", "110105194912310021"
MANY = SLICE_ROWS + 10  # rows of the first file, so that it is judged in two slices


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake's folder with one loaded delivery of two files."""
    folder = tmp_path_factory.mktemp("duplicates")
    pl.DataFrame({"division": ["110105"], "name": ["某区"]}).write_parquet(folder / "ref_division.parquet")
    schemas = declared.declared(folder, folder / "schemas")

    def write(name: str, numbers: list[int], wrong: set[int]) -> Path:
        rows = {
            "rec_id": numbers, "raw_id": [WRONG if place in wrong else KEY for place in range(len(numbers))],
            "update_ts": [1_767_225_600] * len(numbers),
        }
        pl.DataFrame(rows).write_parquet(folder / f"part-20260105-{name}.parquet")
        return folder / f"part-20260105-{name}.parquet"

    first = [*range(MANY - 2), 3, 4]  # two rows of the second slice are said in the first slice
    second = [3, MANY, MANY, MANY + 1, MANY + 1]  # one is said in the other file, two here; of those two are wrong
    files = [write("a", first, set()), write("b", second, {3, 4})]
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
