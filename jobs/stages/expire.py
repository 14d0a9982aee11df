"""Expire: released versions whose rows' time in public is over, withdrawn by rule; a person is not asked."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime

import polars as pl

from jobs import layers
from jobs.batch import StageReport
from jobs.errors import LakeError, together
from jobs.releases import announcement, listing, periods, withdrawal
from jobs.stages import publish
from jobs.storage.tables import Lake
from jobs.storage.translation import unexpected

RULE = "schemas/periods.yaml"


def run(lake: Lake, *, day: date | None = None, by: str = RULE) -> list[StageReport]:
    """Withdraw every version that shows a row which may be public no longer on a day (default: today in China).

    The signed statement names the reason and `by`, the rule unless a person asks for it. A second run on the same day
    finds nothing; a withdrawal that was killed, or met a damaged version, is ended first. A dataset that fails stops
    no other: when all others are done and what programs go by is current, raises all of their LakeErrors `together`,
    with the `reports` of what was withdrawn.
    """
    on, failed = day or periods.today(), list[LakeError]()
    reports = []
    for name in _left(lake):
        with _collected(failed, name), lake.writing(f"open.{layers.slug(name)}"):
            withdrawal.finish(lake.objects, name)
    take_back_changes(lake, failed)
    for (name, reason), versions in periods.due(lake, on, failed).items():
        with _collected(failed, name):
            reports.append(_withdrawn(lake, name, versions, reason, by))
    with _collected(failed, None):
        announcement.enter(lake)
    if failed:
        error = together(failed)
        error.reports = reports
        raise error
    return reports or [StageReport("expire", "lake", on.isoformat(), "known", notes=["no version is due"])]


def take_back_changes(lake: Lake, failed: list[LakeError]) -> bool:
    """Withdraw changes from withdrawn versions that are in versions put back since; tell whether there were any.

    Before the site shows such a version: see `withdrawal.unsaid`. A dataset that fails is one of the errors `failed`.
    """
    found = False
    for name in _left(lake):
        with _collected(failed, name):
            for version, (reason, by) in withdrawal.unsaid(lake.objects, name).items():
                found = True
                publish.take_back(lake, name, [version], reason=reason, by=by)
    return found


def withdrawn_since(lake: Lake, moment: datetime) -> list[str]:
    """Return the datasets of which this stage withdrew versions since a moment."""
    runs = lake.runs().filter(pl.col("recorded_at") >= moment, stage="expire", outcome="retracted")
    return sorted(set(runs["dataset"]))


def to_offer(lake: Lake, names: Iterable[str]) -> list[str]:
    """Return which of some datasets have lost the newest version of the zone that their contracts now release to.

    What of their rows may be public still is offered by the next release; a person approves it as any other. A dataset
    with damaged versions, of which nothing new is released, is none of them.
    """
    found = []
    for name in names:
        contract = lake.catalogue.contracts.get(name)
        if contract is None or contract.release is None:
            continue
        damaged: list[listing.Damaged] = []
        zone = layers.zone(contract.release.mode)
        own = [one for one in listing.versions(lake.objects, name, damaged) if one.zone is zone]
        last = bool(own and own[-1].withdrawn) or bool(listing.withdrawn_last(lake.objects, name, zone))
        if last and not damaged:
            found.append(name)
    return found


def _left(lake: Lake) -> list[str]:
    """Return the datasets of which statements of withdrawal are there, and perhaps files they took away."""
    remains: list[listing.Damaged] = []
    everything = [one for zone in layers.ZONES for one in listing.everything(lake.objects, zone, [], remains)]
    return sorted({one.dataset for one in everything if one.withdrawals} | {str(one.dataset) for one in remains})


def _withdrawn(lake: Lake, name: str, versions: Sequence[str], reason: str, by: str) -> StageReport:
    started = time.monotonic()
    touched = publish.take_back(lake, name, versions, reason=reason, by=by)
    report = StageReport(
        "expire", name, " ".join(versions), "retracted", notes=[reason],
        extra={"versions": list(versions), "touched": [one.version for one in touched]},
    )
    report.seconds = time.monotonic() - started
    lake.record(report)
    return report


@contextmanager
def _collected(failed: list[LakeError], name: str | None) -> Iterator[None]:
    try:
        yield
    except LakeError as error:
        failed.append(error)
    except Exception as error:  # its text may quote a cell
        failed.append(LakeError(unexpected(error), dataset=name, layer="open", remedy="run again, or report it."))
