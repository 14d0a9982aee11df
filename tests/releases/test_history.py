"""Versions, exact changes, withdrawal, and making a version again."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path, PurePosixPath

import polars as pl
import pyarrow.parquet as pq
import pytest

from jobs.errors import ReleaseRefused, RequestError
from jobs.layers import Layer
from jobs.releases import announcement, approvals, comparison, history, inputs, listing, recipes, versions
from jobs.releases.listing import Released
from jobs.releases.verify import read_log, verify
from jobs.releases.withdrawal import finish
from jobs.sets.changes import Changes, applied
from jobs.settings import PROJECT
from jobs.stages import publish
from tests.releases.conftest import copy_of, put_gold, visits

NAME = "health/visits"
OPEN = "controlled/health__visits"
FIRST = f"{OPEN}/1.0.0"  # of the lake `released`


def release(lake, rows=None) -> Path:
    if rows is not None:
        put_gold(lake, rows)
    approvals.approve(lake, NAME, by="officer@city.example")
    (report,) = publish.run(lake, NAME, approved_by="officer")
    return Path(str(report.extra["path"]))


def said(folder: Path, name: str = "manifest.json"):
    return json.loads((folder / name).read_bytes())


def changes_of(folder: Path, start: str) -> Changes:
    base = folder / "changes" / f"from-{start}"
    changed = base / "changed.parquet"
    return Changes(
        pl.read_parquet(base / "added.parquet"), pl.read_parquet(base / "removed.parquet"),
        pl.read_parquet(changed) if changed.exists() else None,
    )


def columns(*names: str, **other: str):
    one = {"type": "string", "arrow": "string", "terms": "text > keep > keep", "codes": None}
    return [{"name": name, **one, **({"terms": other[name]} if name in other else {})} for name in names]


TERMS = {"fingerprint": "f", "key": [], "licence": "CC-BY-4.0"}
LAST = {"version": "2.3.4", "columns": columns("a", "b"), "terms": TERMS, "content": {"rows": "r", "description": "d"}}


@pytest.mark.parametrize(
    ("found", "terms", "content", "version"),
    [
        (columns("a", "b"), {}, {}, "2.3.4"),
        (columns("a", "b"), {}, {"rows": "other"}, "2.3.5"),
        (columns("a", "b"), {}, {"description": "other"}, "2.3.5"),
        (columns("a", "b", "c"), {"fingerprint": "g"}, {"rows": "other"}, "2.4.0"),
        (columns("a", "b"), {"fingerprint": "g"}, {}, "2.4.0"),
        (columns("a"), {"fingerprint": "g"}, {}, "3.0.0"),
        (columns("a", "b", a="date > keep > year"), {"fingerprint": "g"}, {}, "3.0.0"),
        (columns("a", "b"), {"licence": "CC0-1.0"}, {}, "3.0.0"),
        (columns("a", "b"), {"key": ["a"]}, {}, "3.0.0"),
    ],
)
def test_a_version_says_what_a_reader_must_fear(found, terms, content, version):
    terms, content = {**TERMS, **terms}, {**LAST["content"], **content}
    given, breaking = versions.next_version(LAST, found, terms, content)
    assert given == version
    assert bool(breaking) == (version == "3.0.0")


def test_every_version_is_the_one_before_and_its_changes(released):
    sizes = [(40, 3), (40, 5), (25, 3), (30, 4)]  # after (30, 3)
    folders = [released.objects.local(FIRST)]
    folders += [release(released, visits(county=county, rare=rare)) for county, rare in sizes]
    assert [folder.name for folder in folders] == ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "1.0.4"]
    now = pl.read_parquet(folders[0] / "visits.parquet")
    removed = [changes_of(folder, before.name).removed.height > 0 for before, folder in pairwise(folders)]
    assert removed == [False, True, True, False]
    for before, folder in pairwise(folders):
        now = applied(now, changes_of(folder, before.name))
        assert now.equals(pl.read_parquet(folder / "visits.parquet"))
        assert verify(folder).problems == []
    first = pl.read_parquet(folders[0] / "visits.parquet")
    assert said(folders[4])["changes"]["windows"] == {"last": "1.0.3", "7_days": "1.0.0", "31_days": "1.0.0"}
    assert applied(first, changes_of(folders[4], "1.0.0")).equals(now)


def test_with_a_public_key_rows_are_changed(lake, opened, change):
    change("products/headcount", "release", "key", to=["division_code", "sex_code"])
    lake = opened()

    def headcount(county):
        put_gold(lake, visits(county=county), "products/headcount")
        approvals.approve(lake, "products/headcount", by="officer@city.example")
        (report,) = publish.run(lake, "products/headcount", approved_by="officer")
        return Path(str(report.extra["path"]))

    before, after = headcount(30), headcount(35)
    counts = said(after)["changes"]["from"]["1.0.0"]["counts"]
    assert counts == {"added": 0, "removed": 0, "changed": 4}
    changed = pl.read_parquet(after / "changes/from-1.0.0/changed.parquet")
    assert (changed["new.visits"] - changed["old.visits"]).to_list() == [5, 5, 5, 5]
    earlier = pl.read_parquet(before / "headcount.parquet")
    later = applied(earlier, changes_of(after, "1.0.0"), ("division_code", "sex_code"))
    assert later.equals(pl.read_parquet(after / "headcount.parquet"))
    assert verify(after).problems == []


def test_a_key_that_does_not_tell_rows_apart_is_refused(lake, opened, change):
    change(NAME, "release", "key", to=["division_code"])
    with pytest.raises(ReleaseRefused, match="not unique"):
        release(opened())


def released_at(objects, version, day):
    manifest = {"version": version, "columns": columns("a")}
    return Released(objects, PurePosixPath("open", "x", version), manifest, "", {"released_at": day.isoformat()}, ())


def test_windows_start_from_what_was_out_when_they_began(lake):
    now = datetime(2026, 3, 31, tzinfo=UTC)
    ages = {"1.0.0": 60, "1.0.1": 33, "1.0.2": 20, "1.0.3": 8, "1.0.4": 2}
    before = [released_at(lake.objects, name, now - timedelta(days=age)) for name, age in ages.items()]
    found = {"last": "1.0.4", "7_days": "1.0.3", "31_days": "1.0.1"}
    assert history.windows(before, now, columns("a"), Layer.OPEN) == (found, "")
    assert history.windows(before[4:], now, columns("a"), Layer.OPEN)[0] == dict.fromkeys(history.WINDOWS, "1.0.4")
    assert history.windows([], now, columns("a"), Layer.OPEN) == ({}, "there is no version before")
    assert history.windows(before, now, columns("a", "b"), Layer.OPEN) == ({}, "version 1.0.4 has other columns")
    assert history.windows(before, now, columns("a"), Layer.CONTROLLED) == ({}, "there is no version before")


def test_changes_are_attributed_to_sources_and_to_terms(released, opened, change):
    folder = release(released, visits(county=40))
    found = said(folder)["changes"]["attribution"]
    assert found == {"source": {"added": 40, "removed": 0}, "pipeline": {"added": 0, "removed": 0}}
    change(NAME, "release", "only", to={"sex_code": ["2"]})
    lake = opened()
    folder = release(lake)
    found = said(folder)["changes"]["attribution"]
    assert found["source"] == {"added": 0, "removed": 0}
    assert found["pipeline"]["removed"] == 166 - 80
    change(NAME, "release", "only", to={})
    inputs.forget(lake.objects, NAME, folder.name)
    assert list(said(release(opened()))["changes"]["attribution"]) == ["unattributed"]


def test_a_version_is_made_again_byte_by_byte(released):
    release(released, visits(county=40))
    put_gold(released, visits(county=50))
    for version in ("1.0.0", "1.0.1"):
        rows = recipes.rebuild(released, NAME, version)
        assert {row["result"] for row in rows} == {"equal"}
        assert {"manifest.json", "visits.parquet", "README.zh.md"} <= {row["file"] for row in rows}


@pytest.mark.usefixtures("released")
def test_a_rebuild_under_other_terms_names_the_commit(opened, change):
    change(NAME, "release", "mode", to="enclave")
    with pytest.raises(RequestError, match=r"other terms\..*commit"):
        recipes.rebuild(opened(), NAME, "1.0.0")


def test_another_process_on_one_core_makes_the_same_bytes(lake, tmp_path):
    release(lake, visits(county=40_000))
    folder = release(lake, visits(county=40_010))
    assert pq.ParquetFile(folder / "visits.parquet").num_row_groups > 1
    program = (
        "import sys; from pathlib import Path\n"
        "from jobs.releases import recipes\nfrom jobs.storage.tables import Lake\n"
        "with Lake.open() as lake: rows = recipes.rebuild(lake, *sys.argv[1:3], Path(sys.argv[3]))\n"
        "print({row['result'] for row in rows})"
    )
    own = {"LAKE_ROOT": str(lake.settings.root), "LAKE_SCHEMAS": str(lake.settings.schemas), "POLARS_MAX_THREADS": "1"}
    own |= {"TZ": "America/Lima", "LANG": "C", "PYTHONHASHSEED": "7"}
    again = tmp_path / "again" / folder.name
    done = subprocess.run(
        [sys.executable, "-c", program, NAME, folder.name, str(again)], env={**os.environ, **own}, cwd=PROJECT,
        capture_output=True, text=True, check=True,
    )
    assert done.stdout.strip() == "{'equal'}"
    assert (again / "visits.parquet").read_bytes() == (folder / "visits.parquet").read_bytes()


def test_two_versions_are_compared_with_samples_and_reasons(released):
    release(released, visits(county=40))
    found = comparison.compare(released.objects, NAME, "1.0.0", "1.0.1", sample=2)
    assert found["counts"] == {"added": 40, "removed": 0}
    assert len(found["samples"]["added"]) == 2
    assert found["reasons"] == ["1.0.1: pipeline 0 added, 0 removed.", "1.0.1: source 40 added, 0 removed."]
    with pytest.raises(RequestError, match=r"no version 9\.9\.9"):
        comparison.compare(released.objects, NAME, "1.0.0", "9.9.9")


@pytest.fixture(scope="module")
def withdrawn_once(released_once, tmp_path_factory):
    """Release three versions and withdraw the second, whose rows the third's changes hold; to be copied."""
    folder = tmp_path_factory.mktemp("withdrawn")
    lake = copy_of(released_once, folder)
    for county in (40, 35):
        release(lake, visits(county=county))
    publish.withdraw(lake, NAME, ["1.0.1"], reason="一条记录应当删除", by="officer@city.example")
    return folder


