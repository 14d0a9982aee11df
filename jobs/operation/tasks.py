"""What an Airflow task does: one stage, its accounting as the result, its failure as one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from importlib import import_module
from typing import Any

from jobs.batch import StageReport
from jobs.errors import (
    ContractError,
    DamagedBatchError,
    LakeError,
    PrivacyError,
    QualityGateError,
    ReleaseRefused,
    RequestError,
    SourceError,
    together,
)

# What trying again cannot mend: the data, the contract or a person said no.
FINAL = (
    ContractError, DamagedBatchError, PrivacyError, QualityGateError, ReleaseRefused, RequestError, SourceError,
)


def perform(
    stage: str, name: str | None = None, *, batch: str | None = None, data_date: date | None = None, **arguments: Any
) -> list[dict[str, Any]]:
    """Run one stage over what waits for it, over one batch, or over the batches of a data date again.

    Of a data date those are left out that the stage before has not done: its own task says why.

    Returns counts only. A failure that a second try cannot mend fails the task at once, any other is retried; the
    message says dataset, place, rule and remedy. A stage that found nothing to do skips the task, so that nothing
    after it is woken.
    """
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

    from jobs.stages.pending import ready
    from jobs.storage.tables import Lake
    from jobs.storage.translation import unexpected

    run = import_module(f"jobs.stages.{stage}").run
    reports: list[StageReport] = []
    failed: list[LakeError] = []
    try:
        with Lake.open() as lake:
            chosen: list[str | None] = [batch]
            if batch is None and data_date is not None and name is not None:
                gone = lake.retracted(name)
                chosen = [
                    one.id for one in ready(lake, stage, name, lake.batches(name))
                    if one.data_date == data_date and gone.isdisjoint({one.id, one.repairs})
                ]
            for one in chosen:
                given = {**arguments, **({"batch": one} if one else {})}
                try:
                    reports += run(lake, name, **given) if name else run(lake, **given)
                except (DamagedBatchError, QualityGateError, SourceError) as error:  # the batch's own fault
                    failed.append(error)
        if failed:
            raise together(failed)
    except LakeError as error:
        final = all(isinstance(one, FINAL) for one in error.errors)
        raise (AirflowFailException if final else AirflowException)(str(error)) from None
    except Exception as error:
        raise AirflowException(f"{stage} {name or ''}: {unexpected(error)}") from None  # its text may quote a cell
    if all(report.outcome == "known" for report in reports):
        raise AirflowSkipException("nothing was waiting.")
    return [_counts(report) for report in reports]


def backfilled(run: Any) -> date | None:
    """Return the data date a backfill run is for (its logical date in China), None for any other run."""
    from zoneinfo import ZoneInfo

    if str(run.run_type) not in ("backfill", "DagRunType.BACKFILL_JOB", "DagRunType.BACKFILL") or not run.logical_date:
        return None
    day: date = run.logical_date.astimezone(ZoneInfo("Asia/Shanghai")).date()
    return day


def previewed(name: str) -> dict[str, Any]:
    """Return what a release would hold, with a `report` for the person who decides and, beside it, its risk as a page.

    Skips when it would equal the last one, and fails, before anybody is asked, when it would be refused whoever
    approves it: attacked with success, or too little left.
    """
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

    from jobs.releases import risk_pages
    from jobs.releases.briefing import briefing
    from jobs.stages import publish
    from jobs.storage.tables import Lake
    from jobs.storage.translation import unexpected

    try:
        with Lake.open() as lake:
            found: dict[str, Any] = publish.preview(lake, name)
            page = risk_pages.write(lake.objects, found)
    except FINAL as error:
        raise AirflowFailException(str(error)) from None
    except LakeError as error:
        raise AirflowException(str(error)) from None
    except Exception as error:
        raise AirflowException(f"publish {name}: {unexpected(error)}") from None  # its text may quote a cell
    if found["refused"]:
        raise AirflowFailException(found["refused"])
    if not found["approved"]:
        raise AirflowFailException(f"{name}: nobody approved the terms as they stand. Remedy: `lake approve {name}`.")
    if found["unchanged"]:
        raise AirflowSkipException("the release would equal the last one.")
    return {**found, "report": briefing(found, page)}


def released(
    name: str, decision: Mapping[str, Any] | None, seen: Mapping[str, Any], triggered_by: str | None
) -> list[dict[str, Any]]:
    """Publish the rows that a person saw and approved; without an approval, or of other rows, nothing."""
    from airflow.sdk.exceptions import AirflowFailException

    if not agreed(decision):
        raise AirflowFailException(f"{name}: nobody approved this release; nothing is published.")
    assert decision is not None
    return perform(
        "publish", name, approved_by=approver(decision), triggered_by=triggered_by, seen=seen["content"]
    )


def withdrawing(dataset: str, versions: str, reason: str) -> str:
    """Return, for the person who decides, what a withdrawal would remove; skips when nothing is left to remove."""
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

    from jobs.releases.withdrawal import foreseen
    from jobs.storage.tables import Lake
    from jobs.storage.translation import unexpected

    try:
        with Lake.open() as lake:
            found = foreseen(lake.objects, dataset, versions.split())
    except FINAL as error:
        raise AirflowFailException(str(error)) from None
    except LakeError as error:
        raise AirflowException(str(error)) from None
    except Exception as error:
        raise AirflowException(f"withdraw {dataset}: {unexpected(error)}") from None  # its text may quote a cell
    if not found:
        raise AirflowSkipException("these versions are withdrawn already.")
    none = {True: "已损坏，无法得知 · damaged: nobody can tell", False: "仅变更文件 · changes only"}
    lines = ["| 版本 · version | 移除的行 · rows removed | 移除的文件 · files removed |", "|---|---|---|"]
    lines += [
        f"| {one['version']} | {one['rows'] if one['rows'] is not None else none[one['damaged']]} | {one['files']} |"
        for one in found
    ]
    return "\n".join([f"**{dataset}**", "", f"原因 · reason: {' '.join(reason.split())}", "", *lines])


def withdrawn(
    dataset: str, versions: str, reason: str, decision: Mapping[str, Any] | None, triggered_by: str | None
) -> list[str]:
    """Withdraw what a person agreed to who did not ask for it; return the versions that were touched."""
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    from jobs.releases import approvals
    from jobs.stages import publish
    from jobs.storage.tables import Lake
    from jobs.storage.translation import unexpected

    if not agreed(decision):
        raise AirflowFailException(f"{dataset}: nobody approved this withdrawal; nothing is withdrawn.")
    assert decision is not None
    by = approver(decision)
    if not by or approvals.same_person(by, triggered_by or ""):
        raise AirflowFailException(f"{dataset}: who asks for a withdrawal may not approve it. Let somebody else do so.")
    try:
        with Lake.open() as lake:
            touched = publish.withdraw(lake, dataset, versions.split(), reason=reason, by=by)
    except FINAL as error:
        raise AirflowFailException(str(error)) from None
    except LakeError as error:
        raise AirflowException(str(error)) from None
    except Exception as error:
        raise AirflowException(f"withdraw {dataset}: {unexpected(error)}") from None  # its text may quote a cell
    return [one.version for one in touched]


def site() -> dict[str, Any]:
    """Build the open-data site as releases, withdrawals and run records now stand; return what was done.

    Cheap when nothing changed, and never skipped, so that a run that died after its release is made good. Changes from
    a withdrawn version, in one that was put back since, go before. Versions that cannot be read, and changes that could
    not be withdrawn, stop nothing here: `announced` names them, when the feed tells of all others.
    """
    from airflow.sdk.exceptions import AirflowException

    from jobs.portal.build import build
    from jobs.releases.announcement import enter
    from jobs.stages.expire import take_back_changes
    from jobs.storage.tables import Lake
    from jobs.storage.translation import unexpected

    failed: list[LakeError] = []
    try:
        with Lake.open() as lake:
            if take_back_changes(lake, failed):
                enter(lake)
            built = build(lake)
            return {**built, "errors": [*map(str, failed), *built["errors"]]}
    except LakeError as error:
        raise AirflowException(str(error)) from None
    except Exception as error:
        raise AirflowException(f"site: {unexpected(error)}") from None  # its text may quote a cell


def announced(built: Mapping[str, Any] | None = None) -> None:
    """Tell the feed's readers and search engines what the site now shows.

    `built`: what `site` returned. Fails, when all that could be told is told, with every version that cannot be read.
    """
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    from jobs.releases.announcement import announce
    from jobs.storage.tables import Lake
    from jobs.storage.translation import unexpected

    try:
        with Lake.open() as lake:
            lost = [str(one) for one in announce(lake)]
    except LakeError as error:
        raise AirflowException(str(error)) from None
    except Exception as error:
        raise AirflowException(f"feed: {unexpected(error)}") from None  # its text may quote a cell
    if errors := dict.fromkeys([*(built or {}).get("errors", ()), *lost]):
        raise AirflowFailException(" ".join(errors))


def offered_again(since: datetime) -> list[str]:
    """Return the DAGs that offer anew what of a dataset may be public still, where expiry took it back since a moment.

    Also of those that were withdrawn before expiry failed with another.
    """
    from airflow.sdk.exceptions import AirflowException

    from jobs.layers import dag_name
    from jobs.stages import expire
    from jobs.storage.tables import Lake
    from jobs.storage.translation import unexpected

    try:
        with Lake.open() as lake:
            found = expire.to_offer(lake, expire.withdrawn_since(lake, since))
    except LakeError as error:
        raise AirflowException(str(error)) from None
    except Exception as error:
        raise AirflowException(f"expire: {unexpected(error)}") from None  # its text may quote a cell
    return [dag_name("open", name) for name in found]


def waiting_cases(register: str, limit: int) -> list[str]:
    """Return the ids of cases that wait for a person, the surest suggestions first, at most `limit`; skips on none."""
    from airflow.sdk.exceptions import AirflowSkipException

    from jobs.operation.enquiries import Desk
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        desks = Desk.all(lake, register)
        rows = desks[0].court.cases() if desks else None
    found = [] if rows is None else [
        row["id"] for row in rows.sort("confidence", "id", descending=[True, False]).iter_rows(named=True)
        if row["state"] != "decided"
    ]
    if not found:
        raise AirflowSkipException("no case waits.")
    return found[:limit]


def case_text(register: str, case: str) -> str:
    """Return a case's evidence side by side for the person who decides: Markdown, names masked, dates by year."""
    from jobs.operation.enquiries import Desk
    from jobs.operation.masking import shown
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        found = Desk.of(lake, register).case(case)
        if found is None:
            return "The case has been settled meanwhile."
        rows = [
            {"side": number, **shown(lake.catalogue, register, said, unmask=False, years=True),
             "sources": ", ".join(said["sources"])}
            for number, side in enumerate(found["sides"], 1) for said in side["says"]
        ]
    columns = list(rows[0]) if rows else ["side"]
    lines = [
        f"{found['kind']}, suggested: {found['suggestion']} ({found['confidence']:.0%}). In full: `lake cases {case}`.",
        "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns),
        *["| " + " | ".join("" if row[c] is None else str(row[c]) for c in columns) + " |" for row in rows],
    ]
    if found["weights"]:
        total = sum(one["bits"] for one in found["weights"])
        steps = [f"| {one['step']} | {one['bits']:+.1f} |" for one in found["weights"]]
        lines += ["", f"What its weight of {total:.1f} bits comes of (as a chart: `--chart FILE.html`):", "",
                  "| step | bits |", "|---|---|", *steps]
    return "\n".join(lines)


