"""Compare two released versions of a dataset: how many rows differ, a few of them, and why."""

from __future__ import annotations

from typing import Any

import polars as pl

from jobs.errors import RequestError
from jobs.layers import Layer
from jobs.releases import listing
from jobs.releases.versions import version_key
from jobs.sets.changes import comparable, differences
from jobs.storage.objects import Store


def compare(objects: Store, dataset: str, first: str, second: str, *, sample: int = 5) -> dict[str, Any]:
    """Return counts of rows added, removed and changed, the first `sample` public rows of each, and the reasons.

    `reasons`: one sentence per version in between, with what brought its changes. Raises RequestError when a version is
    not there or withdrawn, or when the two have other columns.
    """
    one, other = (_there(objects, dataset, version) for version in (first, second))
    before, after = pl.read_parquet(one.data("parquet")), pl.read_parquet(other.data("parquet"))
    if not comparable(before, after):
        raise RequestError(
            "the two versions have other columns.", dataset=dataset, layer=Layer.OPEN,
            where=f"{first}, {second}", remedy="compare their dictionaries.",
        )
    keys = [list(version.manifest["key"]) for version in (one, other)]
    changes = differences(before, after, keys[0] if keys[0] == keys[1] else ())
    tables = {"added": changes.added, "removed": changes.removed, "changed": changes.changed}
    return {
        "dataset": dataset, "from": first, "to": second, "counts": changes.counts,
        "samples": {
            kind: rows.head(sample).cast(pl.String).to_dicts() for kind, rows in tables.items() if rows is not None
        },
        "reasons": _reasons(objects, dataset, first, second),
    }


def _there(objects: Store, dataset: str, version: str) -> listing.Released:
    one = listing.version(objects, dataset, version)
    if one.withdrawn:
        raise RequestError(f"version {version} was withdrawn.", dataset=dataset, layer=Layer.OPEN)
    return one


def _reasons(objects: Store, dataset: str, first: str, second: str) -> list[str]:
    low, high = sorted((version_key(first), version_key(second)))
    reasons = []
    for one in listing.versions(objects, dataset):
        if not low < version_key(one.version) <= high:
            continue
        said = one.manifest["changes"]
        if not said["windows"]:
            reasons.append(f"{one.version}: a full snapshot; {said['restart']}.")
        for why, counts in said["attribution"].items():
            listed = ", ".join(f"{count} {kind}" for kind, count in counts.items())
            reasons.append(f"{one.version}: {why} {listed}.")
        reasons += [f"{one.version}: breaking, {what}." for what in one.manifest["breaking"]]
    return reasons
