"""Landing under a key: the same lake, batch for batch, and nothing plain where delivered bytes are kept for ever."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import openpyxl
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from jobs import layers
from jobs.batch import Batch
from jobs.cli import app
from jobs.errors import ConflictError, DamagedBatchError, GoneError, RequestError, SourceError, StorageError
from jobs.layers import Layer
from jobs.privacy import envelopes
from jobs.privacy.keyring import KeyRing
from jobs.settings import Settings
from jobs.stages import conform, give_back, land, landed, load, mending
from jobs.storage.buckets import Bucket
from jobs.storage.objects import Folder, copy_in
from jobs.storage.readers import Limits, read
from jobs.storage.reading.pieces import plan
from jobs.storage.sealed import MAGIC, SealedPath, new_key
from jobs.storage.spreading import spread
from jobs.storage.tables import Lake
from jobs.synthesis import city
from tests.object_store import Server
from tests.stages.mortal import KILLED, live
from tests.stages.states import state

CSV, WORKBOOK, LINES = (
    "public_security/household_register", "civil_affairs/marriage_registrations", "civil_affairs/deaths",
)
DATABASE = "social_security/social_insurance"
LEASE = f"ops/leases/landing.{layers.slug(LINES)}.json"
SOME = [CSV, WORKBOOK, LINES, DATABASE]


@pytest.fixture(scope="module")
def every_dataset() -> list[str]:
    """Every dataset that a city delivers: every reader there is for files."""
    with Lake.open(Settings()) as lake:
        return sorted(one.name for one in lake.catalogue.datasets() if one.source and not one.source.url)


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory, every_dataset: list[str]) -> Path:
    """One day's drop boxes of a small city."""
    out = tmp_path_factory.mktemp("city")
    city.write(300, 1, 7, out, Settings().schemas / "codes", None, every_dataset)
    return out / "raw"


def _open(folder: Path, deliveries: Path, **more: Any) -> Any:
    return Lake.open(Settings(root=folder, raw=deliveries, **more))


def _keyed(lake: Lake) -> Lake:
    lake.key_ring.new(envelopes.PURPOSE)
    return lake


def _take(lake: Lake, datasets: list[str], *, judge: bool = True) -> None:
    for dataset in datasets:
        land.run(lake, dataset)
        with suppress(SourceError):  # of so few people some datasets have no record, and that is refused
            load.run(lake, dataset)
        if judge:
            conform.run(lake, dataset)


def _kept(lake: Lake, batch: Batch) -> dict[str, bytes]:
    """Return what lies in landing of a batch's files."""
    folder = _place(batch)
    return {file.name: lake.objects.read(folder / file.name) for file in batch.files}


def _place(batch: Batch) -> PurePosixPath:
    return layers.landing_path(batch.dataset, batch.id) / (batch.envelope.folder if batch.envelope else "")


