"""The key ring: one secret per purpose, sealed, numbered, kept beside the lake's state and nowhere else.

Every key is a file of its own, `keys/PURPOSE/NUMBER.json`, made once and never written over: the highest number is the
current key, older ones stay readable so that an old pseudonym can still be explained. A key is sealed with SM4-GCM
(GB/T 32907-2016) under the master key; a key's id is a check value of it and says nothing about it.
"""

from __future__ import annotations

import json
import re
import secrets
from base64 import b32encode, b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobs.errors import RequestError, StorageError
from jobs.privacy.masterkeys import BYTES as MASTER_BYTES
from jobs.privacy.masterkeys import FileKey, MasterKey, named
from jobs.settings import Settings
from jobs.storage.objects import Store

BYTES = 32
PURPOSES = ("register", "pseudonym")  # made when first needed; any other, such as `landing`, by `lake keys new`
NEVER_ROTATED = ("register",)
_MASTER = "keys/master.key"
_NONCE_BYTES = 12
_PURPOSE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PRIVATE = 0o600
_BACKUP = "restore it from the backup of the key ring."


@dataclass(frozen=True)
class Key:
    """Hold one key: what it is for, which it is, since when. Its bytes are in no representation of it."""

    purpose: str
    number: int
    id: str
    created_at: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.purpose}, {self.number}, {self.id})"


class KeyRing:
    """Keep keys in a folder of objects; nothing is made unless asked for.

    `master` is where the master key comes from, or its file; None means `keys/master.key` in this machine's folder,
    made at the first key: never in a bucket, whose copy then opens nothing. Keep it elsewhere (a mounted secret, a key
    management service) for a folder as well.
    """

    def __init__(self, objects: Store, master: MasterKey | Path | None = None) -> None:
        self._objects = objects
        self._master = FileKey(master) if isinstance(master, Path) else master

    @staticmethod
    def of(objects: Store) -> KeyRing:
        """Open the key ring of a store with the master key that the settings name."""
        return KeyRing(objects, named(Settings()))

    def new(self, purpose: str) -> Key:
        """Make the first key of a purpose; raises RequestError when there is one."""
        _check(purpose)
        self._adopt(purpose)
        if self._numbers(purpose):
            raise RequestError(
                "the purpose has a key already.", where=purpose, remedy=f"`lake keys rotate {purpose}` replaces it."
            )
        return self._add(purpose, 1)

    def rotate(self, purpose: str) -> Key:
        """Make a purpose's next key; what was made with the older ones cannot be joined with what follows.

        Raises RequestError for the register's key (entity ids stand on it) and for a purpose without a key.
        """
        _check(purpose)
        if purpose in NEVER_ROTATED:
            raise RequestError("this key is never rotated: ids stand on it.", where=purpose, remedy="leave it.")
        self._adopt(purpose)
        numbers = self._numbers(purpose)
        if not numbers:
            raise RequestError("the purpose has no key.", where=purpose, remedy=f"`lake keys new {purpose}` makes one.")
        self._read(purpose, numbers[-1])  # a ring that does not open is not written on
        return self._add(purpose, numbers[-1] + 1)

    def current(self, purpose: str) -> Key:
        """Return a purpose's current key; raises StorageError when it is missing or does not open."""
        _check(purpose)
        self._adopt(purpose)
        numbers = self._numbers(purpose)
        if not numbers:
            raise StorageError("the purpose has no key; nothing was done.", where=purpose, remedy=_BACKUP)
        return self._read(purpose, numbers[-1])

    def has(self, purpose: str) -> bool:
        """Tell whether a purpose has a key; whether it opens is another question."""
        return bool(self._numbers(purpose))

    def ensure(self, purpose: str) -> Key:
        """Return a purpose's current key, making it when there is none; two callers at once get the same one."""
        _check(purpose)
        self._adopt(purpose)
        numbers = self._numbers(purpose)
        return self._read(purpose, numbers[-1]) if numbers else self._add(purpose, 1)

    def by_id(self, purpose: str, key_id: str) -> Key:
        """Return the key of a purpose that something was made with; raises StorageError when it is not here."""
        for number in self._numbers(purpose):
            if self._document(purpose, number).get("id") == key_id:
                return self._read(purpose, number)
        raise StorageError(f"the key {key_id} is not in the key ring; nothing was done.", where=purpose, remedy=_BACKUP)

    def every(self) -> list[Key]:
        """Return every key, by purpose and number; raises StorageError for the first that does not open."""
        folders = [path.name for path in self._objects.names("keys")]
        return [self._read(purpose, number) for purpose in folders for number in self._numbers(purpose)]

    def _numbers(self, purpose: str) -> list[int]:
        return sorted(int(path.stem) for path in self._objects.names(f"keys/{purpose}", "*.json"))

    def _adopt(self, purpose: str) -> None:
        """Seal a key that an earlier version kept open in `keys/PURPOSE.key`."""
        old = f"keys/{purpose}.key"
        if not self._objects.exists(old):
            return
        key = self._objects.read(old)
        if len(key) != BYTES:
            raise StorageError("the key file is damaged.", where=old, remedy=_BACKUP)
        if not self._numbers(purpose):
            self._add(purpose, 1, key)
        self._objects.remove(old)

    def _add(self, purpose: str, number: int, secret: bytes | None = None) -> Key:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        secret, nonce = secret or secrets.token_bytes(BYTES), secrets.token_bytes(_NONCE_BYTES)
        key = Key(purpose, number, _key_id(secret), datetime.now(UTC).isoformat(timespec="seconds"), secret)
        sealing = Cipher(algorithms.SM4(self._master_key(make=True)), modes.GCM(nonce)).encryptor()
        sealing.authenticate_additional_data(_label(key))
        sealed = sealing.update(secret) + sealing.finalize() + sealing.tag
        document = {
            "purpose": purpose, "number": number, "id": key.id, "created_at": key.created_at, "cipher": "SM4-GCM",
            "nonce": b64encode(nonce).decode(), "sealed": b64encode(sealed).decode(),
        }
        text = json.dumps(document, indent=1).encode()
        if not self._objects.create(_name(purpose, number), text, mode=_PRIVATE):
            return self._read(purpose, number)  # somebody was first: theirs is the key
        return key

    def _read(self, purpose: str, number: int) -> Key:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        document = self._document(purpose, number)
        try:
            key = Key(purpose, number, str(document["id"]), str(document["created_at"]), b"")
            nonce, sealed = b64decode(document["nonce"]), b64decode(document["sealed"])
            opening = Cipher(algorithms.SM4(self._master_key()), modes.GCM(nonce, sealed[BYTES:])).decryptor()
            opening.authenticate_additional_data(_label(key))
            secret = opening.update(sealed[:BYTES]) + opening.finalize()
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError("the key file is damaged.", where=_name(purpose, number), remedy=_BACKUP) from error
        except InvalidTag as error:
            raise StorageError(
                "the key does not open with this master key; nothing was done.", where=_name(purpose, number),
                remedy="name the one it was made with: LAKE_MASTER_KEY, LAKE_MASTER_KEY_BASE64 or LAKE_KMS_URL.",
            ) from error
        return Key(purpose, number, key.id, key.created_at, secret)

    def _document(self, purpose: str, number: int) -> dict[str, str]:
        try:
            document = json.loads(self._objects.read(_name(purpose, number)))
        except ValueError as error:
            raise StorageError("the key file is damaged.", where=_name(purpose, number), remedy=_BACKUP) from error
        return document if isinstance(document, dict) else {}

    def _master_key(self, *, make: bool = False) -> bytes:
        if self._master is not None:
            master, where = self._master.read(), self._master.name
        else:
            where = _MASTER
            own = self._objects.own
            if make and not own.exists(_MASTER):
                own.create(_MASTER, secrets.token_bytes(MASTER_BYTES), mode=_PRIVATE)
            if not own.exists(_MASTER):
                raise StorageError("the master key is not there; nothing was done.", where=_MASTER, remedy=_BACKUP)
            master = own.read(_MASTER)
        if len(master) != MASTER_BYTES:
            raise StorageError(f"the master key is not {MASTER_BYTES} bytes.", where=where, remedy=_BACKUP)
        return master


