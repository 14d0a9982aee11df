"""Processes of their own, forked from one that has imported what the stages need and done nothing else.

What is called in one lives in a module that is imported there, not in a file of tests, which would be imported anew
by every process.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from jobs.settings import Settings
from jobs.storage.tables import Lake

PRELOADED = [
    "tests.stages.mortal", "jobs.stages.publish", "jobs.portal.build", "pandas", "pyarrow.parquet",
    "scipy.sparse.csgraph",
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
