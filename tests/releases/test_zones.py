"""Where a release lies: each mode has a zone of its own, and the open one tells of what is public alone."""

from __future__ import annotations

import json
import shutil

import pytest

from jobs.errors import ReleaseRefused
from jobs.layers import Layer, release_path, zone, zone_address
from jobs.portal.build import build
from jobs.releases import announcement, approvals, listing
from jobs.releases.verify import verify
from jobs.stages import publish
from tests.releases.conftest import PUBLIC_VISITS, put_gold, visits, write_contract

NAME, SLUG, COUNTED = "health/visits", "health__visits", "products/headcount"


def release(lake, name=NAME, rows=None):
    put_gold(lake, visits() if rows is None else rows, name)
    approvals.approve(lake, name, by="officer@city.example")
    return publish.run(lake, name, approved_by="officer")[0]


def texts(lake, place):
    folder = lake.objects.local(place)
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["controlled", "enclave"])
def test_what_is_not_public_lies_in_its_own_zone_and_nothing_open_tells_of_it(opened, change, mode):
    change(NAME, "release", "mode", to=mode)
    lake = opened()
    release(lake, COUNTED)
    report = release(lake)
    build(lake)
    folder = lake.objects.local(f"{mode}/{SLUG}/1.0.0")
    assert report.extra["path"] == str(folder)
    assert verify(folder, log=lake.objects.local(f"{mode}/log.jsonl")).problems == []
    open_ = texts(lake, "open")
    assert {"feed.atom", "index.html", "index.json", "catalogue.ttl", "sitemap.xml", "log.jsonl", "key.json"} <= {
        path.name for path in open_
    }
    assert any(b"products__headcount" in data for data in open_.values())
    assert [path for path, data in open_.items() if SLUG.encode() in data] == []
    # What counts visits may say what it counts.
    telling = {path for path, data in open_.items() if NAME.encode() in data}
    assert all("products__headcount" in path.parts for path in telling)
    assert not list(lake.objects.local("open").rglob(f"*{SLUG}*"))
    own = json.loads((folder.parents[1] / "index.json").read_text())
    assert [one["name"] for one in own["datasets"]] == [NAME]
    assert own["datasets"][0]["versions"][0]["url"] == f"https://open-data.example.gov/{mode}/{SLUG}/1.0.0/"
    assert (folder.parents[1] / "key.json").read_bytes() == lake.objects.read("open/key.json")
    assert {row["zone"]: row["dataset"] for row in listing.releases(lake)} == {"open": COUNTED, mode: NAME}


def test_versions_are_numbered_together_and_no_change_file_crosses_a_zone(opened, schemas):
    lake = opened()
    release(lake)
    release(lake, rows=visits(county=40))
    write_contract(schemas, NAME, PUBLIC_VISITS)
    lake = opened()
    with pytest.raises(ReleaseRefused, match="every group would have to be left out"):
        release(lake, rows=visits(county=41))  # 1 and 11 people more than versions of groups of 5: not for groups of 20
    release(lake, rows=visits(county=60))
    first, second, third = listing.versions(lake.objects, NAME)
    assert [one.zone for one in (first, second, third)] == [Layer.CONTROLLED, Layer.CONTROLLED, Layer.OPEN]
    assert (first.version, second.version) == ("1.0.0", "1.0.1")
    assert third.manifest["changes"]["restart"] == "version 1.0.1 lies in another zone, controlled"
    assert not (third.folder / "changes").exists()
    assert third.manifest["previous"]["version"] == "1.0.1"
    assert verify(third.folder).problems == []
    index = json.loads(lake.objects.read("open/index.json"))
    assert [one["version"] for one in index["datasets"][0]["versions"]] == [third.version]
    assert json.loads(lake.objects.read(f"open/{SLUG}/latest.json"))["version"] == third.version
    assert json.loads(lake.objects.read(f"controlled/{SLUG}/latest.json"))["version"] == "1.0.1"
    release(lake, rows=visits(county=80))
    *_, fourth = listing.versions(lake.objects, NAME)
    assert fourth.manifest["changes"]["windows"]["last"] == third.version


def test_a_controlled_version_is_withdrawn_where_it_lies(opened):
    lake = opened()
    release(lake)
    publish.withdraw(lake, NAME, ["1.0.0"], reason="wrong rows", by="officer")
    announcement.announce(lake)
    folder = lake.objects.local(f"controlled/{SLUG}/1.0.0")
    assert not (folder / "visits.csv").exists()
    assert json.loads(lake.objects.read(f"controlled/{SLUG}/latest.json"))["version"] is None
    assert "withdrawn" in lake.objects.read("controlled/feed.atom").decode()
    assert SLUG not in lake.objects.read("open/feed.atom").decode()


def test_what_lies_open_by_mistake_is_not_announced(opened):
    lake = opened()
    release(lake)
    shutil.copytree(lake.objects.local(f"controlled/{SLUG}"), lake.objects.local(f"open/{SLUG}"))
    announcement.enter(lake)
    build(lake)
    announcement.announce(lake)
    assert json.loads(lake.objects.read("open/index.json"))["datasets"] == []
    assert SLUG not in lake.objects.read("open/feed.atom").decode()
    assert listing.everything(lake.objects, Layer.OPEN) == []


def test_a_mode_has_one_zone_and_a_zone_one_address():
    assert [zone(mode) for mode in ("public", "controlled", "enclave")] == ["open", "controlled", "enclave"]
    assert str(release_path(NAME, "1.0.0", zone("enclave"))) == f"enclave/{SLUG}/1.0.0"
    assert zone_address("https://x/", Layer.OPEN) == "https://x/"
    assert zone_address("https://x/", Layer.CONTROLLED) == "https://x/controlled/"
