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
from dataclasses import dataclass

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


@contextmanager
def _if_held(objects: Folder, name: str, owner: object) -> Iterator[bool]:
    """Tell whether an owner holds a lease, and let nobody take it over meanwhile."""
    path = objects.local(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        try:
            yield bool(json.loads(path.read_bytes())["id"] == owner)
        except (FileNotFoundError, ValueError):
            yield False


def _release(objects: Folder, name: str, owner: object) -> bool:
    """Remove a lease unless somebody else holds it by now; tell whether this call removed it."""
    with _if_held(objects, name, owner) as held:
        if held:
            objects.remove(name)
        return held


@dataclass(frozen=True)
class Lease:
    """Name a lease that is held: of which table, by which owner."""

    objects: Folder
    table: str
    owner: str

    def check(self) -> None:
        """Raise ConflictError when the lease ran out, as in a process that was stopped, and another run took it."""
        with _if_held(self.objects, _name(self.table), self.owner) as held:
            if held:
                return
        raise ConflictError(
            "this run lost its lease: it stood still for too long and another one may be writing.",
            where=self.table, remedy="run again; every step may be repeated.",
        )


def _name(table: str) -> str:
    return f"ops/leases/{table}.json"


@contextmanager
def lease(
    objects: Folder,
    table: str,
    *,
    seconds: int,
    wait_seconds: int,
    on_takeover: Callable[[str], None] | None = None,
) -> Iterator[Lease]:
    """Hold the write lease of one table; yield it, to be checked before every commit.

    A lease lives `seconds` without renewal; the holder renews it three times in that span. A lease whose holder is
    a dead process of this host is taken over at once, any other when it has run out; `on_takeover` then gets the
    former owner's id, so that work it left running can be stopped. A holder that comes back finds its lease lost and
    leaves its successor's alone. Raises ConflictError after `wait_seconds`.
    """
    name, owner, deadline = _name(table), _owner(), time.monotonic() + wait_seconds

    def stamp() -> bytes:
        return json.dumps({**owner, "until": time.time() + seconds}).encode()

    while not objects.create(name, stamp()):
        try:
            holder = json.loads(objects.read(name))
        except (FileNotFoundError, ValueError):
            continue
        if _stale(holder):
            if _release(objects, name, holder["id"]) and on_takeover:
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
            with _if_held(objects, name, owner["id"]) as held:
                if not held:
                    return
                objects.write(name, stamp())

    keeper = threading.Thread(target=renew, name=f"lease {table}", daemon=True)
    keeper.start()
    try:
        yield Lease(objects, table, str(owner["id"]))
    finally:
        stop.set()
        keeper.join()
        _release(objects, name, owner["id"])
