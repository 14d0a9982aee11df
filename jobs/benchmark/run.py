"""Let engines take turns over one data set, several times; nothing that one of them does stops the others."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.benchmark.measuring import check_data
from jobs.benchmark.rules import PHASES
from jobs.environment import inherited
from jobs.errors import RequestError
from jobs.settings import PROJECT, Settings
from jobs.storage import engine as server

LAKE = "lake"
ENGINES = {  # name: the package it needs beside the lake's own, if any
    LAKE: None, "duckdb": None, "polars": None, "delta_rs": None, "sail": "pysail", "spark_sql": None,
    "spark_merge": None,
}
LONGEST_SECONDS, POLL_SECONDS = 3 * 3600.0, 0.05
REFUSED = 2
NOT_INSTALLED = "not installed"


@dataclass
class Turns:
    """Hold what one engine did in all its turns: results of those it finished, and why it did not finish one."""

    engine: str
    results: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    out: Path | None = None

    @property
    def without(self) -> frozenset[str]:
        """Return the phases that the engine does not have."""
        return frozenset(self.results[-1]["without"]) if self.results else frozenset()


def module(engine: str) -> str:
    """Return the module that is an engine; the lake's own stands beside its peers."""
    return f"jobs.benchmark.{engine}" if engine == LAKE else f"jobs.benchmark.peers.{engine}"


def take_turns(
    data: Path, out: Path, engines: Sequence[str], repeat: int, cores: int, say: Callable[[str], None],
    settle: Callable[[], None] = os.sync,
) -> list[Turns]:
    """Run each engine `repeat` times, one after another, each round all of them; outputs are OUT/ENGINE.

    Of an engine's outputs the last is kept. `settle` is called before each turn, so that what an engine before it wrote
    does not reach the disk in its time; where times do not matter, it need do nothing. Raises RequestError for an
    unknown engine or a folder that is no data set.
    """
    unknown = [engine for engine in engines if engine not in ENGINES]
    if unknown or not engines:
        raise RequestError(
            f"there is no engine {', '.join(unknown)}." if unknown else "no engine was named.",
            remedy=f"name some of {', '.join(ENGINES)}.",
        )
    check_data(data)
    out.mkdir(parents=True, exist_ok=True)
    turns = [Turns(engine) for engine in dict.fromkeys(engines)]
    for taken in turns:
        needed = ENGINES[taken.engine]
        if importlib.util.find_spec(needed or module(taken.engine)) is None:
            taken.note = NOT_INSTALLED
    for round_ in range(1, repeat + 1):
        for taken in turns:
            if not taken.note:
                settle()
                _turn(taken, data, out, cores)
                last = taken.note or f"{taken.results[-1]['merged']['seconds']:.1f} s to the merged register"
                say(f"{taken.engine} {round_}/{repeat}: {last}")
    return turns


def _environment(cores: int) -> dict[str, str]:
    return {
        **inherited(), "POLARS_MAX_THREADS": str(cores), "LAKE_ENGINE_CORES": str(cores),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH")))),
    }


def _turn(taken: Turns, data: Path, out: Path, cores: int) -> None:
    folder, log = out / taken.engine, out / f"{taken.engine}.log"
    shutil.rmtree(folder, ignore_errors=True)
    taken.out = None
    command = [sys.executable, "-m", module(taken.engine), str(data), str(folder), "--cores", str(cores)]
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, env=_environment(cores), cwd=out, stdin=subprocess.DEVNULL, stdout=written, stderr=written,
            start_new_session=True,
        )
        try:
            in_time = _ended(process.pid)
        finally:
            # What an engine left behind would run in the next one's time. Not yet waited for, it still owns its number.
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
            if (own := folder / "engine").is_dir():  # the lake's server has a session of its own
                server.stop(Settings(root=own, storage=None, raw=None))
    if not in_time:
        taken.note = f"stopped after {LONGEST_SECONDS / 3600:.0f} h"
        return
    if code != 0:
        taken.note = _why(code, log)
        return
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        result = {}
    if not {*result.get("phases", {}), *result.get("without", ())} >= set(PHASES):
        taken.note = f"wrote no whole result.json: see {log}"
        return
    taken.results.append(result)
    taken.out = folder


def _ended(pid: int) -> bool:
    """Wait until a child has ended, but leave it to be waited for; return False when it takes too long."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _why(code: int, log: Path) -> str:
    """Return an engine's own word for a refusal; what else went wrong may quote rows and stays in its log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if code == REFUSED and told:
        return told[-1]
    return f"failed ({'signal' if code < 0 else 'exit code'} {abs(code)}): see {log}"
