"""The risk report as a page: whole without any other host, its charts drawn from the figures."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
from typer.testing import CliRunner

from jobs.cli import app
from jobs.privacy.risk.measure import measure
from jobs.privacy.risk.page import page

ROWS = pl.DataFrame({
    "sex": ["1"] * 30 + ["2"] * 30 + ["2"],
    "year": ["1980"] * 30 + ["1990"] * 30 + ["1901"],
    "illness": ["flu", "gout"] * 30 + ["<script>alert(1)</script>"],
})  # fmt: skip


def drawn(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(one) for one in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def test_the_page_asks_no_other_host_and_runs_nothing() -> None:
    html = page(measure(ROWS.lazy(), ["sex", "year"], ["illness"]), "<b>visits</b>.csv")
    assert not re.search(r"https?://|src=|href=|<script|@import|url\(", html)
    assert "&lt;b&gt;visits" in html


def test_every_chart_is_an_inline_drawing_whose_bars_are_the_figures() -> None:
    found = measure(ROWS.lazy(), ["sex", "year"], ["illness"])
    html = page(found, "visits.csv")
    charts = {one.get("aria-label"): one for one in drawn(html)}
    assert set(charts) == {
        "risks", "rows by size of class", "rows singled out by number of columns", "most frequent sensitive value"
    }
    bars = charts["rows by size of class"].findall("rect")
    widths = [float(one.get("width") or 0) for one in bars]
    assert max(widths) == widths[5]  # 60 of 61 rows are in classes of 20 to 49
    assert [one["rows"] for one in found["class_sizes"]] == [1, 0, 0, 0, 0, 60, 0, 0, 0]
    assert [one.get("fill") for one in bars[:5]] == ["#cf222e"] * 5  # below the threshold of 20
    assert bars[5].get("fill") == "#0969da"


def test_the_verdict_stands_first_and_in_the_officers_language() -> None:
    failing = page(measure(ROWS.lazy(), ["sex", "year"]), "visits.csv")
    passing = page(measure(ROWS.filter(pl.col("year") != "1901").lazy(), ["sex", "year"]), "visits.csv")
    assert "重标识风险" in passing
    assert 'class="verdict passes"' in passing
    assert 'class="verdict fails"' in failing
    assert failing.index("verdict fails") < failing.index("<h2>")


def test_a_table_of_suppressed_rows_alone_has_a_page_too() -> None:
    stars = pl.DataFrame({"sex": ["*", "*"]})
    assert "nothing to judge" in page(measure(stars.lazy(), ["sex"]), "stars.csv")


def test_lake_risk_writes_the_page(tmp_path: Path) -> None:
    ROWS.write_csv(tmp_path / "visits.csv")
    arguments = ["risk", str(tmp_path / "visits.csv"), "--quasi", "sex,year", "--html", str(tmp_path / "risk.html")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "<svg" in (tmp_path / "risk.html").read_text(encoding="utf-8")
