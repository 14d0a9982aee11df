"""What is due goes, also after a kill, beside tables that cannot be judged and while somebody else writes."""

from __future__ import annotations

import json
import runpy
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from deltalake import write_deltalake

from jobs.errors import LakeError
from jobs.layers import Layer
from jobs.releases import approvals, listing, periods, withdrawal
from jobs.releases.signing import Signer
from jobs.releases.verify import verify
from jobs.settings import PROJECT
from jobs.stages import expire, publish
from jobs.storage.tables import Lake
from tests import forks
from tests.releases.conftest import copy_of, put_gold
from tests.releases.test_periods import NAME, early, early_once, made, newest, penalties, schemas, shown
from tests.releases.test_verbs import call

__all__ = ["early", "early_once", "schemas"]  # fixtures
OTHER = "credit/others"


class Killed(Exception):  # noqa: N818 (it is no error)
    """Stand for the end of a process."""


class Mortal:
    """Be a store whose process ends right after so many statements of withdrawal were moved in."""

    def __init__(self, objects, moves):
        self.objects, self.left = objects, moves

    def __getattr__(self, name):
        return getattr(self.objects, name)

    def move(self, source, target):
        self.objects.move(source, target)
        self.left -= 1
        if not self.left:
            raise Killed


def killed(lake, version, moves):
    with pytest.raises(Killed):
        withdrawal.withdraw(
            Mortal(lake.objects, moves), NAME, [version], reason="a wrong file", by="officer@city.example",
            now=datetime.now(UTC), signer=Signer.open(lake.objects),
        )


@pytest.mark.parametrize("moves", [1, 2])
def test_a_withdrawal_that_was_killed_is_ended_by_the_next_expiry(early, moves):
    lake, (first, _) = early, newest(early)
    put_gold(lake, penalties().filter(pl.col("class_code") != "1"), NAME)
    second, _ = shown(lake, date(2026, 6, 1))
    assert (second.folder / f"changes/from-{first.version}").is_dir()
    killed(lake, first.version, moves)
    expire.run(lake, day=date(2026, 7, 1))
    first, second = listing.versions(lake.objects, NAME)
    assert (first.withdrawn, second.withdrawn) == (True, False)
    assert not list(first.folder.glob("*.csv")) + list(first.folder.glob("*.parquet"))
    assert not (second.folder / f"changes/from-{first.version}").exists()
    assert not lake.objects.exists(f"ops/releases/credit__penalties/{first.version}")
    assert verify(first.folder).status == "withdrawn"
    assert verify(second.folder).problems == []
    log = lake.objects.read("controlled/log.jsonl").decode()
    assert [json.loads(line)["kind"] for line in log.splitlines()].count("withdrawal") == 1


def test_what_programs_go_by_is_current_after_an_expiry_that_only_ended_another(early):
    lake, (first, _) = early, newest(early)
    killed(lake, first.version, 1)
    (report,) = expire.run(lake, day=date(2026, 5, 2))
    assert report.outcome == "known"
    assert json.loads(lake.objects.read("controlled/credit__penalties/latest.json"))["version"] is None
    assert not list(first.folder.glob("*.csv"))


@pytest.fixture(scope="module")
def two_once(tmp_path_factory):
    """Return the folder of a lake with the same release of two datasets, and its schemas; to be copied."""
    folder = tmp_path_factory.mktemp("two")
    found = made(folder, OTHER)
    shown(found, date(2026, 5, 2))
    publish.run(found, OTHER, approved_by="officer", day=date(2026, 5, 2))
    return folder


@pytest.fixture
def two(two_once, tmp_path):
    """Return such a lake of the test's own."""
    return copy_of(two_once, tmp_path)


