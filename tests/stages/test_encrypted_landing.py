"""Landing under a key: the same lake, batch for batch, and nothing plain where delivered bytes are kept for ever."""

from __future__ import annotations

import json
import shutil
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import openpyxl
import pytest
import yaml
from typer.testing import CliRunner

from jobs import layers
from jobs.cli import app
from jobs.errors import DamagedBatchError, RequestError, SourceError, StorageError
from jobs.layers import Layer
from jobs.privacy import envelopes
from jobs.privacy.keyring import KeyRing
from jobs.settings import Settings
from jobs.stages import conform, give_back, land, landed, load, mending
from jobs.storage.buckets import Bucket
from jobs.storage.readers import Limits, read
from jobs.storage.reading.pieces import plan
from jobs.storage.sealed import MAGIC, SealedPath
from jobs.storage.tables import Lake
from jobs.synthesis import city
from tests.object_store import Server
from tests.stages.encrypted import files_below, keyed_lake, lying, opened, place_of
from tests.stages.mortal import KILLED, live
from tests.stages.states import state

CSV, WORKBOOK, LINES = (
    "public_security/household_register", "civil_affairs/marriage_registrations", "civil_affairs/deaths",
)
DATABASE = "social_security/social_insurance"
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


def _take(lake: Lake, datasets: list[str], *, judge: bool = True) -> None:
    for dataset in datasets:
        land.run(lake, dataset)
        with suppress(SourceError):  # of so few people some datasets have no record, and that is refused
            load.run(lake, dataset)
        if judge:
            conform.run(lake, dataset)


def test_every_reader_reads_encrypted_files_and_the_lake_is_the_same(
    tmp_path: Path, deliveries: Path, every_dataset: list[str]
) -> None:
    with opened(tmp_path / "plain", deliveries) as lake:
        _take(lake, every_dataset, judge=False)
        wanted = state(lake, every_dataset)
        assert len(wanted) > len(every_dataset) - 4
        ids = {name: [batch.id for batch in lake.batches(name)] for name in every_dataset}
    with opened(tmp_path / "keyed", deliveries) as lake:
        _take(keyed_lake(lake), every_dataset, judge=False)
        assert state(lake, every_dataset) == wanted
        assert {name: [batch.id for batch in lake.batches(name)] for name in every_dataset} == ids
        assert len({lake.catalogue.contract(name).source.reader for name in every_dataset}) > 7
        keys = set()
        for name in every_dataset:
            for batch in lake.batches(name):
                assert all(found.startswith(MAGIC) for found in lying(lake, batch).values())
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
    with opened(tmp_path / "folder", deliveries, storage=None) as lake:
        _take(lake, SOME)
        wanted = state(lake, SOME)
    with opened(tmp_path / "machine", deliveries) as lake:
        assert isinstance(lake.objects, Bucket)
        _take(keyed_lake(lake), SOME)
        assert state(lake, SOME) == wanted
        for name in SOME:
            assert all(found.startswith(MAGIC) for one in lake.batches(name) for found in lying(lake, one).values())
        batch = lake.batches(CSV)[0]
        load.run(lake, CSV, batch=batch.id)
    with opened(tmp_path / "another", deliveries) as lake, pytest.raises(StorageError, match="master key is not there"):
        load.run(lake, CSV, batch=batch.id)
    with opened(tmp_path / "machine", deliveries) as lake:
        assert state(lake, SOME) == wanted


def test_the_engines_workers_read_encrypted_files(tmp_path: Path, deliveries: Path, engine: str) -> None:
    with opened(tmp_path / "plain", deliveries) as lake:
        _take(lake, SOME, judge=False)
        wanted = state(lake, SOME)
    with opened(tmp_path / "keyed", deliveries, spark=engine, engine_rows=0) as lake:
        _take(keyed_lake(lake), SOME, judge=False)
        assert state(lake, SOME) == wanted


def test_a_large_csv_is_read_in_pieces_without_a_plain_copy(tmp_path: Path, deliveries: Path) -> None:
    with opened(tmp_path / "keyed", deliveries) as lake:
        land.run(keyed_lake(lake), CSV)
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
    with opened(tmp_path / "lake", deliveries) as lake:
        file = next((deliveries / "civil_affairs").glob("deaths_*"))
        plain = land.run(lake, LINES, files=[file])[0]
        keyed_lake(lake)
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
    with opened(root, deliveries) as lake:
        _take(keyed_lake(lake), [LINES])
        wanted, batch = state(lake, [LINES]), lake.batches(LINES)[0].id
    other = tmp_path / "deaths_20260401.jsonl"
    shutil.copy(next((deliveries / "civil_affairs").glob("deaths_*")), other)
    for gone, said in (("keys/landing", "no key"), ("keys/master.key", "master key is not there")):
        (root / gone).rename(away)
        before = files_below(root / "landing")
        with opened(root, deliveries) as lake, pytest.raises(StorageError, match=f"{said}.*Remedy"):
            land.run(lake, LINES, files=[other])
        with opened(root, deliveries) as lake, pytest.raises(StorageError, match=r"nothing was done.*Remedy"):
            load.run(lake, LINES, batch=batch)
        assert files_below(root / "landing") == before
        away.rename(root / gone)
    master = (root / "keys/master.key").read_bytes()
    (root / "keys/master.key").chmod(0o600)
    (root / "keys/master.key").write_bytes(bytes(16))
    with opened(root, deliveries) as lake, pytest.raises(StorageError, match="does not open with this master key"):
        land.run(lake, LINES, files=[other])
    (root / "keys/master.key").write_bytes(master)
    with opened(root, deliveries) as lake:
        load.run(lake, LINES, batch=batch)
        conform.run(lake, LINES, batch=batch)
        assert state(lake, [LINES]) == wanted
        assert land.run(lake, LINES, files=[other])[0].outcome == "done"


