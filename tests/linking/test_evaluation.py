import polars as pl
import pytest

from jobs.linking.evaluation import best_threshold, evaluate


def test_precision_and_recall_count_pairs_and_b_cubed_counts_rows():
    quality = evaluate(pl.Series([1, 1, 1, 2]), pl.Series(["a", "a", "b", "b"]))
    assert (quality.precision, quality.recall) == (pytest.approx(1 / 3), pytest.approx(1 / 2))
    assert quality.b_cubed_precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1) / 4)
    assert quality.b_cubed_recall == pytest.approx((1 + 1 + 1 / 2 + 1 / 2) / 4)


def test_clusters_as_the_truth_are_perfect():
    quality = evaluate(pl.Series([5, 5, 9]), pl.Series(["x", "x", "y"]))
    assert (quality.f1, quality.b_cubed_f1) == (1.0, 1.0)


def test_pairs_within_a_source_do_not_count_where_sources_hold_no_duplicates():
    quality = evaluate(pl.Series([1, 1, 1]), pl.Series(["a", "a", "a"]), pl.Series(["s", "s", "t"]))
    assert quality.true_pairs == 2


def test_the_best_threshold_takes_all_pairs_of_one_probability():
    assert best_threshold(pl.Series([0.9, 0.9, 0.2]), pl.Series([True, False, False]), 1) == (0.9, pytest.approx(2 / 3))
