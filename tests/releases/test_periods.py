"""Rows that are public for a time only: not released before or after it, and what shows them is gone when it ends."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
import yaml
from deltalake import write_deltalake

from jobs.catalogue import read_catalogue
from jobs.errors import ReleaseRefused, RequestError
from jobs.layers import Layer
from jobs.operation import tasks
from jobs.references import check_references
from jobs.releases import announcement, approvals, build, listing, periods, recipes, terms
from jobs.releases.verify import verify
from jobs.stages import expire, publish
from tests.releases.conftest import SCHEMAS, copy_of, lake_in, put_gold, write_contract, write_schemas
from tests.releases.test_verbs import call

NAME = "credit/penalties"
PENALTIES = {
    "title": {"en": "Penalties", "zh": "行政处罚"}, "steward": "open-data@credit.example.gov",
    "description": {"en": "One row per penalty of an enterprise, invented.", "zh": "虚构的企业行政处罚。"},
    "source": {"reader": "csv", "path": "credit/penalties.csv"},
    "fields": {
        "decided_on": {"from": "决定日期", "type": "date", "protect": "keep",
                       "publish": {"as": "decided_month", "generalise": "month"}},
        "class_code": {"from": "类别", "type": "code", "codes": "penalty_class", "publish": {"as": "class_code"}},
        "published_to": {"from": "公示截止期", "type": "date", "protect": "keep"},
        "repaired_on": {"from": "修复日期", "type": "date", "protect": "keep"},
    },
    "release": {
        "theme": "信用", "mode": "controlled", "utility_floor": 0.0,
        "period": {"rule": "penalties", "decided": "decided_on", "class": "class_code", "until": "published_to",
                   "repaired": "repaired_on"},
    },
    "examples": [{"given": {"决定日期": "2026-04-01"}, "accepted": True},
                 {"given": {"决定日期": "never"}, "rejected": ["decided_on.unparsable"]}],
}  # fmt: skip
OLD, NEW = date(2026, 3, 31), date(2026, 4, 1)  # the last day of one regime, the first of the next


@pytest.fixture
def schemas(schemas):
    return with_penalties(schemas)


@pytest.fixture
def lake(schemas):
    return approved(schemas.parent)


def with_penalties(schemas, *names):
    """Write contracts of penalties, and what they need, to a schemas folder."""
    shutil.copy(SCHEMAS / "periods.yaml", schemas / "periods.yaml")
    (schemas / "credit").mkdir()
    for name in (NAME, *names):
        write_contract(schemas, name, PENALTIES)
    return schemas


def made(folder, *names):
    """Return a new lake in a folder with gold rows for penalties, and for others like them; all terms are approved."""
    with_penalties(write_schemas(folder / "schemas"), *names)
    return approved(folder, *names)


def approved(folder, *names):
    found = lake_in(folder)
    for name in (NAME, *names):
        put_gold(found, penalties(), name)
        approvals.approve(found, name, by="officer@city.example")
    return found


@pytest.fixture(scope="module")
def early_once(tmp_path_factory):
    """Return the folder of a lake with a release of the second of May, and its schemas; to be copied, never changed."""
    folder = tmp_path_factory.mktemp("early")
    shown(made(folder), date(2026, 5, 2))
    return folder


@pytest.fixture
def early(early_once, schemas):
    """Return such a lake of the test's own, which `opened` opens with the contracts as they now stand."""
    return copy_of(early_once, schemas.parent)


def penalties(repaired=None) -> pl.DataFrame:
    """Return gold: fines of two regimes, warnings, suspensions; `repaired`: since when that is so of some fines."""
    rows = [(OLD, "3", None), (NEW, "3", None), (NEW, "1", None), (NEW, "7", None), (date(2026, 6, 1), "3", None)]
    found = [(*row, None) for row in rows for _ in range(6)] + [(date(2026, 5, 1), "3", None, repaired)] * 6
    schema = {"decided_on": pl.Date, "class_code": pl.String, "published_to": pl.Date, "repaired_on": pl.Date}
    return pl.DataFrame(found, schema=schema, orient="row")


def shown(lake, day):
    publish.run(lake, NAME, approved_by="officer", day=day)
    return newest(lake)


