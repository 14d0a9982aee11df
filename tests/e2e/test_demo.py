"""The main job as a user runs it, once, for real; then what an analyst and a consumer do with what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import frictionless
import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from jobs.releases import recipes
from jobs.releases.verify import verify
from jobs.settings import PROJECT, Settings
from jobs.storage.tables import Lake

pytestmark = pytest.mark.e2e
LAKE = Path(sys.executable).with_name("lake")


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    root = tmp_path_factory.mktemp("a lake")
    environment = {**os.environ, "LAKE_ROOT": str(root)}
    done = subprocess.run([LAKE, "demo"], env=environment, capture_output=True, text=True, check=False, cwd=root)
    return root / "demo", done


def test_the_demonstration_succeeds_and_prints_its_summary(
    demonstrated: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = demonstrated
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    for heading in (
        "Accounting", "Registers", "Cases", "Reconciliation against the truth", "Releases", "Seconds per stage",
        "Planted identifiers found",
    ):
        assert heading in done.stdout


def test_cases_answered_in_airflow_are_decisions_of_the_register(
    demonstrated: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    root, _ = demonstrated
    environment = {**os.environ, "LAKE_ROOT": str(root)}
    asked = subprocess.run(
        [LAKE, "cases", "--state", "decided", "--json"], env=environment, capture_output=True, text=True, check=True
    )
    decided = json.loads(asked.stdout)
    assert decided
    assert {case["judgement"] for case in decided} == {"different"}
    key = decided[0]["keys"][0]
    why = subprocess.run([LAKE, "why", key, "--json"], env=environment, capture_output=True, text=True, check=True)
    assert {one["by"] for one in json.loads(why.stdout)["decisions"]} == {"officer"}


def test_no_process_is_left_behind(demonstrated: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    root, _ = demonstrated
    left = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        told = " ".join(process.info["cmdline"] or []) + str(process.info["cwd"])
        left += [process.pid] if str(root) in told else []
    assert left == []


def test_every_release_verifies_and_is_read_by_duckdb_and_frictionless(
    demonstrated: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    root, _ = demonstrated
    releases = sorted(path.parent for path in root.glob("open/*/*/datapackage.json"))
    assert len(releases) >= 4
    for release in releases:
        assert verify(release, log=root / "open" / "log.jsonl").problems == []
        report = frictionless.validate(str(release / "datapackage.json"))
        assert report.valid, release.name
        parquet = next(release.glob("*.parquet"))
        table = next(path for path in release.glob("*.csv") if path.name != "dictionary.csv")
        in_parquet = duckdb.sql(f"SELECT count(*) FROM read_parquet('{parquet}')").fetchall()
        in_csv = duckdb.sql(f"SELECT count(*) FROM read_csv('{table}', all_varchar=true)").fetchall()
        assert in_parquet == in_csv
        assert in_parquet[0][0] >= 20
        attested = json.loads((release / "attestation.json").read_text(encoding="utf-8"))
        assert attested["approved_by"] != attested["triggered_by"]
        with Lake.open(Settings(root=root, schemas=PROJECT / "schemas")) as lake:
            said = json.loads((release / "manifest.json").read_text(encoding="utf-8"))
            remade = recipes.rebuild(lake, said["dataset"], said["version"])
        assert {row["result"] for row in remade} == {"equal"}
        assert said["inputs"]
        assert said["quality"]


def test_the_first_look_runs_over_gold(
    demonstrated: tuple[Path, subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = demonstrated
    monkeypatch.setenv("LAKE_ROOT", str(root))
    monkeypatch.setenv("LAKE_SCHEMAS", str(PROJECT / "schemas"))
    notebook = nbformat.read(PROJECT / "notebooks" / "first_look.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are kept out of the repository"
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = json.dumps([cell.get("outputs") for cell in notebook.cells if cell.cell_type == "code"], ensure_ascii=False)
    assert "莲都区" in shown
    assert "█" in shown
