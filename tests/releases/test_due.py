"""What is due, and from when: by the day in China, and by what gold now says of the rows a version shows."""

from __future__ import annotations

import json
import subprocess
from datetime import date, datetime, timedelta

import polars as pl
import pytest

from jobs.releases import periods, recipes
from jobs.stages import expire, publish
from tests.releases.conftest import put_gold
from tests.releases.test_periods import NAME, NEW, lake, penalties, schemas, shown
from tests.releases.test_verbs import LAKE

__all__ = ["lake", "schemas"]  # fixtures


@pytest.mark.parametrize(
    ("moment", "due"),
    [("2026-06-30T15:59:59.999999+00:00", False), ("2026-06-30T16:00:00+00:00", True),
     ("2026-06-30T23:59:59+08:00", False), ("2026-07-01T00:00:00+08:00", True), ("2026-06-30T09:00:00-07:00", True)],
)  # fmt: skip
def test_a_version_is_due_from_midnight_in_china_on(lake, moment, due):
    shown(lake, date(2026, 5, 2))  # a row's time in public ends with 30 June
    assert bool(periods.due(lake, periods.today(datetime.fromisoformat(moment)))) is due


@pytest.mark.parametrize("zone", ["Etc/GMT+12", "Etc/GMT-14"])
def test_the_command_goes_by_the_day_in_china_wherever_the_machine_is(lake, zone):
    day = periods.today()
    for days in (1, 0):
        ends = penalties().head(30 - 6 * days).with_columns(
            pl.lit(day - timedelta(days=40 + days)).alias("decided_on"), pl.lit("3").alias("class_code"),
            pl.lit(day + timedelta(days=days)).alias("published_to"),
        )  # fmt: skip
        put_gold(lake, ends, NAME)
        publish.run(lake, NAME, approved_by="officer", day=day - timedelta(days=10))
    own = {"LAKE_ROOT": str(lake.settings.root), "LAKE_SCHEMAS": str(lake.settings.schemas), "PATH": "/usr/bin:/bin"}
    told = subprocess.run(
        [LAKE, "withdraw", "--due", "--json"], env={**own, "TZ": zone}, capture_output=True, text=True, check=True
    )
    if day == periods.today():  # it is not midnight just now
        assert [one["version"] for one in json.loads(told.stdout)] == ["1.0.1"]


def ending_on(day, kind="1"):
    """Return gold in which the penalties of one class end on a day of their own."""
    mine = pl.col("class_code") == kind
    return penalties().with_columns(pl.when(mine).then(pl.lit(day)).otherwise("published_to").alias("published_to"))


def test_a_version_goes_when_a_row_of_it_ends_earlier_than_was_known(lake):
    shown(lake, date(2026, 5, 2))
    put_gold(lake, ending_on(date(2026, 5, 20)), NAME)
    assert periods.due(lake, date(2026, 5, 19)) == {}
    assert periods.due(lake, date(2026, 5, 20)) == {(NAME, periods.EARLIER): ["1.0.0"]}
    expire.run(lake, day=date(2026, 5, 20))
    second, rows = shown(lake, date(2026, 5, 20))
    assert "1" not in {row[1] for row in rows}
    assert (second.version, periods.due(lake, date(2026, 5, 21))) == ("1.0.1", {})


def test_a_version_goes_also_when_a_like_of_its_row_that_had_ended_left_gold_in_the_same_delivery(lake):
    fines = penalties().filter(pl.col("decided_on") == NEW, pl.col("class_code") == "3")

    def ended(day):
        return fines.head(1).with_columns(pl.lit(day).alias("published_to"))

    put_gold(lake, pl.concat([fines, ended(date(2026, 5, 1))]), NAME)
    first, rows = shown(lake, date(2026, 5, 2))
    assert [row[-1] for row in rows] == [6]
    assert periods.due(lake, date(2026, 5, 3)) == {}
    put_gold(lake, fines, NAME)  # what had ended is gone, and nothing else has changed
    assert periods.due(lake, date(2026, 5, 3)) == {}
    put_gold(lake, pl.concat([fines.head(5), ended(date(2026, 5, 3))]), NAME)
    assert periods.due(lake, date(2026, 5, 2)) == {}
    assert periods.due(lake, date(2026, 5, 3)) == {(NAME, periods.EARLIER): [first.version]}


def test_the_same_rows_with_another_last_day_are_a_version_that_says_it(lake):
    shown(lake, date(2026, 5, 2))
    put_gold(lake, ending_on(date(2026, 6, 1)), NAME)
    second, rows = shown(lake, date(2026, 5, 2))
    assert (second.version, second.manifest["shown_until"], len(rows)) == ("1.0.1", "2026-06-01", 5)
    assert {row["result"] for row in recipes.rebuild(lake, NAME, "1.0.1")} == {"equal"}
    assert shown(lake, date(2026, 5, 3))[0].version == "1.0.1"
    due = periods.due(lake, date(2026, 6, 1))
    assert sorted(version for versions in due.values() for version in versions) == ["1.0.0", "1.0.1"]


def test_a_row_that_came_late_and_had_ended_takes_no_version_back_that_is_without_its_like(lake):
    shown(lake, date(2026, 5, 2))
    late = penalties().head(6).with_columns(pl.lit(date(2020, 1, 1)).alias("decided_on"))
    put_gold(lake, pl.concat([penalties(), late]), NAME)
    assert periods.due(lake, date(2026, 5, 20)) == {}
