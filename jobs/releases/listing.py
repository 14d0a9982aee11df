"""What was released: read from the releases themselves, which never change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from jobs import layers
from jobs.errors import RequestError
from jobs.layers import Layer
from jobs.releases.verify import ATTESTATION, KEPT, MANIFEST
from jobs.releases.versions import version_key
from jobs.storage.objects import Store

if TYPE_CHECKING:
    from jobs.storage.tables import Lake


@dataclass(frozen=True)
class Released:
    """Hold one version as it was released: its folder, its manifest, who and when, what was withdrawn since."""

    objects: Store
    path: PurePosixPath
    manifest: dict[str, Any]
    manifest_sha256: str
    attestation: dict[str, Any]
    withdrawals: tuple[dict[str, Any], ...]

    @property
    def version(self) -> str:
        """Return the version."""
        return str(self.manifest["version"])

    @property
    def dataset(self) -> str:
        """Return the dataset's name."""
        return str(self.manifest["dataset"])

    @property
    def zone(self) -> Layer:
        """Return the zone it lies in."""
        return Layer(self.path.parts[0])

    @cached_property
    def gone(self) -> frozenset[str]:
        """Return the files that were withdrawn."""
        return frozenset(path for one in self.withdrawals for path in one["files"])

    @property
    def withdrawn(self) -> bool:
        """Tell whether the version itself was withdrawn, not only changes from another one."""
        return any(path not in KEPT and not path.startswith("changes/") for path in self.gone)

    @cached_property
    def folder(self) -> Path:
        """Return where the version lies on this machine, to be read only."""
        return self.objects.mirror(self.path)

    @property
    def address(self) -> str:
        """Return where the version lies, for people."""
        return self.objects.address(self.path)

    def data(self, kind: str) -> Path:
        """Return the path of the data as `csv` or `parquet`."""
        return self.folder / str(self.manifest["data"][kind])


def releases(lake: Lake) -> list[dict[str, Any]]:
    """Return every release by dataset and version: zone, rows, smallest group, share kept, day, status, folder."""
    found = [one for zone in layers.ZONES for one in everything(lake.objects, zone)]
    return [
        {
            "dataset": one.dataset,
            "version": one.version,
            "zone": one.zone.value,
            "rows": one.manifest["rows"],
            "smallest_group": one.manifest["risk"]["smallest_group"],
            "kept_share": float(one.manifest["risk"]["kept_share"]),
            "released_on": one.attestation["released_at"][:10],
            "status": "withdrawn" if one.withdrawn else "breaking" if one.manifest["breaking"] else "released",
            "path": one.address,
        }
        for one in sorted(found, key=lambda one: (one.dataset, version_key(one.version)))
    ]


def everything(objects: Store, zone: Layer) -> list[Released]:
    """Return every release of every dataset in a zone, by dataset and version.

    What lies there and is not of the zone's mode is not among them: nothing but its folder ever tells of it.
    """
    there = [one for folder in objects.names(zone.value) for one in _in(objects, folder)]
    return [one for one in there if layers.zone(one.manifest["risk"]["mode"]) is zone]


def versions(objects: Store, dataset: str) -> list[Released]:
    """Return a dataset's releases in all zones, oldest version first: they are numbered together."""
    found = [one for zone in layers.ZONES for one in _in(objects, layers.release_path(dataset, zone=zone))]
    return sorted(found, key=lambda one: version_key(one.version))


def latest(objects: Store, dataset: str) -> Released | None:
    """Return a dataset's newest release, withdrawn or not; None before the first."""
    found = versions(objects, dataset)
    return found[-1] if found else None


def version(objects: Store, dataset: str, wanted: str) -> Released:
    """Return one release; raise RequestError when there is none of that version."""
    found = versions(objects, dataset)
    for one in found:
        if one.version == wanted:
            return one
    there = ", ".join(one.version for one in found) or "none"
    raise RequestError(f"there is no version {wanted}.", dataset=dataset, layer=Layer.OPEN, remedy=f"there: {there}.")


def _in(objects: Store, folder: PurePosixPath) -> list[Released]:
    paths = [path for path in objects.names(folder) if objects.exists(path / MANIFEST)]
    return sorted((_read(objects, path) for path in paths), key=lambda one: version_key(one.version))


def _read(objects: Store, path: PurePosixPath) -> Released:
    data = objects.read(path / MANIFEST)
    attestation = json.loads(objects.read(path / ATTESTATION))
    statements = [json.loads(objects.read(name))["statement"] for name in objects.names(path, "withdrawal-*.json")]
    return Released(objects, path, json.loads(data), sha256(data).hexdigest(), attestation, tuple(statements))
