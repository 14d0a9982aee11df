"""The pages as files: whole in both languages, inert, the same every time, never naming another host to fetch from."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree

import httpx
import polars as pl
import pytest

from jobs.contract import Text
from jobs.layers import Layer
from jobs.portal import charts
from jobs.portal.build import build
from jobs.portal.profile import counts, is_time, plottable, profile
from jobs.portal.snippets import snippets
from jobs.portal.words import words
from jobs.releases import listing
from jobs.releases.metadata.entry import Entry
from jobs.settings import PROJECT
from jobs.storage.tables import Lake
from tests.portal.conftest import HOSTILE

NAMING = {".html", ".xml", ".atom", ".json", ".jsonl", ".jsonld", ".ttl", ".md", ".yaml", ".txt"}
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "object": "data", "source": "src"}


class Parts(HTMLParser):
    """Gather a page's elements and its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def _pages(opened: Path) -> list[Path]:
    found = list(opened.rglob("*.html"))
    assert len(found) >= 10
    return found


def test_every_page_has_its_other_language(opened: Path) -> None:
    for path in _pages(opened):
        ends = (".en.html", ".html") if ".en." in path.name else (".html", ".en.html")
        other = path.name.replace(*ends)
        assert (path.parent / other).is_file()
        assert f'href="{other}"' in path.read_text(encoding="utf-8")


def test_no_word_is_missing_in_a_language() -> None:
    assert all(text.strip() for language in ("zh", "en") for text in words(language).values())


def test_hostile_values_and_reasons_are_text_everywhere(opened: Path) -> None:
    for path in _pages(opened):
        page = path.read_text(encoding="utf-8")
        assert HOSTILE not in page
        for tag, attributes in Parts(page).elements:
            assert tag not in ("img", "iframe", "object")
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert "&lt;b&gt;wrong&lt;/b&gt;" in (opened / "health__visits/1.0.0/index.html").read_text(encoding="utf-8")


def test_no_page_loads_anything_from_another_host(opened: Path) -> None:
    for path in _pages(opened):
        for tag, attributes in Parts(path.read_text(encoding="utf-8")).elements:
            if tag == "link" and attributes.get("rel") in ("canonical", "alternate"):
                continue
            asked = attributes.get(LOADS.get(tag, ""), "") or ""
            assert not re.match(r"(?i)(https?:)?//", asked), f"{path.name} loads {asked}"


def test_every_address_that_anything_on_the_site_names_is_served(
    released: Lake, opened: Path, address: str
) -> None:
    portal = released.settings.portal
    named = re.compile(re.escape(portal) + r"""[^\s"'<>\\)\]}`]*""")
    asked: dict[str, str] = {}
    for path in opened.rglob("*"):
        place = path.relative_to(opened).as_posix()
        if path.is_file() and path.suffix in NAMING and not place.startswith("site/"):
            text = path.read_text(encoding="utf-8")
            found = (one.removeprefix(portal).rstrip(".,;") for one in named.findall(unescape(text)))
            asked |= dict.fromkeys(found, place)
        if path.suffix == ".html":
            for tag, attributes in Parts(text).elements:
                target = attributes.get("href" if tag in ("a", "link") else "src") or ""
                if target and not re.match(r"[a-z]+:", target):
                    asked[urljoin(place, target)] = place
    assert {"themes", "themes/5", "departments/health#contact", "feed.atom", "health__visits/1.0.0/"} <= set(asked)
    with httpx.Client(base_url=address, follow_redirects=True) as client:
        for target, place in asked.items():
            answer = client.get(target.partition("#")[0])
            assert answer.status_code == 200, f"{place} names {target}"
            mark = target.partition("#")[2]
            if place.endswith(".html") and mark:
                assert f'id="{mark}"' in answer.text, f"{place} names {target}"


@pytest.mark.parametrize(("end", "theme"), [("", "卫生"), (".en", "Health")])
def test_each_domain_and_department_has_a_page_with_its_datasets(opened: Path, end: str, theme: str) -> None:
    def read(name: str) -> str:
        return (opened / f"{name}/index{end}.html").read_text(encoding="utf-8")

    assert len(list((opened / "themes").glob(f"*/index{end}.html"))) == 20
    health = read("themes/5")
    assert f"<h1>{theme}</h1>" in health
    assert all(f'href="../../{slug}/index{end}.html"' in health for slug in ("health__visits", "products__headcount"))
    assert "health__visits" not in read("themes/1")
    assert 'id="health__visits"' in read("departments/health")
    assert "products__headcount" not in read("departments/health")
    assert f'href="../themes/5/index{end}.html"' in read("health__visits")


def test_what_was_held_back_and_that_nobody_was_attacked_is_said_in_words(released: Lake, opened: Path) -> None:
    newest = listing.versions(released.objects, "health/visits")[-1]
    held = newest.manifest["risk"]["held_back"]
    for end, least, groups in (
        ("", f"须不少于 {held['least_change']} 行", f"本版有 {held['groups_held']} 组"),
        (".en", f"by at least {held['least_change']} rows", f"version: {held['groups_held']} groups"),
    ):
        page = (opened / f"health__visits/index{end}.html").read_text(encoding="utf-8")
        assert least in page
        assert groups in page
        assert words("en" if end else "zh")["attack_none"] in page


