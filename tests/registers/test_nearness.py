"""Near keys: what one slip of the hand makes of a number is found, and nothing else."""

from __future__ import annotations

import random
from itertools import combinations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.registers.keys import ALPHABET
from jobs.registers.nearness import near_marks, sharing, told

KEY = b"k" * 32
BODY = "11010119900101123"


def marks(keys: list[str], kind: str = "resident_id", names: list[str] | None = None) -> pl.DataFrame:
    """The marks of some keys, all under one name unless names are given."""
    found = near_marks(pl.Series(keys), pl.Series([kind] * len(keys)), pl.Series(names or ["a"] * len(keys)), KEY)
    return pl.DataFrame({"near": found, "key": keys}).explode("near").drop_nulls().unique().select(*told("near"), "key")


def pairs(keys: list[str], kind: str = "resident_id", names: list[str] | None = None) -> set[tuple[str, str]]:
    """The near ones among some keys, as pairs of keys."""
    return set(sharing(marks(keys, kind, names)).rows())


def slips(body: str) -> set[str]:
    """Every body that one other digit, or two neighbouring digits swapped, makes of one."""
    found = {body[:at] + digit + body[at + 1 :] for at in range(len(body)) for digit in "0123456789"}
    found |= {body[:at] + body[at + 1] + body[at] + body[at + 2 :] for at in range(len(body) - 1)}
    return found - {body}


def test_every_slip_is_found_whatever_the_check_character_became() -> None:
    keys = [BODY + "X", *(body + "1" for body in sorted(slips(BODY)))]
    assert {tuple(sorted((keys[0], key))) for key in keys[1:]} <= pairs(keys)
    assert pairs([BODY + "X", BODY + "3"]) == {(BODY + "3", BODY + "X")}


@given(st.lists(st.text("0123", min_size=17, max_size=17), min_size=2, max_size=6, unique=True))
def test_two_keys_that_differ_in_two_digits_that_are_no_neighbours_are_not_near(bodies: list[str]) -> None:
    found = pairs([body + "0" for body in bodies])
    for one, other in combinations(sorted(bodies), 2):
        places = [at for at in range(17) if one[at] != other[at]]
        swapped = all(sorted(one[at : at + 2]) == sorted(other[at : at + 2]) for at in places[::2])
        if len(places) == 1 or (len(places) == 2 and places[1] == places[0] + 1 and swapped):
            assert (one + "0", other + "0") in found
        elif len(places) == 2 or len(places) % 2 or not swapped:
            assert (one + "0", other + "0") not in found


@pytest.mark.parametrize("length", range(6, 24))
def test_every_slip_is_found_in_a_body_of_any_length(length: int) -> None:
    body = "0123456789ABCDEFGHIJKLM"[:length]
    found = pairs([body, *slips(body)], kind="passport")
    assert {tuple(sorted((body, slip))) for slip in slips(body)} <= found


def test_of_thousands_of_numbers_given_out_in_sequence_under_one_name_those_a_slip_apart_are_found() -> None:
    keys = [f"1101080{number:07}0" for number in range(3_000)]
    found = pairs(keys, "registration_number")
    assert len(found) < 3_000 * 20  # and not some four million pairs that share all but the last digits
    assert {(keys[17], keys[18]), (keys[17], keys[27]), (keys[12], keys[21])} <= found
    assert (keys[18], keys[27]) not in found


def test_a_new_key_is_paired_with_known_ones_and_these_are_not_paired_again() -> None:
    known = marks([BODY + "1", "11010119900101124" + "1"])
    new = marks(["11010119900101125" + "1"])
    found = sharing(new, known).rows()
    assert sorted(found) == [(BODY + "1", "110101199001011251"), ("110101199001011241", "110101199001011251")]
    assert sharing(new[:0], known).is_empty()


def test_true_neighbours_under_other_names_are_not_near() -> None:
    chance = random.Random(7)
    neighbours = sorted(chance.sample(sorted(slips(BODY)), 20))
    assert pairs([body + "1" for body in neighbours], names=[str(at) for at in range(20)]) == set()


@pytest.mark.parametrize(
    ("kind", "one", "other", "is_near"),
    [
        ("organisation_code", "MA1K3ABC5", "MA1K8ABC2", True), ("organisation_code", "MA1K3ABC5", "MA1K3ACB9", True),
        ("organisation_code", "MA1K3ABC5", "MA2K8ABC5", False), ("passport", "E12345678", "E12345687", True),
        ("passport", "E12345678", "E1234567", False),
        ("registration_number", "110108000000016", "110108000000024", True),
    ],
)
def test_each_kind_of_key_leaves_out_its_own_check_character(kind: str, one: str, other: str, is_near: bool) -> None:
    assert bool(pairs([one, other], kind)) is is_near


def test_nothing_of_key_or_name_can_be_read_in_a_mark_and_another_register_makes_other_ones() -> None:
    row = pl.Series([BODY + "X"]), pl.Series(["resident_id"]), pl.Series(["wang"])
    mine, theirs = near_marks(*row, KEY)[0].to_list(), near_marks(*row, b"x" * 32)[0].to_list()
    assert len(set(mine)) == 3
    assert not {one[:12] for one in mine} & {one[:12] for one in theirs}
    assert all(set(one) <= set(ALPHABET) for one in mine)


def test_without_a_name_or_a_key_there_are_no_marks() -> None:
    row = pl.Series([BODY + "X", None], dtype=pl.String), pl.Series(["resident_id", "unkeyed"])
    assert near_marks(*row, pl.Series([None, "a"]), KEY).to_list() == [[], []]
