"""A release is read where `lake portal serve` serves it: by pandas, Polars, DuckDB, and anybody who asks for ranges.

DuckDB's own `httpfs` is fetched from its makers' server and in no package registry for the version used here, so DuckDB
reads through fsspec, which its Python package takes file systems from: its Parquet reader asks, ranges are sent.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import httpx
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from fsspec.spec import AbstractBufferedFile

from jobs.storage.tables import Lake
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
def sexes(opened: Path) -> dict[str, int]:
    """Return rows by sex as they lie in the folder."""
    return dict(pl.read_parquet(opened / FILE)["sex_code"].value_counts().iter_rows())


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
