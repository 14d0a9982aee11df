"""What a run of the benchmark tells: rows of medians, the machine, as JSON and as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pyarrow.parquet as pq

from jobs.benchmark import referee, tables
from jobs.benchmark.measuring import START
from jobs.benchmark.referee import Verdict
from jobs.benchmark.rules import DEPARTMENTS, PHASES
from jobs.benchmark.run import Turns

MEASURES = {  # column of the report: measure of a result, divisor, decimals
    "cpu_s": ("cpu", 1, 2), "rss_gb": ("rss", 1 << 30, 2), "bytes_read": ("read", 1, 0),
    "bytes_written": ("written", 1, 0), "bytes_shuffled": ("shuffled", 1, 0),
}
MERGED, TOTAL = "to_merged", "total"
TABLE = ("engine", START, *PHASES, MERGED, TOTAL, *MEASURES, "agree")


def report(turns: Sequence[Turns], verdicts: Sequence[Verdict], data: Path, cores: int, command: str) -> dict[str, Any]:
    """Return the whole report: when, command, machine, data, engines (medians of their turns), checksums."""
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "machine": machine(cores),
        "data": sizes(data),
        "engines": [row(taken, verdicts) for taken in turns],
        "checksums": {verdict.output: {"verdict": verdict.word, **verdict.checksums} for verdict in verdicts},
    }


def row(taken: Turns, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return one engine's row: medians over its turns, what the referee says, a note where it did not finish."""
    found: dict[str, Any] = {"engine": taken.engine, "runs": len(taken.results)}
    if taken.results:
        phases = list(taken.results[0]["phases"])
        used = {phase: [result["phases"][phase] for result in taken.results] for phase in phases}
        merged = [result["merged"] for result in taken.results]
        totals = [result["total"] for result in taken.results if result["total"]]
        found["seconds"] = {phase: _middle(usages, "seconds", 1, 3) for phase, usages in used.items()}
        found["seconds"] |= {MERGED: _middle(merged, "seconds", 1, 3), TOTAL: _middle(totals, "seconds", 1, 3)}
        found["phase_cpu_s"] = {phase: _middle(usages, "cpu", 1, 2) for phase, usages in used.items()}
        for name, (measure, divisor, decimals) in MEASURES.items():
            found[name] = _middle(merged, measure, divisor, decimals)
        found |= {key: taken.results[-1].get(key) for key in ("counts", "stored", "versions")}
    else:
        found |= {"seconds": {}, **dict.fromkeys(MEASURES)}
    found["agree"] = referee.agreement(list(verdicts), taken.engine) if taken.out is not None else None
    if taken.note:
        found["note"] = taken.note
    return found


def _middle(usages: Sequence[Mapping[str, Any]], measure: str, divisor: int, decimals: int) -> float | int | None:
    values = [usage[measure] for usage in usages if usage[measure] is not None]
    if not values:
        return None
    middle = round(median(values) / divisor, decimals)
    return int(middle) if decimals == 0 else middle


def machine(cores: int) -> dict[str, Any]:
    """Describe the machine: cores used and there, memory, processor, system, how busy it is."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cores_used": cores, "cores": os.cpu_count(), "cpu": model,
        "memory_gb": round(psutil.virtual_memory().total / (1 << 30), 1),
        "system": f"{platform.system()} {platform.release()}", "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def sizes(data: Path) -> dict[str, Any]:
    """Return a data set's name, rows of its register and rows of its changes."""
    changes = sum(
        pq.ParquetFile(part).metadata.num_rows
        for name in DEPARTMENTS
        for part in (data / f"extract_{name}").glob("*.parquet")
    )
    return {"name": data.name, "register": tables.row_count(data / "register"), "changes": changes}


def flat(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a report as they are printed: one column for each phase and measure."""
    rows = []
    for engine in document["engines"]:
        shown: dict[str, Any] = {"engine": engine["engine"]}
        for phase in (START, *PHASES, MERGED, TOTAL):
            seconds = engine["seconds"].get(phase)
            shown[phase] = None if seconds is None else f"{seconds:.2f}"
        for name in MEASURES:
            value = engine[name]
            shown[name] = spelled(value) if name.startswith("bytes") else value
        shown["agree"] = " · ".join(filter(None, (engine["agree"], engine.get("note"))))
        rows.append(shown)
    return rows


def spelled(amount: float | None) -> str | None:
    """Return bytes as a person reads them."""
    if amount is None:
        return None
    for size, word in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if amount >= size:
            return f"{amount / size:.3g} {word}"
    return f"{amount:.0f} B"


def markdown(document: Mapping[str, Any]) -> str:
    """Return the report as a Markdown page."""
    data, there = document["data"], document["machine"]
    versions = {k: v for engine in document["engines"] for k, v in (engine.get("versions") or {}).items()}
    lines = [
        f"# Merge benchmark: {data['register']:,} people, {data['changes']:,} change rows",
        "",
        f"`{document['command']}`, {document['made_at']}. {there['cores_used']} of {there['cores']} cores "
        f"({there['cpu']}), {there['memory_gb']} GB, {there['system']}, Python {there['python']}, load "
        f"{' '.join(map(str, there['load']))}. " + ", ".join(f"{name} {version}" for name, version in versions.items()),
        "",
        "Seconds by phase, medians; starting an engine is no part of a sum. CPU, memory and bytes are those of the "
        "whole process tree until the register is merged (`to merged`); an engine without export has no total.",
        "",
        "| " + " | ".join(column.replace("_", " ") for column in TABLE) + " |",
        "|" + "---|" * len(TABLE),
    ]
    lines += [
        "| " + " | ".join("–" if shown[column] in (None, "") else str(shown[column]) for column in TABLE) + " |"
        for shown in flat(document)
    ]
    lines += ["", "| output | verdict | rows, xor, sum |", "|---|---|---|"]
    for output, found in document["checksums"].items():
        sums = {engine: value for engine, value in found.items() if engine != "verdict"}
        same = len(set(sums.values())) == 1
        told = next(iter(sums.values())) if same else "; ".join(f"{engine}: {value}" for engine, value in sums.items())
        lines.append(f"| {output} | {found['verdict']} | {told} |")
    return "\n".join([*lines, "", "![seconds by size](report.svg)"]) + "\n"
