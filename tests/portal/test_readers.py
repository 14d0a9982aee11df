"""A release is read by DuckDB, Polars, pandas and Spark where it lies: a folder, `lake portal serve`, a bucket.

DuckDB's own `httpfs` is fetched from its makers' server and in no package registry for the version used here, so over
HTTP DuckDB reads through fsspec and in a bucket through Arrow, both of which its Python package takes: its plan decides
what is asked for, ranges are sent. Spark's jars here hold no `s3a`, and Hadoop's file system for HTTP can neither list
nor seek: over both, Spark's workers read by Polars.
"""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import httpx
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.spec import AbstractBufferedFile
from pyarrow import dataset, fs

from jobs import layers
from jobs.settings import PROJECT, Settings
from jobs.storage import engine as spark_engine
from jobs.storage.buckets import Bucket
from jobs.storage.objects import Folder
from jobs.storage.rights import set_up
from jobs.storage.tables import Lake
from tests.object_store import Server
from tests.portal.conftest import HOSTILE

FILE = "health__visits/1.0.2/visits.parquet"


class Ranged(AbstractBufferedFile):  # type: ignore[misc]
    """Read a served file by ranges, and nothing else of it."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        answer = httpx.get(self.path, headers={"Range": f"bytes={start}-{end - 1}"})
        assert answer.status_code == 206
        self.fs.asked.append(len(answer.content))
        return answer.content


class Web(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Open addresses for reading."""

    protocol = "http"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        size = int(httpx.head(path).headers["Content-Length"])
        return {"name": path, "size": size, "type": "file"}

    def modified(self, path: str) -> datetime:
        del path
        return datetime(2026, 1, 1, tzinfo=UTC)  # a released file never changes

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Ranged:
        return Ranged(self, path, mode, cache_type="none")


@dataclass(frozen=True)
class Stored:
    """Name a released file in a bucket, with the keys of who may only read what is open."""

    path: str
    endpoint: str
    user: str
    key: str

    @property
    def arrow(self) -> Any:
        """The file's rows as an Arrow dataset."""
        store = fs.S3FileSystem(
            endpoint_override=self.endpoint, access_key=self.user, secret_key=self.key, region="us-east-1"
        )
        return dataset.dataset(self.path, filesystem=store)

    @property
    def options(self) -> dict[str, str]:
        """What Polars wants to know of the bucket."""
        return {
            "endpoint_url": self.endpoint, "access_key_id": self.user, "secret_access_key": self.key,
            "region": "us-east-1", "allow_http": "true",
        }  # fmt: skip


@dataclass(frozen=True)
class SparkReader:
    """Read by Spark's workers, through Polars, what Spark has no file system for."""

    options: dict[str, str] = field(default_factory=dict)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import polars

        for batch in batches:
            for address in batch["address"].to_pylist():
                rows = polars.scan_parquet(address, storage_options=self.options or None).select("sex_code")
                yield from rows.collect().to_arrow().to_batches()