def newest(lake):
    one = listing.latest(lake.objects, NAME)
    rows = pl.read_parquet(one.data("parquet")).group_by(pl.all()).len().sort("decided_month", "class_code")
    return one, rows.rows()


def test_a_release_holds_what_may_be_public_on_its_day_and_says_until_when(early):
    lake, (first, rows) = early, newest(early)
    assert rows == [
        ("2026-03", "3", 6), ("2026-04", "1", 6), ("2026-04", "3", 6), ("2026-04", "7", 6), ("2026-05", "3", 6),
    ]
    assert first.manifest["shown_until"] == "2026-07-01"  # a warning: three months
    assert "| public until | 2026-07-01; withdrawn from that day |" in (first.folder / "README.md").read_text()
    assert "| 公示至 | 2026-07-01（自该日起撤回本版本） |" in (first.folder / "README.zh.md").read_text()
    second, rows = shown(lake, date(2026, 7, 1))
    assert [row[:2] for row in rows] == [
        ("2026-03", "3"), ("2026-04", "3"), ("2026-04", "7"), ("2026-05", "3"), ("2026-06", "3"),
    ]
    assert second.manifest["shown_until"] == "2027-04-01"
    assert verify(first.folder).problems == verify(second.folder).problems == []
    for version in ("1.0.0", "1.0.1"):
        assert {row["result"] for row in recipes.rebuild(lake, NAME, version)} == {"equal"}


def test_a_draft_without_a_day_is_refused(lake):
    with pytest.raises(RequestError, match="on which day"):
        build.draft(penalties().lazy(), lake.catalogue.contract(NAME), lake.catalogue)


def test_a_version_is_due_on_the_day_the_first_row_ends_and_not_before(early):
    assert periods.due(early, date(2026, 6, 30)) == {}
    ((name, reason), versions), *rest = periods.due(early, date(2026, 7, 1)).items()
    assert (name, versions, rest) == (NAME, ["1.0.0"], [])
    assert "2026-07-01" in reason


def test_what_is_due_goes_whole_by_rule_and_is_told_everywhere(early):
    lake, (first, _) = early, newest(early)
    shown(lake, date(2026, 6, 1))
    (report,) = expire.run(lake, day=date(2026, 7, 1))
    assert (report.outcome, report.batch) == ("retracted", "1.0.0 1.0.1")
    gone = listing.versions(lake.objects, NAME)
    assert all(one.withdrawn for one in gone)
    assert gone[0].withdrawals[0]["by"] == "schemas/periods.yaml"
    found = verify(first.folder)
    assert (found.problems, found.status) == ([], "withdrawn")
    announcement.announce(lake)
    assert "公示期" in lake.objects.read("controlled/feed.atom").decode()
    assert json.loads(lake.objects.read("controlled/credit__penalties/latest.json"))["version"] is None
    (again,) = expire.run(lake, day=date(2026, 7, 1))
    assert again.outcome == "known"
    later, rows = shown(lake, date(2026, 7, 1))
    assert ("2026-04", "1", 6) not in rows
    assert expire.run(lake, day=date(2027, 3, 31))[0].outcome == "known"
    assert expire.run(lake, day=date(2027, 4, 1))[0].batch == later.version


def test_repair_takes_a_version_back_that_shows_the_row_and_no_other(lake):
    early, _ = shown(lake, date(2026, 4, 30))  # the repaired penalties were not decided yet
    shown(lake, date(2026, 5, 2))
    put_gold(lake, penalties(repaired=date(2026, 5, 20)), NAME)
    assert periods.due(lake, date(2026, 5, 19)) == {}
    assert periods.due(lake, date(2026, 5, 20)) == {(NAME, periods.REPAIRED): ["1.0.1"]}
    expire.run(lake, day=date(2026, 5, 20))
    assert [one.withdrawn for one in listing.versions(lake.objects, NAME)] == [False, True]
    _, rows = shown(lake, date(2026, 5, 20))
    assert ("2026-05", "3", 6) not in rows
    assert periods.due(lake, date(2026, 5, 21)) == {}
    lake.objects.remove(f"ops/releases/credit__penalties/{early.version}")  # what it showed is no longer known
    assert (NAME, periods.REPAIRED) in periods.due(lake, date(2026, 5, 21))


