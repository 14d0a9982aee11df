"""What Airflow's tasks say of a case, and what they do with an answer; the flow itself runs in tests/e2e."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from airflow.sdk.exceptions import AirflowSkipException

from jobs.operation.tasks import answered, case_text, waiting_cases
from jobs.registers.assertions import CLASH, UNSURE, assertion, frame
from jobs.registers.cases import cases
from jobs.registers.claims import claim_schema
from jobs.registers.identities import MAP, Identities
from jobs.storage.court import Court
from jobs.storage.frames import to_arrow
from jobs.storage.ledgers import REGISTERS, Ledger
from jobs.storage.tables import Lake

KEY = "A" * 26


@pytest.fixture
def case(lake_folder: Path) -> str:
    """A lake whose register of people has one contested number; returns the case's id."""
    from deltalake import write_deltalake

    del lake_folder
    told = '[{"party": "p", "evidence": ["e1"], "lead": true}, {"party": "q", "evidence": ["e2"], "lead": false}]'
    force = frame([assertion(UNSURE, KEY, CLASH, left=KEY, left_kind="resident_id", parties=told,
                             evidence='{"anchored": true}')])
    found = cases(force, Identities(pl.DataFrame(schema=MAP)))
    with Lake.open() as lake:
        schema = claim_schema(lake.catalogue.registers["person"], lake.catalogue.types)
        said = [{"name": "李小红", "sex_code": "2", "_evidence": "e1"}, {"name": "赵国强", "_evidence": "e2"}]
        row = {**dict.fromkeys(schema), "_key_id": KEY, "_kind": "resident_id", "_dataset": "a/b"}
        rows = [{**row, **one} for one in said]
        table = to_arrow(pl.DataFrame(rows, schema=schema), schema)
        write_deltalake(lake.uri(REGISTERS, Ledger(lake, "person").claims), table)
        court = Court(lake, "person")
        court.write(court.cases_log, found, 1)
    return str(found["id"][0])


def test_waiting_cases_are_named_by_id_alone_and_none_skips_the_task(case: str) -> None:
    assert waiting_cases("person", 5) == [case]
    with pytest.raises(AirflowSkipException):
        waiting_cases("organisation", 5)


def test_the_person_who_decides_sees_both_sides_masked(case: str) -> None:
    text = case_text("person", case)
    assert "李**" in text
    assert "赵**" in text
    assert "小红" not in text


def test_an_answer_becomes_a_decision_and_nobodys_answer_says_so(case: str) -> None:
    answer: dict[str, Any] = {"chosen_options": ["unsure"], "params_input": {}, "responded_by_user": None}
    assert answered("person", case, answer) == case
    with Lake.open() as lake:
        (row,) = Court(lake, "person").handed_in().to_dicts()
    assert (row["judgement"], row["by"], row["case"]) == ("unsure", "nobody in time", case)
