"""Verbs about contracts, all without Java: check, new, precheck."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.commands.printing import AsJson, emit, progress, say, table

Dataset = Annotated[str, typer.Argument(help="department/dataset")]


def check(
    write_schema: Annotated[
        bool, typer.Option("--write-schema", help="renew schemas/contract.schema.json first")
    ] = False,
    grades: Annotated[
        bool, typer.Option("--grades", help="also show the grade of every table (GB/T 43697) and what it allows")
    ] = False,
    json: AsJson = False,
) -> None:
    """Check every contract, register, code list and approval: they parse, agree, and their examples hold.

    Example: lake check --grades
    """
    from jobs.onboarding.inspection import SCHEMA_FILE, inspect, schema_text
    from jobs.settings import Settings

    settings = Settings()
    if write_schema:
        (settings.schemas / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    problems, counts = inspect(settings.schemas, settings.expectations)
    graded = _graded(settings.schemas) if grades else []
    if json:
        emit({"problems": [vars(problem) for problem in problems], **counts, **({"grades": graded} if grades else {})})
    else:
        if grades:
            table(graded, ("table", "classes", "delivered", "gold", "open", "allows", "mode", "why"), title="grades")
        for problem in problems:
            say(str(problem))
        found = f"{len(problems)} problems" if problems else "all good"
        counted = ", ".join(f"{counts[kind]} {kind}" for kind in ("contracts", "registers", "types"))
        typer.echo(f"{counted}: {found}.")
    if problems:
        raise typer.Exit(2)


def _graded(schemas: Path) -> list[dict[str, Any]]:
    """Return the grades of what parses; nothing while a type is missing, which is a problem of its own."""
    from jobs.catalogue import read_catalogue
    from jobs.privacy.grades import table as graded
    from jobs.references import check_references

    catalogue, problems = read_catalogue(schemas)
    return [] if problems or check_references(catalogue) else graded(catalogue)


def new(
    dataset: Dataset,
    sample: Annotated[Path, typer.Option("--sample", help="a delivered file")],
    out: Annotated[Path | None, typer.Option("--out", help="write here; default: the schemas folder")] = None,
) -> None:
    """Draft a contract from a sample file; the draft holds no value of the sample.

    Example: lake new health/vaccinations --sample vaccinations_20260302.csv
    """
    from jobs.errors import RequestError
    from jobs.onboarding.draft import draft
    from jobs.settings import Settings

    target = out or Settings().schemas / f"{dataset}.yaml"
    if target.exists():
        raise RequestError(
            "there is such a contract already.", where=str(target), remedy="remove it first, or give --out."
        )
    text = draft(dataset, sample)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    typer.echo(str(target))
    say("read it, give fields their names and protections, then `lake check`.")


def precheck(
    dataset: Dataset,
    file: Annotated[Path, typer.Argument(help="the file to check before it is delivered")],
    out: Annotated[Path | None, typer.Option("--out", help="workbook to write; default: beside the file")] = None,
    date: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="data date")] = None,
    json: AsJson = False,
) -> None:
    """Check a file as the lake would, on any laptop, without Java; write a workbook with the bad cells marked.

    Example: lake precheck civil_affairs/deaths deaths_20260302.jsonl
    """
    from jobs.catalogue import load_catalogue
    from jobs.onboarding import precheck as checking
    from jobs.onboarding.workbook import write_workbook
    from jobs.rows.codes import CodeBook
    from jobs.settings import Settings
    from jobs.storage.readers import Limits

    settings = Settings()
    catalogue = load_catalogue(settings.schemas)
    contract = catalogue.contract(dataset)
    day = date.date() if date else today()
    with progress(f"checking {file.name}"):
        codes, limits = CodeBook.load(catalogue.root / "codes"), Limits.of(settings)
        result = checking.precheck(file, contract, catalogue.types, codes, limits, day)
        workbook = out or file.with_name(f"{file.stem}_precheck.xlsx")
        if result.quarantined:
            write_workbook(result, contract, workbook, settings.expectations)
    document: dict[str, Any] = {
        "delivered": result.delivered, "accepted": result.accepted, "quarantined": result.quarantined,
        "duplicates": result.duplicates, "reasons": dict(result.reasons), "warnings": dict(result.warnings),
        "workbook": str(workbook) if result.quarantined else None,
    }
    if json:
        emit(document)
    else:
        table([document], ("delivered", "accepted", "quarantined", "duplicates"), title=f"{dataset} · {file.name}")
        for kind in ("reasons", "warnings"):
            if document[kind]:
                table([{"rule": r, "rows": n} for r, n in document[kind].items()], ("rule", "rows"), title=kind)
        if result.quarantined:
            say(f"the rejected rows, bad cells marked: {workbook}")
    if result.quarantined:
        raise typer.Exit(1)


def today() -> date:
    """Return the day in Shanghai."""
    from zoneinfo import ZoneInfo

    return datetime.now(UTC).astimezone(ZoneInfo("Asia/Shanghai")).date()
