"""What code a release was made by: the commit, and a digest of every module."""

from __future__ import annotations

import hashlib
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

from jobs.settings import PROJECT, Settings


def code(settings: Settings) -> dict[str, Any]:
    """Return the code's commit (None where neither git nor LAKE_COMMIT says it) and the SHA-256 over its modules.

    The digest tells edited code from committed code: it is over the path and bytes of every Python file of `jobs`.
    """
    files = sorted((PROJECT / "jobs").rglob("*.py"), key=lambda one: one.as_posix())
    told = [(path, path.stat()) for path in files]
    state = tuple((path, one.st_mtime_ns, one.st_ctime_ns, one.st_ino, one.st_size) for path, one in told)
    return {"commit": settings.commit or _commit(), "sha256": _digest(state)}


@lru_cache(maxsize=1)
def _digest(state: tuple[tuple[Path, int, int, int, int], ...]) -> str:
    """Return the digest of modules, read once for as long as they stay as they are."""
    total = hashlib.sha256()
    for path, *_ in state:
        total.update(f"{path.relative_to(PROJECT).as_posix()}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _commit() -> str | None:
    try:
        asked = ["git", "-C", str(PROJECT), "rev-parse", "HEAD"]
        found = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
