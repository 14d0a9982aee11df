"""A zone's log: one line per release and withdrawal, each naming the line before it; nothing is ever taken out.

Whoever keeps the digest of a line can tell later whether anything before it was changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobs.errors import StorageError
from jobs.layers import Layer
from jobs.releases.manifest import canonical
from jobs.releases.signing import Publisher, Signer
from jobs.releases.verify import Broken, read_log
from jobs.storage.objects import Store

if TYPE_CHECKING:
    from jobs.releases.damage import Damaged
    from jobs.releases.listing import Released

FIRST = "0" * 64
LOG, SEAL = "log.jsonl", "log.sig"


class DamagedLog(StorageError):  # noqa: N818 (it is a log that is so)
    """A zone's log is not what was written."""


@dataclass
class Told:
    """Hold what a zone's log knows of (dataset, version): when `released`, its manifest's `digests`, `withdrawn`."""

    released: dict[tuple[str, str], str] = field(default_factory=dict)
    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    withdrawn: set[tuple[str, str]] = field(default_factory=set)


def append(
    objects: Store, zone: Layer, releases: Sequence[Released], signer: Signer, remains: Sequence[Damaged] = ()
) -> list[dict[str, Any]]:
    """Append what happened in a zone since and return its whole log, oldest first; nothing new changes nothing.

    Raises DamagedLog, and leaves the log as it is, when somebody changed it: what no seal holds yet must have happened.
    """
    log, seal_path = f"{zone}/{LOG}", f"{zone}/{SEAL}"
    happened = events(releases, remains)
    lines, entries = _read(objects, zone, lambda: happened)
    known = {_identity(entry) for entry in entries}
    for event in sorted(happened, key=lambda one: (one["at"], one["kind"], one["dataset"], one["version"])):
        if _identity(event) in known:
            continue
        before = hashlib.sha256(lines[-1]).hexdigest() if lines else FIRST
        entry = {"number": len(lines) + 1, "before": before, **event}
        lines.append(canonical(entry))
        entries.append(entry)
    if len(entries) > len(known):
        objects.write(log, b"\n".join(lines) + b"\n")
    head = {"number": len(lines), "sha256": hashlib.sha256(lines[-1]).hexdigest() if lines else FIRST}
    seal = {**head, "public_key": signer.public.hex(), "signature": signer.sign(canonical(head))}
    if not objects.exists(seal_path) or objects.read(seal_path) != canonical(seal):
        objects.write(seal_path, canonical(seal))
    return entries


def problem(objects: Store, zone: Layer, happened: Callable[[], Sequence[dict[str, Any]]]) -> DamagedLog | None:
    """Return what is wrong with a zone's log, None where its chain holds and ends in what was sealed or goes on.

    `happened` returns the `events` that the folders know; it is called after the log was read, which is written later.
    """
    try:
        _read(objects, zone, happened)
    except DamagedLog as error:
        return error
    return None


def _read(
    objects: Store, zone: Layer, happened: Callable[[], Sequence[dict[str, Any]]]
) -> tuple[list[bytes], list[dict[str, Any]]]:
    """Return a log's lines and what they say; raise DamagedLog where they are not what was written.

    A log may go on beyond its seal, or have none yet, because it is written first; but only by what happened.
    """
    path, seal_path = f"{zone}/{LOG}", f"{zone}/{SEAL}"
    seal = objects.read(seal_path) if objects.exists(seal_path) else None  # first: whoever appends writes it last
    lines = objects.read(path).splitlines() if objects.exists(path) else []
    try:
        entries = read_log(objects.mirror(path)) if lines else []
    except Broken as broken:
        raise _damaged(zone, LOG, str(broken)) from None
    if not all({"kind", "dataset", "version", "manifest_sha256"} <= entry.keys() for entry in entries):
        raise _damaged(zone, LOG, "a line of the log is about no release.")
    number = 0
    if seal is not None:
        number, digest = _sealed(objects, zone, seal)
        last = hashlib.sha256(lines[number - 1]).hexdigest() if 0 < number <= len(lines) else FIRST
        if number > len(lines) or last != digest:
            raise _damaged(
                zone, LOG, f"the log is not the one of {number} lines that was sealed: it was cut or rewritten."
            )
    if beyond := [{key: entry[key] for key in entry.keys() - {"number", "before"}} for entry in entries[number:]]:
        known = happened()
        if not all(event in known for event in beyond):
            raise _damaged(zone, LOG, f"a line of the log below the {number} that were sealed is about nothing here.")
    return lines, entries


