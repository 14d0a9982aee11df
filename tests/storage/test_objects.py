"""A folder of objects: whole or absent, never half."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.errors import StorageError
from jobs.storage.objects import Folder, storage_errors


def test_an_object_is_replaced_whole(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    store.write("a/b.json", b"one")
    store.write("a/b.json", b"two")
    assert store.read("a/b.json") == b"two"
    assert [str(name) for name in store.names("a")] == ["a/b.json"]


def test_only_the_first_of_two_creators_wins(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    assert store.create("key", b"mine")
    assert not store.create("key", b"theirs")
    assert store.read("key") == b"mine"


def test_a_file_comes_in_with_its_size_and_digest(tmp_path: Path) -> None:
    source = tmp_path / "delivery.csv"
    source.write_bytes(b"a,b\n1,2\n")
    size, digest = Folder(tmp_path / "store").add_file(source, "landing/delivery.csv")
    assert (size, len(digest)) == (8, 64)
    assert (tmp_path / "store/landing/delivery.csv").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b"])
def test_a_name_cannot_leave_the_store(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError):
        Folder(tmp_path).write(name, b"")


def test_what_an_interrupted_write_left_is_not_an_object_but_is_found(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / ".part-0123-x.csv").write_bytes(b"half")
    assert store.names("landing") == []
    assert [name.name for name in store.unfinished("landing")] == [".part-0123-x.csv"]


def test_a_full_disk_is_a_clear_error() -> None:
    with pytest.raises(StorageError, match="disk is full"), storage_errors("gold"):
        Path("/dev/full").write_bytes(b"x")
