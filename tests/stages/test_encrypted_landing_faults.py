"""What may go wrong with encrypted landing, and what is said and left then."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from jobs import layers
from jobs.cli import app
from jobs.errors import ConflictError, DamagedBatchError, GoneError, RequestError, SourceError, StorageError
from jobs.layers import Layer
from jobs.privacy import envelopes
from jobs.settings import Settings
from jobs.stages import land, landed, load
from jobs.storage.objects import Folder, copy_in
from jobs.storage.sealed import new_key
from jobs.storage.spreading import spread
from jobs.storage.tables import Lake
from jobs.synthesis import city
from tests.stages.encrypted import files_below, keyed_lake, lying, opened, place_of

WORKBOOK, LINES = "civil_affairs/marriage_registrations", "civil_affairs/deaths"
LEASE = f"ops/leases/landing.{layers.slug(LINES)}.json"


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One day's drop boxes of a small city."""
    out = tmp_path_factory.mktemp("city")
    city.write(300, 1, 7, out, Settings().schemas / "codes", None, [LINES, WORKBOOK])
    return out / "raw"


@pytest.mark.parametrize("what", ["file", "envelope"])
def test_a_damaged_batch_is_refused_and_the_others_are_loaded(tmp_path: Path, deliveries: Path, what: str) -> None:
    root, file = tmp_path / "lake", next((deliveries / "civil_affairs").glob("deaths_*"))
    with opened(root, deliveries) as lake:
        keyed_lake(lake)
        for day in (1, 2, 3):
            land.run(lake, LINES, files=[file], data_date=date(2026, 3, day))
        first, *others = lake.batches(LINES)
        if what == "file":
            kept = root / place_of(first) / file.name
            kept.write_bytes(kept.read_bytes()[:-1] + b"x")
        else:
            manifest = root / layers.landing_path(LINES, first.id) / land.MANIFEST
            assert first.envelope is not None
            manifest.write_text(replace(first, envelope=replace(first.envelope, wrapped="AAAA")).to_json())
        with pytest.raises(DamagedBatchError, match=f"Remedy.*lake retract {LINES} --batch {first.id}") as refused:
            load.run(lake, LINES)
        assert [report.outcome for report in refused.value.reports] == ["refused", "done", "done"]
        assert {one["outcome"] for name, one in lake.judged("load", LINES).items() if name != first.id} == {"done"}
        assert lake.scan(Layer.BRONZE, LINES).collect()["_batch_id"].n_unique() == len(others) == 2
        assert load.run(lake, LINES) == []


def test_the_key_was_in_the_manifest_so_that_only_a_batch_that_is_wholly_gone_is_made_anew_by_its_bytes(
    tmp_path: Path, deliveries: Path
) -> None:
    root, file = tmp_path / "lake", next((deliveries / "civil_affairs").glob("deaths_*"))
    with opened(root, deliveries) as lake:
        keyed_lake(lake)
        land.run(lake, LINES, files=[file])
        (batch,) = lake.batches(LINES)
        place = layers.landing_path(LINES, batch.id)
        lake.objects.remove(place / land.MANIFEST)
        before = files_below(root / place)
        with pytest.raises(DamagedBatchError, match=f"batch {batch.id}.*put it back"):
            land.run(lake, LINES, files=[file])
        assert files_below(root / place) == before
        lake.objects.remove(place)
        land.run(lake, LINES, files=[file])
        (again,) = lake.batches(LINES)
        assert (again.id, again.damage, again.files) == (batch.id, None, batch.files)
        assert [report.outcome for report in load.run(lake, LINES)] == ["done"]


@pytest.mark.parametrize("much", [False, True])
def test_no_more_plain_copies_lie_about_than_are_being_read(
    tmp_path: Path, deliveries: Path, monkeypatch: pytest.MonkeyPatch, much: bool
) -> None:
    passing, seen = tmp_path / "tmp", []
    passing.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(passing))
    first = next((deliveries / "civil_affairs").glob("marriage_registrations_*"))
    second = tmp_path / f"again_{first.name}"
    shutil.copy(first, second)

    def looking(lake: Lake, task: Any, parts: Any, *given: Any, **named: Any) -> pl.DataFrame:
        seen.append(sum(path.suffix == ".xlsx" for path in passing.rglob("*")))
        return spread(lake, task, parts, *given, **{**named, "engine": False})

    monkeypatch.setattr(load, "spread", looking)
    with opened(tmp_path / "lake", deliveries, engine_rows=0 if much else 1_000_000) as lake:
        land.run(keyed_lake(lake), WORKBOOK, files=[first, second], data_date=date(2026, 3, 1))
        report = load.run(lake, WORKBOOK)[0]
        assert report.delivered == lake.scan(Layer.BRONZE, WORKBOOK).collect().height > 1
        assert lake.scan(Layer.BRONZE, WORKBOOK).collect()["_source_file"].n_unique() == 2
    assert seen == ([0] if much else [1, 1])
    assert not list(passing.iterdir())


