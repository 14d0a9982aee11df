"""The engine: one long-lived Spark Connect server per lake, started when it is absent; the only maker of sessions.

All clients of one server share one session, whose id follows from the code's fingerprint and the server's start: the
server then keeps one set of Python workers however many short clients come and go (each session of its own would
leave a worker daemon behind for ever), and changed code can never run in old workers, because it starts a new server.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from jobs.environment import inherited
from jobs.errors import EngineError
from jobs.settings import PROJECT, Settings
from jobs.storage import jars

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOGGING = PROJECT / "infra" / "spark" / "log4j2.properties"
START_SECONDS = 90
OLDEST_JAVA = 17
JAVA_REMEDY = f"install Java {OLDEST_JAVA} or newer (Debian: apt install openjdk-17-jre-headless) or set JAVA_HOME."


@dataclass(frozen=True)
class Engine:
    """Name a running server."""

    pid: int
    started: float
    port: int
    fingerprint: str
    id: str

    @property
    def url(self) -> str:
        """Return where clients find it."""
        return f"sc://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Tell whether the process is still the one that was started, and its port answers."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        return same and _answers(self.port)


def configuration(settings: Settings) -> dict[str, str]:
    """Return the Spark settings of one machine; a cluster's server takes the same, less memory and folders."""
    work = settings.home / "engine"
    return {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.caseSensitive": "true",
        "spark.sql.shuffle.partitions": str(settings.engine_cores * 2),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
        "spark.sql.parquet.compression.codec": "zstd",
        # One machine: the defaults (50 and 10,000 tasks) are for clusters.
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "8",
        # Measured on two cores: half the resident memory of the parallel collector, and a start that costs less.
        "spark.driver.extraJavaOptions": (
            f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile={LOGGING.as_uri()}"
        ),
        "spark.sql.warehouse.dir": (work / "warehouse").as_uri(),
        "spark.local.dir": str(work / "tmp"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def session(settings: Settings) -> SparkSession:
    """Return a session of the lake's engine: LAKE_SPARK's if set, else the local server's, started if absent.

    Raises EngineError when there is no Java, no jars, or no server that answers.
    """
    if settings.spark and not settings.spark.startswith("sc://"):
        return _classic(settings, settings.spark)
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.retries import DefaultPolicy

    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    if settings.spark:
        _probe(settings.spark)
        url = settings.spark
    else:
        engine = start(settings)
        url = f"{engine.url}/;session_id={engine.id}"
    spark = SparkSession.builder.remote(url).getOrCreate()
    # The default keeps a client of a dead server waiting for minutes.
    spark.client.set_retry_policies([DefaultPolicy(max_retries=4, initial_backoff=200, max_backoff=2000)])
    return spark


def close(spark: SparkSession) -> None:
    """Leave the engine: the channel closes, a session shared with other clients stays."""
    client = getattr(spark, "client", None)
    if client is None:
        spark.stop()
        return
    with suppress(Exception):
        client._channel.close()
    type(spark)._default_session = None
    with suppress(AttributeError):
        type(spark)._active_session.session = None


def start(settings: Settings) -> Engine:
    """Return the running local server, starting one when there is none or its code is older than this client's."""
    wanted = fingerprint()
    engine = _known(settings)
    if engine is not None and engine.fingerprint == wanted and engine.alive:
        return engine
    with _starting(settings):
        engine = _known(settings)  # another client may have started it meanwhile
        if engine is not None and engine.fingerprint == wanted and engine.alive:
            return engine
        if engine is not None:
            _stop(engine)
        return _launch(settings, wanted)


def stop(settings: Settings) -> None:
    """Stop the local server, if this lake has one."""
    with _starting(settings):
        engine = _known(settings)
        if engine is not None:
            _stop(engine)
        _record(settings).unlink(missing_ok=True)


def status(settings: Settings) -> dict[str, Any]:
    """Return what is known of the engine: running or not, where, how large."""
    if settings.spark:
        return {"engine": settings.spark}
    engine = _known(settings)
    if engine is None or not engine.alive:
        return {"engine": "stopped"}
    memory = psutil.Process(engine.pid).memory_info().rss
    return {"engine": "running", "url": engine.url, "pid": engine.pid, "rss_mb": memory >> 20}


def java(settings: Settings) -> str:
    """Return the java to run; raise EngineError with the remedy when it is missing or too old."""
    found = str(Path(settings.java_home) / "bin" / "java") if settings.java_home else shutil.which("java")
    if not found or not Path(found).is_file():
        raise EngineError("there is no Java.", remedy=JAVA_REMEDY)
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version.group(1)) < OLDEST_JAVA:
        raise EngineError(f"{found} is not Java {OLDEST_JAVA} or newer.", remedy=JAVA_REMEDY)
    return found


def fingerprint() -> str:
    """Return a digest of everything the engine's workers run: this package's code and the Python that runs it."""
    digest = hashlib.sha256(sys.executable.encode())
    for path in sorted((PROJECT / "jobs").rglob("*.py")):
        digest.update(path.relative_to(PROJECT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _classic(settings: Settings, master: str) -> SparkSession:
    from pyspark.sql import SparkSession

    java(settings)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(master).config("spark.driver.memory", settings.engine_memory)
    builder = builder.config("spark.jars", ",".join(map(str, jars.paths(settings))))
    for name, value in configuration(settings).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _launch(settings: Settings, wanted: str) -> Engine:
    import pyspark

    binary = java(settings)
    work = settings.home / "engine"
    for name in ("warehouse", "tmp"):
        (work / name).mkdir(parents=True, exist_ok=True)
    port = settings.engine_port or free_port()
    home = Path(pyspark.__file__).parent
    options = {
        **configuration(settings),
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }
    command = [
        str(home / "bin" / "spark-submit"), "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
        "--master", f"local[{settings.engine_cores}]", "--driver-memory", settings.engine_memory,
        "--jars", ",".join(map(str, jars.paths(settings))),
        *(part for name, value in options.items() for part in ("--conf", f"{name}={value}")),
        "spark-internal",
    ]
    with (work / "engine.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(home, binary), cwd=work,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise EngineError(
                "the engine did not start.", where=str(work / "engine.log"), remedy="read the log's last lines."
            )
        time.sleep(0.1)
    engine = Engine(process.pid, psutil.Process(process.pid).create_time(), port, wanted, str(uuid.uuid4()))
    part = _record(settings).with_suffix(".part")
    part.write_text(json.dumps(asdict(engine)), encoding="utf-8")
    part.replace(_record(settings))
    return engine


def _environment(home: Path, binary: str | Path) -> dict[str, str]:
    return {
        **inherited(), "SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(PROJECT),
        "JAVA_HOME": str(Path(binary).resolve().parent.parent), "POLARS_MAX_THREADS": "1",
    }


def _stop(engine: Engine) -> None:
    """End a server's whole process group, gently first."""
    try:
        if abs(psutil.Process(engine.pid).create_time() - engine.started) >= 1:
            return
    except psutil.NoSuchProcess:
        return
    for how, seconds in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        with suppress(ProcessLookupError):
            os.killpg(engine.pid, how)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(ChildProcessError):
                os.waitpid(engine.pid, os.WNOHANG)
            try:
                if psutil.Process(engine.pid).status() == psutil.STATUS_ZOMBIE:
                    return
            except psutil.NoSuchProcess:
                return
            time.sleep(0.05)


def _record(settings: Settings) -> Path:
    return settings.home / "engine" / "engine.json"


def _known(settings: Settings) -> Engine | None:
    try:
        return Engine(**json.loads(_record(settings).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


@contextmanager
def _starting(settings: Settings) -> Iterator[None]:
    """Let one client at a time start or stop the server."""
    folder = settings.home / "engine"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int, host: str = "127.0.0.1") -> bool:
    with suppress(OSError), socket.create_connection((host, port), timeout=2):
        return True
    return False


def _probe(url: str) -> None:
    place = re.match(r"sc://([^:/;]+):(\d+)", url)
    if place is None or not _answers(int(place.group(2)), place.group(1)):
        raise EngineError("no engine answers there.", where=url, remedy="start it, or unset LAKE_SPARK.")
