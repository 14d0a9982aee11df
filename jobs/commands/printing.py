"""How results are printed: tables for people, JSON for machines, both on stdout; messages go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.batch import StageReport

PIPED_WIDTH = 140  # where no terminal says how wide it is

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document for machines")]


def emit(document: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=1, default=str))


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], title: str | None = None) -> None:
    """Print rows as a table."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left")
    found = list(rows)
    for column in columns:
        numbers = bool(found) and all(isinstance(row.get(column), int | float) for row in found)
        drawn.add_column(column.replace("_", " "), justify="right" if numbers else "left", overflow="fold")
    for row in found:
        drawn.add_row(*["" if row.get(column) is None else str(row[column]) for column in columns])
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(drawn)


def say(message: str) -> None:
    """Print a message for a person, on stderr."""
    typer.echo(message, err=True)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Show that long work goes on, where a person watches."""
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def report_row(report: StageReport) -> dict[str, Any]:
    """Return what a person or machine wants of a stage's report."""
    return {
        "stage": report.stage, "dataset": report.dataset, "batch": report.batch, "outcome": report.outcome,
        "delivered": report.delivered, "accepted": report.accepted, "quarantined": report.quarantined,
        "duplicates": report.duplicates, "withheld": report.withheld, "reasons": dict(report.reasons),
        "warnings": dict(report.warnings), "seconds": round(report.seconds, 2), "notes": list(report.notes),
        **{k: v for k, v in report.extra.items() if k != "contract"},
    }


ACCOUNT = ("stage", "batch", "outcome", "delivered", "accepted", "quarantined", "duplicates", "withheld", "seconds")


def accounting(reports: Sequence[StageReport], title: str | None = None) -> None:
    """Print stage reports with the rules that rejected or warned."""
    rows = [report_row(report) for report in reports]
    if not rows:
        say("nothing was waiting.")
        return
    table(rows, ACCOUNT, title)
    counted = [
        {"rule": rule, "rows": count, "effect": effect}
        for row in rows
        for effect, rules in (("rejected", row["reasons"]), ("warned", row["warnings"]))
        for rule, count in rules.items()
    ]
    if counted:
        table(counted, ("rule", "rows", "effect"))
