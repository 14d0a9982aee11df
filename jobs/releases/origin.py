"""What code a release was made by: the commit, and a digest of every module."""

from __future__ import annotations

import hashlib
import subprocess
from typing import Any

from jobs.settings import PROJECT, Settings


def code(settings: Settings) -> dict[str, Any]:
    """Return the code's commit (None where neither git nor LAKE_COMMIT says it) and the SHA-256 over its modules.

    The digest tells edited code from committed code: it is over the path and bytes of every Python file of `jobs`.
    """
    total = hashlib.sha256()
    for path in sorted((PROJECT / "jobs").rglob("*.py"), key=lambda one: one.as_posix()):
        total.update(f"{path.relative_to(PROJECT).as_posix()}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return {"commit": settings.commit or _commit(), "sha256": total.hexdigest()}


def _commit() -> str | None:
    try:
        asked = ["git", "-C", str(PROJECT), "rev-parse", "HEAD"]
        found = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
