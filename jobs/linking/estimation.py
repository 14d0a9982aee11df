"""Learn u, m and the share of matches without labels: expectation maximisation over several samples of pairs at once.

The model is that of Fellegi and Sunter (1969, A theory for record linkage, JASA 64), levels as in Winkler (1990). Each
sample has its own share of matches; m is one for all. A comparison is left out of a sample whose pairs were brought
together by it, since there it always agrees. The random sample gives u, with the matches in it taken out. Dirichlet
priors hold m where a file has few matches, and bound how often true matches may contradict.

A third class is learned beside matches and strangers: relatives, who agree on what a household or a building shares and
on nothing of their own. Without it, whoever lives together is taken for one person where a file has no duplicates.
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

PRIOR_MATCHES = 40.0  # how many observed matches the prior of m weighs as much as
PRIOR_U = 0.5  # pairs, spread over the levels
ROUNDS, CONVERGED = 200, 1e-5
FEWEST_PAIRS = 20
SMALLEST = 1e-9
POOR_LEVELS = 6


@dataclass(frozen=True)
class Sample:
    """Pairs by pattern of levels: one column per comparison (0 best level, -1 unknown), how many pairs have it."""

    levels: Places  # patterns x comparisons
    counts: Values
    left_out: frozenset[int]  # comparisons by which the pairs were chosen
    random: bool = False


@dataclass(frozen=True)
class Estimate:
    """What was learned: comparisons with m and u, each sample's shares of matches and relatives."""

    comparisons: tuple[Comparison, ...]
    shares: tuple[tuple[float, float], ...]
    rounds: int


def sample_of(
    patterns: pl.DataFrame, comparisons: Sequence[Comparison], left_out: frozenset[int], *, random: bool = False
) -> Sample:
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
    shared = frozenset(i for i, c in enumerate(comparisons) if c.shared)
    own = frozenset(range(len(comparisons))) - shared
    m, r = [values.copy() for values in prior], [values.copy() for values in prior]
    u = [_first_u(samples[0], i, len(c.levels)) for i, c in enumerate(comparisons)]
    used = [
        s
        for s in samples
        if s.random or (s.counts.sum() >= FEWEST_PAIRS and (own - s.left_out or not shared & s.left_out))
    ]
    # Relatives differ from matches in what is each one's own: without that, or where pairs agree on it, no class.
    kin = [bool(shared and own - s.left_out) and (s.random or bool(s.left_out & shared)) for s in used]
    shares = [(1e-4, 1e-4 * k) if s.random else (0.2, 0.1 * k) for s, k in zip(used, kin, strict=True)]
    # What brings all pairs together is learned among pairs at random, the only ones it did not choose.
    nowhere = frozenset(range(len(comparisons))) - {
        i for s in used if not s.random for i in range(len(prior)) if i not in s.left_out
    }
    rounds = 0
    for rounds in range(1, ROUNDS + 1):  # noqa: B007
        before = np.concatenate(m) if m else np.zeros(0)
        matched, related = [PRIOR_MATCHES * values for values in prior], [PRIOR_MATCHES * values for values in prior]
        unmatched = [np.full(len(values), PRIOR_U / len(values)) for values in prior]
        for number, sample in enumerate(used):
            chance, kinship = _posteriors(sample, (m, u, r), shares[number], shared)
            weight, near = chance * sample.counts, kinship * sample.counts
            total = sample.counts.sum() + 1.0
            shares[number] = (
                float((weight.sum() + 1e-6) / total),
                float((near.sum() + 1e-6) / total) if kin[number] else 0.0,
            )
            rest = sample.counts - weight  # relatives are no match: their agreements are what u must hold
            for i in range(len(comparisons)):
                place = sample.levels[:, i]
                known = place >= 0
                if sample.random:
                    unmatched[i] += np.bincount(place[known], rest[known], minlength=len(prior[i]))
                if i not in sample.left_out and (not sample.random or i in nowhere):
                    matched[i] += np.bincount(place[known], weight[known], minlength=len(prior[i]))
                    related[i] += np.bincount(place[known], near[known], minlength=len(prior[i]))
        m = [_bounded(values, c.contradiction) for values, c in zip(matched, comparisons, strict=True)]
        r = [_bounded(values, 0.8) for values in related]
        u = [np.maximum(values / values.sum(), SMALLEST) for values in unmatched]
        if m and np.abs(np.concatenate(m) - before).max() < CONVERGED:
            break
    learned = [c.with_levels(*(x[i].tolist() for x in (m, u, r))) for i, c in enumerate(comparisons)]
    return Estimate(tuple(learned), tuple(shares), rounds)


