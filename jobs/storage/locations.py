"""Where files lie: in a folder, or below a name in a bucket. The one room that knows how either is read and written.

A table, a landed file and rows on their way between two steps each have a location. It crosses processes, so that a
task finds its files wherever it runs; a bucket's carries the keys of its store, which no representation of it shows.
"""

# ruff: noqa: D102 (what a method of a kind of location does is said once, in Location)
from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit

from jobs.errors import GoneError

if TYPE_CHECKING:
    import pyarrow as pa
    from minio import Minio
    from pyarrow.fs import S3FileSystem

CONNECT_SECONDS, ANSWER_SECONDS, ATTEMPTS = 5, 60, 4
GIVE_UP_SECONDS = 20  # a server that is restarted comes back sooner; one that is gone should be told of soon


class Fetched(Protocol):
    """Name one file that can be had on this machine."""

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Yield it as a file of this machine."""


class Location(Fetched, Protocol):
    """Name a folder of files; `file` is a name below it, or an address that `address` gave."""

    @property
    def uri(self) -> str:
        """Return what delta-rs calls it."""

    @property
    def options(self) -> dict[str, str] | None:
        """Return what delta-rs must be told to get at it."""

    @property
    def scanning(self) -> dict[str, Any] | None:
        """Return what Polars must be told to read it."""

    @property
    def label(self) -> str:
        """Return its last two names, for people."""

    def __truediv__(self, name: str) -> Self:
        """Return a location below it."""

    def address(self, file: str) -> str:
        """Return what Polars calls a file."""

    def has_table(self) -> bool:
        """Tell whether a Delta table is there."""

    def files(self, pattern: str) -> list[str]:
        """Return the addresses of files below it whose names match, part by part; sorted."""

    def create(self, file: str) -> pa.NativeFile:
        """Open a new file for writing; in a bucket it is there, whole, once it is closed."""

    def open(self, file: str) -> pa.NativeFile:
        """Open a file for reading in any order."""

    def remove(self, file: str) -> None:
        """Remove a file; nothing happens when there is none."""

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Yield this location's own file (it names one) as a file of this machine."""


@dataclass(frozen=True)
class Directory:
    """Name a folder of this machine, or of one that all machines share."""

    path: Path
    options: None = field(default=None, init=False)
    scanning: None = field(default=None, init=False)

    @property
    def uri(self) -> str:
        return str(self.path)

    @property
    def label(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    def __truediv__(self, name: str) -> Directory:
        return Directory(self.path / name)

    def address(self, file: str) -> str:
        return str(self.path / file)

    def has_table(self) -> bool:
        return (self.path / "_delta_log").exists()

    def files(self, pattern: str) -> list[str]:
        return sorted(map(str, self.path.glob(pattern)))

    def create(self, file: str) -> pa.NativeFile:
        import pyarrow as pa

        path = self.path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return pa.OSFile(str(path), "wb")

    def open(self, file: str) -> pa.NativeFile:
        import pyarrow as pa

        return pa.OSFile(str(self.path / file), "rb")

    def remove(self, file: str) -> None:
        (self.path / file).unlink(missing_ok=True)

    @contextmanager
    def local(self) -> Iterator[Path]:
        yield self.path


@dataclass(frozen=True)
class Access:
    """Hold where an object store answers, and the keys it is to be asked with."""

    endpoint: str
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @property
    def host(self) -> str:
        """Return host and port."""
        return urlsplit(self.endpoint).netloc

    @property
    def scheme(self) -> str:
        """Return `http` or `https`."""
        return urlsplit(self.endpoint).scheme

    def options(self) -> dict[str, str]:
        """Return the store in the words of Rust's object_store, as delta-rs wants them.

        Commits are made by conditional writes, so that of two writers one is told it lost.
        """
        return {
            **self._asked(), "aws_conditional_put": "etag", "connect_timeout": f"{CONNECT_SECONDS} seconds",
            "timeout": f"{ANSWER_SECONDS} seconds", "max_retries": str(ATTEMPTS),
            "retry_timeout": f"{GIVE_UP_SECONDS} seconds",
        }

    def scanning(self) -> dict[str, Any]:
        """Return the same as Polars wants it.

        It waits for ever unless told how long; the limit is of each wait, not of a file that takes its time to come.
        """
        return {
            **self._asked(), "connect_timeout": f"{CONNECT_SECONDS} seconds",
            "read_timeout": f"{ANSWER_SECONDS} seconds", "max_retries": ATTEMPTS,
            "retry_timeout_ms": GIVE_UP_SECONDS * 1000,
        }

    def _asked(self) -> dict[str, str]:
        return {
            "aws_endpoint_url": self.endpoint, "aws_region": self.region, "aws_allow_http": "true",
            "aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key,
            "aws_virtual_hosted_style_request": "false",
        }

    def client(self) -> Minio:
        """Return this process's client of the store."""
        return _client(self)

    def filesystem(self) -> S3FileSystem:
        """Return the store as Arrow's file system."""
        return _filesystem(self)


@lru_cache(maxsize=8)
def _client(access: Access) -> Minio:
    import urllib3
    from minio import Minio

    http = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS), maxsize=8,
        retries=urllib3.Retry(total=ATTEMPTS, backoff_factor=0.4, status_forcelist=[500, 502, 503, 504]),
    )
    return Minio(
        access.host, access_key=access.access_key, secret_key=access.secret_key, secure=access.scheme == "https",
        region=access.region, http_client=http,
    )


