"""Learn u, m and the share of matches without labels: expectation maximisation over several samples of pairs at once.

The model is that of Fellegi and Sunter (1969, A theory for record linkage, JASA 64), levels as in Winkler (1990). Each
sample has its own share of matches; m is one for all. A comparison is left out of a sample whose pairs were brought
together by it, since there it always agrees. The random sample gives u, with the matches in it taken out. Dirichlet
priors hold m where a file has few matches, and bound how often true matches may contradict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.linking.comparisons import Comparison

Values = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

PRIOR_MATCHES = 30.0  # how many observed matches the prior of m weighs as much as
PRIOR_U = 0.5  # pairs, spread over the levels
ROUNDS, CONVERGED = 200, 1e-5
FEWEST_PAIRS = 20
SMALLEST = 1e-9


@dataclass(frozen=True)
class Sample:
    """Pairs by pattern of levels: one column per comparison (0 best level, -1 unknown), how many pairs have it."""

    levels: Places  # patterns x comparisons
    counts: Values
    left_out: frozenset[int]  # comparisons by which the pairs were chosen
    random: bool = False


@dataclass(frozen=True)
class Estimate:
    """What was learned: comparisons with m and u, the share of matches of each sample, rounds used."""

    comparisons: tuple[Comparison, ...]
    shares: tuple[float, ...]
    rounds: int


def sample_of(patterns: pl.DataFrame, comparisons: Sequence[Comparison], left_out: frozenset[int], *, random: bool = False) -> Sample:
    """Return a sample from counted patterns: columns `gamma_<name>` as Splink numbers levels, and `pairs`."""
    places = []
    for comparison in comparisons:
        best = len(comparison.levels) - 1
        gamma = patterns[f"gamma_{comparison.name}"].cast(pl.Int64).to_numpy()
        places.append(np.where(gamma < 0, -1, best - gamma))
    levels = np.stack(places, axis=1) if places else np.zeros((patterns.height, 0), dtype=np.int64)
    return Sample(levels.astype(np.int64), patterns["pairs"].cast(pl.Float64).to_numpy(), left_out, random)


def estimate(comparisons: Sequence[Comparison], samples: Sequence[Sample]) -> Estimate:
    """Learn from the samples; the first must be the random one. Deterministic."""
    prior = [np.array([level.m for level in c.levels]) for c in comparisons]
    m = [values.copy() for values in prior]
    u = [_first_u(samples[0], i, len(c.levels)) for i, c in enumerate(comparisons)]
    used = [s for s in samples if s.counts.sum() >= (1 if s.random else FEWEST_PAIRS)]
    shares = [1e-4 if s.random else 0.2 for s in used]
    rounds = 0
    for rounds in range(1, ROUNDS + 1):  # noqa: B007
        before = np.concatenate(m) if m else np.zeros(0)
        matched = [PRIOR_MATCHES * values for values in prior]
        unmatched = [np.full(len(values), PRIOR_U / len(values)) for values in prior]
        for number, sample in enumerate(used):
            chance = _posterior(sample, m, u, shares[number])
            weight = chance * sample.counts
            shares[number] = float((weight.sum() + 1e-6) / (sample.counts.sum() + 1.0))
            rest = sample.counts - weight
            for i in range(len(comparisons)):
                place = sample.levels[:, i]
                known = place >= 0
                if i not in sample.left_out and not sample.random:
                    matched[i] += np.bincount(place[known], weight[known], minlength=len(prior[i]))
                if sample.random:
                    unmatched[i] += np.bincount(place[known], rest[known], minlength=len(prior[i]))
        m = [_bounded(values, c.contradiction) for values, c in zip(matched, comparisons, strict=True)]
        u = [np.maximum(values / values.sum(), SMALLEST) for values in unmatched]
        if m and np.abs(np.concatenate(m) - before).max() < CONVERGED:
            break
    learned = tuple(c.with_levels(a.tolist(), b.tolist()) for c, a, b in zip(comparisons, m, u, strict=True))
    return Estimate(learned, tuple(shares), rounds)


def share_of_matches(weights: Values, all_pairs: float) -> float:
    """Return the share of matches among all pairs that best explains weights (bits, without a prior).

    Pairs not looked at count as no matches. A fixed point of expectation maximisation: the likelihood is concave in
    the share, so there is one.
    """
    if not len(weights) or all_pairs < 1:
        return 1.0 / (all_pairs + 2.0)
    factors = np.exp2(np.clip(weights, -60, 60))
    share = min(0.5, max(1.0 / all_pairs, float((weights > 20).sum()) / all_pairs))
    for _ in range(500):
        odds = factors * (share / (1.0 - share))
        new = min(0.999, float((odds / (1.0 + odds)).sum() + 0.01) / all_pairs)
        if abs(new - share) <= 1e-6 * share:
            return new
        share = new
    return share


def _first_u(sample: Sample, i: int, size: int) -> Values:
    place = sample.levels[:, i]
    counted = np.bincount(place[place >= 0], sample.counts[place >= 0], minlength=size) + PRIOR_U / size
    return np.asarray(counted / counted.sum(), dtype=np.float64)


def _posterior(sample: Sample, m: list[Values], u: list[Values], share: float) -> Values:
    share = min(max(share, 1e-12), 1 - 1e-9)
    log_odds = np.full(len(sample.counts), np.log(share / (1 - share)))
    for i, (a, b) in enumerate(zip(m, u, strict=True)):
        if i not in sample.left_out:
            factor = np.append(np.log(a / b), 0.0)  # unknown: the last place, index -1
            log_odds += factor[sample.levels[:, i]]
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -500, 500))), dtype=np.float64)


def _bounded(counts: Values, contradiction: float) -> Values:
    values = np.maximum(counts / counts.sum(), SMALLEST)
    if values[-1] > contradiction:
        values[:-1] *= (1 - contradiction) / values[:-1].sum()
        values[-1] = contradiction
    return np.asarray(values, dtype=np.float64)