@pytest.mark.parametrize("offset", range(0, 1300, 97))
def test_on_every_day_no_version_on_offer_shows_a_row_that_ended(early, offset):
    lake, day = early, date(2026, 5, 2) + timedelta(days=offset)
    expire.run(lake, day=day)
    try:
        shown(lake, day)
    except ReleaseRefused:  # nothing may be public any longer
        assert day >= date(2029, 4, 1)
    ends = {"1": date(2026, 7, 1), "7": date(2029, 4, 1)}
    fines = {"2026-03": date(2029, 3, 31), "2026-04": date(2027, 4, 1), "2026-05": date(2027, 5, 1)}
    fines["2026-06"] = date(2027, 6, 1)
    for one in listing.versions(lake.objects, NAME):
        if not one.withdrawn:
            for month, kind in pl.read_parquet(one.data("parquet")).rows():
                assert day < (ends.get(kind) or fines[month])


def test_terms_without_a_period_keep_the_fingerprint_they_had(lake, opened, change):
    with_period = lake.catalogue.contract("health/visits").release
    assert with_period.unused == {"period"}
    before = approvals.approved(lake.catalogue.contract(NAME), lake.catalogue)
    change(NAME, "release", "period", to={"rule": "penalties", "decided": "decided_on", "class": "class_code"})
    with pytest.raises(ReleaseRefused):
        approvals.approved(opened().catalogue.contract(NAME), opened().catalogue)
    assert before.approved_by == "officer@city.example"


def rules_say(schemas, change):
    """Change the rules of schemas/periods.yaml."""
    words = yaml.safe_load((schemas / "periods.yaml").read_text(encoding="utf-8"))
    change(words["penalties"])
    (schemas / "periods.yaml").write_text(yaml.safe_dump(words, allow_unicode=True), encoding="utf-8")


def longer_for_fines(regimes):
    regimes[-1]["classes"]["general"]["months"] = 24


def test_an_approval_is_of_the_rules_as_they_stand_and_a_release_names_their_file(early, opened, schemas):
    lake, (first, _) = early, newest(early)
    assert "periods.yaml" in first.manifest["rules"]
    assert "regimes" not in terms.resolved(lake.catalogue.contract("health/visits"), lake.catalogue)
    elsewhere = yaml.safe_load((schemas / "periods.yaml").read_text(encoding="utf-8"))
    elsewhere["another"] = elsewhere["penalties"][:1]
    (schemas / "periods.yaml").write_text(yaml.safe_dump(elsewhere, allow_unicode=True), encoding="utf-8")
    approvals.approved(opened().catalogue.contract(NAME), opened().catalogue)  # a rule that it does not name
    rules_say(schemas, longer_for_fines)
    with pytest.raises(ReleaseRefused):
        publish.run(opened(), NAME, approved_by="officer", day=date(2026, 5, 2))


def test_an_approval_is_of_the_fields_a_time_in_public_is_reckoned_by(lake, opened, change):
    approvals.approved(lake.catalogue.contract(NAME), lake.catalogue)
    change(NAME, "fields", "repaired_on", "from", to="另一日期")
    with pytest.raises(ReleaseRefused):
        approvals.approved(opened().catalogue.contract(NAME), opened().catalogue)


def shorter_for_fines(regimes):
    regimes[-1]["classes"]["general"]["months"] = 1


def fines_alone(lake):
    put_gold(lake, penalties().filter(pl.col("class_code") == "3", pl.col("decided_on") == NEW), NAME)


def test_rules_that_grew_shorter_take_back_what_may_be_shown_no_longer(lake, opened, schemas):
    fines_alone(lake)
    shown(lake, date(2026, 5, 2))
    assert periods.due(lake, date(2026, 5, 3)) == {}
    rules_say(schemas, shorter_for_fines)
    assert periods.due(opened(), date(2026, 5, 3)) == {(NAME, periods.RULED): ["1.0.0"]}
    expire.run(opened(), day=date(2026, 5, 3))
    assert listing.latest(lake.objects, NAME).withdrawn


