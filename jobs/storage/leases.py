"""One writer per table: a lease every writer takes, renews while it lives, and loses when it dies."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from jobs.errors import ConflictError, StorageError
from jobs.storage.objects import Store


def _owner() -> dict[str, object]:
    import psutil

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
    import psutil

    try:
        return abs(psutil.Process(int(str(holder["pid"]))).create_time() - float(str(holder["started"]))) > 1
    except psutil.NoSuchProcess:
        return True
    except (KeyError, ValueError, psutil.Error):
        return False


def _stale(objects: Store, name: str, holder: dict[str, object]) -> bool:
    """Tell whether a lease was not renewed in time, by the store's clock: those of its writers may differ."""
    return _dead(holder) or objects.age(name) > float(str(holder.get("seconds", 0)))


def _held(objects: Store, name: str, owner: object) -> bytes | None:
    """Return a lease as it is written, if an owner holds it."""
    try:
        data = objects.read(name)
        return data if json.loads(data)["id"] == owner else None
    except (FileNotFoundError, ValueError):
        return None


def _release(objects: Store, name: str, owner: object) -> bool:
    """Free a lease unless somebody else holds it by now; tell whether this call freed it."""
    seen = _held(objects, name, owner)
    return seen is not None and objects.swap(name, seen, b"")


@dataclass(frozen=True)
class Lease:
    """Name a lease that is held: of which table, by which owner."""

    objects: Store
    table: str
    owner: str

    def check(self) -> None:
        """Raise ConflictError when the lease ran out, as in a process that was stopped, and another run took it."""
        if _held(self.objects, _name(self.table), self.owner) is not None:
            return
        raise ConflictError(
            "this run lost its lease: it stood still for too long and another one may be writing.",
            where=self.table, remedy="run again; every step may be repeated.",
        )


def _name(table: str) -> str:
    return f"ops/leases/{table}.json"


@contextmanager
def lease(
    objects: Store,
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
        return json.dumps({**owner, "seconds": seconds, "renewed": time.time()}).encode()

    while not objects.create(name, stamp()):
        try:
            holder = json.loads(objects.read(name))
            stale = _stale(objects, name, holder)
        except (FileNotFoundError, ValueError):
            continue
        if holder.get("id") == owner["id"]:
            break  # the store took the first attempt and its answer was lost
        if stale:
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
            with suppress(StorageError):  # a store that does not answer may be back before the lease runs out
                seen = _held(objects, name, owner["id"])
                if seen is None:
                    return
                objects.swap(name, seen, stamp())

    keeper = threading.Thread(target=renew, name=f"lease {table}", daemon=True)
    keeper.start()
    try:
        yield Lease(objects, table, str(owner["id"]))
    finally:
        stop.set()
        keeper.join()
        with suppress(StorageError):  # what cannot be given back runs out
            _release(objects, name, owner["id"])
