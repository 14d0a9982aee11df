"""Verbs about identifiers and code lists, all without Java: identify, code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands.contracts import today
from jobs.commands.printing import AsJson, emit, say, table

if TYPE_CHECKING:
    import polars as pl

    from jobs.rows.codes import CodeBook
    from jobs.rows.divisions import Answer, Division, Divisions, Translation

Day = Annotated[datetime | None, typer.Option("--at", formats=["%Y-%m-%d", "%Y"], help="a day; default: today")]
SLICE = 250_000  # rows judged and written at once


def identify(
    file: Annotated[Path, typer.Argument(help="a CSV, XLSX or Parquet file with a header; - reads standard input")],
    column: Annotated[str, typer.Option("--column", help="the column with the numbers")],
    kind: Annotated[
        str | None, typer.Option("--kind", help="what the column should hold; default: guessed per value")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="of text; default: UTF-8, UTF-16, GB 18030 or Big5, by content")
    ] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="worksheet; default: the first")] = None,
    registered: Annotated[
        str | None, typer.Option("--registered", help="column with dates of registration, for organisations' divisions")
    ] = None,
    at: Day = None,
    json: AsJson = False,
) -> None:
    """Say of every number what it is: kind, normalised form, verdicts and reasons; one row each, in order.

    Writes CSV: value, kind, normalised, structure_ok, division_known, division_in_force, conforming, reasons.

    Example: lake identify firms.csv --column 统一社会信用代码 --kind credit_code
    """
    import sys

    from jobs.releases.formats import without_formulas
    from jobs.rows.codes import CodeBook
    from jobs.rows.dates import read_dates
    from jobs.settings import Settings
    from jobs.storage.undeclared import read

    source = sys.stdin.buffer.read() if str(file) == "-" else file
    asked = [column] if registered is None else [column, registered]
    cells = read(source, asked, encoding=encoding, sheet=sheet)
    values, days = cells[column], None if registered is None else read_dates(cells[registered])[0]
    codes = CodeBook.load(Settings().schemas / "codes")
    parts = _identified(values, codes, at, kind, days)
    if json:
        rows = (row for part in parts for row in part.iter_rows(named=True))
        emit([{**row, "reasons": row["reasons"].split(";") if row["reasons"] else []} for row in rows])
        return
    for place, part in enumerate(parts):
        typer.echo(without_formulas(part).write_csv(include_header=place == 0), nl=False)


def _identified(
    values: pl.Series, codes: CodeBook, at: datetime | None, kind: str | None, days: pl.Series | None
) -> Iterator[pl.DataFrame]:
    from jobs.rows.identifiers.identification import identify as judge

    on = at.date() if at else today()
    for begin in range(0, max(len(values), 1), SLICE):
        dates = None if days is None else days.slice(begin, SLICE)
        yield judge(values.slice(begin, SLICE), codes, on, kind, dates)


def code(
    name: Annotated[str, typer.Argument(metavar="LIST", help="division, another code list, or `list` for their names")],
    code: Annotated[str | None, typer.Argument(help="a code, or a name of the list; default: the whole list")] = None,
    at: Day = None,
    to: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d", "%Y"], help="translate a division to this day")
    ] = None,
    json: AsJson = False,
) -> None:
    """Look a code up: what it means, since when and until when, what followed it, whose code it is.

    Divisions have the granularity of years, each as at 31 December. A translation that is one to many names all.

    Example: lake code division 440524 --at 1990-06-30 --to 2024-12-31
    """
    from jobs.errors import RequestError
    from jobs.rows.codes import DIVISION, CodeBook
    from jobs.settings import Settings

    codes = CodeBook.load(Settings().schemas / "codes")
    if to is not None and (name != DIVISION or code is None):
        raise RequestError("only a division's code is translated.", remedy="give `division` and a code.")
    day = at.date() if at else today()
    if name == "list":
        rows = [{"list": key, "codes": codes.tables[key].height} for key in sorted(codes.tables)]
        _print(rows, ("list", "codes"), json)
    elif name == DIVISION and code is not None:
        _division(codes.divisions, code.strip(), day.year, to.year if to else None, as_json=json)
    elif not codes.has(name):
        raise RequestError(f"there is no code list {name!r}.", remedy="`lake code list` names them.")
    else:
        import polars as pl

        found = codes.table(name)
        if code is not None:
            wanted = codes.lookup(name, pl.Series([code]), day)[0]
            if wanted is None:
                raise RequestError("the list has no such code.", where=name, remedy=f"`lake code {name}` prints it.")
            found = found.filter(pl.col("code") == wanted)
        columns = [column for column in found.columns if found[column].null_count() < found.height]
        _print(list(found.select(columns).iter_rows(named=True)), tuple(columns), json)


def _print(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        emit(rows)
    else:
        table(rows, columns)


def _division(divisions: Divisions, code: str, year: int, to: int | None, *, as_json: bool) -> None:
    from jobs.errors import RequestError

    if not (code.isascii() and code.isdecimal() and len(code) in (6, 9, 12)):
        raise RequestError("a division's code has 6 digits, a statistical one 9 or 12.", remedy="mend the code.")
    answer = divisions.at(code, year)
    document = _described(answer)
    translation = None
    if to is not None:
        translation = divisions.translate(code, year, to)
        document["translation"] = _translated(translation)
    if as_json:
        emit(document)
    else:
        shown = {**document, "parents": " · ".join(f"{one['code']} {one['name']}" for one in document["parents"])}
        shown["successors"] = " ".join(
            f"{one['code']}[{one['year']}]" if one["year"] else one["code"] for one in document["successors"]
        )
        shown.pop("translation", None)
        table([{"": name.replace("_", " "), "value": value} for name, value in shown.items()], ("", "value"))
        if translation is not None:
            title = f"{translation.year} → {translation.to}: {translation.kind}"
            table(document["translation"]["targets"], ("code", "name", "level"), title=title)
    if answer.record is None and not answer.synthetic:
        say("no year of the table knows this code.")
        raise typer.Exit(1)


def _described(answer: Answer) -> dict[str, Any]:
    record = answer.record
    districts = "city districts, as cards carry them" if answer.synthetic else None
    name = record.name if record else districts
    return {
        "code": answer.code, "year": answer.year, "name": name, "level": record.level if record else None,
        "parents": [{"code": code, "name": parent} for code, parent in answer.parents],
        "in_force": answer.in_force, "from": record.begin if record else None, "to": record.end if record else None,
        "successors": [{"code": code, "year": year} for code, year in record.successors] if record else [],
        "synthetic": answer.synthetic, "authority": answer.authority,
    }


def _translated(found: Translation) -> dict[str, Any]:
    def target(one: Division) -> dict[str, Any]:
        return {"code": one.code, "name": one.name, "level": one.level, "parent": one.parent}

    return {"from": found.year, "to": found.to, "kind": found.kind, "targets": [target(one) for one in found.targets]}
