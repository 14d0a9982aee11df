"""A disk that takes no more: one clear sentence, nothing lost, and the next run succeeds."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from jobs.settings import Settings
from jobs.synthesis import city
from tests import forks

DATASET = "public_security/household_register"


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One delivery of a few thousand people."""
    out = tmp_path_factory.mktemp("city")
    city.write(3000, 1, 7, out, Settings().schemas / "codes", None, [DATASET])
    return next((out / "raw").rglob("household_register_*"))


def _ingest(root: Path, file: Path, largest: int | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LAKE_ROOT": str(root)}
    return forks.lake("ingest", DATASET, str(file), "--json", environment=environment, largest=largest)


def test_wherever_the_disk_refuses_the_error_says_so_and_the_next_run_ends_as_if_nothing_had_happened(
    tmp_path: Path, extract: Path
) -> None:
    calm = json.loads(_ingest(tmp_path / "calm", extract).stdout)
    root, size, refused = tmp_path / "tight", extract.stat().st_size, 0
    for share in (0.01, 0.1, 0.3, 0.5, 0.8):
        done = _ingest(root, extract, int(size * share))
        if done.returncode == 0:
            break
        refused += 1
        assert "disk" in done.stderr, done.stderr
        assert "Remedy" in done.stderr
        assert "Traceback" not in done.stderr
    assert refused > 2
    done = _ingest(root, extract)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    wanted = {name: calm[name] for name in ("batch", "delivered", "accepted", "quarantined", "duplicates", "reasons")}
    assert {name: found[name] for name in wanted} == wanted
