"""A lake with released, hostile and withdrawn data, the site built from it, and a real browser looking at it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.batch import StageReport
from jobs.catalogue import load_catalogue
from jobs.layers import Layer
from jobs.portal.build import build
from jobs.portal.serve import serving
from jobs.releases import announcement, approvals
from jobs.settings import PROJECT, Settings
from jobs.stages import publish
from jobs.storage.tables import Lake
from tests.releases.conftest import PUBLIC_VISITS, put_gold, visits, write_schemas

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'
SHOTS = PROJECT / "build" / "screenshots"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake with two datasets of three versions each; visits' first version is withdrawn."""
    root = tmp_path_factory.mktemp("portal")
    settings = Settings(root=root / "lake", schemas=write_schemas(root / "schemas", PUBLIC_VISITS))
    lake = Lake(settings, load_catalogue(settings.schemas))
    for name in ("health/visits", "products/headcount"):
        approvals.approve(lake, name, by="officer@city.example")
        for county in (30, 90, 60):
            put_gold(lake, visits(county=county, remark=HOSTILE), name)
            publish.run(lake, name, approved_by="officer")
    publish.withdraw(lake, "health/visits", ["1.0.0"], reason="a <b>wrong</b> file", by="officer")
    lake.record(StageReport("land", "health/visits", "2026-01-01-aaaaaaaaaaaa"))
    counted = {"delivered": 10, "accepted": 8, "quarantined": 2}
    lake.record(StageReport("conform", "health/visits", "2026-01-01-aaaaaaaaaaaa", **counted))
    build(lake)
    announcement.announce(lake)
    return lake


@pytest.fixture(scope="session")
def opened(released: Lake) -> Path:
    """Return the open layer's folder."""
    return released.objects.local(Layer.OPEN.value)


@pytest.fixture(scope="session")
def address(opened: Path) -> Iterator[str]:
    """Serve the open layer as `lake portal serve` does."""
    with serving(opened) as server:
        yield server.address


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Start Debian's Chromium once for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        where = shutil.which("chromium") or shutil.which("chromium-browser")
        running = playwright.chromium.launch(executable_path=where, args=FLAGS)
        yield running
        running.close()


class Watched:
    """Hold a page with all that went wrong on it: console errors, and requests to any host but the site's."""

    def __init__(self, context: Any, address: str) -> None:
        self.page, self.address = context.new_page(), address
        self.problems: list[str] = []
        self.bytes = 0
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append("a dialog opened"))
        self.page.on("request", self._requested)
        self.page.on("response", self._answered)

    def open(self, path: str = "") -> Any:
        self.page.goto(self.address + path)
        return self.page

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SHOTS / f"{name}.png"), full_page=True)

    def _said(self, message: Any) -> None:
        # A question that reaches outside is refused by the engine, which logs its refusal as an error.
        if message.type == "error" and "Permission Error: Cannot access file" not in message.text:
            self.problems.append(message.text)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.problems.append(f"asked another host: {request.url}")

    def _answered(self, response: Any) -> None:
        self.bytes += int(response.headers.get("content-length", 0))


@pytest.fixture
def watched(chromium: Any, address: str) -> Iterator[Watched]:
    """Open a page of its own; at the end nothing may have gone wrong on it."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    found = Watched(context, address)
    yield found
    context.close()
    assert found.problems == []