def test_the_page_describes_the_dataset_to_search_engines(opened: Path) -> None:
    page = (opened / "health__visits/index.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    assert json.loads(found.group(1))["@type"] in ("Dataset", "sc:Dataset", "schema:Dataset")


def test_the_site_map_names_every_page_and_its_other_language(opened: Path) -> None:
    names = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9", "x": "http://www.w3.org/1999/xhtml"}
    urls = ElementTree.fromstring((opened / "pages.xml").read_text(encoding="utf-8")).findall("s:url", names)
    assert len(urls) == len(_pages(opened))
    assert all(len(url.findall("x:link", names)) == 2 for url in urls)


def test_a_second_build_writes_nothing_and_leaves_the_releases_as_they_were(released: Lake, opened: Path) -> None:
    before = {path: path.read_bytes() for path in opened.rglob("manifest.json")}
    assert build(released)["written"] == 0
    assert before == {path: path.read_bytes() for path in opened.rglob("manifest.json")}
    assert [one.version for one in listing.versions(released.objects, "health/visits")] == ["1.0.0", "1.0.1", "1.0.2"]


def test_an_asset_that_is_no_longer_there_is_removed(released: Lake) -> None:
    old = f"{Layer.OPEN}/site/old.js"
    released.objects.write(old, b"old")
    build(released)
    assert not released.objects.exists(old)


def test_every_snippet_names_the_released_file(released: Lake) -> None:
    entry = Entry.of(listing.versions(released.objects, "health/visits")[-1].manifest)
    assert all(f"{entry.address}visits.parquet" in code for _, code in snippets(entry))
    assert len(snippets(entry)) == 4


def test_a_profile_counts_what_is_there() -> None:
    numbers = profile(pl.Series([1, 2, 3, None, 100]))
    assert (numbers.kind, numbers.nulls, numbers.low, numbers.high) == ("number", 1, "1", "100")
    assert sum(count for _, count in numbers.bars) == 4
    texts = profile(pl.Series(["b", "a", "b", None]))
    assert (texts.bars, texts.distinct, texts.filled) == ((("b", 2), ("a", 1)), 2, 0.75)
    assert profile(pl.Series([None, None], dtype=pl.String)).kind == "empty"
    assert profile(pl.Series([5.0, 5.0])).bars == (("5", 2),)
    assert profile(pl.Series([float("nan"), 1.0])).bars == (("1", 1),)


def test_plots_sum_the_count_and_know_time_from_category() -> None:
    table = pl.DataFrame({"year": ["1990", "1991", "1991"], "sex": ["1", "2", "2"], "people": [5, 6, 7]})
    columns: list[dict[str, Any]] = [
        {"name": "sex", "codes": "sex", "measure": None}, {"name": "year", "codes": None, "measure": None},
        {"name": "people", "codes": None, "measure": "count"},
    ]
    assert plottable(table, columns) == [("year", "time"), ("sex", "category")]
    assert counts(table, "year", "people") == [("1990", 5.0), ("1991", 13.0)]
    assert counts(table, "year", None) == [("1990", 1.0), ("1991", 2.0)]
    assert is_time(["1980-1984", "1985-1989", "*"])
    assert not is_time(["330102", "330105"])


@pytest.mark.parametrize("codes", [["330102", "330105"], ["330000", "110000", "460000"]])
def test_divisions_are_tiles_of_counties_or_of_provinces_and_valid_xml(codes: list[str]) -> None:
    drawn = charts.tiles([(code, f'"<{code}>', 3.0) for code in codes], "<by division>", "zh")
    tree = ElementTree.fromstring(drawn)
    tiles = tree.findall("g")
    assert len(tiles) == (len(codes) if codes[0] == "330102" else len(charts.PROVINCES))
    assert sum(tile.get("class") != "shade-none" for tile in tiles) == len(codes)


def test_no_two_provinces_stand_on_one_tile() -> None:
    assert len({(column, row) for *_, column, row in charts.PROVINCES.values()}) == len(charts.PROVINCES) == 34


def test_the_front_ends_lock_names_no_host_but_the_public_registry() -> None:
    lock = (PROJECT / "jobs/portal/site/package-lock.json").read_text(encoding="utf-8")
    hosts = set(re.findall(r'"resolved": "https?://([^/"]+)', lock))
    assert hosts <= {"registry.npmjs.org"}
    assert lock.count('"integrity"') > 10


def test_text_of_departments_is_in_both_languages() -> None:
    from jobs.releases.metadata.departments import DEPARTMENTS, department

    assert all(isinstance(one, Text) for one in DEPARTMENTS.values())
    assert department("water_works/levels").en == "Water works"