@pytest.mark.parametrize("keyed", [False, True])
def test_a_landed_file_that_is_gone_says_so(tmp_path: Path, deliveries: Path, keyed: bool) -> None:
    with opened(tmp_path / "lake", deliveries) as lake:
        for dataset in (LINES, WORKBOOK):
            land.run(keyed_lake(lake) if keyed and dataset is LINES else lake, dataset)
            batch, contract = lake.batches(dataset)[0], lake.catalogue.contract(dataset)
            (tmp_path / "lake" / place_of(batch) / batch.files[0].name).unlink()
            with pytest.raises(DamagedBatchError, match=f"{batch.files[0].name}: the landed file is gone.*Remedy"):
                load.run(lake, dataset)
            with pytest.raises(DamagedBatchError, match=r"the landed file is gone.*Remedy"):
                landed.write_out(lake, contract, batch.id, tmp_path / "out")


@pytest.mark.minio
def test_a_landed_object_that_is_gone_says_so(tmp_path: Path, deliveries: Path, bucket_lake: str) -> None:
    with opened(tmp_path / "machine", deliveries) as lake:
        land.run(keyed_lake(lake), LINES)
        place = place_of(lake.batches(LINES)[0]) / lake.batches(LINES)[0].files[0].name
        lake.objects.remove(place)
        with pytest.raises(GoneError, match=r"not there any more.*Remedy"), lake.objects.location(place).local():
            pass
        with pytest.raises(DamagedBatchError, match=r"the landed file is gone.*Remedy"):
            load.run(lake, LINES)


def test_what_the_machine_refuses_is_an_error_of_the_lakes_with_a_remedy(
    tmp_path: Path, deliveries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "lake", deliveries) as lake:
        land.run(keyed_lake(lake), WORKBOOK)
        batch, contract = lake.batches(WORKBOOK)[0], lake.catalogue.contract(WORKBOOK)
        (tmp_path / "file").write_bytes(b"")
        for out in (tmp_path / "file", tmp_path / "file/below"):
            with pytest.raises(RequestError, match=r"this is a file.*Remedy: name a folder"):
                landed.write_out(lake, contract, batch.id, out)
        with pytest.raises(StorageError, match=r"Remedy"):
            landed.write_out(lake, contract, batch.id, Path("/proc/nothing"))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        with pytest.raises(StorageError, match=r"the machine refuses \(ENOENT\).*Remedy") as refused:
            load.run(lake, WORKBOOK)
        assert not isinstance(refused.value, DamagedBatchError)  # the machine's fault: the batch still waits
        monkeypatch.undo()
        assert [report.outcome for report in load.run(lake, WORKBOOK)] == ["done"]


@pytest.mark.parametrize("landed_before", [False, True])
def test_a_lost_key_lets_no_dataset_land_plain(
    tmp_path: Path, deliveries: Path, landed_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "lake"))
    if landed_before:
        with opened(tmp_path / "lake", deliveries) as lake:
            land.run(keyed_lake(lake), LINES)
    else:
        assert CliRunner().invoke(app, ["keys", "new", envelopes.PURPOSE]).exit_code == 0
    shutil.rmtree(tmp_path / "lake/keys" / envelopes.PURPOSE)
    with opened(tmp_path / "lake", deliveries) as lake:
        with pytest.raises(StorageError, match=r"the purpose has no key; nothing was done.*Remedy"):
            land.run(lake, WORKBOOK)  # of which no batch is under a key
        assert lake.batches(WORKBOOK) == []


