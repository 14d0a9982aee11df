"""Bytes with names: a small durable object store, here in a folder.

Every write is whole or absent: a temporary file is synced, then renamed into place, then its folder is synced.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from jobs.errors import LakeError, StorageError

CHUNK = 1 << 20
_PART = ".part-"
_FULL_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL = re.compile(rf"os error ({'|'.join(map(str, _FULL_CODES))})\b")
_FORBIDDEN = re.compile(rf"os error ({errno.EACCES}|{errno.EPERM}|{errno.EROFS})\b")


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Turn the machine's refusal to write into a StorageError that says what to do.

    Libraries in Rust give the operating system's word in their own exceptions' text.
    """
    try:
        yield
    except LakeError:
        raise
    except Exception as error:
        number = getattr(error, "errno", None)
        if number in _FULL_CODES or _FULL.search(str(error)):
            raise StorageError(
                "the disk is full, or takes no larger file; nothing was changed.", where=where,
                remedy="free space, then run again.",
            ) from None
        if number in (errno.EACCES, errno.EPERM, errno.EROFS) or _FORBIDDEN.search(str(error)):
            raise StorageError("writing is not allowed.", where=where, remedy="check the folder's rights.") from None
        raise


class Folder:
    """Keep objects in a folder; names are POSIX paths below it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def local(self, name: PurePosixPath | str) -> Path:
        """Return where an object lives; raise StorageError for a name that leaves the folder."""
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise StorageError("an object's name may not leave the store.", where=pure.name)
        return self.root / pure

    def exists(self, name: PurePosixPath | str) -> bool:
        """Tell whether an object (or a folder of objects) is there."""
        return self.local(name).exists()

    def read(self, name: PurePosixPath | str) -> bytes:
        """Return an object's bytes."""
        return self.local(name).read_bytes()

    def write(self, name: PurePosixPath | str, data: bytes) -> None:
        """Write an object whole, replacing what was there."""
        target = self.local(name)
        with storage_errors(str(name)), self._part(target) as part:
            with part.open("xb") as stream:
                stream.write(data)
                _sync(stream.fileno())
            part.replace(target)
            _sync_folder(target.parent)

    def create(self, name: PurePosixPath | str, data: bytes, mode: int | None = None) -> bool:
        """Write an object, with rights `mode` if given, only if there is none; tell whether this call made it."""
        target = self.local(name)
        with storage_errors(str(name)), self._part(target) as part:
            with part.open("xb") as stream:
                if mode is not None:
                    os.fchmod(stream.fileno(), mode)
                stream.write(data)
                _sync(stream.fileno())
            try:
                os.link(part, target)  # atomic, and fails where the name is taken
            except FileExistsError:
                return False
            _sync_folder(target.parent)
            return True

    def add_file(self, source: Path, name: PurePosixPath | str) -> tuple[int, str]:
        """Copy a file in, streaming; return its size in bytes and SHA-256 as stored."""
        target = self.local(name)
        digest, size = hashlib.sha256(), 0
        with storage_errors(str(name)), self._part(target) as part:
            with source.open("rb") as incoming, part.open("xb") as stream:
                while chunk := incoming.read(CHUNK):
                    stream.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                _sync(stream.fileno())
            part.replace(target)
            _sync_folder(target.parent)
        return size, digest.hexdigest()

    def move(self, source: PurePosixPath | str, target: PurePosixPath | str) -> None:
        """Rename a folder of finished objects into place in one step; its files are synced first."""
        old, new = self.local(source), self.local(target)
        with storage_errors(str(target)):
            for path in old.rglob("*"):
                if path.is_file():
                    with path.open("rb") as stream:
                        _sync(stream.fileno())
            new.parent.mkdir(parents=True, exist_ok=True)
            old.rename(new)
            _sync_folder(new.parent)

    def names(self, prefix: PurePosixPath | str, pattern: str = "*") -> list[PurePosixPath]:
        """Return the objects directly below a prefix that match a pattern, sorted; unfinished ones are not there."""
        folder = self.local(prefix)
        found = folder.glob(pattern) if folder.is_dir() else ()
        return sorted(
            PurePosixPath(path.relative_to(self.root).as_posix()) for path in found if _PART not in path.name
        )

    def unfinished(self, prefix: PurePosixPath | str) -> list[PurePosixPath]:
        """Return what interrupted writes left anywhere below a prefix."""
        folder = self.local(prefix)
        found = folder.rglob(f"{_PART}*") if folder.is_dir() else ()
        return sorted(PurePosixPath(path.relative_to(self.root).as_posix()) for path in found)

    def remove(self, name: PurePosixPath | str) -> None:
        """Remove an object or a folder of objects; nothing happens when there is none."""
        path = self.local(name)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    @contextmanager
    def _part(self, target: Path) -> Iterator[Path]:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{_PART}{uuid.uuid4().hex}-{target.name}"[:200])
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)


def _sync(descriptor: int) -> None:
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
