"""A small data set of the benchmark, and what the engines without Java made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.benchmark.generation import generate
from jobs.benchmark.run import Turns, take_turns

PEOPLE, CHANGES = 20_000, 5_000


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark") / "a data set"
    generate(folder, PEOPLE, CHANGES)
    return folder


@pytest.fixture(scope="session")
def turns(data: Path) -> dict[str, Turns]:
    """One turn each; outputs are kept."""
    engines = ["duckdb", "polars", "delta_rs", "sail"]
    taken = take_turns(data, data.parent / "all outputs", engines, 1, 2, lambda _: None, lambda: None)
    return {turn.engine: turn for turn in taken}