def _sealed(objects: Store, zone: Layer, seal: bytes) -> tuple[int, str]:
    """Return how many lines were sealed and the digest of the last; raise DamagedLog for a seal that does not hold."""
    try:
        said = json.loads(seal)
        number, digest = int(said["number"]), str(said["sha256"])
        public, signature = said["public_key"], said["signature"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(zone, SEAL, f"{SEAL} is not what was written.") from None
    if not Publisher(objects).signed(public, canonical({"number": number, "sha256": digest}), signature):
        raise _damaged(zone, SEAL, f"{SEAL} is not signed by the publisher.")
    return number, digest


def _damaged(zone: Layer, file: str, what: str) -> DamagedLog:
    return DamagedLog(
        f"{what} Nothing is entered in it; all else goes on.", layer=zone.value, where=f"{zone}/{file}",
        remedy=f"put {zone}/{LOG} and {zone}/{SEAL} back from a copy of the lake; the next release, withdrawal or "
               "expiry enters what happened since.",
    )


def told(objects: Store, zone: Layer) -> Told:
    """Return all that a zone's log knows was released and withdrawn, as far as its seal holds it.

    From the sealed line back each line is known by its digest in the next, so that a spoilt one hides those above it
    alone; what stands below it, or has no seal, says nothing: the folders know it, if it happened.
    """
    found = Told()
    for line in _held(objects, zone):
        try:
            entry = json.loads(line)
            about = str(entry["dataset"]), str(entry["version"])
            if entry["kind"] == "release":
                found.released[about] = str(entry["at"])
                found.digests[about] = str(entry["manifest_sha256"])
            elif entry["kind"] == "withdrawal":
                found.withdrawn.add(about)
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _held(objects: Store, zone: Layer) -> list[bytes]:
    """Return the lines of a log that its seal holds, oldest first."""
    try:
        number, digest = _sealed(objects, zone, objects.read(f"{zone}/{SEAL}"))
        lines = objects.read(f"{zone}/{LOG}").splitlines()[:number]
    except (FileNotFoundError, DamagedLog):
        return []
    held: list[bytes] = []
    while lines and hashlib.sha256(lines[-1]).hexdigest() == digest:
        held.append(lines.pop())
        digest = str(json.loads(held[-1])["before"])
    return held[::-1]


def events(releases: Sequence[Released], remains: Sequence[Damaged] = ()) -> list[dict[str, Any]]:
    """Return every release and every withdrawal that the folders know of, in no order.

    `remains`: versions that were withdrawn damaged, of which the log knows when they were released.
    """
    found: list[dict[str, Any]] = []
    for one in releases:
        about = {"dataset": one.dataset, "version": one.version, "manifest_sha256": one.manifest_sha256}
        found.append({"kind": "release", "at": one.attestation["released_at"], **about})
        found += [
            {"kind": "withdrawal", "at": said["at"], "reason": said["reason"], **about}
            for said in one.withdrawals if one.version in said["versions"]
        ]
    for gone in remains:
        about = {"dataset": str(gone.dataset), "version": gone.version, "manifest_sha256": gone.manifest_sha256}
        found.append({"kind": "release", "at": gone.told_at, **about})
        found += [{"kind": "withdrawal", "at": said["at"], "reason": said["reason"], **about} for said in gone.said]
    return found


def _identity(event: Mapping[str, Any]) -> tuple[Any, ...]:
    return event["kind"], event["dataset"], event["version"], event["manifest_sha256"]
