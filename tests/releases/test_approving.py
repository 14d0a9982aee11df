"""Who approves a release sees what it changes and what it risks; what is published is that, or nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from deltalake import write_deltalake

from jobs.batch import StageReport
from jobs.catalogue import load_catalogue
from jobs.errors import ReleaseRefused
from jobs.layers import Layer
from jobs.operation import tasks
from jobs.releases import approvals, listing, recipes
from jobs.releases.briefing import briefing
from jobs.releases.manifest import canonical
from jobs.releases.signing import Signer
from jobs.releases.verify import verify
from jobs.settings import PROJECT, Settings
from jobs.stages import publish
from jobs.storage.tables import Lake
from tests.releases.conftest import PUBLIC_VISITS, VISITS, put_gold, visits, write_contract, write_schemas

NAME = "health/visits"
OFFICER = {"name": "officer"}
# What Airflow does with an answer, by its own operator: which tasks it goes on with.
PROBE = """
import json, sys
from datetime import UTC, datetime
from types import SimpleNamespace
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import DownstreamTasksSkipped
told = {}
for name, dag in DagBag(sys.argv[1]).dags.items():
    if not name.startswith(("open.", "withdrawal")):
        continue
    task, run = dag.get_task("approve"), SimpleNamespace(map_index=-1, xcom_push=lambda **said: None)
    answer = {"params_input": {}, "responded_at": datetime.now(UTC), "responded_by_user": {"name": "officer"}}
    for choice in ("Approve", "Reject"):
        try:
            said = task.execute_complete({"task": task, "ti": run}, {**answer, "chosen_options": [choice]})
            found = {"handed_on": said["chosen_options"]}
        except DownstreamTasksSkipped as skipped:
            found = {"skipped": [getattr(one, "task_id", one) for one in skipped.tasks]}
        told.setdefault(name, []).append(found)
print("FOUND" + json.dumps(told))
"""


@pytest.fixture(scope="module")
def airflow_says() -> ModuleType:
    """What Airflow is told by; importing it takes seconds, which every process of tests would spend."""
    return import_module("airflow.sdk.exceptions")


@pytest.fixture
def second(released, monkeypatch):
    """Return a lake, which is the environment's too, with one release and gold rows for another."""
    monkeypatch.setenv("LAKE_ROOT", str(released.settings.root))
    monkeypatch.setenv("LAKE_SCHEMAS", str(released.settings.schemas))
    put_gold(released, visits(county=40))
    return released


def _there(lake):
    return [one.version for one in listing.versions(lake.objects, NAME)]


def test_the_approver_reads_the_difference_its_reasons_risk_attack_and_what_waits(second):
    seen = tasks.previewed(NAME)
    lines = seen["report"].splitlines()
    assert "| 版本 · version | 1.0.1 |" in lines
    assert "**自 1.0.0 以来的变更 · changes since 1.0.0:** 新增 · added 40, 删除 · removed 0" in lines
    assert "- 来自新数据 · from new data: 新增 · added 40, 删除 · removed 0" in lines
    assert any(f"R = {seen['risk']} (≤ 0.2000)" in line for line in lines)
    assert any("not attacked: there is no register of people yet" in line for line in lines)
    assert any("held back | 0 组 · groups" in line for line in lines)
    page = Path(re.search(r"The whole report with charts: `(.+)`", seen["report"])[1])
    assert page.parent == second.objects.local("ops/risk/health__visits")
    measured = seen["risk_report"]
    assert f"prosecutor, 最大 · highest | {measured['prosecutor']['max']:.4g} |" in seen["report"]
    assert measured["k"] == seen["smallest_group"]
    assert sum(one["rows"] for one in measured["class_sizes"]) == measured["n"] == seen["kept"]
    html = page.read_text(encoding="utf-8")
    assert "health/visits 1.0.1" in html
    assert "<svg" in html
    assert "PERSON" not in seen["report"] + html
    assert _there(second) == ["1.0.0"]


