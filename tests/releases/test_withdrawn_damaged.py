"""A version that is damaged can be withdrawn for good, without being put back first; and it never comes back."""

from __future__ import annotations

import json
import shutil

import pytest

from jobs.operation import tasks
from jobs.portal.build import build
from jobs.releases import announcement, listing, withdrawal
from jobs.releases.signing import KEY
from jobs.releases.verify import read_log, verify
from jobs.settings import Settings
from jobs.stages import expire, publish
from jobs.storage.tables import Lake
from tests.releases.conftest import put_gold, visits
from tests.releases.test_damaged_releases import (  # noqa: F401 (the lake is asked for by name)
    COUNTED,
    DAMAGE,
    NAME,
    SLUG,
    cut,
    lake,
    open_,
    withdraw,
)
from tests.releases.test_verbs import call

SIGNED = {"manifest.json", "manifest.sig", "attestation.json", "verify.py"}
PAGES = {"index.html", "index.en.html"}


def statuses(lake):  # noqa: F811
    errors = []
    rows = {(one["dataset"], one["version"]): one["status"] for one in listing.releases(lake, errors)}
    assert errors == []
    return rows


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("damage", [one for one in DAMAGE if one != "a cut statement"])
def test_a_damaged_version_is_withdrawn_its_data_goes_and_the_next_one_has_a_number_of_its_own(lake, damage):  # noqa: F811
    folder, kept = open_(lake) / SLUG / "1.0.1", lake.objects.local(f"ops/releases/{SLUG}/1.0.1")
    DAMAGE[damage][1](folder)
    left = names(folder) & SIGNED if folder.is_dir() else set()
    if DAMAGE[damage][0] == "manifest.json" and "manifest.json" in left:  # nobody is to take it for one
        left = {*left - {"manifest.json"}, "manifest.damaged.json"}
    assert (kept / "gold.parquet").is_file()
    (touched,) = publish.withdraw(lake, NAME, ["1.0.1"], reason="a wrong file", by="officer@city.example")
    assert (touched.version, touched.withdrawn) == ("1.0.1", True)
    build(lake)
    assert announcement.announce(lake) == []
    assert names(folder) == {*left, "withdrawal-1.json", *PAGES}
    assert not kept.exists()
    assert statuses(lake) == {
        (COUNTED, "1.0.0"): "released", (NAME, "1.0.0"): "released", (NAME, "1.0.1"): "withdrawn"
    }
    index = {one["name"]: one for one in json.loads((open_(lake) / "index.json").read_text())["datasets"]}
    told = index[NAME]["versions"][1]
    assert (index[NAME]["latest"], told["status"], told["withdrawn"][0]["reason"]) == (
        "1.0.0", "withdrawn", "a wrong file"
    )
    assert json.loads((open_(lake) / SLUG / "latest.json").read_text())["version"] == "1.0.0"
    assert "已撤回 withdrawn: health/visits 1.0.1" in (open_(lake) / "feed.atom").read_text()
    last = read_log(open_(lake) / "log.jsonl")[-1]
    assert (last["kind"], last["version"], last["reason"]) == ("withdrawal", "1.0.1", "a wrong file")
    for page in (folder / "index.en.html", open_(lake) / SLUG / "index.en.html"):
        assert "a wrong file" in page.read_text()
    assert "visits.csv" not in (folder / "index.en.html").read_text()
    (report,) = publish.run(lake, NAME, approved_by="officer")  # the same rows: but 1.0.1 is there no more
    fresh = listing.version(lake.objects, NAME, "2.0.0")
    assert (report.batch, fresh.manifest["previous"]["version"]) == ("2.0.0", "1.0.0")
    assert fresh.manifest["breaking"] == ["version 1.0.1 was withdrawn damaged"]
    assert (fresh.manifest["changes"]["windows"], fresh.manifest["changes"]["restart"]) == (
        {}, "version 1.0.1 was withdrawn"
    )
    assert verify(fresh.folder, log=open_(lake) / "log.jsonl").problems == []
    assert publish.run(lake, NAME, approved_by="officer")[0].outcome == "known"