@pytest.fixture
def withdrawn(withdrawn_once, tmp_path):
    """Return such a lake of the test's own."""
    return copy_of(withdrawn_once, tmp_path)


def test_a_withdrawn_version_loses_its_rows_and_keeps_its_manifest(withdrawn):
    folder = withdrawn.objects.local(f"{OPEN}/1.0.1")
    kept = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    assert kept == ["attestation.json", "manifest.json", "manifest.sig", "verify.py", "withdrawal-1.json"]
    found = verify(folder)
    assert (found.problems, found.status) == ([], "withdrawn")
    assert any("一条记录应当删除" in what for _, _, what in found.rows)
    assert not withdrawn.objects.exists("ops/releases/health__visits/1.0.1")
    with pytest.raises(RequestError, match="withdrawn"):
        recipes.rebuild(withdrawn, NAME, "1.0.1")


def test_no_change_file_still_holds_the_withdrawn_rows(withdrawn):
    later = withdrawn.objects.local(f"{OPEN}/1.0.2")
    assert not (later / "changes/from-1.0.1").exists()
    assert (later / "changes/from-1.0.0").is_dir()
    found = verify(later)
    assert (found.problems, found.status) == ([], "released")
    assert ("changes from 1.0.1", "note", "withdrawn.") in found.rows
    assert verify(withdrawn.objects.local(f"{OPEN}/1.0.0")).problems == []


