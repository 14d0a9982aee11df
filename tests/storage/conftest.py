"""A file read by a contract; a PostgreSQL server of the tests' own, in a folder and on a socket of its own; stores."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.storage.locations import Location
from jobs.storage.objects import Folder, Store
from jobs.storage.readers import Limits
from tests.storage.trials import Rows, rows_of

REMEDY = "install Debian's postgresql (as root: apt-get install postgresql)"


@pytest.fixture
def taken(tmp_path: Path) -> Callable[..., Rows]:
    """Write bytes (or text) to a file and read it by a contract."""

    def take(content: bytes | str, limits: Limits | None = None, **how: Any) -> Rows:
        file = tmp_path / "trials_20260302.txt"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return rows_of(file, limits, **how)

    return take


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def _installed() -> Path | None:
    """Return the server's programs; under CI Debian's package is installed where they are missing."""
    found = _binaries()
    if found is None and os.environ.get("LAKE_CI") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"], check=False,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        found = _binaries()
    return found


def _unprivileged() -> list[str]:
    """Return what runs a command as somebody else than root, whom the server refuses."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The SQLAlchemy URL of an empty database on a server of the tests' own."""
    programs = _installed()
    if programs is None:
        pytest.fail(f"PostgreSQL is not here, so its reader is NOT tested: {REMEDY}.", pytrace=False)
    with tempfile.TemporaryDirectory(prefix="lake-pg-") as folder:
        data, become = Path(folder) / "data", _unprivileged()
        if become:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
        make = [programs / "initdb", "-D", data, "-A", "trust", "-U", "tester", "-E", "UTF8", "--no-sync"]
        subprocess.run([*become, *make], **quiet)
        options = f"-c listen_addresses='' -k {folder} -c fsync=off"
        control = [*become, programs / "pg_ctl", "-D", data, "-w", "-l", Path(folder) / "log"]
        subprocess.run([*control, "-o", options, "start"], **quiet)
        try:
            yield f"postgresql+psycopg://tester@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **quiet)


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.minio)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store: a folder, then buckets on a real server. What holds for one must hold for the other."""
    if request.param == "folder":
        return Folder(tmp_path / "a lake")
    return request.getfixturevalue("minio").bucket(f"t{uuid.uuid4().hex[:12]}", tmp_path / "a lake")


@pytest.fixture
def place(store: Store) -> Location:
    """Where a table may be made."""
    return store.location("silver/a__b")
