"""Verbs about privacy: risk, anonymise, keys."""

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


class Metric(StrEnum):
    """What a generalisation loses."""

    entropy = "entropy"
    discernibility = "discernibility"
    class_size = "class_size"


class Diversity(StrEnum):
    """How l is meant."""

    distinct = "distinct"
    entropy = "entropy"


class KeyAct(StrEnum):
    """What to do with the key ring."""

    list = "list"
    new = "new"
    rotate = "rotate"


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
    from jobs.storage.undeclared import reading, scan, write_page

    environment = Environment(
        None if control is None else control.value, None if motive is None else motive.value,
        acquaintances, prevalence,
    )
    with progress(f"measuring {file.name}"), reading(file.name):
        found = measure(
            scan(file, [*names(quasi), *names(sensitive)]), names(quasi), names(sensitive),
            mode=mode.value, environment=environment,
            population=None if population is None else scan(population, names(quasi)), nominal=names(nominal),
        )
    if html is not None:
        from jobs.privacy.risk.page import page

        write_page(page(found, file.name), html)
        say(f"report: {html}")
    if json:
        emit(found)
    else:
        _print_risk(found, file.name)


def anonymise(
    file: File,
    quasi: Quasi,
    hierarchies: Annotated[Path, typer.Option("--hierarchies", help="folder: one ARX CSV file per column")],
    out: Annotated[Path, typer.Option("--out", help="where the safe table goes: .csv or .parquet")],
    k: Annotated[int | None, typer.Option("--k", help="rows per group; default: what the mode asks")] = None,
    mode: Annotated[Mode, typer.Option("--mode", help="how it is released")] = Mode.public,
    l: Annotated[float, typer.Option("--l", help="diversity of each sensitive column")] = 1,  # noqa: E741
    diversity: Annotated[Diversity, typer.Option("--diversity", help="how l is meant")] = Diversity.distinct,
    t: Annotated[float, typer.Option("--t", help="closeness of each sensitive column")] = 1.0,
    sensitive: Annotated[str, typer.Option("--sensitive", help="sensitive columns, kept as they are")] = "",
    keep: Annotated[str, typer.Option("--keep", help="other columns to keep; all else is left out")] = "",
    nominal: Annotated[str, typer.Option("--nominal", help="sensitive columns whose numbers are codes")] = "",
    suppression: Annotated[float, typer.Option("--suppression", help="share of rows that may be left out")] = 0.05,
    loss: Annotated[Metric, typer.Option("--loss", help="what to lose least of")] = Metric.entropy,
    ignore_suppressed: Annotated[
        bool, typer.Option("--ignore-suppressed", help="judge the generalisation alone, as ARX's monotonic metrics")
    ] = False,
    weights: Annotated[str, typer.Option("--weights", help="column=number, comma between; entropy only")] = "",
    json: AsJson = False,
) -> None:
    """Generalise columns by their hierarchies and leave out few rows so that every group meets k, l and t.

    Example: lake anonymise extract.csv --quasi sex,age --hierarchies hierarchies --k 5 --out safe.csv
    """
    from jobs.privacy.generalisation.anonymise import generalise
    from jobs.privacy.generalisation.lattice import Criteria
    from jobs.privacy.risk.verdict import LEAST_K
    from jobs.storage.hierarchies import hierarchies_in
    from jobs.storage.undeclared import reading, scan, write

    criteria = Criteria(k or LEAST_K[mode.value], l, t, diversity.value)
    with progress(f"searching for {file.name}"), reading(file.name):
        made = generalise(
            scan(file, [*names(quasi), *names(sensitive), *names(keep)]), names(quasi),
            hierarchies_in(hierarchies, names(quasi)), criteria,
            sensitive=names(sensitive), keep=names(keep), suppression=suppression, metric=loss.value,
            weights=_weights(weights), count_suppressed=not ignore_suppressed, nominal=names(nominal),
        )
    write(made.rows, out)
    report = {**made.report, "out": str(out)}
    if json:
        emit(report)
        return
    table(
        [{"column": name, "level": level, "of": report["heights"][name]} for name, level in report["levels"].items()],
        ("column", "level", "of"), title=file.name,
    )
    shown = ("n", "kept", "suppressed", "classes", "k", "average_class_size")
    table([{name: _short(report[name]) for name in shown}], shown)
    found, lost = report["search"], report["loss"]
    say(
        f"loss ({lost['metric']}) {_short(lost['value'])}; {found['evaluated']} of {found['lattice']} nodes judged, "
        + ("none is better." if found["optimal"] else "the search was cut short.")
    )
    typer.echo(str(out))


def _weights(text: str) -> dict[str, float]:
    from jobs.errors import RequestError

    found: dict[str, float] = {}
    for part in names(text):
        column, _, number = part.partition("=")
        try:
            found[column.strip()] = float(number)
        except ValueError:
            raise RequestError("a weight is no number.", where=column, remedy="write column=2,other=0.5.") from None
        if not 0 <= found[column.strip()] < float("inf"):
            raise RequestError("a weight is negative or infinite.", where=column, remedy="give 0 or more.")
    return found


def keys(
    act: Annotated[KeyAct, typer.Argument()],
    purpose: Annotated[str | None, typer.Argument(help="what the key is for, such as release_2026")] = None,
    json: AsJson = False,
) -> None:
    """List the keys of the ring, make a purpose's first key, or replace it; no key is ever shown.

    After `rotate` new pseudonyms cannot be joined with older ones; gold is made anew by the next desensitise. With a
    key for `landing` delivered files are encrypted as they land; what landed before stays as it is, after `rotate` too.

    Example: lake keys rotate pseudonym
    """
    from jobs.errors import RequestError
    from jobs.privacy import envelopes
    from jobs.privacy.keyring import KeyRing
    from jobs.settings import Settings
    from jobs.storage.stores import store

    objects = store(Settings())
    ring = KeyRing.of(objects)
    if act is KeyAct.list:
        found = [key for key in ring.every() if purpose in (None, key.purpose)]
    elif purpose is None:
        raise RequestError("no purpose is named.", where=f"keys {act}", remedy=f"`lake keys {act} PURPOSE`.")
    else:
        found = [ring.new(purpose) if act is KeyAct.new else ring.rotate(purpose)]
        if purpose == envelopes.PURPOSE:
            envelopes.mark(objects, found[0])
    rows = [
        {"purpose": key.purpose, "number": key.number, "id": key.id, "created_at": key.created_at} for key in found
    ]
    if json:
        emit(rows)
    elif rows:
        table(rows, ("purpose", "number", "id", "created_at"))
    else:
        say("there is no key yet.")


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
