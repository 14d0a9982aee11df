"""Sign what leaves the lake: one key of the publisher, made once, kept beside the lake's keys.

Ed25519 (RFC 8032) by default, SM2 (GB/T 32918.2) by setting. No library that is kept well signs by SM2, so it is done
here, on the curve as `verify.py` has it; plain Python does not hide how long it takes, so sign where nobody measures.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, get_args

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jobs import layers
from jobs.errors import StorageError
from jobs.layers import Layer
from jobs.releases import sm2
from jobs.releases.verify import SM2_BASE, SM2_ORDER, sm2_challenge, sm2_times
from jobs.storage.objects import Store

KEY = "keys/signing.key"
PUBLIC = f"{Layer.OPEN}/key.json"
SEED_BYTES = 32

Algorithm = Literal["Ed25519", "SM2"]


@dataclass(frozen=True)
class Sm2Key:
    """Hold a private number of SM2's curve."""

    secret: int

    @classmethod
    def of(cls, seed: bytes) -> Sm2Key:
        """Return the key of a 32-byte seed."""
        return cls(int.from_bytes(seed, "big") % (SM2_ORDER - 2) + 1)

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return "Sm2Key"

    @cached_property
    def public(self) -> bytes:
        """Return both coordinates of the public point, 64 bytes."""
        place = sm2_times(self.secret, SM2_BASE)
        assert place is not None
        return b"".join(number.to_bytes(32, "big") for number in place)

    def sign(self, message: bytes) -> bytes:
        """Return r and s (GB/T 32918.2, 6.1), 64 bytes; the same message has the same signature."""
        challenge, count = sm2_challenge(self.public, message), 0
        while True:
            # As RFC 6979: the number used once follows from key and message, so that none is ever used for two.
            own = hmac.digest(self.secret.to_bytes(32, "big"), challenge.to_bytes(32, "big") + bytes([count]), "sha512")
            if signature := self.signed(challenge, int.from_bytes(own, "big") % (SM2_ORDER - 1) + 1):
                return signature
            count += 1

    def signed(self, challenge: int, once: int) -> bytes | None:
        """Return the signature with a number used once; None for the rare one that does not do."""
        place = sm2_times(once, SM2_BASE)
        assert place is not None
        r = (challenge + place[0]) % SM2_ORDER
        s = pow(1 + self.secret, -1, SM2_ORDER) * (once - r * self.secret) % SM2_ORDER
        return r.to_bytes(32, "big") + s.to_bytes(32, "big") if r and s and r + once != SM2_ORDER else None


