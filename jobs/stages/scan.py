"""Scan: search everything the lake wrote outside its closed layers for people's numbers; a finding fails the run."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from jobs.batch import StageReport
from jobs.errors import PrivacyError
from jobs.operation.leaks import leaks
from jobs.storage.tables import Lake

SHOWN = 10


def run(lake: Lake, *, also: Iterable[Path] = ()) -> list[StageReport]:
    """Search gold, open, logs, run records, Airflow's database, and other files or folders (`also`).

    Raises PrivacyError naming tables, columns and files that hold a registered person's citizen ID number.
    """
    started = time.monotonic()
    found = leaks(lake, also)
    report = StageReport(
        "scan", "lake", datetime.now(UTC).date().isoformat(), "refused" if found else "done",
        notes=[f"{one.name}: {one.people} people" for one in found],
    )
    report.seconds = time.monotonic() - started
    lake.record(report)
    if found:
        shown = ", ".join(f"{one.name} ({one.people} people)" for one in found[:SHOWN])
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise PrivacyError(
            "citizen ID numbers of registered people stand where none may be.", where=shown + more,
            remedy="remove them there, close what wrote them, and scan again.",
        )
    return [report]
