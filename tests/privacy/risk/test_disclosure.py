"""l, t, α, β, δ: against the definitions worked out slowly in fractions, and against another tool's figures."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.privacy.risk.classes import count_classes
from jobs.privacy.risk.disclosure import closeness, disclosure
from jobs.privacy.risk.measure import measure
from tests.privacy.published import adult, published_adult

PATIENTS = pl.DataFrame(
    {
        "sex": ["f", "f", "f", "m", "m", "m", "m", "m", "f"],
        "band": ["30", "30", "30", "40", "40", "40", "30", "30", "40"],
        "disease": ["flu", "flu", "cancer", "flu", "hiv", "cancer", "flu", "flu", "hiv"],
        "days": ["1", "3", "2", "10", "2", "2", "3", "3", "7"],
    }
)


def _slowly(rows: list[tuple[Any, ...]], ordered: bool) -> dict[str, Any]:
    """Work out every measure from its definition; a row is (class, value)."""
    n = len(rows)
    whole = Counter(value for _, value in rows)
    classes: dict[Any, Counter[Any]] = defaultdict(Counter)
    for group, value in rows:
        classes[group][value] += 1
    values = sorted(whole)
    least = min(len(found) for found in classes.values())
    worst: dict[str, Any] = {"alpha": 0, "entropy": math.inf, "c": 0, "t": 0, "beta": Fraction(-1), "delta": 0.0}
    for found in classes.values():
        s = found.total()
        q = {v: Fraction(found[v], s) for v in values}
        p = {v: Fraction(whole[v], n) for v in values}
        frequent = sorted(found.values(), reverse=True)
        worst["alpha"] = max(worst["alpha"], Fraction(frequent[0], s))
        worst["entropy"] = min(worst["entropy"], -sum(float(x) * math.log(x) for x in q.values() if x))
        c = 1
        while not frequent[0] < c * sum(frequent[least - 1 :]):
            c += 1
        worst["c"] = max(worst["c"], c)
        if ordered and len(values) > 1:
            moved = [abs(sum(q[v] - p[v] for v in values[: i + 1])) for i in range(len(values))]
            t = sum(moved) / (len(values) - 1)
        elif ordered:
            t = Fraction(0)
        else:
            t = sum(abs(q[v] - p[v]) for v in values) / 2
        worst["t"] = max(worst["t"], t)
        worst["beta"] = max(worst["beta"], *((q[v] - p[v]) / p[v] for v in values))
        worst["delta"] = max(worst["delta"], *(abs(math.log(q[v] / p[v])) for v in values if q[v]))
    return {**worst, "l": least}


@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 5)), min_size=1, max_size=40),
    ordered=st.booleans(),
)
def test_every_measure_is_its_definition(rows: list[tuple[int, int]], ordered: bool) -> None:
    table = pl.DataFrame(rows, schema={"q": pl.Int64, "s": pl.Int64}, orient="row").lazy()
    classes = count_classes(table, ["q"], ["s"], () if ordered else ("s",))
    found = disclosure(classes.sensitive["s"], classes.sizes)
    assert found is not None
    slow = _slowly(rows, ordered)
    assert found.alpha == float(slow["alpha"])
    assert found.l_distinct == slow["l"]
    assert math.log(found.l_entropy) == pytest.approx(slow["entropy"], abs=1e-12)
    assert found.c == (slow["c"] if slow["l"] > 1 else None)
    assert found.t == pytest.approx(float(slow["t"]), abs=1e-15)
    assert found.beta == float(slow["beta"])
    assert found.delta == pytest.approx(slow["delta"], abs=1e-15)


def test_figures_equal_those_of_pycanon() -> None:
    # pyCANON 1.3.6 on the same rows. It takes the rarest value for the r1 of recursive diversity and says c = 1.
    found = measure(PATIENTS.lazy(), ["band"], ["disease", "days"])
    assert found["k"] == 4
    assert {name: one["alpha"] for name, one in found["alpha_k"].items()} == {"disease": 0.8, "days": 0.6}
    assert found["l_distinct"] == {"disease": 2, "days": 3}
    assert found["l_entropy"] == {"disease": 1, "days": 2}
    assert found["t"] == pytest.approx({"disease": 0.3055555555555556, "days": 0.14583333333333331}, abs=1e-15)
    assert found["beta"] == pytest.approx({"disease": 1.25, "days": 1.25})
    assert found["delta"] == pytest.approx({"disease": 0.8109302162163288, "days": 0.8109302162163288})
    assert found["l_recursive_c"] == {"disease": {"c": 5, "l": 2}, "days": {"c": 4, "l": 3}}


def test_entropy_of_equal_shares_is_not_lost_to_a_rounding() -> None:
    for many in range(1, 60):
        table = pl.DataFrame({"q": ["x"] * many, "s": [f"v{i}" for i in range(many)]})
        assert measure(table.lazy(), ["q"], ["s"])["l_entropy"] == {"s": many}


def test_the_published_example_of_t_closeness_has_the_distances_of_its_paper() -> None:
    # Li, Li & Venkatasubramanian 2007, section 5: salaries 3k-11k; {3,4,5} is 0.375 away, {6,8,11} 0.167.
    salaries = [3, 4, 5, 6, 8, 11, 7, 9, 10]
    for chosen, distance in (({3, 4, 5}, 0.375), ({6, 8, 11}, 1 / 6)):
        table = pl.DataFrame({"salary": salaries}).with_columns(pl.col("salary").is_in(list(chosen)).alias("q"))
        classes = count_classes(table.lazy(), ["q"], ["salary"])
        inside = classes.tuples["q"].to_list().index(True)
        assert closeness(classes.sensitive["salary"], classes.sizes)[inside] == pytest.approx(distance)


def test_numbers_are_ordered_and_codes_are_not() -> None:
    table = pl.DataFrame(
        {"q": ["a", "b"], "n": ["1", "2.5"], "code": ["01", "12"], "text": ["x", "1"], "none": [None, None]},
        schema_overrides={"none": pl.String},
    )
    found = measure(table.lazy(), ["q"], ["n", "code", "text", "none"])
    assert found["t_distance"] == {"n": "ordered", "code": "equal", "text": "equal", "none": "equal"}
    assert measure(table.lazy(), ["q"], ["n"], nominal=["n"])["t_distance"] == {"n": "equal"}


def test_one_number_written_in_two_ways_is_one_value() -> None:
    table = pl.DataFrame({"q": ["a", "a"], "s": ["1", "1.0"]})
    assert measure(table.lazy(), ["q"], ["s"])["l_distinct"] == {"s": 1}


def test_an_empty_sensitive_cell_is_a_value_of_its_own() -> None:
    table = pl.DataFrame({"q": ["a", "a", "b", "b"], "s": [None, "x", "x", "y"]})
    assert measure(table.lazy(), ["q"], ["s"])["l_distinct"] == {"s": 2}


def test_an_empty_number_stands_below_all_numbers() -> None:
    numbers = pl.DataFrame({"q": list("aabb"), "s": [None, 1, 5, 9]})
    texts = numbers.with_columns(pl.col("s").cast(pl.String))
    for table in (numbers, texts):
        # Ranks 0 1 | 2 3 of 4: moved by 1/4, 1/2 and 1/4, over three steps.
        found = measure(table.lazy(), ["q"], ["s"])
        assert (found["t"], found["t_distance"]) == ({"s": pytest.approx(1 / 3)}, {"s": "ordered"})


def test_many_wide_columns_do_not_overflow_the_key() -> None:
    rows = 3000
    table = pl.DataFrame({f"q{i}": [f"{i}-{(row * (i + 7)) % 2999}" for row in range(rows)] for i in range(8)})
    found = measure(table.lazy(), table.columns[1:], ["q0"])
    assert found["classes"] == table.select(table.columns[1:]).n_unique()
    classes = count_classes(table.lazy(), table.columns)
    assert classes.tuples.sort(table.columns).equals(table.unique().sort(table.columns))


def test_long_sums_of_large_counts_stay_right() -> None:
    # n·s·m beyond 64 bits: one class with everything is no distance away.
    table = pl.DataFrame({"q": [1] * 3, "s": [1, 2, 3]})
    classes = count_classes(table.lazy(), ["q"], ["s"])
    spread, grow = classes.sensitive["s"], 900_000_000
    big = type(spread)(spread.classes, spread.values, spread.rows * grow, spread.totals * grow, ordered=True)
    found = disclosure(big, classes.sizes * grow)
    assert found is not None
    assert found.t == pytest.approx(0.0, abs=1e-12)


def test_adult_has_the_figures_that_pycanon_finds() -> None:
    for folder in published_adult():
        found = measure(adult(folder).lazy(), ["sex", "race"], ["occupation", "age"])
        assert found["k"] == 87
        assert found["l_distinct"] == {"occupation": 10, "age": 33}
        assert found["l_entropy"] == {"occupation": 7, "age": 27}
        assert found["t"] == pytest.approx({"occupation": 0.3249624441807344, "age": 0.09193571485872032}, rel=1e-14)
        assert found["beta"] == pytest.approx({"occupation": 17.722532588454378, "age": 16.61799065420561})
        assert found["delta"] == pytest.approx({"occupation": 3.132721992807618, "age": 2.868920576218943})
        alpha = {name: one["alpha"] for name, one in found["alpha_k"].items()}
        assert alpha == {"occupation": 0.2789115646258503, "age": 0.08045977011494253}