def test_rules_that_changed_take_back_no_version_that_never_showed_an_ended_row(lake, opened, schemas):
    early = penalties().with_columns(pl.lit(date(2020, 1, 1)).alias("decided_on"))  # over long before
    put_gold(lake, pl.concat([early, penalties()]), NAME)
    shown(lake, date(2026, 5, 2))
    rules_say(schemas, longer_for_fines)
    assert periods.due(opened(), date(2026, 5, 3)) == {}


@pytest.mark.parametrize("repaired", [None, "repaired_on"])
@pytest.mark.parametrize("filled", [False, True])
def test_a_published_column_that_is_added_takes_no_version_back(lake, opened, change, repaired, filled):
    change(NAME, "release", "period", "repaired", to=repaired)
    approvals.approve(opened(), NAME, by="officer@city.example")
    shown(opened(), date(2026, 5, 2))
    topic = {"from": "主题", "type": "code", "codes": "penalty_class", "publish": {"as": "topic"}}
    change(NAME, "fields", "topic", to=topic)
    gold = penalties().with_columns(topic=pl.lit("3"))
    if filled:
        write_deltalake(
            lake.folder(Layer.GOLD, NAME).uri, gold.to_arrow(), mode="overwrite", schema_mode="overwrite"
        )
    assert "topic" in opened().catalogue.contract(NAME).published
    assert periods.due(opened(), date(2026, 5, 3)) == {}
    if filled:
        early = pl.when(pl.col("decided_on") == NEW).then(pl.lit(date(2026, 5, 3))).alias("published_to")
        put_gold(lake, gold.with_columns(early), NAME)
        assert periods.due(opened(), date(2026, 5, 3)) == {(NAME, periods.EARLIER): ["1.0.0"]}


def test_a_period_that_is_added_later_judges_the_versions_on_offer(lake, opened, change):
    period = PENALTIES["release"]["period"]
    change(NAME, "release", "period", to=None)
    approvals.approve(opened(), NAME, by="officer@city.example")
    publish.run(opened(), NAME, approved_by="officer")
    assert periods.due(opened(), date(2026, 6, 2)) == {}
    change(NAME, "release", "period", to=period)
    assert periods.due(opened(), date(2026, 6, 2)) == {}
    assert periods.due(opened(), date(2026, 7, 1)) == {(NAME, periods.RULED): ["1.0.0"]}
    lake.objects.remove("ops/releases/credit__penalties/1.0.0")
    assert periods.due(opened(), date(2026, 6, 2)) == {(NAME, periods.UNKNOWN): ["1.0.0"]}


@pytest.mark.parametrize(
    ("word", "value", "what"),
    [
        ("rule", "none_such", "there is no rule 'none_such'"),
        ("decided", "none_such", "'none_such' is no field"),
        ("decided", "class_code", "'class_code' is no date"),
        ("until", "masked_on", "gold does not hold 'masked_on' as it is"),
    ],
)
def test_a_period_that_cannot_be_reckoned_is_an_error_of_the_contract(schemas, change, word, value, what):
    words = yaml.safe_load((schemas / f"{NAME}.yaml").read_text(encoding="utf-8"))
    words["fields"]["masked_on"] = {"from": "其他日期", "type": "date", "protect": "month"}
    words["release"]["period"][word] = value
    write_contract(schemas, NAME, words)
    catalogue, problems = read_catalogue(schemas)
    assert any(what in one.what for one in [*problems, *check_references(catalogue)])


def people(words):
    words["entities"] = {"offender": {"register": "person", "key": ["resident_id"]}}
    words["fields"]["resident_id"] = {"from": "身份证号", "type": "resident_id", "protect": "pseudonym"}


def firms(words):
    words["entities"] = {"offender": {"register": "organisation", "key": ["credit_code"]}}
    words["fields"]["credit_code"] = {"from": "代码", "type": "credit_code", "protect": "keep"}


