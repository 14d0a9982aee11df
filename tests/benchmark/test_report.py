"""What `lake bench` writes and prints: rows with named fields, for engines that fail too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from jobs.benchmark import run as runs
from jobs.benchmark.plot import plot
from jobs.benchmark.report import row
from jobs.benchmark.rules import PHASES
from jobs.benchmark.run import take_turns
from jobs.errors import RequestError
from tests import forks

LAKE = Path(sys.executable).with_name("lake")
FIELDS = {"engine", "seconds", "cpu_s", "rss_gb", "bytes_read", "bytes_written", "bytes_shuffled", "agree"}


def _lake(folder: Path, *words: str, started: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LAKE_ROOT": str(folder / "lake")}
    if started:
        return subprocess.run(
            [LAKE, *words], env=environment, cwd=folder, capture_output=True, text=True, check=False, encoding="utf-8"
        )
    return forks.lake(*words, environment=environment, folder=folder)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    words = "bench --register 4e3 --changes 1e3 --engines duckdb,polars --repeat 2 --out reports"
    done = _lake(folder, *words.split(), started=True)
    assert done.returncode == 0, done.stderr
    assert "AGREE" in done.stdout
    return folder


def test_the_json_has_the_named_fields_of_every_engine(reported: Path) -> None:
    document = json.loads((reported / "reports" / "report.json").read_text(encoding="utf-8"))
    assert [engine["engine"] for engine in document["engines"]] == ["duckdb", "polars"]
    for engine in document["engines"]:
        assert set(engine) >= FIELDS
        assert set(engine["seconds"]) == {*PHASES, "to_merged", "total"}
        assert engine["agree"] == "AGREE"
        assert engine["runs"] == 2
        assert min(engine["cpu_s"], engine["rss_gb"], engine["bytes_read"], engine["bytes_written"]) > 0
        assert engine["bytes_shuffled"] is None
        assert engine["versions"]
    assert document["data"] == {"name": "data-4000-1000", "register": 4000, "changes": 1000}
    assert set(document["machine"]) >= {"cores_used", "cores", "cpu", "memory_gb", "python"}
    assert document["command"].startswith("lake bench --register 4e3")
    assert {found["verdict"] for found in document["checksums"].values()} == {"AGREE"}


def test_the_markdown_is_a_table_of_engines(reported: Path) -> None:
    text = (reported / "reports" / "report.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith(("| duckdb", "| polars"))]
    assert len(lines) == 2
    assert "4,000 people, 1,000 change rows" in text


def test_what_the_engines_wrote_is_gone_unless_asked_for(reported: Path) -> None:
    assert sorted(path.name for path in (reported / "reports" / "outputs").iterdir()) == ["duckdb.log", "polars.log"]


def test_the_picture_holds_the_runs_of_all_reports(reported: Path) -> None:
    again = _lake(
        reported, "bench", "reports/data-4000-1000", "--engines", "polars,duckdb", "--repeat", "1", "--out", "again",
        "--beside", "reports/report.json", "--json",
    )
    assert again.returncode == 0, again.stderr
    assert [engine["engine"] for engine in json.loads(again.stdout)["engines"]] == ["polars", "duckdb"]
    picture = ElementTree.parse(reported / "again" / "report.svg").getroot()
    space = "{http://www.w3.org/2000/svg}"
    charts = picture.findall(f"{space}g")
    assert [len(chart.findall(f"{space}circle")) for chart in charts] == [4, 4]


def test_a_picture_of_nothing_is_still_a_picture() -> None:
    assert ElementTree.fromstring(plot([])).tag.endswith("svg")


def test_an_empty_batch_has_its_place_in_the_picture() -> None:
    taken = [{"engine": "lake", "seconds": {"to_merged": 1.5}}]
    runs = [{"data": {"register": 1_000, "changes": changes}, "engines": taken} for changes in (0, 1_000)]
    charts = ElementTree.fromstring(plot(runs)).findall("{http://www.w3.org/2000/svg}g")
    assert [len(chart.findall("{http://www.w3.org/2000/svg}circle")) for chart in charts] == [2, 2]


def test_an_engine_that_fails_or_is_not_there_is_a_row_that_says_so(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(runs.ENGINES, "absent", "no_such_package")
    monkeypatch.setitem(runs.ENGINES, "sessions", None)  # a module that is no engine: it ends and writes nothing
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    said: list[str] = []
    engines = ["absent", "sessions", "spark_sql", "duckdb"]
    taken = take_turns(data, tmp_path / "out", engines, 1, 2, said.append, lambda: None)
    absent, sessions, spark, duckdb = taken
    assert absent.note == "not installed"
    assert "no whole result.json" in sessions.note
    assert "Java" in spark.note
    assert duckdb.results
    assert not duckdb.note
    assert len(said) == 3


def test_an_engine_that_breaks_off_shows_no_cell_but_where_its_log_is(data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(data, broken)
    pl.DataFrame({"rec_id": ["110101199001011237"]}).write_parquet(broken / "extract_ca" / "part-00000.parquet")
    (taken,) = take_turns(broken, tmp_path / "out", ["duckdb"], 2, 2, lambda _: None, lambda: None)
    assert taken.note == f"failed (exit code 1): see {tmp_path / 'out' / 'duckdb.log'}"
    assert not taken.results
    shown = row(taken, [])
    assert set(shown) >= FIELDS
    assert shown["agree"] is None
    assert shown["note"] == taken.note


def test_a_wrong_request_is_refused_with_a_remedy(data: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no engine oracle\. Remedy: name some of .*duckdb"):
        take_turns(data, tmp_path, ["oracle"], 1, 2, print)
    with pytest.raises(RequestError, match="no data set"):
        take_turns(tmp_path, tmp_path, ["duckdb"], 1, 2, print)
    refused = _lake(tmp_path, "bench", "generate")
    assert refused.returncode == 2
    assert "generate" in refused.stderr


def test_a_data_set_can_be_made_alone(tmp_path: Path) -> None:
    done = _lake(tmp_path, "bench", "generate", "made", "--register", "500", "--changes", "100")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made" / "register" / "_delta_log").is_dir()
    assert _lake(tmp_path, "bench", "generate", "made").returncode == 2
