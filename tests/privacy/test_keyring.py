"""The key ring: keys are sealed, private, never lost in silence, never shown."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.errors import RequestError, StorageError
from jobs.privacy.keyring import KeyRing, secret
from jobs.rows.pseudonymisation import pseudonyms
from jobs.storage.objects import Folder


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "lake")


def test_a_key_is_the_same_at_every_call_and_lies_sealed_in_a_private_file(store: Folder) -> None:
    key = secret(store, "pseudonym")
    assert secret(store, "pseudonym") == key
    assert len(key) == 32
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"master.key", "0001.json"}
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert key not in path.read_bytes()
        assert key.hex() not in path.read_text(encoding="latin-1")


def test_purposes_do_not_share_keys_and_pseudonyms_of_two_cannot_be_joined(store: Folder) -> None:
    ring, values = KeyRing(store), pl.Series(["11010519491231002X"])
    first, second = ring.new("release_one"), ring.new("release_two")
    assert first.id != second.id
    assert pseudonyms(values, first.secret, "id").item() != pseudonyms(values, second.secret, "id").item()


def test_rotation_makes_a_new_key_and_keeps_the_old_one_readable(store: Folder) -> None:
    ring = KeyRing(store)
    old = ring.new("release")
    new = ring.rotate("release")
    assert (new.number, ring.current("release")) == (2, new)
    assert ring.by_id("release", old.id) == old
    assert [key.number for key in ring.every()] == [1, 2]


def test_the_registers_key_is_never_rotated(store: Folder) -> None:
    secret(store, "register")
    with pytest.raises(RequestError, match="never rotated"):
        KeyRing(store).rotate("register")


def test_a_missing_key_is_refused_and_nothing_is_made(store: Folder) -> None:
    ring = KeyRing(store)
    with pytest.raises(StorageError, match="no key"):
        ring.current("release")
    with pytest.raises(RequestError, match="no key"):
        ring.rotate("release")
    ring.new("release")
    with pytest.raises(StorageError, match="not in the key ring"):
        ring.by_id("release", "AAAAAAAA")
    with pytest.raises(RequestError, match="already"):
        ring.new("release")


def test_a_wrong_or_missing_master_key_opens_nothing(store: Folder, tmp_path: Path) -> None:
    ring = KeyRing(store)
    ring.new("release")
    wrong, short = tmp_path / "wrong", tmp_path / "short"
    wrong.write_bytes(bytes(16))
    short.write_bytes(bytes(5))
    for master, message in ((wrong, "does not open"), (short, "not 16 bytes"), (tmp_path / "none", "not there")):
        other = KeyRing(store, master)
        for attempt in (other.current, other.rotate):
            with pytest.raises(StorageError, match=message):
                attempt("release")
    store.remove("keys/master.key")
    with pytest.raises(StorageError, match="not there"):
        ring.current("release")
    assert len(list((store.root / "keys" / "release").iterdir())) == 1


def test_key_files_that_changed_places_or_bytes_are_refused(store: Folder) -> None:
    ring = KeyRing(store)
    ring.new("one")
    ring.new("two")
    one, two = store.local("keys/one/0001.json"), store.local("keys/two/0001.json")
    two.write_bytes(one.read_bytes())
    with pytest.raises(StorageError, match="does not open"):
        ring.current("two")
    for damage in (b"", b"[]", b"{}", b"\xff"):
        one.write_bytes(damage)
        with pytest.raises(StorageError, match="damaged"):
            ring.current("one")


def test_a_key_of_the_first_version_is_sealed_and_stays_the_same(store: Folder) -> None:
    store.write("keys/register.key", bytes(range(32)))
    assert secret(store, "register") == bytes(range(32))
    assert not store.exists("keys/register.key")
    assert secret(store, "register") == bytes(range(32))
    store.write("keys/pseudonym.key", b"short")
    with pytest.raises(StorageError, match="damaged"):
        secret(store, "pseudonym")


def test_a_key_is_in_no_text_of_its_own(store: Folder) -> None:
    key = KeyRing(store).new("release")
    assert key.secret.hex() not in repr(key) + str(key)
    assert str(key.secret) not in f"{key!r} {key}"


def test_a_purpose_cannot_leave_the_ring(store: Folder) -> None:
    for bad in ("../x", "", "A", "a/b", "1"):
        with pytest.raises(RequestError):
            KeyRing(store).new(bad)


def test_lake_keys_makes_lists_and_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path))
    for arguments in (["new", "release"], ["rotate", "release"]):
        assert CliRunner().invoke(app, ["keys", *arguments]).exit_code == 0
    result = CliRunner().invoke(app, ["keys", "list", "--json"])
    assert [(row["purpose"], row["number"]) for row in json.loads(result.stdout)] == [("release", 1), ("release", 2)]
    assert isinstance(CliRunner().invoke(app, ["keys", "new"]).exception, RequestError)
