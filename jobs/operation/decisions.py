"""A person's decision on its way into the ledger: from the command line and from Airflow alike."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import polars as pl

from jobs.errors import RequestError
from jobs.operation.enquiries import Desk
from jobs.privacy.keyring import secret
from jobs.registers.assertions import UNDO
from jobs.registers.cases import TWO_KEYS, Decision, case_id, decision, of_pair, sides, undone
from jobs.storage.tables import Lake

_PAIR = re.compile(r"([A-Z2-7]{26})\+([A-Z2-7]{26})")
LONGEST_REASON = 500


def decide(
    lake: Lake, case: str, judgement: str, *, by: str, reason: str, register: str | None = None
) -> dict[str, Any]:
    """Hand a decision on a case in, or take back all that was decided on it; return the register and what was written.

    The next resolve takes it up. Raises RequestError for an unknown case and where there is nothing to undo.
    """
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise RequestError(f"a decision needs a reason of at most {LONGEST_REASON} characters.")
    answer = Decision(judgement, by, reason.strip(), datetime.now(UTC).isoformat(timespec="microseconds"))
    for desk in Desk.all(lake, register):
        found = _case(desk, case)
        if found is None:
            continue
        if judgement == UNDO:
            rows = undone(desk.court.handed_in(), found["id"], answer)
            if not rows:
                raise RequestError(f"nothing was decided on {case}.", remedy="`lake cases --state decided`.")
        elif "kind" not in found:
            raise RequestError(f"{case} is not settled yet.", remedy="run resolve first, then decide again.")
        else:
            said = desk.ledger.claims_under(one["id"] for one in sides(found))
            rows = decision(found, answer, secret(lake.objects, "register"), said["_evidence"].unique())
        desk.court.hand_in(rows)
        return {"register": desk.register.name, "entries": len(rows), "ids": [row["id"] for row in rows]}
    raise RequestError(f"there is no case {case}.", remedy="`lake cases --state all` lists them.")


def _case(desk: Desk, case: str) -> dict[str, Any] | None:
    """Return a case of a register, or the case of a pair of keys it knows."""
    pair = _PAIR.fullmatch(case)
    if pair is None:
        rows = desk.court.cases().filter(pl.col("id") == case)
        if rows.height:
            return rows.row(0, named=True)
        handed = desk.court.handed_in().filter(pl.col("case") == case)  # a pair decided on, not yet resolved
        return {"id": case} if handed.height else None
    ends = pair.groups()
    kinds = [desk.court.kind(one) or desk.ledger.kind(one) for one in ends]
    if None in kinds:
        return None
    known = desk.court.cases().filter(pl.col("id") == case_id(TWO_KEYS, ends))
    if known.height:
        return known.row(0, named=True)
    return of_pair((ends[0], str(kinds[0])), (ends[1], str(kinds[1])), desk.court.force())
