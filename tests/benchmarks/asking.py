"""Time the first answers in the reader's browser: `python -m tests.benchmarks.asking [ROWS] [--rounds N]`.

Releases an invented dataset, builds the site, serves it, and lets Debian's Chromium ask on a fresh profile each time:
from opening the page to the first answer, then a second question on other columns after two seconds,
then the first one again after coming back; last, on a new profile, from pressing the button two seconds after the
cursor entered the question. `--keep DIR` keeps the lake for the next run, `--against DIST` asks another build of the
front end too, turn by turn. Needs `make site`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import numpy as np
import polars as pl
from playwright.sync_api import sync_playwright

from jobs.catalogue import load_catalogue
from jobs.layers import Layer
from jobs.portal.build import ASSETS, BUILT, build
from jobs.portal.serve import serving
from jobs.releases import approvals
from jobs.settings import Settings
from jobs.stages import publish
from jobs.storage.tables import Lake
from tests.portal.conftest import FLAGS
from tests.releases.conftest import PUBLIC_VISITS, put_gold, write_schemas

NAME = "health/visits"
READING = 2000  # milliseconds in which somebody reads or types
FIRST = "SELECT sex_code, count(*) AS visits FROM health__visits GROUP BY ALL ORDER BY 1"
SECOND = "SELECT division_code, birth_band, count(*) AS visits FROM health__visits GROUP BY ALL ORDER BY 3 LIMIT 20"


def released(root: Path, rows: int) -> Lake:
    """Return a lake with one release of so many rows: two codes, a band of birth, a remark."""
    schemas = root / "schemas"
    if not schemas.is_dir():
        write_schemas(schemas, PUBLIC_VISITS)
    settings = Settings(root=root / "lake", schemas=schemas)
    lake = Lake(settings, load_catalogue(schemas))
    if not (root / "lake").is_dir():
        draw = np.random.default_rng(1)
        places = np.array(["330102", "330105", "330106", "330108", "330109", "330110", "330111", "330112"])
        gold = pl.DataFrame(
            {
                "resident_id": np.array([f"PERSON{n}" for n in range(rows)]),
                "division_code": draw.choice(places, rows), "sex_code": draw.choice(["1", "2"], rows),
                "birth_year": draw.integers(1930, 2020, rows).astype(np.int32),
                "remark": [f"ward {n}" for n in draw.integers(0, 1000, rows)],
                "fee": draw.integers(1, 500, rows), "fee_currency": "CNY",
            }
        ).with_columns(pl.col("fee").cast(pl.Decimal(24, 4)))
        put_gold(lake, gold)
        approvals.approve(lake, NAME, by="officer@city.example")
        publish.run(lake, NAME, approved_by="officer")
    build(lake)
    return lake


def ask(browser: Any, address: str) -> dict[str, float]:
    """Return seconds to each answer, and the megabytes that crossed the wire until the first one."""
    context = browser.new_context()
    page, sizes = context.new_page(), []
    page.on("response", lambda one: sizes.append(int(one.headers.get("content-length", 0))))
    began = time.perf_counter()

    def answered(text: str) -> float:
        page.wait_for_selector(f"#result th:has-text('{text}')", timeout=120_000)
        return time.perf_counter() - began

    page.goto(f"{address}ask.html?{urlencode({'sql': FIRST})}")
    found = {"first": answered("sex_code"), "MB": sum(sizes) / 1e6}
    page.fill("#sql", SECOND)
    page.wait_for_timeout(READING)
    began = time.perf_counter()
    page.click("#run")
    found["second"] = answered("division_code")
    began = time.perf_counter()
    page.goto(f"{address}ask.html?{urlencode({'sql': FIRST})}")
    found["back"] = answered("sex_code")
    context.close()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}ask.html")
    page.focus("#sql")
    page.fill("#sql", FIRST)
    page.wait_for_timeout(READING)
    began = time.perf_counter()
    page.click("#run")
    found["typed"] = answered("sex_code")
    context.close()
    return found


def main() -> None:
    """Release, build, serve, ask; print the middle, least and most seconds of each answer."""
    asked = argparse.ArgumentParser()
    asked.add_argument("rows", nargs="?", type=int, default=1_000_000)
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--keep", type=Path)
    asked.add_argument("--against", type=Path)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        lake = released(given.keep or Path(scratch), given.rows)
        opened = lake.objects.local(Layer.OPEN.value)
        rounds: dict[Path, list[dict[str, float]]] = {one: [] for one in (given.against, BUILT) if one}
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        with serving(opened) as server:
            for _ in range(given.rounds):
                for site, found in rounds.items():
                    shutil.copytree(site, opened / ASSETS, dirs_exist_ok=True)
                    found.append(ask(browser, server.address))
        browser.close()
    print(f"{given.rows:,} rows, {given.rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for site, found in rounds.items():
        print(site)
        for name in found[0]:
            values = [one[name] for one in found]
            print(f"  {name:7} {median(values):6.2f}  ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
