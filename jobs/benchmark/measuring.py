"""Phases of a process tree: wall and CPU seconds, peak resident memory, bytes read and written, bytes shuffled.

CPU and bytes are sums over the living processes of the tree, each with its ended children, as the kernel keeps them, so
that nothing is lost when a process ends. Bytes read and written are what read and write calls moved, from the disk or
from the page cache; what an engine maps into memory is counted only as far as it came from the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from jobs.benchmark.rules import EXPORTING, OUTPUTS
from jobs.errors import LakeError, RequestError

SAMPLE_SECONDS = 0.05
FAMILY_SECONDS = 1.0  # looking for new children costs more than asking known ones
START = "start"  # starting an engine is told beside the work, and is no part of the total
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Hold what a phase used; `rss` is the peak in bytes, `shuffled` is None where the engine does not tell."""

    seconds: float = 0.0
    cpu: float = 0.0
    rss: int = 0
    read: int = 0
    written: int = 0
    shuffled: int | None = None

    def since(self, before: Usage) -> Usage:
        """Return the difference of two moments' CPU and bytes."""
        return Usage(
            cpu=self.cpu - before.cpu, read=self.read - before.read, written=self.written - before.written,
            shuffled=None if self.shuffled is None else self.shuffled - (before.shuffled or 0),
        )


@dataclass
class Meter:
    """Measure the phases of one engine's work.

    `roots` are processes outside this one's tree that work for it, such as a server that was running already;
    `without` are phases that the engine does not have. `shuffled` asks the engine for the bytes it shuffled so far.
    """

    engine: str
    data: Path
    out: Path
    cores: int
    versions: dict[str, str]
    roots: Sequence[int] = ()
    without: Sequence[str] = ()
    shuffled: Callable[[], int] | None = None
    phases: dict[str, Usage] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Measure what happens inside as one phase."""
        peak, ended = [0], threading.Event()
        watcher = threading.Thread(target=self._watch, args=(peak, ended), daemon=True)
        before = self._now()
        watcher.start()
        began = time.perf_counter()  # what measuring itself takes is outside
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            ended.set()
            watcher.join()
        used, resident = self._now().since(before), self._resident(self._family())
        self.phases[phase] = replace(used, seconds=seconds, rss=max(peak[0], resident))

    def finish(self, places: Mapping[str, Sequence[Path]] | None = None) -> None:
        """Write OUT/result.json: the phases, their sums, counts, bytes of the files that this run wrote.

        `places` names outputs that stand elsewhere than in OUT while they are measured, each in one place or several.
        """
        work = {phase: usage for phase, usage in self.phases.items() if phase != START}
        merged = _summed([usage for phase, usage in work.items() if phase != EXPORTING])
        total = _summed(list(work.values())) if EXPORTING in work else None
        stands: dict[str, Sequence[Path]] = {name: [self.out / name] for name in OUTPUTS} | dict(places or {})
        document = {
            "engine": self.engine, "data": str(self.data), "cores": self.cores, "versions": self.versions,
            "phases": {name: asdict(usage) for name, usage in self.phases.items()},
            "merged": asdict(merged), "total": asdict(total) if total else None, "without": self.without,
            "counts": self.counts, "stored": {name: sum(map(stored, paths)) for name, paths in stands.items()},
        }
        (self.out / "result.json").write_text(json.dumps(document, indent=1), encoding="utf-8")

    def _family(self) -> list[int]:
        found = []
        for root in (os.getpid(), *self.roots):
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(root)
                found += [root, *(child.pid for child in process.children(recursive=True))]
        return list(dict.fromkeys(found))

    def _watch(self, peak: list[int], ended: threading.Event) -> None:
        family, looked = self._family(), time.monotonic()
        while not ended.wait(SAMPLE_SECONDS):
            if time.monotonic() - looked > FAMILY_SECONDS:
                family, looked = self._family(), time.monotonic()
            peak[0] = max(peak[0], self._resident(family))

    @staticmethod
    def _resident(family: Sequence[int]) -> int:
        pages = 0
        for pid in family:
            with suppress(OSError, IndexError):
                pages += int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * _PAGE

    def _now(self) -> Usage:
        ticks = read = written = 0
        for pid in self._family():
            with suppress(OSError, ValueError):
                stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2]
                ticks += sum(map(int, stat.split()[11:15]))  # its own time and that of ended children, user and system
                moved = dict(
                    line.split(": ") for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
                )
                read += max(int(moved["rchar"]), int(moved["read_bytes"]))
                written += max(int(moved["wchar"]), int(moved["write_bytes"]))
        shuffled = None if self.shuffled is None else self.shuffled()
        return Usage(cpu=ticks / _TICKS, read=read, written=written, shuffled=shuffled)


def _summed(usages: Sequence[Usage]) -> Usage:
    shuffled = [usage.shuffled for usage in usages if usage.shuffled is not None]
    return Usage(
        sum(usage.seconds for usage in usages), sum(usage.cpu for usage in usages),
        max(usage.rss for usage in usages), sum(usage.read for usage in usages),
        sum(usage.written for usage in usages), sum(shuffled) if shuffled else None,
    )


def stored(path: Path) -> int:
    """Return the bytes of an output's files, without those that are the data set's own (hard links)."""
    files = [path] if path.is_file() else path.rglob("*") if path.is_dir() else ()
    return sum(status.st_size for file in files if file.is_file() and (status := file.stat()).st_nlink == 1)


def main(engine: str, run: Callable[[Path, Path, int], None]) -> None:
    """Run an engine's work by its command line, DATA OUT [--cores N]; end with 2 and one line when it was refused."""
    try:
        run(*_arguments(engine))
    except LakeError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _arguments(engine: str) -> tuple[Path, Path, int]:
    parser = argparse.ArgumentParser(prog=engine)
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument("out", type=Path, help="folder to write; it may not exist or must be empty")
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    data, out = given.data.resolve(), given.out.resolve()
    check_data(data)
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise RequestError("the folder is not empty.", where=str(out), remedy="name another.")
    # Whatever an engine makes of the number, it and its children get no more cores than that.
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: given.cores]))
    return data, out, given.cores


def check_data(data: Path) -> None:
    """Raise RequestError when a folder is no data set of the benchmark."""
    wanted = ("register/_delta_log", "extract_ps", "extract_ca", "extract_hi", "ref_division.parquet")
    missing = [name for name in wanted if not (data / name).exists()]
    if missing:
        raise RequestError(
            f"it is no data set of the benchmark: {', '.join(missing)} is missing.", where=str(data),
            remedy="make one with `lake bench generate DIR`.",
        )
