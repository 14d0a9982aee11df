"""Lakes whose landing is encrypted, for the tests of it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from jobs import layers
from jobs.batch import Batch
from jobs.privacy import envelopes
from jobs.settings import Settings
from jobs.storage.tables import Lake


def opened(folder: Path, deliveries: Path, **more: Any) -> Any:
    """Open a lake below a folder with these drop boxes."""
    return Lake.open(Settings(root=folder, raw=deliveries, **more))


def keyed_lake(lake: Lake) -> Lake:
    """Return the lake with a key for landing."""
    lake.key_ring.new(envelopes.PURPOSE)
    return lake


def place_of(batch: Batch) -> PurePosixPath:
    """Return where a batch's files lie in landing."""
    return layers.landing_path(batch.dataset, batch.id) / (batch.envelope.folder if batch.envelope else "")


def lying(lake: Lake, batch: Batch) -> dict[str, bytes]:
    """Return what lies in landing of a batch's files."""
    folder = place_of(batch)
    return {file.name: lake.objects.read(folder / file.name) for file in batch.files}


def files_below(folder: Path) -> dict[Path, bytes]:
    """Return every file below a folder with its bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
