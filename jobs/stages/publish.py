"""Publish: gold to an open release, approved, anonymous, described, whole."""

from __future__ import annotations

import time
from typing import Any

from jobs import layers
from jobs.batch import StageReport
from jobs.contract import Contract
from jobs.errors import ReleaseRefused, RequestError
from jobs.layers import Layer
from jobs.releases import approvals, build, listing
from jobs.storage.tables import Lake


def run(lake: Lake, name: str, *, approved_by: str, triggered_by: str | None = None) -> list[StageReport]:
    """Release a dataset or product as it is in gold; content that was released already is known and changes nothing.

    delivered = accepted (rows kept) + withheld (rows of groups that stayed too small), in gold rows of the release's
    scope; of an aggregate these are the rows counted. Raises ReleaseRefused, and releases nothing, when the terms are
    not approved as they stand, when `approved_by` is nobody or who triggered the release, when gold has no rows, when
    fewer rows would be kept than the contract's utility floor, and when an identifier is found.
    """
    contract = lake.catalogue.contract(name)
    with lake.writing(f"open.{layers.slug(name)}"):
        started = time.monotonic()
        approval = _approval(lake, contract, approved_by, triggered_by)
        for left in lake.objects.unfinished(layers.release_path(name)):
            lake.objects.remove(left)  # a killed run's, and the lease says it is nobody else's
        made, gold = _draft(lake, contract)
        _useful(lake, made, started, gold)
        last = listing.latest(lake.objects, name)
        version = build.next_version(last, made)
        fresh = last is None or version != last["version"]
        if fresh:
            signed = {
                "terms_approved_by": approval.approved_by, "terms_approved_on": approval.approved_on,
                "approved_by": approved_by.strip(), "triggered_by": triggered_by, "gold": gold,
            }
            build.place(lake.objects, made, version, signed)
        report = _report(lake, made, version, started)
        if fresh or version not in lake.judged("publish", name):
            lake.record(report)
        else:
            report.outcome, report.notes = "known", ["the last release says the same; nothing to do"]
        return [report]


def preview(lake: Lake, name: str) -> dict[str, Any]:
    """Return what a release would hold and measure, without a row of it; writes nothing.

    `unchanged`: the release would equal the last one. `approved`: the terms are approved as they stand.
    Raises ReleaseRefused when the contract opens nothing or gold is not there yet.
    """
    contract = lake.catalogue.contract(name)
    made, gold = _draft(lake, contract)
    last = listing.latest(lake.objects, name)
    version = build.next_version(last, made)
    try:
        approval: approvals.Approval | None = approvals.approved(contract, lake.catalogue)
    except ReleaseRefused:
        approval = None
    assert contract.release is not None
    measured = build.privacy(made)
    shown = (
        "threshold", "groups", "smallest_group", "kept", "kept_share", "suppressed", "coarsened", "quasi_identifiers"
    )
    return {
        "dataset": name,
        "version": version,
        "unchanged": last is not None and version == last["version"] and version in lake.judged("publish", name),
        "rows": made.table.height,
        "underlying_rows": made.anonymised.delivered,
        **{key: measured[key] for key in shown},
        "utility_floor": contract.release.utility_floor,
        "risk": measured["gb_t_42460"]["r"],
        "columns": made.table.columns,
        "gold": gold,
        "fingerprint": made.fingerprint,
        "approved": approval is not None,
        "terms_approved_by": approval.approved_by if approval else None,
    }


def _approval(lake: Lake, contract: Contract, approved_by: str, triggered_by: str | None) -> approvals.Approval:
    """Return the approval of the terms, when the release may go by its signatures."""
    if contract.release is None:
        raise ReleaseRefused(
            "the contract has no release:, so it is not open.", dataset=contract.name, layer=Layer.OPEN,
            remedy="give it release: and fields publish:, then approve.",
        )
    who = approved_by.strip().casefold()
    if not who:
        raise ReleaseRefused(
            "nobody approved this release.", dataset=contract.name, layer=Layer.OPEN, remedy="name who approves it.",
        )
    if triggered_by is not None and who == triggered_by.strip().casefold():
        raise ReleaseRefused(
            "who triggers a release may not approve it.", dataset=contract.name, layer=Layer.OPEN,
            remedy="let somebody else approve.",
        )
    return approvals.approved(contract, lake.catalogue)


def _draft(lake: Lake, contract: Contract) -> tuple[build.Draft, dict[str, Any]]:
    """Return the draft and which gold it was made from: the table's version, and the state desensitise gave it."""
    name = contract.name
    try:
        while True:
            version = lake.version(Layer.GOLD, name)
            made = build.draft(lake.scan(Layer.GOLD, name), contract, lake.catalogue)
            if lake.version(Layer.GOLD, name) == version:
                break
    except RequestError:
        raise ReleaseRefused(
            "there is no gold table yet.", dataset=name, layer=Layer.GOLD, remedy=f"`lake run desensitise {name}`.",
        ) from None
    states = [row["batch"] for row in lake.judged("desensitise", name).values() if row["outcome"] == "done"]
    return made, {"version": version, "state": states[-1] if states else None}


def _useful(lake: Lake, made: build.Draft, started: float, gold: dict[str, Any]) -> None:
    """Raise ReleaseRefused, and record it, when the release would be empty or below the contract's utility floor."""
    contract, result = made.contract, made.anonymised
    assert contract.release is not None
    floor = contract.release.utility_floor
    if result.kept and result.kept_share >= floor:
        return
    if not result.delivered:
        what, remedy = "gold has no rows in the release's scope.", "deliver some, or widen release.only."
    else:
        what = (
            f"only {result.kept} of {result.delivered} rows ({result.kept_share:.1%}) are in groups of "
            f"{made.threshold}; the contract's utility floor is {floor:.0%}."
        )
        remedy = "publish: fewer or coarser columns, then approve the new terms."
    refusal = ReleaseRefused(what, dataset=contract.name, layer=Layer.OPEN, remedy=remedy)
    refusal.report = StageReport(
        "publish", contract.name, f"gold@{gold['version']}", "refused", delivered=result.delivered,
        withheld=result.delivered, notes=[what], seconds=time.monotonic() - started,
        extra={"kept_share": round(result.kept_share, 4), "fingerprint": made.fingerprint},
    )
    lake.record(refusal.report)
    raise refusal


def _report(lake: Lake, made: build.Draft, version: str, started: float) -> StageReport:
    result, path = made.anonymised, layers.release_path(made.contract.name, version)
    return StageReport(
        "publish", made.contract.name, version, delivered=result.delivered, accepted=result.kept,
        withheld=result.suppressed, seconds=time.monotonic() - started,
        extra={
            "path": str(lake.objects.local(path)), "version": version, "rows": made.table.height,
            "groups": result.groups, "smallest_group": result.smallest_group,
            "kept_share": round(result.kept_share, 4), "coarsened": dict(result.coarsened),
            "fingerprint": made.fingerprint,
        },
    )
