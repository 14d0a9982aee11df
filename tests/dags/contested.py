"""A register of people with one contested number, written natively: enough for a case."""

from __future__ import annotations

import polars as pl

from jobs.registers.assertions import CLASH, UNSURE, assertion, frame
from jobs.registers.cases import cases
from jobs.registers.claims import claim_schema
from jobs.registers.identities import MAP, Identities
from jobs.storage.court import Court
from jobs.storage.ledgers import Commit, Ledger
from jobs.storage.tables import Lake

KEY = "A" * 26


def plant(lake: Lake) -> str:
    """Return the id of the case."""
    told = '[{"party": "p", "evidence": ["e1"], "lead": true}, {"party": "q", "evidence": ["e2"], "lead": false}]'
    row = assertion(
        UNSURE, KEY, CLASH, left=KEY, left_kind="resident_id", parties=told, evidence='{"anchored": true}'
    )
    found = cases(frame([row]), Identities(pl.DataFrame(schema=MAP)))
    schema = claim_schema(lake.catalogue.registers["person"], lake.catalogue.types)
    claim = {**dict.fromkeys(schema), "_key_id": KEY, "_kind": "resident_id", "_dataset": "a/b"}
    said = [{"name": "李小红", "sex_code": "2", "_evidence": "e1"}, {"name": "赵国强", "_evidence": "e2"}]
    rows = pl.DataFrame([{**claim, **one} for one in said], schema=schema)
    ledger, commit = Ledger(lake, "person"), Commit(1, (("a/b", "b1", "terms"),), ())
    ledger.write_commit(commit, "planned")
    log = ledger.claims_log()
    log.commit(log.write(rows.with_columns(pl.lit(1, pl.Int64).alias("_commit"))), 1)
    ledger.write_commit(commit, "done")
    court = Court(lake, "person")
    court.write(court.cases_log, found, 1)
    return str(found["id"][0])
