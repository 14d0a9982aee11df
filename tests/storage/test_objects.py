"""Stores of objects: whole or absent, never half; a folder and buckets keep the same promises."""

from __future__ import annotations

import errno
import os
import re
import threading
from pathlib import Path, PurePosixPath

import polars as pl
import pytest

from jobs.errors import ConflictError, StorageError
from jobs.storage.objects import Folder, Store, copy_in, storage_errors


def test_an_object_is_replaced_whole(store: Store) -> None:
    store.write("ops/b.json", b"one")
    store.write("ops/b.json", b"two")
    assert store.read("ops/b.json") == b"two"
    assert [str(name) for name in store.names("ops")] == ["ops/b.json"]


def test_what_is_not_there_is_not_found(store: Store) -> None:
    store.write("ops/a/b.json", b"x")
    assert [store.exists(name) for name in ("ops/a/b.json", "ops/a", "ops/a/b", "ops/a/b.jso", "keys")] == [
        True, True, False, False, False,
    ]
    with pytest.raises(FileNotFoundError):
        store.read("ops/a/c.json")


def test_only_the_first_of_two_creators_wins(store: Store) -> None:
    assert store.create("keys/one", b"mine")
    assert not store.create("keys/one", b"theirs")
    assert store.read("keys/one") == b"mine"


def test_of_many_creators_at_once_exactly_one_wins(store: Store) -> None:
    won: list[int] = []

    def try_it(number: int) -> None:
        if store.create("keys/one", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("keys/one") == str(won[0]).encode()


def test_an_object_is_swapped_only_by_whoever_saw_it_last_and_may_be_freed(store: Store) -> None:
    assert not store.swap("ops/lease", b"", b"nobody created it")
    store.create("ops/lease", b"first")
    assert store.swap("ops/lease", b"first", b"second")
    assert not store.swap("ops/lease", b"first", b"third")
    assert not store.create("ops/lease", b"fourth")
    assert store.read("ops/lease") == b"second"
    assert store.swap("ops/lease", b"second", b"")
    assert store.create("ops/lease", b"fifth")
    assert store.read("ops/lease") == b"fifth"


def test_names_are_sorted_those_directly_below_and_of_the_pattern(store: Store) -> None:
    for name in ("b.json", "a.json", "a.txt", "deep/er/c.json"):
        store.write(f"ops/x/{name}", b"")
    assert [name.name for name in store.names("ops/x")] == ["a.json", "a.txt", "b.json", "deep"]
    assert store.names("ops/x", "*.json") == [PurePosixPath("ops/x/a.json"), PurePosixPath("ops/x/b.json")]
    assert store.names("ops/nothing") == []


def test_an_assembled_folder_comes_in_whole_and_what_is_not_placed_is_gone(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "delivery.csv"
    source.write_bytes(b"a,b\n1,2\n")
    with store.assembly("landing/x/y") as folder:
        size, digest = copy_in(source, folder / "delivery.csv")
        (folder / "deep").mkdir()
        (folder / "deep" / "seal.json").write_bytes(b"{}")
        store.place(folder, "landing/x/y/batch", seal="deep/seal.json")
    assert (size, len(digest)) == (8, 64)
    assert store.read("landing/x/y/batch/delivery.csv") == source.read_bytes()
    assert store.read("landing/x/y/batch/deep/seal.json") == b"{}"
    with store.assembly("landing/x/y") as folder:
        (folder / "forgotten").write_bytes(b"x")
    assert [name.name for name in store.names("landing/x/y")] == ["batch"]
    assert not list(store.own.root.rglob(".part-*"))


def test_a_sealed_folder_is_not_replaced(store: Store) -> None:
    for content in (b"first", b"second"):
        with store.assembly("open/x") as folder:
            (folder / "manifest.json").write_bytes(content)
            if content == b"first":
                store.place(folder, "open/x/1.0.0", seal="manifest.json")
            else:
                with pytest.raises(ConflictError, match=r"another run.*Remedy"):
                    store.place(folder, "open/x/1.0.0", seal="manifest.json")
    assert store.read("open/x/1.0.0/manifest.json") == b"first"


def test_of_two_attempts_at_one_place_the_first_to_seal_counts_whole(store: Store) -> None:
    calls, last = 0, 1 if isinstance(store, Folder) else 2

    def stall() -> None:
        """Stand still at a check until another attempt has placed everything."""
        nonlocal calls
        calls += 1
        if calls == last:
            with store.assembly("landing/x") as other:
                _attempt(other, "other")
                store.place(other, "landing/x/batch", seal="manifest.json", check=lambda: None)

    with store.assembly("landing/x") as folder:
        _attempt(folder, "stalled")
        with pytest.raises(ConflictError, match="another run"):
            store.place(folder, "landing/x/batch", seal="manifest.json", check=stall)
    assert store.read("landing/x/batch/manifest.json") == b"other"
    assert store.read("landing/x/batch/other/a.csv") == b"other"


def test_an_attempt_that_may_not_go_on_writes_no_seal(store: Store) -> None:
    calls = 0

    def lost() -> None:
        nonlocal calls
        calls += 1
        if calls == (1 if isinstance(store, Folder) else 2):
            raise ConflictError("the lease is lost.")

    with store.assembly("landing/x") as folder:
        _attempt(folder, "stalled")
        with pytest.raises(ConflictError, match="the lease is lost"):
            store.place(folder, "landing/x/batch", seal="manifest.json", check=lost)
    assert not store.exists("landing/x/batch/manifest.json")
    with store.assembly("landing/x") as folder:
        _attempt(folder, "next")
        store.place(folder, "landing/x/batch", seal="manifest.json", check=lambda: None)
    assert [name.name for name in store.names("landing/x/batch")] == ["manifest.json", "next"]


def _attempt(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "a.csv").write_bytes(name.encode())
    (folder / "manifest.json").write_bytes(name.encode())


def test_an_object_moves_and_a_folder_of_them_goes(store: Store) -> None:
    store.write("ops/draft", b"x")
    store.move("ops/draft", "open/x/statement")
    assert store.read("open/x/statement") == b"x"
    assert not store.exists("ops/draft")
    store.write("open/xy", b"another's")
    store.remove("open/x")
    store.remove("open/x")
    assert [name.name for name in store.names("open")] == ["xy"]


def test_a_mirror_shows_what_is_there_now(store: Store) -> None:
    store.write("open/x/a.csv", b"1")
    store.write("open/x/deep/b.csv", b"2")
    assert (store.mirror("open/x") / "a.csv").read_bytes() == b"1"
    store.write("open/x/a.csv", b"3")
    store.remove("open/x/deep")
    folder = store.mirror("open/x")
    assert (folder / "a.csv").read_bytes() == b"3"
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["a.csv"]
    assert store.mirror("open/x/a.csv").read_bytes() == b"3"


@pytest.mark.parametrize("file", ["户籍 登记.csv", "a+b%20c&d=e.csv", "_batch_id=x#1.csv"])
def test_a_name_may_hold_what_departments_call_their_files(store: Store, file: str) -> None:
    name = f"landing/x/{file}"
    store.write(name, b"1")
    assert [one.name for one in store.names("landing/x")] == [file]
    assert store.read(name) == b"1"
    assert (store.mirror("landing/x") / file).read_bytes() == b"1"
    with store.location(name).local() as path:
        assert (path.name, path.read_bytes()) == (file, b"1")
    store.remove(name)
    assert not store.exists(name)


def test_an_objects_state_changes_when_it_does(store: Store) -> None:
    store.write("raw/x/b.csv", b"1")
    store.write("raw/x/deep/a.csv", b"1")
    before = store.states("raw/x")
    assert list(map(str, before)) == ["raw/x/b.csv", "raw/x/deep/a.csv"]
    store.write("raw/x/b.csv", b"2")
    after = store.states("raw/x")
    assert [before[name] == after[name] for name in before] == [False, True]
    assert store.states("raw/nobody") == {}


def test_an_objects_age_is_known(store: Store) -> None:
    store.write("ops/staging/x/rows", b"")
    assert 0 <= store.age("ops/staging/x") < 60


def test_a_tables_place_is_written_listed_and_read(store: Store) -> None:
    place = store.location("silver/x")
    with (place / "deep").create("a.bin") as file:
        file.write(b"abc")
    assert [name.rpartition("/")[2] for name in place.files("*/a.*")] == ["a.bin"]
    assert place.files("a.*") == []
    with place.open(place.files("deep/*")[0]) as file:
        assert file.read() == b"abc"
    with (place / "deep" / "a.bin").local() as path:
        assert path.read_bytes() == b"abc"
    place.remove("deep/a.bin")
    assert place.files("*/*") == []


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "ops/../../b"])
def test_a_name_cannot_leave_the_store(store: Store, name: str) -> None:
    with pytest.raises(StorageError):
        store.write(name, b"")


