"""Verbs about exposure: attack a table before it leaves, scan what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.commands.printing import AsJson, emit, progress, report_row, say, table
from jobs.commands.privacy import File, Mode, names


def attack(
    file: File,
    population: Annotated[Path, typer.Option("--population", help="everybody the attacker knows, a row each")],
    known: Annotated[str, typer.Option("--known", help="columns of both files that the attacker knows")],
    hidden: Annotated[str, typer.Option("--hidden", help="columns the attacker would like to know")] = "",
    whom: Annotated[str, typer.Option("--whom", help="column of both files that says whose row it is")] = "",
    mode: Annotated[Mode, typer.Option("--mode", help="how it is released")] = Mode.public,
    hierarchies: Annotated[Path | None, typer.Option("--hierarchies", help="folder of ARX's CSV files")] = None,
    coarse: Annotated[str, typer.Option("--coarse", help="known columns that are coarsened by a hierarchy")] = "",
    json: AsJson = False,
) -> None:
    """Link a table to a population as an attacker would; exit with 1 when that succeeds. Prints counts only.

    Columns that the table masks with asterisks, or coarsens by a hierarchy, are matched as they look.

    Example: lake attack masked.csv --population residents.csv --known id_number,name --whom person
    """
    import polars as pl

    from jobs.privacy.attack import WHOM, document, hierarchy_views, infer, link, link_probably, masked_views
    from jobs.privacy.risk.verdict import THRESHOLDS
    from jobs.storage.hierarchies import hierarchies_in
    from jobs.storage.undeclared import reading, scan

    columns, tau = names(known), THRESHOLDS[mode.value]
    subject = pl.col(whom).cast(pl.String) if whom else pl.lit(None, pl.String)
    with progress(f"attacking {file.name}"), reading(file.name):
        own = [whom] if whom else []
        wanted = [*columns, *names(hidden)]
        released = scan(file, [*wanted, *own]).select(*wanted, subject.alias(WHOM)).collect()
        people = scan(population, [*columns, *own]).select(*columns, subject.alias(WHOM)).collect()
        ladders = {} if hierarchies is None else hierarchies_in(hierarchies, names(coarse))
        views = {name: hierarchy_views(ladders[name]) if name in ladders else masked_views for name in columns}
        inferred = [infer(released, columns, name, tau) for name in names(hidden)]
        probable = link_probably(released, people, views, tau)
        found = document(link(released, people, views, tau), inferred, tau, probable=probable)
    if json:
        emit(found)
    else:
        _print_attack(found, file.name)
    if found["succeeds"]:
        raise typer.Exit(1)


def scan(
    also: Annotated[list[Path] | None, typer.Argument(help="more files or folders to search, such as logs")] = None,
    json: AsJson = False,
) -> None:
    """Search gold, open, logs, run records and Airflow's database for registered people's citizen ID numbers.

    A number that nobody in the register has is chance and passes. Exit with 1 and the places when one is found.

    Example: lake scan /var/log/airflow
    """
    from jobs.stages import scan as stage
    from jobs.storage.tables import Lake

    with Lake.open() as lake, progress("scanning"):
        (report,) = stage.run(lake, also=also or [])
    if json:
        emit(report_row(report))
    else:
        say("no registered person's number stands where none may be.")


def _print_attack(found: dict[str, Any], title: str) -> None:
    counts = ("rows", "population", "met", "least_people", "singled_out", "singled_out_true", "claims", "claims_true")
    table([{name: found[name] for name in counts}], counts, title=f"linking {title}")
    shown = {name: f"{found[name]:.4g}" for name in ("precision", "precision_lower_95", "tau")}
    table([{**shown, "succeeds": found["succeeds"]}], (*shown, "succeeds"))
    probable = {name: found["probable"][name] for name in ("met", "singled_out", "singled_out_true", "claims")}
    lower = f"{found['probable']['precision_lower_95']:.4g}"
    table([{**probable, "precision lower 95": lower}], (*probable, "precision lower 95"),
          title="rows that fit nobody, linked to who differs in one column")
    if found["inference"]:
        table(found["inference"], ("column", "homogeneous_rows", "largest_advantage", "rows_above"), title="inference")
