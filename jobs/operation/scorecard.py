"""The score-card of the registers: what was decided by rules, what waits for a person and since when. Counts only."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import polars as pl

from jobs.operation.enquiries import Desk
from jobs.quality.docs import INDEX
from jobs.registers.assertions import OWN_RULES, PERSON, SAME
from jobs.registers.cases import DECIDED
from jobs.storage.tables import Lake

AGES = {1: "today", 7: "this week", 31: "this month"}  # days below which
OLDER = "older"


def registers(lake: Lake, now: datetime, only: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Return one row per register: entities, joined keys by who joined them, cases, the share that rules decided.

    `only`: of these registers. `auto_decided`: keys joined by rules or a model, of these and of all cases, each a
    question put to a person.
    """
    return [_register(desk, now) for desk in Desk.all(lake) if only is None or desk.register.name in only]


def data_docs(lake: Lake) -> str | None:
    """Return where the Data Docs lie that say how each delivery met its quality checks; None before they are built."""
    return lake.objects.address(INDEX) if lake.objects.exists(INDEX) else None


def cases(lake: Lake, now: datetime) -> pl.DataFrame:
    """Return the number of cases by register, kind, state and age (since it waits; `decided` has none)."""
    parts = [_aged(desk, now).with_columns(pl.lit(desk.register.name).alias("register")) for desk in Desk.all(lake)]
    keys = ["register", "kind", "state", "age"]
    if not parts:
        return pl.DataFrame(schema={**dict.fromkeys(keys, pl.String), "cases": pl.Int64})
    return pl.concat(parts).group_by(keys).agg(pl.len().cast(pl.Int64).alias("cases")).sort(keys)


def _register(desk: Desk, now: datetime) -> dict[str, Any]:
    force = desk.court.force().filter((pl.col("judgement") == SAME) & pl.col("right").is_not_null())
    rule = pl.col("rule")
    by_rules, by_people = force.filter(rule.is_in(OWN_RULES)).height, force.filter(rule == PERSON).height
    by_models = force.height - by_rules - by_people
    found = _aged(desk, now)
    waiting = found.filter(pl.col("state") != DECIDED)
    settled = by_rules + by_models
    return {
        "register": desk.register.name, "entities": desk.ledger.scan_current().select(pl.len()).collect().item(),
        "joined_by_rules": by_rules, "joined_by_models": by_models, "joined_by_people": by_people,
        "cases_waiting": waiting.height, "cases_decided": found.height - waiting.height,
        "auto_decided": round(settled / (settled + found.height), 5) if settled + found.height else None,
        "oldest_days": waiting["days"].max(),
    }


def _aged(desk: Desk, now: datetime) -> pl.DataFrame:
    """Return a register's cases: kind, state, whole days they have waited, and the age these come to."""
    known = desk.court.cases().select("id", "kind", "state").join(desk.court.asked_since(), on="id", how="left")
    days = (pl.lit(now) - pl.col("since")).dt.total_days()
    age = pl.lit(OLDER)
    for most, word in sorted(AGES.items(), reverse=True):
        age = pl.when(pl.col("days") < most).then(pl.lit(word)).otherwise(age)
    waits = pl.col("state") != DECIDED
    return known.with_columns(pl.when(waits).then(days).alias("days")).with_columns(
        pl.when(waits).then(age).otherwise(pl.lit("")).alias("age")
    )
