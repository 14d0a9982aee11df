"""Claims: what a row says of an entity, under which keys, without any key that could be read."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from jobs.contract import Contract, TypeSpec
from jobs.register import Register
from jobs.registers.claims import claims, corrected, fresh_schema, once, standing
from jobs.registers.keys import entity_ids

KEY = b"k" * 32
TITLE = {"en": "x", "zh": "x"}
TYPES = {
    name: TypeSpec.model_validate(
        {"name": name, "title": TITLE, "storage": "text", "class": "ordinary", "grade": 1}
    )
    for name in ("text", "credit_code", "registration_number")
}
FIRM = Register.model_validate(
    {
        "name": "firm", "title": TITLE, "description": TITLE,
        "kinds": ["organisation_code", "credit_code", "registration_number"],
        "fields": {"name": {"type": "text", "title": TITLE}, "phone": {"type": "text", "title": TITLE}},
        "clash": {"name": "name", "other": ["phone"], "alike": [["name", "phone"]]},
    }
)
CONTRACT = Contract.model_validate(
    {
        "name": "market/licences", "title": TITLE, "description": TITLE, "steward": "a@example.gov",
        "source": {"reader": "csv", "path": "a.csv"},
        "entities": {"firm": {"register": "firm", "key": ["number", "code"], "fields": {"name": "name",
                                                                                    "phone": "phone"}}},
        "fields": {
            "number": {"from": "n", "type": "registration_number"}, "code": {"from": "c", "type": "credit_code"},
            "name": {"from": "m", "type": "text"}, "phone": {"from": "p", "type": "text"},
        },
    }
)
CODE, NUMBER = "91350100M000100Y43", "110108000000016"


def told(*rows: dict[str, Any]) -> pl.DataFrame:
    whole = [
        {"number": None, "code": None, "name": None, "phone": None, "_batch_id": "b", "_source_file": "f",
         "_source_row": at, "_data_date": date(2026, 1, 1), "_deleted": False, "_fingerprint": f"{at:032x}", **row}
        for at, row in enumerate(rows)
    ]
    schema = {"number": pl.String, "code": pl.String, "name": pl.String, "phone": pl.String}
    return claims(pl.DataFrame(whole, schema_overrides=schema), CONTRACT, FIRM, TYPES, KEY)


def born(kind: str, key: str) -> str:
    return entity_ids(pl.Series([kind]), pl.Series([key]), KEY)[0]


def test_a_claim_carries_every_key_of_its_row_the_best_kind_first() -> None:
    row = told({"code": CODE, "number": NUMBER}).row(0, named=True)
    assert (row["_key_id"], row["_kind"]) == (born("organisation_code", CODE[8:17]), "organisation_code")
    assert row["_keys"] == [
        {"kind": "organisation_code", "id": born("organisation_code", CODE[8:17])},
        {"kind": "credit_code", "id": born("credit_code", CODE)},
        {"kind": "registration_number", "id": born("registration_number", NUMBER)},
    ]


def test_a_row_without_any_key_is_an_entity_of_its_own() -> None:
    found = told({"name": "红星厂"}, {"name": "红星厂"})
    assert found["_kind"].to_list() == ["unkeyed", "unkeyed"]
    assert found["_key_id"].n_unique() == 2


def test_a_row_that_says_nothing_of_anybody_makes_no_claim() -> None:
    assert told({}).is_empty()


def test_equal_statements_have_equal_evidence_and_other_ones_other() -> None:
    found = told({"code": CODE, "name": "a"}, {"code": CODE, "name": "b"}, {"number": NUMBER, "name": "a"},
                 {"number": "110108000000024", "name": "a"})["_evidence"]
    assert found[2] == found[3]
    assert len({found[0], found[1], found[2]}) == 3


def test_facts_suggest_a_second_key_only_when_all_of_them_are_there() -> None:
    found = told({"code": CODE, "name": "a", "phone": "1"}, {"number": NUMBER, "name": "a", "phone": "1"},
                 {"code": CODE, "name": "a"})["_alike"].to_list()
    assert found[0] == found[1]
    assert (len(found[0]), found[2]) == (1, [])


def test_the_same_said_twice_in_a_delivery_is_one_claim() -> None:
    assert once(told({"code": CODE, "name": "a"}, {"code": CODE, "name": "a"}))["_source_row"].to_list() == [0]


def test_no_key_can_be_read_in_what_the_lake_adds() -> None:
    row = told({"code": CODE, "number": NUMBER, "name": "a"}).select("_key_id", "_keys", "_evidence", "_alike")
    assert all(part not in str(row.to_dicts()) for part in (CODE, CODE[8:17], NUMBER))
    assert list(told({"code": CODE}).schema) == list(fresh_schema(FIRM, TYPES))


DEATHS = Contract.model_validate(
    {
        **CONTRACT.model_dump(by_alias=True), "name": "civil/deaths", "load": {"mode": "merge", "key": ["phone"]},
    }
)


def recorded(phone: str, number: str, batch: str, on: date) -> pl.DataFrame:
    row = {"number": number, "code": None, "name": "甲", "phone": phone, "_batch_id": batch, "_source_file": "f",
           "_source_row": 1, "_data_date": on, "_deleted": False, "_fingerprint": "0" * 32}
    schema = {"number": pl.String, "code": pl.String, "name": pl.String, "phone": pl.String}
    return claims(pl.DataFrame([row], schema_overrides=schema), DEATHS, FIRM, TYPES, KEY)


def still_standing(every: pl.DataFrame) -> pl.DataFrame:
    return standing(every.lazy(), corrected(every.lazy())).collect()


def test_a_record_corrected_to_be_about_somebody_else_no_longer_speaks_of_the_first_in_any_order() -> None:
    wrong = recorded("S-9", NUMBER, "b1", date(2026, 1, 1))
    right = recorded("S-9", "440301103097413", "b2", date(2026, 1, 2))
    other = recorded("S-8", NUMBER, "b1", date(2026, 1, 1))
    for every in (pl.concat([wrong, right, other]), pl.concat([other, right, wrong])):
        kept = still_standing(every)
        assert set(kept["_batch_id"] + kept["_record"]) == {
            "b2" + right["_record"][0], "b1" + other["_record"][0]
        }
    assert still_standing(wrong).height == 1
    assert "S-9" not in str(wrong["_record"][0])


def test_a_later_row_of_a_record_about_the_same_entity_leaves_its_history() -> None:
    every = pl.concat([recorded("S-9", NUMBER, f"b{day}", date(2026, 1, day)) for day in (1, 2)])
    assert still_standing(every).height == 2


def test_a_row_key_that_names_the_entity_makes_no_record_to_be_corrected() -> None:
    assert told({"code": CODE})["_record"].to_list() == [None]


def test_statements_that_say_the_same_count_once_in_whatever_pieces_they_came() -> None:
    rows = [{"code": CODE, "name": "a"}, {"code": CODE, "name": "a", "_source_row": 7}, {"code": CODE, "name": "b"}]
    whole = once(told(*rows))
    pieces = once(pl.concat([told(rows[2]), told(rows[1]), told(rows[0])]))
    assert whole.height == pieces.height == 2
    assert sorted(whole["_source_row"]) == [0, 2]
