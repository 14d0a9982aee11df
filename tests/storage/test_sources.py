"""Sources that are asked instead of delivered: a real PostgreSQL server, a real HTTP server with pages."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading.database import dump_database
from jobs.storage.reading.rest import dump_rest

SECRET = "某机密内容"
RECORDS = [{"证号": f"A{n}", "数": n} for n in range(7)]


def _lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


# -- PostgreSQL --------------------------------------------------------------------------------------------------------


@pytest.fixture
def people(postgres: str) -> Iterator[str]:
    engine = sa.create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(sa.text(
            'create table people ("证号" text primary key, "姓名" varchar(20), pay numeric(26, 4), since date, '
            "seen timestamptz, tags jsonb, photo bytea, parts text[], alive boolean)"
        ))
        connection.execute(sa.text(
            "insert into people values ('A2', null, 110105194912310021.5000, null, null, null, null, null, null), "
            "('A1', '某甲', 3, '2026-01-05', '2026-01-05 08:00:00+08', '{\"a\": [1, 2.50]}', '\\x00ff', '{x,y}', true)"
        ))
    yield postgres
    with engine.begin() as connection:
        connection.execute(sa.text("drop table people"))
    engine.dispose()


def test_a_postgresql_table_is_dumped_in_key_order_with_exact_values(people: str, tmp_path) -> None:
    dump_database(people, "people", ["证号"], tmp_path / "dump")
    first, second = _lines(tmp_path / "dump")
    assert (first["证号"], first["姓名"], first["pay"], first["since"]) == ("A1", "某甲", "3.0000", "2026-01-05")
    assert first["seen"].startswith("2026-01-05T00:00:00+00")
    assert json.loads(first["tags"]) == {"a": [1, 2.5]}
    assert (first["photo"], json.loads(first["parts"]), first["alive"]) == ("00ff", ["x", "y"], "true")
    assert second == {**dict.fromkeys(first), "证号": "A2", "pay": "110105194912310021.5000"}


def test_equal_content_of_a_postgresql_table_is_equal_bytes(people: str, tmp_path) -> None:
    dump_database(people, "people", ["证号"], tmp_path / "one")
    engine = sa.create_engine(people)
    with engine.begin() as connection:
        connection.execute(sa.text("create table moved as select * from people order by 1 desc"))
        connection.execute(sa.text("drop table people"))
        connection.execute(sa.text("alter table moved rename to people"))
    engine.dispose()
    dump_database(people, "people", ["证号"], tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(("table", "says"), [("persons", "no table"), ("people", "no column")])
def test_a_postgresql_table_that_is_not_as_declared_is_one_error(table: str, says: str, people: str, tmp_path) -> None:
    with pytest.raises(SourceError, match=says):
        dump_database(people, table, ["编号"], tmp_path / "dump")


def test_a_cell_of_an_impossible_calendar_or_kind_stays_as_it_is_or_is_one_error(tmp_path) -> None:
    file = tmp_path / "a.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("create table people (k text, since date, at datetime, pay decimal(10, 2))")
        connection.execute("insert into people values ('A1', '2026-02-30', '民国一一五年', 1)")
    dump_database(f"sqlite:///{file}", "people", ["k"], tmp_path / "dump")
    assert _lines(tmp_path / "dump")[0] == {"k": "A1", "since": "2026-02-30", "at": "民国一一五年", "pay": "1.00"}
    with sqlite3.connect(file) as connection:
        connection.execute(f"update people set pay = '{SECRET}'")
    with pytest.raises(SourceError, match="row 1") as refused:
        dump_database(f"sqlite:///{file}", "people", ["k"], tmp_path / "dump")
    assert SECRET not in str(refused.value)


def test_a_server_that_is_not_there_is_one_error_without_the_password(tmp_path) -> None:
    url = f"postgresql+psycopg://u:{SECRET}@127.0.0.1:1/x"
    with pytest.raises(SourceError, match="cannot be read") as refused:
        dump_database(url, "people", ["a"], tmp_path / "dump")
    assert SECRET not in str(refused.value)


# -- REST --------------------------------------------------------------------------------------------------------------


class _Service(BaseHTTPRequestHandler):
    """Give RECORDS by page, offset, cursor or link; some paths misbehave."""

    failures = 0

    def do_GET(self) -> None:
        where, asked = urlsplit(self.path), {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        size, kind = int(asked.get("size", 3)), where.path.strip("/")
        if self.headers.get("Authorization") != "Bearer good":
            return self._say(401, {"error": SECRET})
        if kind == "flaky" and _Service.failures < 2:
            _Service.failures += 1
            return self._say(503, {})
        if kind == "moved":
            return self._say(302, {}, {"Location": "http://example.invalid/"})
        if kind in ("html", "same", "list"):
            body: Any = {"html": f"<html>{SECRET}", "same": {"rows": RECORDS[:3]}, "list": RECORDS}[kind]
            return self._say(200, body)
        start = {"page": (int(asked.get("page", 1)) - 1) * size, "flaky": (int(asked.get("page", 1)) - 1) * size}.get(
            kind, int(asked.get("from") or 0)
        )
        following = start + size if start + size < len(RECORDS) else None
        link = f"/link?from={following}" if following else None
        answer = {"data": {"rows": RECORDS[start : start + size]}, "next": {"cursor": following, "link": link}}
        if kind == "elsewhere":
            answer["next"]["link"] = "http://example.invalid/link"
        return self._say(200, answer)

    def _say(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def dumped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    _Service.failures = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def dump(path: str, max_bytes: int = 1 << 20, token: str = "good", **how: Any) -> list[Any]:
        source = Source.model_validate({"reader": "rest", "url": "x", "records": "data/rows", **how})
        url = f"http://127.0.0.1:{server.server_port}/{path}"
        count = dump_rest(source, url, {"Authorization": f"Bearer {token}"}, tmp_path / "dump", max_bytes=max_bytes)
        found = _lines(tmp_path / "dump")
        assert len(found) == count
        return found

    yield dump
    server.shutdown()
    server.server_close()


AS_DUMPED = [{"证号": f"A{n}", "数": str(n)} for n in range(7)]


@pytest.mark.parametrize(
    ("path", "paging"),
    [
        ("page", {"by": "page"}), ("page", {"by": "page", "size_parameter": "size", "size": 2}),
        ("offset", {"by": "offset", "parameter": "from", "first": 0}),
        ("cursor", {"by": "cursor", "parameter": "from", "next": "next/cursor"}),
        ("link", {"by": "link", "next": "next/link"}), ("flaky", {"by": "page"}),
    ],
)
def test_every_way_of_paging_gives_every_record_once(path: str, paging: dict[str, Any], dumped) -> None:
    assert dumped(path, paging=paging) == AS_DUMPED


def test_a_source_without_pages_and_its_order(dumped) -> None:
    assert dumped("list", records=None) == AS_DUMPED
    assert dumped("list", records=None, order_by=["证号"]) == AS_DUMPED


@pytest.mark.parametrize(
    ("path", "how", "says"),
    [
        ("same", {"records": "rows", "paging": {"by": "page"}}, "same page again"),
        ("elsewhere", {"paging": {"by": "link", "next": "next/link"}}, "another host"),
        ("moved", {}, "answered 302"), ("html", {}, "no JSON"), ("list", {}, "no array of records"),
        ("page", {"token": "bad"}, "answered 401"), ("page", {"max_bytes": 40}, "more than 40 bytes"),
        ("list", {"records": None, "order_by": ["x"]}, "lacks a column"),
    ],
)
def test_a_source_that_misbehaves_is_one_error(path: str, how: dict[str, Any], says: str, dumped) -> None:
    with pytest.raises(SourceError, match=says) as refused:
        dumped(path, **how)
    assert SECRET not in str(refused.value)
    assert "127.0.0.1" not in str(refused.value)
    assert refused.value.remedy
