"""An object store that dies, refuses or lacks a bucket: one clear sentence, and the next run succeeds."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import layers
from jobs.errors import StorageError
from jobs.settings import Settings
from jobs.stages import conform, desensitise, land, load, resolve
from jobs.storage import locations
from jobs.storage.batch_tables import BatchTable
from jobs.storage.buckets import Bucket
from jobs.storage.logs import Log
from jobs.storage.tables import Lake
from jobs.synthesis import city
from tests import forks
from tests.object_store import Server
from tests.stages.states import state

DATASET = "civil_affairs/deaths"
DURABLE = ((Bucket, "place"), (BatchTable, "replace"), (Lake, "append"), (Log, "commit"), (Lake, "overwrite"))

pytestmark = pytest.mark.minio


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One day's drop boxes of a small city."""
    out = tmp_path_factory.mktemp("city")
    city.write(3000, 1, 7, out, Settings().schemas / "codes", None, [DATASET])
    return out / "raw"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process ask a store that does not answer for a few seconds only before it says so."""
    monkeypatch.setattr(locations, "ATTEMPTS", 2)
    monkeypatch.setattr(locations, "GIVE_UP_SECONDS", 3)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may be killed without harm to others."""
    server = Server(tmp_path_factory.mktemp("mortal"))
    server.start()
    yield server
    server.stop()


def _lake(server: Server, folder: Path, deliveries: Path) -> Settings:
    """Settings of a new lake in buckets, with the keys that every lake here has."""
    name = f"t{uuid.uuid4().hex[:12]}"
    bucket = server.bucket(name, folder)
    for number, purpose in enumerate(("register", "pseudonym")):
        bucket.write(f"keys/{purpose}.key", bytes([number]) * 32)
    given = {key.removeprefix("LAKE_").lower(): value for key, value in server.environment(name).items()}
    return Settings(root=folder, raw=deliveries, lease_seconds=5, **given)


def _run(lake: Lake) -> None:
    land.run(lake, DATASET)
    load.run(lake, DATASET)
    conform.run(lake, DATASET)
    resolve.run(lake, "person")
    desensitise.run(lake, DATASET)


def _dying(server: Server, kind: type, name: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server die before, or a moment after, the first durable write of one kind begins."""
    method: Callable[..., Any] = getattr(kind, name)

    @functools.wraps(method)
    def fatal(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(kind, name, method)
        if moment == "before":
            server.kill()
        else:
            threading.Timer(0.004, server.kill).start()
        return method(*args, **kwargs)

    monkeypatch.setattr(kind, name, fatal)


@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_server_that_dies_in_any_commit_costs_a_run_and_nothing_else(
    tmp_path: Path, deliveries: Path, server: Server, moment: str, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    with Lake.open(_lake(server, tmp_path / "calm", deliveries)) as lake:
        _run(lake)
        calm = state(lake, [DATASET])
    settings, told = _lake(server, tmp_path / "machine", deliveries), []
    for kind, name in DURABLE:
        _dying(server, kind, name, moment, monkeypatch)
        try:
            with Lake.open(settings) as lake:
                _run(lake)
        except StorageError as error:
            told.append(str(error))
        server.kill()
        server.start()
    with Lake.open(settings) as lake:
        _run(lake)
        assert state(lake, [DATASET]) == calm
        runs = lake.runs()
        assert (runs["delivered"] == runs["accepted"] + runs["quarantined"] + runs["duplicates"]).all()
        assert lake.objects.names("ops/staging") == []
    assert len(told) >= (len(DURABLE) if moment == "before" else 1)
    for said in told:
        assert "the object store does not answer" in said
        assert "Remedy" in said
        assert server.key not in said


def _ingest(folder: Path, file: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "LAKE_ROOT": str(folder), **environment}
    return forks.lake("ingest", DATASET, str(file), "--json", environment=given)


def test_a_wrong_key_a_missing_bucket_and_an_absent_server_are_named_and_cost_nothing(
    tmp_path: Path, deliveries: Path, server: Server
) -> None:
    name = f"t{uuid.uuid4().hex[:12]}"
    bucket, right = server.bucket(name, tmp_path), server.environment(name)
    file = next(deliveries.rglob("deaths_*"))
    wrong = {
        "refuses this user": {"LAKE_STORAGE_SECRET_KEY": "not-the-key-of-anybody"},
        "refuses  this user": {"LAKE_STORAGE_ACCESS_KEY": "nobody-at-all"},
        "does not answer": {"LAKE_STORAGE_ENDPOINT": "http://127.0.0.1:9"},
        "are not set": {"LAKE_STORAGE_ACCESS_KEY": ""},
        "no such bucket": {"LAKE_STORAGE": "s3://nowhere-at-all"},
    }
    for said, setting in wrong.items():
        done = _ingest(tmp_path, file, {**right, **setting})
        assert done.returncode in (1, 2), done.stderr
        assert " ".join(said.split()) in done.stderr.replace("\n", " "), done.stderr
        assert "Remedy" in done.stderr
        assert "Traceback" not in done.stderr
        assert not {server.key, "not-the-key-of-anybody"} & set(done.stderr.split())
    assert not any(bucket.names(part) for part in layers.ROOMS)
    bronze = layers.bucket(name, "bronze")
    server.access.client().remove_bucket(bronze)
    done = _ingest(tmp_path, file, right)
    assert "no such bucket" in done.stderr, done.stderr
    server.access.client().make_bucket(bronze)
    done = _ingest(tmp_path, file, right)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["delivered"] == found["accepted"] + found["quarantined"] + found["duplicates"]
