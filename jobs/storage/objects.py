"""Bytes with names: a small durable object store, here in a folder; `buckets` has the same in a bucket.

Every write is whole or absent: a temporary file is synced, then renamed into place, then its folder is synced.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from jobs.errors import ConflictError, LakeError, StorageError
from jobs.storage.locations import Directory, Location, refusal

CHUNK = 1 << 20
_PART = ".part-"
_FULL_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL = re.compile(rf"os error ({'|'.join(map(str, _FULL_CODES))})\b")
# What libraries say of a file that is not whole, and of one that a table names and that is gone.
_DAMAGED = re.compile(
    r"out of specification|magic bytes|corruption|Corrupt|[Tt]hrift|Json error|not a parquet file|Parquet file size is"
)
_ABSENT = re.compile(r"No such file|[Nn]ot ?[Ff]ound|does not exist")
# Names that the lake itself gives; others may say something about somebody.
_PARTS = re.compile(r"part-[0-9a-f-]{32,}[.a-z0-9]*\.parquet|_delta_log/[0-9]{20}\.json")
# A file of a step's own place, of which no copy of the lake knows; libraries cut the beginning of long paths off.
_PASSING = re.compile(r"\bops/staging/|[0-9a-f]{16,}/(?:[^/\s]+/)?part-")
_READERS = {  # module of an error: its classes that may speak of a file
    "polars": ("ComputeError",), "deltalake": ("DeltaError", "TableNotFoundError"), "_internal": ("DeltaError",),
    "pyarrow": ("ArrowInvalid", "ArrowException"), "builtins": ("OSError", "FileNotFoundError"),
}
_FORBIDDEN = re.compile(rf"os error ({errno.EACCES}|{errno.EPERM}|{errno.EROFS})\b")


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Turn the refusal of a machine or an object store into a StorageError that says what to do.

    Libraries in Rust give the operating system's word in their own exceptions' text.
    """
    try:
        yield
    except LakeError:
        raise
    except Exception as error:
        if refused := refusal(error):
            raise StorageError(refused[0], where=where, remedy=refused[1]) from None
        number = getattr(error, "errno", None)
        if number in _FULL_CODES or _FULL.search(str(error)):
            raise StorageError(
                "the disk is full, or takes no larger file; nothing was changed.", where=where,
                remedy="free space, then run again.",
            ) from None
        if number in (errno.EACCES, errno.EPERM, errno.EROFS) or _FORBIDDEN.search(str(error)):
            raise StorageError("access is not allowed.", where=where, remedy="check the folder's rights.") from None
        if broken := _broken(error):
            named, passing = _PARTS.search(str(error)), _PASSING.search(str(error))
            raise StorageError(
                f"a file of {'rows on their way' if passing else 'a table'} is {broken}; nothing counts that was not "
                "committed before.",
                where=named.group() if named else where,
                remedy="run again." if passing else "put the file back from a copy of the lake, then run again.",
            ) from None
        raise


@contextmanager
def machine_errors(where: str) -> Iterator[None]:
    """Turn whatever the machine or an object store refuses, for whatever reason, into a StorageError."""
    try:
        with storage_errors(where):
            yield
    except OSError as error:
        raise StorageError(
            f"the machine refuses ({errno.errorcode.get(error.errno or 0, type(error).__name__)}).", where=where,
            remedy="look at space, rights and open files, then run again.",
        ) from None


def _broken(error: Exception) -> str:
    """Return what is wrong with a table's file by a library's error, nothing for an error of anything else."""
    kind = type(error)
    if kind.__name__ not in _READERS.get(kind.__module__.partition(".")[0], ()):
        return ""
    text = str(error)
    if _ABSENT.search(text):
        return "missing" if _PARTS.search(text) else ""
    return "damaged" if _DAMAGED.search(text) else ""


