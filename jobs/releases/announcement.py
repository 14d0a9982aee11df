"""Tell whom it concerns what is released: what programs go by, then, when the site shows it, feed and site map.

Each zone tells of its own releases alone, in its own words: the open one of what is public, with a site map. All of it
is derived from the releases, so that a run killed before this loses nothing: the next one catches up. Where nothing is
new, nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from jobs import layers
from jobs.errors import StorageError
from jobs.layers import Layer
from jobs.releases import listing, log
from jobs.releases.formats import json_bytes
from jobs.releases.listing import Damaged, Released
from jobs.releases.log import DamagedLog
from jobs.releases.metadata.portal import SITE_MAP, news_files, portal_files
from jobs.releases.signing import Signer, check_key

if TYPE_CHECKING:
    from jobs.storage.tables import Lake


def enter(lake: Lake) -> None:
    """Bring each zone's log, key, index, catalogue and latest versions up to date.

    Until something is announced, the feed and the site map, which the site leads to, are there and empty. A damaged
    version stops nothing: it is told as such where the log knows it, and `announce` names it to who keeps the lake. Nor
    does a damaged log: it stays as it is.
    """
    with lake.writing("open"):
        sweep(lake)
        signer = Signer.open(lake.objects, lake.settings.signature)
        key = {"algorithm": signer.algorithm, "public_key": signer.public.hex(), "fingerprint": signer.fingerprint}
        for zone in layers.ZONES:
            check_key(lake.objects, signer.public, f"{zone}/key.json")  # readers know the publisher by it
        for zone, releases, damaged, remains in _zones(lake):
            with suppress(DamagedLog):  # `announce` names it
                log.append(lake.objects, zone, releases, signer, _known(remains))
            address, mode = layers.zone_address(lake.settings.portal, zone), layers.mode(zone)
            files = portal_files(releases, address, _known([*damaged, *remains]), mode)
            _write(lake, zone, {"key.json": json_bytes(key), **files})
            nothing = news_files([], address, mode=mode)
            _write(lake, zone, {
                name: data for name, data in nothing.items() if not lake.objects.exists(f"{zone}/{name}")
            })


def announce(lake: Lake) -> list[StorageError]:
    """Bring each zone's feed and site map up to date, last: by then what they lead to is there.

    Returns the damaged versions and logs of all zones, each an error that names its file and the remedy.
    """
    found: list[StorageError] = []
    with lake.writing("open"):
        for zone, releases, damaged, remains in _zones(lake):
            address = layers.zone_address(lake.settings.portal, zone)
            _write(lake, zone, news_files(releases, address, _known([*damaged, *remains]), layers.mode(zone)))
            if zone is not Layer.OPEN:
                lake.objects.remove(f"{zone}/{SITE_MAP}")  # earlier code made one
            found += damaged
            happened = log.events(releases, _known(remains))
            if lost := log.problem(lake.objects, zone, lambda told=happened: told):  # type: ignore[misc]
                found.append(lost)
    return found


def sweep(lake: Lake) -> None:
    """Remove files that a killed announcement or build of the site left half written; needs the lease `open`."""
    for zone in layers.ZONES:
        for left in lake.objects.unfinished(zone, objects_only=True):  # a release in the making is a folder
            lake.objects.remove(left)


def _zones(lake: Lake) -> Iterator[tuple[Layer, Sequence[Released], Sequence[Damaged], Sequence[Damaged]]]:
    """Yield each zone with its releases, its damaged versions, and those that were withdrawn damaged."""
    for zone in layers.ZONES:
        damaged: list[Damaged] = []
        remains: list[Damaged] = []
        releases = listing.everything(lake.objects, zone, damaged, remains)
        if releases or damaged or remains or zone is Layer.OPEN:  # the publisher is known by the key that lies open
            yield zone, releases, damaged, remains


def _known(damaged: Sequence[Damaged]) -> list[Damaged]:
    """Return those that the zone was told of: of any other it is not known that it belongs there."""
    return [one for one in damaged if one.told_at]


def _write(lake: Lake, zone: Layer, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = f"{zone}/{name}"
        if not lake.objects.exists(path) or lake.objects.read(path) != data:
            lake.objects.write(path, data)
