"""Withdraw versions whole, by a signed statement: their data and every change file that holds their rows go.

Manifests, signatures and attestations stay, so that the chain can still be checked; so does `verify.py`, which says
`withdrawn`. The next release starts the chain of changes anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import count
from pathlib import PurePosixPath
from typing import Any

from jobs import layers
from jobs.errors import RequestError, StorageError
from jobs.layers import Layer
from jobs.releases import inputs, listing
from jobs.releases.damage import LEFT, STATEMENTS, Damaged
from jobs.releases.listing import Released
from jobs.releases.manifest import canonical
from jobs.releases.signing import Signer
from jobs.releases.verify import KEPT, MANIFEST, PAGES, WITHDRAWAL
from jobs.releases.versions import version_key
from jobs.storage.objects import Store

Version = Released | Damaged


def withdraw(
    objects: Store, dataset: str, versions: Sequence[str], *, reason: str, by: str, now: datetime, signer: Signer
) -> list[Version]:
    """Withdraw versions of a dataset and return all releases it touched, as they are then.

    A statement is written before anything is removed: killed in between, `finish` goes on. A version that was
    withdrawn already is left as it is. A damaged one goes as far as it is there: everything but what stays of its
    signed files; a statement that is damaged gives its place to the new one. Damaged ones that are not named stay as
    they are, and changes in them go when they are mended (see `unsaid`). Raises RequestError for a version that is not
    there, or without a reason.
    """
    reason, by = " ".join(reason.split()), " ".join(by.split())
    if not reason or not by:
        raise RequestError("a withdrawal says why and by whom.", dataset=dataset, layer=Layer.OPEN)
    sound, chosen = _chosen(objects, dataset, versions)
    gone = [one.version for one in chosen]
    there: list[Version] = [*sound, *_lost(chosen)]
    touched = []
    # Newest first: changes from a version are stated gone before itself is, so that after a kill it is still asked for.
    for one in sorted(there, key=lambda one: version_key(one.version), reverse=True):
        files = _files(objects, one, gone)
        if not files:
            continue
        at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        statement: dict[str, Any] = {
            "format": WITHDRAWAL, "dataset": dataset, "manifest_sha256": one.manifest_sha256,
            "versions": [other.version for other in chosen if other.zone is one.zone],  # no other zone is told of
            "files": files, "reason": reason, "by": by, "at": at,
            **({"damaged": True} if isinstance(one, Damaged) and not one.unstated else {}),
        }
        sealed = canonical({"statement": statement, "signature": signer.sign(canonical(statement))})
        # Written elsewhere and moved in, so that a kill leaves nothing in the release that is not a statement.
        draft = PurePosixPath("ops", "releases", f"withdrawal-{layers.slug(dataset)}-{one.version}.json")
        objects.write(draft, sealed)
        number, spoilt = _number(objects, one)
        for name in spoilt:
            data = objects.read(name)
            objects.write(_aside(name, data), data)
        objects.move(draft, one.path / f"withdrawal-{number}.json")
        for name in spoilt:
            if name.name != f"withdrawal-{number}.json":
                objects.remove(name)
        touched.append(one.version)
    finish(objects, dataset)
    remains: list[Damaged] = []
    left: list[Version] = [*listing.versions(objects, dataset, [], remains), *remains]
    return sorted((one for one in left if one.version in touched), key=lambda one: version_key(one.version))


def foreseen(objects: Store, dataset: str, versions: Sequence[str]) -> list[dict[str, Any]]:
    """Return what withdrawing versions would remove, by release: version, rows and files; nothing is removed.

    `rows`: those of a version that goes itself, None where only changes from one go. `damaged`: it goes itself, and
    nobody can tell how many rows it has. Raises RequestError for a version that is not there.
    """
    sound, chosen = _chosen(objects, dataset, versions)
    gone = [one.version for one in chosen]
    found: list[dict[str, Any]] = [
        {
            "version": one.version, "rows": one.manifest["rows"] if one.version in gone else None, "files": len(files),
            "damaged": False,
        }
        for one in sound if (files := _files(objects, one, gone))
    ]
    found += [
        {"version": one.version, "rows": None, "files": len(_files(objects, one, gone)), "damaged": True}
        for one in _lost(chosen)
    ]
    return sorted(found, key=lambda one: version_key(one["version"]))


def unsaid(objects: Store, dataset: str) -> dict[str, tuple[str, str]]:
    """Return withdrawn version → its reason and by whom, where changes from it, or rows of its own, are out unsaid.

    They are in a version that was damaged when it, or the one they start from, was withdrawn and has been put back
    since; or that lost its statement, of which the one of the withdrawn version still tells.
    """
    return {
        gone: (said["reason"], said["by"])
        for gone, statements, holders in _out(objects, dataset) if holders
        for said in statements if gone in said["versions"]
    }


def unstated(objects: Store, dataset: str) -> list[StorageError]:
    """Return an error for each version that holds what was withdrawn without a statement that says so."""
    return [
        StorageError(
            f"version {one.version} has no statement that what it holds of version {gone}, which was withdrawn, is "
            "withdrawn too: it was lost, or the version was put back.",
            dataset=dataset, layer=one.path.parts[0], where=str(one.path),
            remedy="`lake portal build` signs it anew and removes what is there.",
        )
        for gone, _, holders in _out(objects, dataset) for one in holders
    ]


def mend(objects: Store, dataset: str, now: datetime, signer: Signer) -> None:
    """Withdraw again what is out unsaid, for the reason and by whom it was withdrawn."""
    for version, (reason, by) in unsaid(objects, dataset).items():
        withdraw(objects, dataset, [version], reason=reason, by=by, now=now, signer=signer)


def _out(objects: Store, dataset: str) -> list[tuple[str, Sequence[dict[str, Any]], list[Released]]]:
    """Return each withdrawn version with its statements and the versions that hold rows of it unsaid."""
    remains: list[Damaged] = []
    there = listing.versions(objects, dataset, [], remains)
    gone: dict[str, Sequence[dict[str, Any]]] = {one.version: one.withdrawals for one in there if one.withdrawn}
    gone |= {one.version: one.said for one in remains}
    holders: dict[str, list[Released]] = {version: [] for version in gone}
    for one in there:
        listed = [PurePosixPath(said["path"]) for said in one.manifest["files"] if said["path"] not in one.gone]
        held = {path.parts[1].removeprefix("from-") for path in listed if path.parts[0] == "changes" and path.parts[1:]}
        if one.version in gone and any(str(path) not in KEPT for path in listed):
            held.add(one.version)
        for version in held & gone.keys():
            holders[version].append(one)
    return [(version, statements, holders[version]) for version, statements in gone.items()]


def finish(objects: Store, dataset: str) -> None:
    """Remove what statements of withdrawal took away and an interrupted run left.

    What is left of a manifest that is not what was written gets another name, so that nobody takes it for one: neither
    a program nor the check of the version that follows.
    """
    remains: list[Damaged] = []
    there: list[tuple[Version, Iterable[str]]] = [
        (one, one.gone) for one in listing.versions(objects, dataset, [], remains)
    ]
    there += [(one, {path for said in one.withdrawals.values() for path in said["files"]}) for one in remains]
    for one, gone in there:
        for path in gone:
            objects.remove(one.path / path)
        above = {folder for path in gone for folder in PurePosixPath(path).parents if folder.name}
        for folder in sorted(above, reverse=True):
            if not objects.names(one.path / folder):
                objects.remove(one.path / folder)
        if one.withdrawn:
            inputs.forget(objects, dataset, one.version)
            if isinstance(one, Released):
                objects.remove(one.path / LEFT)  # it was put back
            elif PurePosixPath(str(one.where)).name == MANIFEST and objects.exists(one.path / MANIFEST):
                objects.move(one.path / MANIFEST, one.path / LEFT)


def _chosen(objects: Store, dataset: str, versions: Sequence[str]) -> tuple[list[Released], list[Version]]:
    """Return a dataset's sound releases, and those named, be they sound, damaged or withdrawn damaged."""
    damaged: list[Damaged] = []
    remains: list[Damaged] = []
    sound = listing.versions(objects, dataset, damaged, remains)
    lost = {one.version: one for one in (*damaged, *remains)}
    wanted = dict.fromkeys(versions)
    return sound, [lost[one] if one in lost else listing.version(objects, dataset, one) for one in wanted]


