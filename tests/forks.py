"""Processes of their own, forked from one that has imported what the stages need and done nothing else.

What is called in one lives in a module that is imported there, not in a file of tests, which would be imported anew
by every process.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from jobs.settings import Settings
from jobs.storage.tables import Lake

PRELOADED = [
    "tests.stages.mortal", "jobs.stages.publish", "jobs.portal.build", "pandas", "pyarrow.parquet",
    "scipy.sparse.csgraph", "jobs.cli", "deltalake", "jobs.storage.readers", "tests.catalogue_read",
]


def forked(target: Callable[..., None], *args: Any) -> tuple[int | None, Any]:
    """Call `target(*args, told)` in a process; return its exit code, and what it sent to `told` where that is 0."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(*args, sender))
    process.start()
    sender.close()
    process.join()
    return process.exitcode, receiver.recv() if process.exitcode == 0 else None


def lake(
    *words: str, environment: Mapping[str, str], folder: Path | None = None, largest: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Call the command line in a process of its own with that environment alone, in a folder.

    No file it writes may be larger than `largest` bytes. Returns what `subprocess.run` of `lake` returns, without
    the second that a new interpreter takes to import everything; that everything a verb needs is imported by itself is
    for a test to show that starts one.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as told:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        given = (words, dict(environment), folder or Path.cwd(), largest, _Passed(out.fileno()), _Passed(told.fileno()))
        process = context.Process(target=_lake, args=given)
        process.start()
        process.join()
        said = []
        for stream in (out, told):
            stream.seek(0)
            said.append(stream.read().decode("utf-8"))
    return subprocess.CompletedProcess(["lake", *words], process.exitcode or 0, *said)


class _Passed:
    """Hand an open file over to the process that is forked."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self.number),)


def _received(passed: Any) -> int:
    return int(passed.detach())


def _lake(
    words: tuple[str, ...], environment: dict[str, str], folder: Path, largest: int | None, out: int, told: int
) -> None:
    from jobs.cli import main

    os.dup2(out, 1)
    os.dup2(told, 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    sys.argv = ["lake", *words]
    main()


def ending(settings: Settings, work: Callable[[Lake], Any], folder: str, last: int) -> tuple[int | None, int | None]:
    """Work on a lake in a process that ends at its `last` durable step, with 9; return its exit code and its steps."""
    return forked(_ending, settings, work, folder, last)


def _ending(settings: Settings, work: Callable[[Lake], Any], folder: str, last: int, told: Connection) -> None:
    steps = []

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        # A file becomes durable by being renamed or linked into place (the second path), and goes by being removed.
        if event not in ("os.rename", "os.link", "os.remove"):
            return
        path = str(arguments[event != "os.remove"])
        if folder in path and "leases" not in path:
            steps.append(event)
            if len(steps) == last:
                os._exit(9)

    with Lake.open(settings) as lake:
        sys.addaudithook(count)
        work(lake)
    told.send(len(steps))
