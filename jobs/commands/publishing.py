"""Verbs about open data: approve, preview, release, releases, diff, export, withdraw, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.printing import AsJson, emit, progress, report_row, say, table
from jobs.commands.site import show_on_site

Name = Annotated[str, typer.Argument(help="dataset or product, such as products/population")]


def approve(
    name: Name,
    by: Annotated[str, typer.Option("--by", help="who approves the terms")],
    note: Annotated[str, typer.Option("--note", help="why")] = "",
) -> None:
    """Approve a dataset's terms of release as they stand: columns, protections, code lists, thresholds, licence.

    Example: lake approve products/population --by dpo@city.example --note "reviewed with the statistics office"
    """
    from jobs.releases import approvals
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        fingerprint = approvals.approve(lake, name, by=by, note=note)
    typer.echo(f"{name} {fingerprint}")


def preview(
    name: Name,
    html: Annotated[Path | None, typer.Option("--html", help="also write its risk as a page with charts")] = None,
    json: AsJson = False,
) -> None:
    """Show what a release would hold: rows, groups, coarsening, suppression; no row of it.

    Example: lake preview products/population --html risk.html
    """
    from jobs.privacy.risk.page import page
    from jobs.stages import publish
    from jobs.storage.tables import Lake
    from jobs.storage.undeclared import write_page

    with Lake.open() as lake:
        document = publish.preview(lake, name)
    measured = document["risk_report"]
    if html is not None and measured:
        write_page(page(measured, f"{name} {document['version']}"), html)
        say(f"report: {html}")
    elif html is not None:
        say("no report: noise protects whoever is in it, or no column identifies.")
    if json:
        emit(document)
    else:
        shown = [{"what": key, "value": value} for key, value in document.items() if key != "risk_report"]
        table(shown, ("what", "value"), title=name)


def release(
    name: Name,
    by: Annotated[str | None, typer.Option("--by", help="who approves this release; not you, who run this")] = None,
    rebuild: Annotated[str | None, typer.Option("--rebuild", help="make this version again and compare")] = None,
    json: AsJson = False,
) -> None:
    """Release a dataset now and build the site; the approver is not who runs this. Or make a version again.

    Example: lake release products/population --by dpo@city.example

    Example: lake release products/population --rebuild 1.0.0
    """
    from jobs.commands.user import user
    from jobs.errors import RequestError
    from jobs.stages import publish
    from jobs.storage.tables import Lake

    if (by is None) == (rebuild is None):
        raise RequestError("a release says who approves it.", remedy="--by WHO, or --rebuild VERSION.")
    if rebuild is not None:
        _rebuild(name, rebuild, json)
        return
    with Lake.open() as lake:
        with progress(f"releasing {name}"):
            reports = publish.run(lake, name, approved_by=str(by), triggered_by=user())
        if json:
            emit([report_row(report) for report in reports])
        for report in () if json else reports:
            say(f"{report.dataset} {report.batch}: {report.accepted} of {report.delivered} rows")
            typer.echo(str(report.extra.get("path", "")))
        show_on_site(lake)


def _rebuild(name: str, version: str, json: bool) -> None:
    from jobs.releases import recipes
    from jobs.storage.tables import Lake

    with Lake.open() as lake, progress(f"making {name} {version} again"):
        rows = recipes.rebuild(lake, name, version)
    if json:
        emit(rows)
    else:
        table(rows, ("file", "result"), title=f"{name} {version}, made again")
    if any(row["result"] not in ("equal", "withdrawn") for row in rows):
        raise typer.Exit(1)


def releases(json: AsJson = False) -> None:
    """List every release: dataset, version, rows, smallest group, status, path; one that is damaged ends with 1.

    Example: lake releases
    """
    from jobs.errors import LakeError, together
    from jobs.releases import listing, withdrawal
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        damaged: list[LakeError] = []
        rows = listing.releases(lake, damaged)
        for name in dict.fromkeys(row["dataset"] for row in rows):
            damaged += withdrawal.unstated(lake.objects, name)
    if json:
        emit(rows)
    elif rows:
        table(rows, list(rows[0]))
    else:
        say("nothing was released yet.")
    if damaged:
        raise together(damaged)


def diff(
    name: Name,
    first: Annotated[str, typer.Argument(help="earlier version")],
    second: Annotated[str, typer.Argument(help="later version")],
    sample: Annotated[int, typer.Option(help="public rows to show of each kind", min=0)] = 5,
    json: AsJson = False,
) -> None:
    """Compare two released versions: rows added, removed, changed, with a few of them, and why.

    Example: lake diff products/population 1.0.0 1.0.1
    """
    from jobs.releases import comparison
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        document = comparison.compare(lake.objects, name, first, second, sample=sample)
    if json:
        emit(document)
        return
    counts = [{"rows": kind, "count": count} for kind, count in document["counts"].items()]
    table(counts, ("rows", "count"), title=f"{name}: {first} to {second}")
    for kind, rows in document["samples"].items():
        if rows:
            table(rows, list(rows[0]), title=f"{kind}, the first {len(rows)}")
    for reason in document["reasons"]:
        say(reason)


def withdraw(
    name: Annotated[str, typer.Argument(help="dataset or product, such as products/population")] = "",
    versions: Annotated[list[str] | None, typer.Argument(help="versions to withdraw")] = None,
    reason: Annotated[str, typer.Option("--reason", help="why; it is published")] = "",
    by: Annotated[str, typer.Option("--by", help="who decided; it is published")] = "",
    due: Annotated[bool, typer.Option("--due", help="what may be public no longer; without --by only listed")] = False,
    json: AsJson = False,
) -> None:
    """Withdraw released versions whole, by a signed statement: data and changes that hold it go, the site says why.

    Also a damaged version; what is left of its signed files stays.

    Example: lake withdraw products/population 1.0.0 --reason "a wrong source file" --by dpo@city.example
    """
    from jobs.errors import RequestError
    from jobs.stages import publish
    from jobs.storage.tables import Lake

    if due:
        if name or versions or reason:
            raise RequestError("--due finds versions and reasons itself.", remedy="lake withdraw --due [--by WHO].")
        _withdraw_due(by, json=json)
        return
    if not (name and versions and reason and by):
        raise RequestError("a withdrawal says of what, why and by whom.", remedy="NAME VERSION --reason WHY --by WHO.")
    said = {True: "withdrawn", False: "changes withdrawn"}
    with Lake.open() as lake:
        with progress(f"withdrawing {name}"):
            touched = publish.withdraw(lake, name, versions, reason=reason, by=by)
        rows = [
            {"version": one.version, "status": said[one.withdrawn], "path": lake.objects.address(one.path)}
            for one in touched
        ]
        if json:
            emit(rows)
        elif rows:
            table(rows, ("version", "status", "path"))
        else:
            say("these versions were withdrawn already.")
        show_on_site(lake)


def _withdraw_due(by: str, *, json: bool) -> None:
    """List the versions that must be gone today, and withdraw them where somebody says so.

    What fails stops nothing else: all that could be done is printed and shown on the site before it is told.
    """
    from jobs.errors import LakeError, together
    from jobs.releases import periods
    from jobs.stages import expire
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        day, failed = periods.today(), list[LakeError]()
        rows = []
        if by:
            with progress("withdrawing what is due"):
                try:
                    reports = expire.run(lake, day=day, by=by)
                except LakeError as error:
                    reports, failed = error.reports, error.errors
            rows = [
                _expired(one.dataset, version, "withdrawn", one.notes[0])
                for one in reports if one.outcome == "retracted" for version in one.batch.split()
            ]
        if failed or not by:  # what is due still
            left = periods.due(lake, day, [] if by else failed)
            rows += [_expired(name, one, "due", why) for (name, why), versions in left.items() for one in versions]
        if json:
            emit(rows)
        elif rows:
            table(rows, ("dataset", "version", "status", "reason"))
        else:
            say("no version is due.")
        gone = dict.fromkeys(row["dataset"] for row in rows if row["status"] == "withdrawn")
        for name in expire.to_offer(lake, gone):
            say(f"{name}: what of it may be public still is offered by `lake release {name} --by WHO`.")
        if by:
            try:
                show_on_site(lake)
            except LakeError as error:
                told = {str(one) for one in failed}  # expiry met the same damaged versions
                failed += [one for one in error.errors if str(one) not in told]
        if failed:
            raise together(failed)


def _expired(name: str, version: str, status: str, reason: str) -> dict[str, str]:
    return {"dataset": name, "version": version, "status": status, "reason": reason}


def export(
    name: Name,
    version: Annotated[str, typer.Argument(help="released version")],
    out: Annotated[Path, typer.Option("--out", help="file to write; its ending is the format: .xlsx or .jsonl")],
) -> None:
    """Write a released version as a workbook or as JSON lines.

    Example: lake export products/population 1.0.0 --out population.xlsx
    """
    from jobs.releases import exports, listing
    from jobs.storage.objects import Folder
    from jobs.storage.tables import Lake

    with Lake.open() as lake, progress(f"writing {out.name}"):
        data = exports.export(listing.version(lake.objects, name, version), out.suffix.removeprefix("."))
        Folder(out.resolve().parent).write(out.name, data)
    typer.echo(str(out))


def verify(
    where: Annotated[str, typer.Argument(help="a release's folder or address")],
    key: Annotated[str | None, typer.Option("--key", help="fingerprint of the signer you trust")] = None,
    head: Annotated[str | None, typer.Option("--head", help="SHA-256 of the manifest you expect")] = None,
    log: Annotated[Path | None, typer.Option("--log", help="the publisher's log.jsonl")] = None,
    json: AsJson = False,
) -> None:
    """Verify a release: signature, chain, every digest, rows, groups, changes. Nothing of the lake is asked.

    Example: lake verify .lake/open/products__population/1.0.0
    """
    import tempfile

    from jobs.errors import RequestError
    from jobs.releases.fetching import fetch
    from jobs.releases.verify import verify as verified

    with tempfile.TemporaryDirectory() as scratch:
        remote = where.startswith(("http://", "https://"))
        folder = fetch(where, Path(scratch)) if remote else Path(where)
        if not folder.is_dir():
            raise RequestError("there is no such folder.", where=where, remedy="name a version's folder.")
        found = verified(folder, key=key, head=head, log=log)
    if json:
        checks = [{"check": check, "verdict": verdict, "found": what} for check, verdict, what in found.rows]
        emit({"release": where, "status": found.status, "problems": found.problems, "checks": checks})
    else:
        for check, verdict, what in found.rows:
            say(f"{verdict:5}  {check:20}  {what}")
        good = "as released." if found.status == "released" else "withdrawn, as the publisher's statement says."
        typer.echo("not as released." if found.problems else good)
    if found.problems:
        raise typer.Exit(1)