@pytest.mark.parametrize(("about", "refused"), [(people, True), (firms, False)])
@pytest.mark.parametrize("product", [False, True])
def test_rows_about_people_that_wait_between_releases_have_no_time_in_public(schemas, about, refused, product):
    words = deepcopy(PENALTIES)
    about(words)
    if product:
        of = {**deepcopy(PENALTIES), "from": {"dataset": NAME}}
        for field in of["fields"].values():
            field.pop("from")
        for word in ("source", "examples"):
            del of[word]
        write_contract(schemas, "products/penalised", of)
        del words["release"]["period"]
    write_contract(schemas, NAME, words)
    catalogue, problems = read_catalogue(schemas)
    assert not problems
    found = [one.what for one in check_references(catalogue) if "time is over" in one.what]
    assert bool(found) is refused


def test_a_broken_table_of_rules_is_named_with_its_file(schemas):
    (schemas / "periods.yaml").write_text("penalties:\n  - {name: x, since: 2026-01-01, recast: false, classes: {}}\n")
    _, problems = read_catalogue(schemas)
    assert any(one.file.endswith("periods.yaml") and "classes" in one.what for one in problems)


def test_the_command_lists_what_is_due_and_withdraws_it_in_somebodys_name(lake):
    day = periods.today()
    ends = penalties().with_columns(
        pl.lit(day - timedelta(days=40)).alias("decided_on"), pl.lit(day).alias("published_to"),
        pl.lit("3").alias("class_code"),
    )  # fmt: skip
    put_gold(lake, ends, NAME)
    shown(lake, day - timedelta(days=10))
    listed = call(lake, "withdraw", "--due", "--json")
    assert listed.returncode == 0, listed.stderr
    assert [(one["version"], one["status"]) for one in json.loads(listed.stdout)] == [("1.0.0", "due")]
    assert not listing.latest(lake.objects, NAME).withdrawn
    done = call(lake, "withdraw", "--due", "--by", "officer@city.example", "--json")
    assert [one["status"] for one in json.loads(done.stdout)] == ["withdrawn"]
    assert listing.latest(lake.objects, NAME).withdrawals[0]["by"] == "officer@city.example"
    assert call(lake, "withdraw", "--due", "--json").stdout.strip() == "[]"
    assert call(lake, "withdraw", NAME, "--due").returncode == 2
    assert call(lake, "withdraw", NAME, "1.0.0").returncode == 2


def test_what_expiry_took_back_is_offered_anew_without_the_rows_that_ended(lake, monkeypatch):
    monkeypatch.setenv("LAKE_ROOT", str(lake.settings.root))
    monkeypatch.setenv("LAKE_SCHEMAS", str(lake.settings.schemas))
    day, began = periods.today(), datetime.now(UTC)
    lasting = penalties().filter(pl.col("class_code") == "3").with_columns(
        pl.lit(day - timedelta(days=40)).alias("decided_on")
    )  # fmt: skip
    ending = lasting.with_columns(pl.lit(day).alias("published_to"), pl.lit("7").alias("class_code"))
    put_gold(lake, pl.concat([lasting, ending]), NAME)
    first, rows = shown(lake, day - timedelta(days=1))
    assert [row[1] for row in rows] == ["3", "7"]
    assert tasks.offered_again(began) == []
    tasks.perform("expire")
    assert tasks.offered_again(began) == ["open.credit__penalties"]
    assert tasks.offered_again(datetime.now(UTC)) == []  # once, by the run that withdrew it
    seen = tasks.previewed(NAME)
    assert (seen["version"], seen["unchanged"], seen["rows"]) == ("1.0.1", False, lasting.height)
    decision = {"chosen_options": ["Approve"], "responded_by_user": {"name": "officer"}}
    (report,) = tasks.released(NAME, decision, seen, None)
    announcement.announce(lake)
    second = listing.latest(lake.objects, NAME)
    assert (report["batch"], second.withdrawn) == ("1.0.1", False)
    assert set(pl.read_parquet(second.data("parquet"))["class_code"]) == {"3"}
    assert second.manifest["changes"]["restart"] == "version 1.0.0 was withdrawn"
    assert verify(second.folder).problems == []
    assert json.loads(lake.objects.read("controlled/credit__penalties/latest.json"))["version"] == "1.0.1"
    assert tasks.offered_again(began) == []
    assert (periods.due(lake, day), listing.version(lake.objects, NAME, first.version).withdrawn) == ({}, True)
