"""Tell the world what is released: what programs go by, then, when the site shows it, the feed and the site map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jobs.layers import Layer
from jobs.releases import listing, log
from jobs.releases.formats import json_bytes
from jobs.releases.metadata.portal import news_files, portal_files
from jobs.releases.signing import Signer

if TYPE_CHECKING:
    from jobs.storage.tables import Lake


def enter(lake: Lake) -> None:
    """Bring log, key, index, catalogue and latest versions up to date; where nothing is new, nothing is written.

    They are derived from the releases alone, so that a run killed before this loses nothing: the next one catches up.
    Until something is announced, the feed and the site map, which the site leads to, are there and empty.
    """
    with lake.writing("open"):
        sweep(lake)
        releases, signer = listing.everything(lake.objects), Signer.open(lake.objects, lake.settings.signature)
        log.append(lake.objects, releases, signer)
        key = {"algorithm": signer.algorithm, "public_key": signer.public.hex(), "fingerprint": signer.fingerprint}
        _write(lake, {"key.json": json_bytes(key), **portal_files(releases, lake.settings.portal)})
        nothing = news_files([], lake.settings.portal)
        _write(lake, {name: data for name, data in nothing.items() if not lake.objects.exists(f"{Layer.OPEN}/{name}")})


def announce(lake: Lake) -> None:
    """Bring the feed and the site map up to date, last: by then what they lead to is there."""
    with lake.writing("open"):
        _write(lake, news_files(listing.everything(lake.objects), lake.settings.portal))


def sweep(lake: Lake) -> None:
    """Remove files that a killed announcement or build of the site left half written; needs the lease `open`."""
    for left in lake.objects.unfinished(Layer.OPEN, objects_only=True):  # a release in the making is a folder
        lake.objects.remove(left)


def _write(lake: Lake, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = f"{Layer.OPEN}/{name}"
        if not lake.objects.exists(path) or lake.objects.read(path) != data:
            lake.objects.write(path, data)
