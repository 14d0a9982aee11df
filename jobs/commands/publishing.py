"""Verbs about open data: approve, release, releases, verify."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.printing import AsJson, emit, progress, report_row, say, table

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


def preview(name: Name, json: AsJson = False) -> None:
    """Show what a release would hold: rows, groups, coarsening, suppression; no row of it.

    Example: lake preview products/population
    """
    from jobs.stages import publish
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        document = publish.preview(lake, name)
    if json:
        emit(document)
    else:
        table([{"what": key, "value": value} for key, value in document.items()], ("what", "value"), title=name)


def release(
    name: Name,
    by: Annotated[str, typer.Option("--by", help="who approves this release")],
    json: AsJson = False,
) -> None:
    """Release a dataset now; the approver is somebody other than who runs this.

    Example: lake release products/population --by dpo@city.example
    """
    from jobs.stages import publish
    from jobs.storage.tables import Lake

    with Lake.open() as lake, progress(f"releasing {name}"):
        reports = publish.run(lake, name, approved_by=by, triggered_by=getpass.getuser())
    if json:
        emit([report_row(report) for report in reports])
        return
    for report in reports:
        say(f"{report.dataset} {report.batch}: {report.accepted} of {report.delivered} rows")
        typer.echo(str(report.extra.get("path", "")))


def releases(json: AsJson = False) -> None:
    """List every release: dataset, version, rows, smallest group, path.

    Example: lake releases
    """
    from jobs.releases import listing
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        rows = listing.releases(lake)
    if json:
        emit(rows)
    elif rows:
        table(rows, list(rows[0]))
    else:
        say("nothing was released yet.")


def verify(folder: Annotated[Path, typer.Argument(help="a release's folder")], json: AsJson = False) -> None:
    """Verify a release: every digest, every row count, the description.

    Example: lake verify .lake/open/products__population/1.0.0
    """
    from jobs.releases.verify import verify as verified

    problems = verified(folder)
    if json:
        emit({"folder": str(folder), "problems": problems})
    else:
        for problem in problems:
            say(problem)
        typer.echo("not as released." if problems else "as released.")
    if problems:
        raise typer.Exit(1)
