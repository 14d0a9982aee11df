"""Run stages in a process that kills itself (SIGKILL) before or after its n-th durable write.

    python mortal.py N before|after DATASET...     lands, loads and conforms the datasets, then resolves all registers
    python mortal.py 0 never DATASET...            the same, undisturbed; prints how many durable writes there were
    python mortal.py N after again DATASET         conforms every batch of a dataset again

The product's code knows nothing of this: the methods that write durably are wrapped here.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from typing import Any

from jobs.stages import conform, desensitise, land, load, resolve
from jobs.storage.batch_tables import BatchTable, Writer
from jobs.storage.court import Court
from jobs.storage.ledgers import Ledger
from jobs.storage.logs import Log
from jobs.storage.objects import Folder
from jobs.storage.tables import Lake

DURABLE = (
    (Folder, ("write", "create", "place", "move")),
    (Lake, ("overwrite", "record")),
    (BatchTable, ("replace",)),
    (Writer, ("write",)),
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


def main(number: int, moment: str, datasets: list[str]) -> None:
    countdown = Countdown(number, moment)
    for kind, names in DURABLE:
        for name in names:
            countdown.wrap(kind, name)
    with Lake.open() as lake:
        if datasets[0] == "again":
            for batch in lake.batches(datasets[1]):
                conform.run(lake, datasets[1], batch=batch.id)
            print(countdown.done)
            return
        for dataset in datasets:
            land.run(lake, dataset)
            load.run(lake, dataset)
            conform.run(lake, dataset)
        for register in lake.catalogue.registers:
            resolve.run(lake, register)
        desensitise.run(lake, datasets[0])
    print(countdown.done)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