def test_what_an_interrupted_write_left_is_not_an_object_but_is_found(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / ".part-0123-x.csv").write_bytes(b"half")
    (tmp_path / "landing" / ".part-0124").mkdir()
    assert store.names("landing") == []
    assert [name.name for name in store.unfinished("landing")] == [".part-0123-x.csv", ".part-0124"]
    assert [name.name for name in store.unfinished("landing", objects_only=True)] == [".part-0123-x.csv"]


def test_a_full_disk_is_a_clear_error() -> None:
    with pytest.raises(StorageError, match="disk is full"), storage_errors("gold"):
        Path("/dev/full").write_bytes(b"x")


@pytest.mark.parametrize(
    ("folder", "says", "remedy"),
    [
        ("silver/a__b/_batch_id=2026-01-10-0123456789ab", "a file of a table is missing", "from a copy of the lake"),
        ("registers/person_versions", "a file of a table is missing", "from a copy of the lake"),
        (f"ops/staging/conform-a__b-2026-01-10-0123456789ab/{'ab' * 16}/repeated", "rows on their way", "^run again"),
        (f"ops/staging/resolve/{'ab' * 16}", "rows on their way", "^run again"),
    ],
)
def test_a_missing_file_is_told_by_what_it_was(folder: str, says: str, remedy: str, tmp_path: Path) -> None:
    file = tmp_path / folder / f"part-{'0' * 32}.zstd.parquet"
    for read in (lambda: pl.scan_parquet(file).collect(), file.read_bytes):
        with pytest.raises(StorageError, match=says) as told, storage_errors("silver"):
            read()
        assert re.search(remedy, told.value.remedy or "")


def test_a_file_that_must_not_be_read_is_not_told_as_one_that_must_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="access is not allowed"), storage_errors("landing"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a.csv")