def page_of(seen):
    return Path(re.search(r"The whole report with charts: `(.+)`", seen["report"])[1])


def test_the_page_an_officer_was_shown_stays_as_it_was_when_other_rows_are_previewed(second):
    first = tasks.previewed(NAME)
    page, shown = page_of(first), page_of(first).read_bytes()
    put_gold(second, visits(county=50))
    other = page_of(tasks.previewed(NAME))
    assert other != page
    assert (page.read_bytes(), other.read_bytes() == shown) == (shown, False)
    put_gold(second, visits(county=40))
    assert page_of(tasks.previewed(NAME)) == page  # the same rows under the same terms


def test_pages_are_removed_when_no_approval_can_wait_for_them_any_more(second):
    pages = []
    for county in (40, 50):
        put_gold(second, visits(county=county))
        pages.append(page_of(tasks.previewed(NAME)))
    for page, days in zip(pages, (32, 8), strict=True):
        then = time.time() - timedelta(days=days).total_seconds()
        os.utime(page, (then, then))
    put_gold(second, visits(county=60))
    tasks.previewed(NAME)
    assert [page.exists() for page in pages] == [False, True]


@pytest.fixture
def claimed(tmp_path, monkeypatch):
    """Return a lake whose contract claims that no row speaks of a child, and what records how gold was counted."""
    words = {**PUBLIC_VISITS, "under_14": "Visits to a clinic for adults, by its statutes."}
    settings = Settings(root=tmp_path / "house", schemas=write_schemas(tmp_path / "claiming", words))
    monkeypatch.setenv("LAKE_ROOT", str(settings.root))
    monkeypatch.setenv("LAKE_SCHEMAS", str(settings.schemas))
    lake = Lake(settings, load_catalogue(settings.schemas))
    approvals.approve(lake, NAME, by="officer@city.example")
    put_gold(lake, visits())

    def counted(**counts):
        lake.record(StageReport("desensitise", NAME, f"state-{counts}", extra=counts))
        return lake

    return counted


def test_the_officer_and_the_risk_statement_are_told_how_many_ages_are_unknown(claimed):
    lake = claimed(under_14=0, age_unknown=3, age_known=120)
    report = tasks.previewed(NAME)["report"]
    (line,) = [line for line in report.splitlines() if "不满十四周岁 · under 14" in line]
    assert "Visits to a clinic for adults" in line
    assert "ages checked: 120 行 · rows, 年龄不详 · age unknown: **3** 行" in line
    publish.run(lake, NAME, approved_by="officer")
    (released,) = listing.versions(lake.objects, NAME)
    said = {"claim": "Visits to a clinic for adults, by its statutes.", "age_unknown": "fewer than 5"}
    assert released.manifest["risk"]["under_14"] == said
    assert json.loads((released.folder / "risk.json").read_text())["under_14"] == said
    assert "In fewer than 5 rows (before any was left out) the age" in (released.folder / "README.md").read_text()
    assert "其中 少于 5 行（剔除前）有人年龄不详" in (released.folder / "README.zh.md").read_text()
    assert verify(released.folder).problems == []
    assert {row["result"] for row in recipes.rebuild(lake, NAME, "1.0.0")} == {"equal"}


def test_a_claim_that_no_age_was_checked_against_is_refused_before_anybody_is_asked(claimed, airflow_says):
    lake = claimed(under_14=0, age_unknown=127, age_known=0)
    with pytest.raises(airflow_says.AirflowFailException, match="could be checked of no row"):
        tasks.previewed(NAME)
    with pytest.raises(ReleaseRefused, match="in every one of its 127 rows somebody's age is unknown"):
        publish.run(lake, NAME, approved_by="officer")
    assert listing.versions(lake.objects, NAME) == []


def test_the_first_release_is_shown_as_a_snapshot_and_terms_nobody_approved_as_such(lake):
    text = briefing(publish.preview(lake, NAME))
    assert "a full snapshot, with no version before" in text
    assert "nobody as they stand: it will be refused" in text


