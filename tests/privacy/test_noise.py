"""Noise for counts and sums: as little as ε allows, and margins that add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.privacy.noise import Mechanism, consistent, draw, mechanism


@pytest.mark.parametrize(("sensitivity", "epsilon"), [(1, 1.0), (2, 0.5), (20_000, 0.1)])
def test_the_scale_is_what_a_person_moves_over_epsilon(sensitivity: int, epsilon: float) -> None:
    assert mechanism(sensitivity, epsilon).scale == pytest.approx(sensitivity / epsilon, rel=1e-9)


def test_the_stated_errors_are_those_of_the_draws() -> None:
    how = mechanism(2, 0.5)
    drawn = draw(np.full(40_000, 7, dtype=np.int64), how)
    assert np.abs(drawn).mean() == pytest.approx(how.expected_error, rel=0.05)
    beyond = (np.abs(drawn) > how.error_95).mean()
    assert beyond <= 0.055
    assert (np.abs(drawn) > how.error_95 - 1).mean() > 0.045
    assert drawn.std() * np.sqrt(9) == pytest.approx(how.total_error(9), rel=0.05)


def test_two_draws_are_not_the_same() -> None:
    how = mechanism(2, 0.5)
    exact = np.zeros(200, dtype=np.int64)
    assert (draw(exact, how) != draw(exact, how)).any()


def test_a_mechanism_that_would_spend_more_is_not_used() -> None:
    with pytest.raises(ValueError, match="more than its epsilon"):
        draw(np.zeros(3, dtype=np.int64), Mechanism(2, 0.5, 3.9))


@given(st.lists(st.integers(-1000, 1000), max_size=60))
def test_consistent_cells_are_whole_not_negative_and_keep_their_total(cells: list[int]) -> None:
    noisy = np.array(cells, dtype=np.int64)
    made = consistent(noisy)
    assert (made >= 0).all()
    assert made.sum() == max(0, noisy.sum())
    if (noisy >= 0).all():
        assert (made == noisy).all()


def test_taking_negatives_away_does_not_push_the_total_up() -> None:
    assert consistent(np.array([-3, 5, 10], dtype=np.int64)).tolist() == [0, 4, 8]


def test_large_sums_stay_whole_and_keep_their_total() -> None:
    rng = np.random.default_rng(1)
    noisy = rng.integers(-(10**9), 10**12, 5_000)
    made = consistent(noisy)
    assert made.sum() == noisy.sum()
    assert (made >= 0).all()
