"""Run stages in a process that kills itself (SIGKILL) before or after its n-th durable write.

The product's code knows nothing of this: the methods that write durably are wrapped here, in a process of their own.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from jobs.settings import Settings
from jobs.stages import conform, desensitise, land, load, open_register, resolve, retract
from jobs.storage.batch_tables import BatchTable, Writer
from jobs.storage.court import Court
from jobs.storage.ledgers import Ledger
from jobs.storage.logs import Log
from jobs.storage.objects import Folder
from jobs.storage.standing import Standing
from jobs.storage.tables import Lake
from tests.forks import forked

KILLED = -signal.SIGKILL
DURABLE = (
    (Folder, ("write", "create", "place", "move")),
    (Lake, ("overwrite", "record")),
    (BatchTable, ("replace",)),
    (Writer, ("write",)),
    (Standing, ("replace", "append", "put", "pass_to", "withhold", "forget")),
    (Ledger, ("write_commit",)),
    (Log, ("write", "commit")),
    (Court, ("write",)),
)


class Countdown:
    def __init__(self, number: int, moment: str) -> None:
        self.number, self.moment, self.done = number, moment, 0

    def wrap(self, kind: type, name: str) -> None:
        method = getattr(kind, name)

        @functools.wraps(method)
        def mortal(*args: Any, **kwargs: Any) -> Any:
            if kind is Folder and "ops/leases" in str(args[1]):
                return method(*args, **kwargs)  # the heartbeat comes from a clock, not from the work
            self.done += 1
            mine = self.done == self.number
            if mine and self.moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = method(*args, **kwargs)
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(kind, name, mortal)


def run_all(lake: Lake, datasets: Sequence[str]) -> None:
    """Land, load and conform datasets, resolve all registers and desensitise the first."""
    for dataset in datasets:
        land.run(lake, dataset)
        load.run(lake, dataset)
        conform.run(lake, dataset)
    for register in lake.catalogue.registers:
        resolve.run(lake, register)
    desensitise.run(lake, datasets[0])


def open_and_resolve(lake: Lake, register: str, old: Path, dataset: str) -> None:
    """Open a keyed register where it is not yet, take in what waits, withdraw a delivery, take that in too."""
    if not any(done for _, done in Ledger(lake, register).plans()):
        open_register.run(lake, register, [old])
    resolve.run(lake, register)
    batch = lake.batches(dataset)[0].id
    if batch not in lake.retracted(dataset):
        retract.run(lake, dataset, batch=batch)
    resolve.run(lake, register)


def live(
    settings: Settings, number: int, moment: str, datasets: Sequence[str], *, again: bool = False,
    work: Callable[[Lake], None] | None = None,
) -> tuple[int | None, int]:
    """Run all stages on datasets (`run_all`), or conform all their batches again, or do other work.

    The process dies `before` or `after` its n-th durable write. Returns its exit code, and how many writes there were
    where it lived on.
    """
    ended, writes = forked(_live, settings, number, moment, tuple(datasets), again, work)
    return ended, writes or 0


def _live(
    settings: Settings, number: int, moment: str, datasets: Sequence[str], again: bool,
    work: Callable[[Lake], None] | None, told: Connection,
) -> None:
    countdown = Countdown(number, moment)
    for kind, names in DURABLE:
        for name in names:
            countdown.wrap(kind, name)
    with Lake.open(settings) as lake:
        if work is not None:
            work(lake)
        elif again:
            for dataset in datasets:
                for batch in lake.batches(dataset):
                    conform.run(lake, dataset, batch=batch.id)
        else:
            run_all(lake, datasets)
    told.send(countdown.done)
