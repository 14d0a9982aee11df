"""The court in Airflow: a data steward answers a case through the API, and the register has a decision."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jobs.operation import airflow
from jobs.operation.demo import APPROVAL_PAUSE
from jobs.settings import Settings
from jobs.storage.court import Court
from jobs.storage.tables import Lake
from tests.dags.contested import KEY, plant

pytestmark = pytest.mark.e2e
LONGEST_SECONDS = 300.0


def test_a_case_answered_through_the_api_is_a_decision_of_the_one_who_answered(lake_folder: Path) -> None:
    settings = Settings()
    assert settings.home == lake_folder.resolve()
    with Lake.open(settings) as lake:
        case = plant(lake)
    try:
        running = airflow.up(settings)
        operator = airflow.Client(running.url, running.user, running.password)
        steward = airflow.Client(running.url, running.officer, running.officer_password)
        operator.pause("register.person", paused=True)  # what wakes with the decision is tried elsewhere
        run = operator.trigger("cases.person", limit=3)
        deadline, state = time.monotonic() + LONGEST_SECONDS, ""
        while state not in ("success", "failed") and time.monotonic() < deadline:
            time.sleep(1)
            waiting = steward.get("/dags/~/dagRuns/~/hitlDetails", response_received=False)["hitl_details"]
            for one in waiting:
                task = one["task_instance"]
                if task["state"] == "awaiting_input":
                    time.sleep(APPROVAL_PAUSE)
                    assert (one["subject"], one["options"]) == (case, ["same", "different", "unsure"])
                    assert "李**" in one["body"]
                    assert "小红" not in one["body"]
                    # The question may be of a scheduled run that began just before the one triggered here.
                    place = task["map_index"]
                    steward.answer("cases.person", task["dag_run_id"], task["task_id"], "different", place=place)
            state = operator.get(f"/dags/cases.person/dagRuns/{run}")["state"]
    finally:
        airflow.down(settings)
    assert state == "success"
    with Lake.open(settings) as lake:
        decided = Court(lake, "person").handed_in().select("judgement", "subject", "case", "by").unique().rows()
    assert decided == [("different", KEY, case, airflow.OFFICER)]
