"""The DAGs as Airflow sees them: all load, none is anonymous, none imports an engine while it is parsed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import TimeRestriction

from jobs.benchmark import lake as declared
from jobs.catalogue import load_catalogue
from jobs.operation import airflow
from jobs.operation.schedules import in_china
from jobs.settings import PROJECT

PROBE = """
import json, sys
from datetime import timedelta
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
heavy = [name for name in ("pyspark", "great_expectations", "polars") if name in sys.modules]
dags = {
    dag.dag_id: {
        "tags": sorted(dag.tags), "owner": dag.owner, "doc": bool(dag.doc_md), "tasks": sorted(dag.task_ids),
        "order": {one: sorted(dag.get_task(one).downstream_task_ids) for one in dag.task_ids},
        "rules": {one: dag.get_task(one).trigger_rule.value for one in dag.task_ids},
        "retries": min(task.retries for task in dag.tasks), "catchup": dag.catchup,
        "waits": getattr(dag.timetable, "run_immediately", None) == timedelta(0),
        "scheduled": type(dag.timetable).__name__.startswith("Cron"),
    }
    for dag in bag.dags.values()
}
print("FOUND" + json.dumps({"errors": list(bag.import_errors), "heavy": heavy, "dags": dags}))
"""


def _dags(home: Path, **settings: str) -> dict[str, Any]:
    """Return what Airflow finds in the folder of DAGs, by a process of its own."""
    environment = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **settings}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(PROJECT / "dags")],
        env=environment, capture_output=True, text=True, check=True, cwd=PROJECT,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND"))
    return dict(json.loads(line[len("FOUND") :]))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return _dags(tmp_path_factory.mktemp("airflow"))


def test_every_file_loads_and_every_contract_and_register_has_its_dag(found: dict) -> None:
    catalogue = load_catalogue(PROJECT / "schemas")
    assert found["errors"] == []
    expected = {f"dataset.{c.name.replace('/', '__')}" for c in catalogue.datasets()}
    expected |= {f"{'open' if c.release else 'gold'}.{c.name.replace('/', '__')}" for c in catalogue.contracts.values()}
    expected |= {f"{kind}.{name}" for kind in ("register", "cases") for name in catalogue.registers}
    expected |= {"maintenance", "returns", "withdrawal"}
    assert set(found["dags"]) == expected
    assert airflow._dag_count(PROJECT / "schemas") == len(expected)  # so many are waited for


def test_a_keyed_register_has_no_dag_of_cases_and_none_is_waited_for(tmp_path: Path) -> None:
    pl.DataFrame({"division": ["110105"], "name": ["某区"]}).write_parquet(tmp_path / "ref_division.parquet")
    schemas = declared.declared(tmp_path, tmp_path / "schemas")
    dags = _dags(tmp_path, LAKE_SCHEMAS=str(schemas))["dags"]
    assert "register.person" in dags
    assert "cases.person" not in dags
    assert airflow._dag_count(schemas) == len(dags)


def test_every_dag_names_an_owner_has_tags_a_description_and_retries(found: dict) -> None:
    for name, dag in found["dags"].items():
        assert dag["tags"], name
        assert dag["owner"] not in ("", "airflow"), name
        assert dag["doc"], name
        assert dag["retries"] >= 1, name
        assert dag["catchup"] is False, name


def test_a_release_waits_for_a_person(found: dict) -> None:
    for name, dag in found["dags"].items():
        if name.startswith("open."):
            assert dag["tasks"] == ["announce", "approve", "desensitise", "preview", "publish", "site"]
            order = dag["order"]
            assert (order["publish"], order["site"], order["announce"]) == (["site"], ["announce"], [])


def test_a_withdrawal_waits_for_a_person(found: dict) -> None:
    assert found["dags"]["withdrawal"]["tasks"] == ["announce", "approve", "preview", "site", "withdraw"]


def test_what_may_be_public_no_longer_goes_each_night_and_the_site_and_the_feed_say_so(found: dict) -> None:
    order = found["dags"]["maintenance"]["order"]
    assert order["expire"] == ["again", "expired", "site"]
    assert (order["site"], order["announce"]) == (["announce"], [])


def test_a_night_in_which_an_expiry_failed_shows_and_offers_what_was_withdrawn_and_is_a_failed_run(found: dict) -> None:
    order, rules = found["dags"]["maintenance"]["order"], found["dags"]["maintenance"]["rules"]
    assert (rules["site"], rules["again"]) == ("all_done", "all_done")
    assert (order["again"], order["offer"]) == (["offer"], [])
    assert (order["expired"], rules["expired"]) == ([], "all_success")  # a leaf: Airflow judges a run by these


def test_a_delivery_that_one_task_refuses_stops_no_other_and_the_run_is_a_failed_one(found: dict) -> None:
    for name, dag in found["dags"].items():
        if name.startswith("dataset."):
            assert (dag["rules"]["load"], dag["rules"]["conform"]) == ("all_done", "all_done")
            assert dag["order"] == {
                "land": ["judged", "load"], "load": ["conform", "judged"], "conform": ["judged"], "judged": [],
            }
            assert dag["rules"]["judged"] == "none_failed"  # a leaf: Airflow judges a run by these; most runs skip


def test_parsing_imports_no_engine(found: dict) -> None:
    assert "pyspark" not in found["heavy"]
    assert "great_expectations" not in found["heavy"]


def test_a_schedule_that_is_new_waits_for_its_next_time() -> None:
    """By itself Airflow would run what was due up to hours ago, at the least five minutes."""
    timetable = decode_timetable(encode_timetable(in_china("* * * * *")))
    before = datetime.now(UTC)
    first = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(None, None, catchup=False)
    )
    assert first is not None
    assert first.run_after > before


def test_no_dag_that_is_new_is_due_already(found: dict) -> None:
    scheduled = {name for name, dag in found["dags"].items() if dag["scheduled"]}
    assert {"maintenance", "returns", "cases.person", "dataset.civil_affairs__deaths"} <= scheduled
    assert {name for name in scheduled if not found["dags"][name]["waits"]} == set()


def test_a_kept_database_is_used_only_when_it_is_whole(tmp_path: Path) -> None:
    empty, strange, whole = (tmp_path / name for name in ("empty.db", "strange.db", "a whole one.db"))
    empty.touch()
    for file, statements in (
        (strange, ["CREATE TABLE other (id)"]),
        (whole, ["CREATE TABLE alembic_version (version_num)", "INSERT INTO alembic_version VALUES ('1')"]),
    ):
        with closing(sqlite3.connect(file)) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()
    cut = tmp_path / "cut.db"
    cut.write_bytes(whole.read_bytes()[:5000])
    found = [airflow.is_whole(file) for file in (tmp_path / "none.db", empty, strange, cut, whole)]
    assert found == [False, False, False, False, True]