@pytest.mark.parametrize("how", ["whole", "beside what is there", "a cut manifest made whole"])
def test_a_version_that_was_withdrawn_damaged_and_is_put_back_is_not_on_offer_again(lake, tmp_path, how):  # noqa: F811
    folder, before = open_(lake) / SLUG / "1.0.1", tmp_path / "before"
    shutil.copytree(folder, before)
    if how == "a cut manifest made whole":
        cut(folder / "manifest.json")
    else:
        shutil.rmtree(folder)
    withdraw(lake, "1.0.1")
    if how == "whole":
        shutil.rmtree(folder)
    shutil.copytree(before, folder, dirs_exist_ok=True)
    if how == "whole":
        with pytest.raises(listing.Damaged, match="the log says it was withdrawn"):
            listing.version(lake.objects, NAME, "1.0.1")
        withdraw(lake, "1.0.1")
    else:
        assert statuses(lake)[NAME, "1.0.1"] == "withdrawn"
        expire.run(lake)
    build(lake)
    assert not [path for path in folder.rglob("*") if path.suffix in (".csv", ".parquet")]
    assert statuses(lake)[NAME, "1.0.1"] == "withdrawn"
    found = verify(folder, log=open_(lake) / "log.jsonl")
    assert (found.status, found.problems) == ("withdrawn", [])


def test_a_statement_that_is_cut_or_lost_is_made_anew_by_withdrawing_again(lake):  # noqa: F811
    withdraw(lake, "1.0.0", "1.0.1")
    folder = open_(lake) / SLUG / "1.0.1"
    said = sorted(folder.glob("withdrawal-*.json"))
    assert len(said) == 2  # that changes from 1.0.0 go, and that itself does
    for spoilt in (said, said[1:], said[:1]):
        for path in spoilt:
            path.write_bytes(b"{")
        with pytest.raises(listing.Damaged, match="is cut or is no JSON"):
            listing.version(lake.objects, NAME, "1.0.1")
        withdraw(lake, "1.0.1")
        assert statuses(lake)[NAME, "1.0.1"] == "withdrawn"
        found = verify(folder, log=open_(lake) / "log.jsonl")
        assert (found.status, found.problems) == ("withdrawn", [])
        said = sorted(folder.glob("withdrawal-*.json"))


def test_a_manifest_that_is_damaged_after_its_version_was_withdrawn_is_named_and_can_be_given_up(lake):  # noqa: F811
    withdraw(lake, "1.0.1")
    cut(open_(lake) / SLUG / "1.0.1/manifest.json")
    with pytest.raises(listing.Damaged, match="manifest"):
        publish.run(lake, NAME, approved_by="officer")
    withdraw(lake, "1.0.1")
    assert statuses(lake)[NAME, "1.0.1"] == "withdrawn"
    assert publish.run(lake, NAME, approved_by="officer")[0].batch == "2.0.0"


def test_where_nothing_else_is_left_of_a_dataset_its_pages_and_its_pointer_say_so(lake):  # noqa: F811
    for version in ("1.0.0", "1.0.1"):
        cut(open_(lake) / SLUG / version / "manifest.json")
    withdraw(lake, "1.0.0", "1.0.1")
    assert build(lake)["errors"] == announcement.announce(lake) == []
    assert json.loads((open_(lake) / SLUG / "latest.json").read_text())["version"] is None
    for page in (open_(lake) / SLUG / "index.en.html", open_(lake) / SLUG / "1.0.1/index.en.html"):
        assert "a wrong file" in page.read_text()
        assert ".csv" not in page.read_text()
    assert publish.run(lake, NAME, approved_by="officer")[0].batch == "2.0.0"
    build(lake)
    assert "2.0.0" in (open_(lake) / SLUG / "index.en.html").read_text()


def test_who_approves_a_withdrawal_in_airflow_is_told_that_the_version_is_damaged(lake):  # noqa: F811
    cut(open_(lake) / SLUG / "1.0.1/manifest.json")
    shown = tasks.withdrawing(NAME, "1.0.0 1.0.1", "a wrong file")
    assert [line for line in shown.splitlines() if "1.0.1" in line and "damaged: nobody can tell" in line]
    decision = {"chosen_options": ["Approve"], "responded_by_user": {"name": "officer@city.example"}}
    assert tasks.withdrawn(NAME, "1.0.0 1.0.1", "a wrong file", decision, "engineer") == ["1.0.0", "1.0.1"]