class Publisher:
    """Know the publisher by its key: the one on this machine, else the one that lies open, else it is anybody's.

    Read once, for many signatures. Raises StorageError where the two are not one key, or the open one cannot be read.
    """

    def __init__(self, objects: Store) -> None:
        self._seed = _seed(objects)
        self._known: dict[bytes, bool] = {}
        self._open = published(objects)
        if self._seed and self._open and not self._is(bytes.fromhex(self._open)):
            raise _other_key(PUBLIC)

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return "Publisher"

    @property
    def authenticated(self) -> bool:
        """Tell whether any key says who the publisher is."""
        return bool(self._seed or self._open)

    def signed(self, public: object, message: bytes, signature: object) -> bool:
        """Tell whether a signature over a message is the publisher's; `public`, in hex, is empty where not said."""
        if not public:
            return any(self.signed(one, message, signature) for one in self._own())
        try:
            key, seal = bytes.fromhex(str(public)), bytes.fromhex(str(signature))
        except ValueError:
            return False
        if key not in self._known:
            self._known[key] = self._is(key)
        if not self._known[key]:
            return False
        if len(key) == sm2.PUBLIC_BYTES:
            return _by_sm2(key, message, seal)
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(seal, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def _own(self) -> list[str]:
        """Return the public keys that may be the publisher's, the likelier one first."""
        if not self._seed:
            return [self._open] if self._open else []
        return [_public(self._seed, algorithm).hex() for algorithm in get_args(Algorithm)]

    def _is(self, public: bytes) -> bool:
        if self._seed:
            return _public(self._seed, _kind(public.hex())) == public
        return not self._open or self._open == public.hex()


_JUDGED: dict[tuple[bytes, bytes, bytes], bool] = {}


def _by_sm2(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature holds, judging each once: in plain Python it takes milliseconds."""
    about = public, hashlib.sha256(message).digest(), signature
    if about not in _JUDGED:
        _JUDGED[about] = sm2.signed_by(public, message, signature)
    return _JUDGED[about]


@lru_cache(maxsize=8)  # whoever lists releases asks at every zone and dataset
def _public(seed: bytes, algorithm: Algorithm) -> bytes:
    return Signer.of(seed, algorithm).public


def _seed(objects: Store) -> bytes:
    """Return the publisher's seed, nothing where it is not here, damaged, or not for whoever only looks to read."""
    try:
        seed = objects.own.read(KEY)
    except (OSError, StorageError):
        return b""
    return seed if len(seed) == SEED_BYTES else b""


def published(objects: Store, path: str = PUBLIC) -> str:
    """Return the public key that lies in a zone, in hex, nothing where there is none; raise StorageError for no key."""
    try:
        public = bytes.fromhex(json.loads(objects.read(path))["public_key"])
        if len(public) in (32, sm2.PUBLIC_BYTES):
            return public.hex()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    raise StorageError(
        "the publisher's public key cannot be read; nothing was done.", where=path,
        remedy="put it back from a copy of the lake; where there is none, remove it where the publisher's own key is: "
               "the next release writes it anew.",
    )


def _kind(public: str) -> Algorithm:
    return "SM2" if len(public) == 2 * sm2.PUBLIC_BYTES else "Ed25519"


def check_key(objects: Store, public: bytes, path: str) -> None:
    """Raise StorageError where the key that lies in a zone is another than the one that signs."""
    if published(objects, path) not in ("", public.hex()):
        raise _other_key(path)


def _other_key(path: str) -> StorageError:
    return StorageError(
        f"the key here ({KEY}) is not the publisher's, which is known by {path}; nothing was done.", where=path,
        remedy=f"put the publisher's own {KEY} back from the backup of the keys; where {path} was changed, put that "
               "back from a copy of the lake.",
    )


@dataclass(frozen=True)
class Signer:
    """Sign bytes; the key never leaves it and is never printed."""

    _key: Ed25519PrivateKey | Sm2Key

    @classmethod
    def of(cls, seed: bytes, algorithm: Algorithm = "Ed25519") -> Signer:
        """Return the signer of a 32-byte seed."""
        return cls(Sm2Key.of(seed) if algorithm == "SM2" else Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def open(cls, objects: Store, algorithm: Algorithm = "Ed25519") -> Signer:
        """Return the publisher's signer, making its key at the first call; raise StorageError for a wrong key.

        The key stays on the machine that publishes. Once there are releases a missing key is never made anew: their
        readers know the publisher by it; nor is another algorithm taken then.
        """
        known = published(objects)
        kind = _kind(known) if known else algorithm
        if kind != algorithm:
            raise StorageError(
                f"the publisher is known by its {kind} key; nothing was done.", where=PUBLIC,
                remedy=f"set LAKE_SIGNATURE={kind}: releases and their withdrawals are signed by one key.",
            )
        if not objects.own.exists(KEY):
            if known or any(objects.exists(f"{zone}/log.sig") for zone in layers.ZONES):
                raise StorageError(
                    "the publisher's key is not here; nothing was done.", where=KEY,
                    remedy="restore it from the backup of the keys, or publish where it is.",
                )
            objects.own.create(KEY, secrets.token_bytes(SEED_BYTES), mode=0o600)
        seed = objects.own.read(KEY)
        if len(seed) != SEED_BYTES:
            raise StorageError("the key file is damaged.", where=KEY, remedy="restore it from the backup of the keys.")
        signer = cls.of(seed, algorithm)
        check_key(objects, signer.public, PUBLIC)
        return signer

    def __repr__(self) -> str:
        """Return the fingerprint, never the key."""
        return f"Signer({self.fingerprint})"

    @property
    def algorithm(self) -> Algorithm:
        """Return what it signs by."""
        return "SM2" if isinstance(self._key, Sm2Key) else "Ed25519"

    @property
    def public(self) -> bytes:
        """Return the raw public key: 32 bytes, of SM2 64."""
        if isinstance(self._key, Sm2Key):
            return self._key.public
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the raw public key, by which people know the signer."""
        return hashlib.sha256(self.public).hexdigest()

    def sign(self, message: bytes) -> str:
        """Return the signature over a message as 128 hex digits."""
        return self._key.sign(message).hex()
