"""What a command of the lake sets to begin sooner is its own: no process it starts is given it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs import environment
from jobs.benchmark import run
from jobs.operation import airflow
from jobs.settings import Settings
from jobs.storage import engine


def test_what_a_command_sets_for_itself_is_given_to_no_process_it_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in environment.OWN:
        monkeypatch.setenv(name, "")  # put back afterwards, whatever it was
        monkeypatch.delenv(name)
    monkeypatch.setenv("LAKE_TRIAL", "kept")
    environment.quicken()
    assert [os.environ[name] for name in environment.OWN] == ["1", "1"]
    given = {
        "airflow": airflow._environment(Settings(root=tmp_path), 8080),
        "engine": engine._environment(tmp_path, tmp_path / "jre" / "bin" / "java"),
        "benchmark": run._environment(2),
    }
    for whom, told in given.items():
        assert told["LAKE_TRIAL"] == "kept", whom
        assert set(environment.OWN).isdisjoint(told), whom


def test_what_the_user_set_stays_in_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment.OWN:
        monkeypatch.setenv(name, "4")
    environment.quicken()
    assert [os.environ[name] for name in environment.OWN] == ["4", "4"]
