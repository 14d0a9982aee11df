"""The small server: ranges as a bucket gives them, any origin, and nothing but the open layer."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.portal.serve import found, part_of, serving

DATA = bytes(range(256)) * 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "open" / "set").mkdir(parents=True)
    (tmp_path / "open" / "set" / "index.html").write_text("<h1>set</h1>")
    (tmp_path / "open" / "data.parquet").write_bytes(DATA)
    (tmp_path / "open" / ".part-1").write_text("a release in the making")
    (tmp_path / "open" / "link").symlink_to(tmp_path / "secret.txt")
    return tmp_path / "open"


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with serving(folder) as server:
        yield server.address


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [("bytes=0-3", 206, DATA[:4]), ("bytes=1020-", 206, DATA[1020:]), ("bytes=-8", 206, DATA[-8:]),
     ("bytes=1000-9999", 206, DATA[1000:]), ("bytes=5-2", 200, DATA), ("lines=1-2", 200, DATA),
     ("bytes=0-1,4-5", 200, DATA)],
)  # fmt: skip
def test_a_range_is_answered_as_rfc_9110_says(address: str, asked: str, status: int, body: bytes) -> None:
    answer = httpx.get(f"{address}data.parquet", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_range_past_the_end_is_refused_with_the_size(address: str) -> None:
    answer = httpx.get(f"{address}data.parquet", headers={"Range": "bytes=1024-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */1024")


def test_what_a_reader_has_is_not_sent_again_and_a_part_never_of_other_bytes(folder: Path, address: str) -> None:
    first = httpx.get(f"{address}data.parquet")
    again = httpx.get(f"{address}data.parquet", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    wanted = {"Range": "bytes=0-3", "If-Range": first.headers["ETag"]}
    assert httpx.get(f"{address}data.parquet", headers=wanted).status_code == 206
    (folder / "data.parquet").write_bytes(b"other bytes")
    assert httpx.get(f"{address}data.parquet", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200
    assert httpx.get(f"{address}data.parquet", headers=wanted).content == b"other bytes"


def test_head_has_the_length_and_no_body_and_a_folder_gets_its_slash(address: str) -> None:
    answer = httpx.head(f"{address}data.parquet")
    assert (answer.headers["Content-Length"], answer.content) == ("1024", b"")
    assert httpx.get(f"{address}set", follow_redirects=True).text == "<h1>set</h1>"


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/set/..%2f..%2fsecret.txt", "/link", "/.part-1", "//etc/passwd",
     "/%00", "/set\\..\\x", "/nothing", "/" + "a" * 5000],
)  # fmt: skip
def test_nothing_outside_the_open_layer_is_served(folder: Path, path: str) -> None:
    with serving(folder) as server:
        connection = http.client.HTTPConnection(str(server.server_address[0]), server.server_address[1])
        connection.request("GET", path)  # as it stands: httpx would tidy it
        answer = connection.getresponse()
        assert answer.status == 404
        assert b"secret" not in answer.read()


def test_only_reading_is_allowed(address: str) -> None:
    assert httpx.put(f"{address}data.parquet", content=b"x").status_code == 501
    assert httpx.options(f"{address}data.parquet").headers["Access-Control-Allow-Headers"] == "Range"


@given(st.text(max_size=40))
def test_no_target_at_all_leaves_the_folder(target: str) -> None:
    folder = Path(__file__).parent.resolve()
    path = found(folder, target)
    assert path is None or path.is_relative_to(folder)


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_part_lies_within_the_file(size: int, first: int, last: int) -> None:
    try:
        part = part_of(f"bytes={first}-{last}", size)
    except ValueError:
        assert first >= size
        return
    assert part is None or 0 <= part[0] <= part[1] < size
