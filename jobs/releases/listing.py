"""What was released: read from the releases themselves, which never change."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from jobs import layers
from jobs.layers import Layer
from jobs.storage.objects import Folder

if TYPE_CHECKING:
    from jobs.storage.tables import Lake

STATEMENT = "statement.json"


def releases(lake: Lake) -> list[dict[str, Any]]:
    """Return every release by dataset and version: rows, smallest group, share kept, day, folder."""
    rows = []
    for folder in lake.objects.names(Layer.OPEN.value):
        for path, statement in _statements(lake.objects, folder):
            rows.append(
                {
                    "dataset": statement["dataset"],
                    "version": statement["version"],
                    "rows": statement["rows"],
                    "smallest_group": statement["privacy"]["smallest_group"],
                    "kept_share": statement["privacy"]["kept_share"],
                    "released_on": statement["released_at"][:10],
                    "path": str(lake.objects.local(path)),
                }
            )
    return rows


def latest(objects: Folder, dataset: str) -> dict[str, Any] | None:
    """Return the statement of a dataset's newest release, None before the first."""
    found = _statements(objects, layers.release_path(dataset))
    return found[-1][1] if found else None


def version_key(version: str) -> tuple[int, ...]:
    """Return a version as numbers, so that 1.10.0 comes after 1.9.0."""
    return tuple(map(int, version.split(".")))


def _statements(objects: Folder, folder: PurePosixPath) -> list[tuple[PurePosixPath, dict[str, Any]]]:
    paths = [path for path in objects.names(folder) if objects.exists(path / STATEMENT)]
    found = [(path, json.loads(objects.read(path / STATEMENT))) for path in paths]
    return sorted(found, key=lambda one: version_key(one[1]["version"]))
