"""The site in a real Chromium: what people see and do, without an error and without another host."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb
import pytest
from playwright.sync_api import expect

from jobs.settings import PROJECT
from tests.portal.conftest import Watched

AXE = PROJECT / "jobs/portal/site/node_modules/axe-core/axe.min.js"
PAGES = (
    "index.html", "index.en.html", "health__visits/", "health__visits/1.0.0/", "health__visits/1.0.2/index.en.html",
    "ask.html", "scores.en.html", "themes/5/", "departments/health/index.en.html", "themes/index.en.html",
)
DATA = "visits.parquet"
FIRST_PAGE = 200_000  # bytes, all it loads


def _cards(page: Any) -> list[str]:
    return list(page.locator("#datasets li:visible h3").all_inner_texts())


@pytest.mark.parametrize(
    ("page", "query", "found"),
    [("index.html", "就诊人次统计", []), ("index.html", "就诊 虚构", ["就诊"]),
     ("index.html", "区县统计", ["就诊统计"]), ("index.en.html", "counted", ["Visits counted"]),
     ("index.en.html", "VISITS", ["Visits", "Visits counted"])],
)  # fmt: skip
def test_a_search_in_either_language_finds_what_it_names(
    watched: Watched, page: str, query: str, found: list[str]
) -> None:
    shown = watched.open(page)
    shown.fill("[name=q]", query)
    expect(shown.locator("#count")).to_have_text(str(len(found)))
    assert sorted(_cards(shown)) == sorted(found)


def test_filters_narrow_stay_in_the_address_and_survive_the_language(watched: Watched) -> None:
    page = watched.open()
    page.select_option("[name=department]", "health")
    expect(page.locator("#count")).to_have_text("1")
    assert "department=health" in page.url
    page.click("#language")
    expect(page.locator("#count")).to_have_text("1")
    assert page.locator("html").get_attribute("lang") == "en"
    assert _cards(page) == ["Visits"]
    page.click("button[type=reset]")
    expect(page.locator("#count")).to_have_text("2")


def test_a_dataset_page_shows_plots_fields_and_hostile_cells_as_text(watched: Watched) -> None:
    page = watched.open()
    page.click("#health__visits a")
    page.wait_for_selector("svg.tiles")
    assert page.locator("figure svg").count() >= 3
    assert "<img src=x" in page.locator("main").inner_text()
    assert page.locator("main img").count() == 0
    watched.shot("dataset")


def test_a_download_has_the_digest_the_page_names(watched: Watched) -> None:
    page = watched.open("health__visits/")
    row = page.locator("tr", has_text="visits.parquet").first
    with page.expect_download() as waiting:
        row.locator("a").click()
    data = Path(waiting.value.path()).read_bytes()
    assert hashlib.sha256(data).hexdigest() == row.locator("code").inner_text()


def test_a_question_is_answered_plotted_saved_and_shared_in_the_browser(watched: Watched) -> None:
    page = watched.open("ask.en.html?table=health__visits")
    sql = "SELECT sex_code, count(*) AS people, max(birth_band) AS latest FROM health__visits GROUP BY ALL ORDER BY 1"
    page.fill("#sql", sql)
    page.focus("#sql")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#result table", timeout=30_000)
    assert page.locator("#result th").all_inner_texts() == ["sex_code", "people", "latest"]
    assert page.locator("#plot rect").count() == page.locator("#result tbody tr").count() > 1
    with page.expect_download() as waiting:
        page.click("#csv")
    assert Path(waiting.value.path()).read_bytes().startswith(b"sex_code,people,latest\r\n")
    watched.shot("ask")
    shared = page.url
    page.fill("#sql", "SELECT * FROM read_csv('https://example.org/x.csv')")
    page.click("#run")
    page.wait_for_selector("#status.warn")
    page.goto(shared)
    page.wait_for_selector("#result table", timeout=30_000)
    assert page.input_value("#sql") == sql


@pytest.mark.parametrize(
    ("sql", "names"),
    [("SELECT count(*) AS n FROM health__visits", ["n"]),
     ("SELECT sex_code FROM health__visits WHERE birth_band LIKE '198%' AND remark IS NULL", ["sex_code"]),
     ("FROM health__visits ORDER BY ALL LIMIT 3", ["birth_band", "division_code", "remark", "sex_code"]),
     ("SELECT * EXCLUDE (remark) FROM health__visits", ["birth_band", "division_code", "sex_code"]),
     ("PIVOT health__visits ON sex_code USING count(*) GROUP BY division_code", ["1", "2", "division_code"]),
     ("SELECT max(c.visits) AS n FROM products__headcount c JOIN health__visits v USING (division_code)", ["n"])],
)  # fmt: skip
def test_a_first_answer_is_the_one_the_whole_table_gives(
    watched: Watched, opened: Path, sql: str, names: list[str]
) -> None:
    page = watched.open(f"ask.en.html?{urlencode({'sql': sql})}")
    page.wait_for_selector("#result table", timeout=30_000)
    with page.expect_download() as waiting:
        page.click("#csv")
    with duckdb.connect() as whole:
        for table in ("health__visits", "products__headcount"):
            newest = json.loads((opened / table / "latest.json").read_bytes())["path"]
            data = next((opened / newest).glob("*.parquet"))
            whole.execute(f"CREATE VIEW {table} AS FROM '{data}'")
        wanted = whole.execute(sql).fetchall()
        columns = [name for name, *_ in whole.description]
    with Path(waiting.value.path()).open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert sorted(header) == names == sorted(columns)
    assert sorted(rows) == sorted([["" if cell is None else str(cell) for cell in row] for row in wanted])


def test_what_one_question_fetched_the_next_one_does_not_fetch_again(watched: Watched) -> None:
    asked: list[str] = []
    watched.page.on("request", lambda one: asked.append(one.headers.get("range", "")) if DATA in one.url else None)
    page = watched.open("ask.en.html?table=health__visits")
    for sql in (
        "SELECT sex_code, count(*) AS n FROM health__visits GROUP BY ALL",
        "SELECT division_code, sex_code, count(*) AS n FROM health__visits GROUP BY ALL", "FROM health__visits",
    ):
        page.fill("#sql", sql)
        page.click("#run")
        page.wait_for_selector(f"#result th:nth-child({2 + ('division' in sql)})", timeout=30_000)
        page.wait_for_selector("#status:has-text('rows in')")
    page.wait_for_load_state("networkidle")
    assert len(asked) == len(set(asked)) > 3


def test_a_wrong_question_says_what_is_wrong_and_the_next_one_is_answered(watched: Watched) -> None:
    page = watched.open("ask.en.html?table=health__visits")
    page.fill("#sql", "SELECT nothing_like_it FROM health__visits")
    page.click("#run")
    page.wait_for_selector("#status.warn:has-text('nothing_like_it')", timeout=30_000)
    page.fill("#sql", "SELECT division_code, sex_code, count(*) AS n FROM health__visits GROUP BY ALL")
    page.click("#run")
    page.wait_for_selector("#result table", timeout=30_000)
    assert page.locator("#result th").all_inner_texts() == ["division_code", "sex_code", "n"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_barrier_that_axe_finds(watched: Watched, theme: str) -> None:
    watched.page.emulate_media(color_scheme=theme)
    script = AXE.read_text(encoding="utf-8")
    for name in PAGES:
        page = watched.open(name)
        page.evaluate(script)
        found = page.evaluate("async () => (await axe.run()).violations.map(v => [v.id, v.nodes.map(n => n.html)])")
        assert found == [], f"{name} {theme}"
        watched.shot(f"{name.strip('/').replace('/', '-')}-{theme}")


def test_a_phone_never_scrolls_sideways(watched: Watched) -> None:
    watched.page.set_viewport_size({"width": 360, "height": 740})
    for name in PAGES:
        page = watched.open(name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        watched.shot(f"{name.strip('/').replace('/', '-')}-phone")


def test_dark_mode_is_switched_by_keyboard_and_stays(watched: Watched) -> None:
    page = watched.open()
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.focus("#dark")
    page.keyboard.press("Enter")
    page.goto(watched.address + "scores.html")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def test_the_first_page_is_light(watched: Watched) -> None:
    watched.open("health__visits/index.html").wait_for_load_state("networkidle")
    assert 0 < watched.bytes <= FIRST_PAGE
    watched.bytes = 0
    watched.open("ask.html").wait_for_load_state("networkidle")
    assert 0 < watched.bytes <= FIRST_PAGE * 1.5  # the query page; its engine is loaded by the first question
    watched.bytes = 0
    watched.open("index.html").wait_for_load_state("networkidle")
    assert 0 < watched.bytes <= FIRST_PAGE


def test_pages_are_whole_without_scripts(chromium: Any, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.click("#health__visits a")
    assert page.locator("figure svg").count() >= 3
    assert page.locator("a[download]").count() >= 4
    page.click("#language")
    assert page.locator("h1").inner_text() == "Visits"
    context.close()
