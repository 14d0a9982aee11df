"""Bytes with names in buckets: what `objects.Folder` does, on an object store that speaks S3.

The first part of a name picks the bucket (`landing/…` lies in `<lake>-landing`), so that every layer has rights of its
own. A write is whole or absent by the store's own promise; what must be one step of several writers is a conditional
write. Folders of objects come in with the object last without which the others do not count.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from minio.commonconfig import CopySource
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from jobs import layers
from jobs.errors import RequestError, StorageError
from jobs.storage.locations import Access, Prefix
from jobs.storage.objects import Folder, checked, storage_errors, taken

if TYPE_CHECKING:
    from minio import Minio

    from jobs.settings import Settings

_ABSENT = ("NoSuchKey", "NoSuchVersion")
_LOST = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")


def access(settings: Settings) -> Access:
    """Return how the object store of the settings is asked; raise RequestError where they do not say."""
    user, key = settings.storage_access_key, settings.storage_secret_key
    if not user or not key:
        raise RequestError(
            "the keys of the object store are not set.", where=str(settings.storage),
            remedy="set LAKE_STORAGE_ACCESS_KEY and LAKE_STORAGE_SECRET_KEY.",
        )
    return Access(
        settings.storage_endpoint.rstrip("/"), settings.storage_region, user.get_secret_value(), key.get_secret_value()
    )


class Bucket:
    """Keep objects in the buckets of one lake; `own` is this machine's folder."""

    def __init__(self, lake: str, access: Access, own: Folder) -> None:
        self.lake, self.access, self._own = lake, access, own

    @property
    def own(self) -> Folder:
        """Return this machine's folder: the master key, the publisher's key, rows on their way, copies to read."""
        return self._own

    @property
    def places_whole(self) -> bool:
        """Tell that objects are put one by one, the seal last."""
        return False

    @property
    def _client(self) -> Minio:
        return self.access.client()

    def _at(self, name: PurePosixPath | str) -> tuple[str, str]:
        """Return the bucket and the key of an object."""
        parts = checked(name).parts
        if not parts:
            raise StorageError("an object's name may not be empty.", where=self.lake)
        return layers.bucket(self.lake, parts[0]), "/".join(parts[1:])

    def address(self, name: PurePosixPath | str) -> str:
        """Return an object's URI."""
        return f"s3://{'/'.join(self._at(name))}" if str(name) else f"s3://{self.lake}"

    def location(self, name: PurePosixPath | str) -> Prefix:
        """Return where tables and tasks find an object or a folder of objects."""
        return Prefix(*self._at(name), self.access)

    def mirror(self, name: PurePosixPath | str) -> Path:
        """Return a copy on this machine, to be read only, of which only what changed is fetched."""
        root, wanted = self._own.local(PurePosixPath("mirror", self.lake)), set()
        with storage_errors(str(name)):
            for found, one in self._below(name):
                path = root / found
                wanted.add(path)
                written = _seconds(one.last_modified)
                if path.is_file() and (path.stat().st_size, path.stat().st_mtime) == (one.size, written):
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                self._client.fget_object(*self._at(found), str(path))
                os.utime(path, (written, written))
        for path in (root / checked(name)).rglob("*"):
            if path.is_file() and path not in wanted:
                path.unlink()
        return root / checked(name)

    def exists(self, name: PurePosixPath | str) -> bool:
        """Tell whether an object (or a folder of objects) is there."""
        bucket, key = self._at(name)
        with storage_errors(str(name)):  # by lists: a HEAD of a bucket that is missing looks like a missing object
            found = next(iter(self._client.list_objects(bucket, prefix=key, recursive=True)), None)
            if found is not None and (not key or str(found.object_name) == key):
                return True
            return next(iter(self._client.list_objects(bucket, prefix=f"{key}/", recursive=True)), None) is not None

    def read(self, name: PurePosixPath | str) -> bytes:
        """Return an object's bytes."""
        return self._get(name)[0]

    def _get(self, name: PurePosixPath | str) -> tuple[bytes, str]:
        """Return an object's bytes and what the store calls their state."""
        with storage_errors(str(name)):
            try:
                answer = self._client.get_object(*self._at(name))
            except S3Error as error:
                if error.code in _ABSENT:
                    raise FileNotFoundError(str(name)) from None
                raise
            try:
                return answer.data, str(answer.headers["ETag"])
            finally:
                answer.close()
                answer.release_conn()

    def write(self, name: PurePosixPath | str, data: bytes, mode: int | None = None) -> None:  # noqa: ARG002
        """Write an object whole, replacing what was there; in a folder with rights `mode` if given."""
        with storage_errors(str(name)):
            self._client.put_object(*self._at(name), io.BytesIO(data), len(data))

    def create(self, name: PurePosixPath | str, data: bytes, mode: int | None = None) -> bool:  # noqa: ARG002
        """Write an object only if there is none, or one that `swap` emptied; tell whether this call made it.

        Rights are the bucket's, so `mode` says nothing here.
        """
        if self._put_if(name, data, {"If-None-Match": "*"}):
            return True
        return self.swap(name, b"", data)

    def swap(self, name: PurePosixPath | str, seen: bytes, data: bytes) -> bool:
        """Write an object only where it still holds the bytes last seen; no data leaves an empty one, which is free."""
        try:
            found, state = self._get(name)
        except FileNotFoundError:
            return False
        return found == seen and self._put_if(name, data, {"If-Match": state})

    def _put_if(self, name: PurePosixPath | str, data: bytes, condition: dict[str, Any]) -> bool:
        with storage_errors(str(name)):
            try:
                # The SDK's public call makes metadata of every header it does not know, conditions among them.
                self._client._put_object(*self._at(name), data, condition)
            except S3Error as error:
                if error.code in _LOST:
                    return False
                raise
            return True

    @contextmanager
    def assembly(self, beside: PurePosixPath | str) -> Iterator[Path]:
        """Yield an empty folder of this machine to put objects together in; what is not placed from it is gone."""
        self._own.root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".part-{checked(beside).name}-", dir=self._own.root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def place(
        self, folder: Path, target: PurePosixPath | str, *, seal: str, check: Callable[[], None] | None = None
    ) -> None:
        """Put an assembled folder into its place, the seal last; raise ConflictError where a sealed one is there.

        The seal is written only where there is none, so that of two attempts one counts. With `check`, what another
        attempt left is removed after the seal, not before: it may be about to write its own.
        """
        target = PurePosixPath(target)
        if self.exists(target / seal):
            raise taken(target)
        if check is None:
            self.remove(target)  # what an attempt left that died before its seal
        else:
            check()
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        with storage_errors(str(target)):
            for name in names:
                if name != seal:
                    self._client.fput_object(*self._at(target / name), str(folder / name))
            if check is not None:
                check()
            data = (folder / seal).read_bytes()
            # A seal that is ours to the byte was written by a request whose answer was lost.
            if not self._put_if(target / seal, data, {"If-None-Match": "*"}) and self.read(target / seal) != data:
                raise taken(target)
            for found, _ in list(self._below(target)) if check is not None else ():
                if found.relative_to(target).as_posix() not in names:
                    self.remove(found)

    def move(self, source: PurePosixPath | str, target: PurePosixPath | str) -> None:
        """Give an object another name: it is there under both for a moment, never under none."""
        with storage_errors(str(target)):
            self._client.copy_object(*self._at(target), CopySource(*self._at(source)))
            self._client.remove_object(*self._at(source))

    def names(self, prefix: PurePosixPath | str, pattern: str = "*") -> list[PurePosixPath]:
        """Return the objects directly below a prefix that match a pattern, sorted."""
        bucket, key = self._at(prefix)
        with storage_errors(str(prefix)):
            listed = self._client.list_objects(bucket, prefix=f"{key}/" if key else "")
            found = {PurePosixPath(str(one.object_name)).name for one in listed}
        return sorted(checked(prefix) / name for name in found if fnmatchcase(name, pattern))

    def states(self, prefix: PurePosixPath | str) -> dict[PurePosixPath, str]:
        """Return every object below a prefix, sorted, with its size and what the store calls its state."""
        with storage_errors(str(prefix)):
            return dict(sorted((name, f"{one.size}.{one.etag}") for name, one in self._below(prefix)))

    def unfinished(self, prefix: PurePosixPath | str, *, objects_only: bool = False) -> list[PurePosixPath]:  # noqa: ARG002
        """Return nothing: a write that was interrupted leaves no object."""
        return []

    def age(self, name: PurePosixPath | str) -> float:
        """Return how many seconds ago an object, or the newest below it, was written, by the store's own clock."""
        bucket, _ = self._at(name)
        with storage_errors(str(name)):
            newest = max((one.last_modified for _, one in self._below(name)), default=None)
            if newest is None:
                raise FileNotFoundError(str(name))
            said = self._client._execute("GET", bucket, query_params={"location": ""}).headers.get("Date")
        now = parsedate_to_datetime(said) if said else datetime.now(UTC)
        return max(0.0, _seconds(now) - _seconds(newest))

    def remove(self, name: PurePosixPath | str) -> None:
        """Remove an object or a folder of objects; nothing happens when there is none."""
        bucket, _ = self._at(name)
        with storage_errors(str(name)):
            keys = [str(one.object_name) for _, one in self._below(name)]
            for error in self._client.remove_objects(bucket, map(DeleteObject, keys)):
                raise StorageError(f"the object store keeps an object ({error.code}).", where=str(name))

    def _below(self, name: PurePosixPath | str) -> Iterator[tuple[PurePosixPath, Any]]:
        """Yield an object, and those below it, with what the store lists of each."""
        bucket, key = self._at(name)
        top = checked(name).parts[0]
        for one in self._client.list_objects(bucket, prefix=key, recursive=True):
            found = str(one.object_name)
            if not key or found == key or found.startswith(f"{key}/"):
                yield PurePosixPath(top, found), one


def _seconds(moment: datetime) -> float:
    return moment.timestamp()
