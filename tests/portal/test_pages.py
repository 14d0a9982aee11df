"""The pages as files: whole in both languages, inert, the same every time, never naming another host to fetch from."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

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


def test_every_link_inside_the_site_leads_somewhere(opened: Path) -> None:
    for path in _pages(opened):
        for tag, attributes in Parts(path.read_text(encoding="utf-8")).elements:
            target = (attributes.get("href") or "").partition("#")[0].partition("?")[0] if tag == "a" else ""
            if target and ":" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"


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
    from jobs.portal.words import DEPARTMENTS, department

    assert all(isinstance(one, Text) for one in DEPARTMENTS.values())
    assert department("water_works/levels").en == "Water works"
