"""`ops.runs` as many tasks write it at once, and as one that looks again and again sees it."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

from jobs.batch import StageReport
from jobs.layers import Layer
from jobs.settings import Settings
from jobs.stages import maintain
from jobs.storage.tables import MANY_FILES, Lake

WRITERS = 5


def _report(batch: str) -> StageReport:
    return StageReport("land", "department/dataset", batch)


def _first_record(root: Path, number: int, start: Barrier) -> None:
    with Lake.open(Settings(root=root)) as lake:
        start.wait()
        lake.record(_report(f"batch-{number}"))


def test_tasks_that_make_the_table_at_the_same_time_all_get_their_record_in(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(WRITERS)
    writers = [context.Process(target=_first_record, args=(tmp_path, number, start)) for number in range(WRITERS)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert [one.exitcode for one in writers] == [0] * WRITERS
    with Lake.open(Settings(root=tmp_path)) as lake:
        assert set(lake.runs()["batch"]) == {f"batch-{number}" for number in range(WRITERS)}


def test_a_lake_that_looked_before_sees_what_others_recorded_since(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    with Lake.open(settings) as one, Lake.open(settings) as other:
        assert one.runs().is_empty()
        for number in range(MANY_FILES):
            other.record(_report(f"batch-{number}"))
            assert one.runs()["batch"].to_list() == [f"batch-{n}" for n in range(number + 1)]
        with other.writing("ops.runs"):
            other.compact(Layer.OPS, "runs")
        one.record(_report("after"))
        seen = one.runs()["batch"].to_list()
        assert seen == other.runs()["batch"].to_list()
        assert seen == [*(f"batch-{n}" for n in range(MANY_FILES)), "after"]


def test_maintaining_goes_on_where_a_leftover_is_gone_before_it_is_looked_at(tmp_path: Path) -> None:
    staging = tmp_path / "ops/staging"
    staging.mkdir(parents=True)
    (staging / "conform-of-another").symlink_to(tmp_path / "nowhere")  # listed, and not there any more
    with Lake.open(Settings(root=tmp_path)) as lake:
        assert maintain.run(lake)[0].outcome == "done"
