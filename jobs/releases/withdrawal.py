"""Withdraw versions whole, by a signed statement: their data and every change file that holds their rows go.

Manifests, signatures and attestations stay, so that the chain can still be checked; so does `verify.py`, which says
`withdrawn`. The next release starts the chain of changes anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from jobs.errors import RequestError
from jobs.layers import Layer
from jobs.releases import inputs, listing
from jobs.releases.listing import Released
from jobs.releases.manifest import canonical
from jobs.releases.signing import Signer
from jobs.releases.verify import KEPT, WITHDRAWAL
from jobs.storage.objects import Store


def withdraw(
    objects: Store, dataset: str, versions: Sequence[str], *, reason: str, by: str, now: datetime, signer: Signer
) -> list[Released]:
    """Withdraw versions of a dataset and return all releases it touched, as they are then.

    A statement is written before anything is removed: killed in between, `finish` goes on. A version that was
    withdrawn already is left as it is; so is a damaged one, whose changes go when it is mended (see `unsaid`).
    Raises RequestError for a version that is not there, or without a reason.
    """
    reason, by = " ".join(reason.split()), " ".join(by.split())
    if not reason or not by:
        raise RequestError("a withdrawal says why and by whom.", dataset=dataset, layer=Layer.OPEN)
    chosen = [listing.version(objects, dataset, version) for version in dict.fromkeys(versions)]
    gone = [one.version for one in chosen]
    touched = []
    # Newest first: changes from a version are stated gone before itself is, so that after a kill it is still asked for.
    for one in reversed(listing.versions(objects, dataset, [])):
        files = _files(one, gone)
        if not files:
            continue
        at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        statement: dict[str, Any] = {
            "format": WITHDRAWAL, "dataset": dataset, "manifest_sha256": one.manifest_sha256,
            "versions": [other.version for other in chosen if other.zone is one.zone],  # no other zone is told of
            "files": files, "reason": reason, "by": by, "at": at,
        }
        sealed = canonical({"statement": statement, "signature": signer.sign(canonical(statement))})
        # Written elsewhere and moved in, so that a kill leaves nothing in the release that is not a statement.
        draft = PurePosixPath("ops", "releases", f"withdrawal-{one.manifest_sha256}.json")
        objects.write(draft, sealed)
        objects.move(draft, one.path / f"withdrawal-{len(one.withdrawals) + 1}.json")
        touched.append(one.version)
    finish(objects, dataset)
    return [listing.version(objects, dataset, version) for version in reversed(touched)]


def foreseen(objects: Store, dataset: str, versions: Sequence[str]) -> list[dict[str, Any]]:
    """Return what withdrawing versions would remove, by release: version, rows and files; nothing is removed.

    `rows`: those of a version that goes itself, None where only changes from one go. Raises RequestError for a version
    that is not there.
    """
    chosen = [listing.version(objects, dataset, version) for version in dict.fromkeys(versions)]
    gone = [one.version for one in chosen]
    return [
        {"version": one.version, "rows": one.manifest["rows"] if one.version in gone else None, "files": len(files)}
        for one in listing.versions(objects, dataset, []) if (files := _files(one, gone))
    ]


def unsaid(objects: Store, dataset: str) -> dict[str, tuple[str, str]]:
    """Return withdrawn version → its reason and by whom, where changes from it are out still.

    They are in a version that was damaged when it was withdrawn and has been put back since.
    """
    there = listing.versions(objects, dataset, [])
    return {
        one.version: (said["reason"], said["by"])
        for one in there if one.withdrawn and any(_files(other, [one.version]) for other in there)
        for said in one.withdrawals if one.version in said["versions"]
    }


def finish(objects: Store, dataset: str) -> None:
    """Remove what statements of withdrawal took away and an interrupted run left."""
    for one in listing.versions(objects, dataset, []):
        for path in one.gone:
            objects.remove(one.path / path)
        above = {folder for path in one.gone for folder in PurePosixPath(path).parents if folder.name}
        for folder in sorted(above, reverse=True):
            if not objects.names(one.path / folder):
                objects.remove(one.path / folder)
        if one.withdrawn:
            inputs.forget(objects, dataset, one.version)


def _files(one: Released, gone: Sequence[str]) -> list[str]:
    """Return the files of a release that hold rows of withdrawn versions: all of its own, or changes from them."""
    listed = [said["path"] for said in one.manifest["files"] if said["path"] not in one.gone]
    if one.version in gone:
        return [path for path in listed if path not in KEPT]
    return [path for path in listed if any(path.startswith(f"changes/from-{version}/") for version in gone)]
