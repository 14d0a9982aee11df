"""The verbs as a person types them: exit codes, results on stdout, machines served by --json."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.releases import approvals
from jobs.stages import publish
from tests import forks
from tests.releases.conftest import put_gold, visits

LAKE, NAME = Path(sys.executable).with_name("lake"), "health/visits"


@pytest.fixture
def lake_with_two(released):
    put_gold(released, visits(county=40))
    publish.run(released, NAME, approved_by="officer")
    return released


def _environment(lake):
    return {"LAKE_ROOT": str(lake.settings.root), "LAKE_SCHEMAS": str(lake.settings.schemas), "PATH": "/usr/bin:/bin"}


def call(lake, *arguments: str):
    return forks.lake(*arguments, environment=_environment(lake))


def start(lake, *arguments: str):
    """Call the command as it is installed: once for each verb, to see that it finds all it needs."""
    return subprocess.run([LAKE, *arguments], env=_environment(lake), capture_output=True, text=True, check=False)


def test_releases_are_compared_rebuilt_verified_and_withdrawn(lake_with_two, tmp_path):
    lake = lake_with_two
    folder = lake.objects.local("controlled/health__visits/1.0.1")
    compared = start(lake, "diff", NAME, "1.0.0", "1.0.1", "--json")
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)["counts"] == {"added": 40, "removed": 0}
    again = start(lake, "release", NAME, "--rebuild", "1.0.1", "--json")
    assert again.returncode == 0, again.stderr
    assert {row["result"] for row in json.loads(again.stdout)} == {"equal"}
    good = start(lake, "verify", str(folder))
    assert (good.returncode, good.stdout) == (0, "as released.\n")
    shutil.copytree(folder, tmp_path / "1.0.1")
    (tmp_path / "1.0.1" / "visits.csv").write_bytes(b"nothing")
    bad = call(lake, "verify", str(tmp_path / "1.0.1"))
    assert (bad.returncode, bad.stdout) == (1, "not as released.\n")
    gone = start(lake, "withdraw", NAME, "1.0.1", "--reason", "a wrong file", "--by", "officer", "--json")
    assert [(row["version"], row["status"]) for row in json.loads(gone.stdout)] == [("1.0.1", "withdrawn")]
    assert "withdrawn" in call(lake, "verify", str(folder)).stdout


def test_a_wrong_request_is_told_from_data_that_says_no(lake_with_two, tmp_path):
    lake = lake_with_two
    for request in (
        ("release", NAME), ("release", NAME, "--rebuild", "7.0.0"), ("diff", NAME, "1.0.0", "7.0.0"),
        ("verify", str(tmp_path / "nowhere")), ("withdraw", NAME, "7.0.0", "--reason", "why", "--by", "who"),
    ):  # fmt: skip
        done = call(lake, *request)
        assert (done.returncode, done.stdout) == (2, ""), request
        assert "Remedy" in done.stderr


def test_who_runs_a_release_is_whom_the_system_knows_and_may_not_approve_it(lake):
    approvals.approve(lake, NAME, by="officer@city.example")
    runs = pwd.getpwuid(os.getuid()).pw_name
    told = {**_environment(lake), "LOGNAME": "somebody", "USER": "somebody"}
    for by in (runs, f" {runs.upper()} ", f"{runs}@city.example", f"One <{runs} @city.example>"):
        done = forks.lake("release", NAME, "--by", by, environment=told)
        assert (done.returncode, "who triggers a release may not approve it" in done.stderr) == (1, True)
        assert "Remedy: let somebody else approve." in done.stderr
    assert not lake.objects.exists("controlled/health__visits/1.0.0")
    done = forks.lake("release", NAME, "--by", "officer@city.example", environment=told)
    assert done.returncode == 0, done.stderr
    attested = json.loads(lake.objects.read("controlled/health__visits/1.0.0/attestation.json"))
    assert (attested["approved_by"], attested["triggered_by"]) == ("officer@city.example", runs)
