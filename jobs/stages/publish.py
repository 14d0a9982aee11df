"""Publish: gold to an open release, approved, anonymous, described, proven, whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from jobs import layers
from jobs.batch import StageReport
from jobs.contract import Contract
from jobs.errors import ReleaseRefused, RequestError
from jobs.layers import Layer
from jobs.privacy import minors
from jobs.releases import (
    adversary,
    announcement,
    approvals,
    assembly,
    build,
    epsilon,
    history,
    holding,
    id_changes,
    inputs,
    listing,
    numbering,
    periods,
    pseudonyms,
    recipes,
    terms,
    withdrawal,
)
from jobs.releases.inputs import Inputs
from jobs.releases.signing import Signer
from jobs.storage.standing import Standing
from jobs.storage.tables import Lake


def run(
    lake: Lake, name: str, *, approved_by: str, triggered_by: str | None = None, seen: str | None = None,
    day: date | None = None,
) -> list[StageReport]:
    """Release a dataset or product as it is in gold; content that was released already is known and changes nothing.

    delivered = accepted (rows kept) + withheld (rows of groups that stayed too small), in gold rows of the release's
    scope; of an aggregate these are the rows counted. Raises ReleaseRefused, and releases nothing, when the terms are
    not approved as they stand, when `approved_by` is nobody or who triggered the release, when gold has no rows, when
    fewer rows would be kept than the contract's utility floor, when the ε budget is spent, when a public key does not
    tell the rows apart, when an identifier is found, and when the rows are not those that were `seen` (the preview's
    `content`). `day`: on which rows that are public for a time only must be so; default: today in China.
    """
    contract = lake.catalogue.contract(name)
    with lake.writing(f"open.{layers.slug(name)}"):
        started = time.monotonic()
        approval = _approval(lake, contract, approved_by, triggered_by)
        for zone in layers.ZONES:
            for left in lake.objects.unfinished(layers.release_path(name, zone=zone)):
                lake.objects.remove(left)  # a killed run's, and the lease says it is nobody else's
        withdrawal.finish(lake.objects, name)
        if withdrawal.unsaid(lake.objects, name):  # before all of it is told again
            withdrawal.mend(lake.objects, name, datetime.now(UTC), Signer.open(lake.objects, lake.settings.signature))
        pseudonyms.check(lake.objects, contract)
        made, rows, gold = _draft(lake, contract, day)
        if young := _young(lake, contract, gold):
            _record_refusal(lake, made, young, started, gold)
            raise young
        _useful(lake, made, started, gold)
        attacked = _attacked(lake, made, started, gold)
        if made.exact is not None:
            _as_seen(lake, made, started, gold, seen)  # before ε is spent on other rows
        made, drawn = _drawn(lake, made, started, gold)
        against = holding.comparison(lake, made)
        made = holding.settled(lake, made, against)
        _useful(lake, made, started, gold)
        _as_seen(lake, made, started, gold, seen)
        made = pseudonyms.keyed(lake.objects, made)
        version, breaking = numbering.numbered(lake.objects, made)
        last = listing.latest(lake.objects, name, _zone(contract))
        fresh = last is None or version != last.version
        if fresh:
            now = datetime.now(UTC)
            decided = replace(
                _inputs(lake, made, version, breaking, now), attack=attacked, against=against.against,
                takedown=against.takedown, draw=drawn, pseudonym_key=made.pseudonym_key,
                day=made.day.isoformat() if made.day else "", scope=terms.scope(contract, lake.catalogue),
                under_14=minors.statement(contract, lake.catalogue, _counted(lake, contract, gold)),
            )
            inputs.keep(lake.objects, name, decided, rows)
            signed = {
                "terms_approved_by": approval.approved_by, "terms_approved_on": approval.approved_on,
                "approved_by": approved_by.strip(), "triggered_by": triggered_by, "gold": gold,
            }
            attested = assembly.attestation(version, signed, now)
            signer = Signer.open(lake.objects, lake.settings.signature)
            assembly.place(lake.objects, recipes.recipe(lake, made, decided), attested, signer)
        report = _report(lake, made, version, started)
        if fresh or version not in lake.judged("publish", name):
            lake.record(report)
        else:
            report.outcome, report.notes = "known", ["the last release says the same; nothing to do"]
    announcement.enter(lake)
    return [report]


def withdraw(lake: Lake, name: str, versions: Sequence[str], *, reason: str, by: str) -> list[withdrawal.Version]:
    """Withdraw released versions, tell the world, and return the releases that were touched.

    Raises RequestError for a version that is not there, or without a reason; nothing is withdrawn then.
    """
    touched = take_back(lake, name, versions, reason=reason, by=by)
    announcement.enter(lake)
    return touched


def take_back(lake: Lake, name: str, versions: Sequence[str], *, reason: str, by: str) -> list[withdrawal.Version]:
    """Withdraw released versions as `withdraw` does, and leave it to the caller to tell the world."""
    with lake.writing(f"open.{layers.slug(name)}"):
        signer, now = Signer.open(lake.objects, lake.settings.signature), datetime.now(UTC)
        return withdrawal.withdraw(lake.objects, name, versions, reason=reason, by=by, now=now, signer=signer)


def preview(lake: Lake, name: str, *, day: date | None = None) -> dict[str, Any]:
    """Return what a release would hold, measure and change, without a row of it; writes nothing.

    `verdict`: in one line whether it would be released and by what measure of risk, or why it would be refused.
    `moved`: that it would lie in another zone than the version before it, None where it would not.
    `unchanged`: the release would equal the last one. `approved`: the terms are approved as they stand. `refused`: why
    the release would be refused whoever approves it, else None. `content`: a word for its rows. `risk_report`: their
    whole risk, None where noise protects whoever is in it.
    Raises ReleaseRefused when the contract opens nothing or gold is not there yet.
    """
    contract = lake.catalogue.contract(name)
    fresh, _, gold = _draft(lake, contract, day)
    made = epsilon.foreseen(lake, fresh, inputs.fingerprints(inputs.sources(lake, contract)))
    made = holding.settled(lake, made, holding.comparison(lake, made))
    content = _shown(made, gold)
    made = pseudonyms.keyed(lake.objects, made, fresh=False)
    last = listing.latest(lake.objects, name, _zone(contract))
    version, breaking = numbering.numbered(lake.objects, made)
    try:
        approval: approvals.Approval | None = approvals.approved(contract, lake.catalogue)
    except ReleaseRefused:
        approval = None
    assert contract.release is not None
    measured, held = build.privacy(made), made.held or {}
    changes = recipes.changes_since_last(lake, made) if made.exact is None or made.private else None
    attack, attacked = _foretold(lake, fresh)
    young = _young(lake, contract, gold)
    refusal = _too_little(made) or young or attacked or epsilon.clash(lake.objects, contract)
    verdict = f"FAILS: {young.what}" if young else _verdict(lake, made, measured, attacked=attacked is not None)
    refused = str(refusal) if refusal else f"{name}: {verdict}" if verdict.startswith("FAILS") else None
    shown = (
        "threshold", "groups", "smallest_group", "kept", "kept_share", "suppressed", "coarsened", "quasi_identifiers"
    )
    return {
        "dataset": name,
        "verdict": verdict,
        "version": version,
        "breaking": breaking,
        "zone": _zone(contract).value,
        "moved": numbering.moved(lake.objects, contract),
        "unchanged": last is not None and version == last.version and version in lake.judged("publish", name),
        "since": changes["since"] if changes else None,
        "changes": changes["counts"] if changes else None,
        "why": changes["why"] if changes else {},
        "rows": made.table.height,
        "underlying_rows": made.anonymised.delivered,
        **{key: measured[key] for key in shown},
        "utility_floor": contract.release.utility_floor,
        "risk": measured["gb_t_42460"]["r"],
        "risk_allowed": measured["gb_t_42460"]["threshold"],
        "under_14": minors.told(contract, lake.catalogue, _counted(lake, contract, gold)),
        "attack": attack,
        "epsilon": epsilon.price(lake.objects, contract),
        "held_back": held.get("groups_held", 0),
        "rows_held_back": held.get("rows_held", 0),
        "taken_down": held.get("groups_taken_down", 0),
        "refused": refused,
        "quality": inputs.quality(inputs.sources(lake, contract)),
        "columns": made.table.columns,
        "gold": gold,
        "content": content,
        "risk_report": build.risk_report(made),
        "fingerprint": made.fingerprint,
        "approved": approval is not None,
        "terms_approved_by": approval.approved_by if approval else None,
    }


def _shown(made: build.Draft, gold: dict[str, Any]) -> str:
    """Return a word for the rows a person is shown: of a table with noise, whose cells nobody sees, for gold's."""
    return made.content["rows"] if made.exact is None else str(gold["state"])


