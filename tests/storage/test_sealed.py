"""Encrypted files: what was written is read, from any place, in little memory; what was touched is not."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import stat
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from jobs.errors import StorageError
from jobs.storage.locations import Directory
from jobs.storage.objects import copy_in
from jobs.storage.sealed import MAGIC, SEGMENT, TAG, SealedFile, SealedPath, encrypted, new_key

SIZES = (0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 3 * SEGMENT + 77)
KEY = bytes(range(16))


def _kept(folder: Path, plain: bytes, name: str = "a.csv", *, as_stream: bool = True) -> SealedFile:
    """Copy bytes in as a landing does."""
    folder.mkdir(exist_ok=True)
    source = folder / "source"
    source.write_bytes(plain)
    told = copy_in(source, folder / name, lambda chunks, of: encrypted(chunks, KEY, of))
    assert told == (len(plain), hashlib.sha256(plain).hexdigest())
    return SealedFile(Directory(folder / name), name, len(plain), KEY, as_stream)


def _read(file: SealedFile) -> bytes:
    with file.local() as path, path.open("rb") as stream:
        return bytes(stream.read())


@pytest.mark.parametrize("as_stream", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_read_is_what_was_written_and_not_what_lies_there(tmp_path: Path, size: int, as_stream: bool) -> None:
    plain = random.Random(size).randbytes(size)
    file = _kept(tmp_path / "kept", plain, as_stream=as_stream)
    lies = (tmp_path / "kept" / "a.csv").read_bytes()
    assert lies.startswith(MAGIC)
    assert len(lies) == len(MAGIC) + size + TAG * max(1, -(-size // SEGMENT))
    assert size < 16 or plain[:16] not in lies
    assert _read(file) == plain
    with file.local() as path:
        assert (path.name, path.stat().st_size) == ("a.csv", size)


def test_it_is_read_from_any_place_as_a_plain_file_is(tmp_path: Path) -> None:
    dice, plain, copy = random.Random(7), random.Random(8).randbytes(3 * SEGMENT + 77), tmp_path / "plain"
    copy.write_bytes(plain)
    with _kept(tmp_path / "kept", plain).local() as path, path.open("rb") as one, copy.open("rb") as two:
        for _ in range(300):
            place, count = dice.randrange(len(plain) + 10), dice.choice((1, 100, SEGMENT, 2 * SEGMENT + 1))
            assert one.seek(place) == two.seek(place)
            assert one.read(count) == two.read(count)
            assert one.readline(1000) == two.readline(1000)
            assert one.tell() == two.tell()
        assert one.seek(-5, os.SEEK_END) == two.seek(-5, os.SEEK_END)
        assert one.read() == two.read()


def test_each_segment_is_sm4_gcm_as_any_other_program_would_open_it(tmp_path: Path) -> None:
    plain = b"x" * SEGMENT + b"the end"
    lies = b"".join(encrypted([plain], KEY, "a.csv"))
    mac = hmac.HMAC(KEY, hashes.SM3())
    mac.update(b"file|a.csv")
    key, last = mac.finalize()[:16], lies[len(MAGIC) + SEGMENT + TAG :]
    opening = Cipher(algorithms.SM4(key), modes.GCM(bytes(10) + b"\1" + b"\1", last[-TAG:])).decryptor()
    assert opening.update(last[:-TAG]) + opening.finalize() == b"the end"


def _flip(at: int) -> Callable[[bytes], bytes]:
    return lambda lies: lies[:at] + bytes([lies[at] ^ 1]) + lies[at + 1 :]


ONE = SEGMENT + TAG
HEAD = len(MAGIC)
THIRD = HEAD + 2 * ONE
TOUCHED: dict[str, Callable[[bytes], bytes]] = {
    "its mark": _flip(0),
    "its first byte": _flip(HEAD),
    "a tag": _flip(HEAD + ONE - 1),
    "its last byte": lambda lies: _flip(len(lies) - 1)(lies),
    "two changed places": lambda lies: lies[:HEAD] + lies[HEAD + ONE : THIRD] + lies[HEAD : HEAD + ONE] + lies[THIRD:],
    "one left out": lambda lies: lies[: HEAD + ONE] + lies[THIRD:],
    "cut after one": lambda lies: lies[:THIRD],
    "cut inside one": lambda lies: lies[:-1],
    "something added": lambda lies: lies + b"x",
    "nothing left": lambda _: b"",
    "the last one over again": lambda lies: lies + lies[THIRD:],
}


@pytest.mark.parametrize("what", TOUCHED)
@pytest.mark.parametrize("as_stream", [True, False])
def test_a_file_that_was_touched_is_not_read_and_says_so(tmp_path: Path, what: str, as_stream: bool) -> None:
    file = _kept(tmp_path / "kept", random.Random(3).randbytes(2 * SEGMENT + 500), as_stream=as_stream)
    lies = (tmp_path / "kept" / "a.csv").read_bytes()
    (tmp_path / "kept" / "a.csv").write_bytes(TOUCHED[what](lies))
    with pytest.raises(StorageError, match=r"not as it was written.*Remedy"):
        _read(file)


def test_a_file_cut_to_whole_segments_is_not_read_even_where_its_size_is_believed(tmp_path: Path) -> None:
    _kept(tmp_path / "kept", random.Random(3).randbytes(2 * SEGMENT + 500))
    kept = tmp_path / "kept" / "a.csv"
    kept.write_bytes(kept.read_bytes()[: HEAD + 2 * ONE])
    with pytest.raises(StorageError, match="not as it was written"):
        _read(SealedFile(Directory(kept), "a.csv", 2 * SEGMENT, KEY, as_stream=True))


@pytest.mark.parametrize("left", [0, 3, TAG])
def test_a_file_cut_inside_a_tag_while_it_is_read_says_so(tmp_path: Path, left: int) -> None:
    with _kept(tmp_path / "kept", bytes(2 * SEGMENT)).local() as path, path.open("rb") as stream:
        os.truncate(path, len(MAGIC) + SEGMENT + TAG + left)
        assert stream.read(10) == bytes(10)
        stream.seek(SEGMENT)
        with pytest.raises(StorageError, match=r"not as it was written.*Remedy"):
            stream.read(10)


def test_files_cannot_change_places_and_another_key_opens_nothing(tmp_path: Path) -> None:
    one, two = _kept(tmp_path / "kept", b"one " * 99), _kept(tmp_path / "kept", b"two " * 99, "b.csv")
    strangers = (
        SealedFile(one.kept, "b.csv", one.size, KEY, as_stream=True), SealedFile(two.kept, "a.csv", two.size, KEY),
        SealedFile(one.kept, "a.csv", one.size, new_key(), as_stream=True),
    )
    for stranger in strangers:
        with pytest.raises(StorageError, match="not as it was written"):
            _read(stranger)


def test_a_plain_copy_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with _kept(tmp_path / "kept", b"some bytes", as_stream=False).local() as path:
        assert not isinstance(path, SealedPath)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_little_is_held_of_a_large_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(bytes(40 << 20))
    tracemalloc.start()
    try:
        size, _ = copy_in(plain, tmp_path / "a.csv", lambda chunks, name: encrypted(chunks, KEY, name))
        with SealedFile(Directory(tmp_path / "a.csv"), "a.csv", size, KEY).local() as path:
            assert path.stat().st_size == size
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_it_crosses_processes_and_shows_no_key(tmp_path: Path) -> None:
    file = _kept(tmp_path / "kept", b"some bytes")
    assert _read(pickle.loads(pickle.dumps(file))) == b"some bytes"
    assert str(KEY) not in repr(file)
    assert "\\x01\\x02" not in repr(file)
