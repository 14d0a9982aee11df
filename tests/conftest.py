"""What all tests share: the project's schemas, an empty lake, one warm engine, and a loud word on what did not run.

A test that asks for the fixture `engine` is marked `spark` by itself. Where Java or the engine's jars are missing such
tests cannot run (nor those of `postgres` or `minio` without a server, nor those of `chromium` without a browser): they
are left out and listed at the end of the run; under LAKE_CI=1 each of them fails instead.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings

if TYPE_CHECKING:
    from jobs.rows.codes import CodeBook
    from jobs.settings import Settings
    from tests.object_store import Server

# The project is imported where it is needed: the process that hands out the tests needs none of it, and the tests of
# the pure core need no engine and no store.
PROJECT = Path(__file__).parents[1]

# Where several processes share the files of tests among them these are handed out first, longest first: one that began
# last would keep a process at work when the others are done.
LONGEST = (
    "e2e/test_demo.py", "e2e/test_airflow.py", "stages/test_order.py", "benchmark/test_engines.py",
    "stages/test_cluster.py", "stages/test_keyed.py", "portal/test_browser.py", "stages/test_buckets.py",
    "portal/test_building.py", "stages/test_snapshots.py", "commands/test_documented.py", "stages/test_repairs.py",
    "stages/test_store_faults.py", "onboarding/test_municipal_layouts.py", "onboarding/test_draft.py",
    "releases/test_periods.py", "releases/test_history.py", "releases/test_publishing.py", "releases/test_approving.py",
    "benchmark/test_report.py", "privacy/test_grades.py", "stages/test_decisions.py", "onboarding/test_guessing.py",
)
NEEDS_ENGINE = {"spark", "e2e"}
KEPT_SETTINGS = {"LAKE_CI", "LAKE_DEBUG", "LAKE_JARS", "LAKE_MAVEN_URL", "LAKE_ENGINE_MEMORY", "LAKE_ENGINE_CORES"}
ABSENT = "NOT HERE:"


# The same examples on every machine and every run; many more of them with --soak.
hypothesis_settings.register_profile("lake", derandomize=True, max_examples=8, deadline=None)
hypothesis_settings.register_profile("soak", hypothesis_settings.get_profile("lake"), max_examples=500)
hypothesis_settings.load_profile("lake")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="every point of death, many orders and examples, for hours")


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> bool:
    """Whether tests that sample a large space go through much more of it."""
    return bool(request.config.getoption("--soak"))


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--soak"):
        hypothesis_settings.load_profile("soak")
    # A shell may point at a real lake; no test may touch it.
    for name in list(os.environ):
        if name.startswith("LAKE_") and name not in KEPT_SETTINGS:
            del os.environ[name]


@pytest.fixture(scope="session")
def schemas() -> Path:
    """The project's own schemas folder; not to be written to."""
    return PROJECT / "schemas"


@pytest.fixture(scope="session")
def codes(schemas: Path) -> CodeBook:
    """The project's code lists."""
    from jobs.rows.codes import CodeBook

    return CodeBook.load(schemas / "codes")


@pytest.fixture
def lake_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is LAKE_ROOT for this test."""
    folder = tmp_path / "lake"
    folder.mkdir()
    monkeypatch.setenv("LAKE_ROOT", str(folder))
    return folder


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One engine for all tests of a run, in whatever process they run, as a value for LAKE_SPARK.

    Its clients share one session, as those of a lake's own engine do: a session each would leave a worker behind each.
    """
    from jobs.storage import engine as server

    apart = hasattr(request.config, "workerinput")
    settings = _engine(tmp_path_factory.getbasetemp().parent if apart else tmp_path_factory.getbasetemp())
    try:
        running = server.start(settings)
        yield f"{running.url}/;session_id={running.id}"
    finally:
        if not apart:
            server.stop(settings)


def pytest_sessionfinish(session: pytest.Session) -> None:
    # The process that hands out the tests stops what any of those that run them has started.
    if session.config.getoption("numprocesses", None):
        from jobs.storage import engine as server

        factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]
        if (settings := _engine(factory.getbasetemp())).home.exists():
            server.stop(settings)