class Store(Protocol):
    """Keep objects; names are POSIX paths, whose first part is a layer or one of the lake's own rooms.

    Every write is whole or absent. What is not there is a FileNotFoundError; what the store refuses, a StorageError.
    """

    @property
    def own(self) -> Folder:
        """Return the folder of this machine, for what must not leave it or need not be kept."""

    @property
    def places_whole(self) -> bool:
        """Tell whether a folder is placed in one step: none is ever without its seal by an interrupted run."""

    def address(self, name: PurePosixPath | str) -> str:
        """Return where an object is, for people."""

    def location(self, name: PurePosixPath | str) -> Location:
        """Return where tables and tasks find an object or a folder of objects."""

    def mirror(self, name: PurePosixPath | str) -> Path:
        """Return an object or a folder of objects as files of this machine, to be read only."""

    def exists(self, name: PurePosixPath | str) -> bool:
        """Tell whether an object (or a folder of objects) is there."""

    def read(self, name: PurePosixPath | str) -> bytes:
        """Return an object's bytes."""

    def write(self, name: PurePosixPath | str, data: bytes, mode: int | None = None) -> None:
        """Write an object whole, replacing what was there; in a folder with rights `mode` if given."""

    def create(self, name: PurePosixPath | str, data: bytes, mode: int | None = None) -> bool:
        """Write an object, in a folder with rights `mode`, only if there is none; tell whether this call made it."""

    def swap(self, name: PurePosixPath | str, seen: bytes, data: bytes) -> bool:
        """Write an object only where it still holds the bytes last seen; no data frees the name for `create`."""

    @contextmanager
    def assembly(self, beside: PurePosixPath | str) -> Iterator[Path]:
        """Yield an empty folder of this machine to put objects together in; what is not placed from it is gone."""

    def place(
        self, folder: Path, target: PurePosixPath | str, *, seal: str, check: Callable[[], None] | None = None
    ) -> None:
        """Put an assembled folder into its place; raise ConflictError where another one came first.

        `seal` is the object without which the others do not count. `check` is called before the first object and again
        before the seal, and raises where this attempt may not go on; attempts beside each other name their objects so
        that none overwrites another's.
        """

    def move(self, source: PurePosixPath | str, target: PurePosixPath | str) -> None:
        """Give an object another name."""

    def names(self, prefix: PurePosixPath | str, pattern: str = "*") -> list[PurePosixPath]:
        """Return the objects directly below a prefix that match a pattern, sorted; unfinished ones are not there."""

    def states(self, prefix: PurePosixPath | str) -> dict[PurePosixPath, str]:
        """Return every object below a prefix, sorted, with a word that changes when the object does."""

    def unfinished(self, prefix: PurePosixPath | str, *, objects_only: bool = False) -> list[PurePosixPath]:
        """Return what interrupted writes left anywhere below a prefix: objects, and folders of them."""

    def age(self, name: PurePosixPath | str) -> float:
        """Return how many seconds ago an object (or what is below it) was written, by the store's own clock."""

    def remove(self, name: PurePosixPath | str) -> None:
        """Remove an object or a folder of objects; nothing happens when there is none."""


def checked(name: PurePosixPath | str) -> PurePosixPath:
    """Return an object's name; raise StorageError for one that leaves the store."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise StorageError("an object's name may not leave the store.", where=pure.name)
    return pure


def taken(target: PurePosixPath | str) -> ConflictError:
    """Return the error of an attempt to put something where another attempt's lies by now."""
    return ConflictError(
        "another run put something there first; nothing of it was changed.", where=str(target), remedy="run again."
    )


Sealing = Callable[[Iterable[bytes], str], Iterator[bytes]]  # of a file's bytes as they come, and its name


def copy_in(source: Path | IO[bytes], target: Path, seal: Sealing | None = None) -> tuple[int, str]:
    """Copy a file (or what an open one still holds) into an assembly, streaming, encrypted by `seal` if given.

    Return its size in bytes and its SHA-256 as read: those of the plain bytes.
    """
    digest, size = hashlib.sha256(), 0

    def read() -> Iterator[bytes]:
        nonlocal size
        while chunk := incoming.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            yield chunk

    opened = source.open("rb") if isinstance(source, Path) else source
    with storage_errors(target.name), opened as incoming, target.open("xb") as stream:
        for chunk in seal(read(), target.name) if seal else read():
            stream.write(chunk)
    return size, digest.hexdigest()


