"""The portal's own files: an index for machines and, per dataset, the latest version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from jobs.layers import slug
from jobs.releases.formats import json_bytes
from jobs.releases.listing import Released


def portal_files(releases: Sequence[Released], portal: str) -> dict[str, bytes]:
    """Return file name → content; `releases` by dataset and version."""
    files = {"index.json": json_bytes(index(releases, portal))}
    for dataset, found in groupby(releases, key=lambda one: one.dataset):
        one = newest(list(found))
        said = pointer(one) if one else {"dataset": dataset, "version": None}
        files[f"{slug(dataset)}/latest.json"] = json_bytes(said)
    return files


def newest(versions: Sequence[Released]) -> Released | None:
    """Return the newest version that was not withdrawn."""
    there = [one for one in versions if not one.withdrawn]
    return there[-1] if there else None


def pointer(one: Released) -> dict[str, Any]:
    """Return where the latest version is, and the digest of its manifest."""
    return {
        "dataset": one.dataset, "version": one.version, "path": f"{slug(one.dataset)}/{one.version}/",
        "manifest_sha256": one.manifest_sha256, "released_at": one.attestation["released_at"],
    }


def index(releases: Sequence[Released], portal: str) -> dict[str, Any]:
    """Return every dataset with its versions, their files' digests and the changes each can be reached by."""
    datasets = []
    for name, found in groupby(releases, key=lambda one: one.dataset):
        versions = list(found)
        one, last = newest(versions), versions[-1].manifest
        datasets.append(
            {
                "name": name, "title": last["about"]["title"], "theme": last["about"]["theme"],
                "licence": last["about"]["licence"], "latest": one.version if one else None,
                "versions": [_version(version, portal) for version in versions],
            }
        )
    return {"portal": portal, "datasets": datasets}


def _version(one: Released, portal: str) -> dict[str, Any]:
    place = f"{slug(one.dataset)}/{one.version}/"
    said: dict[str, Any] = {
        "version": one.version, "released_at": one.attestation["released_at"], "path": place, "url": portal + place,
        "manifest_sha256": one.manifest_sha256, "rows": one.manifest["rows"], "data_date": one.manifest["data_date"],
        "breaking": one.manifest["breaking"], "status": "withdrawn" if one.withdrawn else "released",
    }
    if one.withdrawn:
        mine = [statement for statement in one.withdrawals if one.version in statement["versions"]]
        return said | {"withdrawn": [_reason(statement) for statement in mine]}
    said["files"] = [file for file in one.manifest["files"] if file["path"] not in one.gone]
    said["changes"] = {
        window: {"from": start, "path": f"changes/from-{start}/", **one.manifest["changes"]["from"][start]}
        for window, start in one.manifest["changes"]["windows"].items()
        if not any(path.startswith(f"changes/from-{start}/") for path in one.gone)
    }
    return said


def _reason(statement: Mapping[str, Any]) -> dict[str, str]:
    return {"at": statement["at"], "reason": statement["reason"]}
