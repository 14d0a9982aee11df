"""The whole path on a real object store: the same lake as in a folder, whatever the store does in between."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from jobs.errors import ReleaseRefused
from jobs.layers import Layer
from jobs.releases import listing
from jobs.settings import Settings
from jobs.stages import conform, desensitise, land, load, maintain, publish, resolve, retract
from jobs.storage.tables import Lake
from jobs.synthesis import city
from tests.object_store import Server
from tests.stages.states import state

DATASETS = [
    "public_security/household_register", "civil_affairs/deaths", "market_regulation/enterprise_registrations",
    "products/population",
]
OPEN = ("market_regulation/enterprise_registrations", "products/population")


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small city's drop boxes over two days."""
    out = tmp_path_factory.mktemp("city")
    city.write(400, 2, 7, out, Settings().schemas / "codes", None, DATASETS[:3])
    return out / "raw"


def _with_keys(lake: Lake) -> Lake:
    """Give a lake the keys every lake of this module has, so that their ids can be compared."""
    for number, purpose in enumerate(("register", "pseudonym")):
        lake.objects.write(f"keys/{purpose}.key", bytes([number]) * 32)
    return lake


def _run_all(lake: Lake) -> None:
    for dataset in DATASETS[:3]:
        land.run(lake, dataset)
        load.run(lake, dataset)
        conform.run(lake, dataset)
    for register in lake.catalogue.registers:
        resolve.run(lake, register)
    for name in DATASETS:
        desensitise.run(lake, name)
    for name in OPEN:
        with suppress(ReleaseRefused):  # of so few people little can be told
            publish.run(lake, name, approved_by="officer")


def _outcome(lake: Lake) -> dict[str, object]:
    found = state(lake, DATASETS)
    released = listing.everything(lake.objects, Layer.OPEN)
    found["open"] = [(one.dataset, one.version, one.manifest["content"]) for one in released]
    found["data"] = [one.data("csv").read_bytes() for one in released]
    found["left"] = [str(name) for name in lake.objects.names("ops/staging")]
    counts = ("delivered", "accepted", "quarantined", "duplicates", "withheld", "outcome")
    found["runs"] = lake.runs().select("stage", "dataset", *counts).sort(pl.all()).rows()
    return found


@pytest.mark.minio
def test_a_lake_in_buckets_is_the_lake_in_a_folder(
    tmp_path: Path, deliveries: Path, bucket_lake: str, minio: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Settings(root=tmp_path / "folder", raw=deliveries, storage=None)
    buckets = Settings(root=tmp_path / "machine", raw=deliveries)
    outcomes = []
    for settings in (folder, buckets):
        with Lake.open(settings) as lake:
            _run_all(_with_keys(lake))
            _run_all(lake)  # a second run changes nothing
            batch = lake.batches(DATASETS[0])[0].id
            retract.run(lake, DATASETS[0], batch=batch)
            resolve.run(lake, "person")
            maintain.run(lake)
            outcomes.append(_outcome(lake))
    for part, wanted in outcomes[0].items():
        assert outcomes[1][part] == wanted, part
    assert outcomes[0]["open"]
    kept = {path.relative_to(tmp_path / "machine").parts[0] for path in (tmp_path / "machine").rglob("*")}
    assert kept <= {"keys", "mirror", "ops"}
    assert not [path for path in (tmp_path / "machine" / "ops").rglob("*") if path.is_file()]


@pytest.mark.minio
def test_the_engines_workers_make_the_same_lake_and_meet_in_the_store(
    tmp_path: Path, deliveries: Path, bucket_lake: str, minio: Server, engine: str
) -> None:
    with Lake.open(Settings(root=tmp_path / "folder", raw=deliveries, storage=None)) as lake:
        _run_all(_with_keys(lake))
        wanted = state(lake, DATASETS)
    settings = Settings(root=tmp_path / "machine", raw=deliveries, spark=engine, engine_rows=0)
    with Lake.open(settings) as lake:
        _run_all(_with_keys(lake))
        assert state(lake, DATASETS) == wanted
        assert lake.objects.names("ops/staging") == []