def test_the_portal_says_that_a_version_was_withdrawn(withdrawn):
    index = json.loads(withdrawn.objects.read("controlled/index.json"))
    by_version = {one["version"]: one for one in index["datasets"][0]["versions"]}
    assert by_version["1.0.1"]["status"] == "withdrawn"
    assert "files" not in by_version["1.0.1"]
    assert set(by_version["1.0.2"]["changes"]) == {"7_days", "31_days"}
    log = read_log(withdrawn.objects.local("controlled/log.jsonl"))
    assert [(one["kind"], one["version"]) for one in log][-1] == ("withdrawal", "1.0.1")
    assert [row["status"] for row in listing.releases(withdrawn)] == ["released", "withdrawn", "released"]


def test_after_the_last_version_is_withdrawn_the_chain_begins_anew(released):
    lake = released
    release(lake, visits(county=40))
    publish.withdraw(lake, NAME, ["1.0.1"], reason="an error in the source", by="officer")
    assert json.loads(lake.objects.read(f"{OPEN}/latest.json"))["version"] == "1.0.0"
    folder = release(lake)
    assert folder.name == "1.0.2"  # the same rows, and still a version of its own
    assert said(folder)["changes"]["restart"] == "version 1.0.1 was withdrawn"
    assert said(folder)["previous"]["version"] == "1.0.1"
    assert verify(folder).problems == []
    assert json.loads(lake.objects.read(f"{OPEN}/latest.json"))["version"] == "1.0.2"
    publish.withdraw(lake, NAME, ["1.0.0", "1.0.2"], reason="all of it", by="officer")
    assert json.loads(lake.objects.read(f"{OPEN}/latest.json"))["version"] is None


def test_a_withdrawal_is_finished_by_the_next_run_and_said_once(withdrawn):
    folder = withdrawn.objects.local(f"{OPEN}/1.0.1")
    (folder / "visits.csv").write_bytes(b"left by a killed run")
    finish(withdrawn.objects, NAME)
    assert not (folder / "visits.csv").exists()
    assert publish.withdraw(withdrawn, NAME, ["1.0.1"], reason="again", by="officer") == []
    with pytest.raises(RequestError, match="why and by whom"):
        publish.withdraw(withdrawn, NAME, ["1.0.0"], reason=" ", by="officer")
    with pytest.raises(RequestError, match=r"no version 3\.0\.0"):
        publish.withdraw(withdrawn, NAME, ["3.0.0"], reason="why", by="officer")


def test_a_run_killed_before_it_told_the_world_is_caught_up_by_the_next(released):
    lake, folder = released, released.objects.local(FIRST)
    told = ("log.jsonl", "log.sig", "index.json")
    before = {name: lake.objects.read(name) for name in [f"controlled/{one}" for one in told]}
    for name in before:
        lake.objects.remove(name)
    announcement.enter(lake)
    assert {name: lake.objects.read(name) for name in before} == before
    assert verify(folder, log=lake.objects.local("controlled/log.jsonl")).problems == []


def test_the_stored_inputs_are_the_gold_rows(released):
    rows = pl.read_parquet(io.BytesIO(released.objects.read("ops/releases/health__visits/1.0.0/gold.parquet")))
    assert rows.height == visits().height
