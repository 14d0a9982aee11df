"""Spark standalone with two workers, processes of their own: the same register as one process makes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import polars as pl
import psutil
import pyspark
import pytest

from jobs.settings import PROJECT, Settings
from jobs.stages import open_register, resolve, retract
from jobs.storage import engine as server
from jobs.storage.tables import Lake
from tests.stages.test_keyed import NEWS, at, deliver, old_register, settings, state

pytestmark = pytest.mark.spark
__all__ = ["settings"]  # a fixture
SPARK = Path(pyspark.__file__).parent
START_SECONDS = 120
BRIEF = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"  # for processes that live a minute


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process and its children, ended afterwards."""
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=written, stderr=written, start_new_session=True, cwd=log.parent,
            env={**os.environ, "SPARK_HOME": str(SPARK), "PYTHONPATH": str(PROJECT), **environment},
        )
    try:
        yield process
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        process.kill()
        process.wait()


def wait_for(port: int, log: Path) -> None:
    """Wait until somebody listens on a port."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
            return
        assert time.monotonic() < deadline, f"nobody listens: {log.read_text()[-2000:]}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[Path]]]:
    """A master, two workers of one core each, and the lake's server on them: its address, and the workers' folders."""
    folder = tmp_path_factory.mktemp("cluster")
    java = server.java(Settings())
    home = {"JAVA_HOME": str(Path(java).resolve().parent.parent), "SPARK_DAEMON_JAVA_OPTS": BRIEF}
    master, served = server.free_port(), server.free_port()
    deploy, address = str(SPARK / "bin" / "spark-class"), f"spark://127.0.0.1:{master}"
    with ExitStack() as stack:
        words = ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(master)]
        stack.enter_context(running([deploy, *words, "--webui-port", "0"], folder / "master.log", **home))
        wait_for(master, folder / "master.log")
        workers = []
        for name in ("one", "two"):
            words = ["org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "1g",
                     "--webui-port", "0", "--work-dir", str(folder / name), address]
            stack.enter_context(running([deploy, *words], folder / f"{name}.log", **home))
            workers.append(folder / name)
        serve = [str(PROJECT / "infra" / "spark" / "serve.sh"), "--master", address, "--executor-memory", "600m",
                 "--conf", f"spark.executor.extraJavaOptions={BRIEF}"]
        stack.enter_context(running(
            serve, folder / "server.log", LAKE_ROOT=str(folder / "served"), LAKE_ENGINE_PORT=str(served), **home
        ))
        wait_for(served, folder / "server.log")
        yield f"sc://127.0.0.1:{served}", workers


def test_two_workers_make_the_register_that_one_process_makes(
    tmp_path: Path, settings: Settings, cluster: tuple[str, list[Path]]
) -> None:
    url, workers = cluster
    found: list[pl.DataFrame] = []
    for name, more in (("here", {}), ("cluster", {"engine_rows": 0, "spark": url})):
        with Lake.open(at(settings, tmp_path / name, **more)) as lake:
            open_register.run(lake, "person", [old_register(tmp_path)])
            batches = {dataset: deliver(lake, dataset, tmp_path / dataset, rows) for dataset, rows in NEWS.items()}
            resolve.run(lake, "person")
            retract.run(lake, "ca/extract", batch=batches["ca/extract"])
            resolve.run(lake, "person")
            found.append(state(lake))
    assert found[0].height == 3
    assert found[0].equals(found[1])
    for folder in workers:
        assert list(folder.glob("app-*/*/stderr")), f"worker {folder.name} ran nothing"
