"""What two releases may not tell by their difference."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from jobs.sets.changes import differences
from jobs.sets.differencing import held_back

K = 5


def _table(**groups: str) -> pl.DataFrame:
    """A row per letter: its group, and what it says."""
    rows = [(group, letter) for group, letters in groups.items() for letter in letters]
    return pl.DataFrame(rows, schema={"county": pl.String, "says": pl.String}, orient="row").sort("county", "says")


def test_one_row_that_came_waits_and_five_at_once_are_published() -> None:
    before = _table(a="x" * 10, b="x" * 10)
    held = held_back([before], _table(a="x" * 10 + "y", b="x" * 10 + "y" * 5), ["county"], K)
    assert held.table.equals(_table(a="x" * 10, b="x" * 10 + "y" * 5))
    assert (held.groups, held.rows, held.withdrawn) == (1, 10, 0)


def test_one_row_that_left_waits_until_enough_have_left() -> None:
    before = _table(a="x" * 10 + "y" * 5)
    assert held_back([before], _table(a="x" * 10 + "y" * 4), ["county"], K).table.equals(before)
    after = _table(a="x" * 10)
    assert held_back([before], after, ["county"], K).table.equals(after)


def test_a_move_between_groups_shows_on_neither_side() -> None:
    before = _table(a="x" * 10 + "y", b="x" * 10)
    assert held_back([before], _table(a="x" * 10, b="x" * 10 + "y"), ["county"], K).table.equals(before)


def test_a_group_that_appears_or_vanishes_whole_is_published() -> None:
    before, after = _table(a="x" * 10, b="x" * 6), _table(a="x" * 10, c="x" * 7)
    assert held_back([before], after, ["county"], K).table.equals(after)


def test_a_small_difference_to_an_older_release_waits_too() -> None:
    oldest, last = _table(a="x" * 10), _table(a="x" * 10 + "y" * 5)
    held = held_back([oldest, last], _table(a="x" * 10 + "z"), ["county"], K)
    assert held.table.equals(last)


def test_rows_that_must_go_take_their_group_with_them() -> None:
    before = _table(a="x" * 10 + "y", b="x" * 10)
    held = held_back([before], _table(a="x" * 10, b="x" * 11), ["county"], K, takedown=True)
    assert held.table.equals(_table(b="x" * 10))
    assert (held.groups, held.withdrawn) == (1, 1)


def test_a_group_of_an_earlier_table_for_fewer_readers_is_left_out_where_it_is_too_small() -> None:
    before = _table(a="x" * 7, b="x" * 30)
    held = held_back([before], _table(a="x" * 8, b="x" * 31), ["county"], K, least=20)
    assert held.table.equals(_table(b="x" * 30))
    assert (held.groups, held.rows, held.withdrawn) == (1, 30, 1)
    columns = {"county": pl.String, "people": pl.Int64}
    cells = pl.DataFrame([("a", 7), ("b", 30)], schema=columns, orient="row")
    more = cells.with_columns(pl.col("people") + 1)
    held = held_back([cells], more, ["county"], K, counts=["people"], least=20)
    assert held.table.rows() == [("b", 30)]


def test_a_count_moves_by_k_or_not_at_all_and_its_sums_with_it() -> None:
    columns = {"county": pl.String, "people": pl.Int64, "fee": pl.Int64}
    before = pl.DataFrame([("a", 30, 300), ("b", 30, 300), ("c", 30, 300)], schema=columns, orient="row")
    after = pl.DataFrame([("a", 31, 310), ("b", 40, 400), ("c", 30, 310), ("d", 7, 70)], schema=columns, orient="row")
    held = held_back([before], after, ["county"], K, counts=["people"])
    assert held.table.rows() == [("a", 30, 300), ("b", 40, 400), ("c", 30, 300), ("d", 7, 70)]
    assert (held.groups, held.rows) == (2, 2)


def test_without_quasi_identifiers_the_table_is_one_group() -> None:
    before = _table(a="x" * 10)
    assert held_back([before], _table(a="x" * 10 + "y"), [], K).table.equals(before)


@given(st.lists(st.dictionaries(st.sampled_from("ab"), st.text("xyz", min_size=5, max_size=14), min_size=1),
                min_size=2, max_size=4))
def test_no_two_releases_ever_differ_by_fewer_rows_of_a_group(days: list[dict[str, str]]) -> None:
    released: list[pl.DataFrame] = [_table(**days[0])]
    for day in days[1:]:
        released.append(held_back(released, _table(**day), ["county"], K).table)
    for at, later in enumerate(released):
        for earlier in released[:at]:
            changes = differences(earlier, later)
            for rows in (changes.added, changes.removed):
                assert all(size >= K for _, size in rows.group_by("county").len().iter_rows())


def test_what_stays_is_left_out_where_it_is_too_near_to_a_table_made_by_a_smaller_k() -> None:
    oldest, last = _table(a="x" * 10, b="x" * 10), _table(a="x" * 12, b="x" * 10)
    assert held_back([oldest], last, ["county"], 2).table.equals(last)
    held = held_back([oldest, last], _table(a="x" * 13, b="x" * 11), ["county"], K)
    assert held.table.equals(_table(b="x" * 10))
    assert (held.groups, held.withdrawn) == (1, 1)


@given(st.lists(st.tuples(st.sampled_from([2, K]), st.dictionaries(st.sampled_from("ab"),
                st.text("xyz", min_size=5, max_size=14), min_size=1)), min_size=2, max_size=5))  # fmt: skip
def test_nor_do_releases_by_two_k_by_fewer_than_the_later_ones(days: list[tuple[int, dict[str, str]]]) -> None:
    released: list[pl.DataFrame] = [_table(**days[0][1])]
    for k, day in days[1:]:
        released.append(held_back(released, _table(**day), ["county"], k, least=k).table)
    for at, later in enumerate(released):
        for earlier in released[:at]:
            both = set(later["county"]) & set(earlier["county"])  # what comes or goes whole is published
            changes = differences(earlier, later)
            for rows in (changes.added, changes.removed):
                assert all(size >= days[at][0] for county, size in rows.group_by("county").len().rows()
                           if county in both)