@pytest.fixture(scope="module")
def url(released: Lake) -> Iterator[str]:
    """Serve the site as a person does, by the command line; return the address of the released file."""
    own = {"LAKE_ROOT": str(released.settings.root), "LAKE_SCHEMAS": str(released.settings.schemas)}
    command = [Path(sys.executable).with_name("lake"), "portal", "serve", "--port", "0"]
    with subprocess.Popen(command, env={**own, "PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip() + FILE
        server.terminate()


@pytest.fixture(scope="module")
def stored(minio: Server, opened: Path, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Put the released file into a real object store, and return where it is for a user who may read it only."""
    bucket = Bucket(f"t{uuid.uuid4().hex[:12]}", minio.access, Folder(tmp_path_factory.mktemp("own")))
    set_up(bucket, ["health"], 30)
    bucket.write(f"open/{FILE}", (opened / FILE).read_bytes())
    lines = bucket.own.read(f"keys/users/{bucket.lake}-reader.env").decode().split()
    user, key = (line.partition("=")[2] for line in lines)
    return Stored(f"{layers.bucket(bucket.lake, 'open')}/{FILE}", minio.endpoint, user, key)


@pytest.fixture(scope="module")
def spark(engine: str) -> Iterator[Any]:
    """Open a session of the tests' engine."""
    session = spark_engine.session(Settings(spark=engine))
    yield session
    spark_engine.close(session)


@pytest.fixture(scope="module")
def sexes(opened: Path) -> dict[str, int]:
    """Return rows by sex as the released CSV says, which no Parquet reader has a part in."""
    return dict(pl.read_csv((opened / FILE).with_suffix(".csv"), infer_schema=False)["sex_code"].value_counts().rows())


def _spark_counts(rows: Any) -> dict[str, int]:
    return {row["sex_code"]: row["count"] for row in rows.groupBy("sex_code").count().collect()}


def test_duckdb_polars_and_pandas_read_a_released_folder(opened: Path, sexes: dict[str, int]) -> None:
    file = opened / FILE
    assert dict(duckdb.sql(f"SELECT sex_code, count(*) FROM '{file}' GROUP BY ALL").fetchall()) == sexes
    assert dict(pl.scan_parquet(file).group_by("sex_code").len().collect().rows()) == sexes
    assert pd.read_parquet(file)["sex_code"].value_counts().to_dict() == sexes


def test_pandas_reads_a_served_release(url: str, sexes: dict[str, int]) -> None:
    assert pd.read_parquet(url)["sex_code"].value_counts().to_dict() == sexes


def test_polars_scans_a_served_release(url: str, sexes: dict[str, int]) -> None:
    found = pl.scan_parquet(url).filter(pl.col("sex_code") == "1").select("sex_code", "remark").collect()
    assert found.height == sexes["1"]
    assert set(found["remark"]) == {HOSTILE, None}


def test_duckdb_asks_a_served_release_by_ranges(url: str, sexes: dict[str, int]) -> None:
    web = Web()
    with duckdb.connect() as asking:
        asking.register_filesystem(web)
        rows = asking.execute(f"SELECT sex_code, count(*) FROM read_parquet('{url}') GROUP BY ALL").fetchall()
    assert dict(rows) == sexes
    assert web.asked


def test_one_column_costs_no_more_than_its_own_bytes_and_the_files_description(
    url: str, sexes: dict[str, int]
) -> None:
    web = Web()
    with web.open(url) as stream:
        file = pq.ParquetFile(stream, pre_buffer=False)
        before = sum(web.asked)
        assert file.read(["sex_code"]).num_rows == sum(sexes.values())
        stored = file.metadata.row_group(0)
    place = [stored.column(n).path_in_schema for n in range(stored.num_columns)].index("sex_code")
    assert sum(web.asked) - before <= stored.column(place).total_compressed_size
    assert sum(web.asked) - before < stored.total_byte_size


def test_polars_pandas_and_duckdb_read_a_release_in_a_bucket(stored: Stored, sexes: dict[str, int]) -> None:
    scanned = pl.scan_parquet(f"s3://{stored.path}", storage_options=stored.options)
    assert dict(scanned.group_by("sex_code").len().collect().rows()) == sexes
    visits = stored.arrow
    assert visits.to_table(columns=["sex_code"]).to_pandas()["sex_code"].value_counts().to_dict() == sexes
    with duckdb.connect() as asking:
        asking.register("visits", visits)
        assert dict(asking.execute("SELECT sex_code, count(*) FROM visits GROUP BY ALL").fetchall()) == sexes


def test_spark_reads_a_released_folder(spark: Any, opened: Path, sexes: dict[str, int]) -> None:
    assert _spark_counts(spark.read.parquet(str(opened / FILE))) == sexes


def test_spark_reads_a_served_release(spark: Any, url: str, sexes: dict[str, int]) -> None:
    rows = spark.createDataFrame([(url,)], "address string").mapInArrow(SparkReader(), "sex_code string")
    assert _spark_counts(rows) == sexes


def test_spark_reads_a_release_in_a_bucket(spark: Any, stored: Stored, sexes: dict[str, int]) -> None:
    addresses = spark.createDataFrame([(f"s3://{stored.path}",)], "address string")
    assert _spark_counts(addresses.mapInArrow(SparkReader(stored.options), "sex_code string")) == sexes


def test_the_readmes_example_works_as_it_stands(spark: Any, url: str, stored: Stored, sexes: dict[str, int]) -> None:
    (section,) = re.findall(r"## Read a release from anywhere\n(.*?)\n## ", _readme(), re.DOTALL)
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL))
    for there, here in (
        (f"https://open.example.gov/{FILE}", url), ("https://store.example.gov", stored.endpoint),
        (f"citylake-open/{FILE}", stored.path),
    ):  # fmt: skip
        assert code.count(there) == 1
        code = code.replace(there, here)
    said: dict[str, Any] = {"__name__": "__main__", "KEY": stored.user, "SECRET": stored.key, "spark": spark}
    exec(code, said)
    assert dict(said["polars_web"].rows()) == dict(said["duckdb_bucket"]) == _spark_counts(said["spark_web"]) == sexes
    for name in ("pandas_web", "pandas_bucket"):
        assert said[name]["sex_code"].value_counts().to_dict() == sexes


def _readme() -> str:
    return (PROJECT / "README.md").read_text(encoding="utf-8")
