"""The demonstration: a synthetic city's deliveries through a real scheduler and engine to approved open datasets.

It lives in a folder of its own below the lake's (`demo`, made anew each time) and stops whatever it started, however
it ends.
"""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from jobs.catalogue import load_catalogue
from jobs.errors import LakeError, RequestError
from jobs.layers import dag_name
from jobs.operation import airflow, summary
from jobs.operation.object_store import REGION, Server
from jobs.settings import Settings
from jobs.storage import engine
from jobs.storage.spreading import warm_up
from jobs.storage.tables import Lake
from jobs.synthesis import city
from jobs.synthesis.deliveries import DEMONSTRATED
from jobs.synthesis.people import day

MARK = "made by lake demo, removed by the next one"
ENDED = ("success", "failed")
ASKING = ("open.", "cases.")  # DAGs that wait for a person
CASES_ASKED, CASE_ANSWER = 2, "different"  # a few of each register's cases, so that the flow is seen
APPROVAL_PAUSE = 2.0  # an answer in the very moment the request appears can be lost (Airflow 3.3)
LONGEST_SECONDS = 1_800.0
ENGINE_ROWS = 70_000  # so that the registers' commits with two days' deliveries are spread over the engine's workers
POLL_SECONDS = 1.0
QUIET_SECONDS = 1.5  # in which the scheduler would have made the run that an Asset wakes
OVERLAP = timedelta(seconds=30)  # of two looks: a change is committed some time after the moment it says,
THOROUGH = 20  # and each such look is at all runs, since that time has no bound


class Clock:
    """Print what happens with the seconds since the start, and remember the peak of memory."""

    def __init__(self) -> None:
        self.started, self.peak_bytes = time.monotonic(), 0

    def say(self, message: str) -> None:
        """Print one line of progress."""
        print(f"{self.seconds:6.1f} s  {message}", flush=True)

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    def look(self) -> None:
        """Add up the resident memory of this process, the engine, Airflow, and all their children."""
        total = 0
        for process in _family():
            with suppress(psutil.Error):
                total += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, total)


def run(people: int, days: int, seed: int, *, buckets: bool = False) -> int:
    """Run the demonstration, in a folder or in an object store's buckets, and print its summary; return the exit code.

    Raises EngineError for buckets where the object store's server was not built.
    """
    settings, clock = _fresh(Settings()), Clock()
    store = Server(settings.home / "store") if buckets else None
    watching = threading.Event()

    def watch() -> None:
        while not watching.wait(1.0):
            clock.look()

    watcher = threading.Thread(target=watch, daemon=True)
    with _stopping(settings, clock, store):
        if store is not None:
            settings = _in_buckets(settings, store)
            clock.say(f"the object store answers: {store.endpoint}")
        watcher.start()
        try:
            failed = _act(settings, clock, people, days, seed)
        finally:
            watching.set()
            watcher.join()
        with Lake.open(settings) as lake:
            found = summary.collect(lake, settings.home / "city" / "truth")
        summary.show(found, clock.seconds, clock.peak_bytes)
        for problem in [*failed, *found.problems]:
            clock.say(f"PROBLEM: {problem}")
        return 1 if failed or found.problems else 0


