"""The score-card counts what was decided, what waits and how right it is; the notebook shows it over a small city."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient

from jobs.operation import scorecard
from jobs.operation.decisions import decide
from jobs.operation.score import ALL, score
from jobs.settings import PROJECT, Settings
from jobs.stages import conform, land, load, resolve
from jobs.storage.tables import Lake
from jobs.synthesis import city

DATASETS = ["public_security/household_register", "civil_affairs/deaths", "civil_affairs/marriage_registrations"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A small lake of three days, and the truth about it beside the lake."""
    root = tmp_path_factory.mktemp("city")
    city.write(1_500, 3, 7, root / "city", PROJECT / "schemas" / "codes", None)
    made = Settings(root=root, raw=root / "city" / "raw")
    with Lake.open(made) as lake:
        for dataset in DATASETS:
            land.run(lake, dataset)
            load.run(lake, dataset)
            conform.run(lake, dataset)
        resolve.run(lake, "person")
    return made


def test_waiting_cases_grow_old_and_a_decided_one_waits_no_more(settings: Settings) -> None:
    now = datetime.now(UTC)
    with Lake.open(settings) as lake:
        before = scorecard.cases(lake, now)
        assert set(before["age"]) == {"today"}
        (row,) = scorecard.registers(lake, now + timedelta(days=9))
        assert row["cases_waiting"] == before["cases"].sum()
        assert row["oldest_days"] in (8, 9)
        assert set(scorecard.cases(lake, now + timedelta(days=9))["age"]) == {"this month"}
        waiting = scorecard.Desk.of(lake, "person").court.cases()["id"][0]
        decide(lake, waiting, "different", by="steward", reason="two files")
        resolve.run(lake, "person")
        (after,) = scorecard.registers(lake, now)
        assert (after["cases_waiting"], after["cases_decided"]) == (row["cases_waiting"] - 1, 1)
        assert 0 <= after["auto_decided"] < 1


def test_no_wrong_merge_is_among_rows_whose_keys_mislead(settings: Settings) -> None:
    with Lake.open(settings) as lake:
        rows = pl.DataFrame(score(lake, settings.home / "city" / "truth"))
    assert rows.filter(pl.col("dirt") == ALL)["precision"].item() > 0.999
    assert rows["wrong"].sum() == 0


def test_the_notebook_shows_cases_and_precision_and_nothing_of_anybody(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_ROOT", str(settings.home))
    monkeypatch.setenv("LAKE_SCHEMAS", str(PROJECT / "schemas"))
    notebook = nbformat.read(PROJECT / "notebooks" / "registers.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are kept out of the repository"
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = json.dumps([cell.get("outputs") for cell in notebook.cells if cell.cell_type == "code"], ensure_ascii=False)
    assert "auto_decided" in shown
    assert "precision 1.0000" in shown
    assert "█" in shown
    truth = pl.read_parquet(settings.home / "city" / "truth" / "identifiers.parquet")["value"]
    assert not [value for value in truth if value in shown]
