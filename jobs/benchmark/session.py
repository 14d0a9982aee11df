"""One session of the benchmark: a data set, the engines' turns, the referee, the reports."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jobs.benchmark import generation, plot, projection, referee, report
from jobs.benchmark.run import ENGINES, LAKE, take_turns
from jobs.errors import RequestError


def make(data: Path, register: int, changes: int, cores: int, say: Callable[[str], None]) -> None:
    """Make a data set and say how long it took."""
    began = time.monotonic()
    part = data.with_name(f"{data.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    if data.exists() and any(data.iterdir()):
        raise RequestError("the folder is not empty.", where=str(data), remedy="name another.")
    generation.generate(part, register, changes, cores)
    part.replace(data)  # whole or absent
    say(f"{data}: {register:,} people, {changes:,} change rows in {time.monotonic() - began:.1f} s")


def run(
    data: Path, out: Path, engines: Sequence[str] | None, repeat: int, cores: int, beside: Sequence[Path], *,
    keep: bool, say: Callable[[str], None],
) -> tuple[dict[str, Any], list[dict[str, Any]], tuple[str, ...]]:
    """Run the engines, judge them, write OUT/report.md, .json and .svg; return the report, its rows and columns.

    Raises RequestError for an unknown engine, no data set, or a report beside it that is none.
    """
    others = [_read(path) for path in beside]
    turns = take_turns(data, out / "outputs", engines or list(ENGINES), repeat, cores, say)
    outputs = {taken.engine: taken.out for taken in turns if taken.out is not None}
    verdicts = referee.judge(outputs, cores, {taken.engine: taken.without for taken in turns})
    command = " ".join(["lake", *sys.argv[1:]])
    document = report.report(turns, verdicts, data, cores, command)
    (out / "report.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "report.md").write_text(report.markdown(document), encoding="utf-8")
    (out / "report.svg").write_text(plot.plot([*others, document]), encoding="utf-8")
    if not keep:
        for taken in turns:
            if taken.out is not None:
                shutil.rmtree(taken.out)
    return document, report.flat(document), report.TABLE


def project(reports: Sequence[Path], register: int, changes: int, cores: int) -> dict[str, Any]:
    """Return what the lake's merge would take at a size, from reports of at least three; see `projection`."""
    found = projection.line([_read(path) for path in reports], LAKE)
    least, greatest = found.seconds(register, changes, cores)
    return {
        "register": register, "changes": changes, "cores": cores,
        "formula": f"({found.rest:.3g} + {found.per_row:.3g} · register + {found.per_change:.3g} · changes) / "
        f"({cores} · {found.busy:.2f})",
        "seconds_least": round(least, 1), "seconds_greatest": round(greatest, 1), "error_of_fit": round(found.error, 3),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        sizes = document["data"]["register"] > 0 and document["data"]["changes"] > 0
        if sizes and all("seconds" in engine for engine in document["engines"]):
            return dict(document)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise RequestError("it is no report of the benchmark.", where=str(path), remedy="name what `lake bench` wrote.")