def _engine(folder: Path) -> Settings:
    from jobs.settings import Settings

    return Settings(root=folder / "engine", spark=None)


@cache
def missing_part() -> str | None:
    """Return what the engine lacks on this machine, with the remedy; None when nothing."""
    from jobs.errors import EngineError
    from jobs.settings import Settings
    from jobs.storage import engine as server
    from jobs.storage import jars

    try:
        server.java(Settings())
        jars.paths(Settings())
    except EngineError as error:
        return str(error)
    return None


def missing_server() -> str | None:
    """Return what the tests of a real PostgreSQL lack on this machine, with the remedy; None when nothing."""
    if any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb"):
        return None
    return "there is no PostgreSQL server. Remedy: install Debian's postgresql."


def missing_store() -> str | None:
    """Return what the tests of a real object store lack on this machine, with the remedy; None when nothing."""
    from jobs.operation.object_store import program

    return None if program() else "there is no object store's server. Remedy: `infra/minio.sh` builds it."


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real object store of the tests' own; a lake in it has buckets of its own."""
    from tests.object_store import Server

    server = Server(tmp_path_factory.mktemp("minio"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def bucket_lake(minio: Server, lake_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new lake in buckets, which this test's settings name; its own folder is empty."""
    name = f"t{uuid.uuid4().hex[:12]}"
    minio.bucket(name, lake_folder)
    for variable, value in minio.environment(name).items():
        monkeypatch.setenv(variable, value)
    return name


def missing_browser() -> str | None:
    """Return what the tests of the site lack on this machine, with the remedy; None when nothing."""
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        return "there is no Chromium. Remedy: install Debian's chromium."
    if not (PROJECT / "jobs/portal/site/dist/app.js").is_file():
        return "the site's front end is not built. Remedy: `make site`."
    return None


def _needs_browser(item: pytest.Item) -> bool:
    return "chromium" in getattr(item, "fixturenames", ())


def _needs_server(item: pytest.Item) -> bool:
    return "postgres" in getattr(item, "fixturenames", ())


def _needs_store(item: pytest.Item) -> bool:
    return item.get_closest_marker("minio") is not None


def _needs_engine(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in NEEDS_ENGINE)


def pytest_itemcollected(item: pytest.Item) -> None:
    if "engine" in getattr(item, "fixturenames", ()):
        item.add_marker("spark")
    if "minio" in getattr(item, "fixturenames", ()):
        item.add_marker("minio")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        place = {str(PROJECT / "tests" / name): number for number, name in enumerate(LONGEST)}
        items.sort(key=lambda item: place.get(str(item.path), len(place)))
    if os.environ.get("LAKE_CI"):
        return
    needs = (
        (_needs_server, missing_server), (_needs_browser, missing_browser), (_needs_store, missing_store),
        (_needs_engine, missing_part),
    )
    for wants, missing in needs:
        some = [item for item in items if wants(item)]
        if some and (reason := missing()):
            for item in some:
                item.add_marker(pytest.mark.skip(reason=f"{ABSENT} {reason}"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if _needs_engine(item) and (missing := missing_part()):
        pytest.fail(f"this test cannot run here: {missing}", pytrace=False)
    if _needs_browser(item) and (missing := missing_browser()):
        pytest.fail(f"this test cannot run here: {missing}", pytrace=False)
    if _needs_store(item) and (missing := missing_store()):
        pytest.fail(f"this test cannot run here: {missing}", pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [one for one in terminalreporter.stats.get("skipped", ()) if ABSENT in str(one.longrepr)]
    if skipped:
        terminalreporter.section("TESTS THAT DID NOT RUN", sep="!", red=True, bold=True)
        missing = {str(one.longrepr[2]).partition(ABSENT)[2].strip() for one in skipped}
        terminalreporter.line(f"{len(skipped)} tests need what is not here. {' '.join(sorted(missing))}", red=True)
        for file, number in sorted(Counter(one.location[0] for one in skipped).items()):
            terminalreporter.line(f"{number:6} in {file}")
