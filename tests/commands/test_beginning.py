"""A command loads what its verb needs, and answers as the whole command line does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobs.settings import PROJECT

LISTED = """
import sys
from jobs.cli import main
sys.argv[0] = "lake"
try:
    main()
finally:
    print(*sys.modules, sep="\\n")
"""
HEAVY = {"pypinyin", "opencc", "scipy", "pyspark", "great_expectations", "splink", "psutil", "cryptography"}


def lake(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LISTED, *words], cwd=PROJECT, capture_output=True, text=True, check=False,
        encoding="utf-8", env={"PATH": "", "LAKE_ROOT": "nowhere", "PYTHONPATH": str(PROJECT), "NO_COLOR": "1"},
    )


@pytest.mark.parametrize("words", [["resolve", "A" * 26], ["--root", "nowhere", "resolve", "A" * 26, "--json"]])
def test_an_enquiry_answers_without_what_other_verbs_load(words: list[str]) -> None:
    done = lake(*words)
    assert (done.returncode, "unknown" in done.stdout) == (1, True), done.stderr
    assert HEAVY.isdisjoint(done.stdout.splitlines())


def test_verbs_of_two_words_help_and_mistakes_are_as_ever() -> None:
    assert "Missing argument 'register'" in lake("open-register").stderr
    assert "Did you mean 'why'?" in lake("wyh").stderr
    assert "No such option" in lake("--rot", "x", "why").stderr
    told = lake("why", "--help").stdout
    assert "Usage: lake why" in told
    assert "birth_date" in told
    everything = lake("--help").stdout
    assert all(verb in everything for verb in ("why", "open-register", "setup-storage", "withdraw"))
