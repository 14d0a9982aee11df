"""Building the site: after every release and withdrawal, cheap when nothing changed, and safe wherever it dies."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx
import pytest
from rdflib import DCAT, DCTERMS, RDF, Graph

from jobs.catalogue import load_catalogue
from jobs.layers import Layer
from jobs.operation import tasks
from jobs.portal.build import build
from jobs.portal.serve import serving
from jobs.releases import announcement, approvals, recipes
from jobs.releases.verify import verify
from jobs.settings import Settings
from jobs.stages import publish
from jobs.storage.tables import Lake
from tests.forks import ending
from tests.releases.conftest import PUBLIC_VISITS, copy_of, put_gold, visits, write_schemas

NAME = "health/visits"
LAKE = Path(sys.executable).with_name("lake")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a lake with one release and gold rows for another, and of its schemas; to be copied."""
    folder = tmp_path_factory.mktemp("given")
    settings = Settings(root=folder / "lake", schemas=write_schemas(folder / "schemas", PUBLIC_VISITS))
    found = Lake(settings, load_catalogue(settings.schemas))
    approvals.approve(found, NAME, by="officer@city.example")
    put_gold(found, visits())
    publish.run(found, NAME, approved_by="officer")
    put_gold(found, visits(county=60))
    return folder


@pytest.fixture
def lake(given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Return such a lake of the test's own, which is the environment's too."""
    found = copy_of(given, tmp_path)
    monkeypatch.setenv("LAKE_ROOT", str(found.settings.root))
    monkeypatch.setenv("LAKE_SCHEMAS", str(found.settings.schemas))
    return found


@pytest.fixture(scope="module")
def built_once(given: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of such a lake whose site is built, and of its schemas; to be copied."""
    folder = tmp_path_factory.mktemp("built")
    build(copy_of(given, folder))
    return folder


@pytest.fixture
def built(built_once: Path, tmp_path: Path) -> Lake:
    """Return a lake of the test's own whose site is built; it is not the environment's."""
    return copy_of(built_once, tmp_path)


def _opened(lake: Lake) -> Path:
    return lake.objects.local(Layer.OPEN.value)


def _reached(opened: Path) -> Iterator[Path]:
    """Follow links from the home page to pages, as a reader would; every one of them must be there."""
    waiting, seen = [opened / "index.html"], set()
    while waiting:
        page = waiting.pop().resolve()
        if page in seen:
            continue
        seen.add(page)
        text = page.read_text(encoding="utf-8")
        assert text.rstrip().endswith("</html>"), page
        yield page
        for target in re.findall(r'<a [^>]*href="([^":#?]+\.html)', text):
            waiting.append(page.parent / target)


def _state(opened: Path) -> dict[str, bytes]:
    return {
        path.relative_to(opened).as_posix(): path.read_bytes() for path in opened.rglob("*") if path.is_file()
    }


def test_the_command_line_shows_a_release_and_a_withdrawal_on_the_site_at_once(lake: Lake) -> None:
    words = ["release", NAME, "--by", "dpo@city.example"]
    done = subprocess.run([LAKE, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, "files written" in done.stderr) == (0, True), done.stderr
    page = _opened(lake) / "health__visits/1.0.1/index.html"
    assert "visits.parquet" in page.read_text(encoding="utf-8")
    words = ["withdraw", NAME, "1.0.1", "--reason", "a <wrong> file", "--by", "dpo@city.example", "--json"]
    subprocess.run([LAKE, *words], capture_output=True, text=True, check=True)
    for one, said in ((page, "已由发布方签名撤回"), (page.with_name("index.en.html"), "withdrawn by a statement")):
        text = one.read_text(encoding="utf-8")
        assert said in text
        assert "a &lt;wrong&gt; file" in text
        assert "visits.parquet" not in text
        assert "site/style.css" in text


def test_airflows_task_builds_what_a_release_changed_and_then_nothing(lake: Lake) -> None:
    first = tasks.site()
    assert (first["datasets"], first["renewed"]) == (1, 1)
    again = tasks.site()
    assert (again["renewed"], again["written"]) == (0, 0)
    tasks.perform("publish", NAME, approved_by="officer")
    assert tasks.site()["renewed"] == 1
    publish.withdraw(lake, NAME, ["1.0.1"], reason="an error", by="officer")
    assert tasks.site()["renewed"] == 1
    assert "an error" in (_opened(lake) / "health__visits/1.0.1/index.en.html").read_text(encoding="utf-8")


def test_a_page_somebody_removed_is_made_again(built: Lake) -> None:
    page = _opened(built) / "health__visits/1.0.0/index.en.html"
    before = page.read_bytes()
    page.unlink()
    assert build(built)["written"] == 1
    assert page.read_bytes() == before


def test_killed_at_any_durable_step_every_page_a_reader_reaches_is_whole(built: Lake, tmp_path: Path) -> None:
    lake = built
    publish.run(lake, NAME, approved_by="officer")
    publish.withdraw(lake, NAME, ["1.0.0"], reason="an error", by="officer")
    root, before = lake.settings.root, tmp_path / "before"
    shutil.copytree(root, before)

    ended, steps = ending(lake.settings, build, "/", 0)
    expected = _state(_opened(lake))
    assert ended == 0
    assert steps > 5
    for step in sorted({1 + round(n * (steps - 1) / 6) for n in range(7)}):
        shutil.rmtree(root)
        shutil.copytree(before, root)
        assert ending(lake.settings, build, "/", step) == (9, None)
        assert len(list(_reached(_opened(lake)))) >= 8
        build(lake)
        assert _state(_opened(lake)) == expected, step


def test_every_address_of_a_version_that_a_description_names_leads_to_its_page(lake: Lake) -> None:
    publish.run(lake, NAME, approved_by="officer")
    publish.withdraw(lake, NAME, ["1.0.0"], reason="an error", by="officer")
    build(lake)
    announcement.announce(lake)
    opened = _opened(lake)
    graph = Graph().parse(opened / "catalogue.ttl").parse(opened / "health__visits/1.0.1/dcat.ttl")
    named = {str(one) for one in graph.subjects(RDF.type, DCAT.Dataset)} | {
        str(one) for kind in (DCAT.landingPage, DCAT.accessURL, DCTERMS.identifier) for one in graph.objects(None, kind)
    }
    feed = ElementTree.parse(opened / "feed.atom").getroot()
    named |= {link.attrib["href"] for link in feed.iter("{http://www.w3.org/2005/Atom}link")}
    portal = lake.settings.portal
    versions = sorted(one for one in named if one.startswith(f"{portal}health__visits/1."))
    assert {one.rpartition("/1.0.")[2][:2] for one in versions} == {"0/", "1/"}
    with serving(opened) as server, httpx.Client(base_url=server.address) as client:
        for one in versions:
            answer = client.get(urlsplit(one).path.removeprefix(urlsplit(portal).path.rstrip("/")))
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8"), one
            assert "就诊" in answer.text


def test_nothing_is_announced_before_the_site_shows_it(lake: Lake) -> None:
    opened = _opened(lake)
    files = [opened / "feed.atom", opened / "sitemap.xml"]
    assert not any("1.0.0" in file.read_text() for file in files)  # the site leads to the feed: it is there, and empty
    build(lake)
    announcement.announce(lake)
    before = [file.read_bytes() for file in files]
    assert all(b"health__visits/1.0.0/" in data for data in before)
    publish.run(lake, NAME, approved_by="officer")
    assert [file.read_bytes() for file in files] == before
    tasks.site()
    assert [file.read_bytes() for file in files] == before
    tasks.announced()
    assert all("health__visits/1.0.1/" in file.read_text() for file in files)
    told = [file.stat().st_mtime_ns for file in files]
    tasks.announced()
    assert [file.stat().st_mtime_ns for file in files] == told


def test_the_pages_beside_a_release_are_not_taken_for_it_and_anything_else_is(lake: Lake) -> None:
    publish.withdraw(lake, NAME, ["1.0.0"], reason="an error", by="officer")
    publish.run(lake, NAME, approved_by="officer")
    build(lake)
    for version, status in (("1.0.0", "withdrawn"), ("1.0.1", "released")):
        found = verify(_opened(lake) / "health__visits" / version)
        assert (found.problems, found.status) == ([], status)
        assert any(check == "pages" and "nothing here speaks for them" in what for check, _, what in found.rows)
    (_opened(lake) / "health__visits/1.0.1/index.zh.html").write_text("not ours")
    assert any("index.zh.html" in one for one in verify(_opened(lake) / "health__visits/1.0.1").problems)


def test_the_portals_pages_about_a_version_are_no_part_of_what_a_rebuild_compares(built: Lake) -> None:
    (released,) = (path.parent for path in _opened(built).glob("health__visits/*/index.html"))
    assert {row["result"] for row in recipes.rebuild(built, NAME, released.name)} == {"equal"}