def test_a_breaking_change_is_named_before_it_is_approved(second, change, opened):
    change(NAME, "fields", "birth_date", "publish", to={"as": "birth_band", "generalise": "five_years"})
    text = briefing(publish.preview(opened(), NAME))
    assert "| 版本 · version | 2.0.0 |" in text
    assert re.search(r"\*\*不兼容变更 · breaking:\*\* .*birth_band", text)


def test_the_approver_is_told_that_a_release_would_be_more_open_or_more_closed_than_before(second, opened, schemas):
    assert "分区 · zone | controlled/" in briefing(publish.preview(second, NAME))
    assert publish.preview(second, NAME)["moved"] is None
    write_contract(schemas, NAME, PUBLIC_VISITS)
    put_gold(second, visits(county=60))
    approvals.approve(opened(), NAME, by="officer@city.example")
    wider = publish.preview(opened(), NAME)
    assert wider["zone"] == "open"
    assert wider["moved"] == (
        "比以往更开放 · MORE OPEN than before: from controlled/ to open/; "
        "versions: 1.0.0 stay in controlled/ until withdrawn"
    )
    lines = tasks.previewed(NAME)["report"].splitlines()
    assert lines[2] == f"**{wider['moved']}**"  # right below the verdict
    publish.run(opened(), NAME, approved_by="officer")
    assert publish.preview(opened(), NAME)["moved"] is None
    write_contract(schemas, NAME, VISITS)
    put_gold(second, visits(county=90))
    closer = publish.preview(opened(), NAME)["moved"]
    there = listing.latest(second.objects, NAME).version
    assert f"MORE CLOSED than before: from open/ to controlled/, which calls nothing back; versions: {there} " in closer
    publish.withdraw(opened(), NAME, [there], reason="closed", by="officer")
    assert publish.preview(opened(), NAME)["moved"].endswith("versions: all in open/ are withdrawn")


@pytest.mark.parametrize(
    "decision",
    [None, {}, {"chosen_options": ["Reject"], "responded_by_user": OFFICER},
     {"chosen_options": [], "responded_by_user": OFFICER}, {"chosen_options": ["Approve"], "responded_by_user": None},
     {"chosen_options": ["Approve"], "responded_by_user": {"name": "operator"}}],
)  # fmt: skip
def test_refused_unanswered_or_approved_by_who_triggered_it_nothing_is_published(second, decision, airflow_says):
    before = sorted(second.objects.local("controlled").rglob("*"))
    seen = tasks.previewed(NAME)
    with pytest.raises(airflow_says.AirflowFailException):
        tasks.released(NAME, decision, seen, "operator")
    assert sorted(second.objects.local("controlled").rglob("*")) == before


def test_what_was_approved_is_published_and_other_rows_are_not(second, airflow_says):
    approved = {"chosen_options": ["Approve"], "responded_by_user": OFFICER}
    seen = tasks.previewed(NAME)
    put_gold(second, visits(county=50))
    with pytest.raises(airflow_says.AirflowFailException, match="not what was approved"):
        tasks.released(NAME, approved, seen, "operator")
    assert _there(second) == ["1.0.0"]
    put_gold(second, visits(county=40))
    (report,) = tasks.released(NAME, approved, seen, "operator")
    assert (report["batch"], _there(second)) == ("1.0.1", ["1.0.0", "1.0.1"])
    said = listing.versions(second.objects, NAME)[-1].attestation
    assert (said["approved_by"], said["triggered_by"]) == ("officer", "operator")


def test_nobody_is_asked_about_a_release_that_would_be_refused(second, airflow_says):
    places = pl.Series("division_code", ["420102", "110101", "650102", "440103", "320102", "510104", "220102"])
    put_gold(second, visits(county=1, rare=1).with_columns(places))
    with pytest.raises(airflow_says.AirflowFailException, match="every group would have to be left out"):
        tasks.previewed(NAME)
    with pytest.raises(ReleaseRefused, match="utility floor"):
        publish.run(second, NAME, approved_by="officer")


