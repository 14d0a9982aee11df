"""Airflow as three processes of this machine, API server, scheduler and DAG processor, with a home of their own.

Everything lies below the lake's folder, so another Airflow on the machine is never touched.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import httpx
import psutil

from jobs.environment import inherited
from jobs.errors import EngineError
from jobs.settings import PROJECT, Settings
from jobs.storage.engine import free_port

SERVICES = {  # and the module that runs each
    "api-server": "airflow", "scheduler": "jobs.operation.preloaded", "dag-processor": "jobs.operation.preloaded",
}
ALONE = ("maintenance", "returns", "withdrawal")  # DAGs that belong to no dataset, register or product
DATABASE = "airflow.db"
PARALLEL = 4  # tasks at a time
OPERATOR, OFFICER = "operator", "officer"  # who triggers, who approves: two people
HEALTHY_SECONDS = 120.0
STOP_SECONDS = 15.0
# How long a service waits for the database. The scheduler and the DAG processor die of a refusal. The API server, whose
# requests can wait for each other's locks until one of them is refused, answers with an error, and is asked again.
LOCKED_SECONDS, REFUSED_SECONDS = 60, 5
ATTEMPTS = 6


@dataclass(frozen=True)
class Running:
    """Name a running Airflow: address, login, and the processes to stop."""

    url: str
    user: str
    password: str
    officer: str
    officer_password: str
    processes: Mapping[str, tuple[int, float]]


def up(settings: Settings, wait: Callable[[], None] = lambda: None) -> Running:
    """Start Airflow unless it runs already; return when it is healthy and knows the DAGs.

    `wait` is called while there is nothing to do. Raises EngineError when a service dies or stays unhealthy.
    """
    known = _known(settings)
    if known is not None and _alive(known):
        return known
    down(settings)
    home = folder(settings)
    (home / "logs").mkdir(parents=True, exist_ok=True)
    passwords = {OPERATOR: secrets.token_urlsafe(12), OFFICER: secrets.token_urlsafe(12)}
    _private(home / "passwords.json", json.dumps(passwords))
    port = free_port()
    environment = _environment(settings, port)
    if not (home / DATABASE).exists():
        _migrate(home, environment)
    processes: dict[str, tuple[int, float]] = {}
    running = Running(
        f"http://127.0.0.1:{port}", OPERATOR, passwords[OPERATOR], OFFICER, passwords[OFFICER], processes
    )
    try:
        for service, module in SERVICES.items():
            waiting = _database(home / DATABASE, REFUSED_SECONDS if service == "api-server" else LOCKED_SECONDS)
            with (home / "logs" / f"{service}.log").open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", module, service], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env={**environment, **waiting}, cwd=home, start_new_session=True,
                )
            processes[service] = (process.pid, psutil.Process(process.pid).create_time())
            _private(_record(settings), json.dumps(asdict(running)))
        _until_healthy(running, settings, wait)
    except BaseException:
        down(settings)
        raise
    return running


def down(settings: Settings) -> None:
    """Stop what `up` started, and every process it started in turn."""
    known = _known(settings)
    if known is None:
        return
    family: list[psutil.Process] = []
    for pid, started in known.processes.values():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if abs(process.create_time() - started) < 1:
                family += [process, *process.children(recursive=True)]
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)
    _record(settings).unlink(missing_ok=True)


class Client:
    """Speak to Airflow's API as one of its users."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False, verify=_no_certificates())
        answer = self._http.post("/auth/token", json={"username": user, "password": password}).raise_for_status()
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return one answer of the API."""
        found: dict[str, Any] = self.ask("GET", path, params=query).json()
        return found

    def ask(self, method: str, path: str, **parts: Any) -> httpx.Response:
        """Ask the API; a server error (SQLite locked for a moment) or a slow reading is asked again."""
        for _ in range(ATTEMPTS - 1):
            try:
                answer = self._http.request(method, f"/api/v2{path}", **parts)
            except httpx.TimeoutException:
                if method == "POST":
                    raise  # asked twice, it might be done twice
                continue
            if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return answer.raise_for_status()
            time.sleep(0.5)
        return self._http.request(method, f"/api/v2{path}", **parts).raise_for_status()

    def trigger(self, dag: str, **conf: Any) -> str:
        """Trigger a DAG; return the run's id."""
        body = {"logical_date": None, "conf": conf}
        answer = self.ask("POST", f"/dags/{dag}/dagRuns", json=body)
        return str(answer.json()["dag_run_id"])

    def pause(self, dag: str, *, paused: bool) -> None:
        """Pause a DAG, or let it run again."""
        self.ask("PATCH", f"/dags/{dag}", json={"is_paused": paused})

    def answer(self, dag: str, run: str, task: str, choice: str, *, place: int = -1) -> None:
        """Answer a task that waits for a person; `place` is its number among mapped ones."""
        body = {"chosen_options": [choice], "params_input": {}}
        try:
            self.ask("PATCH", f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/{place}/hitlDetails", json=body)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.CONFLICT:
                raise  # a conflict says: answered already, by the attempt whose reply got lost


@cache
def _no_certificates() -> ssl.SSLContext:
    """Return a context that knows no authority, since Airflow is asked on this machine: reading them takes a while."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _environment(settings: Settings, port: int) -> dict[str, str]:
    home, url = folder(settings), f"http://127.0.0.1:{port}"
    foreign = ("AIRFLOW__", "AIRFLOW_")
    return {
        **{name: value for name, value in inherited().items() if not name.startswith(foreign)},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(PARALLEL),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{OPERATOR}:admin,{OFFICER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONPATH": str(PROJECT),
        "LAKE_ROOT": str(settings.home),
        **({} if settings.storage and settings.raw is None else {"LAKE_RAW": str(settings.drop_box)}),
        "LAKE_SCHEMAS": str(settings.schemas.resolve()),
        "LAKE_EXPECTATIONS": str(settings.expectations.resolve()),
        **_storage(settings),
        "LAKE_ENGINE_ROWS": str(settings.engine_rows),
        "POLARS_MAX_THREADS": str(max(1, (os.cpu_count() or 1) // PARALLEL)),
    }


def _storage(settings: Settings) -> dict[str, str]:
    """Return the settings of a lake in buckets, as its processes are told them."""
    if settings.storage is None:
        return {}
    given = {
        "LAKE_STORAGE": settings.storage, "LAKE_STORAGE_ENDPOINT": settings.storage_endpoint,
        "LAKE_STORAGE_REGION": settings.storage_region,
    }
    keys = {"ACCESS": settings.storage_access_key, "SECRET": settings.storage_secret_key}
    secret = {f"LAKE_STORAGE_{name}_KEY": key.get_secret_value() for name, key in keys.items() if key is not None}
    return {**given, **secret}


def _migrate(home: Path, environment: Mapping[str, str]) -> None:
    """Make Airflow's database: a copy of the empty one that the user's cache keeps of each version of Airflow."""
    kept = Settings().cache / f"airflow-{version('apache-airflow')}.db"
    if is_whole(kept):
        _copy(kept, home / DATABASE)
        return
    with TemporaryDirectory(dir=home) as scratch:
        made = Path(scratch) / DATABASE
        with (home / "logs" / "migrate.log").open("wb") as log:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**environment, **_database(made)}, cwd=home, check=False,
            )
        if done.returncode:
            raise EngineError(
                "Airflow's database could not be made.", where=str(home / "logs" / "migrate.log"),
                remedy="read its end.",
            )
        with closing(sqlite3.connect(made)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what still lies beside the file belongs into it
        with suppress(OSError):  # a cache that is full or may not be written keeps nothing
            kept.parent.mkdir(parents=True, exist_ok=True)
            _copy(made, kept)
        made.replace(home / DATABASE)


def is_whole(file: Path) -> bool:
    """Tell whether a file is a migrated database in good order: a power cut may have left another."""
    if not file.is_file():
        return False
    address = f"file:{quote(str(file))}?immutable=1"
    with suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True)) as database:
        sound: bool = database.execute("PRAGMA quick_check").fetchone() == ("ok",)
        migrated: bool = database.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
        return sound and migrated
    return False


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(source, part)
        part.replace(target)  # there is a whole one, or none
    finally:
        part.unlink(missing_ok=True)


def _database(file: Path, seconds: int = LOCKED_SECONDS) -> dict[str, str]:
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{file}?timeout={seconds}"}


def check(running: Running, settings: Settings) -> None:
    """Raise EngineError when one of Airflow's services has ended: nothing that waits for it would ever come."""
    for service, (pid, started) in running.processes.items():
        if not _lives(pid, started):
            log = folder(settings) / "logs" / f"{service}.log"
            raise EngineError(f"Airflow's {service} ended.", where=str(log), remedy="read the log's last lines.")


def _until_healthy(running: Running, settings: Settings, wait: Callable[[], None]) -> None:
    home, expected = folder(settings), _dag_count(settings.schemas)
    deadline = time.monotonic() + HEALTHY_SECONDS
    while time.monotonic() < deadline:
        check(running, settings)
        with suppress(httpx.HTTPError, KeyError, ValueError):
            client = Client(running.url, running.user, running.password)
            if client.get("/dags", limit=1)["total_entries"] >= expected and _healthy(client):
                return
        wait()
        time.sleep(0.3)
    raise EngineError("Airflow did not become healthy.", where=str(home / "logs"), remedy="read the logs there.")


def _healthy(client: Client) -> bool:
    found = client.get("/monitor/health")
    return all(found[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))


def _dag_count(schemas: Path) -> int:
    """Return how many DAGs a schemas folder makes; a keyed register has none that asks about cases."""
    from jobs.catalogue import load_catalogue

    catalogue = load_catalogue(schemas)
    registers = sum(1 if register.keyed else 2 for register in catalogue.registers.values())
    return len(catalogue.datasets()) + registers + len(catalogue.contracts) + len(ALONE)


def folder(settings: Settings) -> Path:
    """Return the folder of a lake's Airflow."""
    return settings.home / "airflow"


def _record(settings: Settings) -> Path:
    return folder(settings) / "running.json"


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _known(settings: Settings) -> Running | None:
    try:
        found = json.loads(_record(settings).read_text(encoding="utf-8"))
        found["processes"] = {name: (pid, started) for name, (pid, started) in found["processes"].items()}
        return Running(**found)
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _alive(running: Running) -> bool:
    return len(running.processes) == len(SERVICES) and all(_lives(*one) for one in running.processes.values())


def _lives(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
