"""A register of people with one contested number, written natively: enough for a case."""

from __future__ import annotations

import polars as pl
from deltalake import write_deltalake

from jobs.registers.assertions import CLASH, UNSURE, assertion, frame
from jobs.registers.cases import cases
from jobs.registers.claims import claim_schema
from jobs.registers.identities import MAP, Identities
from jobs.storage.court import Court
from jobs.storage.frames import to_arrow
from jobs.storage.ledgers import REGISTERS, Ledger
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
    write_deltalake(lake.uri(REGISTERS, Ledger(lake, "person").claims), to_arrow(rows, schema))
    court = Court(lake, "person")
    court.write(court.cases_log, found, 1)
    return str(found["id"][0])
