"""Matching: a register's records without a key weighed against all its others by a frozen model."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import polars as pl

from jobs.errors import RequestError
from jobs.linking.charts import steps
from jobs.linking.config import LinkConfig
from jobs.linking.linkage import Linked, link
from jobs.linking.model import Model
from jobs.operation.enquiries import Desk
from jobs.registers.assertions import UNDO, in_force
from jobs.registers.fold import ACTIVE, fold
from jobs.registers.keys import UNKEYED
from jobs.registers.linked import handing_in, linked
from jobs.storage.tables import Lake

KEYED = "keyed"  # the name of the source that has no duplicates of itself: who has a key is told apart by it
PLACES_OF_BITS = 2  # of what a step adds to a weight, as kept


def train(lake: Lake, register: str) -> Model:
    """Return a model learned from a register's records; nothing is handed in."""
    return _linked(_records(lake, _desk(lake, register)), None).model


def match(lake: Lake, register: str, model: Model, *, high: float, low: float) -> dict[str, Any]:
    """Hand in what a frozen model says of a register's records without a key; return the counts.

    From probability `high` on and without contradiction an edge, from `low` on a case, below it nothing. What was
    handed in before and is not said any more is taken back. The next resolve takes it up.
    """
    desk = _desk(lake, register)
    records, now = _records(lake, desk), datetime.now(UTC).isoformat(timespec="microseconds")
    told = _linked(records, model, explained=low)
    ids = told.rows["_entity_id"]
    pairs = told.pairs.filter(pl.col("probability") >= low)
    ends = pairs.select(
        ids.gather(pairs["l"]).alias("one"), ids.gather(pairs["r"]).alias("other"), "probability"
    ).select(pl.min_horizontal("one", "other").alias("left"), pl.max_horizontal("one", "other").alias("right"),
             "probability")
    found = linked(ends, records, desk.register, fingerprint(model), high, now, _weights(told))
    force = in_force(desk.court.handed_in().with_columns(pl.lit(0, pl.Int64).alias("_commit")))
    entries = handing_in(force, found, now)
    if entries:
        desk.court.hand_in(entries)
    edges = found.filter(pl.col("judgement") == "same").height
    unkeyed = records.filter(pl.col("_kind") == UNKEYED).height
    return {
        "register": register, "model": fingerprint(model), "unkeyed": unkeyed, "keyed": records.height - unkeyed,
        "edges": edges, "cases": found.height - edges,
        "new": sum(one["judgement"] != UNDO for one in entries),
        "taken_back": sum(one["judgement"] == UNDO for one in entries),
    }


def fingerprint(model: Model) -> str:
    """Return 16 hex digits over everything that decides a pair's weight."""
    return hashlib.blake2b(model.model_dump_json().encode(), digest_size=8).hexdigest()


def _desk(lake: Lake, register: str) -> Desk:
    desks = Desk.all(lake, register)
    if not desks:
        raise RequestError(f"the register {register} is empty.", remedy=f"`lake run resolve {register}` first.")
    return desks[0]


def _records(lake: Lake, desk: Desk) -> pl.DataFrame:
    """Return one record per entity with a key, and one per row without, whatever that was joined to before."""
    register, types = desk.register, lake.catalogue.types
    if register.keyed:
        raise RequestError("a keyed register has no row without a key; there is nothing to match.",
                           dataset=register.name, remedy="nothing to do.")
    fields = list(register.fields)
    claims = desk.ledger.claims_in_force().scan().filter(pl.col("_kind") == UNKEYED).drop("_commit").collect()
    alone = claims.with_columns(_entity_id="_key_id", _entity_kind="_kind", _waits=pl.lit(value=False))
    unkeyed = fold(alone, register, types, lake.feeders(register.name)).select("_entity_id", "_kind", *fields)
    keyed = desk.ledger.scan_current().filter((pl.col("_kind") != UNKEYED) & (pl.col("_status") == ACTIVE))
    return pl.concat([unkeyed, keyed.select("_entity_id", "_kind", *fields).collect()])


def _weights(told: Linked) -> dict[tuple[str, str], list[tuple[str, float]]]:
    """Return, by the ids of each explained pair in their order, what leads to its weight: label and bits."""
    ids, found = told.rows["_entity_id"], {}
    final = {(left, right): weight for left, right, weight in told.pairs.select("l", "r", "weight").iter_rows()}
    for row in told.details.iter_rows(named=True):
        left, right = sorted((ids[row["l"]], ids[row["r"]]))
        *bars, _ = steps(told.model, row, final[row["l"], row["r"]])
        found[left, right] = [(label, round(end - start, PLACES_OF_BITS)) for label, start, end in bars]
    return found


def _linked(records: pl.DataFrame, model: Model | None, explained: float | None = None) -> Linked:
    """Return the records linked: those without a key to any, those with one never to each other."""
    unkeyed = pl.col("_kind") == UNKEYED
    cells = records.drop("_kind").cast(pl.String)
    tables = {UNKEYED: cells.filter(records.select(unkeyed).to_series()),
              KEYED: cells.filter(records.select(~unkeyed).to_series())}
    if tables[UNKEYED].is_empty():
        raise RequestError("every record has a key; there is nothing to match.", remedy="nothing to do.")
    config = LinkConfig(sources_without_duplicates=(KEYED,))
    return link(tables, config, id_column="_entity_id", model=model, explained=explained)
