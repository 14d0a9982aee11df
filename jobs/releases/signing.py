"""Sign what leaves the lake: one Ed25519 key (RFC 8032) of the publisher, made once, kept beside the lake's keys."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jobs.errors import StorageError
from jobs.layers import Layer
from jobs.storage.objects import Store

KEY = "keys/signing.key"
PUBLIC = f"{Layer.OPEN}/key.json"
SEED_BYTES = 32


@dataclass(frozen=True)
class Signer:
    """Sign bytes; the key never leaves it and is never printed."""

    _key: Ed25519PrivateKey

    @classmethod
    def of(cls, seed: bytes) -> Signer:
        """Return the signer of a 32-byte seed."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def open(cls, objects: Store) -> Signer:
        """Return the publisher's signer, making its key at the first call; raise StorageError for a damaged key.

        The key stays on the machine that publishes. Once there are releases a missing key is never made anew: their
        readers know the publisher by it.
        """
        if not objects.own.exists(KEY):
            if objects.exists(PUBLIC):
                raise StorageError(
                    "the publisher's key is not here; nothing was done.", where=KEY,
                    remedy="restore it from the backup of the keys, or publish where it is.",
                )
            objects.own.create(KEY, secrets.token_bytes(SEED_BYTES), mode=0o600)
        seed = objects.own.read(KEY)
        if len(seed) != SEED_BYTES:
            raise StorageError("the key file is damaged.", where=KEY, remedy="restore it from the backup of the keys.")
        return cls.of(seed)

    def __repr__(self) -> str:
        """Return the fingerprint, never the key."""
        return f"Signer({self.fingerprint})"

    @property
    def public(self) -> bytes:
        """Return the raw public key, 32 bytes."""
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the raw public key, by which people know the signer."""
        return hashlib.sha256(self.public).hexdigest()

    def sign(self, message: bytes) -> str:
        """Return the signature over a message as 128 hex digits."""
        return self._key.sign(message).hex()