def _act(settings: Settings, clock: Clock, people: int, days: int, seed: int) -> list[str]:
    """Start everything, deliver, withdraw, publish; return what failed."""
    clock.say(f"the lake of this demonstration: {settings.home}")
    folder = settings.home / "city"
    with ThreadPoolExecutor(3) as pool:
        writing = pool.submit(city.write, people, days, seed, folder, settings.schemas / "codes")
        starting = pool.submit(_engine, settings)
        running = airflow.up(settings)
        clock.say(f"a city is written: {writing.result()}")
        clock.say(f"the Spark engine answers: {starting.result().url}")
    clock.say(f"Airflow is healthy: {running.url}")
    operator = airflow.Client(running.url, running.user, running.password)
    officer = airflow.Client(running.url, running.officer, running.officer_password)
    catalogue = load_catalogue(settings.schemas)
    shown = [c for c in catalogue.contracts.values() if set(c.reads_datasets) <= set(DEMONSTRATED)]
    opened = [dag_name("open" if c.release else "gold", c.name) for c in shown]
    for dag in opened:
        operator.pause(dag, paused=True)  # so that a release is asked for once, when the day is done
    rounds = Rounds(operator, officer, clock, partial(airflow.check, running, settings))
    # The first day is the backlog; then the lake rests, and the next run takes up all the days it has missed.
    for numbers in (range(1, 2), range(2, days + 1)):
        for number in numbers:
            _deliver(folder, settings.drop_box, number)
            clock.say(f"day {number}: the departments deliver")
        rounds.trigger([dag_name("dataset", name) for name in DEMONSTRATED])
        rounds.until_quiet()
        if rounds.failed:
            return rounds.failed
    _withdraw(settings, folder, clock)
    rounds.trigger([dag_name("register", register) for register in catalogue.registers])
    rounds.until_quiet()
    for register in catalogue.registers:
        rounds.trigger([dag_name("cases", register)], limit=CASES_ASKED)
    rounds.until_quiet()
    for dag in opened:
        operator.pause(dag, paused=False)
    rounds.trigger([*opened, "maintenance"])
    rounds.until_quiet()
    return rounds.failed


def _engine(settings: Settings) -> engine.Engine:
    """Start the engine and warm it up, while Airflow starts."""
    running = engine.start(settings)
    with Lake.open(settings) as lake:
        warm_up(lake)
    return running


class Rounds:
    """Trigger DAGs, answer what waits for a person, and wait until nothing runs any more."""

    def __init__(
        self, operator: airflow.Client, officer: airflow.Client, clock: Clock, check: Callable[[], None]
    ) -> None:
        self.operator, self.officer, self.clock, self.check = operator, officer, clock, check
        self.failed: list[str] = []
        self._states: dict[tuple[str, str], str] = {}
        self._looked, self._looks = datetime.now(UTC), 0
        self._waiting: dict[tuple[str, str, int], float] = {}
        self._asking = False

    def trigger(self, dags: list[str], **conf: Any) -> None:
        """Trigger DAGs as the operator."""
        self._states |= {(dag, self.operator.trigger(dag, **conf)): "queued" for dag in dags}

    def until_quiet(self) -> None:
        """Wait until every triggered run has ended and no Asset has woken another one.

        Raises EngineError when one of Airflow's services ended.
        """
        quiet_since: float | None = None
        while quiet_since is None or time.monotonic() - quiet_since < QUIET_SECONDS:
            self.check()
            busy = self._look()
            if self._asking:
                self._answer()
            quiet_since = None if busy else quiet_since or time.monotonic()
            if self.clock.seconds > LONGEST_SECONDS:
                raise RequestError("the demonstration does not come to an end.", remedy="read Airflow's logs.")
            time.sleep(POLL_SECONDS if busy else POLL_SECONDS / 4)

    def _look(self) -> bool:
        """Report runs that ended; tell whether any goes on. Only what changed since is asked for: that costs little."""
        since, self._looked = self._looked - OVERLAP, datetime.now(UTC)
        self._looks += 1
        some = {} if self._looks % THOROUGH == 0 else {"updated_at_gte": since.isoformat()}
        changed = self.operator.get("/dags/~/dagRuns", limit=100, order_by="-run_after", **some)["dag_runs"]
        for one in changed:
            key = (one["dag_id"], one["dag_run_id"])
            before, self._states[key] = self._states.get(key), one["state"]
            if one["state"] in ENDED and before not in ENDED:
                self._report(one)
        going = {dag for (dag, _), state in self._states.items() if state not in ENDED}
        self._asking = any(dag.startswith(ASKING) for dag in going)
        return bool(going)

    def _report(self, one: dict[str, Any]) -> None:
        if one["state"] == "success":
            self.clock.say(f"done    {one['dag_id']}  ({one['duration'] or 0:.1f} s)")
            return
        tasks = self.operator.get(f"/dags/{one['dag_id']}/dagRuns/{one['dag_run_id']}/taskInstances")["task_instances"]
        broken = ", ".join(task["task_id"] for task in tasks if task["state"] == "failed")
        self.failed.append(f"{one['dag_id']} failed at {broken}; see airflow/logs in the lake's folder.")
        self.clock.say(f"FAILED  {one['dag_id']}  at {broken}")

    def _answer(self) -> None:
        """Approve releases and decide cases, as another person than the operator, after a moment."""
        found = self.officer.get("/dags/~/dagRuns/~/hitlDetails", response_received=False, limit=50)["hitl_details"]
        for one in found:
            task = one["task_instance"]
            key = (task["dag_id"], task["dag_run_id"], task["map_index"])
            if task["state"] != "awaiting_input":
                continue
            if time.monotonic() - self._waiting.setdefault(key, time.monotonic()) > APPROVAL_PAUSE:
                choice = "Approve" if "Approve" in one["options"] else CASE_ANSWER
                self.officer.answer(*key[:2], task["task_id"], choice, place=task["map_index"])
                self.clock.say(f"{choice} by {airflow.OFFICER}: {one['subject']}")


