"""From gold to an open folder: approved, large groups only, described, whole, once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import frictionless
import polars as pl
import pyarrow.parquet as pq
import pytest

from jobs.batch import StageReport
from jobs.catalogue import read_catalogue
from jobs.errors import ReleaseRefused
from jobs.layers import ZONES, release_path
from jobs.references import check_references
from jobs.releases import approvals, listing, recipes
from jobs.releases.briefing import briefing
from jobs.releases.verify import verify as verified
from jobs.stages import publish
from tests.releases.conftest import put_gold, visits

NAME, PRODUCT = "health/visits", "products/headcount"
FIRST = "controlled/health__visits/1.0.0"  # of the lake `released`


def release(lake, name=NAME):
    approvals.approve(lake, name, by="officer@city.example")
    (report,) = publish.run(lake, name, approved_by="officer", triggered_by="operator")
    return report, Path(str(report.extra.get("path")))


def refusal(lake, name=NAME, *, approve=True, by="officer", triggered="operator"):
    if approve:
        approvals.approve(lake, name, by="officer@city.example")
    with pytest.raises(ReleaseRefused) as refused:
        publish.run(lake, name, approved_by=by, triggered_by=triggered)
    assert not any(lake.objects.names(release_path(name, zone=zone)) for zone in ZONES)
    assert refused.value.remedy
    return refused.value


def verify(folder):
    return verified(folder).problems


def bytes_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def dated(folder):
    """Return the names of a dataset's versions, without what points to them."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def test_a_release_is_one_folder_with_everything_in_it(lake):
    report, folder = release(lake)
    assert sorted(bytes_of(folder)) == [
        "LICENCE.txt", "README.md", "README.zh.md", "SHA256SUMS", "SM3SUMS", "attestation.json", "changes.json",
        "codes/division_code.csv", "codes/sex_code.csv", "core-metadata.json", "croissant.json", "datapackage.json",
        "dcat.jsonld", "dcat.ttl", "dictionary.csv", "manifest.json", "manifest.sig", "odcs.yaml", "quality.json",
        "risk.json", "schema.jsonld", "verify.py", "visits.csv", "visits.csv-metadata.json", "visits.parquet",
    ]  # fmt: skip
    assert folder == lake.objects.local("controlled/health__visits/1.0.0")
    assert report.balanced
    assert (report.outcome, report.delivered, report.accepted, report.withheld) == ("done", 127, 126, 1)
    assert report.extra["smallest_group"] == 6
    assert verify(folder) == []


def test_a_release_is_read_by_duckdb_and_valid_for_frictionless(released):
    folder = released.objects.local(FIRST)
    query = "select division_code, birth_band, count(*) from '{}' group by all having count(*) < 5"
    for file in ("visits.parquet", "visits.csv"):
        assert duckdb.sql(query.format(folder / file)).fetchall() == []
        assert duckdb.sql(f"select count(*) from '{folder / file}'").fetchall() == [(126,)]
    report = frictionless.validate(str(folder / "datapackage.json"), type="package")
    assert report.valid
    assert {task.stats["rows"] for task in report.tasks} == {126}


def test_small_groups_of_the_counties_meet_in_the_city(released):
    rows = pl.read_parquet(released.objects.local(FIRST) / "visits.parquet")
    assert rows.filter(pl.col("birth_band") == "1900-1909")["division_code"].to_list() == ["330100"] * 6
    assert "650102" not in rows["division_code"]
    assert rows.equals(rows.sort(rows.columns))


def test_the_same_rows_in_another_order_give_the_same_bytes(released):
    lake = released
    before = bytes_of(lake.objects.local(FIRST))
    shutil.rmtree(lake.settings.home / "controlled")
    put_gold(lake, visits().sample(fraction=1, shuffle=True, seed=1))
    _, again = release(lake)
    after = bytes_of(again)
    assert set(after) == set(before)
    assert {name for name in after if after[name] != before[name]} <= {"manifest.sig", "attestation.json"}


def test_a_second_run_changes_nothing(released):
    lake, folder = released, released.objects.local(FIRST)
    before, runs = bytes_of(folder), lake.runs().height
    report, same = release(lake)
    assert (report.outcome, report.accepted, same) == ("known", 126, folder)
    assert bytes_of(folder) == before
    assert lake.runs().height == runs
    assert dated(folder.parent) == ["1.0.0"]


def test_a_run_killed_before_its_record_is_recorded_by_the_next_one(released):
    lake, folder = released, released.objects.local(FIRST)
    shutil.rmtree(lake.settings.home / "ops" / "runs")
    half = folder.parent / ".part-of-a-killed-run"
    half.mkdir()
    (half / "visits.csv").write_bytes(b"half")
    assert not publish.preview(lake, NAME)["unchanged"]
    report, same = release(lake)
    assert (report.outcome, same) == ("done", folder)
    assert list(lake.judged("publish", NAME)) == ["1.0.0"]
    assert not half.exists()


