"""The earlier snapshot and the changes give the later one, row for row, with a key and without."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import ReleaseRefused
from jobs.sets.changes import NEW, OLD, applied, comparable, differences

SCHEMA = {"place": pl.String, "band": pl.String, "people": pl.Int64}
CELLS = (st.none() | st.sampled_from(["", "a", "é", "北京", "Z"]), st.none() | st.sampled_from("xy"), st.integers(0, 2))
ROWS = st.lists(st.tuples(*CELLS), max_size=25)
KEYED = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(*CELLS[1:]), max_size=8)


def table(rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def keyed(entries):
    return table([(place, *rest) for place, rest in entries.items()])


@given(ROWS, ROWS)
def test_a_multiset_and_its_changes_give_the_later_snapshot(before, after):
    early, late = table(before), table(after)
    changes = differences(early, late)
    assert changes.changed is None
    assert applied(early, changes).equals(late.sort(late.columns))
    assert changes.counts["added"] - changes.counts["removed"] == late.height - early.height


@given(ROWS, ROWS)
def test_no_row_is_both_added_and_removed(before, after):
    changes = differences(table(before), table(after))
    assert changes.added.join(changes.removed, on=list(SCHEMA), how="semi", nulls_equal=True).is_empty()


@given(KEYED, KEYED)
def test_with_a_key_rows_are_added_removed_or_changed(before, after):
    early, late = keyed(before), keyed(after)
    changes = differences(early, late, ["place"])
    assert applied(early, changes, ["place"]).equals(late.sort(late.columns))
    assert set(changes.added["place"]) == set(after) - set(before)
    assert set(changes.removed["place"]) == set(before) - set(after)
    assert set(changes.changed["place"]) == {key for key in before if key in after and before[key] != after[key]}


@given(ROWS, ROWS, st.randoms())
def test_the_order_of_rows_and_columns_changes_nothing(before, after, random):
    said = differences(table(before), table(after))
    random.shuffle(before)
    random.shuffle(after)
    again = differences(table(before).select("people", "place", "band"), table(after))
    assert again.added.equals(said.added)
    assert again.removed.equals(said.removed)


@given(st.lists(ROWS, min_size=2, max_size=5))
def test_a_chain_of_changes_leads_from_the_first_snapshot_to_the_last(states):
    tables = [table(rows) for rows in states]
    now = tables[0]
    for early, late in pairwise(tables):
        now = applied(now, differences(early, late))
    assert now.equals(tables[-1].sort(list(SCHEMA)))


def test_a_changed_row_shows_old_and_new_values():
    early, late = keyed({"a": ("x", 1), "b": ("x", 2)}), keyed({"a": ("y", 1), "b": ("x", 2)})
    changed = differences(early, late, ["place"]).changed
    assert changed.columns == ["place", f"{OLD}band", f"{NEW}band", f"{OLD}people", f"{NEW}people"]
    assert changed.rows() == [("a", "x", "y", 1, 1)]


@pytest.mark.parametrize("rows", [[("a", "x", 1), ("a", "y", 1)], [(None, "x", 1)]])
def test_a_key_that_is_none_is_refused(rows):
    with pytest.raises(ReleaseRefused, match="key"):
        differences(table(rows), table([]), ["place"])


def test_changes_of_another_snapshot_are_refused():
    changes = differences(table([("a", "x", 1)]), table([]))
    with pytest.raises(ReleaseRefused, match="does not have"):
        applied(table([("b", "x", 1)]), changes)


def test_other_columns_or_types_are_not_comparable():
    early = table([("a", "x", 1)])
    assert comparable(early, early.select("people", "band", "place"))
    assert not comparable(early, early.drop("band"))
    assert not comparable(early, early.with_columns(pl.col("people").cast(pl.String)))
