"""Which store the lake's objects lie in: buckets where the settings name some, else the lake's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.storage.objects import Folder, Store

if TYPE_CHECKING:
    from jobs.settings import Settings


def store(settings: Settings) -> Store:
    """Return the lake's store; the object store's client is imported only where there is one."""
    if settings.storage is None:
        return Folder(settings.home)
    from jobs.storage.buckets import Bucket, access

    return Bucket(settings.storage.removeprefix("s3://").rstrip("/"), access(settings), Folder(settings.home))
