"""Envelopes of landed batches: each has a random key of its own, wrapped by the lake's key of the purpose `landing`.

Landing encrypts where the key ring has such a key (`lake keys new landing`). A manifest says which key wraps its
batch's own and holds that wrapped; a batch without an envelope is of plain files. `lake keys rotate landing` concerns
what comes after it: manifests never change, so batches stay under the key that they name, and the ring keeps it.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jobs.batch import Batch, Envelope
from jobs.errors import DamagedBatchError
from jobs.storage.sealed import KEY_BYTES, encrypted, new_key

if TYPE_CHECKING:
    from jobs.privacy.keyring import Key, KeyRing
    from jobs.storage.objects import Store

PURPOSE = "landing"
MARKER = "ops/landing-encrypted"  # outside the ring, so that a ring that lost its key is told from one without
CIPHER = "SM4-GCM"
_NONCE_BYTES = 12


@dataclass(frozen=True)
class BatchKey:
    """Hold the key of a batch that is being landed, and the lake's key that will wrap it."""

    secret: bytes = field(repr=False)
    by: Key

    def seal(self, chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
        """Encrypt a file of the batch as its bytes come."""
        return encrypted(chunks, self.secret, name)

    def another(self) -> BatchKey:
        """Return a key for another batch, to be wrapped by the same."""
        return BatchKey(new_key(), self.by)

    def enclosed(self, batch: Batch, folder: str = "") -> Batch:
        """Return the batch with its envelope, which opens for no other batch; its files lie in `folder`."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealing = Cipher(algorithms.SM4(_wrapping(self.by)), modes.GCM(nonce)).encryptor()
        sealing.authenticate_additional_data(_label(batch, self.by.id))
        wrapped = nonce + sealing.update(self.secret) + sealing.finalize() + sealing.tag
        return replace(batch, envelope=Envelope(CIPHER, self.by.id, b64encode(wrapped).decode(), folder))


def mark(objects: Store, key: Key) -> None:
    """Note in the lake, outside the key ring, that landing is encrypted from now on."""
    if not objects.exists(MARKER):
        objects.write(MARKER, f"{key.id}\n".encode())


def fresh(objects: Store, ring: KeyRing, earlier: Iterable[Batch]) -> BatchKey | None:
    """Return a new batch's key; None where the ring has no key for landing, and the lake never had one.

    Raises StorageError for a ring that does not open, or that has lost its key: nothing is landed openly once landing
    is encrypted.
    """
    if not ring.has(PURPOSE) and not objects.exists(MARKER) and not any(batch.envelope for batch in earlier):
        return None
    key = ring.current(PURPOSE)
    mark(objects, key)
    return BatchKey(new_key(), key)


def opened(ring: KeyRing, batch: Batch) -> bytes | None:
    """Return a landed batch's key, None for a batch of plain files.

    Raises StorageError when the key that wraps it is not in the ring, DamagedBatchError when the envelope is not this
    batch's or names another cipher.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if batch.envelope is None:
        return None
    if batch.envelope.cipher != CIPHER:
        raise DamagedBatchError(
            f"the manifest names a cipher other than {CIPHER}; nothing was done.", dataset=batch.dataset,
            where=f"batch {batch.id}", remedy="put its _manifest.json back from a copy of the lake.",
        )
    key = ring.by_id(PURPOSE, batch.envelope.key)
    try:
        wrapped = b64decode(batch.envelope.wrapped, validate=True)
        nonce, tag = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES + KEY_BYTES :]
        opening = Cipher(algorithms.SM4(_wrapping(key)), modes.GCM(nonce, tag)).decryptor()
        opening.authenticate_additional_data(_label(batch, key.id))
        return opening.update(wrapped[_NONCE_BYTES : _NONCE_BYTES + KEY_BYTES]) + opening.finalize()
    except (ValueError, InvalidTag):
        raise DamagedBatchError(
            "the batch's key does not open; nothing was done.", dataset=batch.dataset, where=f"batch {batch.id}",
            remedy="put its _manifest.json back from a copy of the lake.",
        ) from None


def _label(batch: Batch, key_id: str) -> bytes:
    """Return what is bound to a wrapped key, so that manifests cannot exchange theirs."""
    return f"{CIPHER}|{key_id}|{batch.dataset}|{batch.id}".encode()


def _wrapping(key: Key) -> bytes:
    """Return the SM4 key that is made from a key of the ring for this alone."""
    from cryptography.hazmat.primitives import hashes, hmac

    mac = hmac.HMAC(key.secret, hashes.SM3())
    mac.update(b"wrap the keys of landed batches")
    return mac.finalize()[:KEY_BYTES]
