"""Tell whom it concerns what is released: each zone's log, latest versions, catalogue, an index for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs import layers
from jobs.layers import Layer
from jobs.releases import listing, log
from jobs.releases.formats import json_bytes
from jobs.releases.listing import Released
from jobs.releases.metadata.portal import portal_files
from jobs.releases.signing import Signer

if TYPE_CHECKING:
    from jobs.storage.tables import Lake


def announce(lake: Lake) -> None:
    """Bring every zone's own files up to date with its releases; up to date, nothing is written.

    Each zone tells of its own releases alone: the open one of what is public. The files are derived from the releases,
    so that a run killed before this loses nothing: the next one catches up.
    """
    with lake.writing("open"):
        sweep(lake)
        signer = Signer.open(lake.objects, lake.settings.signature)
        for zone in layers.ZONES:
            releases = listing.everything(lake.objects, zone)
            if releases or zone is Layer.OPEN:  # the publisher is known by the key that lies open
                _announce(lake, zone, releases, signer)


def _announce(lake: Lake, zone: Layer, releases: Sequence[Released], signer: Signer) -> None:
    log.append(lake.objects, zone, releases, signer)
    files = {
        "key.json": json_bytes(
            {"algorithm": signer.algorithm, "public_key": signer.public.hex(), "fingerprint": signer.fingerprint}
        ),
        **portal_files(releases, layers.zone_address(lake.settings.portal, zone)),
    }
    for name, data in files.items():
        path = f"{zone}/{name}"
        if not lake.objects.exists(path) or lake.objects.read(path) != data:
            lake.objects.write(path, data)


def sweep(lake: Lake) -> None:
    """Remove files that a killed announcement or build of the site left half written; needs the lease `open`."""
    for zone in layers.ZONES:
        for left in lake.objects.unfinished(zone, objects_only=True):  # a release in the making is a folder
            lake.objects.remove(left)
