"""Who is who: merges, contested keys, decisions, undo."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import polars as pl
import pytest

from jobs.registers.assertions import DIFFERENT, SAME, assertion, frame, pair
from jobs.registers.cases import decision, of_pair, undone
from tests.registers.firms import (
    BLUE,
    GREEN,
    KEY,
    LEAD,
    OTHER,
    RED,
    THIRD,
    answer,
    claim,
    decided,
    entities,
    kinds_of,
    resolve,
    state_of,
)


def test_keys_written_in_one_row_are_one_entity_under_the_best_key() -> None:
    found = resolve(claim("A2 R2", day=1), claim("R2", day=2), claim("R2 T2", day=3), claim("T2", day=4))
    assert entities(found) == {"A2": [1, 2, 3, 4]}
    assert state_of(found, "T2") == ("redirect", [])


def test_without_the_row_that_joined_them_keys_are_apart_again() -> None:
    assert entities(resolve(claim("A2", day=1), claim("R2", day=2))) == {"A2": [1], "R2": [2]}


def test_a_whole_credit_code_leads_to_its_organisation_code() -> None:
    found = resolve(claim("A2 C2", day=1))
    assert found.force["rule"].to_list() == ["arithmetic@1"]
    assert state_of(found, "C2") == ("redirect", [])


def test_two_credit_codes_on_one_organisation_code_need_an_agreeing_name() -> None:
    assert entities(resolve(claim("A2 C2", LEAD, day=1, name=RED), claim("A2 C3", LEAD, day=2, name=RED))) == {
        "A2": [1, 2]
    }
    found = resolve(claim("A2 C2", LEAD, day=1, name=RED), claim("A2 C3", LEAD, day=2, name=BLUE))
    assert entities(found) == {"A2": [1]}
    assert kinds_of(found) == [("contested_key", "open")]
    agreeing = [claim(f"A2 C{n} R2", LEAD, day=n, name=name) for n, name in ((2, RED), (3, BLUE))]
    assert entities(resolve(*agreeing)) == {"A2": [2, 3]}


def test_a_firm_renamed_by_its_register_under_a_new_owner_is_the_same_firm() -> None:
    since = date(2001, 1, 1)
    found = resolve(
        claim("A2", LEAD, day=1, name=RED, established_on=since, representative="李红"),
        claim("A2", LEAD, day=2, name=BLUE, established_on=since, representative="赵国强"),
        claim("A2", OTHER, day=3, name=RED), claim("A2", OTHER, day=4, name=BLUE),
    )
    assert entities(found) == {"A2": [1, 2, 3, 4]}


def test_a_registration_number_on_two_firms_joins_nothing_and_is_ambiguous() -> None:
    found = resolve(claim("A2 R2", day=1), claim("A3 R2", day=2), claim("R2", day=3), claim("R2", LEAD, day=4))
    assert entities(found) == {"A2": [1], "A3": [2], "R2": [4]}
    assert state_of(found, "R2") == ("ambiguous", ["A2", "A3"])
    assert kinds_of(found) == [("shared_key", "open")]


def test_two_best_keys_are_never_joined_through_a_chain_of_lesser_ones() -> None:
    found = resolve(claim("A2 R2"), claim("R2 T2"), claim("T2 R3"), claim("R3 A3"))
    assert {"A2", "A3"} <= set(entities(found))
    found = resolve(claim("A2 R2", day=1), claim("A2 A3", day=2))
    assert set(entities(found)) == {"A2"}  # the row's own entity is its first key; the second is not merged
    assert state_of(found, "A3") == ("active", [])
    assert kinds_of(found) == [("two_keys", "open")]


def test_a_person_may_join_two_best_keys_and_part_them_again() -> None:
    rows = (claim("A2 R2", day=1), claim("A3 R2", day=2))
    first = resolve(*rows)
    joined = decided(first, SAME)
    found = resolve(*rows, handed=joined)
    assert entities(found) == {"A2": [1, 2]}
    assert state_of(found, "A3") == ("redirect", [])
    assert state_of(found, "R2") == ("redirect", [])
    back = undone(frame(joined), found.cases["id"][0], answer("undo", 2))
    again = resolve(*rows, handed=[*joined, *back])
    assert entities(again) == entities(first)
    assert kinds_of(again) == [("shared_key", "open")]


def test_telling_apart_two_firms_on_one_number_leaves_it_ambiguous_and_the_case_decided() -> None:
    rows = (claim("A2 R2", day=1), claim("A3 R2", day=2))
    found = resolve(*rows, handed=decided(resolve(*rows), DIFFERENT))
    assert entities(found) == {"A2": [1], "A3": [2]}
    assert state_of(found, "R2") == ("ambiguous", ["A2", "A3"])
    assert kinds_of(found) == [("shared_key", "decided")]
    more = resolve(*rows, claim("A4 R2", day=3), handed=decided(resolve(*rows), DIFFERENT))
    assert kinds_of(more) == [("shared_key", "reopened")]


def test_a_pair_nobody_asked_about_can_be_parted_and_a_split_gives_back_the_birth_id() -> None:
    rows = (claim("A2 R2", day=1), claim("R2 T2", day=2), claim("T2", day=3))
    row = of_pair(("R2", "registration_number"), ("T2", "taxpayer_number"), resolve(*rows).force)
    found = resolve(*rows, handed=decision(row, answer(DIFFERENT), KEY))
    assert entities(found) == {"A2": [1, 2], "T2": [3]}
    assert kinds_of(found) == [("two_keys", "decided")]
    again = resolve(*rows, claim("R2 T2", THIRD, day=4), handed=decision(row, answer(DIFFERENT), KEY))
    assert kinds_of(again) == [("two_keys", "reopened")]
    assert entities(again) == {"A2": [1, 2, 4], "T2": [3]}


CLASH_ROWS = (
    claim("A2", LEAD, day=1, name=RED), claim("A2", OTHER, day=2, name=RED), claim("A2", OTHER, day=3, name=BLUE),
)


def test_before_a_decision_the_lead_keeps_a_contested_key_and_others_wait() -> None:
    found = resolve(*CLASH_ROWS)
    assert entities(found) == {"A2": [1, 2]}
    state, parties = state_of(found, "A2")
    assert (state, parties[0], len(parties)) == ("ambiguous", "A2", 2)


def test_without_a_lead_claim_all_wait() -> None:
    assert entities(resolve(*CLASH_ROWS[1:])) == {}


def test_told_apart_each_party_has_an_id_of_its_own_and_the_key_names_nobody() -> None:
    handed = decided(resolve(*CLASH_ROWS), DIFFERENT)
    found = resolve(*CLASH_ROWS, handed=handed)
    assert sorted(entities(found).values()) == [[1, 2], [3]]
    assert "A2" not in entities(found)
    assert state_of(found, "A2") == ("ambiguous", sorted(entities(found)))
    later = resolve(*CLASH_ROWS, claim("A2", THIRD, day=4, name=BLUE), handed=handed)
    assert sorted(entities(later).values()) == [[1, 2], [3, 4]]
    assert set(entities(later)) == set(entities(found))
    third = resolve(*CLASH_ROWS, claim("A2", THIRD, day=4, name=GREEN), handed=handed)
    assert entities(third) == entities(found)
    assert kinds_of(third) == [("contested_key", "reopened")]


def test_found_to_be_the_same_the_claims_are_released_until_new_evidence_contradicts_all_of_it() -> None:
    handed = decided(resolve(*CLASH_ROWS), SAME)
    found = resolve(*CLASH_ROWS, handed=handed)
    assert entities(found) == {"A2": [1, 2, 3]}
    assert kinds_of(found) == [("contested_key", "decided")]
    third = resolve(*CLASH_ROWS, claim("A2", THIRD, day=4, name=GREEN), handed=handed)
    assert entities(third) == {"A2": [1, 2, 3]}
    assert kinds_of(third) == [("contested_key", "reopened")]


def test_a_later_decision_on_a_case_replaces_the_earlier() -> None:
    first = resolve(*CLASH_ROWS)
    handed = [*decided(first, DIFFERENT, day=1), *decided(first, SAME, day=2)]
    assert entities(resolve(*CLASH_ROWS, handed=handed)) == {"A2": [1, 2, 3]}


def test_a_clerks_own_number_on_many_rows_stands_for_nobody() -> None:
    names = ["赤峰铁矿", "长江航运", "泰山旅游", "珠海光电", "哈尔滨乳业", "昆明花卉"]
    found = resolve(*[claim("A2 R2", LEAD, day=n + 1, name=name, established_on=date(1990 + n, 1, 1))
                      for n, name in enumerate(names)])
    assert entities(found) == {}
    assert state_of(found, "A2")[0] == "held"
    assert kinds_of(found) == [("placeholder", "open")]


def test_more_keys_than_one_entity_can_have_are_held_and_not_merged() -> None:
    found = resolve(*[claim(f"A2 R{n}", day=n) for n in range(2, 9)])
    assert state_of(found, "R3")[0] == "held"
    assert kinds_of(found) == [("large_component", "open")]


def test_two_numbers_with_every_fact_alike_are_suggested_and_not_joined() -> None:
    said = {"name": RED, "established_on": date(1990, 1, 1), "phone": "1"}
    found = resolve(claim("A2", day=1, **said), claim("A3", day=2, **said))
    assert entities(found) == {"A2": [1], "A3": [2]}
    assert kinds_of(found) == [("two_numbers", "open")]
    assert entities(resolve(claim("A2", day=1, **said), claim("A3", day=2, **said),
                            handed=decided(found, SAME))) == {"A2": [1, 2]}


def test_a_pair_asked_about_again_on_more_evidence_is_one_case_and_keeps_its_decision() -> None:
    said = {"name": RED, "established_on": date(1990, 1, 1)}
    rows = (claim("A2", day=1, **said, phone="1"), claim("A3", day=2, **said))
    more = claim("A3", day=3, **said, phone="1")
    first = resolve(*rows)
    same, different = decided(first, SAME), decided(first, DIFFERENT)
    assert kinds_of(resolve(*rows, more, handed=same)) == [("near_key", "decided")]
    assert ("two_numbers", "reopened") in kinds_of(resolve(*rows, more, handed=different))


def test_two_keys_found_to_be_one_are_asked_about_again_when_what_is_said_later_contradicts() -> None:
    since = date(1990, 1, 1)
    rows = (claim("A2 R2", day=1, name=RED, established_on=since), claim("A3 R2", day=2, name=RED))
    same = decided(resolve(*rows), SAME)
    agreeing = claim("A3", THIRD, day=3, name="紅星機械製造廠", established_on=since)
    assert kinds_of(resolve(*rows, agreeing, handed=same)) == [("shared_key", "decided")]
    against = claim("A3", THIRD, day=4, name=BLUE, established_on=date(1999, 9, 9))
    found = resolve(*rows, against, handed=same)
    assert found.cases.filter(pl.col("kind") == "shared_key").select("state", "judgement").rows() == [
        ("reopened", "same")]
    assert state_of(found, "A3") == ("ambiguous", state_of(found, "A3")[1])  # A3 contradicts itself as well
    assert state_of(found, "R2") == ("redirect", [])  # the decision stands
    again = [*same, *decided(found, SAME, "shared_key", day=2)]
    assert ("shared_key", "decided") in kinds_of(resolve(*rows, against, handed=again))
    assert kinds_of(resolve(*rows, handed=same)) == [("shared_key", "decided")]  # without it, nothing contradicts


def test_two_keys_told_apart_are_asked_about_again_when_they_come_to_share_another_strong_key() -> None:
    rows = (claim("A2 R2", day=1), claim("A3 R2", day=2))
    apart = decided(resolve(*rows), DIFFERENT)
    found = resolve(*rows, claim("A2 T2", day=3), claim("A3 T2", day=4), handed=apart)
    assert kinds_of(found) == [("shared_key", "decided"), ("shared_key", "open")]
    assert state_of(found, "T2") == ("ambiguous", ["A2", "A3"])


def test_no_clash_arises_from_spelling_only() -> None:
    since = date(2001, 1, 1)
    spelled = [(RED, "欧阳娜娜"), ("紅星機械製造廠", "歐陽娜娜"), ("红星机械制造厂（有限合伙）", "Ouyang Nana"),
               (RED, "欧阳·娜娜")]
    found = resolve(*[claim("A2", OTHER, day=day, name=name, representative=boss, established_on=since)
                      for day, (name, boss) in enumerate(spelled, 1)])
    assert entities(found) == {"A2": [1, 2, 3, 4]}
    assert kinds_of(found) == []
    # A second contradiction beside the name's: neither is one when it is another spelling.
    later = claim("A2", OTHER, day=5, name=RED, representative="赵国强", established_on=date(2002, 1, 1))
    assert kinds_of(resolve(claim("A2", OTHER, day=1, name=RED, representative="Zhao Guoqiang"), later)) == []
    another = claim("A2", OTHER, day=1, name=RED, representative="李红", established_on=since)
    assert kinds_of(resolve(another, later)) == [("contested_key", "open")]


def test_near_codes_under_one_name_are_suggested_and_not_joined_unless_something_fixed_contradicts() -> None:
    born, other = date(1990, 1, 1), date(1991, 1, 1)
    pair_of_codes = (claim("A2", LEAD, day=1, name=RED, established_on=born), claim("A3", day=2, name=RED))
    found = resolve(*pair_of_codes)
    assert entities(found) == {"A2": [1], "A3": [2]}
    assert found.cases.select("kind", "state", "suggestion").rows() == [("near_key", "open", "same")]
    assert entities(resolve(*pair_of_codes, handed=decided(found, SAME))) == {"A2": [1, 2]}
    assert kinds_of(resolve(*pair_of_codes, claim("A3", THIRD, day=3, established_on=other))) == []
    assert kinds_of(resolve(claim("A2", day=1, name=RED), claim("A3", day=2, name=BLUE))) == []
    assert kinds_of(resolve(claim("A2", day=1, name=RED), claim("A4", day=2, name=RED))) == []


def model_edge(one: str, other: str) -> dict[str, Any]:
    return assertion(SAME, pair(one, other), "splink@7", left=one, left_kind="organisation_code" if one[0] == "A" else
                     "unkeyed", right=other, right_kind="unkeyed", evidence="{}")


def test_a_models_edges_never_glue_two_numbered_firms() -> None:
    rows = (claim("A2", day=1), claim("A3", day=2))
    found = resolve(*rows, handed=[model_edge("A2", "U2"), model_edge("U2", "U3"), model_edge("A3", "U3"),
                                   model_edge("A3", "U4")])
    assert state_of(found, "U4") == ("redirect", [])
    assert state_of(found, "U2") == ("ambiguous", ["A2", "A3"])
    assert entities(found) == {"A2": [1], "A3": [2]}


@pytest.mark.parametrize("seed", range(20))
def test_entities_with_two_best_keys_exist_only_where_a_person_said_so(seed: int) -> None:
    chance = random.Random(seed)
    keys = ["A2", "A3", "A4", "R2", "R3", "R4", "T2", "T3"]
    rows = [claim(" ".join(chance.sample(keys, 2)), day=n + 1) for n in range(8)]
    found = resolve(*rows).identities.map
    best = found.filter(pl.col("kind") == "organisation_code")
    assert best.filter(pl.col("state") == "redirect").is_empty()
