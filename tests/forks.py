"""Processes of their own, forked from one that has imported what the stages need and done nothing else."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

PRELOADED = ["tests.stages.mortal", "jobs.stages.publish", "pandas", "scipy.sparse.csgraph", "pytest"]


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
