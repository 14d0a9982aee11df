"""Connected components under cannot-link: compared with a plain reading of the rule on small random graphs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobs.registers.components import Graph, merge

KEYS = 8
pairs = st.lists(
    st.tuples(st.integers(0, KEYS - 1), st.integers(0, KEYS - 1)).filter(lambda two: two[0] != two[1]), max_size=12
)


def _merged(edges: list[tuple[int, int]], apart: list[tuple[int, int]], best: set[int], *, decided: bool) -> np.ndarray:
    rank = np.array([0 if key in best else 1 for key in range(KEYS)], dtype=np.int64)
    graph = Graph.of(rank, np.zeros(KEYS, dtype=np.bool_), np.array(apart, dtype=np.int64), 50)
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    merge(graph, ends[:, 0], ends[:, 1], np.arange(len(ends)), decided=decided)
    return graph.group


@given(pairs, pairs, st.sets(st.integers(0, KEYS - 1), max_size=3))
def test_no_group_ever_holds_a_pair_told_apart_or_two_best_keys(
    edges: list[tuple[int, int]], apart: list[tuple[int, int]], best: set[int]
) -> None:
    group = _merged(edges, apart, best, decided=False)
    assert all(group[one] != group[other] for one, other in apart)
    assert all(group[one] != group[other] for one, other in combinations(best, 2))


@given(pairs, pairs, st.sets(st.integers(0, KEYS - 1), max_size=3), st.randoms(use_true_random=False))
def test_the_groups_do_not_depend_on_the_order_or_direction_of_edges(
    edges: list[tuple[int, int]], apart: list[tuple[int, int]], best: set[int], chance: object
) -> None:
    shuffled = [tuple(reversed(two)) if chance.random() < 0.5 else two for two in edges]  # type: ignore[attr-defined]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert _merged(edges, apart, best, decided=False).tolist() == _merged(shuffled, apart, best, decided=False).tolist()


@given(pairs)
def test_where_nothing_forbids_it_connected_keys_are_one_group(edges: list[tuple[int, int]]) -> None:
    group = _merged(edges, [], set(), decided=True)
    reached = list(range(KEYS))
    for _ in range(KEYS):
        for one, other in edges:
            reached[one] = reached[other] = min(reached[one], reached[other])
    assert group.tolist() == reached


@given(pairs, st.integers(0, KEYS - 1))
def test_one_best_key_forbids_nothing(edges: list[tuple[int, int]], best: int) -> None:
    assert _merged(edges, [], {best}, decided=False).tolist() == _merged(edges, [], set(), decided=True).tolist()
