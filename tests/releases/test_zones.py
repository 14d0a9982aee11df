"""Where a release lies: each mode has a zone of its own, and the open one tells of what is public alone."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys
from xml.etree import ElementTree

import pytest
from rdflib import DCAT, DCTERMS, RDF, Graph, Literal

from jobs.errors import ReleaseRefused
from jobs.layers import Layer, release_path, zone, zone_address
from jobs.portal.build import build
from jobs.releases import announcement, approvals, listing, recipes
from jobs.releases.verify import verify
from jobs.stages import publish
from tests.releases.conftest import (
    PUBLIC_VISITS,
    VISITS,
    copy_of,
    lake_in,
    put_gold,
    visits,
    write_contract,
    write_schemas,
)

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


def test_versions_are_numbered_together_and_no_change_file_crosses_a_zone(released, opened, schemas):
    lake = released
    release(lake, rows=visits(county=40))
    write_contract(schemas, NAME, PUBLIC_VISITS)
    lake = opened()
    with pytest.raises(ReleaseRefused, match="every group would have to be left out"):
        release(lake, rows=visits(county=41))  # 1 and 11 people more than versions of groups of 5: not for groups of 20
    release(lake, rows=visits(county=60))
    first, second, third = listing.versions(lake.objects, NAME)
    assert [one.zone for one in (first, second, third)] == [Layer.CONTROLLED, Layer.CONTROLLED, Layer.OPEN]
    assert (first.version, second.version) == ("1.0.0", "1.0.1")
    assert third.manifest["changes"]["restart"] == "there is no version before"
    assert not (third.folder / "changes").exists()
    assert third.manifest["previous"] is None
    assert verify(third.folder).problems == []
    index = json.loads(lake.objects.read("open/index.json"))
    assert [one["version"] for one in index["datasets"][0]["versions"]] == [third.version]
    assert json.loads(lake.objects.read(f"open/{SLUG}/latest.json"))["version"] == third.version
    assert json.loads(lake.objects.read(f"controlled/{SLUG}/latest.json"))["version"] == "1.0.1"
    release(lake, rows=visits(county=80))
    *_, fourth = listing.versions(lake.objects, NAME)
    assert fourth.manifest["changes"]["windows"]["last"] == third.version


@pytest.mark.parametrize(
    ("mode", "titles", "news"),
    [
        ("controlled", ["Controlled data of the city", "受控公开共享数据目录"],
         "受控公开共享数据发布 · Releases of controlled data"),
        ("enclave", ["Enclave data of the city", "领地公开共享数据目录"],
         "领地公开共享数据发布 · Releases of enclave data"),
        ("public", ["Open data of the city", "公共数据开放目录"], "开放数据发布 · Releases of open data"),
    ],
)  # fmt: skip
def test_a_zones_catalogue_and_feed_say_what_it_holds_and_only_the_open_one_leads_search_engines(
    opened, schemas, mode, titles, news
):
    write_contract(schemas, NAME, {**(PUBLIC_VISITS if mode == "public" else VISITS), "release": {
        **VISITS["release"], "mode": mode,
    }})  # fmt: skip
    lake, place = opened(), zone(mode).value
    if mode != "public":
        lake.objects.write(f"{place}/sitemap.xml", b"of earlier code")
    release(lake)
    build(lake)
    announcement.announce(lake)
    folder = lake.objects.local(place)
    feed = ElementTree.parse(folder / "feed.atom").getroot()
    assert feed.findtext("{*}title") == news
    for name in ("catalogue.ttl", "harvest/catalogue.ttl"):
        graph = Graph().parse(folder / name)
        (catalogue,) = graph.subjects(RDF.type, DCAT.Catalog)
        assert sorted(map(str, graph.objects(catalogue, DCTERMS.title))) == titles
        told = [str(one) for one in graph.objects() if isinstance(one, Literal)]
        links = [str(one) for one in graph.objects(None, DCAT.landingPage)]
        for page in links if mode == "public" else [*links, feed.find("{*}entry/{*}link").attrib["href"]]:
            assert (folder / page.removeprefix(zone_address(lake.settings.portal, zone(mode)))).is_file()
        if mode != "public":
            told += [one.text or "" for one in feed.iter() if not one.tag.endswith("}id")]
            words = [one for one in told if re.search(r"\bopen\b|开放", one, re.IGNORECASE) and "://" not in one]
            assert words == []
    assert (folder / "sitemap.xml").exists() == (mode == "public")


@pytest.fixture(scope="module")
def moved_once(tmp_path_factory):
    """Return the folder of a lake and its schemas, to be copied, never changed.

    A dataset was public, then controlled, then public again, two versions each time.
    """
    folder = tmp_path_factory.mktemp("moved")
    schemas = write_schemas(folder / "schemas")
    counties = iter((60, 90, 120, 150, 180, 210))
    for contract in (PUBLIC_VISITS, VISITS, PUBLIC_VISITS):
        write_contract(schemas, NAME, contract)
        lake = lake_in(folder)
        release(lake, rows=visits(county=next(counties)))
        release(lake, rows=visits(county=next(counties)))
    announcement.announce(lake)
    build(lake)
    return folder


@pytest.fixture
def moved(moved_once, schemas):
    """Return such a lake of the test's own, which `opened` opens with the contracts as they now stand."""
    return copy_of(moved_once, schemas.parent)