def test_the_command_withdraws_a_damaged_version_and_ends_well(lake):  # noqa: F811
    cut(open_(lake) / SLUG / "1.0.1/manifest.json")
    words = ("withdraw", NAME, "1.0.1", "--reason", "a wrong file", "--by", "officer@city.example", "--json")
    done = call(lake, *words)
    assert (done.returncode, [one["status"] for one in json.loads(done.stdout)]) == (0, ["withdrawn"]), done.stderr
    assert "已撤回" in (open_(lake) / SLUG / "1.0.1/index.html").read_text()


def test_a_lost_statement_that_withdrew_changes_alone_is_named_and_signed_anew_before_anything_is_told(lake):  # noqa: F811
    kept = open_(lake) / SLUG / "1.0.1/changes"
    before = {path.name: path.read_bytes() for path in (kept / "from-1.0.0").iterdir()}
    withdraw(lake, "1.0.0")
    folder = open_(lake) / SLUG / "1.0.1"
    assert not kept.exists()
    (folder / "withdrawal-1.json").unlink()
    (kept / "from-1.0.0").mkdir(parents=True)
    for name, data in before.items():  # as somebody would who wants them back
        (kept / "from-1.0.0" / name).write_bytes(data)
    listed = call(lake, "releases", "--json")
    words = " ".join(listed.stderr.split())
    assert listed.returncode == 1
    for word in (f"open/{SLUG}/1.0.1", "1.0.1 has no statement", "version 1.0.0", "Remedy: `lake portal build`"):
        assert word in words, words
    put_gold(lake, visits(county=90), NAME)
    publish.run(lake, NAME, approved_by="officer")
    (said,) = listing.version(lake.objects, NAME, "1.0.1").withdrawals
    assert (said["versions"], said["reason"], said["by"]) == (["1.0.0"], "a wrong file", "officer@city.example")
    assert not kept.exists()
    assert verify(folder, log=open_(lake) / "log.jsonl").problems == []
    index = {one["name"]: one for one in json.loads((open_(lake) / "index.json").read_text())["datasets"]}
    assert {one["version"]: one["changes"] for one in index[NAME]["versions"] if one["version"] == "1.0.1"} == {
        "1.0.1": {}
    }
    assert call(lake, "releases", "--json").returncode == 0


@pytest.mark.parametrize("who", ["expiry", "the site"])
@pytest.mark.parametrize("start", ["sound", "damaged"])
def test_expiry_and_the_site_sign_a_lost_statement_of_changes_anew(lake, who, start):  # noqa: F811
    if start == "damaged":
        cut(open_(lake) / SLUG / "1.0.0/manifest.json")
    withdraw(lake, "1.0.0")
    folder = open_(lake) / SLUG / "1.0.1"
    (folder / "withdrawal-1.json").unlink()
    assert verify(folder).problems != []
    if who == "expiry":
        expire.run(lake)
    else:
        assert tasks.site()["errors"] == []
    assert verify(folder).problems == []
    assert withdrawal.unstated(lake.objects, NAME) == []


@pytest.mark.minio
def test_in_a_bucket_a_version_that_lost_its_manifest_is_withdrawn_as_in_a_folder(lake, bucket_lake, tmp_path):  # noqa: F811
    names_there = sorted(path for path in open_(lake).rglob("*") if path.is_file() and path.suffix != ".html")
    with Lake.open(Settings(root=tmp_path / "machine", schemas=lake.settings.schemas)) as found:
        found.objects.own.create(KEY, lake.objects.own.read(KEY), mode=0o600)
        for path in names_there:
            found.objects.write(f"open/{path.relative_to(open_(lake))}", path.read_bytes())
        found.objects.write(f"open/{SLUG}/1.0.1/manifest.json", b"{cut")
        publish.withdraw(found, NAME, ["1.0.1"], reason="a wrong file", by="officer@city.example")
        folder = f"open/{SLUG}/1.0.1"
        left = {str(name).removeprefix(f"{folder}/") for name in found.objects.states(folder)}
        assert left == {"manifest.damaged.json", "manifest.sig", "attestation.json", "verify.py", "withdrawal-1.json"}
        assert statuses(found)[NAME, "1.0.1"] == "withdrawn"
        assert json.loads(found.objects.read("open/log.jsonl").splitlines()[-1])["kind"] == "withdrawal"
