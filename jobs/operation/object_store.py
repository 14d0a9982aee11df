"""An object store of this machine alone: the MinIO server of infra/minio.sh on a free port, to try the lake in it."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import httpx

from jobs.errors import EngineError
from jobs.settings import PROJECT
from jobs.storage.engine import free_port
from jobs.storage.locations import Access

START_SECONDS = 120  # on a machine that is busy with much else
REGION = "us-east-1"


@cache
def program() -> Path | None:
    """Return where the server's program is; None where it was never built."""
    found = subprocess.run([PROJECT / "infra/minio.sh", "--if-built"], capture_output=True, text=True, check=False)
    return Path(found.stdout.strip()) if found.returncode == 0 else None


class Server:
    """Run one server on a folder; it may be killed and started again with what it kept."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.user, self.key, self.port = folder, "root", secrets.token_hex(20), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Return the server's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def access(self) -> Access:
        """Return the server's own keys."""
        return Access(self.endpoint, REGION, self.user, self.key)

    def start(self) -> None:
        """Start the server and wait until it answers; raise EngineError when it was not built or does not start."""
        built = program()
        if built is None:
            raise EngineError("there is no object store's server.", remedy="`infra/minio.sh` builds it.")
        environment = {
            **os.environ, "MINIO_ROOT_USER": self.user, "MINIO_ROOT_PASSWORD": self.key, "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(built), "server", "--quiet", "--address", f"127.0.0.1:{self.port}", self.folder / "data"],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.endpoint}/minio/health/ready", timeout=2, trust_env=False).is_success:
                    return
            time.sleep(0.05)
        raise EngineError(
            "the object store's server did not start.", where=str(self.folder / "log"), remedy="read the log's end."
        )

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stop the server; what it kept stays."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None
