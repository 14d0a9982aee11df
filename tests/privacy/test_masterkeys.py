"""Master keys from a file, the environment, and a service over HTTP, as they are really fetched."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from jobs.errors import RequestError, StorageError
from jobs.privacy.keyring import KeyRing
from jobs.privacy.masterkeys import FileKey, GivenKey, ServedKey, named
from jobs.settings import Settings
from jobs.storage.objects import Folder

KEY = bytes(range(16))
TOKEN = "a-token-nobody-may-see"


class Service(BaseHTTPRequestHandler):
    """A key management service that gives its key to who has the token."""

    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        right = self.headers["Authorization"] == f"Bearer {TOKEN}"
        answers = {
            "/key": json.dumps({"key": b64encode(KEY).decode()}),
            "/other": json.dumps({"key": b64encode(KEY[::-1]).decode()}),
            "/short": json.dumps({"key": b64encode(b"abc").decode()}),
            "/bad": json.dumps({"key": "no base64!"}),
            "/page": "<html>",
            "/empty": "{}",
        }
        body = answers.get(self.path, "").encode()
        self.send_response((200 if body else 302) if right else 403)
        if not body:
            self.send_header("Location", "/key")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        Service.asked.clear()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "lake")


def test_a_ring_is_sealed_under_the_key_a_service_gives_and_nothing_of_it_is_kept(store: Folder, service: str) -> None:
    made = KeyRing(store, ServedKey(f"{service}/key", TOKEN)).new("release")
    assert KeyRing(store, ServedKey(f"{service}/key", TOKEN)).current("release") == made
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["0001.json"]
    text = files[0].read_text(encoding="utf-8")
    assert b64encode(KEY).decode() not in text
    assert TOKEN not in text


def test_the_key_is_fetched_once_by_who_uses_it_often(store: Folder, service: str) -> None:
    ring = KeyRing(store, ServedKey(f"{service}/key", TOKEN))
    ring.new("release")
    for _ in range(3):
        ring.current("release")
    assert Service.asked == ["/key"]


@pytest.mark.parametrize(
    ("path", "token", "says"),
    [
        ("/key", "wrong", "gives no key (HTTP 403)"), ("/key", None, "gives no key (HTTP 403)"),
        ("/elsewhere", TOKEN, "gives no key (HTTP 302)"), ("/page", TOKEN, "holds no key"),
        ("/empty", TOKEN, "holds no key"), ("/bad", TOKEN, "not base64"), ("/short", TOKEN, "not 16 bytes"),
        ("/other", TOKEN, "does not open with this master key"),
    ],
)  # fmt: skip
def test_a_service_that_gives_no_or_another_key_is_a_clear_refusal_before_any_work(
    store: Folder, service: str, path: str, token: str | None, says: str
) -> None:
    KeyRing(store, ServedKey(f"{service}/key", TOKEN)).new("release")
    before = {one: one.read_bytes() for one in store.root.rglob("*.json")}
    other = KeyRing(store, ServedKey(f"{service}{path}", token))
    for attempt in (other.current, other.rotate, other.ensure):
        with pytest.raises(StorageError) as refused:
            attempt("release")
        assert says in str(refused.value)
        assert refused.value.remedy
        assert TOKEN not in str(refused.value)
        assert "no base64!" not in str(refused.value)
    assert {one: one.read_bytes() for one in store.root.rglob("*.json")} == before


def test_a_service_that_is_away_is_a_clear_refusal(store: Folder) -> None:
    with HTTPServer(("127.0.0.1", 0), Service) as free:
        port = free.server_port
    with pytest.raises(StorageError, match="does not answer"):
        KeyRing(store, ServedKey(f"http://127.0.0.1:{port}/key", TOKEN)).new("release")
    assert not store.exists("keys/release")


def test_a_key_never_travels_in_the_open() -> None:
    with pytest.raises(RequestError, match="HTTPS"):
        ServedKey("http://keys.example.gov/lake")
    assert ServedKey("https://keys.example.gov/lake").name == "keys.example.gov"


def test_the_key_may_be_given_by_the_environment(
    store: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_MASTER_KEY_BASE64", b64encode(KEY).decode())
    made = KeyRing.of(store).new("release")
    file = tmp_path / "master"
    file.write_bytes(KEY)
    assert KeyRing(store, file).current("release") == made  # the same key from another place opens it too
    assert b64encode(KEY).decode() not in repr(Settings())
    monkeypatch.setenv("LAKE_MASTER_KEY_BASE64", "no base64!")
    with pytest.raises(StorageError, match="not base64") as refused:
        KeyRing.of(store).current("release")
    assert "no base64!" not in str(refused.value)


def test_the_environment_names_one_source_and_never_two(service: str, tmp_path: Path) -> None:
    served = Settings(kms_url=f"{service}/key", kms_token=SecretStr(TOKEN))
    found = named(served)
    assert isinstance(found, ServedKey)
    assert found.read() == KEY
    assert TOKEN not in repr(served)
    assert isinstance(named(Settings(master_key=tmp_path / "master")), FileKey)
    assert isinstance(named(Settings(master_key_base64=SecretStr("AAAA"))), GivenKey)
    assert named(Settings()) is None
    with pytest.raises(RequestError, match="named twice"):
        named(Settings(master_key=tmp_path / "master", kms_url=f"{service}/key"))
