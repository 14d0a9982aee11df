"""A real object store of the tests' own."""

from __future__ import annotations

import signal
from pathlib import Path

from jobs import layers
from jobs.operation import object_store
from jobs.storage.buckets import Bucket
from jobs.storage.objects import Folder


class Server(object_store.Server):
    """A server with empty lakes on demand."""

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def bucket(self, name: str, own: Path) -> Bucket:
        """An empty lake's buckets."""
        for part in layers.ROOMS:
            self.access.client().make_bucket(layers.bucket(name, part))
        return Bucket(name, self.access, Folder(own))

    def environment(self, name: str) -> dict[str, str]:
        """The settings of a lake in those buckets."""
        return {
            "LAKE_STORAGE": f"s3://{name}", "LAKE_STORAGE_ENDPOINT": self.endpoint,
            "LAKE_STORAGE_ACCESS_KEY": self.user, "LAKE_STORAGE_SECRET_KEY": self.key,
        }