def test_a_manifest_that_lost_its_envelope_or_names_another_cipher_is_what_is_blamed(
    tmp_path: Path, deliveries: Path
) -> None:
    with opened(tmp_path / "lake", deliveries) as lake:
        for dataset in (LINES, WORKBOOK):
            land.run(keyed_lake(lake) if dataset is LINES else lake, dataset)
            batch = lake.batches(dataset)[0]
            assert batch.envelope is not None
            place = tmp_path / "lake" / layers.landing_path(dataset, batch.id)
            manifest, right = place / land.MANIFEST, (place / land.MANIFEST).read_text(encoding="utf-8")
            told = json.loads(right)
            told["envelope"]["cipher"] = "AES-GCM"
            manifest.write_text(json.dumps(told), encoding="utf-8")
            with pytest.raises(DamagedBatchError, match=r"names a cipher other than SM4-GCM.*Remedy"):
                load.run(lake, dataset, batch=batch.id)
            told["envelope"] = {**json.loads(right)["envelope"], "later": "versions say more"}
            manifest.write_text(json.dumps(told), encoding="utf-8")
            assert lake.batches(dataset) == [batch]
            del told["envelope"]
            manifest.write_text(json.dumps(told), encoding="utf-8")
            with pytest.raises(DamagedBatchError, match=r"gone from where the manifest says.*Remedy.*_manifest.json"):
                load.run(lake, dataset, batch=batch.id)
            for file in batch.files:  # a manifest may say of no folder
                (tmp_path / "lake" / place_of(batch) / file.name).rename(place / file.name)
            with pytest.raises(DamagedBatchError, match=r"manifest says nothing of it.*Remedy.*_manifest.json"):
                load.run(lake, dataset, batch=batch.id)


def test_an_unreadable_file_under_a_key_is_had_by_a_command_and_a_damaged_one_is_named_once(
    tmp_path: Path, deliveries: Path
) -> None:
    with opened(tmp_path / "lake", deliveries) as lake:
        odd = tmp_path / "deaths_20260401.jsonl"
        odd.write_bytes(b"")
        land.run(keyed_lake(lake), LINES, files=[odd])
        batch = lake.batches(LINES)[0]
        command = f"lake delivered {LINES} --batch {batch.id} --out FOLDER"
        with pytest.raises(SourceError, match=command) as refused:
            load.run(lake, LINES)
        assert "landing/" not in str(refused.value)
        land.run(lake, LINES)
        batch = lake.batches(LINES)[0]
        kept = tmp_path / "lake" / place_of(batch) / batch.files[0].name
        kept.write_bytes(kept.read_bytes()[:-1] + b"x")
        with pytest.raises(DamagedBatchError) as damaged:
            load.run(lake, LINES, batch=batch.id)
        assert damaged.value.where == batch.files[0].name


class _Stalled(Folder):
    """A store in which a landing stands still before its files come in, so that its lease goes to another."""

    def place(self, *given: Any, **named: Any) -> None:
        self.write(LEASE, json.dumps({**json.loads(self.read(LEASE)), "id": "another"}).encode())
        super().place(*given, **named)


@pytest.mark.parametrize("keyed", [False, True])
def test_a_landing_that_lost_its_lease_leaves_nothing_and_the_next_one_lands(
    tmp_path: Path, deliveries: Path, keyed: bool
) -> None:
    with opened(tmp_path / "lake", deliveries) as lake:
        if keyed:
            keyed_lake(lake)
        lake.objects = _Stalled(lake.settings.home)
        with pytest.raises(ConflictError, match="lost its lease"):
            land.run(lake, LINES)
        assert not [path for path in files_below(tmp_path / "lake") if path.name == land.MANIFEST]
        lake.objects.remove(LEASE)
    with opened(tmp_path / "lake", deliveries) as lake:
        assert [report.outcome for report in land.run(lake, LINES)] == ["done"]
        assert len(lying(lake, lake.batches(LINES)[0])) == 1


@pytest.mark.parametrize("store", ["folder", pytest.param("bucket", marks=pytest.mark.minio)])
def test_two_landings_of_the_same_bytes_do_not_mix_their_keys(
    tmp_path: Path, deliveries: Path, store: str, request: pytest.FixtureRequest
) -> None:
    if store == "bucket":
        request.getfixturevalue("bucket_lake")
    with opened(tmp_path / "lake", deliveries) as lake:
        land.run(keyed_lake(lake), LINES)
        batch, key = lake.batches(LINES)[0], lake.key_ring.current(envelopes.PURPOSE)
        late = envelopes.BatchKey(new_key(), key)
        wanted = landed.write_out(lake, lake.catalogue.contract(LINES), batch.id, tmp_path / "before")[0].read_bytes()
        with lake.objects.assembly(layers.landing_path(LINES)) as part:
            for file in batch.files:
                copy_in(tmp_path / "before" / file.name, part / file.name, late.seal)
            with pytest.raises(ConflictError, match="another run"):
                land._keep(lake, replace(batch, envelope=None), part, late)
        found = landed.write_out(lake, lake.catalogue.contract(LINES), batch.id, tmp_path / "after")[0].read_bytes()
        assert found == wanted
        assert len(lake.objects.states(layers.landing_path(LINES, batch.id))) == 2
