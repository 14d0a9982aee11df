"""The verb about speed: bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.printing import AsJson, emit, say, table


def _number(text: str) -> int:
    return int(float(text))


def bench(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATA | generate DATA | project REPORTS]", help="folder of a data set"),
    ] = None,
    register: Annotated[int, typer.Option("--register", parser=_number, metavar="N", help="people")] = 1_000_000,
    changes: Annotated[int, typer.Option("--changes", parser=_number, metavar="N", help="change rows")] = 100_000,
    engines: Annotated[str | None, typer.Option("--engines", help="names with commas; default: all there are")] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="turns of each engine; medians are told")] = 3,
    cores: Annotated[int, typer.Option("--cores", min=1, help="cores of each engine")] = 2,
    out: Annotated[Path | None, typer.Option("--out", help="folder of reports; default: bench in the lake")] = None,
    beside: Annotated[
        list[Path] | None, typer.Option("--beside", help="another run's report.json, for the plot; may come again")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="keep what the engines wrote")] = False,
    json: AsJson = False,
) -> None:
    """Merge the same changes into the same register with the lake and its peers; report seconds and agreement.

    Without DATA a data set of --register people and --changes rows is made; `generate DATA` makes one and stops.
    `project` takes report.json files of three sizes and tells what the lake would need for --register and --changes on
    --cores.
    Ends with 1 when engines disagree or the lake's own fails; another that fails or is not installed is a row that says
    so.

    Example: lake bench --register 1e6 --changes 1e5
    """
    from jobs.benchmark import session
    from jobs.errors import RequestError
    from jobs.settings import Settings

    words = what or []
    if words[:1] == ["generate"] and len(words) == 2:
        session.make(Path(words[1]), register, changes, cores, say)
        return
    if words[:1] == ["project"]:
        found = session.project([Path(one) for one in words[1:]], register, changes, cores)
        emit(found) if json else table([found], list(found), "A forecast by the line through the lake's runs")
        return
    if len(words) > 1 or words == ["generate"]:
        raise RequestError("bench takes a folder, or `generate` and a folder.", remedy="see `lake bench --help`.")
    target = (out or Settings().home / "bench").resolve()
    data = Path(words[0]).resolve() if words else target / f"data-{register}-{changes}"
    if not words and not data.exists():
        session.make(data, register, changes, cores, say)
    named = [name.strip() for name in engines.split(",") if name.strip()] if engines else None
    document, rows, columns = session.run(data, target, named, repeat, cores, beside or [], keep=keep, say=say)
    failed = [one["engine"] for one in document["engines"] if not one["runs"]]
    differ = any(found["verdict"] == "DIFFER" for found in document["checksums"].values())
    differ = differ or "lake" in failed or len(failed) == len(document["engines"])
    if json:
        emit(document)
        raise typer.Exit(int(differ))
    table(rows, columns, f"{document['data']['register']:,} people, {document['data']['changes']:,} change rows")
    for output, found in document["checksums"].items():
        typer.echo(f"{output:20} {found['verdict']}")
    typer.echo(f"{target}/report.md, report.json, report.svg")
    raise typer.Exit(int(differ))
