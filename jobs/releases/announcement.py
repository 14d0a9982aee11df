"""Tell the world what is released: the log, the latest version of each dataset, an index for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.layers import Layer
from jobs.releases import listing, log
from jobs.releases.formats import json_bytes
from jobs.releases.metadata.portal import portal_files
from jobs.releases.signing import Signer

if TYPE_CHECKING:
    from jobs.storage.tables import Lake


def announce(lake: Lake) -> None:
    """Bring the portal's own files up to date with the releases; up to date, nothing is written.

    They are derived from the releases alone, so that a run killed before this loses nothing: the next one catches up.
    """
    with lake.writing("open"):
        sweep(lake)
        releases, signer = listing.everything(lake.objects), Signer.open(lake.objects, lake.settings.signature)
        log.append(lake.objects, releases, signer)
        files = {
            "key.json": json_bytes(
                {"algorithm": signer.algorithm, "public_key": signer.public.hex(), "fingerprint": signer.fingerprint}
            ),
            **portal_files(releases, lake.settings.portal),
        }
        for name, data in files.items():
            path = f"{Layer.OPEN}/{name}"
            if not lake.objects.exists(path) or lake.objects.read(path) != data:
                lake.objects.write(path, data)


def sweep(lake: Lake) -> None:
    """Remove files that a killed announcement or build of the site left half written; needs the lease `open`."""
    for left in lake.objects.unfinished(Layer.OPEN, objects_only=True):  # a release in the making is a folder
        lake.objects.remove(left)
