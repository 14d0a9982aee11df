"""Where the master key comes from that seals the key ring: a file, the environment, or a key management service.

The key is 16 bytes (SM4). From the environment and from a service it is base64. It is held in memory only, and no
message holds it, the token, or what a service answered.
"""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from jobs.errors import RequestError, StorageError
from jobs.settings import Settings

BYTES = 16
_SECONDS = 10
_LARGEST_ANSWER = 1 << 16
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class MasterKey(Protocol):
    """Give the master key's bytes, each time they are asked for."""

    @property
    def name(self) -> str:
        """Return where the key comes from, for people."""

    def read(self) -> bytes:
        """Return the key; raise StorageError when it is not there."""


class FileKey:
    """Read the master key from a file, such as a mounted secret."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self._path.name

    def read(self) -> bytes:
        """Return the file's bytes; raise StorageError when there is no such file."""
        if not self._path.is_file():
            raise StorageError(
                "the master key is not there; nothing was done.", where=self.name,
                remedy="point LAKE_MASTER_KEY at it.",
            )
        return self._path.read_bytes()


class GivenKey:
    """Take the master key from the environment."""

    name = "LAKE_MASTER_KEY_BASE64"

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> bytes:
        """Return the key; raise StorageError when the text is not base64."""
        return _decoded(self._text, self.name)


class ServedKey:
    """Fetch the master key from a key management service, once per process that needs it.

    `GET URL`, with `Authorization: Bearer TOKEN` where there is a token, answers `{"key": "<base64>"}`. Only HTTPS is
    spoken to another machine. Raises RequestError for an address that would send the key in the open.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise RequestError("a key is fetched by HTTPS alone.", where="LAKE_KMS_URL", remedy="give an https:// URL.")
        self._url, self._token, self._host = url, token, parts.hostname or ""
        self._key: bytes | None = None

    @property
    def name(self) -> str:
        """Return the service's host."""
        return self._host

    def read(self) -> bytes:
        """Return the key; raise StorageError when the service does not give it."""
        if self._key is None:
            self._key = self._fetch()
        return self._key

    def _fetch(self) -> bytes:
        import httpx

        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        remedy = "see that LAKE_KMS_URL and LAKE_KMS_TOKEN are right and the service runs, then run again."
        try:
            outside = httpx.URL(self._url).scheme == "https"  # plain HTTP is for this machine alone, past any proxy
            answer = httpx.get(
                self._url, headers=headers, timeout=_SECONDS, follow_redirects=False, trust_env=outside
            )
        except httpx.HTTPError as error:
            what = f"the key management service does not answer ({type(error).__name__}); nothing was done."
            raise StorageError(what, where=self.name, remedy=remedy) from None
        if answer.status_code != httpx.codes.OK or len(answer.content) > _LARGEST_ANSWER:
            what = f"the key management service gives no key (HTTP {answer.status_code}); nothing was done."
            raise StorageError(what, where=self.name, remedy=remedy)
        try:
            told = answer.json()["key"]
        except (ValueError, KeyError, TypeError):
            raise StorageError(
                "the key management service's answer holds no key; nothing was done.", where=self.name,
                remedy='it answers {"key": "<base64 of 16 bytes>"}.',
            ) from None
        return _decoded(told if isinstance(told, str) else "", self.name)


def named(settings: Settings) -> MasterKey | None:
    """Return the master key that the settings name, None for the lake's own file; raise RequestError for two."""
    found: dict[str, MasterKey] = {}
    if settings.master_key is not None:
        found["LAKE_MASTER_KEY"] = FileKey(settings.master_key)
    if settings.master_key_base64 is not None:
        found[GivenKey.name] = GivenKey(settings.master_key_base64.get_secret_value())
    if settings.kms_url is not None:
        token = settings.kms_token
        found["LAKE_KMS_URL"] = ServedKey(settings.kms_url, token.get_secret_value() if token else None)
    if len(found) > 1:
        raise RequestError(
            "the master key is named twice.", where=", ".join(found), remedy="unset all of them but one.",
        )
    return next(iter(found.values()), None)


def _decoded(text: str, where: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise StorageError(
            "the master key is not base64; nothing was done.", where=where, remedy="encode its 16 bytes in base64.",
        ) from None