@pytest.mark.parametrize("spoilt", [
    lambda gold: gold.drop("repaired_on"),
    lambda gold: gold.with_columns(pl.col("repaired_on").cast(pl.String)),
    lambda gold: gold.with_columns(pl.lit(date(2026, 5, 3)).alias("repaired_on"), pl.lit(7).alias("class_code")),
])  # fmt: skip
def test_what_cannot_be_judged_goes_and_stops_no_other_dataset(two, spoilt):
    write_deltalake(
        two.folder(Layer.GOLD, OTHER).uri, spoilt(penalties()).to_arrow(), mode="overwrite", schema_mode="overwrite"
    )
    put_gold(two, penalties(repaired=date(2026, 5, 20)), NAME)
    assert periods.due(two, date(2026, 5, 20)) == {
        (NAME, periods.REPAIRED): ["1.0.0"], (OTHER, periods.UNKNOWN): ["1.0.0"],
    }  # fmt: skip
    expire.run(two, day=date(2026, 5, 20))
    assert all(listing.latest(two.objects, name).withdrawn for name in (NAME, OTHER))


def test_a_dataset_that_somebody_else_writes_stops_no_other_and_is_told(two):
    hasty = Lake(two.settings.model_copy(update={"lease_wait_seconds": 0}), two.catalogue)
    with two.writing("open.credit__others"), pytest.raises(LakeError) as caught:
        expire.run(hasty, day=date(2026, 7, 1))
    assert [report.dataset for report in caught.value.reports] == [NAME]
    assert listing.latest(two.objects, NAME).withdrawn
    assert not listing.latest(two.objects, OTHER).withdrawn
    assert [report.dataset for report in expire.run(two, day=date(2026, 7, 1))] == [OTHER]


def ending_today(lake, *names):
    """Release datasets whose fines may be public for the last time yesterday."""
    day = periods.today()
    ends = penalties().with_columns(
        pl.lit(day - timedelta(days=40)).alias("decided_on"), pl.lit(day).alias("published_to"),
        pl.lit("3").alias("class_code"),
    )  # fmt: skip
    for name in names:
        put_gold(lake, ends, name)
        publish.run(lake, name, approved_by="officer", day=day - timedelta(days=10))


def withdraw_due(lake, *words):
    own = {"LAKE_ROOT": str(lake.settings.root), "LAKE_SCHEMAS": str(lake.settings.schemas), "PATH": "/usr/bin:/bin"}
    asked = ("withdraw", "--due", "--by", "officer@city.example", *words)
    return forks.lake(*asked, environment={**own, "LAKE_LEASE_WAIT_SECONDS": "0"})


@pytest.fixture(scope="module")
def ending_once(tmp_path_factory):
    """Return the folder of a lake with two datasets whose only versions are due, and its schemas; to be copied."""
    folder = tmp_path_factory.mktemp("ending")
    ending_today(made(folder, OTHER), NAME, OTHER)
    return folder


@pytest.fixture
def ending(ending_once, tmp_path):
    """Return such a lake of the test's own."""
    return copy_of(ending_once, tmp_path)


def test_the_command_withdraws_and_shows_what_it_can_and_then_tells_what_failed(ending):
    with ending.writing("open.credit__others"):
        done = withdraw_due(ending, "--json")
    assert done.returncode == 1
    told = {one["dataset"]: (one["version"], one["status"]) for one in json.loads(done.stdout)}
    assert told == {NAME: ("1.0.0", "withdrawn"), OTHER: ("1.0.0", "due")}
    assert "error: " in done.stderr
    assert "open.credit__others" in done.stderr
    assert "Remedy" in done.stderr
    assert (ending.objects.local("open") / "index.html").is_file()
    assert "已撤回 withdrawn: 行政处罚 · Penalties 1.0.0" in ending.objects.read("controlled/feed.atom").decode()
    again = withdraw_due(ending)
    assert (again.returncode, OTHER in again.stdout, NAME in again.stdout) == (0, True, False), again.stderr
    assert withdraw_due(ending, "--json").stdout.strip() == "[]"