def _written(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_reader_reads_encrypted_files_and_the_lake_is_the_same(
    tmp_path: Path, deliveries: Path, every_dataset: list[str]
) -> None:
    with _open(tmp_path / "plain", deliveries) as lake:
        _take(lake, every_dataset, judge=False)
        wanted = state(lake, every_dataset)
        assert len(wanted) > len(every_dataset) - 4
        ids = {name: [batch.id for batch in lake.batches(name)] for name in every_dataset}
    with _open(tmp_path / "keyed", deliveries) as lake:
        _take(_keyed(lake), every_dataset, judge=False)
        assert state(lake, every_dataset) == wanted
        assert {name: [batch.id for batch in lake.batches(name)] for name in every_dataset} == ids
        assert len({lake.catalogue.contract(name).source.reader for name in every_dataset}) > 7
        keys = set()
        for name in every_dataset:
            for batch in lake.batches(name):
                assert all(found.startswith(MAGIC) for found in _kept(lake, batch).values())
                keys.add(envelopes.opened(lake.key_ring, batch))
                told = landed.write_out(lake, lake.catalogue.contract(name), batch.id, tmp_path / "out" / name)
                assert [file.stat().st_size for file in told] == [file.bytes for file in batch.files]
        assert len(keys) == sum(map(len, ids.values()))
        assert not [path for path in (tmp_path / "keyed/ops/staging").rglob("*") if path.is_file()]
    out = next((tmp_path / "out" / CSV).iterdir())
    assert out.read_bytes() == (deliveries / "public_security" / out.name).read_bytes()
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.minio
def test_in_buckets_it_is_the_same_and_each_machine_needs_the_master_key(
    tmp_path: Path, deliveries: Path, bucket_lake: str, minio: Server
) -> None:
    with _open(tmp_path / "folder", deliveries, storage=None) as lake:
        _take(lake, SOME)
        wanted = state(lake, SOME)
    with _open(tmp_path / "machine", deliveries) as lake:
        assert isinstance(lake.objects, Bucket)
        _take(_keyed(lake), SOME)
        assert state(lake, SOME) == wanted
        for name in SOME:
            assert all(found.startswith(MAGIC) for one in lake.batches(name) for found in _kept(lake, one).values())
        batch = lake.batches(CSV)[0]
        load.run(lake, CSV, batch=batch.id)
    with _open(tmp_path / "another", deliveries) as lake, pytest.raises(StorageError, match="master key is not there"):
        load.run(lake, CSV, batch=batch.id)
    with _open(tmp_path / "machine", deliveries) as lake:
        assert state(lake, SOME) == wanted


def test_the_engines_workers_read_encrypted_files(tmp_path: Path, deliveries: Path, engine: str) -> None:
    with _open(tmp_path / "plain", deliveries) as lake:
        _take(lake, SOME, judge=False)
        wanted = state(lake, SOME)
    with _open(tmp_path / "keyed", deliveries, spark=engine, engine_rows=0) as lake:
        _take(_keyed(lake), SOME, judge=False)
        assert state(lake, SOME) == wanted


def test_a_large_csv_is_read_in_pieces_without_a_plain_copy(tmp_path: Path, deliveries: Path) -> None:
    with _open(tmp_path / "keyed", deliveries) as lake:
        land.run(_keyed(lake), CSV)
        batch, contract = lake.batches(CSV)[0], lake.catalogue.contract(CSV)
        with landed.files(lake, batch, contract.source)[0].local() as path:
            assert isinstance(path, SealedPath)
            pieces = plan(path, contract.source, 4_000)
            assert len(pieces) > 2
            cut = [row for one in pieces for part in read(path, contract, Limits(), one) for row in part.to_pylist()]
            whole = [row for part in read(path, contract, Limits()) for row in part.to_pylist()]
        assert cut == whole
    plain = next((deliveries / "public_security").glob("household_register_*"))
    assert whole == [row for part in read(plain, contract, Limits()) for row in part.to_pylist()]


def test_the_same_bytes_are_the_known_batch_whatever_they_are_kept_under(tmp_path: Path, deliveries: Path) -> None:
    with _open(tmp_path / "lake", deliveries) as lake:
        file = next((deliveries / "civil_affairs").glob("deaths_*"))
        plain = land.run(lake, LINES, files=[file])[0]
        _keyed(lake)
        again = land.run(lake, LINES, files=[file])[0]
        assert (plain.outcome, again.outcome, again.batch) == ("done", "known", plain.batch)
        later = tmp_path / file.name
        later.write_bytes(file.read_bytes()[:-1])  # without the last line end it is another delivery
        first = land.run(lake, LINES, files=[later])[0]
        assert land.run(lake, LINES, files=[later])[0].outcome == "known"
        lake.key_ring.rotate(envelopes.PURPOSE)
        assert land.run(lake, LINES, files=[later])[0].outcome == "known"
        latest = tmp_path / f"other/{file.name}"
        latest.parent.mkdir()
        latest.write_bytes(file.read_bytes() + b"\n")
        last = land.run(lake, LINES, files=[latest])[0]
        found = {batch.id: batch.envelope for batch in lake.batches(LINES)}
        ring = {key.id: key.number for key in lake.key_ring.every() if key.purpose == envelopes.PURPOSE}
        assert found[plain.batch] is None
        assert [ring[found[one.batch].key] for one in (first, last)] == [1, 2]
        loaded = load.run(lake, LINES)
        assert {report.batch for report in loaded} == {plain.batch, first.batch, last.batch}
        assert len({report.delivered for report in loaded}) == 1
        assert load.run(lake, LINES, batch=first.batch)[0].delivered == loaded[0].delivered


def test_without_the_right_key_nothing_is_taken_or_read_and_nothing_is_lost(tmp_path: Path, deliveries: Path) -> None:
    root, away = tmp_path / "lake", tmp_path / "away"
    with _open(root, deliveries) as lake:
        _take(_keyed(lake), [LINES])
        wanted, batch = state(lake, [LINES]), lake.batches(LINES)[0].id
    other = tmp_path / "deaths_20260401.jsonl"
    shutil.copy(next((deliveries / "civil_affairs").glob("deaths_*")), other)
    for gone, said in (("keys/landing", "no key"), ("keys/master.key", "master key is not there")):
        (root / gone).rename(away)
        before = _written(root / "landing")
        with _open(root, deliveries) as lake, pytest.raises(StorageError, match=f"{said}.*Remedy"):
            land.run(lake, LINES, files=[other])
        with _open(root, deliveries) as lake, pytest.raises(StorageError, match=r"nothing was done.*Remedy"):
            load.run(lake, LINES, batch=batch)
        assert _written(root / "landing") == before
        away.rename(root / gone)
    master = (root / "keys/master.key").read_bytes()
    (root / "keys/master.key").chmod(0o600)
    (root / "keys/master.key").write_bytes(bytes(16))
    with _open(root, deliveries) as lake, pytest.raises(StorageError, match="does not open with this master key"):
        land.run(lake, LINES, files=[other])
    (root / "keys/master.key").write_bytes(master)
    with _open(root, deliveries) as lake:
        load.run(lake, LINES, batch=batch)
        conform.run(lake, LINES, batch=batch)
        assert state(lake, [LINES]) == wanted
        assert land.run(lake, LINES, files=[other])[0].outcome == "done"


def test_an_envelope_opens_for_its_own_batch_and_a_damaged_file_is_named(tmp_path: Path, deliveries: Path) -> None:
    root = tmp_path / "lake"
    with _open(root, deliveries) as lake:
        for dataset in (LINES, CSV):
            land.run(lake if lake.key_ring.has(envelopes.PURPOSE) else _keyed(lake), dataset)
        one, two = lake.batches(LINES)[0], lake.batches(CSV)[0]
        manifest = root / layers.landing_path(LINES, one.id) / land.MANIFEST
        right = manifest.read_bytes()
        told = json.loads(right)
        assert told["envelope"] == {
            "cipher": "SM4-GCM", "key": one.envelope.key, "wrapped": one.envelope.wrapped,
            "folder": one.envelope.folder,
        }
        for wrapped in (two.envelope.wrapped, "", "no base64", b64encode(bytes(44)).decode()):
            manifest.write_text(json.dumps({**told, "envelope": {**told["envelope"], "wrapped": wrapped}}))
            with pytest.raises(StorageError, match=r"key does not open; nothing was done.*Remedy.*lake retract"):
                load.run(lake, LINES, batch=one.id)
        manifest.write_text(json.dumps({**told, "envelope": {**told["envelope"], "key": "AAAAAAAA"}}))
        with pytest.raises(StorageError, match="the key AAAAAAAA is not in the key ring") as stopped:
            load.run(lake, LINES, batch=one.id)
        assert not isinstance(stopped.value, DamagedBatchError)
        manifest.write_bytes(right)
        for batch in (one, two):
            file = root / _place(batch) / batch.files[0].name
            lies = file.read_bytes()
            file.write_bytes(lies[:-1] + bytes([lies[-1] ^ 1]))
            with pytest.raises(StorageError, match=f"{file.name}.*not as it was written.*Remedy.*lake retract"):
                load.run(lake, batch.dataset, batch=batch.id)
            assert not lake.has(Layer.BRONZE, batch.dataset)
            file.write_bytes(lies)
            assert [report.outcome for report in load.run(lake, batch.dataset, batch=batch.id)] == ["done"]


@pytest.mark.parametrize("what", ["file", "envelope"])
def test_a_damaged_batch_is_refused_and_the_others_are_loaded(tmp_path: Path, deliveries: Path, what: str) -> None:
    root, file = tmp_path / "lake", next((deliveries / "civil_affairs").glob("deaths_*"))
    with _open(root, deliveries) as lake:
        _keyed(lake)
        for day in (1, 2, 3):
            land.run(lake, LINES, files=[file], data_date=date(2026, 3, day))
        first, *others = lake.batches(LINES)
        if what == "file":
            kept = root / _place(first) / file.name
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


def test_a_database_that_cannot_be_dumped_is_kept_encrypted_and_given_out(tmp_path: Path) -> None:
    file = tmp_path / "insurance_20260302.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("create table others (a)")
    schemas = tmp_path / "schemas"
    shutil.copytree(Settings().schemas, schemas)
    contract = schemas / f"{DATABASE}.yaml"
    document = yaml.safe_load(contract.read_text(encoding="utf-8"))
    source = {"path": "insurance_{date:%Y%m%d}.sqlite", "reader": "database", "table": "people", "order_by": ["id"]}
    contract.write_text(yaml.safe_dump({**document, "source": source}, allow_unicode=True), encoding="utf-8")
    for keyed in (False, True):
        root = tmp_path / f"lake{keyed}"
        with _open(root, tmp_path / "raw", schemas=schemas) as lake:
            if keyed:
                _keyed(lake)
            with pytest.raises(SourceError, match=r"no table 'people'.*bytes are kept: ") as refused:
                land.run(lake, DATABASE, files=[file])
            name = (refused.value.remedy or "").partition("--batch ")[2].partition(" ")[0]
            assert lake.batches(DATABASE) == []
            kept = next((root / layers.landing_path(DATABASE, name)).rglob(file.name))
            assert kept.read_bytes().startswith(MAGIC if keyed else b"SQLite")
            given = landed.write_out(lake, lake.catalogue.contract(DATABASE), name, tmp_path / f"out{keyed}")
            assert given[0].read_bytes() == file.read_bytes()
            assert any(b"create table" in found.lower() for found in _written(root).values()) != keyed


@pytest.fixture
def rejecting(tmp_path: Path) -> Iterator[Lake]:
    """A lake under a key with a delivery of one good row and a bad one, judged and given back."""
    good = {
        "登记编号": "S-1", "身份证号": "11010519491231002X", "姓名": "某甲", "性别": "女", "出生日期": "1949-12-31",
        "死亡日期": "2025-12-30", "登记机关区划": "110105", "登记日期": "2026-01-05",
    }
    box = tmp_path / "raw/civil_affairs"
    box.mkdir(parents=True)
    rows = (good, {**good, "登记编号": "S-2", "身份证号": "110105194912310021"})
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (box / "deaths_20260110.jsonl").write_text(text, encoding="utf-8")
    with _open(tmp_path / "lake", tmp_path / "raw") as lake:
        _take(_keyed(lake), [LINES])
        give_back.run(lake)
        yield lake


def test_mended_rows_are_encrypted_too_and_their_ticket_closes(rejecting: Lake) -> None:
    lake = rejecting
    batch, contract = lake.batches(LINES)[0], lake.catalogue.contract(LINES)
    returned = lake.settings.drop_box / give_back.place(contract, batch.id)
    book = openpyxl.load_workbook(returned)
    sheet = book[book.sheetnames[0]]
    titles = {cell.value: cell.column for cell in sheet[1]}
    sheet.cell(2, titles["身份证号"]).value = "11010519491231002X"
    (lake.settings.drop_box / "civil_affairs/_repaired").mkdir()
    book.save(lake.settings.drop_box / "civil_affairs/_repaired" / returned.name)
    _take(lake, [LINES])
    assert mending.open_rows(lake, contract).is_empty()
    repair = next(one for one in lake.batches(LINES) if one.repairs)
    assert _kept(lake, repair)["mended.jsonl"].startswith(MAGIC)
    plain = landed.write_out(lake, contract, repair.id, lake.settings.home / "out")[0].read_bytes()
    assert json.loads(plain)["登记编号"] == "S-2"
    names = lake.scan(Layer.SILVER, LINES).select("registration_no").collect()["registration_no"]
    assert sorted(names) == ["S-1", "S-2"]


def test_no_key_stands_anywhere_and_no_delivered_byte_in_landing(rejecting: Lake) -> None:
    lake, ring = rejecting, KeyRing.of(rejecting.objects)
    secrets = [ring.current(envelopes.PURPOSE).secret, (lake.settings.home / "keys/master.key").read_bytes()]
    secrets += [key for one in lake.batches(LINES) if (key := envelopes.opened(ring, one))]
    assert len(secrets) == 3
    written = _written(lake.settings.home)
    assert len(written) > 10
    for path, found in written.items():
        for secret in secrets if path.name != "master.key" else ():
            for form in (secret, secret.hex().encode(), b64encode(secret)):
                assert form not in found, path
        assert "landing" not in path.parts or "某甲".encode() not in found
    envelope = lake.batches(LINES)[0].envelope
    assert envelope is not None
    assert len(b64decode(envelope.wrapped)) == 12 + 16 + 16
    assert "wrapped" not in json.dumps(lake.runs().to_dicts(), default=str)


def test_killed_at_any_write_of_landing_the_next_run_ends_it(tmp_path: Path, deliveries: Path) -> None:
    with _open(tmp_path / "calm", deliveries) as lake:
        _take(_keyed(lake), [LINES], judge=False)
        wanted = state(lake, [LINES])
    settings, died = Settings(root=tmp_path / "lake", raw=deliveries), 0
    with Lake.open(settings) as lake:
        _keyed(lake)
    for moment in ("before", "after"):
        for number in (1, 2, 3):
            shutil.rmtree(tmp_path / "lake/landing", ignore_errors=True)
            shutil.rmtree(tmp_path / "lake/ops", ignore_errors=True)
            ended, _ = live(settings, number, moment, [LINES], work=_landing)
            died += ended == KILLED
            for path, found in _written(tmp_path / "lake/landing").items():
                assert path.name == land.MANIFEST or found.startswith(MAGIC), path
    assert died > 4
    with Lake.open(settings) as lake:
        _take(lake, [LINES], judge=False)
        assert state(lake, [LINES]) == wanted


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
    with _open(tmp_path / "lake", deliveries, engine_rows=0 if much else 1_000_000) as lake:
        land.run(_keyed(lake), WORKBOOK, files=[first, second], data_date=date(2026, 3, 1))
        report = load.run(lake, WORKBOOK)[0]
        assert report.delivered == lake.scan(Layer.BRONZE, WORKBOOK).collect().height > 1
        assert lake.scan(Layer.BRONZE, WORKBOOK).collect()["_source_file"].n_unique() == 2
    assert seen == ([0] if much else [1, 1])
    assert not list(passing.iterdir())


@pytest.mark.parametrize("keyed", [False, True])
def test_a_landed_file_that_is_gone_says_so(tmp_path: Path, deliveries: Path, keyed: bool) -> None:
    with _open(tmp_path / "lake", deliveries) as lake:
        for dataset in (LINES, WORKBOOK):
            land.run(_keyed(lake) if keyed and dataset is LINES else lake, dataset)
            batch, contract = lake.batches(dataset)[0], lake.catalogue.contract(dataset)
            (tmp_path / "lake" / _place(batch) / batch.files[0].name).unlink()
            with pytest.raises(DamagedBatchError, match=f"{batch.files[0].name}: the landed file is gone.*Remedy"):
                load.run(lake, dataset)
            with pytest.raises(DamagedBatchError, match=r"the landed file is gone.*Remedy"):
                landed.write_out(lake, contract, batch.id, tmp_path / "out")


@pytest.mark.minio
def test_a_landed_object_that_is_gone_says_so(tmp_path: Path, deliveries: Path, bucket_lake: str) -> None:
    with _open(tmp_path / "machine", deliveries) as lake:
        land.run(_keyed(lake), LINES)
        place = _place(lake.batches(LINES)[0]) / lake.batches(LINES)[0].files[0].name
        lake.objects.remove(place)
        with pytest.raises(GoneError, match=r"not there any more.*Remedy"), lake.objects.location(place).local():
            pass
        with pytest.raises(DamagedBatchError, match=r"the landed file is gone.*Remedy"):
            load.run(lake, LINES)


def test_what_the_machine_refuses_is_an_error_of_the_lakes_with_a_remedy(
    tmp_path: Path, deliveries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _open(tmp_path / "lake", deliveries) as lake:
        land.run(_keyed(lake), WORKBOOK)
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
        with _open(tmp_path / "lake", deliveries) as lake:
            land.run(_keyed(lake), LINES)
    else:
        assert CliRunner().invoke(app, ["keys", "new", envelopes.PURPOSE]).exit_code == 0
    shutil.rmtree(tmp_path / "lake/keys" / envelopes.PURPOSE)
    with _open(tmp_path / "lake", deliveries) as lake:
        with pytest.raises(StorageError, match=r"the purpose has no key; nothing was done.*Remedy"):
            land.run(lake, WORKBOOK)  # of which no batch is under a key
        assert lake.batches(WORKBOOK) == []


def test_a_manifest_that_lost_its_envelope_or_names_another_cipher_is_what_is_blamed(
    tmp_path: Path, deliveries: Path
) -> None:
    with _open(tmp_path / "lake", deliveries) as lake:
        for dataset in (LINES, WORKBOOK):
            land.run(_keyed(lake) if dataset is LINES else lake, dataset)
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
                (tmp_path / "lake" / _place(batch) / file.name).rename(place / file.name)
            with pytest.raises(DamagedBatchError, match=r"manifest says nothing of it.*Remedy.*_manifest.json"):
                load.run(lake, dataset, batch=batch.id)


def test_an_unreadable_file_under_a_key_is_had_by_a_command_and_a_damaged_one_is_named_once(
    tmp_path: Path, deliveries: Path
) -> None:
    with _open(tmp_path / "lake", deliveries) as lake:
        odd = tmp_path / "deaths_20260401.jsonl"
        odd.write_bytes(b"")
        land.run(_keyed(lake), LINES, files=[odd])
        batch = lake.batches(LINES)[0]
        command = f"lake delivered {LINES} --batch {batch.id} --out FOLDER"
        with pytest.raises(SourceError, match=command) as refused:
            load.run(lake, LINES)
        assert "landing/" not in str(refused.value)
        land.run(lake, LINES)
        batch = lake.batches(LINES)[0]
        kept = tmp_path / "lake" / _place(batch) / batch.files[0].name
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
    with _open(tmp_path / "lake", deliveries) as lake:
        if keyed:
            _keyed(lake)
        lake.objects = _Stalled(lake.settings.home)
        with pytest.raises(ConflictError, match="lost its lease"):
            land.run(lake, LINES)
        assert not [path for path in _written(tmp_path / "lake") if path.name == land.MANIFEST]
        lake.objects.remove(LEASE)
    with _open(tmp_path / "lake", deliveries) as lake:
        assert [report.outcome for report in land.run(lake, LINES)] == ["done"]
        assert len(_kept(lake, lake.batches(LINES)[0])) == 1


@pytest.mark.parametrize("store", ["folder", pytest.param("bucket", marks=pytest.mark.minio)])
def test_two_landings_of_the_same_bytes_do_not_mix_their_keys(
    tmp_path: Path, deliveries: Path, store: str, request: pytest.FixtureRequest
) -> None:
    if store == "bucket":
        request.getfixturevalue("bucket_lake")
    with _open(tmp_path / "lake", deliveries) as lake:
        land.run(_keyed(lake), LINES)
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


def _landing(lake: Lake) -> None:
    land.run(lake, LINES)


def test_the_command_line_shows_the_key_and_gives_the_files_back(
    rejecting: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_ROOT", str(rejecting.settings.home))
    monkeypatch.setenv("LAKE_RAW", str(rejecting.settings.drop_box))
    run = CliRunner().invoke
    shown = json.loads(run(app, ["batches", LINES, "--json"]).stdout)
    key = rejecting.key_ring.current(envelopes.PURPOSE).id
    assert [row["key"] for row in shown] == [key]
    batch, out = shown[0]["batch"], tmp_path / "out"
    told = run(app, ["delivered", LINES, "--batch", batch, "--out", str(out), "--json"])
    assert json.loads(told.stdout) == [str(out / "deaths_20260110.jsonl")]
    assert (out / "deaths_20260110.jsonl").read_bytes() == (
        rejecting.settings.drop_box / "civil_affairs/deaths_20260110.jsonl"
    ).read_bytes()
    twice = run(app, ["delivered", LINES, "--batch", batch, "--out", str(out)])
    assert isinstance(twice.exception, RequestError)
    nothing = run(app, ["delivered", LINES, "--batch", "2026-01-01-000000000000", "--out", str(out)])
    assert isinstance(nothing.exception, RequestError)
    lies = rejecting.settings.home / _place(rejecting.batches(LINES)[0]) / "deaths_20260110.jsonl"
    for words in (["new", "some/thing", "--sample", str(lies), "--out", str(tmp_path / "x.yaml")],
                  ["precheck", LINES, str(lies)], ["risk", str(lies), "--quasi", "a"]):
        refused = run(app, words)
        assert "encrypted file of landing" in str(refused.exception), words
        assert "lake delivered" in str(refused.exception)