def _below(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield what is below a folder, each with whether it is a file; what goes while one looks is no error."""
    for place, folders, files in os.walk(folder):
        yield from ((Path(place, name), False) for name in folders)
        yield from ((Path(place, name), True) for name in files)


class Folder:
    """Keep objects in a folder; names are POSIX paths below it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def own(self) -> Folder:
        """Return itself: all of it is this machine's."""
        return self

    @property
    def places_whole(self) -> bool:
        """Tell that a folder is placed in one step."""
        return True

    def local(self, name: PurePosixPath | str) -> Path:
        """Return where an object lives; raise StorageError for a name that leaves the folder."""
        return self.root / checked(name)

    def mirror(self, name: PurePosixPath | str) -> Path:
        """Return where an object lives."""
        return self.local(name)

    def address(self, name: PurePosixPath | str) -> str:
        """Return where an object lives, for people."""
        return str(self.local(name))

    def location(self, name: PurePosixPath | str) -> Directory:
        """Return where an object lives, for tables and tasks."""
        return Directory(self.local(name))

    def exists(self, name: PurePosixPath | str) -> bool:
        """Tell whether an object (or a folder of objects) is there."""
        return self.local(name).exists()

    def read(self, name: PurePosixPath | str) -> bytes:
        """Return an object's bytes."""
        return self.local(name).read_bytes()

    def write(self, name: PurePosixPath | str, data: bytes, mode: int | None = None) -> None:
        """Write an object whole, replacing what was there; in a folder with rights `mode` if given."""
        target = self.local(name)
        with storage_errors(str(name)), self._part(target) as part:
            with part.open("xb") as stream:
                if mode is not None:
                    os.fchmod(stream.fileno(), mode)
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

    def swap(self, name: PurePosixPath | str, seen: bytes, data: bytes) -> bool:
        """Write an object only where it still holds the bytes last seen; no data removes it."""
        target = self.local(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with storage_errors(str(name)), target.with_suffix(".lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if not target.is_file() or target.read_bytes() != seen:
                return False
            self.write(name, data) if data else self.remove(name)
            return True

    @contextmanager
    def assembly(self, beside: PurePosixPath | str) -> Iterator[Path]:
        """Yield an empty folder beside objects that are there; what is not placed from it is gone."""
        folder = self.local(beside) / f"{_PART}{uuid.uuid4().hex}"
        with storage_errors(str(beside)):
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def place(
        self, folder: Path, target: PurePosixPath | str, *, seal: str,  # noqa: ARG002 (one step here)
        check: Callable[[], None] | None = None,
    ) -> None:
        """Rename an assembled folder into its place in one step; its files are synced first."""
        if check is not None:
            check()
        try:
            self._rename(folder, self.local(target), str(target))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise taken(target) from None

    def move(self, source: PurePosixPath | str, target: PurePosixPath | str) -> None:
        """Rename an object in one step; it is synced first."""
        self._rename(self.local(source), self.local(target), str(target))

    def _rename(self, old: Path, new: Path, where: str) -> None:
        with storage_errors(where):
            for path in [old, *old.rglob("*")]:
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

    def states(self, prefix: PurePosixPath | str) -> dict[PurePosixPath, str]:
        """Return every object below a prefix, sorted, with its size and the moment it was written."""
        told: dict[PurePosixPath, str] = {}
        for path, is_file in sorted(_below(self.local(prefix))):
            with suppress(FileNotFoundError):  # gone meanwhile
                if is_file:
                    state = path.stat()
                    name = PurePosixPath(path.relative_to(self.root).as_posix())
                    told[name] = f"{state.st_size}.{state.st_mtime_ns}"
        return told

    def unfinished(self, prefix: PurePosixPath | str, *, objects_only: bool = False) -> list[PurePosixPath]:
        """Return what interrupted writes left anywhere below a prefix: objects, and folders of them."""
        return sorted(
            PurePosixPath(path.relative_to(self.root).as_posix())
            for path, is_file in _below(self.local(prefix))
            if path.name.startswith(_PART) and (is_file or not objects_only)
        )

    def age(self, name: PurePosixPath | str) -> float:
        """Return how many seconds ago an object, or the folder of some, was written."""
        return time.time() - self.local(name).stat().st_mtime

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