@lru_cache(maxsize=8)
def _filesystem(access: Access) -> S3FileSystem:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    return S3FileSystem(
        access_key=access.access_key, secret_key=access.secret_key, endpoint_override=access.host,
        scheme=access.scheme, region=access.region, connect_timeout=CONNECT_SECONDS, request_timeout=ANSWER_SECONDS,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS), allow_bucket_creation=False,
    )


@dataclass(frozen=True)
class Prefix:
    """Name what lies below a key in a bucket."""

    bucket: str
    key: str
    access: Access

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def options(self) -> dict[str, str]:
        return self.access.options()

    @property
    def scanning(self) -> dict[str, Any]:
        return self.access.scanning()

    @property
    def label(self) -> str:
        return f"{self.bucket}/{self.key}"

    def __truediv__(self, name: str) -> Prefix:
        return Prefix(self.bucket, f"{self.key}/{name}", self.access)

    def address(self, file: str) -> str:
        return f"{self.uri}/{file}"

    def has_table(self) -> bool:
        found = self.access.client().list_objects(self.bucket, f"{self.key}/_delta_log/", recursive=True)
        return next(iter(found), None) is not None

    def files(self, pattern: str) -> list[str]:
        wanted = PurePosixPath(pattern).parts
        found = []
        for one in self.access.client().list_objects(self.bucket, f"{self.key}/", recursive=True):
            name = str(one.object_name).removeprefix(f"{self.key}/")
            parts = PurePosixPath(name).parts
            if len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted)):
                found.append(self.address(name))
        return sorted(found)

    def create(self, file: str) -> pa.NativeFile:
        return self.access.filesystem().open_output_stream(self._below(file))

    def open(self, file: str) -> pa.NativeFile:
        return self.access.filesystem().open_input_file(self._below(file))

    def remove(self, file: str) -> None:
        self.access.client().remove_object(*self._below(file).split("/", 1))

    @contextmanager
    def local(self) -> Iterator[Path]:
        from minio.error import S3Error

        from jobs.storage.objects import machine_errors

        with ExitStack() as stack:
            with machine_errors(self.label):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lake-"))
                path = Path(folder) / PurePosixPath(self.key).name
                try:
                    self.access.client().fget_object(self.bucket, self.key, str(path))
                except S3Error as error:
                    if error.code not in ("NoSuchKey", "NoSuchVersion"):
                        raise
                    raise GoneError(
                        "the file is not there any more.", where=self.label, remedy="put it back, then run again."
                    ) from None
            yield path

    def _below(self, file: str) -> str:
        """Return bucket and key of a file that is named or addressed."""
        return file.removeprefix("s3://") if file.startswith(f"{self.uri}/") else f"{self.bucket}/{self.key}/{file}"


# What the libraries say of one refusal, each in its own words.
_STORES = re.compile(r"AWS Error|object-store error|Generic S3|S3 operation failed|Kernel error|object store|s3://")
_REFUSALS = (
    (r"NoSuchBucket|NO_SUCH_BUCKET", "there is no such bucket.", "`lake setup-storage` makes it; or see LAKE_STORAGE."),
    (r"(?i)RequestTimeTooSkewed|REQUEST_TIME_TOO_SKEWED", "this machine's clock and the object store's disagree.",
     "set the clock, then run again."),
    (r"(?i)Access.?Denied|InvalidAccessKeyId|INVALID_ACCESS_KEY_ID|Signature.?Does.?Not.?Match|necessary privileges"
     r"|403 Forbidden", "the object store refuses this user.", "see LAKE_STORAGE_ACCESS_KEY and its key."),
    (r"(?i)StorageFull|minimum free drive|QuotaExceeded|507 ", "the object store is full; the table is as it was.",
     "free space there, then run again."),
    (r"(?i)max retries exceeded|error sending request|network_connection|curlcode|could ?n.t connect|connection.error"
     r"|ServerNotInitialized|XMinio|SlowDown|50[0-4] |timed? ?out|InternalError|INTERNAL_FAILURE"
     r"|read quorum|broken pipe|connection (?:reset|aborted|refused|closed)|error decoding response|after \d+ retries",
     "the object store does not answer as it should; what is committed stays as it was.",
     "see that it runs (LAKE_STORAGE_ENDPOINT), then run again."),
)


def refusal(error: BaseException) -> tuple[str, str] | None:
    """Return what an object store's refusal means and what to do; None for an error of anything else.

    Nothing of the library's own text is passed on: it may quote what it was asked with.
    """
    text = str(error)
    if not (type(error).__module__.startswith(("minio", "urllib3")) or _STORES.search(text)):
        return None
    for said, what, remedy in _REFUSALS:
        if re.search(said, text):
            return what, remedy
    return None
