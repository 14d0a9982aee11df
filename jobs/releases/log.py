"""A zone's log: one line per release and withdrawal, each naming the line before it; nothing is ever taken out.

Whoever keeps the digest of a line can tell later whether anything before it was changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobs.layers import Layer
from jobs.releases.manifest import canonical
from jobs.releases.signing import Signer
from jobs.releases.verify import read_log
from jobs.storage.objects import Store

if TYPE_CHECKING:
    from jobs.releases.damage import Damaged
    from jobs.releases.listing import Released

FIRST = "0" * 64


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

    Raises jobs.releases.verify.Broken when somebody changed a line.
    """
    log, seal_path = f"{zone}/log.jsonl", f"{zone}/log.sig"
    lines = objects.read(log).splitlines() if objects.exists(log) else []
    entries = read_log(objects.mirror(log)) if lines else []
    known = {_identity(entry) for entry in entries}
    happened = events(releases, remains)
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


def told(objects: Store, zone: Layer) -> Told:
    """Return all that a zone's log knows was released and withdrawn; unread lines say nothing.

    Only to know what must be there: who verifies reads the log by `jobs.releases.verify.read_log`.
    """
    try:
        lines = objects.read(f"{zone}/log.jsonl").splitlines()
    except FileNotFoundError:
        return Told()
    found = Told()
    for line in lines:
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
