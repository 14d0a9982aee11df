"""Differential privacy for tables of counts and sums: noise on the finest cells, made consistent afterwards.

Neighbouring tables differ in all rows of one person, replaced by as many others; how many rows the departments
delivered is taken to be known. Noise is the two-sided geometric mechanism (Ghosh, Roughgarden, Sundararajan 2009),
drawn by OpenDP, whose own proof of each mechanism is asked before it is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Mechanism:
    """Hold one measure's noise: how far a person can move the table (L1), its share of ε, the scale that gives it."""

    sensitivity: int
    epsilon: float
    scale: float

    @property
    def expected_error(self) -> float:
        """Return the mean absolute noise of one cell: 2α / (1 − α²), α = exp(−1/scale)."""
        alpha = math.exp(-1 / self.scale)
        return 2 * alpha / (1 - alpha * alpha)

    @property
    def error_95(self) -> int:
        """Return the least whole number that the noise of one cell stays within 19 times in 20."""
        alpha = math.exp(-1 / self.scale)
        # P(|noise| > e) = 2 α^(e+1) / (1 + α)
        return max(0, math.ceil(math.log(0.05 * (1 + alpha) / 2) / math.log(alpha) - 1))

    def total_error(self, cells: int) -> float:
        """Return the standard deviation of a sum over so many cells: the square root of cells · 2α / (1 − α)²."""
        alpha = math.exp(-1 / self.scale)
        return math.sqrt(cells * 2 * alpha) / (1 - alpha)


def mechanism(sensitivity: int, epsilon: float) -> Mechanism:
    """Return the least noise that keeps a share of ε for a table that one person moves by at most `sensitivity`."""
    import opendp.prelude as dp

    scale = dp.binary_search_param(_geometric, d_in=sensitivity, d_out=epsilon, T=float)
    return Mechanism(sensitivity, epsilon, float(scale))


def draw(exact: Whole, how: Mechanism) -> Whole:
    """Draw noise for every cell once and return it alone, from the operating system's randomness.

    Raises ValueError when OpenDP does not prove that the mechanism keeps its ε.
    """
    adding = _geometric(how.scale)
    if adding.map(how.sensitivity) > how.epsilon:
        raise ValueError("the mechanism would spend more than its epsilon.")
    noisy = np.array(adding([int(value) for value in exact]), dtype=np.int64)
    drawn: Whole = noisy - exact
    return drawn


def consistent(noisy: Whole) -> Whole:
    """Return the whole numbers of 0 or more nearest to noisy cells (least squares) that keep their total.

    So every margin is the sum of its cells, and taking negatives away does not push totals up. A negative total is 0.
    Only noisy values are looked at: nothing is spent. (Projection onto the simplex: Duchi and others 2008.)
    """
    total = int(noisy.sum())
    if total <= 0 or not len(noisy):
        return np.zeros(len(noisy), dtype=np.int64)
    falling = np.sort(noisy)[::-1]
    ahead = np.cumsum(falling) - total
    last = int(np.nonzero(falling - ahead / np.arange(1, len(falling) + 1) > 0)[0][-1])
    left = np.maximum(noisy - ahead[last] / (last + 1), 0.0)
    whole = np.floor(left + 1e-9).astype(np.int64)
    # What rounding down took goes to the largest remainders, earlier cells first.
    missing = total - int(whole.sum())
    nearest: Whole = whole
    nearest[np.argsort(whole - left, kind="stable")[: max(missing, 0)]] += 1
    nearest[np.argsort(-whole, kind="stable")[: max(-missing, 0)]] -= 1  # fractions of large sums are not exact
    return nearest


def _geometric(scale: float):  # type: ignore[no-untyped-def]
    import opendp.prelude as dp

    dp.enable_features("contrib")
    return dp.m.make_geometric(dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64"), scale=scale)