def test_an_envelope_opens_for_its_own_batch_and_a_damaged_file_is_named(tmp_path: Path, deliveries: Path) -> None:
    root = tmp_path / "lake"
    with opened(root, deliveries) as lake:
        for dataset in (LINES, CSV):
            land.run(lake if lake.key_ring.has(envelopes.PURPOSE) else keyed_lake(lake), dataset)
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
            file = root / place_of(batch) / batch.files[0].name
            lies = file.read_bytes()
            file.write_bytes(lies[:-1] + bytes([lies[-1] ^ 1]))
            with pytest.raises(StorageError, match=f"{file.name}.*not as it was written.*Remedy.*lake retract"):
                load.run(lake, batch.dataset, batch=batch.id)
            assert not lake.has(Layer.BRONZE, batch.dataset)
            file.write_bytes(lies)
            assert [report.outcome for report in load.run(lake, batch.dataset, batch=batch.id)] == ["done"]


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
        with opened(root, tmp_path / "raw", schemas=schemas) as lake:
            if keyed:
                keyed_lake(lake)
            with pytest.raises(SourceError, match=r"no table 'people'.*bytes are kept: ") as refused:
                land.run(lake, DATABASE, files=[file])
            name = (refused.value.remedy or "").partition("--batch ")[2].partition(" ")[0]
            assert lake.batches(DATABASE) == []
            kept = next((root / layers.landing_path(DATABASE, name)).rglob(file.name))
            assert kept.read_bytes().startswith(MAGIC if keyed else b"SQLite")
            given = landed.write_out(lake, lake.catalogue.contract(DATABASE), name, tmp_path / f"out{keyed}")
            assert given[0].read_bytes() == file.read_bytes()
            assert any(b"create table" in found.lower() for found in files_below(root).values()) != keyed


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
    with opened(tmp_path / "lake", tmp_path / "raw") as lake:
        _take(keyed_lake(lake), [LINES])
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
    assert lying(lake, repair)["mended.jsonl"].startswith(MAGIC)
    plain = landed.write_out(lake, contract, repair.id, lake.settings.home / "out")[0].read_bytes()
    assert json.loads(plain)["登记编号"] == "S-2"
    names = lake.scan(Layer.SILVER, LINES).select("registration_no").collect()["registration_no"]
    assert sorted(names) == ["S-1", "S-2"]


def test_no_key_stands_anywhere_and_no_delivered_byte_in_landing(rejecting: Lake) -> None:
    lake, ring = rejecting, KeyRing.of(rejecting.objects)
    secrets = [ring.current(envelopes.PURPOSE).secret, (lake.settings.home / "keys/master.key").read_bytes()]
    secrets += [key for one in lake.batches(LINES) if (key := envelopes.opened(ring, one))]
    assert len(secrets) == 3
    written = files_below(lake.settings.home)
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
    with opened(tmp_path / "calm", deliveries) as lake:
        _take(keyed_lake(lake), [LINES], judge=False)
        wanted = state(lake, [LINES])
    settings, died = Settings(root=tmp_path / "lake", raw=deliveries), 0
    with Lake.open(settings) as lake:
        keyed_lake(lake)
    for moment in ("before", "after"):
        for number in (1, 2, 3):
            shutil.rmtree(tmp_path / "lake/landing", ignore_errors=True)
            shutil.rmtree(tmp_path / "lake/ops", ignore_errors=True)
            ended, _ = live(settings, number, moment, [LINES], work=_landing)
            died += ended == KILLED
            for path, found in files_below(tmp_path / "lake/landing").items():
                assert path.name == land.MANIFEST or found.startswith(MAGIC), path
    assert died > 4
    with Lake.open(settings) as lake:
        _take(lake, [LINES], judge=False)
        assert state(lake, [LINES]) == wanted


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
    lies = rejecting.settings.home / place_of(rejecting.batches(LINES)[0]) / "deaths_20260110.jsonl"
    for words in (["new", "some/thing", "--sample", str(lies), "--out", str(tmp_path / "x.yaml")],
                  ["precheck", LINES, str(lies)], ["risk", str(lies), "--quasi", "a"]):
        refused = run(app, words)
        assert "encrypted file of landing" in str(refused.exception), words
        assert "lake delivered" in str(refused.exception)
