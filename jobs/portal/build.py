"""Build the site into the open layer: pages from the releases, the front end as it was built, nothing else."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.layers import Layer
from jobs.portal import datasets
from jobs.portal.pages import Site, pages
from jobs.portal.scorecard import score_card
from jobs.releases import listing
from jobs.releases.formats import json_bytes
from jobs.releases.metadata.entry import cycle

if TYPE_CHECKING:
    from jobs.storage.tables import Lake

SOURCE = Path(__file__).parent / "site"
BUILT = SOURCE / "dist"
ASSETS = "site"  # the folder of the open layer that holds style and front end


def build(lake: Lake) -> dict[str, Any]:
    """Write every page whose bytes changed, remove assets that are no longer there; return what was done.

    Pages follow from the releases and the run records alone: a second build without anything new writes nothing.
    """
    with lake.writing("open"):
        releases = listing.everything(lake.objects)
        views = [datasets.view(list(found)) for _, found in groupby(releases, key=lambda one: one.dataset)]
        contracts = lake.catalogue.datasets()
        card = score_card(
            lake.runs(), {one.name: cycle(one.schedule) for one in contracts},
            {one.entry.dataset for one in views if one.latest},
        )
        assets = front_end()
        site = Site(lake.settings.portal, "app.js" in assets, _digests(assets))
        files = {f"{ASSETS}/{name}": data for name, data in assets.items()}
        files[f"{ASSETS}/search.json"] = datasets.search_index(views)
        files["scores.json"] = json_bytes(card)
        files |= pages(views, card, site)
        written = [name for name, data in files.items() if _write(lake, name, data)]
        known = {f"{Layer.OPEN}/{name}" for name in files}
        for left in lake.objects.names(f"{Layer.OPEN}/{ASSETS}"):
            if str(left) not in known:
                lake.objects.remove(left)
    return {
        "path": lake.objects.address(Layer.OPEN.value), "datasets": len(views), "pages": len(files),
        "written": len(written), "front_end": site.scripted,
    }


def front_end() -> dict[str, bytes]:
    """Return the style and, where `make portal` built them, the scripts: file name → content."""
    found = {"style.css": (SOURCE / "style.css").read_bytes()}
    if BUILT.is_dir():
        found |= {path.name: path.read_bytes() for path in sorted(BUILT.iterdir()) if path.is_file()}
    return found


def _digests(assets: dict[str, bytes]) -> dict[str, str]:
    from hashlib import sha256

    return {name: sha256(data).hexdigest()[:10] for name, data in assets.items()}


def _write(lake: Lake, name: str, data: bytes) -> bool:
    path = f"{Layer.OPEN}/{name}"
    if lake.objects.exists(path) and lake.objects.read(path) == data:
        return False
    lake.objects.write(path, data)
    return True
