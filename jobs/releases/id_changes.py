"""The id-change feed a release shows: what became of the public identifiers of organisations it publishes itself.

Nothing is shown of people, nor any id of the lake's, nor an identifier that is not in the release's own rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs.catalogue import Catalogue
from jobs.contract import Contract
from jobs.privacy.keyring import secret
from jobs.register import Register
from jobs.registers.keys import PARTS, entity_ids
from jobs.rows.protection import protection_of
from jobs.storage.court import Court

if TYPE_CHECKING:
    from jobs.releases.build import Draft
    from jobs.storage.tables import Lake

FILE = "id_changes.csv"
PEOPLE, PERSONAL = "person", 4
FIELDS = {  # column: (English, Chinese)
    "column": ("Column of the release that holds the identifier", "发布字段"),
    "identifier": ("Identifier as published", "标识"),
    "state": ("redirect: another identifier's organisation; ambiguous: of several; held: of nobody", "状态"),
    "became": ("The same organisation's preferred identifier; empty when the release does not show it", "现标识"),
    "why": ("Why it stands for no single organisation; empty for a redirect", "原因"),
    "changed_on": ("Day it came to be so in the register", "变更日期"),
}
SCHEMA = dict.fromkeys(FIELDS, pl.String)


def carried(contract: Contract, catalogue: Catalogue) -> dict[str, tuple[Register, str]]:
    """Return published column → register and kind, for those that show an organisation's identifier as it is.

    A kind that may hold a person's number (a taxpayer's of 17 or 20 characters: grade 4) is none.
    """
    people = set(catalogue.registers[PEOPLE].kinds) if PEOPLE in catalogue.registers else set()
    found = {}
    for column, name in contract.published.items():
        field = contract.fields[name]
        kept = field.publish is None or field.publish.generalise in (None, "keep")
        plain = kept and protection_of(field, catalogue.types) == "keep"
        plain = plain and catalogue.types[field.type].grade < PERSONAL
        for register in catalogue.registers.values():
            if plain and register.name != PEOPLE and field.type in register.kinds and field.type not in people:
                found[column] = (register, field.type)
    return found


def changes(lake: Lake, made: Draft) -> list[dict[str, str | None]]:
    """Return what became of the identifiers in a draft's rows, as `FIELDS`; by column and identifier."""
    found: list[dict[str, str | None]] = []
    for column, (register, kind) in carried(made.contract, lake.catalogue).items():
        values = made.table[column].drop_nulls().cast(pl.String).unique().sort()
        keys = values.str.slice(*PARTS[kind][1:]) if kind in PARTS else values
        kinds = pl.Series([PARTS[kind][0] if kind in PARTS else kind] * len(values), dtype=pl.String)
        ids = entity_ids(kinds, keys, secret(lake.objects, "register"))
        court, of = Court(lake, register.name), dict(zip(ids, values, strict=True))
        moved = court.id_map(among=ids.to_list())
        since = dict(court.changes_of(moved["id"]).group_by("id").agg(pl.col("_recorded_at").max()).iter_rows())
        found += [
            {
                "column": column, "identifier": of[row["id"]], "state": row["state"],
                "became": of.get(row["entity"]) if row["entity"] != row["id"] else None, "why": row["why"],
                "changed_on": since[row["id"]].date().isoformat(),
            }
            for row in moved.iter_rows(named=True)
        ]
    return sorted(found, key=lambda one: (str(one["column"]), str(one["identifier"])))


def table(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the feed as a table."""
    return pl.DataFrame(list(rows), schema=SCHEMA)
