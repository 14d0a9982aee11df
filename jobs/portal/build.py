"""Build the site into the open layer: pages from the releases, the front end as it was built, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs.errors import StorageError
from jobs.layers import Layer
from jobs.portal import datasets
from jobs.portal.datasets import View
from jobs.portal.pages import FILES, Site, dataset_pages, gone_pages, page_names, shared_pages
from jobs.portal.scorecard import score_card
from jobs.releases import announcement, listing, log, origin
from jobs.releases.formats import json_bytes
from jobs.releases.metadata.entry import cycle

if TYPE_CHECKING:
    from jobs.storage.tables import Lake

SOURCE = Path(__file__).parent / "site"
BUILT = SOURCE / "dist"
ASSETS = "site"  # the folder of the open layer that holds style and front end
MARKS = f"{Layer.OPS}/site.json"  # dataset → what its pages were made from


def build(lake: Lake) -> dict[str, Any]:
    """Write every page whose bytes changed, remove assets that are no longer there; return what was done.

    Pages follow from the releases and the run records alone, so a second build without anything new writes nothing,
    and the data of a dataset without anything new is not read. Every page is made before the first one is written,
    each is written whole, and those that are new, which nothing leads to yet, before those that change: killed at any
    point the site leads nowhere that is not there, and the next build ends the work.

    `errors` of what is returned name the versions that cannot be read, and the datasets whose pages therefore stayed as
    they were; all others are built.
    """
    with lake.writing("open"):
        announcement.sweep(lake)
        damaged: list[listing.Damaged] = []
        remains: list[listing.Damaged] = []
        releases = listing.everything(lake.objects, Layer.OPEN, damaged, remains)
        errors, gone = [str(one) for one in damaged], [one for one in remains if one.told_at]
        views = [
            datasets.view(
                list(found), [one.version for one in damaged if one.told_at and one.dataset == name],
                [one for one in gone if one.dataset == name],
            )
            for name, found in groupby(releases, key=lambda one: one.dataset)
        ]
        assets = front_end()
        site = Site(lake.settings.portal, "app.js" in assets, _digests(assets))
        known, marks = _known(lake), _marks(lake, views, site)
        files = {f"{ASSETS}/{name}": data for name, data in assets.items()}
        files[f"{ASSETS}/search.json"] = datasets.search_index(views)
        new = [one for one in views if known.get(one.slug) != marks[one.slug] or not _there(lake, one)]
        for one in new:
            try:
                files |= dataset_pages(replace(one), site)  # a view of its own, so that the data read for it is let go
            except (OSError, pl.exceptions.PolarsError) as error:
                del marks[one.slug]  # the next build looks at it again
                errors.append(str(_unreadable(one, error)))
        there = {one.entry.dataset for one in views}
        for name, alone in groupby(gone, key=lambda one: one.dataset):
            files |= {} if name in there else gone_pages(list(alone), site)
        card = score_card(lake.runs(), _cycles(lake), log.events(releases, gone))
        files["scores.json"] = json_bytes(card)
        files |= shared_pages(views, card, site)
        ordered = sorted(files, key=lambda name: lake.objects.exists(f"{Layer.OPEN}/{name}"))
        written = [name for name in ordered if _write(lake, f"{Layer.OPEN}/{name}", files[name])]
        _write(lake, MARKS, json_bytes(marks))
        for left in lake.objects.names(f"{Layer.OPEN}/{ASSETS}"):
            if str(left).removeprefix(f"{Layer.OPEN}/") not in files:
                lake.objects.remove(left)
    return {
        "path": lake.objects.address(Layer.OPEN.value), "datasets": len(views), "renewed": len(new),
        "written": len(written), "front_end": site.scripted, "errors": errors,
    }


def front_end() -> dict[str, bytes]:
    """Return the style and, where `make portal` built them, the scripts: file name → content."""
    found = {"style.css": (SOURCE / "style.css").read_bytes()}
    if BUILT.is_dir():
        found |= {path.name: path.read_bytes() for path in sorted(BUILT.iterdir()) if path.is_file()}
    return found


def _digests(assets: Mapping[str, bytes]) -> dict[str, str]:
    return {name: sha256(data).hexdigest()[:10] for name, data in assets.items()}


def _cycles(lake: Lake) -> dict[str, str]:
    return {one.name: cycle(one.schedule) for one in lake.catalogue.datasets()}


def _known(lake: Lake) -> dict[str, str]:
    """Return what the pages that are there were made from; nothing where that cannot be read."""
    try:
        found: dict[str, str] = json.loads(lake.objects.read(MARKS))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _marks(lake: Lake, views: list[View], site: Site) -> dict[str, str]:
    """Return dataset → a digest of all its pages follow from: versions, withdrawals, code, templates, front end."""
    templates = [sha256(path.read_bytes()).hexdigest() for path in sorted(FILES.iterdir())]
    every = [origin.code(lake.settings)["sha256"], templates, site.address, site.scripted, dict(site.digests)]
    return {
        one.slug: sha256(
            json_bytes({"every": every, "own": _own(one)})
        ).hexdigest()
        for one in views
    }


def _own(one: View) -> list[object]:
    gone = ([v.version, v.said] for v in one.gone)
    return [*([v.manifest_sha256, v.withdrawals] for v in one.versions), *one.damaged, *gone]


def _unreadable(one: View, error: Exception) -> StorageError:
    """Say that the data of a dataset's newest version cannot be read; a library's own words may quote a cell."""
    return StorageError(
        f"the data of version {one.shown.version} cannot be read ({type(error).__name__}); its pages stay as they are.",
        dataset=one.entry.dataset, layer=Layer.OPEN, where=str(one.shown.path),
        remedy="put the version's folder back from a copy of the lake as it was, then `lake portal build`.",
    )


def _there(lake: Lake, one: View) -> bool:
    return all(lake.objects.exists(f"{Layer.OPEN}/{name}") for name in page_names(one))


def _write(lake: Lake, path: str, data: bytes) -> bool:
    if lake.objects.exists(path) and lake.objects.read(path) == data:
        return False
    lake.objects.write(path, data)
    return True
