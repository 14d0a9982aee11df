"""Encrypted files: SM4-GCM (GB/T 32907-2016, NIST SP 800-38D) in segments, written and read piece by piece.

A file is `MAGIC`, then segments of `SEGMENT` plain bytes (the last has what is left), each encrypted by itself and
followed by its tag. A segment's nonce says its place and whether it is the last one, and every file has a key of its
own, made from its batch's key and its name: none can be changed, moved, left out, cut off or put into another file
unseen (the construction STREAM of Hoang, Reyhanitabar, Rogaway and Vizár, 2015). The tags are what guards integrity;
the SHA-256 of the manifest is of the plain bytes and says which they are. A batch's key is random and encrypts nothing
else, and a name occurs once in a batch, so no nonce occurs twice.
"""

from __future__ import annotations

import io
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PosixPath
from typing import IO, TYPE_CHECKING, Any

from jobs.errors import DamagedBatchError
from jobs.storage.locations import Fetched
from jobs.storage.objects import machine_errors

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAGIC = b"\x89LAKESM4"
SEGMENT = 1 << 18
TAG = 16
KEY_BYTES = 16
_COUNTER_BYTES = 11  # of the nonce's 12; the last one says whether this is the file's end


def new_key() -> bytes:
    """Return a random key for one batch."""
    return secrets.token_bytes(KEY_BYTES)


def encrypted(chunks: Iterable[bytes], key: bytes, name: str) -> Iterator[bytes]:
    """Encrypt a file of a batch as its bytes come; `name` is the file's, in no other file of the batch.

    Holds one segment and one chunk.
    """
    secret, number, waiting = _file_key(key, name), 0, bytearray()
    yield MAGIC
    for chunk in chunks:
        waiting += chunk
        while len(waiting) > SEGMENT:
            yield _encrypted(secret, number, bytes(waiting[:SEGMENT]), last=False)
            del waiting[:SEGMENT]
            number += 1
    yield _encrypted(secret, number, bytes(waiting), last=True)


@dataclass(frozen=True)
class SealedFile:
    """Name an encrypted file of a batch: where it is, its plain size in bytes, and the key of its batch.

    It crosses processes as a location does. `as_stream` says that its reader opens it by `Path.open` alone, so that
    nothing plain need be written; else it is decrypted once, into a private file that is gone afterwards.
    """

    kept: Fetched
    name: str
    size: int
    key: bytes = field(repr=False)
    as_stream: bool = False

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Yield the file to be read as if it were plain; raise DamagedBatchError where it is not as written."""
        with ExitStack() as stack:
            with machine_errors(self.name):
                found: Path = stack.enter_context(self.kept.local())
                if self.as_stream:
                    found = SealedPath.of(found, self)
                else:
                    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lake-"))
                    found = self._decrypted(found, Path(folder) / self.name)
            yield found

    def _decrypted(self, path: Path, plain: Path) -> Path:
        with plain.open("xb") as target:
            os.fchmod(target.fileno(), 0o600)
            for block in self.blocks(path):
                target.write(block)
        return plain

    def blocks(self, path: Path) -> Iterator[bytes]:
        """Yield the plain bytes of the file, which was fetched to `path`, segment by segment."""
        with self.opened(path) as stream:
            while block := stream.read(SEGMENT):
                yield block

    def opened(self, path: Path) -> IO[bytes]:
        """Open the file, which was fetched to `path`, to read its plain bytes in any order."""
        return io.BufferedReader(_Plain(path.open("rb"), self), SEGMENT)


class SealedPath(PosixPath):
    """Name an encrypted file of this machine; whoever opens or measures it finds its plain bytes.

    Only for readers in Python: a library that opens a path by itself finds the encrypted ones and refuses them.
    """

    sealed: SealedFile

    @classmethod
    def of(cls, path: Path, sealed: SealedFile) -> SealedPath:
        """Return a path at which a file was found."""
        found = cls(path)
        found.sealed = sealed
        return found

    def open(self, mode: str = "r", *_: Any, **__: Any) -> IO[Any]:  # type: ignore[override]
        """Open the file for reading its plain bytes."""
        if mode != "rb":
            raise ValueError(f"an encrypted file is not opened for {mode!r}")
        return self.sealed.opened(Path(self))

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return what the file system says, but for the size, which is that of the plain bytes."""
        found = list(super().stat(follow_symlinks=follow_symlinks))
        found[6] = self.sealed.size
        return os.stat_result(found)


class _Plain(io.RawIOBase):
    """Decrypt the segments that are asked for, one at a time."""

    def __init__(self, stream: IO[bytes], file: SealedFile) -> None:
        super().__init__()
        self._stream, self._file, self._key = stream, file, _file_key(file.key, file.name)
        self._place, self._held, self._segment = 0, -1, b""
        self._last = max(0, -(-file.size // SEGMENT) - 1)
        whole = len(MAGIC) + file.size + TAG * (self._last + 1)
        if self._stream.read(len(MAGIC)) != MAGIC or os.fstat(self._stream.fileno()).st_size != whole:
            self.close()
            raise self._damaged()
        if not file.size:
            self._decrypted(0)  # else nothing would ask whether it was empty from the first

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._file.size}[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        if self._place >= self._file.size:
            return 0
        number, within = divmod(self._place, SEGMENT)
        found = memoryview(self._decrypted(number))[within : within + len(view)]
        view[: len(found)] = found
        self._place += len(found)
        return len(found)

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _decrypted(self, number: int) -> bytes:
        from cryptography.exceptions import InvalidTag

        if number != self._held:
            self._stream.seek(len(MAGIC) + number * (SEGMENT + TAG))
            try:
                self._segment = _opened(self._key, number, self._stream.read(SEGMENT + TAG), last=number == self._last)
            except (InvalidTag, ValueError):  # a tag that is wrong, or cut off meanwhile
                raise self._damaged() from None
            self._held = number
        return self._segment

    def _damaged(self) -> DamagedBatchError:
        return DamagedBatchError(
            "the landed file is not as it was written.", where=self._file.name,
            remedy="put the file back from a copy of the lake.",
        )


def _file_key(key: bytes, name: str) -> bytes:
    from cryptography.hazmat.primitives import hashes, hmac

    mac = hmac.HMAC(key, hashes.SM3())
    mac.update(b"file|" + name.encode())
    return mac.finalize()[:KEY_BYTES]


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_COUNTER_BYTES, "big") + bytes([last])


def _encrypted(key: bytes, number: int, plain: bytes, *, last: bool) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    sealing = Cipher(algorithms.SM4(key), modes.GCM(_nonce(number, last=last))).encryptor()
    return sealing.update(plain) + sealing.finalize() + sealing.tag


def _opened(key: bytes, number: int, segment: bytes, *, last: bool) -> bytes:
    """Return a segment's plain bytes, none of them before its tag is known to be right."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    nonce, tag = _nonce(number, last=last), segment[-TAG:]
    opening = Cipher(algorithms.SM4(key), modes.GCM(nonce, tag)).decryptor()
    return opening.update(segment[:-TAG]) + opening.finalize()
