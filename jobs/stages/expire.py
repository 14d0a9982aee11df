"""Expire: released versions whose rows' time in public is over, withdrawn by rule; a person is not asked."""

from __future__ import annotations

import time
from datetime import date

from jobs import layers
from jobs.batch import StageReport
from jobs.releases import announcement, listing, periods, withdrawal
from jobs.stages import publish
from jobs.storage.tables import Lake

RULE = "schemas/periods.yaml"


def run(lake: Lake, *, day: date | None = None, by: str = RULE) -> list[StageReport]:
    """Withdraw every version that shows a row which may be public no longer on a day (default: today in China).

    The signed statement names the reason and `by`, the rule unless a person asks for it. A second run on the same day
    finds nothing; a withdrawal that was killed, this stage's or a person's, is ended first.
    """
    on, reports = day or periods.today(), []
    _finish(lake)
    for (name, reason), versions in periods.due(lake, on).items():
        started = time.monotonic()
        touched = publish.withdraw(lake, name, versions, reason=reason, by=by)
        report = StageReport(
            "expire", name, " ".join(versions), "retracted", notes=[reason],
            extra={"versions": list(versions), "touched": [one.version for one in touched]},
        )
        report.seconds = time.monotonic() - started
        lake.record(report)
        reports.append(report)
    announcement.enter(lake)
    return reports or [StageReport("expire", "lake", on.isoformat(), "known", notes=["no version is due"])]


def _finish(lake: Lake) -> None:
    """End every withdrawal whose statement is there and whose files were left."""
    everything = (one for zone in layers.ZONES for one in listing.everything(lake.objects, zone))
    for name in sorted({one.dataset for one in everything if one.withdrawals}):
        with lake.writing(f"open.{layers.slug(name)}"):
            withdrawal.finish(lake.objects, name)
