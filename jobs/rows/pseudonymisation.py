"""Keyed pseudonyms by national cryptography: HMAC-SM3 in base32, each distinct value once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.errors import RequestError
from jobs.rows.identifiers.characters import texts

SHORTEST_KEY = 16  # bytes; a shorter key could be guessed
BLOCK = 64  # bytes of SM3's block
DIGEST = 32
KEPT = 16  # bytes of a digest that a pseudonym shows
_LETTERS = 26  # of a pseudonym: 130 bits, the last two of them none
_SLICE = 16_384  # pseudonyms written at a time, so that they stay in the processor's cache

_ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", dtype=np.uint8)
_PAIRS = np.stack([_ALPHABET.repeat(32), np.tile(_ALPHABET, 32)], axis=1).copy().view(np.uint16).ravel()


def pseudonyms(values: pl.Series, key: bytes, domain: str) -> pl.Series:
    """Replace values by base32(HMAC-SM3(key, "<domain>|<value>")[:16]), 26 characters, no padding.

    The domain keeps equal texts of different types apart (HMAC: GM/T 0042, SM3: GB/T 32905-2016). Each
    distinct value is computed once. Raises RequestError for a key under 16 bytes.
    """
    if len(key) < SHORTEST_KEY:
        raise RequestError(
            f"a pseudonym key has at least {SHORTEST_KEY} bytes.", remedy="make one with `lake keys`."
        )
    texts = values.cast(pl.String)
    # Equal texts have equal hashes: as many hashes as texts are texts that all differ, which costs little to learn.
    differ = not texts.null_count() and texts.hash().n_unique() == len(texts)
    distinct = texts if differ else texts.drop_nulls().unique(maintain_order=True)
    if distinct.is_empty():
        return pl.Series(values.name, dtype=pl.String).extend_constant(None, len(values))
    digests = by_openssl if "sm3" in hashlib.algorithms_available else by_library
    made = base32(digests(distinct.cast(pl.Binary).to_list(), key, f"{domain}|".encode()), DIGEST)
    if len(made) == len(values):  # all different: they are in order already
        return made.alias(values.name)
    table = pl.DataFrame({"value": distinct, "pseudonym": made})
    found = pl.DataFrame({"value": texts}).join(table, on="value", how="left", maintain_order="left")
    return found["pseudonym"].alias(values.name)


def by_openssl(values: Iterable[bytes], key: bytes, prefix: bytes) -> bytes:
    """Return HMAC-SM3(key, prefix + value) of each value, 32 bytes each, by Python's own OpenSSL.

    H((K ⊕ opad) ‖ H((K ⊕ ipad) ‖ message)) (RFC 2104): both pads are hashed once and copied, which costs two thirds of
    copying an HMAC of the library's.
    """
    if len(key) > BLOCK:
        key = hashlib.new("sm3", key).digest()
    block = key.ljust(BLOCK, b"\0")
    inner = hashlib.new("sm3", bytes(octet ^ 0x36 for octet in block) + prefix).copy
    outer = hashlib.new("sm3", bytes(octet ^ 0x5C for octet in block)).copy
    found = []
    for value in values:
        message = inner()
        message.update(value)
        whole = outer()
        whole.update(message.digest())
        found.append(whole.digest())
    return b"".join(found)


def by_library(values: Iterable[bytes], key: bytes, prefix: bytes) -> bytes:
    """Return what `by_openssl` does, by `cryptography`: where Python's OpenSSL was built without SM3."""
    from cryptography.hazmat.primitives import hashes, hmac

    begun = hmac.HMAC(key, hashes.SM3())
    begun.update(prefix)
    found = []
    for value in values:
        mac = begun.copy()
        mac.update(value)
        found.append(mac.finalize())
    return b"".join(found)


def base32(digests: bytes, size: int = KEPT) -> pl.Series:
    """Encode the first 16 bytes of every `size`, 26 characters each (RFC 4648 without padding), all at once."""
    words = np.frombuffer(digests, dtype=">u8").reshape(-1, size // 8)
    letters = np.empty((len(words), _LETTERS // 2), dtype=np.uint16)  # two letters are ten bits
    for begin in range(0, len(words), _SLICE):
        some = words[begin : begin + _SLICE]
        _encode(some[:, 0].astype(np.uint64), some[:, 1].astype(np.uint64), letters[begin : begin + _SLICE])
    return texts(letters.view(np.uint8))


def _encode(
    high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64], into: npt.NDArray[np.uint16]
) -> None:
    ten, bits = np.uint64(1023), [np.uint64(n) for n in range(64)]
    for pair in range(6):
        into[:, pair] = _PAIRS[high >> bits[54 - 10 * pair] & ten]
        into[:, 7 + pair] = _PAIRS[(low >> bits[48 - 10 * pair] if pair < 5 else low << bits[2]) & ten]
    into[:, 6] = _PAIRS[(high & bits[15]) << bits[6] | low >> bits[58]]