def _as_seen(lake: Lake, made: build.Draft, started: float, gold: dict[str, Any], seen: str | None) -> None:
    """Raise ReleaseRefused, and record it, where the rows are not those a person was shown."""
    if seen is not None and seen != _shown(made, gold):
        refusal = ReleaseRefused(
            "what would be released now is not what was approved.", dataset=made.contract.name, layer=Layer.OPEN,
            remedy="run its DAG again, and approve what it shows.",
        )
        _record_refusal(lake, made, refusal, started, gold)
        raise refusal


def _verdict(lake: Lake, made: build.Draft, measured: dict[str, Any], *, attacked: bool) -> str:
    """Return in one line what the measures come to: for the person who decides, before any figure."""
    contract, result, risk = made.contract, made.anonymised, measured["gb_t_42460"]
    assert contract.release is not None
    grades = measured["gb_t_43697"]
    harm = f"harm if it leaks (GB/T 43697): grade {grades['made_from']} as delivered, {grades['release']} as released"
    if not result.kept or result.kept_share < contract.release.utility_floor:
        return f"FAILS: {result.kept} of {result.delivered} rows would be kept, below the utility floor; {harm}"
    if attacked:
        return f"FAILS: the lake's own attack succeeds; {harm}"
    if made.exact is not None:
        enough = epsilon.affordable(lake.objects, contract) or made.private is not None
        return f"{'PASSES: noise protects everybody in it' if enough else 'FAILS: the ε budget is spent'}; {harm}"
    return (
        f"PASSES: R = {risk['r']}, at most {risk['threshold']} is allowed for {measured['mode']} release "
        f"(GB/T 42460 annex D as implemented: grade {risk['grade']}); {harm}"
    )


