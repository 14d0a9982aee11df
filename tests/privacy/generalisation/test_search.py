"""The search finds the optimum: against trying every node, and against ARX's published optima."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.errors import ReleaseRefused
from jobs.privacy.generalisation.hierarchies import Hierarchy, Ladder, ladder, read_hierarchy
from jobs.privacy.generalisation.lattice import Criteria, Groups, Metric, column_losses, finest, fold, judge
from jobs.privacy.generalisation.search import Found, search
from jobs.privacy.risk.classes import count_classes
from tests.privacy.published import adult, published_adult

THREE = Hierarchy("a", (("0", "1", "2", "3"), ("0-1", "0-1", "2-3", "2-3"), ("*", "*", "*", "*")))
HIERARCHIES = {
    "a": THREE,
    "b": Hierarchy("b", (("0", "1", "2", "3"), ("*", "*", "*", "*"))),
    "c": Hierarchy("c", (("0", "1", "2", "3"), ("0", "1-3", "1-3", "1-3"), ("*", "*", "*", "*"))),
}


def _prepared(
    table: pl.DataFrame, hierarchies: dict[str, Hierarchy], sensitive: list[str]
) -> tuple[Groups, list[Ladder]]:
    classes = count_classes(table.lazy(), list(hierarchies), sensitive)
    ladders = [
        ladder(one, classes.values[name], np.unique(classes.codes[name])) for name, one in hierarchies.items()
    ]
    return finest(classes, ladders), ladders


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(st.tuples(*[st.integers(0, 3).map(str)] * 3, st.integers(0, 2).map(str)), min_size=6, max_size=30),
    criteria=st.builds(
        Criteria, k=st.integers(1, 6), l=st.sampled_from([1, 2]), t=st.sampled_from([0.2, 0.5, 1.0]),
        diversity=st.sampled_from(["distinct", "entropy"]),
    ),
    limit=st.integers(0, 6),
    metric=st.sampled_from(["entropy", "discernibility", "class_size"]),
    weights=st.sampled_from([None, [0.5, 2.0, 1.0]]),
    count_suppressed=st.booleans(),
)
def test_the_search_finds_what_trying_every_node_finds(
    rows: list[tuple[str, ...]], criteria: Criteria, limit: int, metric: Metric, weights: list[float] | None,
    count_suppressed: bool,
) -> None:
    table = pl.DataFrame(rows, schema=["a", "b", "c", "s"], orient="row")
    base, ladders = _prepared(table, HIERARCHIES, ["s"])
    losses = column_losses(base, ladders, weights or [1.0] * 3)
    tried = [
        judge(
            fold(base, levels, ladders), criteria, metric, losses, weights or [1.0] * 3,
            count_suppressed=count_suppressed,
        )
        for levels in product(range(3), range(2), range(3))
    ]
    fitting = [one.loss for one in tried if one.suppressed <= limit]

    def found(**options: Any) -> Found:
        return search(
            base, ladders, criteria, limit, metric=metric, weights=weights, count_suppressed=count_suppressed, **options
        )

    if not fitting:
        with pytest.raises(ReleaseRefused, match="no generalisation"):
            found()
        return
    best = found()
    assert best.optimal
    assert best.best.loss == pytest.approx(min(fitting), rel=1e-12)
    assert best.best.suppressed <= limit
    assert best.lattice == 18


@given(rows=st.lists(st.tuples(*[st.integers(0, 3).map(str)] * 3), min_size=4, max_size=30))
def test_groups_folded_step_by_step_are_those_counted_from_the_rows(rows: list[tuple[str, ...]]) -> None:
    table = pl.DataFrame(rows, schema=["a", "b", "c"], orient="row")
    base, ladders = _prepared(table, HIERARCHIES, [])
    folded = fold(fold(base, (1, 0, 1), ladders), (1, 1, 2), ladders)
    counted = table.group_by(pl.col("a").replace_strict(THREE.labels[0], THREE.labels[1])).len()
    assert sorted(folded.sizes.tolist()) == sorted(counted["len"].to_list())


def test_a_search_cut_short_says_so_and_still_returns_something_that_passes() -> None:
    rows = [(str(i % 4), str(i % 3), str(i % 2)) for i in range(48)]
    table = pl.DataFrame(rows, schema=["a", "b", "c"], orient="row")
    base, ladders = _prepared(table, HIERARCHIES, [])
    found = search(base, ladders, Criteria(5), 0, most=1)
    assert not found.optimal
    assert found.best.suppressed == 0
    assert found.best.loss >= search(base, ladders, Criteria(5), 0).best.loss


# ARX's own tests: criteria, share left out, sensitive column, options, loss, levels (columns in the file's order).
ARX: list[tuple[Criteria, float, str | None, dict[str, Any], float, tuple[int, ...]]] = [
    (Criteria(5), 0.04, None, {"count_suppressed": False}, 255559.85455731067, (1, 0, 1, 1, 3, 2, 2, 0, 1)),
    (Criteria(100), 0.04, None, {"count_suppressed": False}, 379417.3460570988, (1, 1, 1, 1, 3, 2, 2, 1, 1)),
    (Criteria(5), 0.0, None, {}, 407289.5388925293, (1, 2, 1, 1, 3, 2, 2, 1, 1)),
    (Criteria(100), 0.0, None, {}, 453196.8932458743, (0, 4, 1, 1, 3, 2, 2, 1, 1)),
    (Criteria(1, 5, diversity="entropy"), 0.0, "occupation", {}, 324620.5269918695, (1, 1, 1, 1, 3, 2, 2, 1)),
    (Criteria(5, t=0.2), 0.0, "occupation", {"metric": "discernibility"}, 4.56853172e8, (1, 4, 1, 1, 3, 2, 2, 1)),
    (Criteria(1, 5, diversity="entropy"), 0.04, "occupation", {}, 228878.2039109519, (1, 0, 1, 1, 2, 2, 2, 1)),
]


@pytest.mark.parametrize(("criteria", "share", "sensitive", "options", "loss", "levels"), ARX)
def test_adult_has_the_optimum_that_arx_publishes(
    criteria: Criteria, share: float, sensitive: str | None, options: dict[str, Any], loss: float,
    levels: tuple[int, ...],
) -> None:
    for folder in published_adult():
        rows = adult(folder)
        hierarchies = {
            name: read_hierarchy((folder / f"adult_hierarchy_{name}.csv").read_text(encoding="utf-8"), name)
            for name in rows.columns if name != sensitive
        }
        base, ladders = _prepared(rows, hierarchies, [sensitive] if sensitive else [])
        found = search(base, ladders, criteria, int(share * rows.height), **options)
        assert found.optimal
        assert found.best.levels == levels
        assert found.best.loss == pytest.approx(loss, rel=1e-14)
