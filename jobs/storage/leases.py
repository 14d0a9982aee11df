"""One writer per table: a lease every writer takes, renews while it lives, and loses when it dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from jobs.errors import ConflictError
from jobs.storage.objects import Folder


def _owner() -> dict[str, object]:
    return {
        "id": uuid.uuid4().hex,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
    }


def _dead(holder: dict[str, object]) -> bool:
    """Tell whether the holder is a process of this host that no longer runs."""
    if holder.get("host") != socket.gethostname():
        return False
    try:
        return abs(psutil.Process(int(str(holder["pid"]))).create_time() - float(str(holder["started"]))) > 1
    except psutil.NoSuchProcess:
        return True
    except (KeyError, ValueError, psutil.Error):
        return False


def _stale(holder: dict[str, object]) -> bool:
    return _dead(holder) or float(str(holder["until"])) < time.time()


def _evict(objects: Folder, name: str, holder: dict[str, object]) -> bool:
    """Remove a stale lease unless somebody else has done so; tell whether this call removed it."""
    path = objects.local(name)
    with path.with_suffix(".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        try:
            if json.loads(path.read_bytes())["id"] != holder["id"]:
                return False
        except (FileNotFoundError, ValueError):
            return False
        path.unlink()
        return True


@contextmanager
def lease(
    objects: Folder,
    table: str,
    *,
    seconds: int,
    wait_seconds: int,
    on_takeover: Callable[[str], None] | None = None,
) -> Iterator[str]:
    """Hold the write lease of one table; yield the owner's id.

    A lease lives `seconds` without renewal; the holder renews it three times in that span. A lease whose holder is
    a dead process of this host is taken over at once, any other when it has run out; `on_takeover` then gets the
    former owner's id, so that work it left running can be stopped. Raises ConflictError after `wait_seconds`.
    """
    name, owner, deadline = f"ops/leases/{table}.json", _owner(), time.monotonic() + wait_seconds

    def stamp() -> bytes:
        return json.dumps({**owner, "until": time.time() + seconds}).encode()

    while not objects.create(name, stamp()):
        try:
            holder = json.loads(objects.read(name))
        except (FileNotFoundError, ValueError):
            continue
        if _stale(holder):
            if _evict(objects, name, holder) and on_takeover:
                on_takeover(str(holder["id"]))
            continue
        if time.monotonic() > deadline:
            raise ConflictError(
                "another run is writing this table.",
                where=table,
                remedy=f"wait for process {holder.get('pid')} on {holder.get('host')}, then run again.",
            )
        time.sleep(0.1)

    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(seconds / 3):
            objects.write(name, stamp())

    keeper = threading.Thread(target=renew, name=f"lease {table}", daemon=True)
    keeper.start()
    try:
        yield str(owner["id"])
    finally:
        stop.set()
        keeper.join()
        objects.remove(name)