def test_a_failure_nobody_foresaw_is_retried_and_quotes_no_cell(second, airflow_says):
    approved = {"chosen_options": ["Approve"], "responded_by_user": OFFICER}
    other = visits().rename({"birth_year": "张三丰"}).to_arrow()
    write_deltalake(second.folder(Layer.GOLD, NAME).uri, other, mode="overwrite", schema_mode="overwrite")
    with pytest.raises(airflow_says.AirflowException, match="publish health/visits: unexpected") as told:
        tasks.previewed(NAME)
    assert not isinstance(told.value, airflow_says.AirflowFailException)
    assert "张三丰" not in str(told.value)
    last = listing.latest(second.objects, NAME)
    words = dict.fromkeys(("reason", "by", "at"), "张三丰")
    said = {**words, "versions": 1, "files": [["张三丰"]], "manifest_sha256": last.manifest_sha256}
    sealed = {"statement": said, "signature": Signer.open(second.objects).sign(canonical(said))}
    second.objects.write(last.path / "withdrawal-1.json", json.dumps(sealed).encode())
    for task, said in (
        (tasks.announced, "feed: unexpected"),
        (lambda: tasks.withdrawing(NAME, "1.0.0", "a wrong file"), f"withdraw {NAME}: unexpected"),
        (lambda: tasks.withdrawn(NAME, "1.0.0", "a wrong file", approved, "operator"), f"withdraw {NAME}: unexpected"),
    ):
        with pytest.raises(airflow_says.AirflowException, match=said) as told:
            task()
        assert "张三丰" not in str(told.value)


def test_airflow_skips_publishing_when_the_officer_rejects(tmp_path: Path):
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(PROJECT / "dags")], env=environment, capture_output=True, text=True,
        check=True, cwd=PROJECT,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND"))
    told = json.loads(line.removeprefix("FOUND"))
    assert len(told) > 3
    assert told.pop("withdrawal") == [{"handed_on": ["Approve"]}, {"skipped": ["withdraw"]}]
    assert all(said == [{"handed_on": ["Approve"]}, {"skipped": ["publish"]}] for said in told.values()), told


def test_a_withdrawal_is_shown_agreed_to_by_another_person_and_signed_in_that_ones_name(second, airflow_says):
    publish.run(second, NAME, approved_by="officer")
    asked = ("health/visits", "1.0.0", "an  error in\nthe source")
    shown = tasks.withdrawing(*asked).splitlines()
    assert "原因 · reason: an error in the source" in shown
    rows = {line.split(" | ")[0][2:]: line.split(" | ")[1] for line in shown if line.startswith("| 1.")}
    assert rows == {"1.0.0": "126", "1.0.1": "仅变更文件 · changes only"}
    approved = {"chosen_options": ["Approve"], "responded_by_user": OFFICER}
    for decision, by in ((None, "operator"), ({**approved, "chosen_options": ["Reject"]}, "operator"),
                         (approved, "Officer"), ({**approved, "responded_by_user": None}, "operator")):  # fmt: skip
        with pytest.raises(airflow_says.AirflowFailException):
            tasks.withdrawn(*asked, decision, by)
    assert [one.withdrawals for one in listing.versions(second.objects, NAME)] == [(), ()]
    assert tasks.withdrawn(*asked, approved, "operator") == ["1.0.0", "1.0.1"]
    first, _ = listing.versions(second.objects, NAME)
    assert (first.withdrawn, first.withdrawals[0]["by"]) == (True, "officer")
    with pytest.raises(airflow_says.AirflowSkipException):
        tasks.withdrawing(*asked)
    with pytest.raises(airflow_says.AirflowFailException, match=r"no version 9\.0\.0"):
        tasks.withdrawing(NAME, "9.0.0", "why")
