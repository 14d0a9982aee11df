"""Killed before any durable step, a release or withdrawal is wholly there or not at all, and the next run ends it."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from jobs.releases import approvals
from jobs.releases.verify import read_log, verify
from jobs.stages import publish
from tests.forks import ending
from tests.releases.conftest import put_gold, visits

NAME, OPEN = "health/visits", "controlled/health__visits"


WORK = {
    "publish": partial(publish.run, name=NAME, approved_by="officer"),
    "withdraw": partial(publish.withdraw, name=NAME, versions=["1.0.0"], reason="an error", by="officer"),
}


@pytest.fixture
def prepared(lake):
    """Return a lake with one release and gold rows for another."""
    approvals.approve(lake, NAME, by="officer@city.example")
    publish.run(lake, NAME, approved_by="officer")
    put_gold(lake, visits(county=40))
    return lake


def chosen(steps: int) -> list[int]:
    """Return every step of few, of many the first, the last and some in between."""
    return sorted({1 + round(n * (steps - 1) / 4) for n in range(5)})


@pytest.mark.parametrize("what", WORK)
def test_killed_at_any_durable_step_nothing_is_half_there(prepared, tmp_path, what):
    lake, before = prepared, tmp_path / "before"
    run = partial(ending, lake.settings, WORK[what], "/controlled/")
    shutil.copytree(lake.settings.root, before)
    ended, steps = run(0)
    assert ended == 0
    assert steps > 5
    expected = state(lake)
    for step in chosen(steps):
        shutil.rmtree(lake.settings.root)
        shutil.copytree(before, lake.settings.root)
        assert run(step) == (9, None)
        for folder in versions(lake):
            assert verify(folder).problems == [], (step, folder.name)
        assert run(0)[0] == 0
        assert state(lake) == expected, step
        assert not lake.objects.unfinished("controlled")
        assert all(verify(folder).problems == [] for folder in versions(lake))


def versions(lake) -> list[Path]:
    return sorted(path for path in lake.objects.local(OPEN).iterdir() if (path / "manifest.json").is_file())


def state(lake):
    """Return what the world sees: files of each version, the events of the log, the index without its times."""
    log = read_log(lake.objects.local("controlled/log.jsonl"))
    index = json.loads(lake.objects.read("controlled/index.json"))
    found = versions(lake)
    files = {folder.name: sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*")) for folder in found}
    statuses = [(one["version"], one["status"]) for one in index["datasets"][0]["versions"]]
    return files, [(one["kind"], one["version"]) for one in log], statuses
