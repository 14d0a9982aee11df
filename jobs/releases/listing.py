"""What was released: read from the releases themselves, which never change.

A version of which a signed file is missing, is no document, does not fit the others and the zone's log, or is not what
the publisher signed is damaged: it is named, never left out in silence, and whatever is about others goes on without
it. One that was withdrawn all the same is what remains of it: its number, its folder, its statements. Of the other
files nothing is looked at here: `jobs.releases.verify` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from jobs import layers
from jobs.errors import LakeError, RequestError, StorageError
from jobs.layers import Layer
from jobs.releases import log
from jobs.releases.damage import (
    LEFT,
    STATEMENTS,
    UNLOGGED,
    UNSIGNED,
    damage,
    document,
    remaining,
    signature,
    statements,
)
from jobs.releases.damage import Damaged as Damaged
from jobs.releases.signing import KEY, PUBLIC, Publisher
from jobs.releases.verify import ATTESTATION, KEPT, MANIFEST, VERSION
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


def releases(lake: Lake, errors: list[LakeError] | None = None) -> list[dict[str, Any]]:
    """Return every release by dataset and version: zone, rows, smallest group, share kept, day, status, folder.

    Of a damaged one, whose status says so, no more is known than its zone, its folder and, by the log, its day; what is
    wrong with it is one of `errors`, as is what is wrong with a zone's log. One that was withdrawn damaged is withdrawn
    and no error.
    """
    damaged: list[Damaged] = []
    remains: list[Damaged] = []
    found = [one for zone in layers.ZONES for one in everything(lake.objects, zone, damaged, remains)]
    rows: list[dict[str, Any]] = [
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
        for one in found
    ]
    rows += [
        {
            "dataset": one.dataset, "version": one.version, "zone": one.layer, "rows": None, "smallest_group": None,
            "kept_share": None, "released_on": one.told_at[:10],
            "status": "withdrawn" if one.withdrawn else "damaged", "path": lake.objects.address(one.path),
        }
        for one in (*damaged, *remains)
    ]
    if errors is not None:
        errors += damaged
        lost = (log.problem(lake.objects, zone, _happened(lake.objects, zone)) for zone in layers.ZONES)
        errors += filter(None, lost)
        if rows and not Publisher(lake.objects).authenticated:
            errors.append(StorageError(
                "the signer is not authenticated: there is no key by which the publisher is known.", where=PUBLIC,
                remedy=f"put {PUBLIC} back from a copy of the lake, or {KEY} from the backup of the keys.",
            ))
    return sorted(rows, key=lambda row: (row["dataset"], version_key(row["version"])))


def _happened(objects: Store, zone: Layer) -> Callable[[], list[dict[str, Any]]]:
    """Return how to ask what the folders of a zone know that its log may say."""

    def ask() -> list[dict[str, Any]]:
        remains: list[Damaged] = []
        there = everything(objects, zone, [], remains)
        return log.events(there, [one for one in remains if one.told_at])

    return ask


def everything(
    objects: Store, zone: Layer, damaged: list[Damaged] | None = None, remains: list[Damaged] | None = None
) -> list[Released]:
    """Return every release of every dataset in a zone, by dataset and version.

    What lies there and is not of the zone's mode is not among them: nothing but its folder ever tells of it. A damaged
    version is one of the errors `damaged`; without that list it is raised. `remains` gets those withdrawn damaged.
    """
    place = _Place.of(objects, zone)
    names = {folder.name for folder in objects.names(zone.value)}
    names |= {layers.slug(dataset) for dataset, _ in place.known.released}
    there = [one for name in sorted(names) for one in _in(place, layers.dataset_of(name), damaged, remains)]
    return [one for one in there if layers.zone(one.manifest["risk"]["mode"]) is zone]


def versions(
    objects: Store, dataset: str, damaged: list[Damaged] | None = None, remains: list[Damaged] | None = None
) -> list[Released]:
    """Return a dataset's releases in all zones, oldest version first: they are numbered together.

    A damaged version is one of the errors `damaged`; without that list it is raised. `remains` gets those withdrawn
    damaged.
    """
    found = [one for zone in layers.ZONES for one in _in(_Place.of(objects, zone), dataset, damaged, remains)]
    return sorted(found, key=lambda one: version_key(one.version))


def withdrawn_last(objects: Store, dataset: str, zone: Layer | None = None) -> str:
    """Return a dataset's newest version, in a zone or in all, where it was withdrawn damaged; empty where it was not.

    Nothing is known of what it held: no number is given twice because of it, and no changes lead over it.
    """
    remains: list[Damaged] = []
    sound = [one.version for one in versions(objects, dataset, [], remains) if zone in (None, one.zone)]
    gone = [one.version for one in remains if zone in (None, one.zone)]
    newest = max([*sound, *gone], key=version_key, default="")
    return newest if newest in gone else ""


def latest(objects: Store, dataset: str, zone: Layer | None = None) -> Released | None:
    """Return a dataset's newest release, in one zone or in all, withdrawn or not; None before the first."""
    found = [one for one in versions(objects, dataset) if zone in (None, one.zone)]
    return found[-1] if found else None