def test_a_version_tells_what_changed(lake, opened, change):
    assert release(lake)[0].batch == "1.0.0"
    put_gold(lake, visits(county=40))
    assert release(lake)[0].batch == "1.0.1"
    change(NAME, "title", "en", to="Visits to a doctor")
    assert release(opened())[0].batch == "1.0.2"
    change(NAME, "fields", "fee", "publish", to={"as": "fee", "generalise": "hundred_thousands"})
    assert release(opened())[0].batch == "1.1.0"
    change(NAME, "release", "licence", to="LicenseRef-city-data")
    assert release(opened())[0].batch == "2.0.0"
    change(NAME, "fields", "birth_date", "publish", "generalise", to="twenty_years")
    _, folder = release(opened())
    assert dated(folder.parent) == ["1.0.0", "1.0.1", "1.0.2", "1.1.0", "2.0.0", "3.0.0"]
    assert manifest_of(folder)["breaking"] == ["the column birth_band has another derivation"]
    terms = (folder / "LICENCE.txt").read_text(encoding="utf-8")  # nobody but the steward knows the text of these
    assert "The steward gives the terms of use.\n\nopen-data@health.example.gov\nSPDX: LicenseRef-city-data\n" in terms


def test_counts_keep_the_threshold_and_add_up(lake):
    put_gold(lake, visits(), PRODUCT)
    report, folder = release(lake, PRODUCT)
    cells = pl.read_parquet(folder / "headcount.parquet")
    assert cells.columns == ["division_code", "sex_code", "visits", "fee_yuan"]
    assert cells["visits"].min() >= 20
    assert cells["visits"].sum() == report.accepted == 126
    assert report.balanced
    assert (cells["fee_yuan"] == cells["visits"] * 100).all()
    assert verify(folder) == []


def test_money_of_another_currency_is_not_summed(lake):
    currency = pl.when(pl.col("sex_code") == "2").then(pl.lit("USD")).otherwise(pl.lit("CNY"))
    rows = visits().with_columns(currency.alias("fee_currency"))
    put_gold(lake, rows, PRODUCT)
    _, folder = release(lake, PRODUCT)
    cells = pl.read_parquet(folder / "headcount.parquet")
    assert cells.filter(pl.col("sex_code") == "2")["fee_yuan"].sum() == 0
    assert cells.filter(pl.col("sex_code") == "1")["fee_yuan"].sum() == 6600


def test_only_the_rows_of_the_scope_are_released(lake, opened, change):
    change(NAME, "release", "only", to={"sex_code": ["2"]})
    report, folder = release(opened())
    assert (report.delivered, report.accepted) == (60, 60)
    assert pl.read_parquet(folder / "visits.parquet")["sex_code"].unique().to_list() == ["2"]


def test_a_person_with_many_rows_is_no_group(lake):
    put_gold(lake, visits().with_columns(pl.lit("ONE PERSON").alias("resident_id")))
    assert "0 of 127 rows" in refusal(lake).what


def test_terms_nobody_approved_are_refused(lake, opened, change):
    assert "nobody approved the terms" in refusal(lake, approve=False).what
    approvals.approve(lake, NAME, by="officer@city.example")
    change(NAME, "release", "mode", to="enclave")
    assert "lapsed" in refusal(opened(), approve=False).what


def test_who_triggers_a_release_may_not_approve_it(lake):
    for by in ("Operator ", "operator @city.example", "An Operator <operator@city.example>"):
        assert "may not approve" in refusal(lake, by=by, triggered="operator").what
    assert "nobody approved this release" in refusal(lake, by=" ").what


def test_what_is_not_there_or_empty_is_refused(lake, opened, change):
    assert "no gold table" in refusal(lake, PRODUCT).what
    put_gold(lake, visits().head(0))
    assert "no rows" in refusal(lake).what


def test_a_release_that_would_lose_too_much_is_refused_and_accounted_for(lake):
    lonely = visits(county=1, rare=1).with_columns(
        pl.Series("division_code", ["420102", "110101", "650102", "440103", "320102", "510104", "220102"])
    )
    alike = visits(county=5).head(5).with_columns((pl.lit("ALIKE") + pl.col("resident_id")).alias("resident_id"))
    put_gold(lake, pl.concat([lonely, alike]))
    refused = refusal(lake)
    assert "only 5 of 12 rows (41.7%)" in refused.what
    assert "utility floor is 70%" in refused.what
    run = lake.runs().filter(pl.col("stage") == "publish").row(0, named=True)
    assert (run["outcome"], run["delivered"], run["withheld"], run["accepted"]) == ("refused", 12, 12, 0)
    assert refused.report.balanced