def _drawn(lake: Lake, made: build.Draft, started: float, gold: dict[str, Any]) -> tuple[build.Draft, str]:
    """Return the draft with its noise and the draw's name; raise ReleaseRefused, and record it, when ε is spent."""
    try:
        return epsilon.spend(lake, made, inputs.fingerprints(inputs.sources(lake, made.contract)))
    except ReleaseRefused as refusal:
        _record_refusal(lake, made, refusal, started, gold)
        raise


def _foretold(lake: Lake, made: build.Draft) -> tuple[str, ReleaseRefused | None]:
    """Return in one line what the attack would come to, for the person who decides, and the refusal it leads to."""
    try:
        found = adversary.attack(lake, made)
    except ReleaseRefused as refusal:
        return f"refused: {refusal.what}", refusal
    if made.exact is not None:
        return "not attacked: noise protects whoever is in it", None
    if found is None:
        about = adversary.roles(lake, made.contract)
        why = "there is no register of people yet" if about else "it is about no person"
        return f"not attacked: {why}", None
    claims = sum(one["claims"] for one in found["roles"])
    return f"{claims} claims, nobody truly singled out, against {found['against']}", None


def _approval(lake: Lake, contract: Contract, approved_by: str, triggered_by: str | None) -> approvals.Approval:
    """Return the approval of the terms, when the release may go by its signatures."""
    if contract.release is None:
        raise ReleaseRefused(
            "the contract has no release:, so it is not open.", dataset=contract.name, layer=Layer.OPEN,
            remedy="give it release: and fields publish:, then approve.",
        )
    if not approved_by.strip():
        raise ReleaseRefused(
            "nobody approved this release.", dataset=contract.name, layer=Layer.OPEN, remedy="name who approves it.",
        )
    if triggered_by is not None and approvals.same_person(approved_by, triggered_by):
        raise ReleaseRefused(
            f"who triggers a release may not approve it, and {triggered_by} runs this.", dataset=contract.name,
            layer=Layer.OPEN, remedy="let somebody else approve.",
        )
    return approvals.approved(contract, lake.catalogue)


def _draft(lake: Lake, contract: Contract, day: date | None = None) -> tuple[build.Draft, pl.DataFrame, dict[str, Any]]:
    """Return the draft, the gold rows it was made from, and which they are: version and desensitise's state."""
    name, standing = contract.name, Standing(lake, contract.name)
    try:
        while True:
            version = standing.versions()
            rows = standing.rows().collect()
            if standing.versions() == version:
                break
    except RequestError:
        raise ReleaseRefused(
            "there is no gold table yet.", dataset=name, layer=Layer.GOLD, remedy=f"`lake run desensitise {name}`.",
        ) from None
    timed = contract.release is not None and contract.release.period is not None
    made = build.draft(rows.lazy(), contract, lake.catalogue, (day or periods.today()) if timed else None)
    states = [row["batch"] for row in lake.judged("desensitise", name).values() if row["outcome"] == "done"]
    return made, rows, {"version": version[0], "state": states[-1] if states else None}