def secret(objects: Store, purpose: str) -> bytes:
    """Return the current key of a purpose of the lake's own, making it at the first call.

    `register` mints entity ids and is never rotated; `pseudonym` protects gold. Two callers at once get the same one.
    Raises StorageError for a key that is damaged or does not open.
    """
    return lake_key(objects, purpose).secret


def lake_key(objects: Store, purpose: str) -> Key:
    """Return the current key of one of the lake's own purposes with its id; see `secret`."""
    if purpose not in PURPOSES:
        raise ValueError(f"unknown purpose {purpose!r}")
    return KeyRing.of(objects).ensure(purpose)


def _check(purpose: str) -> None:
    if not _PURPOSE.fullmatch(purpose):
        raise RequestError(
            "a purpose is lower-case letters, digits and underscores.", where="PURPOSE", remedy="such as release_2026."
        )


def _name(purpose: str, number: int) -> str:
    return f"keys/{purpose}/{number:04d}.json"


def _label(key: Key) -> bytes:
    """Return what is bound to the sealed key, so that files cannot change places."""
    return f"{key.purpose}|{key.number}|{key.id}".encode()


def _key_id(secret: bytes) -> str:
    from cryptography.hazmat.primitives import hashes, hmac

    mac = hmac.HMAC(secret, hashes.SM3())
    mac.update(b"key id")
    return b32encode(mac.finalize()[:5]).decode()