def test_an_identifier_in_a_published_column_stops_the_release(lake):
    put_gold(lake, visits(remark="call 13800138000"))
    refused = refusal(lake)
    assert "identifiers" in refused.what
    assert "remark (mobile, 63 rows)" in str(refused.where)
    assert "13800138000" not in str(refused)
    assert not lake.objects.unfinished("controlled")


def test_a_formula_is_made_harmless_in_csv_and_kept_in_parquet(lake):
    put_gold(lake, visits(remark='=HYPERLINK("x"),1'))
    _, folder = release(lake)
    assert '=HYPERLINK("x"),1' in pl.read_parquet(folder / "visits.parquet")["remark"]
    text = (folder / "visits.csv").read_bytes()
    assert b'"\'=HYPERLINK(""x""),1"\r\n' in text
    assert not text.startswith(b"\xef\xbb\xbf")
    assert verify(folder) == []


def test_the_descriptions_speak_chinese_and_english(released):
    folder = released.objects.local(FIRST)
    schema = pq.read_schema(folder / "visits.parquet")
    assert schema.metadata[b"title_zh"].decode() == "就诊"
    band = schema.field("birth_band").metadata
    assert "a band of ten years" in band[b"description"].decode()
    assert band[b"title_zh"].decode() == "出生日期"
    entries = {row["column"]: row for row in pl.read_csv(folder / "dictionary.csv").iter_rows(named=True)}
    assert "十年段" in entries["birth_band"]["derivation_zh"]
    assert (entries["sex_code"]["code_list"], entries["sex_code"]["quasi_identifier"]) == ("sex", "yes")
    assert entries["remark"]["quasi_identifier"] == "no"
    package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    fields = {field["name"]: field for field in package["resources"][0]["schema"]["fields"]}
    assert {"value": "1", "label": "男"} in fields["sex_code"]["categories"]


def test_the_statement_can_be_recomputed(released):
    folder = released.objects.local(FIRST)
    said = json.loads((folder / "risk.json").read_text(encoding="utf-8"))
    sizes = pl.read_parquet(folder / "visits.parquet").group_by(said["quasi_identifiers"]).len()["len"]
    assert (said["threshold"], said["smallest_group"], said["groups"]) == (5, sizes.min(), len(sizes))
    assert said["gb_t_42460"]["r"] == f"{(1 / sizes).mean():.6f}"
    assert float(said["gb_t_42460"]["r"]) <= float(said["gb_t_42460"]["threshold"])
    assert (said["kept"], said["suppressed"], said["underlying_rows"]) == (126, 1, 127)
    attested = json.loads((folder / "attestation.json").read_text(encoding="utf-8"))
    assert (attested["terms_approved_by"], attested["approved_by"], attested["triggered_by"]) == (
        "officer@city.example", "officer", "operator",
    )  # fmt: skip
    assert attested["gold"]["version"] == 0


def test_a_preview_shows_measures_and_writes_nothing(lake):
    seen = publish.preview(lake, NAME)
    assert (seen["rows"], seen["suppressed"], seen["threshold"], seen["approved"]) == (126, 1, 5, False)
    assert (seen["version"], seen["unchanged"]) == ("1.0.0", False)
    assert not lake.objects.exists("controlled")
    release(lake)
    seen = publish.preview(lake, NAME)
    assert (seen["approved"], seen["unchanged"]) == (True, True)


def test_releases_are_listed_by_dataset_and_version(lake):
    put_gold(lake, visits(), PRODUCT)
    assert listing.releases(lake) == []
    release(lake)
    release(lake, PRODUCT)
    put_gold(lake, visits(county=40))
    _, folder = release(lake)
    rows = listing.releases(lake)
    assert {row["status"] for row in rows} == {"released"}
    assert [(row["dataset"], row["version"], row["rows"]) for row in rows] == [
        (NAME, "1.0.0", 126), (NAME, "1.0.1", 166), (PRODUCT, "1.0.0", 4)
    ]  # fmt: skip
    assert rows[1]["path"] == str(folder)


def test_a_change_of_one_row_waits_and_a_change_of_many_is_published(released):
    lake = released
    put_gold(lake, visits(county=31))
    shown = publish.preview(lake, NAME)
    assert (shown["unchanged"], shown["held_back"]) == (True, 4)
    assert release(lake)[0].outcome == "known"
    put_gold(lake, pl.concat([visits(county=31), extra(10)]))
    report, folder = release(lake)
    assert report.batch == "1.0.1"
    held = manifest_of(folder)["risk"]["held_back"]
    assert held["compared_with"] == ["1.0.0"]
    assert (held["least_change"], held["groups_held"], held["groups_taken_down"]) == (5, 3, 0)
    rows = pl.read_parquet(folder / "visits.parquet")
    assert rows.group_by("division_code", "sex_code", "birth_band").len()["len"].sort().to_list()[-1] == 41
    assert verify(folder) == []
    assert {row["result"] for row in recipes.rebuild(lake, NAME, "1.0.1")} == {"equal"}