def version(objects: Store, dataset: str, wanted: str) -> Released:
    """Return one release; raise RequestError when there is none of that version, and Damaged when it cannot be read."""
    damaged: list[Damaged] = []
    remains: list[Damaged] = []
    found = versions(objects, dataset, damaged, remains)
    for one in found:
        if one.version == wanted:
            return one
    for broken in damaged:
        if broken.version == wanted:
            raise broken
    if any(one.version == wanted for one in remains):
        raise RequestError(f"version {wanted} was withdrawn.", dataset=dataset, layer=Layer.OPEN)
    there = ", ".join(one.version for one in found) or "none"
    raise RequestError(f"there is no version {wanted}.", dataset=dataset, layer=Layer.OPEN, remedy=f"there: {there}.")


@dataclass(frozen=True)
class _Place:
    """Hold a zone with what its log knows and who signs in it."""

    objects: Store
    zone: Layer
    known: log.Told
    publisher: Publisher

    @classmethod
    def of(cls, objects: Store, zone: Layer) -> _Place:
        return cls(objects, zone, log.told(objects, zone), Publisher(objects))


def _in(
    place: _Place, dataset: str, damaged: list[Damaged] | None, remains: list[Damaged] | None
) -> list[Released]:
    """Return a dataset's releases in a zone; what the zone's log knows must be there, and withdrawn what it says."""
    objects, known = place.objects, place.known
    folder, found = layers.release_path(dataset, zone=place.zone), []
    there = {path.name for path in objects.names(folder) if VERSION.match(path.name)}
    told = {version: at for (name, version), at in known.released.items() if name == dataset and VERSION.match(version)}
    for version in sorted(there | set(told), key=version_key):
        try:
            if version in told or objects.exists(folder / version / MANIFEST) or _lost(objects, folder / version):
                one = _read(place, folder / version)
                if (dataset, version) in known.withdrawn and not _said(one):
                    number = len(one.withdrawals) + 1
                    lost = damage(one.path / f"withdrawal-{number}.json", "is missing: the log says it was withdrawn")
                    lost.listed = tuple(said["path"] for said in one.manifest["files"])
                    raise lost
                found.append(one)
        except Damaged as error:
            error.told_at = told.get(version, "")
            remaining(objects, error, known.digests.get((dataset, version)), place.publisher)
            if error.withdrawn:
                if remains is not None:
                    remains.append(error)
            elif damaged is None:
                raise
            else:
                damaged.append(error)
    return found


def _read(place: _Place, path: PurePosixPath) -> Released:
    objects, publisher = place.objects, place.publisher
    manifest, written = document(objects, path / MANIFEST, "risk")
    attestation, attested = document(objects, path / ATTESTATION, "released_at")
    digest = sha256(written).hexdigest()
    if digest != attestation.get("manifest_sha256"):
        raise damage(path / MANIFEST, "is not what was written: its digest is another")
    about = layers.dataset_of(path.parts[1]), path.name
    if (manifest.get("dataset"), manifest.get("version")) != about:
        raise damage(path / MANIFEST, "is not what was written: it is of another version")
    if place.known.digests.get(about, digest) != digest:
        raise damage(path / MANIFEST, UNLOGGED)
    seal = signature(objects, path)
    public = str(seal["public_key"])
    for name, data, part in ((MANIFEST, written, "manifest"), (ATTESTATION, attested, "attestation")):
        if not publisher.signed(public, data, seal[part]):
            raise damage(path / name, UNSIGNED)
    try:
        said = statements(objects, path, digest, publisher, public)
    except Damaged as error:
        error.listed = tuple(one["path"] for one in manifest["files"])
        raise
    return Released(objects, path, manifest, digest, attestation, tuple(said))


def _lost(objects: Store, path: PurePosixPath) -> bool:
    """Tell whether a version that its zone's log does not know, or not as far as it can be read, lost its manifest.

    In a bucket only what a withdrawal left tells it from what an interrupted run left before its seal.
    """
    rests = (LEFT, STATEMENTS, *((ATTESTATION, "*.csv", "*.parquet") if objects.places_whole else ()))
    return any(objects.names(path, rest) for rest in rests)


def _said(one: Released) -> bool:
    """Tell whether a statement of withdrawal names the version itself."""
    return any(one.version in said["versions"] for said in one.withdrawals)
