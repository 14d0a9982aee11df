"""Verbs about privacy: risk."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.commands.printing import AsJson, emit, progress, say, table


class Mode(StrEnum):
    """How a table is released (GB/T 37964)."""

    public = "public"
    controlled = "controlled"
    enclave = "enclave"


class Level(StrEnum):
    """How much of something a recipient has."""

    low = "low"
    medium = "medium"
    high = "high"


File = Annotated[Path, typer.Argument(help="a CSV or Parquet file")]
Quasi = Annotated[str, typer.Option("--quasi", help="quasi-identifying columns, comma between")]


def risk(
    file: File,
    quasi: Quasi,
    sensitive: Annotated[str, typer.Option("--sensitive", help="sensitive columns")] = "",
    population: Annotated[Path | None, typer.Option("--population", help="everybody: exact class sizes")] = None,
    mode: Annotated[Mode, typer.Option("--mode", help="how it is released")] = Mode.public,
    control: Annotated[Level | None, typer.Option("--control", help="the recipient's protection")] = None,
    motive: Annotated[Level | None, typer.Option("--motive", help="the recipient's motive and capacity")] = None,
    acquaintances: Annotated[int | None, typer.Option("--acquaintances", help="people a recipient knows")] = None,
    prevalence: Annotated[float | None, typer.Option("--prevalence", help="share of people in the table")] = None,
    nominal: Annotated[str, typer.Option("--nominal", help="sensitive columns whose numbers are codes")] = "",
    html: Annotated[Path | None, typer.Option("--html", help="also write a report to read")] = None,
    json: AsJson = False,
) -> None:
    """Measure how easily rows can be told apart, what that would give away, and the verdict of GB/T 42460.

    Rows are measured as they are in the file. A row whose quasi-identifiers are all `*` is suppressed.

    Example: lake risk extract.csv --quasi sex,birth_year,division_code --sensitive disease --mode controlled
    """
    from jobs.privacy.risk.measure import measure
    from jobs.privacy.risk.verdict import Environment
    from jobs.storage.flat_files import reading, scan

    environment = Environment(
        None if control is None else control.value, None if motive is None else motive.value,
        acquaintances, prevalence,
    )
    with progress(f"measuring {file.name}"), reading(file):
        found = measure(
            scan(file), names(quasi), names(sensitive), mode=mode.value, environment=environment,
            population=None if population is None else scan(population), nominal=names(nominal),
        )
    if html is not None:
        from jobs.privacy.risk.page import page

        html.write_text(page(found, file.name), encoding="utf-8")
        say(f"report: {html}")
    if json:
        emit(found)
    else:
        _print_risk(found, file.name)


def names(text: str) -> list[str]:
    """Split a list of columns at commas; blanks around a name do not count."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _print_risk(found: dict[str, Any], title: str) -> None:
    plain = ("n", "suppressed", "classes", "k", "uniques", "special_uniques")
    table([{name: found[name] for name in plain}], plain, title=title)
    risks = [
        {"attacker": who, **{name: _short(value) for name, value in (found[who] or {}).items()}}
        for who in ("prosecutor", "journalist")
    ]
    risks.append({"attacker": "marketer", "avg": _short(found["marketer"])})
    table(risks, ("attacker", "max", "avg", "share_above"), title="risk of a row")
    per_column = ("l_distinct", "l_entropy", "t", "t_distance", "beta", "delta")
    if found["sensitive"]:
        rows = [
            {
                "column": name, "alpha": _short((found["alpha_k"][name] or {}).get("alpha")),
                "c": (found["l_recursive_c"][name] or {}).get("c"),
                **{measure: _short(found[measure][name]) for measure in per_column},
            }
            for name in found["sensitive"]
        ]
        table(rows, ("column", "alpha", *per_column[:2], "c", *per_column[2:]), title="worst class by sensitive column")
    if found["gbt42460"]:
        shown = {name: _short(value) for name, value in found["gbt42460"].items() if name != "basis"}
        shown["mode"] = found["mode"]
        table([shown], list(shown), title="GB/T 42460 annex D, as implemented")


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value
