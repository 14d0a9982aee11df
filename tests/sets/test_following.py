"""What comes and goes in a product, and which groups it may show: always what making it anew would give."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import StorageError
from jobs.sets.following import CHANGE, Withheld, after, counted, in_groups

SCHEMA = {"place": pl.String, "sex": pl.String, "name": pl.String}
SIGNED = {**SCHEMA, CHANGE: pl.Int64}
OF, BELOW = ["place", "sex"], 3
people = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["1", None]), st.sampled_from(["x", "y", None]))


def table(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def times(rows: pl.DataFrame) -> Counter[tuple[object, ...]]:
    return Counter(rows.select(list(SCHEMA)).iter_rows())


def anew(rows: list[tuple[object, ...]]) -> tuple[Counter[tuple[object, ...]], Counter[tuple[object, ...]]]:
    """What gold shows and what is withheld, in plain words."""
    sizes = Counter(row[:2] for row in rows)
    return (
        Counter(row for row in rows if sizes[row[:2]] >= BELOW), Counter(row for row in rows if sizes[row[:2]] < BELOW)
    )


@given(st.lists(people, max_size=12), st.data())
def test_rows_after_changes_are_those_that_are_left_and_those_that_came(rows: list, data: st.DataObject) -> None:
    gone = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True)) if rows else []
    came = data.draw(st.lists(people, max_size=6))
    signed = [(*rows[at], -1) for at in gone] + [(*row, 1) for row in came]
    found = after(table(rows).lazy(), pl.LazyFrame(signed, schema=SIGNED, orient="row")).collect()
    assert times(found) == Counter([row for at, row in enumerate(rows) if at not in gone] + came)


def test_a_row_that_is_not_there_cannot_go() -> None:
    twice = pl.LazyFrame([("a", "1", "x", -2)], schema=SIGNED, orient="row")
    with pytest.raises(StorageError, match="is not there"):
        after(table([("a", "1", "x")]).lazy(), twice).collect()


several = st.lists(people, max_size=6)
days_of_changes = st.lists(st.tuples(st.lists(st.integers(0, 99), max_size=6), several), max_size=3)


@given(st.lists(people, max_size=14), days_of_changes)
def test_groups_that_grow_or_shrink_move_between_gold_and_what_is_withheld(rows: list, days: list) -> None:
    everybody = list(rows)
    sizes = counted(table(rows).with_columns(pl.lit(1, pl.Int64).alias(CHANGE)), OF)
    held = Withheld(sizes, pl.DataFrame(schema=SCHEMA))
    shown = in_groups(table(rows), held.large(BELOW), OF)
    gold, held = table(rows).filter(shown), Withheld(sizes, table(rows).filter(~shown))
    for leaving, came in days:
        gone = sorted({at % len(everybody) for at in leaving}) if everybody else []
        signed = pl.DataFrame(
            [(*everybody[at], -1) for at in gone] + [(*row, 1) for row in came], schema=SIGNED, orient="row"
        )
        everybody = [row for at, row in enumerate(everybody) if at not in gone] + came
        large = in_groups(signed, held.large(BELOW), OF)
        gold = after(gold.lazy(), signed.filter(large).lazy()).collect()

        def met(groups: pl.DataFrame, gold: pl.DataFrame = gold) -> pl.DataFrame:
            return gold.filter(in_groups(gold, groups, OF))

        held, more = held.moved(counted(signed, OF), signed.filter(~large), OF, BELOW, met)
        gold = after(gold.lazy(), more.lazy()).collect()
        assert (times(gold), times(held.rows)) == anew(everybody)
        sizes = {(place, sex): size for place, sex, size in held.sizes.iter_rows()}
        assert sizes == Counter(row[:2] for row in everybody)
