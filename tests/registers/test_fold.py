"""The fold of claims: what a register says, whoever came first."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.contract import TypeSpec
from jobs.register import Register
from jobs.registers.claims import compared, mark
from jobs.registers.fold import changes, fold, growth, living, placed_schema, valid_on
from jobs.registers.judging import judge

LEAD, OTHER, THIRD = "police/residents", "welfare/deaths", "labour/insured"


def _type(name: str, storage: str) -> TypeSpec:
    return TypeSpec.model_validate(
        {"name": name, "title": {"en": name, "zh": name}, "storage": storage, "class": "ordinary", "grade": 1}
    )


TYPES = {"text": _type("text", "text"), "date": _type("date", "date"), "person_name": _type("person_name", "text")}
TITLE = {"en": "x", "zh": "x"}


def _register(**policies: Any) -> Register:
    fields = {
        "name": {"type": "person_name", "title": TITLE, "prefer": [LEAD]},
        "former_name": {"type": "person_name", "title": TITLE},
        "birth_date": {"type": "date", "title": TITLE, "prefer": [LEAD]},
        "phone": {"type": "text", "title": TITLE, "policy": "latest", "prefer": [LEAD]},
    }
    for name, change in policies.items():
        fields[name] = {**fields[name], **change}
    return Register.model_validate(
        {
            "name": "person", "title": TITLE, "description": TITLE, "kinds": ["resident_id"], "lead": [LEAD],
            "fields": fields, "clash": {"name": "name", "other": ["birth_date"], "former": "former_name"},
        }
    )


PERSON = _register()
SCHEMA = placed_schema(PERSON, TYPES)


def claim(entity: str, dataset: str, row: int, as_of: date, **said: Any) -> dict[str, Any]:
    evidence = mark([said.get(field) for field in compared(PERSON)], b"k" * 32)
    return {
        **dict.fromkeys(SCHEMA), "_entity_id": entity, "_entity_kind": "resident_id", "_key_id": entity,
        "_kind": "resident_id", "_keys": [{"kind": "resident_id", "id": entity}], "_evidence": evidence,
        "_dataset": dataset, "_role": "subject", "_batch_id": f"batch-{row}", "_source_file": "f.csv",
        "_source_row": row, "_as_of": as_of,
        "_delivered_on": date(2026, 3, 1), "_withdrawn": False, "_waits": False, **said,
    }


def judged(claims: pl.DataFrame, register: Register = PERSON) -> pl.DataFrame:
    """Claims that know whether they wait, all under keys that are entities of their own."""
    return judge(claims.drop("_waits"), register, {})[0].select(list(SCHEMA))


def folded(*claims: dict[str, Any], register: Register = PERSON, feeders: dict[str, list[str]] | None = None) -> Any:
    rows = fold(judged(pl.DataFrame(list(claims), schema=SCHEMA), register), register, TYPES, feeders or {})
    return {row["_entity_id"]: row for row in rows.iter_rows(named=True)}


def test_a_preferred_source_outweighs_a_later_date() -> None:
    row = folded(
        claim("A", LEAD, 1, date(2020, 1, 1), birth_date=date(1990, 5, 1)),
        claim("A", OTHER, 2, date(2026, 1, 1), birth_date=date(1990, 1, 5)),
    )["A"]
    assert (row["birth_date"], row["birth_date_source"], row["birth_date_as_of"]) == (
        date(1990, 5, 1), LEAD, date(2020, 1, 1)
    )


def test_where_the_latest_counts_a_later_date_outweighs_a_preferred_source() -> None:
    older, newer = date(2020, 1, 1), date(2026, 1, 1)
    row = folded(claim("A", LEAD, 1, older, phone="1"), claim("A", OTHER, 2, newer, phone="2"))["A"]
    assert (row["phone"], row["phone_source"]) == ("2", OTHER)


def test_an_empty_cell_is_no_claim() -> None:
    row = folded(claim("A", LEAD, 1, date(2020, 1, 1), phone="1"), claim("A", LEAD, 2, date(2026, 1, 1)))["A"]
    assert row["phone"] == "1"


def test_an_empty_cell_clears_where_the_register_says_so() -> None:
    register = _register(phone={"null": "clears"})
    rows = (claim("A", LEAD, 1, date(2020, 1, 1), phone="1"), claim("A", LEAD, 2, date(2026, 1, 1)))
    assert folded(*rows, register=register, feeders={"phone": [LEAD]})["A"]["phone"] is None
    assert folded(*rows, register=register, feeders={"phone": [OTHER]})["A"]["phone"] == "1"


def test_a_second_person_under_one_number_is_held_and_not_merged() -> None:
    row = folded(
        claim("A", LEAD, 1, date(2020, 1, 1), name="李红", birth_date=date(1980, 1, 1)),
        claim("A", OTHER, 2, date(2026, 1, 1), name="赵国强", birth_date=date(1951, 1, 1), phone="99"),
    )["A"]
    assert (row["name"], row["phone"], row["_status"]) == ("李红", None, "active")
    assert [held["_source_row"] for held in row["_held"]] == [2]


def test_without_a_lead_claim_a_contested_key_says_nothing() -> None:
    row = folded(
        claim("A", OTHER, 1, date(2020, 1, 1), name="李红", birth_date=date(1980, 1, 1)),
        claim("A", THIRD, 2, date(2026, 1, 1), name="赵国强", birth_date=date(1951, 1, 1)),
    )["A"]
    assert (row["_status"], row["name"], len(row["_held"])) == ("contested", None, 2)


@pytest.mark.parametrize(
    ("mine", "theirs", "birth", "held"),
    [
        ("王小明", "王晓明", date(1951, 1, 1), 0),  # one character of the given name is shared
        ("李红", "赵国强", date(1980, 1, 1), 1),  # wholly unlike, and not the lead says so
        ("李红", "赵国强", None, 1),
        ("李红", "李刚", date(1951, 1, 1), 1),  # a shared surname is no evidence
        ("买买提·艾力", "买买提•艾力", date(1951, 1, 1), 0),
        ("华夏第一机械制造有限公司", "华夏第一机械制造厂", date(1951, 1, 1), 0),
        ("华夏第一机械制造有限公司", "蓝天餐饮管理服务中心", date(1951, 1, 1), 1),
    ],
)
def test_a_wholly_unlike_name_from_another_source_than_the_lead_clashes(
    mine: str, theirs: str, birth: date | None, held: int
) -> None:
    row = folded(
        claim("A", LEAD, 1, date(2020, 1, 1), name=mine, birth_date=date(1980, 1, 1)),
        claim("A", OTHER, 2, date(2026, 1, 1), name=theirs, birth_date=birth),
    )["A"]
    assert len(row["_held"]) == held


def test_a_known_former_name_is_not_another_person() -> None:
    row = folded(
        claim("A", LEAD, 1, date(2020, 1, 1), name="李红", former_name="赵国强", birth_date=date(1980, 1, 1)),
        claim("A", OTHER, 2, date(2026, 1, 1), name="赵国强", birth_date=date(1980, 1, 2)),
    )["A"]
    assert row["_held"] == []


def test_a_withdrawn_subject_is_ended_until_the_lead_speaks_again() -> None:
    gone = claim("A", LEAD, 2, date(2026, 1, 1), name="李红", _withdrawn=True)
    assert folded(claim("A", LEAD, 1, date(2020, 1, 1), name="李红"), gone)["A"]["_status"] == "ended"
    again = claim("A", LEAD, 3, date(2026, 2, 1), name="李红")
    assert folded(gone, again)["A"]["_status"] == "active"


def test_what_was_so_on_a_day_counts_only_claims_up_to_that_day() -> None:
    claims = pl.DataFrame(
        [claim("A", LEAD, 1, date(2020, 1, 1), phone="1"), claim("A", LEAD, 2, date(2026, 1, 1), phone="2")],
        schema=SCHEMA,
    )
    assert fold(valid_on(claims, date(2021, 1, 1)), PERSON, TYPES, {})["phone"].to_list() == ["1"]


def test_a_source_that_says_nothing_new_makes_no_version_however_often_it_delivers() -> None:
    said = claim("E1", LEAD, 1, date(2026, 1, 1), name="张三", birth_date=date(1990, 1, 1))
    daily = [claim("E1", THIRD, row, date(2026, 1, row), name="张三") for row in range(2, 5)]
    current = fold(judged(pl.DataFrame([said], schema=SCHEMA)), PERSON, TYPES, {})
    claims = judged(pl.DataFrame([said, *daily], schema=SCHEMA))
    assert changes(claims, current, PERSON, TYPES, {}).is_empty()


def test_a_register_counts_along_what_it_holds() -> None:
    said = claim("E1", LEAD, 1, date(2026, 1, 1), name="张三", birth_date=date(1990, 1, 1))
    alone = claim("E2", LEAD, 2, date(2026, 1, 1), name="王五")
    other = claim("E1", OTHER, 3, date(2026, 1, 2), name="李四", birth_date=date(1950, 1, 1))
    before = fold(judged(pl.DataFrame([said, alone], schema=SCHEMA)), PERSON, TYPES, {})
    changed = changes(judged(pl.DataFrame([said, other], schema=SCHEMA)), before, PERSON, TYPES, {})
    assert living(before) == {"entities": 2, "held": 0, "contested": 0}
    assert growth(changed, before) == {"entities": -1, "held": 1, "contested": 0}


def test_only_changed_rows_are_new_versions_and_an_entity_without_claims_is_removed() -> None:
    claims = pl.DataFrame(
        [claim(entity, LEAD, row, date(2020, 1, 1), phone="1") for row, entity in enumerate("ABC")], schema=SCHEMA
    )
    current = fold(claims, PERSON, TYPES, {})
    later = pl.concat([claims, pl.DataFrame([claim("B", LEAD, 9, date(2026, 1, 1), phone="2")], schema=SCHEMA)])
    found = changes(later.filter(pl.col("_entity_id") != "C"), current, PERSON, TYPES, {})
    assert sorted(found.select("_entity_id", "_status").rows()) == [("B", "active"), ("C", "removed")]
    assert changes(claims, current, PERSON, TYPES, {}).is_empty()


names = st.sampled_from(["李红", "赵国强", "王小明", None])
claims_drawn = st.builds(
    lambda e, d, r, a, n, b, p: claim(e, d, r, a, name=n, birth_date=b, phone=p),
    st.sampled_from("AB"), st.sampled_from([LEAD, OTHER, THIRD]), st.integers(1, 9),
    st.dates(date(2020, 1, 1), date(2020, 1, 4)), names,
    st.sampled_from([date(1980, 1, 1), date(1951, 1, 1), None]), st.sampled_from(["1", "2", None]),
)


@given(st.lists(claims_drawn, min_size=1, max_size=8), st.integers(0, 99))
def test_the_fold_does_not_depend_on_the_order_of_claims(drawn: list[dict[str, Any]], seed: int) -> None:
    shuffled = random.Random(seed).sample(drawn, len(drawn))
    assert folded(*drawn) == folded(*shuffled)