def test_a_version_with_other_columns_in_between_hides_no_earlier_one(released, opened, change):
    lake = released
    change(NAME, "fields", "remark", "publish", to=None)
    change(NAME, "release", "not_identifying", to={})
    release(opened())
    change(NAME, "fields", "remark", "publish", to={"as": "remark"})
    change(NAME, "release", "not_identifying", to={"remark": "one of two fixed remarks, the same for everybody"})
    put_gold(lake, visits(county=31))
    _, folder = release(opened())
    held = manifest_of(folder)["risk"]["held_back"]
    assert held["compared_with"] == ["1.0.0"]
    assert pl.read_parquet(folder / "visits.parquet").height == 126
    assert {row["result"] for row in recipes.rebuild(opened(), NAME, manifest_of(folder)["version"])} == {"equal"}


@pytest.fixture
def means(opened, change):
    """Return a lake whose release has fees as means of several visits, and its gold."""
    change(NAME, "fields", "fee", "publish", to={"as": "fee", "generalise": "microaggregate:5"})
    change(NAME, "release", "not_identifying", to={
        "remark": "one of two fixed remarks, the same for everybody", "fee": "the mean of at least five visits' fees",
    })  # fmt: skip
    fees = pl.int_range(pl.len()).cast(pl.Decimal(24, 4)).alias("fee")
    return opened(), visits().with_columns(fees)


@pytest.mark.parametrize("newcomers", [1, 30])
def test_means_of_two_releases_give_no_newcomers_value(means, newcomers):
    lake, rows = means
    put_gold(lake, rows)
    _, folder = release(lake)
    before = pl.read_parquet(folder / "visits.parquet")
    assert before["fee"].n_unique() > 1
    put_gold(lake, pl.concat([rows, extra(newcomers).with_columns(pl.lit(9999).cast(pl.Decimal(24, 4)).alias("fee"))]))
    release(lake)
    after = pl.read_parquet(listing.latest(lake.objects, NAME).data("parquet"))
    assert after.equals(before)


def test_a_mean_of_fewer_than_a_group_is_an_error_of_the_contract(schemas, change):
    def found(number):
        change(NAME, "fields", "fee", "publish", to={"as": "fee", "generalise": f"microaggregate:{number}"})
        return [str(one) for one in check_references(read_catalogue(schemas)[0]) if "the mean of" in one.what]

    assert found(5) == []
    (problem,) = found(4)
    assert "of fewer than the 5" in problem
    change(NAME, "release", "mode", to="public")
    assert found(19)
    assert found(20) == []


def test_rows_of_a_withdrawn_delivery_never_wait_and_take_their_group_with_them(released):
    lake = released
    lake.record(StageReport("retract", NAME, "2026-03-01-0123456789ab", "retracted", delivered=1, withheld=1))
    put_gold(lake, visits().tail(-1))
    _, folder = release(lake)
    held = manifest_of(folder)["risk"]["held_back"]
    assert (held["groups_held"], held["groups_taken_down"]) == (0, 1)
    rows = pl.read_parquet(folder / "visits.parquet")
    assert rows.filter((pl.col("division_code") == "330102") & (pl.col("sex_code") == "1")).is_empty()
    assert verify(folder) == []


def extra(count):
    """Return rows more of one large group."""
    return visits(county=count, rare=0).filter(sex_code="1", division_code="330102").with_columns(
        ("NEW" + pl.col("resident_id")).alias("resident_id")
    )


def test_the_officer_reads_the_verdict_before_any_figure(lake, change, opened):
    shown = publish.preview(lake, NAME)
    assert shown["verdict"].startswith("PASSES: R = ")
    assert "for controlled release" in shown["verdict"]
    assert "grade 4 as delivered, 3 as released" in shown["verdict"]
    text = briefing(shown)
    assert text.startswith(f"**{shown['verdict']}**\n")
    assert "smallest group | 6 (" in text
    change(NAME, "release", "utility_floor", to=1)
    assert publish.preview(opened(), NAME)["verdict"].startswith("FAILS: 126 of 127 rows would be kept")


def test_rows_about_people_have_no_public_key(schemas, change):
    change("health/visits", "release", "key", to=["remark"])
    assert not any("public key" in one.what for one in check_references(read_catalogue(schemas)[0]))  # controlled
    change("health/visits", "release", "mode", to="public")
    found = [one for one in check_references(read_catalogue(schemas)[0]) if "public key" in one.what]
    assert [one.remedy for one in found] == ["release.key: none."]
    change("products/headcount", "release", "key", to=["division_code", "sex_code"])  # counts are of nobody
    assert len([one for one in check_references(read_catalogue(schemas)[0]) if "public key" in one.what]) == 1