def _deliver(folder: Path, box: Path, number: int) -> None:
    """Put one day's files into the departments' drop boxes, each whole or not at all."""
    for file in sorted((folder / "raw").rglob(f"*_{day(number):%Y%m%d}.*")):
        target = box / file.relative_to(folder / "raw")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        shutil.copyfile(file, part)
        part.replace(target)


def _withdraw(settings: Settings, folder: Path, clock: Clock) -> None:
    """Take back the deliveries that their department withdraws."""
    from jobs.stages import retract

    withdrawn = pl.read_parquet(folder / "truth" / "withdrawals.parquet")
    with Lake.open(settings) as lake:
        for dataset, file in withdrawn.iter_rows():
            for batch in lake.batches(dataset):
                if any(landed.name == file for landed in batch.files):
                    report = retract.run(lake, dataset, batch=batch.id)[0]
                    clock.say(f"withdrawn: {dataset} {batch.id} ({report.delivered} rows)")


def _fresh(settings: Settings) -> Settings:
    """Return settings for an empty lake of the demonstration's own; only a former demonstration's is removed."""
    if settings.storage is not None:
        raise RequestError(
            "the demonstration has a lake of its own.", where=settings.storage,
            remedy="unset LAKE_STORAGE; `lake demo --buckets` tries an object store.",
        )
    root = settings.home / "demo"
    if root.exists():
        mark = root / "DEMO"
        if not mark.is_file() or mark.read_text(encoding="utf-8") != MARK:
            raise RequestError("the folder is not a demonstration's.", where=str(root), remedy="move it away.")
        own = settings.model_copy(update={"root": root, "raw": root / "raw", "spark": None})
        airflow.down(own)
        engine.stop(own)
        shutil.rmtree(root)
    root.mkdir(parents=True)
    (root / "DEMO").write_text(MARK, encoding="utf-8")
    return Settings(**{**settings.model_dump(), "root": root, "raw": root / "raw", "engine_rows": ENGINE_ROWS})


def _in_buckets(settings: Settings, store: Server) -> Settings:
    """Start an object store, set a lake up in it, and return the settings of that lake."""
    from jobs.storage.buckets import Bucket
    from jobs.storage.rights import set_up
    from jobs.storage.stores import store as opened

    store.start()
    settings = Settings(**{
        **settings.model_dump(), "storage": "s3://demo", "storage_endpoint": store.endpoint,
        "storage_region": REGION, "storage_access_key": store.user, "storage_secret_key": store.key,
    })
    bucket = opened(settings)
    assert isinstance(bucket, Bucket)
    departments = {contract.department for contract in load_catalogue(settings.schemas).datasets()}
    set_up(bucket, sorted(departments), settings.landing_lock_days)
    return settings


@contextmanager
def _stopping(settings: Settings, clock: Clock, store: Server | None) -> Iterator[None]:
    """Stop Airflow, the engine and an object store at the end, whatever the end is."""

    def ask(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before: dict[int, Any] = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number in (*before, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave processes behind
        for stop in (airflow.down, engine.stop):  # in this order: a task that still ran would start another engine
            with suppress(LakeError):
                stop(settings)
        if store is not None:
            store.stop()
        clock.say("everything is stopped.")
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _family() -> list[psutil.Process]:
    """Return this process and all below it: the engine and Airflow's services are its children."""
    found = [psutil.Process()]
    with suppress(psutil.Error):
        found += found[0].children(recursive=True)
    return found

