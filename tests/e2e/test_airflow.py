"""What people do in Airflow: answer a case, judge delivered batches again by a backfill."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from jobs.errors import EngineError
from jobs.layers import Layer
from jobs.operation import airflow
from jobs.operation.demo import APPROVAL_PAUSE
from jobs.settings import PROJECT, Settings
from jobs.stages import conform, land, load
from jobs.storage.court import Court
from jobs.storage.tables import Lake
from jobs.synthesis import city
from tests.dags.contested import KEY, plant
from tests.releases.conftest import registers_alone

pytestmark = pytest.mark.e2e
LONGEST_SECONDS = 300.0
LOCKED_SECONDS = 8.0  # SQLite gives up after five unless it is told otherwise
DELIVERED = "civil_affairs/deaths"


@dataclass
class Office:
    """A lake under a running Airflow: its settings, its case, and the two people."""

    settings: Settings
    case: str
    operator: airflow.Client
    steward: airflow.Client


def _schemas(folder: Path) -> Path:
    """Write the schemas of a lake that takes in one dataset: every further one is DAGs to parse and to schedule."""
    (folder / "registers").mkdir(parents=True)
    for name, text in registers_alone().items():
        (folder / "registers" / name).write_text(text, encoding="utf-8")
    (folder / DELIVERED).parent.mkdir()
    for name in (f"{DELIVERED}.yaml", "types.yaml", "periods.yaml"):
        shutil.copy(PROJECT / "schemas" / name, folder / name)
    shutil.copytree(PROJECT / "schemas" / "codes", folder / "codes")
    return folder


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A lake with one case and three days of one dataset, conformed, under Airflow, which has DAGs of it alone."""
    folder = tmp_path_factory.mktemp("office")
    settings = Settings(root=folder / "lake", raw=folder / "raw", schemas=_schemas(folder / "schemas"))
    city.write(500, 3, 7, folder / "city", settings.schemas / "codes", None, [DELIVERED])
    shutil.copytree(folder / "city" / "raw", folder / "raw")
    with Lake.open(settings) as lake:
        case = plant(lake)
        for stage in (land, load, conform):
            stage.run(lake, DELIVERED)
    try:
        running = airflow.up(settings)
        yield Office(
            settings, case, airflow.Client(running.url, running.user, running.password),
            airflow.Client(running.url, running.officer, running.officer_password),
        )
    finally:
        airflow.down(settings)


def test_a_case_answered_through_the_api_is_a_decision_of_the_one_who_answered(office: Office) -> None:
    operator, steward = office.operator, office.steward
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
                assert (one["subject"], one["options"]) == (office.case, ["same", "different", "unsure"])
                assert "李**" in one["body"]
                assert "小红" not in one["body"]
                # The question may be of a scheduled run that began just before the one triggered here.
                place = task["map_index"]
                steward.answer("cases.person", task["dag_run_id"], task["task_id"], "different", place=place)
        state = operator.get(f"/dags/cases.person/dagRuns/{run}")["state"]
    assert state == "success"
    with Lake.open(office.settings) as lake:
        decided = Court(lake, "person").handed_in().select("judgement", "subject", "case", "by").unique().rows()
    assert decided == [("different", KEY, office.case, airflow.OFFICER)]


def test_a_backfill_judges_the_delivered_batches_of_its_dates_again_and_changes_no_row(office: Office) -> None:
    with Lake.open(office.settings) as lake:
        batches = lake.batches(DELIVERED)
        before = lake.scan(Layer.SILVER, DELIVERED).collect()
    chosen = [batch for batch in batches if batch.data_date in {batches[0].data_date, batches[1].data_date}]
    body = {
        "dag_id": "dataset.civil_affairs__deaths", "from_date": f"{chosen[0].data_date}T00:00:00+08:00",
        "to_date": f"{chosen[-1].data_date}T23:00:00+08:00", "max_active_runs": 1, "reprocess_behavior": "none",
    }
    backfill = office.operator.ask("POST", "/backfills", json=body).json()["id"]
    deadline = time.monotonic() + LONGEST_SECONDS
    while not office.operator.get(f"/backfills/{backfill}")["completed_at"] and time.monotonic() < deadline:
        time.sleep(1)
    with Lake.open(office.settings) as lake:
        runs = lake.runs().filter(dataset=DELIVERED, stage="conform", outcome="done")
        judged = dict(runs.group_by("batch").len().iter_rows())
        after = lake.scan(Layer.SILVER, DELIVERED).collect()
    assert judged == {batch.id: 2 if batch in chosen else 1 for batch in batches}
    order = ["_batch_id", "_source_file", "_source_row"]
    assert after.sort(order).equals(before.sort(order))


def test_a_database_that_stands_still_for_a_while_ends_no_service(office: Office) -> None:
    running, dag = airflow.up(office.settings), "dataset.civil_affairs__deaths"
    run = office.operator.trigger(dag)  # so that the scheduler has something to write down
    with closing(sqlite3.connect(airflow.folder(office.settings) / airflow.DATABASE, timeout=60)) as database:
        database.execute("BEGIN IMMEDIATE")  # as a disk that stalls under whoever writes
        time.sleep(LOCKED_SECONDS)
        database.rollback()
    deadline = time.monotonic() + LONGEST_SECONDS
    while office.operator.get(f"/dags/{dag}/dagRuns/{run}")["state"] not in ("success", "failed"):
        assert time.monotonic() < deadline
        time.sleep(1)
    airflow.check(running, office.settings)


def test_a_service_that_ended_is_named(office: Office) -> None:
    running = airflow.up(office.settings)
    process = psutil.Process(running.processes["dag-processor"][0])
    process.kill()
    process.wait(LONGEST_SECONDS)
    with pytest.raises(EngineError, match=r"dag-processor\.log: Airflow's dag-processor ended"):
        airflow.check(running, office.settings)
