"""Reopening: evidence that contradicts what a person decided of two keys, and that the person had not seen."""

from __future__ import annotations

import json

import polars as pl

from jobs.register import Register
from jobs.registers.assertions import CONTRADICTION, PERSON, SAME, UNSURE, assertion, frame
from jobs.registers.clashes import Said, clashing
from jobs.registers.judging import spelled, statements


def joined(force: pl.DataFrame) -> pl.DataFrame:
    """Return the decisions in force that two keys are one party's and that say what evidence they knew."""
    decided = force.filter(
        (pl.col("rule") == PERSON) & (pl.col("judgement") == SAME) & pl.col("right").is_not_null()
    )
    return decided.filter(pl.col("evidence").str.json_path_match("$.knows").is_not_null())


def contradictions(decided: pl.DataFrame, claims: pl.DataFrame, register: Register) -> pl.DataFrame:
    """Return what contradicts decisions (`joined`): said under one key, unseen, clashing with the other and all seen.

    All claims under both keys of each decision must be present. The decision stands; it is to be looked at again.
    """
    ends = pl.concat([decided["left"], decided["right"]]).implode()
    mine = claims.filter(pl.col("_key_id").is_in(ends))
    names = spelled(mine, register)
    said = {
        str(key): statements(rows, register, names)
        for (key,), rows in mine.group_by(["_key_id"], maintain_order=True)
    }
    found = []
    for row in decided.iter_rows(named=True):
        left, right = said.get(row["left"], []), said.get(row["right"], [])
        known = set(json.loads(row["evidence"])["knows"])
        seen = [one for one in (*left, *right) if one.evidence in known]
        new = [*_strangers(left, right, seen), *_strangers(right, left, seen)]
        if new:
            found.append(assertion(
                UNSURE, row["subject"], CONTRADICTION, left=row["left"], left_kind=row["left_kind"],
                right=row["right"], right_kind=row["right_kind"], as_of=min(one.since for one in new),
                evidence=json.dumps({"new": sorted({one.evidence for one in new})}),
            ))
    return frame(found)


def _strangers(mine: list[Said], theirs: list[Said], seen: list[Said]) -> list[Said]:
    """Return what is said on one side that was not seen, clashes with the other side and agrees with nothing seen."""
    return [
        one for one in mine
        if one not in seen and any(clashing(one, other) for other in theirs)
        and all(clashing(one, other) for other in seen if not other.silent)
    ]
