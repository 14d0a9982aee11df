"""Verbs about the registers: entity, resolve, why, history, open-register."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands.printing import AsJson, emit, say, table
from jobs.operation.masking import shown

if TYPE_CHECKING:
    from jobs.operation.enquiries import Desk
    from jobs.storage.tables import Lake

Entity = Annotated[str, typer.Argument(help="an id of a key, a party or an entity; `-` reads a number from stdin")]
RegisterOption = Annotated[str | None, typer.Option("--register", help="which register; default: whichever knows it")]
AsOf = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="what was so on a day")]
KnownAt = Annotated[int | None, typer.Option("--known-at", help="as the register stood after this commit")]
Unmask = Annotated[
    bool, typer.Option("--unmask", help="show names, addresses and telephones in full; for those whose role allows it")
]
_ID = re.compile(r"[A-Z2-7]{26}")


def _find(lake: Lake, entity: str, register: str | None) -> tuple[Desk, str]:
    from jobs.errors import RequestError
    from jobs.operation.enquiries import find

    ids = [entity]
    if entity == "-":
        ids = _ids_of_number(lake, typer.get_text_stream("stdin").readline().strip(), register)
    elif not _ID.fullmatch(entity):
        raise RequestError("an id has 26 letters and digits.", remedy="give a number by standard input: `-`.")
    return find(lake, ids, register)


def _ids_of_number(lake: Lake, number: str, register: str | None) -> list[str]:
    """Return the ids a raw number may have; the number itself is never printed, logged or stored."""
    import polars as pl

    from jobs.commands.contracts import today
    from jobs.privacy.keyring import secret
    from jobs.registers.keys import PARTS, entity_ids
    from jobs.rows.codes import CodeBook
    from jobs.rows.identifiers import KINDS, judged

    codes, given = CodeBook.load(lake.catalogue.root / "codes"), pl.Series([number])
    found = []
    for name in [register] if register else sorted(lake.catalogue.registers):
        for kind in lake.catalogue.registers[name].kinds if name in lake.catalogue.registers else ():
            normal = judged(kind, given, codes, today()).normalised[0] if kind in KINDS else number
            text = str(normal or number)
            found.append((kind, text))
            if kind in PARTS:
                part, start, length = PARTS[kind]
                found.append((part, text[start : start + length]))
    kinds, keys = zip(*found, strict=True) if found else ((), ())
    return entity_ids(pl.Series(kinds), pl.Series(keys), secret(lake.objects, "register")).to_list()


def entity(
    entity: Entity, register: RegisterOption = None, as_of: AsOf = None, known_at: KnownAt = None,
    unmask: Unmask = False, json: AsJson = False,
) -> None:
    """Show one register entry, each value with its source and as-of date.

    Example: lake entity - --register person   (then type the number)
    """
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        desk, found = _find(lake, entity, register)
        day = as_of.date() if as_of else None
        found = desk.resolve(found, day, known_at)["entity"] or found
        row = desk.row(found, day, known_at)
        declared = desk.register
        if row is None:
            say("the register held nothing about this entity then.")
            raise typer.Exit(1)
        values = shown(lake.catalogue, declared.name, {n: row[n] for n in declared.fields}, unmask=unmask)
    document: dict[str, Any] = {
        "entity": found, "register": declared.name, "status": row["_status"],
        "held": row.get("_held") or [],
        "fields": {
            name: {"value": values[name], "source": row[f"{name}_source"], "as_of": row[f"{name}_as_of"]}
            for name in declared.fields
        },
    }
    if json:
        emit(document)
        return
    held = [] if declared.keyed else [f"{len(document['held'])} claims held"]
    say(" · ".join([f"{declared.name} {found}", str(row["_status"]), *held]))
    table([{"field": n, **v} for n, v in document["fields"].items()], ("field", "value", "source", "as_of"))


def resolve(
    entity: Entity, register: RegisterOption = None, as_of: AsOf = None, known_at: KnownAt = None, json: AsJson = False
) -> None:
    """Show where an id went: active, redirect, ambiguous, held or unknown, with path and why; unknown exits with 1.

    Example: lake resolve ABCDEFGHIJKLMNOPQRSTUVWXYZ --known-at 12
    """
    from jobs.errors import RequestError
    from jobs.operation.enquiries import UNKNOWN
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        try:
            desk, found = _find(lake, entity, register)
            answer = {"register": desk.register.name, **desk.resolve(found, as_of.date() if as_of else None, known_at)}
        except RequestError as error:
            if entity != "-" and not _ID.fullmatch(entity):
                raise
            shown_id = None if entity == "-" else entity
            answer = {"register": register, "id": shown_id, "state": UNKNOWN, "entity": None, "parties": [],
                      "path": [], "why": error.what}
    if json:
        emit(answer)
    else:
        table([{**answer, "parties": "\n".join(answer["parties"]), "path": "\n".join(answer["path"])}], list(answer))
    if answer["state"] == UNKNOWN:
        raise typer.Exit(1)


def why(
    entity: Entity, field: Annotated[str | None, typer.Argument(help="one field only")] = None,
    register: RegisterOption = None, unmask: Unmask = False, json: AsJson = False,
) -> None:
    """Show why an entity is what it is: keys, edges with evidence, decisions, redirects; of a field, every claim.

    Example: lake why ABCDEFGHIJKLMNOPQRSTUVWXYZ birth_date
    """
    from jobs.errors import RequestError
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        desk, found = _find(lake, entity, register)
        if field is None:
            document = desk.why(found)
        elif field not in desk.register.fields:
            raise RequestError(f"the register has no field {field!r}.",
                               remedy=f"fields: {', '.join(desk.register.fields)}.")
        else:
            document = _field(lake, desk, desk.entity_of(found), field, unmask=unmask)
    if json:
        emit(document)
        return
    if field is None:
        say(f"{document['register']} {document['id']} · {document['state']} · entity {document['entity'] or '-'}")
        for name, columns in {
            "keys": ("id", "kind", "state"), "edges": ("left", "right", "rule", "as_of", "evidence"),
            "decisions": ("case", "judgement", "by", "reason", "decided_at", "undone"),
            "redirects": ("commit", "id", "state", "became", "why"),
        }.items():
            table(document[name], columns, title=name.capitalize())
        return
    say(f"believed by {document['rule']}")
    table(document["claims"], ("state", "value", "as_of", "dataset", "batch", "file", "row"), title=field)
    table(document["before"], ("commit", "value", "source", "as_of"), title="what the register said")


def _field(lake: Lake, desk: Desk, entity: str, field: str, *, unmask: bool) -> dict[str, Any]:
    """Return every claim on one field of an entity, which won and by which rule, and what was believed before."""
    declared = desk.register.fields[field]
    name = desk.register.name

    def value(found: Any) -> Any:
        return shown(lake.catalogue, name, {field: found}, unmask=unmask)[field]

    row = desk.row(entity)
    claims = desk.claims_of(entity).sort("_as_of", "_delivered_on", "_dataset", "_source_row", descending=True)
    told = []
    for claim in claims.iter_rows(named=True):
        if claim[field] is None:
            continue
        believed = row is not None and (row[field], row[f"{field}_source"], row[f"{field}_as_of"]) == (
            claim[field], claim["_dataset"], claim["_as_of"])
        state = "held" if claim["_waits"] else "believed" if believed else "outweighed"
        told.append({
            "state": state, "value": value(claim[field]), "as_of": claim["_as_of"], "dataset": claim["_dataset"],
            "batch": claim["_batch_id"], "file": claim["_source_file"], "row": claim["_source_row"],
        })
    before: list[dict[str, Any]] = []
    for version in desk.ledger.history(entity).iter_rows(named=True):
        said = {"value": value(version[field]), "source": version[f"{field}_source"],
                "as_of": version[f"{field}_as_of"]}
        if not before or any(before[-1][part] != said[part] for part in said):
            before.append({"commit": version["_commit"], **said})
    sources = ", ".join(declared.prefer) or "no source"
    rule = (f"preferred: {sources} first, then the latest date" if declared.policy == "preferred"
            else f"latest: the latest date, then {sources} first")
    return {"entity": entity, "register": name, "field": field, "rule": rule, "claims": told, "before": before}


def open_register(
    register: Annotated[str, typer.Argument(help="a keyed register that has no commit yet")],
    files: Annotated[list[Path], typer.Argument(help="Parquet files")],
    json: AsJson = False,
) -> None:
    """Fill a keyed register with the rows of the one before it, each value with its source and moment.

    Columns: the key under its kind's name, the fields, and for each FIELD_source (a dataset) and FIELD_as_of.

    Example: lake open-register parcel old_register.parquet
    """
    from jobs.stages import open_register as stage
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        report = stage.run(lake, register, files)
    if json:
        emit(report.extra)
    else:
        say(f"{register}: {report.extra['entities']} entities in {report.seconds:.0f} s")


def history(entity: Entity, register: RegisterOption = None, json: AsJson = False) -> None:
    """Show an entry's versions, oldest first: commit by commit, what changed, and where its id went.

    Example: lake history ABCDEFGHIJKLMNOPQRSTUVWXYZ
    """
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        desk, found = _find(lake, entity, register)
        fields = list(desk.register.fields)
        versions, moves = desk.ledger.history(found), desk.court.changes_of([found])
    rows: list[dict[str, Any]] = []
    before = dict.fromkeys(fields)
    for version in versions.iter_rows(named=True):
        changed = [name for name in fields if version[name] != before[name]]
        rows.append({"commit": version["_commit"], "status": version["_status"], "changed": ", ".join(changed),
                     "became": version.get("_became")})
        before = {name: version[name] for name in fields}
    rows += [
        {"commit": move["_commit"], "status": f"id {move['state']}", "changed": move["why"] or "",
         "became": move["entity"]}
        for move in moves.iter_rows(named=True)
    ]
    rows.sort(key=lambda row: row["commit"])
    if json:
        emit(rows)
    else:
        table(rows, ("commit", "status", "changed", "became"), title=found)
