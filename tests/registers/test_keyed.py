"""A keyed register is the slow, obvious fold of its claims, however they come, in whatever pieces, and less of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.catalogue import load_catalogue
from jobs.register import Register
from jobs.registers.claims import OF_KEY, claim_schema
from jobs.registers.fold import ACTIVE, ENDED, REMOVED
from jobs.registers.keyed import Terms, counting, merged, merged_on, refolded
from jobs.settings import PROJECT

LEAD, OTHER, THIRD = "a/lead", "b/other", "c/third"
TITLE = {"en": "x", "zh": "某"}
REGISTER = Register.model_validate({
    "name": "parcel", "title": TITLE, "description": TITLE, "kinds": ["resident_id"], "lead": [LEAD], "clash": "none",
    "fields": {
        "owner": {"type": "text", "title": TITLE, "prefer": [LEAD, OTHER]},
        "use": {"type": "text", "title": TITLE, "policy": "latest", "prefer": [OTHER]},
        "note": {"type": "text", "title": TITLE, "null": "clears"},
    },
})  # fmt: skip
TYPES = load_catalogue(PROJECT / "schemas").types
SAYS = {(LEAD, "it"): ("owner", "use", "note"), (OTHER, "it"): ("owner", "use"), (THIRD, "it"): ("owner",),
        (LEAD, "neighbour"): ("owner",)}  # fmt: skip
TERMS = Terms(REGISTER, TYPES, SAYS, frozenset([LEAD]))
NEWEST = Terms(REGISTER.model_copy(update={"speaks": "newest_row"}), TYPES, SAYS, frozenset([LEAD]))
DAYS = [datetime(2026, 1, day, 3, tzinfo=UTC) for day in (1, 2, 3)]
both = pytest.mark.parametrize("terms", [TERMS, NEWEST], ids=["every_row", "newest_row"])

Claim = dict[str, Any]
rows = st.builds(
    lambda key, speaker, batch, row, day, gone, owner, use, note: {
        "_key_id": key, "_kind": "resident_id", "_dataset": speaker[0], "_role": speaker[1],
        "_batch_id": f"{speaker[0]}-{batch}", "_source_file": "f", "_source_row": row, "_as_of": day,
        "_delivered_on": day.date(), "_withdrawn": gone and speaker[0] == LEAD, "owner": owner,
        "use": use if "use" in SAYS[speaker] else None, "note": note if "note" in SAYS[speaker] else None,
    },
    st.sampled_from("AB"), st.sampled_from(list(SAYS)), st.integers(1, 3), st.integers(1, 4),
    st.sampled_from(DAYS), st.booleans(), st.sampled_from([None, "p", "q"]), st.sampled_from([None, "r", "s"]),
    st.sampled_from([None, "t", "u"]),
)  # fmt: skip
claims = st.lists(rows, max_size=14, unique_by=lambda one: (one["_batch_id"], one["_source_row"], one["_role"]))


def frame(found: list[Claim], terms: Terms = TERMS) -> pl.DataFrame:
    return counting(pl.DataFrame(found, schema=claim_schema(REGISTER, TYPES)), terms.register)


def spoken(found: list[Claim], terms: Terms = TERMS) -> list[Claim]:
    """The claims that count, one by one: all, or of a delivery's rows about one entity in one role the newest."""
    if terms.register.speaks == "every_row":
        return found
    last: dict[tuple[str, ...], Claim] = {}
    for one in sorted(found, key=lambda one: (one["_as_of"], one["_source_row"])):
        last[one["_key_id"], one["_batch_id"], one["_role"]] = one
    return list(last.values())