def test_where_nothing_could_be_withdrawn_the_command_says_what_is_due_still_and_why(ending):
    with ending.writing("open.credit__others"), ending.writing("open.credit__penalties"):
        done = withdraw_due(ending, "--json")
    assert done.returncode == 1
    assert [one["status"] for one in json.loads(done.stdout)] == ["due", "due"]
    assert "2 things failed" in done.stderr
    assert all(f"open.credit__{name}" in done.stderr for name in ("others", "penalties"))
    assert not any(listing.latest(ending.objects, name).withdrawn for name in (NAME, OTHER))


def test_a_damaged_version_stops_no_expiry_and_is_named_with_its_file(ending):
    (ending.objects.local("controlled") / "credit__others/1.0.0/manifest.json").write_bytes(b'{"cut')
    with pytest.raises(LakeError, match=r"credit/others.*credit__others/1\.0\.0/manifest\.json.*Remedy") as caught:
        expire.run(ending)
    assert [report.dataset for report in caught.value.reports] == [NAME]
    assert listing.latest(ending.objects, NAME).withdrawn
    assert "credit__others/1.0.0" in ending.objects.read("controlled/index.json").decode()


def test_the_command_names_and_counts_a_damaged_version_once(ending):
    (ending.objects.local("controlled") / "credit__others/1.0.0/manifest.json").write_bytes(b'{"cut')
    done = call(ending, "withdraw", "--due", "--by", "officer@city.example", "--json")
    assert [(one["dataset"], one["status"]) for one in json.loads(done.stdout)] == [(NAME, "withdrawn")]
    assert (done.returncode, done.stderr.count("credit__others/1.0.0/manifest.json")) == (1, 1)
    assert "things failed" not in done.stderr


def test_what_is_offered_anew_is_judged_in_the_contracts_own_zone(early, opened, change):
    lake = early
    change(NAME, "release", "mode", to="enclave")
    approvals.approve(opened(), NAME, by="officer@city.example")
    shown(opened(), date(2026, 5, 2))
    publish.withdraw(lake, NAME, ["1.0.0"], reason="a wrong file", by="officer@city.example")
    assert [(one.zone, one.withdrawn) for one in listing.versions(lake.objects, NAME)] == [
        (Layer.CONTROLLED, True), (Layer.ENCLAVE, False),
    ]  # fmt: skip
    assert expire.to_offer(opened(), [NAME]) == []
    change(NAME, "release", "mode", to="controlled")
    assert expire.to_offer(opened(), [NAME]) == [NAME]
    change(NAME, "release", "mode", to="public")
    assert expire.to_offer(opened(), [NAME]) == []


def test_a_nightly_run_that_is_cleared_and_begins_anew_offers_what_its_first_attempt_withdrew(ending, monkeypatch):
    monkeypatch.setenv("LAKE_ROOT", str(ending.settings.root))
    monkeypatch.setenv("LAKE_SCHEMAS", str(ending.settings.schemas))
    from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType
    from airflow.sdk.execution_time.context import set_current_context

    due = datetime.now(UTC)
    expire.run(ending)
    run = DagRun(
        dag_id="maintenance", run_id="scheduled__1", logical_date=due, data_interval_start=due, data_interval_end=due,
        run_after=due, start_date=datetime.now(UTC), end_date=None, run_type=DagRunType.SCHEDULED,
        state=DagRunState.RUNNING, consumed_asset_events=[], partition_key=None,
    )  # fmt: skip
    dag = runpy.run_path(str(PROJECT / "dags" / "maintenance.py"))["dag"]
    with set_current_context({"dag_run": run}):
        assert dag.get_task("again").python_callable() == ["open.credit__others", "open.credit__penalties"]


def test_a_dataset_without_a_version_or_with_a_damaged_one_is_not_offered(two):
    assert expire.to_offer(two, [NAME, "health/visits"]) == []
    publish.withdraw(two, NAME, ["1.0.0"], reason="a wrong file", by="officer@city.example")
    assert expire.to_offer(two, [NAME]) == [NAME]
    (two.objects.local("controlled") / "credit__penalties/1.0.0/manifest.json").write_bytes(b'{"cut')
    assert expire.to_offer(two, [NAME]) == []
