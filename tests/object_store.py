"""A real object store of the tests' own: the server of infra/minio.sh, on a free port, in a folder of its own."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from functools import cache
from pathlib import Path

from jobs import layers
from jobs.settings import PROJECT
from jobs.storage.buckets import Bucket
from jobs.storage.locations import Access
from jobs.storage.objects import Folder

START_SECONDS = 120  # on a machine that is busy with all the other tests


@cache
def program() -> Path | None:
    """Where the server's program is; None where it was never built."""
    found = subprocess.run([PROJECT / "infra/minio.sh", "--if-built"], capture_output=True, text=True, check=False)
    return Path(found.stdout.strip()) if found.returncode == 0 else None


class Server:
    """Run one server; it may be killed and started again with what it kept."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.user, self.key = folder, "root-of-tests", secrets.token_hex(20)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def access(self) -> Access:
        return Access(self.endpoint, "us-east-1", self.user, self.key)

    def start(self) -> None:
        environment = {
            **os.environ, "MINIO_ROOT_USER": self.user, "MINIO_ROOT_PASSWORD": self.key, "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(program()), "server", "--quiet", "--address", f"127.0.0.1:{self.port}", self.folder / "data"],
                env=environment, stdout=log, stderr=log,
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.endpoint}/minio/health/ready", timeout=2)
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"MinIO did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

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