def oracle(found: list[Claim], terms: Terms = TERMS) -> dict[str, dict[str, Any]]:
    """The register by the book: for each field of each entity, look at every claim and take the greatest."""
    register: dict[str, dict[str, Any]] = {}
    for key in {one["_key_id"] for one in found}:
        mine = [one for one in spoken(found, terms) if one["_key_id"] == key]
        row: dict[str, Any] = {}
        for name, field in REGISTER.fields.items():
            speaking = [
                one for one in mine
                if one[name] is not None or (field.null == "clears" and name in SAYS[one["_dataset"], one["_role"]])
            ]  # fmt: skip

            def weight(one: Claim, name: str = name) -> tuple[Any, ...]:
                prefer = REGISTER.fields[name].prefer
                rank = -prefer.index(one["_dataset"]) if one["_dataset"] in prefer else -len(prefer)
                order = (rank, one["_as_of"]) if REGISTER.fields[name].policy == "preferred" else (one["_as_of"], rank)
                return (*order, one[name] is not None, one[name] or "", [-ord(letter) for letter in one["_dataset"]])

            best = max(speaking, key=weight, default=None)
            row[name] = (best[name], best["_dataset"], best["_as_of"]) if best else (None, None, None)
        standing = max(((one["_as_of"], one["_withdrawn"]) for one in mine if one["_dataset"] == LEAD), default=None)
        row["_status"] = ENDED if standing and standing[1] else ACTIVE
        register[key] = row
    return register


