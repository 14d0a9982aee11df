"""Micro-aggregation: groups of at least k, and no grouping loses less."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import combinations, pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import ContractError, RequestError
from jobs.rows.coarsening import Context, method_named
from jobs.rows.microaggregation import microaggregated


def test_every_value_is_the_mean_of_its_neighbours() -> None:
    paid = pl.Series("paid", [1, 100, 2, 101, 3, 102, None])
    assert microaggregated(paid, 3).to_list() == [2, 101, 2, 101, 2, 101, None]
    assert (microaggregated(paid, 3).name, microaggregated(paid, 3).dtype) == ("paid", paid.dtype)
    assert microaggregated(paid, 1).to_list() == paid.to_list()
    assert microaggregated(paid, 7).to_list() == [None] * 7
    assert microaggregated(paid.clear(), 3).to_list() == []


def test_a_mean_is_of_the_columns_own_type() -> None:
    fees = pl.Series([Decimal("1.0001"), Decimal("1.0002"), Decimal("9.5")], dtype=pl.Decimal(24, 4))
    assert microaggregated(fees, 3).to_list() == [Decimal("3.8334")] * 3
    days = pl.Series([date(2020, 1, 1), date(2020, 1, 3), None])
    assert microaggregated(days, 2).to_list() == [date(2020, 1, 2)] * 2 + [None]
    rates = pl.Series([0.5, 1.0, float("nan"), float("inf")])
    assert microaggregated(rates, 2).to_list() == [0.75, 0.75, None, None]
    with pytest.raises(RequestError, match="no mean"):
        microaggregated(pl.Series(["a"]), 1)


def test_large_amounts_far_from_nothing_are_told_apart() -> None:
    amounts = pl.Series([10**12 + n for n in (0, 1, 2, 50, 51, 52)])
    assert microaggregated(amounts, 3).to_list() == [10**12 + 1] * 3 + [10**12 + 51] * 3


def _loss(values: list[int], cuts: tuple[int, ...]) -> float:
    ends = [0, *cuts, len(values)]
    parts = [values[a:b] for a, b in pairwise(ends)]
    return sum(sum((one - sum(part) / len(part)) ** 2 for one in part) for part in parts)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=10), st.integers(1, 4))
def test_groups_have_k_rows_and_no_other_grouping_loses_less(values: list[int], k: int) -> None:
    made = microaggregated(pl.Series(values, dtype=pl.Float64), k).to_list()
    if len(values) < k:
        assert made == [None] * len(values)
        return
    assert min(made.count(one) for one in made) >= k
    assert len({(a, b) for a, b in zip(values, made, strict=True)}) == len(set(values))  # equals stay together
    ordered = sorted(values)
    places = [n for n in range(1, len(ordered)) if ordered[n] != ordered[n - 1]]
    allowed = [
        cuts for many in range(len(places) + 1) for cuts in combinations(places, many)
        if all(b - a >= k for a, b in zip([0, *cuts], [*cuts, len(ordered)], strict=True))
    ]
    best = min(_loss(ordered, cuts) for cuts in allowed)
    assert sum((a - b) ** 2 for a, b in zip(values, made, strict=True)) == pytest.approx(best, abs=1e-9)


def test_the_contract_language_has_it_for_what_is_published() -> None:
    method, k = method_named("microaggregate:3")
    assert method.whole
    assert method.apply(pl.Series([1, 2, 3]), Context(argument=k)).to_list() == [2, 2, 2]
    with pytest.raises(ContractError, match="needs a whole number"):
        method_named("microaggregate")