def _inputs(lake: Lake, made: build.Draft, version: str, breaking: list[str], now: datetime) -> Inputs:
    """Gather what decides the release's bytes besides gold, code and contracts."""
    name = made.contract.name
    zone = _zone(made.contract)
    before = [one for one in listing.versions(lake.objects, name) if one.zone is zone]
    windows, restart = history.windows(before, now, made.documents, zone)
    if gone := listing.withdrawn_last(lake.objects, name, zone):
        windows, restart = {}, f"version {gone} was withdrawn"
    if pseudonyms.columns(made.contract) and windows:
        windows, restart = {}, pseudonyms.NEVER_THE_SAME
    delivered = inputs.sources(lake, made.contract)
    days = [batch.data_date for batch, _ in delivered] or [now.astimezone(ZoneInfo("Asia/Shanghai")).date()]
    previous = {"version": before[-1].version, "sha256": before[-1].manifest_sha256} if before else None
    address = layers.zone_address(lake.settings.portal, zone)
    return Inputs(
        version, breaking, max(days).isoformat(), address, previous, windows, restart,
        inputs.fingerprints(delivered), inputs.quality(delivered), id_changes=id_changes.changes(lake, made),
    )


def _zone(contract: Contract) -> Layer:
    assert contract.release is not None
    return layers.zone(contract.release.mode)


def _useful(lake: Lake, made: build.Draft, started: float, gold: dict[str, Any]) -> None:
    """Raise ReleaseRefused, and record it, when the release would be empty or below the contract's utility floor."""
    if refusal := _too_little(made):
        _record_refusal(lake, made, refusal, started, gold)
        raise refusal


def _too_little(made: build.Draft) -> ReleaseRefused | None:
    """Return the refusal of a release that would be empty or below the contract's utility floor."""
    contract, result = made.contract, made.anonymised
    assert contract.release is not None
    floor = contract.release.utility_floor
    if result.kept and result.kept_share >= floor:
        return None
    if not result.delivered:
        what, remedy = "gold has no rows in the release's scope.", "deliver some, or widen release.only."
    else:
        what = (
            f"only {result.kept} of {result.delivered} rows ({result.kept_share:.1%}) are in groups of "
            f"{made.threshold}; the contract's utility floor is {floor:.0%}."
        )
        remedy = "publish: fewer or coarser columns, then approve the new terms."
    return ReleaseRefused(what, dataset=contract.name, layer=Layer.OPEN, remedy=remedy)


def _young(lake: Lake, contract: Contract, gold: dict[str, Any]) -> ReleaseRefused | None:
    """Return the refusal of a release whose gold rows speak of children though the contract says that none does."""
    return minors.refusal(contract, lake.catalogue, _counted(lake, contract, gold))


def _counted(lake: Lake, contract: Contract, gold: dict[str, Any]) -> dict[str, Any]:
    """Return what was counted of the rows in gold as they were made."""
    known = gold["state"] is not None
    return dict(lake.last_report("desensitise", contract.name, gold["state"]).extra) if known else {}


def _attacked(lake: Lake, made: build.Draft, started: float, gold: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the lake's own attack came to; raise ReleaseRefused, and record it, when it succeeds."""
    try:
        return adversary.attack(lake, made)
    except ReleaseRefused as refusal:
        _record_refusal(lake, made, refusal, started, gold)
        raise


def _record_refusal(
    lake: Lake, made: build.Draft, refusal: ReleaseRefused, started: float, gold: dict[str, Any]
) -> None:
    result = made.anonymised
    refusal.report = StageReport(
        "publish", made.contract.name, f"gold@{gold['version']}", "refused", delivered=result.delivered,
        withheld=result.delivered, notes=[refusal.what], seconds=time.monotonic() - started,
        extra={"kept_share": round(result.kept_share, 4), "fingerprint": made.fingerprint},
    )
    lake.record(refusal.report)


def _report(lake: Lake, made: build.Draft, version: str, started: float) -> StageReport:
    result, path = made.anonymised, layers.release_path(made.contract.name, version, _zone(made.contract))
    return StageReport(
        "publish", made.contract.name, version, delivered=result.delivered, accepted=result.kept,
        withheld=result.suppressed, seconds=time.monotonic() - started,
        extra={
            "path": lake.objects.address(path), "version": version, "rows": made.table.height,
            "groups": result.groups, "smallest_group": result.smallest_group,
            "kept_share": round(result.kept_share, 4), "coarsened": dict(result.coarsened),
            "fingerprint": made.fingerprint,
        },
    )
