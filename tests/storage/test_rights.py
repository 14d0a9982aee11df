"""Rights in buckets, tried with each user's own keys: what is not allowed is refused by the server itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from minio.commonconfig import GOVERNANCE
from minio.error import S3Error

from jobs import layers
from jobs.errors import StorageError
from jobs.storage.buckets import Bucket
from jobs.storage.locations import Access
from jobs.storage.objects import Folder
from jobs.storage.rights import set_up
from tests import forks
from tests.object_store import Server

pytestmark = pytest.mark.minio
HIDDEN = [part for part in layers.ROOMS if part not in ("gold", "open")]


@pytest.fixture(scope="module")
def lake(minio: Server, tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    """A lake that was set up twice, with an object in every bucket."""
    bucket = Bucket(f"t{uuid.uuid4().hex[:12]}", minio.access, Folder(tmp_path_factory.mktemp("own")))
    first = set_up(bucket, ["health", "tax"], 30)
    keys = {path.name: path.read_bytes() for path in bucket.own.local("keys/users").iterdir()}
    second = set_up(bucket, ["health", "tax"], 30)
    assert {row["done"] for row in first if row["kind"] == "bucket"} == {"made"}
    assert {row["done"] for row in second if row["kind"] != "policy"} == {"kept"}
    assert keys == {path.name: path.read_bytes() for path in bucket.own.local("keys/users").iterdir()}
    for part in layers.ROOMS:
        bucket.write(f"{part}/x", b"secret")
    for name in ("raw/health/a.csv", "raw/tax/a.csv", "quarantine/health__visits/a", "quarantine/tax__incomes/a"):
        bucket.write(name, b"secret")
    return bucket


def _as(lake: Bucket, who: str) -> Bucket:
    """The same lake with the keys that a user was given."""
    lines = lake.own.read(f"keys/users/{lake.lake}-{who}.env").decode().split()
    user, key = (line.partition("=")[2] for line in lines)
    return Bucket(lake.lake, Access(lake.access.endpoint, lake.access.region, user, key), lake.own)


def _refused(act: Callable[[], Any]) -> bool:
    try:
        act()
    except StorageError as error:
        return "refuses this user" in error.what
    return False


def test_the_keys_of_new_users_are_for_the_owner_alone(lake: Bucket) -> None:
    files = list(lake.own.local("keys/users").iterdir())
    assert len(files) == 7
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


@pytest.mark.parametrize("part", HIDDEN)
def test_an_analyst_reaches_no_closed_layer_by_any_route(lake: Bucket, part: str) -> None:
    analyst = _as(lake, "analyst")
    place = analyst.location(part)
    assert _refused(lambda: analyst.read(f"{part}/x"))
    assert _refused(lambda: analyst.names(part))
    assert _refused(lambda: analyst.write(f"{part}/y", b""))
    assert _refused(lambda: analyst.remove(f"{part}/x"))
    link = analyst.access.client().presigned_get_object(layers.bucket(lake.lake, part), "x", timedelta(minutes=5))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(link, timeout=10)
    with pytest.raises(PermissionError):
        pl.scan_parquet(f"s3://{layers.bucket(lake.lake, part)}/x", storage_options=place.scanning).collect()


def test_an_analyst_reads_gold_and_open_and_changes_nothing(lake: Bucket) -> None:
    analyst, reader = _as(lake, "analyst"), _as(lake, "reader")
    for part in ("gold", "open"):
        assert analyst.read(f"{part}/x") == b"secret"
        assert _refused(lambda part=part: analyst.write(f"{part}/x", b""))
    assert reader.read("open/x") == b"secret"
    assert _refused(lambda: reader.read("gold/x"))
    assert _refused(lambda: reader.write("open/x", b""))


@pytest.mark.parametrize(("who", "own"), [("reader", "open"), ("recipient", "controlled"), ("enclave", "enclave")])
def test_who_reads_releases_reads_one_zone_alone(lake: Bucket, who: str, own: str) -> None:
    user = _as(lake, who)
    assert user.read(f"{own}/x") == b"secret"
    for part in layers.ROOMS:
        assert _refused(lambda part=part: user.write(f"{part}/x", b""))
        if part != own:
            assert _refused(lambda part=part: user.read(f"{part}/x")), part
            assert _refused(lambda part=part: user.names(part)), part


def test_a_department_has_its_own_drop_box_and_its_own_rejected_rows_only(lake: Bucket) -> None:
    health = _as(lake, "health")
    health.write("raw/health/b.csv", b"delivered")
    assert [name.name for name in health.names("raw/health")] == ["a.csv", "b.csv"]
    health.remove("raw/health/b.csv")
    assert health.read("quarantine/health__visits/a") == b"secret"
    assert [name.name for name in health.names("quarantine/health__visits")] == ["a"]
    for name in ("raw/tax/a.csv", "quarantine/tax__incomes/a", "landing/x", "silver/x", "gold/x", "ops/x", "keys/x"):
        assert _refused(lambda name=name: health.read(name)), name
    for name in ("raw/tax/b.csv", "raw/x", "quarantine/health__visits/b", "landing/y"):
        assert _refused(lambda name=name: health.write(name, b"")), name
    for prefix in ("raw/tax", "raw", "quarantine/tax__incomes", "quarantine", "silver"):
        assert _refused(lambda prefix=prefix: health.names(prefix)), prefix


def test_what_landed_stays_even_when_the_engineer_removes_it(lake: Bucket) -> None:
    engineer = _as(lake, "engineer")
    engineer.write("landing/d/batch/file.csv", b"delivered")
    name = layers.bucket(lake.lake, "landing")
    engineer.remove("landing/d")
    assert not engineer.exists("landing/d/batch/file.csv")
    versions = list(lake.access.client().list_objects(name, "d/", recursive=True, include_version=True))
    kept = next(one for one in versions if not one.is_delete_marker)
    held = lake.access.client().get_object_retention(name, kept.object_name, kept.version_id)
    assert held is not None
    assert held.mode == GOVERNANCE
    for client in (engineer.access.client(), lake.access.client()):
        with pytest.raises(S3Error):
            client.remove_object(name, kept.object_name, version_id=kept.version_id)
    assert lake.access.client().get_object(name, kept.object_name, version_id=kept.version_id).read() == b"delivered"


def test_a_landing_bucket_without_lock_is_refused_by_name(minio: Server, tmp_path: Path) -> None:
    bucket = minio.bucket(f"t{uuid.uuid4().hex[:12]}", tmp_path)
    with pytest.raises(StorageError, match="made without object lock"):
        set_up(bucket, [], 30)


def test_the_engineers_keys_carry_a_delivery_through_and_setting_up_shows_no_key(
    minio: Server, tmp_path: Path
) -> None:
    name = f"t{uuid.uuid4().hex[:12]}"
    environment = {**os.environ, **minio.environment(name), "LAKE_ROOT": str(tmp_path / "lake")}

    def lake(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return forks.lake(*words, environment={**environment, **settings})

    def started(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jobs.cli", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    early = started("batches", "civil_affairs/deaths")
    assert "setup-storage" in early.stderr.replace("\n", " "), early.stderr
    made = started("setup-storage", "--json")
    assert made.returncode == 0, made.stderr
    files = list((tmp_path / "lake/keys/users").glob(f"{name}-*.env"))
    assert f"{name}-civil_affairs.env" in {path.name for path in files}
    keys = {path.read_text().strip().rpartition("=")[2] for path in files}
    assert not [key for key in keys if key in made.stdout + made.stderr]
    assert {row["done"] for row in json.loads(lake("setup-storage", "--json").stdout)} == {"kept", "set"}
    lines = (tmp_path / f"lake/keys/users/{name}-engineer.env").read_text().split()
    engineer = dict(line.split("=", 1) for line in lines)
    department = _as(Bucket(name, minio.access, Folder(tmp_path / "lake")), "civil_affairs")
    file = "deaths_20260301.jsonl"
    for _ in range(2):
        department.write(f"raw/civil_affairs/{file}", b'{"x": 1}\n')
        done = lake("run", "land", "civil_affairs/deaths", "--json", **engineer)
        assert done.returncode == 0, done.stderr
    batches = json.loads(lake("batches", "civil_affairs/deaths", "--json", **engineer).stdout)
    assert [(batch["data_date"], batch["files"]) for batch in batches] == [("2026-03-01", 1)]
