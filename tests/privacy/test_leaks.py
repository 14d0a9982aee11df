"""The scan: a registered person's number in anything the lake wrote fails the run, and is never shown."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from jobs.errors import PrivacyError
from jobs.operation.summary import occurring
from jobs.privacy.scanner import resident_numbers
from jobs.settings import Settings
from jobs.stages import conform, desensitise, land, load, maintain, resolve, scan
from jobs.storage.tables import Lake

DATASET = "civil_affairs/deaths"
REGISTERED, UNKNOWN = "11010519491231002X", "11010519860101001X"
DEATH = {"登记编号": "S-9", "姓名": "某甲", "性别": "女", "出生日期": "1949-12-31", "死亡日期": "2026-02-20",
         "登记机关区划": "110105", "登记日期": "2026-02-21", "身份证号": REGISTERED}  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake that knows one person."""
    file = tmp_path / "deaths_20260301.jsonl"
    file.write_text(json.dumps(DEATH, ensure_ascii=False) + "\n", encoding="utf-8")
    with Lake.open(Settings(root=tmp_path / "lake")) as lake:
        land.run(lake, DATASET, files=[file])
        for stage in (load, conform, desensitise):
            stage.run(lake, DATASET)
        resolve.run(lake, "person")
        yield lake


def _poisoned(lake: Lake, text: str) -> PrivacyError:
    log = lake.objects.local("airflow/logs/dag_id=x/attempt=1.log")
    log.parent.mkdir(parents=True)
    log.write_text(text, encoding="utf-8")
    with pytest.raises(PrivacyError) as caught:
        scan.run(lake)
    return caught.value


def test_what_the_stages_wrote_holds_nobodys_number(lake: Lake) -> None:
    maintain.run(lake)
    assert scan.run(lake)[0].outcome == "done"


@pytest.mark.parametrize(
    "spelling", [REGISTERED, "110105491231002", REGISTERED.lower(), "１１０１０５１９４９１２３１００２Ｘ"]
)
def test_a_log_that_quotes_a_number_is_named_and_the_number_is_not(lake: Lake, spelling: str) -> None:
    error = _poisoned(lake, f"KeyError: '{spelling}' in row 7\n")
    assert "airflow/logs/dag_id=x/attempt=1.log (1 people)" in str(error)
    assert spelling not in str(error)
    assert not lake.runs().select(pl.concat_str(pl.col("notes"), "extra").str.contains(spelling).any()).item()
    assert lake.runs().filter(stage="scan")["outcome"].to_list() == ["refused"]


def test_a_number_that_nobody_has_is_chance(lake: Lake) -> None:
    assert resident_numbers(pl.Series([UNKNOWN])).to_list() == [UNKNOWN]
    lake.objects.write("engine/engine.log", f"offset {UNKNOWN} of batch\n".encode())
    assert scan.run(lake)[0].outcome == "done"


def test_airflows_database_and_other_folders_are_searched_too(lake: Lake, tmp_path: Path) -> None:
    lake.objects.local("airflow").mkdir()
    with sqlite3.connect(lake.objects.local("airflow/airflow.db")) as database:
        database.execute("CREATE TABLE xcom (value TEXT)")
        database.execute("INSERT INTO xcom VALUES (?)", (json.dumps({"row": f"about {REGISTERED}"}),))
    (tmp_path / "report.md").write_text(f"see {REGISTERED}", encoding="utf-8")
    with pytest.raises(PrivacyError, match="xcom") as caught:
        scan.run(lake, also=[tmp_path / "report.md"])
    assert "report.md (1 people)" in str(caught.value)


def test_numbers_inside_longer_numbers_are_none() -> None:
    texts = [f"7{REGISTERED}", "0.110105194912310021", "130000000000000"]
    assert resident_numbers(pl.Series(texts)).is_empty()


def test_the_summary_counts_each_planted_identifier_once_wherever_it_stands() -> None:
    log, cells = pl.Series("log", [f"a {REGISTERED} b", None]), pl.Series("cells", [f"{UNKNOWN},{REGISTERED}", "x"])
    assert occurring([log, cells], pl.Series([REGISTERED, UNKNOWN])) == 2
    assert occurring([log], pl.Series([UNKNOWN])) == 0
    assert occurring([], pl.Series([UNKNOWN])) == 0
