"""An object store that is slow, stands still, is full, or tells another time: one clear sentence, nothing lost."""

from __future__ import annotations

import functools
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import polars as pl
import pytest
from minio import MinioAdmin
from minio.credentials import Credentials
from minio.credentials.providers import StaticProvider
from minio.signer import sign_v4_s3

from jobs import layers
from jobs.errors import LakeError, StorageError
from jobs.layers import Layer
from jobs.settings import Settings
from jobs.stages import conform, desensitise, land, load, resolve
from jobs.storage import locations
from jobs.storage.batch_tables import BatchTable
from jobs.storage.buckets import Bucket
from jobs.storage.locations import Location
from jobs.storage.logs import Log
from jobs.storage.tables import Lake
from jobs.synthesis import city
from tests.object_store import Server
from tests.slow_line import Line
from tests.stages.states import state

DATASET = "civil_affairs/deaths"
DURABLE = ((Bucket, "place"), (BatchTable, "replace"), (Lake, "append"), (Log, "commit"))
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of no bytes

pytestmark = pytest.mark.minio


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One day's drop boxes of a small city."""
    out = tmp_path_factory.mktemp("city")
    city.write(2000, 1, 7, out, Settings().schemas / "codes", None, [DATASET])
    return out / "raw"


@pytest.fixture
def line(minio: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A line to the store; whoever waits for an answer is less patient than with a real one."""
    monkeypatch.setattr(locations, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(locations, "GIVE_UP_SECONDS", 4)
    monkeypatch.setattr(locations, "ATTEMPTS", 2)
    with Line(minio.port) as line:
        yield line


def _lake(server: Server, folder: Path, deliveries: Path, port: int | None = None) -> Settings:
    """Settings of a new lake in buckets, with the keys that every lake here has; `port` is that of another line."""
    name = f"t{uuid.uuid4().hex[:12]}"
    bucket = server.bucket(name, folder)
    for number, purpose in enumerate(("register", "pseudonym")):
        bucket.write(f"keys/{purpose}.key", bytes([number]) * 32)
    given = {key.removeprefix("LAKE_").lower(): value for key, value in server.environment(name).items()}
    if port is not None:
        given["storage_endpoint"] = f"http://127.0.0.1:{port}"
    return Settings(root=folder, raw=deliveries, lease_seconds=6, **given)  # one that cannot be given back runs out


def _run(settings: Settings) -> dict[str, Any]:
    with Lake.open(settings) as lake:
        land.run(lake, DATASET)
        load.run(lake, DATASET)
        conform.run(lake, DATASET)
        resolve.run(lake, "person")
        desensitise.run(lake, DATASET)
        assert lake.objects.names("ops/staging") == []
        return state(lake, [DATASET])


def _accounts(settings: Settings) -> list[tuple[Any, ...]]:
    """Return what every stage has said of every batch."""
    with Lake.open(settings) as lake:
        return sorted(lake.runs().select("stage", "batch", "outcome", "delivered", "accepted").rows())


def _told(error: LakeError, server: Server) -> str:
    said = str(error)
    assert isinstance(error, StorageError), said
    assert "Remedy" in said
    assert server.key not in said
    return said


def _still(line: Line, kind: type, name: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the line stand still when the first durable write of one kind begins, for a time or until it is said."""
    method: Callable[..., Any] = getattr(kind, name)

    def goes_on() -> None:
        line.still = False

    @functools.wraps(method)
    def waiting(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(kind, name, method)
        line.still = True
        if seconds is not None:
            threading.Timer(seconds, goes_on).start()
        return method(*args, **kwargs)

    monkeypatch.setattr(kind, name, waiting)


def test_a_slow_store_makes_the_same_lake(tmp_path: Path, deliveries: Path, minio: Server, line: Line) -> None:
    wanted = _run(_lake(minio, tmp_path / "calm", deliveries))
    line.delay = 0.02
    assert _run(_lake(minio, tmp_path / "slow", deliveries, line.port)) == wanted


def test_a_store_that_stands_still_is_given_up_in_time_and_the_next_run_ends_the_work(
    tmp_path: Path, deliveries: Path, minio: Server, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = _lake(minio, tmp_path / "calm", deliveries)
    wanted, settings = _run(calm), _lake(minio, tmp_path / "still", deliveries, line.port)
    for kind, name in DURABLE:
        _still(line, kind, name, None, monkeypatch)
        started = time.monotonic()
        with pytest.raises(LakeError) as given_up:
            _run(settings)
        assert time.monotonic() - started < 90, name
        line.still = False
        assert "the object store does not answer" in _told(given_up.value, minio), name
    assert line.held
    assert _run(settings) == wanted
    assert set(_accounts(settings)) == set(_accounts(calm))


def test_answers_that_come_after_the_question_was_asked_again_count_once(
    tmp_path: Path, deliveries: Path, minio: Server, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = _lake(minio, tmp_path / "calm", deliveries)
    wanted, settings = _run(calm), _lake(minio, tmp_path / "late", deliveries, line.port)
    for kind, name in DURABLE:
        _still(line, kind, name, 1.5, monkeypatch)
        try:
            _run(settings)
        except LakeError as error:
            _told(error, minio)
        line.still = False
    assert _run(settings) == wanted
    assert _accounts(settings) == _accounts(calm)


def test_a_full_store_is_named_and_the_next_run_ends_the_work(tmp_path: Path, deliveries: Path, minio: Server) -> None:
    wanted, settings = _run(_lake(minio, tmp_path / "calm", deliveries)), _lake(minio, tmp_path / "full", deliveries)
    keys = StaticProvider(minio.user, minio.key)
    admin = MinioAdmin(endpoint=minio.access.host, region=minio.access.region, secure=False, credentials=keys)
    lake = str(settings.storage).removeprefix("s3://")
    for part in (Layer.LANDING, Layer.BRONZE, Layer.SILVER, Layer.REGISTERS, Layer.GOLD):
        bucket = layers.bucket(lake, part)
        admin.bucket_quota_set(bucket, 300)  # bytes: no file of any table is so small
        with pytest.raises(LakeError) as refused:
            _run(settings)
        assert "the object store is full" in _told(refused.value, minio), part
        admin.bucket_quota_clear(bucket)
    assert _run(settings) == wanted


def _other_time(server: Server, bucket: str) -> bytes:
    """Return what the server itself answers a request that was signed an hour ago."""
    path, then = f"{server.endpoint}/{bucket}", datetime.now(UTC) - timedelta(hours=1)
    headers = {
        "Host": server.access.host, "x-amz-content-sha256": EMPTY, "x-amz-date": then.strftime("%Y%m%dT%H%M%SZ"),
    }
    signed = sign_v4_s3(
        method="GET", url=urlsplit(path), region=server.access.region, headers=headers,
        credentials=Credentials(server.user, server.key), content_sha256=EMPTY, date=then,
    )
    answer = httpx.get(path, headers=dict(signed), trust_env=False)
    assert "RequestTimeTooSkewed" in answer.text
    lines = [f"HTTP/1.1 {answer.status_code} Forbidden", "Content-Type: application/xml", "Connection: close"]
    return "\r\n".join([*lines, f"Content-Length: {len(answer.content)}", "", ""]).encode() + answer.content


def test_a_clock_that_is_wrong_is_named_and_set_right_the_next_run_ends_the_work(
    tmp_path: Path, deliveries: Path, minio: Server, line: Line
) -> None:
    wanted = _run(_lake(minio, tmp_path / "calm", deliveries))
    settings = _lake(minio, tmp_path / "late", deliveries, line.port)
    line.answer = _other_time(minio, f"{str(settings.storage).removeprefix('s3://')}-landing")
    with pytest.raises(LakeError) as refused:
        _run(settings)
    assert "this machine's clock and the object store's disagree" in _told(refused.value, minio)
    line.answer = b""
    assert _run(settings) == wanted


ASKED: dict[str, Callable[[Lake, Location], Any]] = {
    "minio": lambda lake, _: lake.objects.exists("gold/x"),
    "delta-rs": lambda lake, _: lake.append(Layer.OPS, "x", [{"a": 1}], {"a": pl.Int64}),
    "polars": lambda _, table: pl.scan_parquet(table.address("x.parquet"), storage_options=table.scanning).collect(),
    "arrow": lambda _, table: table.create("x.parquet").close(),  # an answer to HEAD says nothing but 403
}


@pytest.mark.parametrize("library", ASKED)
@pytest.mark.parametrize("wrong", ["clock", "still"])
def test_every_library_that_asks_the_store_is_told_of_it_in_time(
    tmp_path: Path, deliveries: Path, minio: Server, line: Line, library: str, wrong: str
) -> None:
    settings = _lake(minio, tmp_path / "late", deliveries, line.port)
    line.still = wrong == "still"
    if wrong == "clock":
        line.answer = _other_time(minio, f"{str(settings.storage).removeprefix('s3://')}-landing")
    started = time.monotonic()
    with pytest.raises(LakeError) as refused, Lake.open(settings) as lake:
        ASKED[library](lake, lake.folder(Layer.GOLD, DATASET))
    said = "clock and the object store's disagree" if wrong == "clock" else "the object store does not answer"
    assert said in _told(refused.value, minio)
    assert time.monotonic() - started < 60
