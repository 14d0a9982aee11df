import numpy as np
import pytest

from jobs.linking.comparisons import Comparison, Level
from jobs.linking.estimation import Sample, against_relatives, estimate, shares_of


def comparison(name, shared=False):
    levels = (Level(label="same", sql="", m=0.9), Level(label="else", sql="ELSE", m=0.1))
    return Comparison(name=name, title=name, columns=(name,), missing="", levels=levels, shared=shared)


def drawn(rng, pairs, match, m, u):
    matched = rng.random(pairs) < match
    return np.where(rng.random((pairs, len(m))) < np.where(matched[:, None], m, u), 0, 1)


def counted(levels):
    patterns, counts = np.unique(levels, axis=0, return_counts=True)
    return patterns, counts.astype(float)


def test_m_and_u_are_learned_from_pairs_without_labels():
    rng = np.random.default_rng(5)
    m, u = np.array([0.8, 0.7, 0.95]), np.array([0.02, 0.05, 0.1])
    chance = counted(drawn(rng, 200_000, 0.001, m, u))
    samples = [Sample(*chance, frozenset(), random=True)]
    for blocked in range(3):
        levels = drawn(rng, 20_000, 0.3, m, u)
        levels[:, blocked] = 0
        samples.append(Sample(*counted(levels), frozenset({blocked})))
    learned = estimate([comparison(name) for name in "abc"], samples).comparisons
    assert [c.levels[0].m for c in learned] == pytest.approx(m, abs=0.05)
    assert [c.levels[0].u for c in learned] == pytest.approx(u, abs=0.01)


def test_the_share_of_matches_is_tiny_where_no_pair_is_likely():
    matches, relatives = shares_of(np.array([-5.0, 0.0, 3.0, 8.0]), np.full(4, -50.0), 1e7)
    assert matches < 1e-7
    assert relatives < 1e-12


def test_what_relatives_share_is_no_evidence_of_a_match():
    weights, kinship = np.array([40.0, 40.0]), np.array([45.0, -20.0])
    judged = against_relatives(weights, kinship, (1e-6, 1e-4))
    assert judged[0] < 15
    assert judged[1] == pytest.approx(40.0, abs=0.01)