def shares_of(weights: Values, kinship: Values, all_pairs: float) -> tuple[float, float]:
    """Return the shares of matches and of relatives among all pairs that best explain their weights (bits, no prior).

    Pairs not looked at count as neither. Expectation maximisation over the shares alone; the likelihood is concave in
    them, so where it starts does not matter.
    """
    if not len(weights) or all_pairs < 1:
        return 1.0 / (all_pairs + 2.0), 0.0
    match, near = np.exp2(np.clip(weights, -80, 80)), np.exp2(np.clip(kinship, -80, 80))
    with_kin = bool(np.any(kinship > 0))
    shares = (1.0 / all_pairs, (1.0 / all_pairs) * with_kin)
    for _ in range(1_000):
        rest = 1.0 - sum(shares)
        total = shares[0] * match + shares[1] * near + rest
        new = (
            min(0.98, (float((shares[0] * match / total).sum()) + 0.01) / all_pairs),
            min(0.01, float((shares[1] * near / total).sum()) / all_pairs),
        )
        if abs(new[0] - shares[0]) <= 1e-6 * shares[0] and abs(new[1] - shares[1]) <= 1e-5 * shares[1] + 1e-15:
            return new
        shares = new
    return shares


def against_relatives(weights: Values, kinship: Values, shares: tuple[float, float]) -> Values:
    """Return weights of a match against all that is none, relatives among it, in bits."""
    odds = shares[1] / max(1e-12, 1.0 - sum(shares))
    if not odds:
        return weights
    return np.asarray(weights - np.logaddexp2(0.0, kinship + np.log2(odds)), dtype=np.float64)


def _first_u(sample: Sample, i: int, size: int) -> Values:
    place = sample.levels[:, i]
    counted = np.bincount(place[place >= 0], sample.counts[place >= 0], minlength=size) + PRIOR_U / size
    return np.asarray(counted / counted.sum(), dtype=np.float64)


def _posteriors(
    sample: Sample,
    probabilities: tuple[list[Values], list[Values], list[Values]],
    shares: tuple[float, float],
    shared: frozenset[int],
) -> tuple[Values, Values]:
    """Return each pattern's chance of a match, and of relatives."""
    match, near = min(max(shares[0], 1e-12), 1 - 1e-9), shares[1]
    rest = max(1.0 - match - near, 1e-9)
    log_match, log_near = (np.full(len(sample.counts), np.log(max(share, 1e-300) / rest)) for share in (match, near))
    for i, (a, b, c) in enumerate(zip(*probabilities, strict=True)):
        if i not in sample.left_out:
            place = sample.levels[:, i]  # unknown is -1: the last place, which adds nothing
            log_match += np.append(np.log(a / b), 0.0)[place]
            if i in shared:
                log_near += np.append(np.log(c / b), 0.0)[place]
    odds, kin = np.exp(np.clip(log_match, -500, 500)), np.exp(np.clip(log_near, -500, 500))
    if not near:
        kin = np.zeros_like(kin)
    total = 1.0 + odds + kin
    return np.asarray(odds / total, dtype=np.float64), np.asarray(kin / total, dtype=np.float64)


def _bounded(counts: Values, contradiction: float) -> Values:
    values = np.maximum(counts / counts.sum(), SMALLEST)
    poor = len(values) - (2 if len(values) > POOR_LEVELS else 1)  # of many levels, the last two contradict
    if values[poor:].sum() > contradiction:
        values[:poor] *= (1 - contradiction) / values[:poor].sum()
        values[poor:] *= contradiction / values[poor:].sum()
    return np.asarray(values, dtype=np.float64)
