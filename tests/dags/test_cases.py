"""What Airflow's tasks say of a case, and what they do with an answer; the flow itself runs in tests/e2e."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.operation.tasks import answered, case_text, perform, site, waiting_cases
from jobs.storage.court import Court
from jobs.storage.tables import Lake
from tests.dags.contested import plant


@pytest.fixture
def case(lake_folder: Path) -> str:
    del lake_folder
    with Lake.open() as lake:
        return plant(lake)


def test_waiting_cases_are_named_by_id_alone_and_none_skips_the_task(case: str) -> None:
    from airflow.sdk.exceptions import AirflowSkipException  # takes seconds, which every process of tests would spend

    assert waiting_cases("person", 5) == [case]
    with pytest.raises(AirflowSkipException):
        waiting_cases("organisation", 5)


def test_the_person_who_decides_sees_both_sides_masked(case: str) -> None:
    text = case_text("person", case)
    assert "李**" in text
    assert "赵**" in text
    assert "小红" not in text


def test_an_answer_becomes_a_decision_and_nobodys_answer_says_so(case: str) -> None:
    answer: dict[str, Any] = {"chosen_options": ["unsure"], "params_input": {}, "responded_by_user": None}
    assert answered("person", case, answer) == case
    with Lake.open() as lake:
        (row,) = Court(lake, "person").handed_in().to_dicts()
    assert (row["judgement"], row["by"], row["case"]) == ("unsure", "nobody in time", case)


def test_who_decides_at_the_command_line_is_whom_the_system_knows(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody")
    done = CliRunner().invoke(app, ["decide", case, "unsure", "--reason", "two files"], catch_exceptions=False)
    with Lake.open() as lake:
        (row,) = Court(lake, "person").handed_in().to_dicts()
    assert (done.exit_code, row["by"]) == (0, pwd.getpwuid(os.getuid()).pw_name)


def test_each_night_counts_whom_departments_share_and_the_site_shows_it(case: str) -> None:
    assert case
    (row,) = perform("maintain")
    assert row["outcome"] == "done"
    with Lake.open() as lake:
        told = json.loads(lake.runs().filter(pl.col("stage") == "maintain")["extra"][-1])
    assert told["linkage"] == {"organisation": {}, "person": {"a": {"subjects": 1, "linked": 0}}}
    assert site()["written"] > 0