def told(register: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {
        row["_entity_id"]: {
            **{name: (row[name], row[f"{name}_source"], row[f"{name}_as_of"]) for name in REGISTER.fields},
            "_status": row["_status"],
        }
        for row in register.filter(pl.col("_status") != REMOVED).iter_rows(named=True)
    }


def taken(register: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([register.join(changed, on="_entity_id", how="anti"), changed])


@both
@given(claims, st.randoms(use_true_random=False))
def test_any_order_and_any_pieces_of_deliveries_come_to_the_fold_by_the_book(terms, found, chance) -> None:
    deliveries = sorted({one["_batch_id"] for one in found})
    chance.shuffle(deliveries)
    register = TERMS.nobody()
    while deliveries:
        piece = [deliveries.pop() for _ in range(min(len(deliveries), chance.randint(1, 3)))]
        fresh = frame([one for one in found if one["_batch_id"] in piece], terms)
        register = taken(register, merged(register, fresh, terms))
    assert told(register) == oracle(found, terms)


@given(st.lists(rows, min_size=20, max_size=60))
def test_many_deliveries_taken_in_at_once_come_to_the_same(found) -> None:
    found = [{**one, "_batch_id": f"{one['_dataset']}-{number}"} for number, one in enumerate(found)]
    assert told(merged(TERMS.nobody(), frame(found), TERMS)) == oracle(found)


@given(claims)
def test_what_was_merged_once_changes_nothing_when_it_comes_again(found) -> None:
    register = merged(TERMS.nobody(), frame(found), TERMS)
    assert merged(register, frame(found), TERMS).is_empty()


@given(claims, claims)
def test_only_rows_that_differ_are_returned_and_rows_of_others_are_left_alone(before, found) -> None:
    register = merged(TERMS.nobody(), frame(before), TERMS)
    changed = merged(register, frame(found), TERMS)
    assert changed.join(register, on=register.columns, how="semi", nulls_equal=True).is_empty()
    assert set(changed["_entity_id"]) <= {one["_key_id"] for one in found}


@given(claims, st.sets(st.sampled_from([f"{d}-{n}" for d in (LEAD, OTHER, THIRD) for n in (1, 2, 3)])))
def test_a_register_without_withdrawn_deliveries_is_as_if_they_had_never_come(found, gone) -> None:
    register = merged(TERMS.nobody(), frame(found), TERMS)
    left = [one for one in found if one["_batch_id"] not in gone]
    after = taken(register, refolded(TERMS.nobody(), frame(left), register, TERMS))
    assert told(after) == oracle(left)
    lost = {one["_key_id"] for one in found} - {one["_key_id"] for one in left}
    assert set(after.filter(pl.col("_status") == REMOVED)["_entity_id"]) == lost


@given(claims, claims)
def test_what_a_register_was_opened_with_outlives_a_withdrawal(opening, found) -> None:
    opened = merged(TERMS.nobody(), frame(opening), TERMS)
    register = taken(opened, merged(opened, frame(found), TERMS))
    after = taken(register, refolded(opened, frame([]), register, TERMS))
    assert after.filter(pl.col("_status") != REMOVED).sort("_entity_id").equals(opened.sort("_entity_id"))


def test_an_entity_that_was_removed_begins_anew() -> None:
    one = {"_key_id": "A", "_kind": "resident_id", "_dataset": LEAD, "_role": "it", "_batch_id": "x",
           "_source_file": "f", "_source_row": 1, "_as_of": DAYS[0], "_delivered_on": DAYS[0].date(),
           "_withdrawn": False, "owner": "p", "use": None, "note": None}  # fmt: skip
    register = merged(TERMS.nobody(), frame([one]), TERMS)
    removed = refolded(TERMS.nobody(), frame([]), register, TERMS)
    assert removed["_status"].to_list() == [REMOVED]
    again = merged(removed, frame([{**one, "owner": "q"}]), TERMS)
    assert again.select("_status", "owner").rows() == [(ACTIVE, "q")]


@pytest.mark.parametrize(("declared", "what"), [
    ({"kinds": ["resident_id", "passport"]}, "one kind of key"),
    ({"clash": {"name": "owner", "other": ["use"]}, "speaks": "newest_row"}, "keyed registers"),
])  # fmt: skip
def test_a_declaration_that_cannot_be_kept_is_refused(declared, what) -> None:
    with pytest.raises(ValueError, match=what):
        Register.model_validate({**REGISTER.model_dump(by_alias=True), **declared})


@given(claims, st.sampled_from(DAYS))
def test_a_day_in_the_past_is_what_was_said_by_then(found, day) -> None:
    then = merged_on(day.date(), TERMS.nobody(), frame(found), TERMS)
    assert told(then) == oracle([one for one in spoken(found) if one["_as_of"] <= day])


def test_a_value_of_the_opening_that_is_younger_than_a_day_was_not_so_then() -> None:
    opened = pl.DataFrame([{
        "_entity_id": "A", "_kind": "resident_id", "_status": ACTIVE, "owner": "p", "owner_source": LEAD,
        "owner_as_of": DAYS[0], "use": "r", "use_source": LEAD, "use_as_of": DAYS[2],
    }], schema=TERMS.schema)  # fmt: skip
    assert merged_on(date(2026, 1, 2), opened, frame([]), TERMS).select("owner", "use").rows() == [("p", None)]


def test_what_the_key_says_holds_until_a_source_says_something_else() -> None:
    fields = {
        "born": {"type": "date", "title": TITLE, "of_key": "birth_date"},
        "sex": {"type": "text", "title": TITLE, "of_key": "sex_code"},
        "place": {"type": "text", "title": TITLE, "of_key": "division_code"},
    }
    register = Register.model_validate({**REGISTER.model_dump(by_alias=True), "fields": fields})
    terms = Terms(register, TYPES, {(LEAD, "it"): ("place",), (OTHER, "it"): ()}, frozenset())

    def claim(speaker: str, day: int, place: str | None) -> dict[str, Any]:
        own = dict(zip(("born", "sex", "place"), (date(1949, 12, 31), "2", "110105"), strict=True))
        return {
            "_key_id": "A", "_kind": "resident_id", "_dataset": speaker, "_role": "it", "_batch_id": "b",
            "_as_of": DAYS[day], "_withdrawn": False, "place": place,
            **{f"{name}{OF_KEY}": value for name, value in own.items()},
        }

    def said(*found: dict[str, Any]) -> pl.DataFrame:
        return pl.DataFrame(found, schema=claim_schema(register, TYPES))

    first = merged(terms.nobody(), said(claim(OTHER, 2, None)), terms)
    assert first.select("born", "sex", "place", "place_source").row(0) == (date(1949, 12, 31), "2", "110105", None)
    later = merged(first, said(claim(LEAD, 0, "330106")), terms)
    assert later.select("born", "sex", "place", "place_source").row(0) == (date(1949, 12, 31), "2", "330106", LEAD)
    assert refolded(terms.nobody(), said(claim(OTHER, 2, None)), later, terms)["place"].to_list() == ["110105"]
    on_the_day = merged_on(DAYS[1].date(), terms.nobody(), said(claim(LEAD, 2, "330106"), claim(OTHER, 0, None)), terms)
    assert on_the_day["place"].to_list() == ["110105"]


def test_only_a_citizen_id_number_says_something_itself() -> None:
    of_key = {"fields": {"born": {"type": "date", "title": TITLE, "of_key": "birth_date"}}}
    with pytest.raises(ValueError, match="of_key is for a keyed register"):
        Register.model_validate({**REGISTER.model_dump(by_alias=True), **of_key, "kinds": ["credit_code"]})
