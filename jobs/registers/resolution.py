"""Resolution as a whole, in memory: claims and what was handed in become assertions, id map, cases and placed claims.

The stage does the same in steps where data is large; this is what it must equal, and what answers for a past day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from jobs.register import Register
from jobs.registers.assertions import ALIKE, UNSURE, assertion, frame, in_force, pair, rulings
from jobs.registers.cases import SHARED, cases
from jobs.registers.identities import AMBIGUOUS, Identities, identities
from jobs.registers.judging import Rulings, edges, judge
from jobs.registers.keys import kind_ranks
from jobs.registers.nearness import near, sharing
from jobs.registers.reopening import contradictions, joined


@dataclass
class Resolution:
    """Hold what claims and decisions come to."""

    placed: pl.DataFrame
    force: pl.DataFrame
    identities: Identities
    cases: pl.DataFrame


def findings(claims: pl.DataFrame, register: Register, decided: Rulings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the judged claims, and everything that rules assert from them; all claims of each key must be present."""
    judged, disputes = judge(claims, register, decided)
    return judged, pl.concat([disputes, edges(judged)])


def suggestions(claims: pl.DataFrame) -> pl.DataFrame:
    """Return which keys of the best kind may be one party's: every declared fact of some row is equal.

    A fact shared by more than a few keys tells nobody apart and suggests nothing.
    """
    facts = claims.select("_key_id", "_kind", "_as_of", "_batch_id", "_alike").explode("_alike").drop_nulls("_alike")
    first = facts.sort("_as_of", "_batch_id").unique(["_key_id", "_alike"], keep="first", maintain_order=True)
    shared = first.filter(pl.len().over("_alike").is_between(2, MOST_ALIKE))
    both = shared.join(shared, on=["_alike", "_kind"], suffix="_other").filter(
        pl.col("_key_id") < pl.col("_key_id_other")
    )
    both = both.group_by("_key_id", "_key_id_other", "_kind").agg(
        pl.max_horizontal("_as_of", "_as_of_other").min().alias("_as_of")
    )
    return frame(
        assertion(UNSURE, pair(one, other), ALIKE, left=one, left_kind=kind, right=other, right_kind=kind, as_of=as_of,
                  evidence="{}")
        for one, other, kind, as_of in both.iter_rows()
    )


MOST_ALIKE = 3


def resolved(
    claims: pl.DataFrame, handed: pl.DataFrame, register: Register, marks: pl.DataFrame | None = None
) -> Resolution:
    """Return what all claims of a register and all that was handed in (`SCHEMA`, any order) come to.

    Near keys are suggested where the keys' `marks` (`MARKS`) are given.
    """
    given = in_force(handed.with_columns(pl.lit(0).alias("_commit")))
    decided = rulings(given)
    judged, found = findings(claims, register, decided)
    best = claims.filter(pl.col("_kind") == register.kinds[0])
    close = near(sharing(marks), claims, register) if marks is not None else frame([])
    against = contradictions(joined(given), claims, register)
    force = pl.concat([given, found, suggestions(best), close, against]).sort("id")
    identity = identities(force, kind_ranks(register), register.most_keys)
    return Resolution(placed(judged, identity.map, register.lead), force, identity, cases(force, identity))


def placed(judged: pl.DataFrame, id_map: pl.DataFrame, lead: Sequence[str]) -> pl.DataFrame:
    """Return judged claims with the entity the id map puts them in.

    What is said under a key that several entities share waits, unless the lead says it.
    """
    places = id_map.select(_node="id", _entity_id="entity", _entity_kind="entity_kind", _shared=shared())
    found = judged.join(places, on="_node", how="left", maintain_order="left")
    return found.with_columns(
        pl.coalesce("_entity_id", "_node"), pl.coalesce("_entity_kind", "_kind"),
        (pl.col("_waits") | (pl.col("_shared").fill_null(value=False) & ~pl.col("_dataset").is_in(list(lead)))),
    ).drop("_shared", "_node")


def shared() -> pl.Expr:
    """Return which rows of an id map are keys that stand between several entities."""
    return (pl.col("state") == AMBIGUOUS) & (pl.col("why") == SHARED)


def followed(id_map: Mapping[str, Mapping[str, object]], key: str) -> list[str]:
    """Return the path from an id to what it became, itself first."""
    path = [key]
    while (found := id_map.get(path[-1])) and found["entity"] not in path:
        path.append(str(found["entity"]))
    return path
