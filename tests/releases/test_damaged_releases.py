"""A version whose files are not what was written is named with its remedy, and everything else goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib import import_module

import pytest

from jobs.catalogue import load_catalogue
from jobs.layers import Layer
from jobs.operation import tasks
from jobs.portal.build import build
from jobs.releases import announcement, approvals, listing
from jobs.releases.manifest import canonical
from jobs.releases.signing import Signer
from jobs.releases.verify import read_log, verify
from jobs.settings import Settings
from jobs.stages import expire, publish
from jobs.storage.tables import Lake
from tests.releases.conftest import PUBLIC_VISITS, copy_of, put_gold, visits, write_contract
from tests.releases.test_verbs import call
from tests.releases.test_verify import reseal

NAME, SLUG, COUNTED = "health/visits", "health__visits", "products/headcount"
DAMAGE = {
    "a cut manifest": ("manifest.json", lambda folder: cut(folder / "manifest.json")),
    "no manifest": ("manifest.json", lambda folder: (folder / "manifest.json").unlink()),
    "an empty manifest": ("manifest.json", lambda folder: (folder / "manifest.json").write_bytes(b"")),
    "another document": ("manifest.json", lambda folder: (folder / "manifest.json").write_text('["张三丰"]')),
    "an altered manifest": ("manifest.json", lambda folder: alter(folder / "manifest.json")),
    "a cut attestation": ("attestation.json", lambda folder: cut(folder / "attestation.json")),
    "a cut statement": ("withdrawal-1.json", lambda folder: (folder / "withdrawal-1.json").write_bytes(b"{")),
    "no folder": ("manifest.json", shutil.rmtree),
    "an altered attestation": (
        "attestation.json", lambda folder: swap(folder / "attestation.json", "officer", "nobody!")),
    "no signatures": ("manifest.sig", lambda folder: (folder / "manifest.sig").unlink()),
    "all signed by somebody else": ("manifest.json", lambda folder: reseal(folder, Signer.of(b"7" * 32))),
}

# What another file than the version's own may be the cause of leads there first.
REMEDIES = {
    "a cut statement": f"put open/{SLUG}/1.0.1/withdrawal-1.json back",
    "an altered attestation": "see that open/key.json is the publisher's",
    "all signed by somebody else": "see that open/log.jsonl is whole",
}


def cut(path):
    path.write_bytes(path.read_bytes()[:200])


def alter(path):
    path.write_bytes(path.read_bytes().replace(b'"rows":', b'"rows":1'))


def swap(path, said, other):
    data = path.read_bytes()
    assert said.encode() in data
    path.write_bytes(data.replace(said.encode(), other.encode()))


@pytest.fixture
def lake(shown_once, tmp_path, monkeypatch):
    """Return a lake with two versions of one public dataset and one of another, shown on the site."""
    found = copy_of(shown_once, tmp_path, "house")
    monkeypatch.setenv("LAKE_ROOT", str(found.settings.root))
    monkeypatch.setenv("LAKE_SCHEMAS", str(found.settings.schemas))
    return found


def withdraw(lake, *versions):
    for version in versions:
        publish.withdraw(lake, NAME, [version], reason="a wrong file", by="officer@city.example")


LOST = {
    "the only statement": ("1.0.1", "withdrawal-1.json", lambda folder: (folder / "withdrawal-1.json").unlink()),
    "the first of two": ("1.0.1", "withdrawal-1.json", lambda folder: (folder / "withdrawal-1.json").unlink()),
    "the second of two": ("1.0.1", "withdrawal-2.json", lambda folder: (folder / "withdrawal-2.json").unlink()),
    "another version's": ("1.0.1", "withdrawal-1.json", lambda folder: shutil.copy(
        folder.parent / "1.0.0/withdrawal-1.json", folder / "withdrawal-1.json")),
    "what it says of itself": ("1.0.1", "withdrawal-2.json", lambda folder: swap(
        folder / "withdrawal-2.json", "a wrong file", "nothing new!")),
    "no statement at all": ("1.0.1", "withdrawal-1.json", lambda folder: (folder / "withdrawal-1.json").write_text(
        '{"statement":[]}')),
}  # fmt: skip


@pytest.mark.parametrize("lost", LOST)
def test_a_version_that_was_withdrawn_is_never_on_offer_again_because_its_statement_is_lost(lake, lost):
    version, file, spoil = LOST[lost]
    withdraw(lake, *([version] if lost == "the only statement" else ["1.0.0", version]))
    assert listing.version(lake.objects, NAME, version).withdrawn
    spoil(open_(lake) / SLUG / version)
    errors = []
    rows = {(one["dataset"], one["version"]): one["status"] for one in listing.releases(lake, errors)}
    assert (rows[NAME, version], [one.where for one in errors]) == ("damaged", [f"open/{SLUG}/{version}/{file}"])
    announcement.enter(lake)
    latest = json.loads((open_(lake) / SLUG / "latest.json").read_text())
    assert (latest["version"], latest["damaged"]) == ("1.0.0" if lost == "the only statement" else None, [version])


def open_(lake):
    return lake.objects.local("open")


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_is_wrong_with_a_versions_signed_files_is_told_by_file_and_remedy(lake, damage):
    file, spoil = DAMAGE[damage]
    spoil(open_(lake) / SLUG / "1.0.1")
    errors = []
    rows = {(one["dataset"], one["version"]): one["status"] for one in listing.releases(lake, errors)}
    assert rows == {(COUNTED, "1.0.0"): "released", (NAME, "1.0.0"): "released", (NAME, "1.0.1"): "damaged"}
    assert [str(one) for one in errors] == build(lake)["errors"] == [str(one) for one in announcement.announce(lake)]
    remedy = REMEDIES.get(damage, "put the version's folder back")
    for word in (f"{NAME} · open · open/{SLUG}/1.0.1/{file}", "version 1.0.1", f"Remedy: {remedy}"):
        assert word in str(errors[0])
    assert "张三丰" not in str(errors[0])


@pytest.mark.parametrize("damage", ["a cut manifest", "no folder"])
def test_a_damaged_version_is_named_and_all_others_are_released_shown_and_announced(lake, tmp_path, damage):
    file, spoil = DAMAGE[damage]
    folder, before = open_(lake) / SLUG / "1.0.1", tmp_path / "before"
    shutil.copytree(folder, before)
    page = (open_(lake) / SLUG / "1.0.1/index.html").read_bytes()
    spoil(folder)
    listed = call(lake, "releases", "--json")
    rows = {(one["dataset"], one["version"]): one["status"] for one in json.loads(listed.stdout)}
    assert rows == {(COUNTED, "1.0.0"): "released", (NAME, "1.0.0"): "released", (NAME, "1.0.1"): "damaged"}
    put_gold(lake, visits(county=90), COUNTED)
    released = call(lake, "release", COUNTED, "--by", "officer@city.example")
    built = call(lake, "portal", "build")
    assert released.stdout.strip().endswith("products__headcount/1.0.1")
    assert built.stdout.strip() == str(open_(lake))
    for done in (listed, released, built):
        assert done.returncode == 1
        for word in (NAME, f"open/{SLUG}/1.0.1/{file}", "version 1.0.1", "Remedy: put the version's folder back"):
            assert word in " ".join(done.stderr.split()), (word, done.stderr)
    assert (open_(lake) / "products__headcount/1.0.1/index.html").is_file()
    feed = (open_(lake) / "feed.atom").read_text()
    assert all(f"/{name}/" in feed for name in ("products__headcount/1.0.1", f"{SLUG}/1.0.0", f"{SLUG}/1.0.1"))
    index = {one["name"]: one for one in json.loads((open_(lake) / "index.json").read_text())["datasets"]}
    told = [(one["version"], one["status"]) for one in index[NAME]["versions"]]
    assert (index[NAME]["latest"], told) == ("1.0.0", [("1.0.0", "released"), ("1.0.1", "damaged")])
    assert json.loads((open_(lake) / SLUG / "latest.json").read_text())["damaged"] == ["1.0.1"]
    assert "cannot be read now" in (open_(lake) / SLUG / "index.en.html").read_text()
    if damage != "no folder":
        assert (folder / "index.html").read_bytes() == page
    put_gold(lake, visits(county=90), NAME)
    with pytest.raises(listing.Damaged, match=r"1\.0\.1"):  # its number would be given twice
        publish.run(lake, NAME, approved_by="officer")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(before, folder)
    mended = call(lake, "portal", "build")
    assert mended.returncode == 0, mended.stderr
    assert publish.run(lake, NAME, approved_by="officer")[0].batch == "1.0.2"
    announcement.announce(lake)
    assert "cannot be read" not in (open_(lake) / "feed.atom").read_text()
    assert "cannot be read now" not in (open_(lake) / SLUG / "index.en.html").read_text()
    assert json.loads((open_(lake) / SLUG / "latest.json").read_text())["version"] == "1.0.2"


def test_a_dataset_of_which_no_version_can_be_read_keeps_its_pages_and_stops_no_other(lake):
    for version in ("1.0.0", "1.0.1"):
        cut(open_(lake) / SLUG / version / "manifest.json")
    pointer = (open_(lake) / SLUG / "latest.json").read_bytes()
    announcement.enter(lake)
    assert len(build(lake)["errors"]) == len(announcement.announce(lake)) == 2
    index = {one["name"]: one for one in json.loads((open_(lake) / "index.json").read_text())["datasets"]}
    assert [one["status"] for one in index[NAME]["versions"]] == ["damaged", "damaged"]
    assert index[COUNTED]["latest"] == "1.0.0"
    assert (open_(lake) / SLUG / "latest.json").read_bytes() == pointer
    assert (open_(lake) / SLUG / "index.html").is_file()


def test_data_that_cannot_be_read_leaves_its_pages_as_they_are_and_the_others_are_built(lake):
    put_gold(lake, visits(county=90), NAME)
    publish.run(lake, NAME, approved_by="officer")
    put_gold(lake, visits(county=90), COUNTED)
    publish.run(lake, COUNTED, approved_by="officer")
    data = open_(lake) / SLUG / "1.0.2/visits.parquet"
    whole = data.read_bytes()
    for spoilt in (whole[:100], None):
        data.unlink() if spoilt is None else data.write_bytes(spoilt)
        before = (open_(lake) / SLUG / "index.html").read_bytes()
        done = build(lake)
        assert [NAME in one and "1.0.2" in one and "Remedy" in one for one in done["errors"]] == [True]
        assert (open_(lake) / SLUG / "index.html").read_bytes() == before
        assert "1.0.1" in (open_(lake) / "products__headcount/index.html").read_text()
    data.write_bytes(whole)
    assert (build(lake)["errors"], build(lake)["renewed"]) == ([], 0)
    assert "1.0.2" in (open_(lake) / SLUG / "index.html").read_text()


def test_airflow_shows_and_announces_all_others_and_then_fails_with_the_name(lake):
    cut(open_(lake) / SLUG / "1.0.1/manifest.json")
    put_gold(lake, visits(county=90), COUNTED)
    (report,) = tasks.perform("publish", COUNTED, approved_by="officer")
    built = tasks.site()
    with pytest.raises(import_module("airflow.sdk.exceptions").AirflowFailException, match=f"{NAME}.*Remedy"):
        tasks.announced(built)
    assert report["batch"] == "1.0.1"
    assert "products__headcount/1.0.1/" in (open_(lake) / "feed.atom").read_text()


@pytest.mark.parametrize("who", ["the same command", "the next expiry", "the site's command", "Airflow's site"])
def test_a_sound_version_is_withdrawn_beside_a_damaged_one_whose_changes_go_when_it_is_mended(lake, who):
    folder = open_(lake) / SLUG / "1.0.1"
    whole = (folder / "manifest.json").read_bytes()
    assert (folder / "changes/from-1.0.0").is_dir()
    cut(folder / "manifest.json")
    words = ("withdraw", NAME, "1.0.0", "--reason", "a wrong file", "--by", "officer@city.example", "--json")
    done = call(lake, *words)
    assert (done.returncode, [one["version"] for one in json.loads(done.stdout)]) == (1, ["1.0.0"])
    assert "version 1.0.1" in done.stderr
    assert verify(open_(lake) / SLUG / "1.0.0").status == "withdrawn"
    (folder / "manifest.json").write_bytes(whole)
    if who == "the same command":
        again = call(lake, *words)
        told = [(one["version"], one["status"]) for one in json.loads(again.stdout)]
        assert (again.returncode, told) == (0, [("1.0.1", "changes withdrawn")])
    else:
        if who == "the site's command":
            built = call(lake, "portal", "build")
            assert built.returncode == 0, built.stderr
        elif who == "the next expiry":
            expire.run(lake)
        else:
            assert tasks.site()["errors"] == []
        (said,) = listing.version(lake.objects, NAME, "1.0.1").withdrawals
        assert (said["reason"], said["by"], said["versions"]) == ("a wrong file", "officer@city.example", ["1.0.0"])
    assert not (folder / "changes/from-1.0.0").exists()
    assert verify(folder).problems == []


@pytest.mark.parametrize("left", ["attestation.json", "visits.csv", "visits.parquet"])
def test_a_version_without_manifest_of_which_the_log_cannot_be_read_is_damaged_not_overwritten(lake, left):
    log, folder = open_(lake) / "log.jsonl", open_(lake) / SLUG / "1.0.1"
    log.write_bytes(b"".join(b"{cut\n" if b'"1.0.1"' in line else line for line in log.read_bytes().splitlines(True)))
    for path in folder.iterdir():
        if path.is_file() and path.name != left:
            path.unlink()
    put_gold(lake, visits(county=90), NAME)
    with pytest.raises(listing.Damaged, match=r"manifest\.json of version 1\.0\.1 is missing"):
        publish.run(lake, NAME, approved_by="officer")
    assert (folder / left).is_file()


def test_what_lies_open_by_mistake_and_is_damaged_is_told_to_nobody_but_who_keeps_the_lake(lake):
    shutil.copytree(open_(lake) / SLUG / "1.0.1", open_(lake) / "secret__things/1.0.0")
    cut(open_(lake) / "secret__things/1.0.0/manifest.json")
    announcement.enter(lake)
    done = build(lake)
    assert [one.dataset for one in announcement.announce(lake)] == ["secret/things"]
    assert "secret/things" in done["errors"][0]
    told = [open_(lake) / name for name in ("index.json", "feed.atom", "catalogue.ttl", "index.html", "sitemap.xml")]
    assert not any("secret" in one.read_text() for one in told)


LOGS = {
    "a changed line": ("log.jsonl", lambda log, _: log.write_bytes(
        log.read_bytes().replace(b'"at":"20', b'"at":"19', 1))),
    "no lines any more": ("log.jsonl", lambda log, _: log.write_bytes(b"")),
    "no log any more": ("log.jsonl", lambda log, _: log.unlink()),
    "the last line cut off": ("log.jsonl", lambda log, _: log.write_bytes(
        b"".join(log.read_bytes().splitlines(True)[:-1]))),
    "half a line": ("log.jsonl", lambda log, _: log.write_bytes(log.read_bytes()[:-40])),
    "lines that hold, made anew": ("log.jsonl", lambda log, _: log.write_bytes(chained(log.read_bytes()))),
    "bytes of nothing": ("log.jsonl", lambda log, _: log.write_bytes(b"\xff\xfe")),
    "a seal of somebody else": ("log.sig", lambda _, seal: seal.write_bytes(resealed(seal.read_bytes()))),
    "a seal that is cut": ("log.sig", lambda _, seal: seal.write_bytes(seal.read_bytes()[:20])),
}  # fmt: skip


def chained(log):
    before, lines = "0" * 64, []
    for line in log.splitlines():
        lines.append(canonical({**json.loads(line), "before": before, "at": "2020-01-01T00:00:00Z"}))
        before = hashlib.sha256(lines[-1]).hexdigest()
    return b"\n".join(lines) + b"\n"


def resealed(seal):
    said = json.loads(seal)
    head, signer = {"number": said["number"], "sha256": said["sha256"]}, Signer.of(b"7" * 32)
    return canonical({**head, "public_key": signer.public.hex(), "signature": signer.sign(canonical(head))})


@pytest.mark.parametrize("what", LOGS)
def test_a_log_somebody_changed_is_named_left_alone_and_stops_no_release(lake, what):
    file, spoil = LOGS[what]
    log, seal = open_(lake) / "log.jsonl", open_(lake) / "log.sig"
    sound = log.read_bytes(), seal.read_bytes()
    spoil(log, seal)
    spoilt = log.exists() and log.read_bytes(), seal.read_bytes()
    put_gold(lake, visits(county=90), COUNTED)
    assert publish.run(lake, COUNTED, approved_by="officer")[0].batch == "1.0.1"
    build(lake)
    told = [str(one) for one in announcement.announce(lake)]
    assert len(told) == 1
    for word in (f"open/{file}", "log", "Nothing is entered in it", "Remedy: put open/log.jsonl and open/log.sig back"):
        assert word in told[0]
    assert (log.exists() and log.read_bytes(), seal.read_bytes()) == spoilt  # nor is it sealed
    errors = []
    listing.releases(lake, errors)
    assert [str(one) for one in errors] == told
    index = {one["name"]: one["latest"] for one in json.loads((open_(lake) / "index.json").read_text())["datasets"]}
    assert (index[COUNTED], "products__headcount/1.0.1/" in (open_(lake) / "feed.atom").read_text()) == ("1.0.1", True)
    log.write_bytes(sound[0])
    seal.write_bytes(sound[1])
    announcement.enter(lake)
    assert announcement.announce(lake) == []
    assert verify(open_(lake) / "products__headcount/1.0.1", log=log).problems == []


def test_a_changed_log_of_one_zone_stops_no_other_and_the_command_ends_with_it(lake):
    contract = PUBLIC_VISITS | {"release": PUBLIC_VISITS["release"] | {"mode": "controlled"}}
    write_contract(lake.settings.schemas, NAME, contract)
    again = Lake(lake.settings, load_catalogue(lake.settings.schemas))
    approvals.approve(again, NAME, by="officer@city.example")
    log = open_(lake) / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-40])
    put_gold(again, visits(county=90), NAME)
    done = call(lake, "release", NAME, "--by", "officer@city.example")
    assert done.returncode == 1
    assert "open/log.jsonl: the last line of the log is cut off" in " ".join(done.stderr.split())
    folder = lake.objects.local("controlled")
    assert [one["version"] for one in read_log(folder / "log.jsonl")] == [done.stdout.strip().rpartition("/")[2]]
    assert NAME in (folder / "index.json").read_text()


@pytest.mark.minio
def test_in_a_bucket_what_was_never_finished_is_told_from_what_lost_its_manifest(lake, bucket_lake, tmp_path):
    names = sorted(path for path in open_(lake).rglob("*") if path.is_file() and path.suffix != ".html")
    with Lake.open(Settings(root=tmp_path / "machine", schemas=lake.settings.schemas)) as found:
        for path in names:
            found.objects.write(f"open/{path.relative_to(open_(lake))}", path.read_bytes())
        found.objects.write(f"open/{SLUG}/1.0.2/visits.csv", b"of a run that died before its manifest")
        assert [one.version for one in listing.everything(found.objects, Layer.OPEN)] == ["1.0.0", "1.0.1", "1.0.0"]
        found.objects.remove(f"open/{SLUG}/1.0.1/manifest.json")
        damaged = []
        assert [one.version for one in listing.everything(found.objects, Layer.OPEN, damaged)] == ["1.0.0", "1.0.0"]
        assert [(one.dataset, one.version) for one in damaged] == [(NAME, "1.0.1")]
        with pytest.raises(listing.Damaged, match=r"manifest\.json of version 1\.0\.1 is missing"):
            listing.latest(found.objects, NAME)
