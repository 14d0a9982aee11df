"""The key ring: one secret per purpose, made once, kept beside the lake's state and nowhere else."""

from __future__ import annotations

import secrets

from jobs.errors import StorageError
from jobs.storage.objects import Folder

BYTES = 32
PURPOSES = ("register", "pseudonym")


def secret(objects: Folder, purpose: str) -> bytes:
    """Return the key of a purpose, making it at the first call; two callers at once get the same one.

    `register` mints entity ids and is never rotated; `pseudonym` protects gold. Raises StorageError for a damaged key.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"unknown purpose {purpose!r}")
    name = f"keys/{purpose}.key"
    if not objects.exists(name):
        objects.create(name, secrets.token_bytes(BYTES))
        objects.local(name).chmod(0o600)
    key = objects.read(name)
    if len(key) != BYTES:
        raise StorageError("the key file is damaged.", where=name, remedy="restore it from the backup of the key ring.")
    return key