def test_each_zone_has_a_chain_of_its_own_that_verifies_by_itself_and_tells_of_no_other(
    moved, tmp_path, monkeypatch, capsys
):
    there = listing.versions(moved.objects, NAME)
    zones = [one.zone.value for one in there]
    assert zones == ["open", "open", "controlled", "controlled", "open", "open"]
    before = [(one.manifest["previous"] or {"version": None})["version"] for one in there]
    names = [one.version for one in there]
    assert before == [None, names[0], None, names[2], names[1], names[4]]
    assert [one.manifest["changes"]["restart"] for one in there] == [
        "there is no version before", "", "there is no version before", "", "", "",
    ]
    assert there[4].manifest["changes"]["windows"]["last"] == names[1]
    for place, count in (("open", 4), ("controlled", 2)):
        shutil.copytree(moved.objects.local(place), tmp_path / place)
        folders = sorted(path.parent for path in (tmp_path / place / SLUG).glob("*/manifest.json"))
        assert len(folders) == count
        for folder in folders:
            monkeypatch.chdir(folder)
            monkeypatch.setattr(sys, "argv", ["verify.py", ".", "--log", str(tmp_path / place / "log.jsonl")])
            with pytest.raises(SystemExit) as ended:
                runpy.run_path("verify.py", run_name="__main__")
            told = capsys.readouterr().out
            assert ended.value.code == 0, told
            assert "is not beside this one" not in told  # no dead link
            assert re.search(r"holds +chain", told)
            assert "fails" not in told
            if place == "open":  # whose terms are those that stand
                assert {row["result"] for row in recipes.rebuild(moved, NAME, folder.name)} == {"equal"}
    closed = [one.version for one in there if one.zone is Layer.CONTROLLED]
    for path, data in texts(moved, "open").items():
        if path.suffix not in (".parquet", ".js", ".wasm") and path.name != "verify.py":
            assert not any(f'"{name}"'.encode() in data or f"/{name}/".encode() in data for name in closed), path
            assert b"in another zone" not in data


def test_the_same_rows_as_the_zones_newest_version_are_known_whatever_lay_elsewhere_since(moved, opened, schemas):
    write_contract(schemas, NAME, VISITS)
    lake = opened()
    release(lake, rows=visits(county=240))
    write_contract(schemas, NAME, PUBLIC_VISITS)
    lake = opened()
    assert release(lake, rows=visits(county=210)).outcome == "known"
    assert listing.latest(lake.objects, NAME).zone is Layer.CONTROLLED


def test_what_breaks_is_told_by_the_zones_own_last_version_and_seen_in_the_number(opened, schemas, change):
    write_contract(schemas, NAME, PUBLIC_VISITS)
    release(opened(), rows=visits(county=60))
    write_contract(schemas, NAME, VISITS)
    change(NAME, "fields", "birth_date", "publish", to={"as": "birth_years", "generalise": "ten_years"})
    release(opened(), rows=visits(county=60))
    write_contract(schemas, NAME, PUBLIC_VISITS)
    change(NAME, "fields", "birth_date", "publish", to={"as": "birth_years", "generalise": "ten_years"})
    release(opened(), rows=visits(county=60))
    first, second, third = listing.versions(opened().objects, NAME)
    assert (first.version, second.version, third.version) == ("1.0.0", "2.0.0", "3.0.0")
    assert second.manifest["breaking"] == []  # nobody who reads controlled data had any
    assert third.manifest["breaking"] == ["the column birth_band is gone"]


def test_a_withdrawal_in_several_zones_tells_each_of_its_own_versions_alone(moved):
    there = listing.versions(moved.objects, NAME)
    publish.withdraw(moved, NAME, [one.version for one in there], reason="wrong rows", by="officer")
    for one in listing.versions(moved.objects, NAME):
        own = {other.version for other in there if other.zone is one.zone}
        assert one.withdrawn
        assert all(set(said["versions"]) == own for said in one.withdrawals)
        assert verify(one.folder).status == "withdrawn"


def test_a_controlled_version_is_withdrawn_where_it_lies(released):
    lake = released
    publish.withdraw(lake, NAME, ["1.0.0"], reason="wrong rows", by="officer")
    announcement.announce(lake)
    folder = lake.objects.local(f"controlled/{SLUG}/1.0.0")
    assert not (folder / "visits.csv").exists()
    assert json.loads(lake.objects.read(f"controlled/{SLUG}/latest.json"))["version"] is None
    assert "withdrawn" in lake.objects.read("controlled/feed.atom").decode()
    assert SLUG not in lake.objects.read("open/feed.atom").decode()


def test_what_lies_open_by_mistake_is_not_announced(released):
    lake = released
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
