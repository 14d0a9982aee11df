"""What is wrong with a released version's signed files, and what remains of one that was withdrawn all the same."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from jobs import layers
from jobs.errors import StorageError
from jobs.layers import Layer
from jobs.releases.signing import Publisher
from jobs.releases.verify import ATTESTATION, MANIFEST, SIGNATURE, canonical
from jobs.storage.objects import Store

STATEMENTS = "withdrawal-*.json"
LEFT = "manifest.damaged.json"  # what was left of the manifest of a version that was withdrawn damaged
UNSIGNED = "is not what the publisher signed"
UNLOGGED = "is not the one that the log names"
_UNKNOWN = "0" * 64


class Damaged(StorageError):  # noqa: N818 (it is a version that is so)
    """A version cannot be read: a file of it is missing or not what was written. `where` is that file's path.

    `told_at`, `manifest_sha256`: when it was released and by which manifest, by its zone's log; where the log does not
    know it `told_at` is empty, and the manifest the one that its attestation names. `withdrawals`: its statements of
    withdrawal that can be read, by number. `listed`: its files, where its manifest can be read.
    `signed`: names of the statements in it that the publisher signed, about whichever manifest.
    """

    told_at = ""
    manifest_sha256 = _UNKNOWN
    listed: tuple[str, ...] = ()
    signed: tuple[str, ...] = ()
    withdrawals: dict[int, dict[str, Any]] = {}  # never changed, only put in its place

    @property
    def path(self) -> PurePosixPath:
        """Return the version's folder."""
        return PurePosixPath(*PurePosixPath(str(self.where)).parts[:3])

    @property
    def version(self) -> str:
        """Return the version."""
        return self.path.name

    @property
    def zone(self) -> Layer:
        """Return the zone it lies in."""
        return Layer(self.path.parts[0])

    @property
    def said(self) -> list[dict[str, Any]]:
        """Return the statements by which the version itself was withdrawn, damaged as it is."""
        return [said for said in self.withdrawals.values() if self.version in said["versions"] and said.get("damaged")]

    @property
    def withdrawn(self) -> bool:
        """Tell whether the version was withdrawn, damaged as it is: neither before it was, nor where a statement is."""
        return bool(self.said) and not self.unstated

    @property
    def unstated(self) -> bool:
        """Tell whether it is a statement of withdrawal that is damaged or missing."""
        return PurePosixPath(str(self.where)).match(STATEMENTS)


def damage(path: PurePosixPath, what: str) -> Damaged:
    """Return the error that a version's file is not what was written, with its remedy."""
    dataset, version = layers.dataset_of(path.parts[1]), path.parent.name
    return Damaged(
        f"{path.name} of version {version} {what}.", dataset=dataset, layer=path.parts[0], where=str(path),
        remedy=_remedy(path, what, f"`lake withdraw {dataset} {version}`"),
    )


def _remedy(path: PurePosixPath, what: str, withdraw: str) -> str:
    """Return what to do: a version is given up where its own files are lost, not where another file may be wrong."""
    back = "put the version's folder back from a copy of the lake as it was, then `lake portal build`"
    if path.match(STATEMENTS):
        return f"put {path} back from a copy of the lake as it was; where there is none, {withdraw} states it anew."
    if what == UNSIGNED:
        return f"see that {path.parts[0]}/key.json is the publisher's; else {back}; where neither helps, {withdraw}."
    if what == UNLOGGED:
        return f"see that {path.parts[0]}/log.jsonl is whole; else {back}; where neither helps, {withdraw}."
    return f"{back}; where there is none, {withdraw}."


def document(objects: Store, path: PurePosixPath, *keys: str) -> tuple[dict[str, Any], bytes]:
    """Return a JSON object that has some keys, and its bytes; raise Damaged for anything else."""
    try:
        data = objects.read(path)
        found = json.loads(data)
    except FileNotFoundError:
        raise damage(path, "is missing") from None
    except OSError as error:
        raise damage(path, f"cannot be read ({type(error).__name__})") from None
    except (ValueError, RecursionError):
        raise damage(path, "is cut or is no JSON") from None
    if not isinstance(found, dict) or not found.keys() >= set(keys):
        raise damage(path, "is not what was written")
    return found, data


def signature(objects: Store, path: PurePosixPath) -> dict[str, Any]:
    """Return the signatures over a version's manifest and attestation, and the key; raise Damaged without them."""
    return document(objects, path / SIGNATURE, "public_key", "manifest", "attestation")[0]


def statements(
    objects: Store, path: PurePosixPath, digest: str, publisher: Publisher, public: str
) -> list[dict[str, Any]]:
    """Return a version's statements of withdrawal in their order.

    Raises Damaged where one is missing, is another version's, or is not signed by the publisher with the key `public`.

    They are numbered from 1: of the last ones only the log can tell that they are missing.
    """
    found = []
    named = {name.name for name in objects.names(path, STATEMENTS)}
    for number in range(1, len(named) + 1):
        name = path / f"withdrawal-{number}.json"
        if name.name not in named:
            raise damage(name, "is missing")
        found.append(_statement(objects, name, digest, publisher, public))
    return found


def _statement(objects: Store, name: PurePosixPath, digest: str, publisher: Publisher, public: str) -> dict[str, Any]:
    statement = _signed(objects, name, publisher, public)
    if statement.get("manifest_sha256") != digest:
        raise damage(name, "is not what was written: it is about another manifest")
    return statement


def _signed(objects: Store, name: PurePosixPath, publisher: Publisher, public: str) -> dict[str, Any]:
    """Return a statement that the publisher signed, about whichever manifest; raise Damaged for anything else."""
    sealed, _ = document(objects, name, "statement", "signature")
    statement = sealed["statement"]
    if not isinstance(statement, dict) or not statement.keys() >= {"files", "versions", "reason", "by", "at"}:
        raise damage(name, "is not what was written")
    if not publisher.signed(public, canonical(statement), sealed["signature"]):
        raise damage(name, UNSIGNED)
    return statement


def remaining(objects: Store, broken: Damaged, digest: str | None, publisher: Publisher) -> None:
    """Tell a damaged version which manifest it had, `digest` by the log, and which statements about it hold."""
    broken.manifest_sha256 = digest or _attested(objects, broken.path)
    found, signed = {}, []
    for name in objects.names(broken.path, STATEMENTS):
        number = name.stem.removeprefix("withdrawal-")
        if not number.isdecimal():
            continue
        try:
            statement = _signed(objects, name, publisher, "")
        except Damaged:
            continue
        signed.append(name.name)
        if statement.get("manifest_sha256") == broken.manifest_sha256:
            found[int(number)] = statement
    broken.signed = tuple(signed)
    broken.withdrawals = dict(sorted(found.items()))


def _attested(objects: Store, path: PurePosixPath) -> str:
    """Return the digest of the manifest that a version had, as far as its folder still tells."""
    try:
        return str(document(objects, path / ATTESTATION, "manifest_sha256")[0]["manifest_sha256"])
    except Damaged:
        pass
    for name in (MANIFEST, LEFT):
        try:
            return sha256(objects.read(path / name)).hexdigest()
        except OSError:
            continue
    return _UNKNOWN