def answered(register: str, case: str, answer: Mapping[str, Any]) -> str:
    """Hand a person's answer in as a decision; nobody's answer in time keeps apart, as `unsure`."""
    from airflow.sdk.exceptions import AirflowFailException

    from jobs.operation.decisions import decide
    from jobs.storage.tables import Lake

    (judgement,) = answer["chosen_options"]
    reason = str((answer.get("params_input") or {}).get("reason") or "answered in Airflow")
    try:
        with Lake.open() as lake:
            decide(lake, case, judgement, by=approver(answer) or "nobody in time", reason=reason, register=register)
    except FINAL as error:
        raise AirflowFailException(str(error)) from None
    return case


def agreed(decision: Mapping[str, Any] | None) -> bool:
    """Tell whether an approval was asked for and given."""
    return decision is not None and list(decision.get("chosen_options") or []) == ["Approve"]


def approver(decision: Mapping[str, Any]) -> str:
    """Return who answered an approval."""
    user = decision.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "")


def _counts(report: StageReport) -> dict[str, Any]:
    counts = {n: getattr(report, n) for n in ("delivered", "accepted", "quarantined", "duplicates", "withheld")}
    return {
        "batch": report.batch, "outcome": report.outcome, **counts, "reasons": dict(report.reasons),
        "warnings": dict(report.warnings), "seconds": round(report.seconds, 2),
    }
