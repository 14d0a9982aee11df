"""One writer per table, and a dead writer holds nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobs.errors import ConflictError
from jobs.storage.leases import lease
from jobs.storage.objects import Folder, Store


def test_a_second_writer_is_told_who_holds_the_table(store: Store) -> None:
    with (
        lease(store, "silver.x", seconds=30, wait_seconds=0),
        pytest.raises(ConflictError, match="another run is writing"),
        lease(store, "silver.x", seconds=30, wait_seconds=0),
    ):
        pass


def test_a_waiting_writer_goes_on_when_the_first_is_done(store: Store) -> None:
    order: list[str] = []
    inside, finish = threading.Event(), threading.Event()

    def first() -> None:
        with lease(store, "silver.x", seconds=30, wait_seconds=0):
            inside.set()
            finish.wait()
            order.append("first")

    other = threading.Thread(target=first)
    other.start()
    inside.wait()
    threading.Timer(0.2, finish.set).start()
    with lease(store, "silver.x", seconds=30, wait_seconds=30):
        order.append("second")
    other.join()
    assert order == ["first", "second"]


def test_the_lease_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from jobs.storage.leases import lease; from jobs.storage.objects import Folder\n"
        "with lease(Folder(Path(sys.argv[1])), 'silver.x', seconds=3600, wait_seconds=0) as held:\n"
        "    print(held.owner, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert killed.returncode == -9
    former: list[str] = []
    with lease(Folder(tmp_path), "silver.x", seconds=30, wait_seconds=0, on_takeover=former.append):
        pass
    assert former == [killed.stdout.strip()]


def test_a_lease_of_another_host_is_kept_until_it_runs_out(store: Store) -> None:
    holder = {"id": "x", "host": "elsewhere.example", "pid": 1, "started": 0, "seconds": 30}
    store.write("ops/leases/silver.x.json", json.dumps(holder).encode())
    with pytest.raises(ConflictError), lease(store, "silver.x", seconds=30, wait_seconds=0):
        pass
    store.write("ops/leases/silver.x.json", json.dumps({**holder, "seconds": 1}).encode())
    time.sleep(2.1)  # a store may tell its clock in whole seconds
    with lease(store, "silver.x", seconds=30, wait_seconds=0):
        pass


def test_of_many_writers_one_at_a_time_holds_the_table(store: Store) -> None:
    inside: list[int] = []
    most: list[int] = []

    def write(number: int) -> None:
        with lease(store, "silver.x", seconds=30, wait_seconds=60) as held:
            inside.append(number)
            most.append(len(inside))
            held.check()
            inside.remove(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert most == [1] * 8


def test_a_lease_that_was_taken_over_is_lost_to_its_first_holder_and_stays_its_successors(store: Store) -> None:
    with lease(store, "silver.x", seconds=30, wait_seconds=0) as first:
        taken = json.dumps({"id": "x", "host": "elsewhere.example", "pid": 1, "started": 0, "seconds": 30})
        store.write("ops/leases/silver.x.json", taken.encode())
        with pytest.raises(ConflictError, match="lost its lease"):
            first.check()
    assert store.read("ops/leases/silver.x.json") == taken.encode()


def test_a_writer_that_stood_still_finds_its_lease_lost_and_leaves_its_successors_alone(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from jobs.errors import ConflictError\n"
        "from jobs.storage.leases import lease; from jobs.storage.objects import Folder\n"
        "with lease(Folder(Path(sys.argv[1])), 'silver.x', seconds=1, wait_seconds=0) as held:\n"
        "    print('inside', flush=True); sys.stdin.readline()\n"
        "    try:\n        held.check()\n"
        "    except ConflictError:\n        print('lost', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline().strip() == "inside"
        first.send_signal(signal.SIGSTOP)
        try:
            with lease(Folder(tmp_path), "silver.x", seconds=30, wait_seconds=30) as second:
                first.send_signal(signal.SIGCONT)
                told, _ = first.communicate("\n", timeout=30)
                assert told.strip() == "lost"
                second.check()
                with pytest.raises(ConflictError), lease(Folder(tmp_path), "silver.x", seconds=30, wait_seconds=0):
                    pass
        finally:
            first.send_signal(signal.SIGCONT)
