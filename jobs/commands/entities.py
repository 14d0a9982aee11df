"""Verbs about the registers: entity, why, history, cases."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands.printing import AsJson, emit, say, table

if TYPE_CHECKING:
    from jobs.storage.ledgers import Ledger
    from jobs.storage.tables import Lake

Entity = Annotated[str, typer.Argument(help="an entity id; `-` reads a raw number from standard input")]
RegisterOption = Annotated[str | None, typer.Option("--register", help="which register; default: whichever knows it")]


def _find(lake: Lake, entity: str, register: str | None) -> tuple[Ledger, str]:
    """Return the ledger that knows an entity, and the entity's id."""
    import polars as pl

    from jobs.errors import RequestError
    from jobs.layers import Layer
    from jobs.storage.ledgers import Ledger

    ids = [entity]
    if entity == "-":
        ids = _ids_of_number(lake, typer.get_text_stream("stdin").readline().strip())
    for name in [register] if register else sorted(lake.catalogue.registers):
        ledger = Ledger(lake, name)
        if not lake.has(Layer.REGISTERS, ledger.versions):
            continue
        known = lake.scan(Layer.REGISTERS, ledger.versions).filter(pl.col("_entity_id").is_in(ids))
        found = known.select("_entity_id").head(1).collect()
        if found.height:
            return ledger, str(found.item())
    raise RequestError(
        "no register knows this entity.", remedy="`lake runs` shows whether the registers were resolved."
    )


def _ids_of_number(lake: Lake, number: str) -> list[str]:
    """Return the ids a raw number may have; the number itself is never printed, logged or stored."""
    import polars as pl

    from jobs.privacy.keyring import secret
    from jobs.registers.keys import KEY_KINDS, entity_ids

    text = number.strip().upper()
    kinds, keys = [], []
    for field_type, kind in KEY_KINDS.items():
        kinds.append(kind)
        keys.append(text[8:17] if field_type == "credit_code" else text)
    return entity_ids(pl.Series(kinds), pl.Series(keys), secret(lake.objects, "register")).to_list()


def entity(
    entity: Entity,
    register: RegisterOption = None,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="what was so on a day")
    ] = None,
    known_at: Annotated[int | None, typer.Option("--known-at", help="as the register stood after this commit")] = None,
    json: AsJson = False,
) -> None:
    """Show one register entry, each value with its source and as-of date.

    Example: lake entity - --register person   (then type the number)
    """
    import polars as pl

    from jobs.registers.fold import fold, valid_on
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        ledger, found = _find(lake, entity, register)
        declared = lake.catalogue.registers[ledger.register]
        if as_of is not None:
            claims = valid_on(ledger.claims_on(found), as_of.date())
            rows = fold(claims, declared, lake.catalogue.types, lake.feeders(declared.name))
        else:
            rows = ledger.scan_current(known_at).filter(pl.col("_entity_id") == found).collect()
    if rows.is_empty():
        say("the register held nothing about this entity then.")
        raise typer.Exit(1)
    row = rows.row(0, named=True)
    document: dict[str, Any] = {
        "entity": found, "register": declared.name, "status": row["_status"], "claims": row["_claims"],
        "held": row["_held"] or [],
        "fields": {
            name: {"value": row[name], "source": row[f"{name}_source"], "as_of": row[f"{name}_as_of"]}
            for name in declared.fields
        },
    }
    if json:
        emit(document)
        return
    say(f"{declared.name} {found} · {row['_status']} · {row['_claims']} claims · {len(document['held'])} held")
    table([{"field": n, **v} for n, v in document["fields"].items()], ("field", "value", "source", "as_of"))


def why(
    entity: Entity, field: Annotated[str | None, typer.Argument(help="one field only")] = None,
    register: RegisterOption = None, json: AsJson = False,
) -> None:
    """Show every claim behind an entry: which delivery, file and row said what about which field, and which won.

    Example: lake why ABCDEFGHIJKLMNOPQRSTUVWXYZ birth_date
    """
    import polars as pl

    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        ledger, found = _find(lake, entity, register)
        declared = lake.catalogue.registers[ledger.register]
        claims = ledger.claims_on(found).sort("_as_of", "_delivered_on", "_dataset", "_source_row")
        current = ledger.scan_current().filter(pl.col("_entity_id") == found).collect()
    held = {tuple(one.values()) for one in (current["_held"][0] if current.height else [])}
    rows = []
    for claim in claims.iter_rows(named=True):
        origin = (claim["_dataset"], claim["_batch_id"], claim["_source_file"], claim["_source_row"])
        for name in [field] if field else declared.fields:
            if claim.get(name) is None:
                continue
            best = current.height and current[name][0] == claim[name] and current[f"{name}_source"][0] == origin[0]
            state = "held" if origin in held else "believed" if best else "outweighed"
            rows.append(
                {"field": name, "state": state, "dataset": origin[0], "batch": origin[1], "file": origin[2],
                 "row": origin[3], "as_of": claim["_as_of"], "value": claim[name]}
            )
    rows.sort(key=lambda row: (row["field"], row["state"]))
    if json:
        emit(rows)
    else:
        table(rows, ("field", "state", "value", "as_of", "dataset", "batch", "file", "row"))


def history(entity: Entity, register: RegisterOption = None, json: AsJson = False) -> None:
    """Show an entry's versions, oldest first: commit by commit, what changed.

    Example: lake history ABCDEFGHIJKLMNOPQRSTUVWXYZ
    """
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        ledger, found = _find(lake, entity, register)
        fields = list(lake.catalogue.registers[ledger.register].fields)
        versions = ledger.history(found)
    rows, before = [], dict.fromkeys(fields)
    for version in versions.iter_rows(named=True):
        changed = [name for name in fields if version[name] != before[name]]
        rows.append({"commit": version["_commit"], "status": version["_status"], "changed": ", ".join(changed)})
        before = {name: version[name] for name in fields}
    if json:
        emit(rows)
    else:
        table(rows, ("commit", "status", "changed"), title=found)


def cases(register: RegisterOption = None, json: AsJson = False) -> None:
    """List held rows: claims that contradict their key and wait for a decision.

    Example: lake cases --register person
    """
    import polars as pl

    from jobs.layers import Layer
    from jobs.storage.ledgers import Ledger
    from jobs.storage.tables import Lake

    rows: list[dict[str, Any]] = []
    with Lake.open() as lake:
        for name in [register] if register else sorted(lake.catalogue.registers):
            ledger = Ledger(lake, name)
            if not lake.has(Layer.REGISTERS, ledger.versions):
                continue
            held = ledger.scan_current().filter(pl.col("_held").list.len() > 0)
            held = held.select("_entity_id", "_status", "_held").sort("_entity_id")
            for entity, status, found in held.collect().iter_rows():
                rows += [
                    {"register": name, "entity": entity, "status": status, "dataset": one["_dataset"],
                     "batch": one["_batch_id"], "file": one["_source_file"], "row": one["_source_row"]}
                    for one in found
                ]
    if json:
        emit(rows)
    elif rows:
        table(rows, list(rows[0]))
    else:
        say("no row is held.")