def _lost(chosen: Sequence[Version]) -> list[Damaged]:
    """Return the damaged versions that are still to be withdrawn."""
    return [one for one in chosen if isinstance(one, Damaged) and not one.withdrawn]


def _files(objects: Store, one: Version, gone: Sequence[str]) -> list[str]:
    """Return the files of a release that hold rows of withdrawn versions: all of its own, or changes from them.

    Of a damaged version all that is there, what its manifest lists where that can be read, and its data wherever that
    may be, so that it is gone too from a folder that is put back.
    """
    if isinstance(one, Damaged):
        there = {path.relative_to(one.path).as_posix() for path in objects.states(one.path)} | set(one.listed)
        stem = str(one.dataset).rpartition("/")[2]
        kept = {*KEPT, *PAGES, LEFT, *(path for path in there if PurePosixPath(path).match(STATEMENTS))}
        return sorted(there - kept | {f"{stem}.csv", f"{stem}.parquet"})
    listed = [said["path"] for said in one.manifest["files"] if said["path"] not in one.gone]
    if one.version in gone:
        return [path for path in listed if path not in KEPT]
    return [path for path in listed if any(path.startswith(f"changes/from-{version}/") for version in gone)]


def _number(objects: Store, one: Version) -> tuple[int, list[PurePosixPath]]:
    """Return the number of a release's next statement, and the files of statements that are to be laid aside for it.

    Of a version whose manifest is sound every statement that does not hold; of any other only what the publisher never
    signed: which manifest it had may not be known.
    """
    if isinstance(one, Released):
        return len(one.withdrawals) + 1, []
    stay = {f"withdrawal-{number}.json" for number in one.withdrawals} | (set() if one.unstated else set(one.signed))
    number = next(number for number in count(1) if f"withdrawal-{number}.json" not in stay)
    return number, [name for name in objects.names(one.path, STATEMENTS) if name.name not in stay]


def _aside(name: PurePosixPath, data: bytes) -> PurePosixPath:
    """Return where a statement that does not hold is kept, for who looks into it."""
    _, slug, version, file = name.parts
    return PurePosixPath("ops", "releases", f"aside-{slug}-{version}-{sha256(data).hexdigest()[:12]}-{file}")
