"""A landed batch whose manifest is damaged is named with its remedy, and everything else goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs import layers
from jobs.cli import app
from jobs.errors import DamagedBatchError, LakeError
from jobs.layers import Layer
from jobs.operation import tasks
from jobs.releases import approvals
from jobs.settings import Settings
from jobs.stages import conform, give_back, land, load, publish, retract
from jobs.stages.land import MANIFEST
from jobs.storage.tables import Lake
from tests.releases.conftest import put_gold, visits, write_schemas
from tests.stages.test_repairs import BAD, DATASET, GOOD


def files_of(file: Path, *files: dict[str, object]) -> None:
    """Say other files in a manifest."""
    told = {**json.loads(file.read_text(encoding="utf-8")), "files": list(files)}
    file.write_text(json.dumps(told), encoding="utf-8")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a cut manifest": lambda file: file.write_bytes(file.read_bytes()[:90]),
    "an empty manifest": lambda file: file.write_bytes(b""),
    "other bytes": lambda file: file.write_bytes(bytes(range(128, 256))),
    "another document": lambda file: file.write_text('["张三丰"]', encoding="utf-8"),
    "a manifest without files": lambda file: file.write_text(
        json.dumps({**json.loads(file.read_text(encoding="utf-8")), "files": []}), encoding="utf-8"),
    "the manifest of another day": lambda file: file.write_text(
        file.read_text(encoding="utf-8").replace("-01-11", "-01-12"), encoding="utf-8"),
    "two files without digests": lambda file: files_of(
        file, *({"name": one, "bytes": 1, "sha256": None} for one in "ab")),
    "digests of two kinds": lambda file: files_of(
        file, *({"name": "a", "bytes": 1, "sha256": one} for one in ("0" * 64, 5))),
    "a size that is a text": lambda file: files_of(
        file, {**json.loads(file.read_text(encoding="utf-8"))["files"][0], "bytes": "1"}),
    "brackets without an end": lambda file: file.write_text("[" * 100_000, encoding="utf-8"),
    "no manifest": Path.unlink,
    "no folder": lambda file: file.parent.rename(file.parents[4] / "away"),
}


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """Return a lake in which three deliveries of one dataset have landed."""
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("LAKE_RAW", str(tmp_path / "raw"))
    with Lake.open() as lake:
        for day in (10, 11, 12):
            deliver(lake, tmp_path, day)
        yield lake


def deliver(lake: Lake, folder: Path, day: int, more: str = "") -> str:
    """Land a delivery of one good row and two bad ones; return its batch."""
    rows = [{**row, "登记编号": f"{row['登记编号']}-{day}{more}"} for row in (GOOD, *BAD)]
    file = folder / f"deaths_202601{day}{more}.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return land.run(lake, DATASET, files=[file], data_date=date(2026, 1, day))[0].batch


def manifest(lake: Lake, batch: str) -> Path:
    return lake.settings.home / layers.landing_path(DATASET, batch) / MANIFEST


def silver(lake: Lake) -> dict[str, int]:
    counted = lake.scan(Layer.SILVER, DATASET).collect()["_batch_id"].value_counts()
    return dict(counted.iter_rows())


def call(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.stdout, str(done.exception) if isinstance(done.exception, LakeError) else done.stderr


@pytest.mark.parametrize("how", DAMAGES)
def test_the_damaged_batch_is_named_and_the_others_go_on_until_it_is_put_back(lake: Lake, how: str) -> None:
    one, two, three = (batch.id for batch in lake.batches(DATASET))
    whole = manifest(lake, two).read_bytes()
    DAMAGES[how](manifest(lake, two))
    with pytest.raises(DamagedBatchError) as refused:
        load.run(lake, DATASET)
    for said in (DATASET, f"batch {two}: {MANIFEST}", "Remedy: put it back", f"lake run load {DATASET} --batch {two}",
                 f"lake retract {DATASET} --batch {two}"):
        assert said in str(refused.value)
    assert "张三丰" not in str(refused.value)
    assert [report.outcome for report in conform.run(lake, DATASET)] == ["done", "done"]
    assert silver(lake) == {one: 1, three: 1}
    assert load.run(lake, DATASET) == []  # it stops no later run either
    if how == "no folder":
        (lake.settings.home / "away").rename(manifest(lake, two).parent)
    manifest(lake, two).write_bytes(whole)
    assert [report.outcome for report in load.run(lake, DATASET, batch=two)] == ["done"]
    assert [report.outcome for report in conform.run(lake, DATASET)] == ["done"]
    assert silver(lake) == {one: 1, two: 1, three: 1}


def test_a_manifest_that_is_damaged_after_loading_stops_only_its_own_batch(lake: Lake) -> None:
    one, two, three = (batch.id for batch in lake.batches(DATASET))
    load.run(lake, DATASET)
    whole = manifest(lake, one).read_bytes()
    DAMAGES["a cut manifest"](manifest(lake, one))
    with pytest.raises(DamagedBatchError, match=f"lake run conform {DATASET} --batch {one}"):
        conform.run(lake, DATASET)
    assert silver(lake) == {two: 1, three: 1}
    manifest(lake, one).write_bytes(whole)
    conform.run(lake, DATASET, batch=one)
    assert silver(lake) == {one: 1, two: 1, three: 1}


def test_a_batch_whose_folder_is_gone_after_all_was_judged_is_named_not_forgotten(lake: Lake) -> None:
    for stage in (load, conform):
        stage.run(lake, DATASET)
    two = lake.batches(DATASET)[1]
    DAMAGES["no folder"](manifest(lake, two.id))
    batches = lake.batches(DATASET)
    assert [(batch.id, batch.damage) for batch in batches][1:2] == [(two.id, "is gone")]
    assert (len(batches), batches[1].data_date) == (3, two.data_date)
    code, told, said = call("batches", DATASET, "--json")
    assert (code, json.loads(told)[1]["outcome"], f"batch {two.id}" in said) == (1, "damaged", True)
    assert [batch.id for batch in lake.batches(DATASET, without={two.id})] == [batches[0].id, batches[2].id]


def test_every_damaged_batch_is_named_by_one_error_and_listed(lake: Lake) -> None:
    one, two, three = (batch.id for batch in lake.batches(DATASET))
    for batch in (one, three):
        DAMAGES["a cut manifest"](manifest(lake, batch))
    code, _, said = call("run", "load", DATASET)
    assert (code, one in said, two in said, three in said) == (1, True, False, True)
    code, told, said = call("batches", DATASET, "--json")
    assert {row["batch"]: row["outcome"] for row in json.loads(told)} == {one: "damaged", two: "done", three: "damaged"}
    assert (code, f"lake run load {DATASET} --batch {one}" in said, two in said) == (1, True, False)
    assert call("retract", DATASET, "--batch", one)[0] == 0
    code, told, said = call("batches", DATASET, "--json")
    assert json.loads(told)[0]["outcome"] == "retracted"
    assert (code, one in said, three in said) == (1, False, True)


@pytest.mark.parametrize("how", ["an empty manifest", "a manifest without files", "no manifest", "no folder"])
def test_a_damaged_batch_is_made_whole_by_its_own_bytes_delivered_again(lake: Lake, tmp_path: Path, how: str) -> None:
    two = lake.batches(DATASET)[1]
    file = tmp_path / "deaths_20260111.jsonl"
    for given in ({}, {"data_date": date(2026, 1, 11)}):
        DAMAGES[how](manifest(lake, two.id))
        (report,) = land.run(lake, DATASET, files=[file], **given)
        assert (report.batch, report.outcome, "whole again" in report.notes[0]) == (two.id, "known", True)
        again = lake.batches(DATASET)[1]
        assert (again.id, again.damage, again.data_date, again.files) == (two.id, None, two.data_date, two.files)
        if how == "no folder":
            (lake.settings.home / "away").rename(tmp_path / f"away{len(given)}")
    code, _, said = call("ingest", DATASET, str(file))
    assert (code, silver(lake)) == (0, {two.id: 1}), said


def test_a_damaged_batch_of_which_other_bytes_lie_there_is_a_failure_and_deliveries_go_on(
    lake: Lake, tmp_path: Path
) -> None:
    two = lake.batches(DATASET)[1].id
    DAMAGES["an empty manifest"](manifest(lake, two))
    kept = manifest(lake, two).parent / "deaths_20260111.jsonl"
    kept.write_bytes(kept.read_bytes() + b"\n")
    file = tmp_path / "deaths_20260111.jsonl"
    with pytest.raises(DamagedBatchError, match=f"batch {two}: {MANIFEST}.*Remedy: put it back.*deliver it again"):
        land.run(lake, DATASET, files=[file])
    box = lake.settings.drop_box / "civil_affairs"
    box.mkdir(parents=True)
    file.rename(box / file.name)
    (box / "deaths_20260114.jsonl").write_text(json.dumps(GOOD, ensure_ascii=False) + "\n", encoding="utf-8")
    for _ in range(2):  # it fails until it is mended
        with pytest.raises(DamagedBatchError, match=f"batch {two}"):
            land.run(lake, DATASET)
    assert [str(batch.data_date) for batch in lake.batches(DATASET) if not batch.damage][-1] == "2026-01-14"
    assert manifest(lake, two).read_bytes() == b""
    for how in ("a cut manifest", "no manifest"):
        DAMAGES[how](manifest(lake, two))
        code, _, said = call("delivered", DATASET, "--batch", two, "--out", str(tmp_path / "out"))
        assert (code, "put it back from a copy" in said) == (1, True)


def test_rejected_rows_are_given_back_and_withdrawn_beside_a_damaged_batch(lake: Lake) -> None:
    one, two, three = (batch.id for batch in lake.batches(DATASET))
    for stage in (load, conform):
        stage.run(lake, DATASET)
    DAMAGES["no manifest"](manifest(lake, two))
    assert [(report.batch, report.quarantined) for report in give_back.run(lake, DATASET)] == [
        (one, 2), (two, 2), (three, 2)]
    assert [report.outcome for report in retract.run(lake, DATASET, batch=two)] == ["retracted"]
    assert silver(lake) == {one: 1, three: 1}


def test_a_backfill_of_a_day_takes_the_sound_batches_of_it(lake: Lake, tmp_path: Path) -> None:
    damaged, sound = lake.batches(DATASET)[1].id, deliver(lake, tmp_path, 11, more="0")
    DAMAGES["a cut manifest"](manifest(lake, damaged))
    final = import_module("airflow.sdk.exceptions").AirflowFailException
    with pytest.raises(final, match=f"{damaged}.*Remedy"):
        tasks.perform("load", DATASET, data_date=date(2026, 1, 11))
    assert lake.judged("load", DATASET)[sound]["outcome"] == "done"
    assert [one["batch"] for one in tasks.perform("conform", DATASET, data_date=date(2026, 1, 11))] == [sound]
    retract.run(lake, DATASET, batch=sound)
    skipped = import_module("airflow.sdk.exceptions").AirflowSkipException
    with pytest.raises(skipped):  # only the refused one is left of that day
        tasks.perform("conform", DATASET, data_date=date(2026, 1, 11))


def test_a_release_that_stands_on_a_damaged_batch_is_refused_with_its_name(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path / "house", schemas=write_schemas(tmp_path / "schemas"))
    with Lake.open(settings) as lake:
        file = tmp_path / "visits.csv"
        file.write_text("身份证号,区划,性别,出生日期,备注,费用\n11010519491231002X,110105,女,1949-12-31,,1\n", "utf-8")
        batch = land.run(lake, "health/visits", files=[file])[0].batch
        for stage in (load, conform):
            stage.run(lake, "health/visits")
        approvals.approve(lake, "health/visits", by="officer@city.example")
        put_gold(lake, visits())
        place = settings.home / layers.landing_path("health/visits", batch) / MANIFEST
        whole = place.read_bytes()
        place.write_bytes(whole[:90])
        with pytest.raises(DamagedBatchError, match=f"batch {batch}.*Remedy: put it back"):
            publish.run(lake, "health/visits", approved_by="officer")
        place.write_bytes(whole)
        assert publish.run(lake, "health/visits", approved_by="officer")[0].outcome == "done"
