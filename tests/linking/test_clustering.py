import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from jobs.linking.clustering import Exclusions, cluster, components


def pairs(*rows):
    return pl.DataFrame(rows, schema={"l": pl.Int64, "r": pl.Int64, "weight": pl.Float64}, orient="row")


def test_rows_that_agree_pairwise_are_one_cluster():
    assert cluster(3, pairs((0, 1, 5.0), (1, 2, 5.0), (0, 2, 5.0)), 0.0) == [0, 0, 0]


def test_one_strong_pair_does_not_chain_two_groups_that_disagree():
    inside = [(0, 1, 9.0), (2, 3, 9.0)]
    across = [(1, 2, 6.0), (0, 2, -9.0), (0, 3, -9.0), (1, 3, -9.0)]
    assert cluster(4, pairs(*inside, *across), 0.0) == [0, 0, 2, 2]


def test_two_rows_of_a_source_without_duplicates_never_meet_through_a_third():
    found = cluster(3, pairs((0, 1, 9.0), (1, 2, 8.0), (0, 2, 7.0)), 0.0, Exclusions(singles=[0, None, 0]))
    assert found == [0, 0, 2]


def test_two_different_strong_keys_are_never_one_cluster():
    found = cluster(3, pairs((0, 1, 9.0), (1, 2, 8.0), (0, 2, 7.0)), 0.0, Exclusions(keys=(["A", None, "B"],)))
    assert found == [0, 0, 2]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.floats(-10, 10)), max_size=20))
def test_clusters_lie_within_what_is_connected_and_have_their_smallest_row_as_label(edges):
    known = {(min(a, b), max(a, b)): w for a, b, w in edges if a != b}
    table = pairs(*[(a, b, w) for (a, b), w in sorted(known.items())])
    labels = cluster(8, table, 0.0)
    connected = components(8, [pair for pair, weight in known.items() if weight > 0])
    for row, label in enumerate(labels):
        assert label <= row
        assert labels[label] == label
        assert connected[row] == connected[label]
