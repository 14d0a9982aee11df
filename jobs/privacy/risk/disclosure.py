"""What a class gives away about a sensitive column: (α,k), l-diversity, t-closeness, β-likeness, δ-disclosure.

Every measure is computed per class from whole-number counts, so that the only rounding is one division at the end
(tables up to 3·10⁹ rows).
Let a class have s of the table's n rows, f of them with a value that F of the n rows have: q = f/s, p = F/n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.privacy.risk.classes import Counts, Sensitive

Measures = npt.NDArray[np.float64]
_EXACT = 1 << 62  # sums of products below this are exact in 64 bits
_WHOLE = 1e-9  # entropies of equal shares miss the whole number by a rounding


@dataclass(frozen=True)
class Disclosure:
    """Hold the worst class of every measure for one sensitive column.

    `alpha` (share of the commonest value), `l_distinct`, `l_entropy` (e to the lowest entropy), `c` (least whole
    number for which recursive (c, `l_distinct`)-diversity holds; None when l is 1), `t`, `beta`, `delta`.
    """

    alpha: float
    l_distinct: int
    l_entropy: float
    c: int | None
    t: float
    beta: float
    delta: float

    @property
    def l_entropy_whole(self) -> int:
        """Return the largest whole l for which entropy l-diversity holds."""
        return int(self.l_entropy + _WHOLE)


def disclosure(spread: Sensitive, sizes: Counts) -> Disclosure | None:
    """Return the worst class of every measure; None when there is no class.

    `sizes` is rows per class. (α,k): Wong, Li, Fu & Wang 2006. l-diversity: Machanavajjhala et al. 2007.
    t-closeness: Li, Li & Venkatasubramanian 2007. Basic β-likeness: Cao & Karras 2012. δ-disclosure: Brickell &
    Shmatikov 2008, over the values that occur in a class (an absent one would make δ infinite), natural logarithm.
    """
    if not len(sizes):
        return None
    distinct = distinct_values(spread, sizes)
    least = int(distinct.min())
    gains, losses = _likeness(spread, sizes)
    return Disclosure(
        alpha=float((spread.rows / sizes[spread.classes]).max()),
        l_distinct=least,
        l_entropy=float(np.exp(entropy(spread, sizes).min())),
        c=int(recursive_c(spread, sizes, least).max()) if least > 1 else None,
        t=float(closeness(spread, sizes).max()),
        beta=gains,
        delta=losses,
    )


def distinct_values(spread: Sensitive, sizes: Counts) -> Counts:
    """Return distinct l per class: how many values occur in it (Machanavajjhala et al. 2007)."""
    return np.bincount(spread.classes, minlength=len(sizes)).astype(np.int64)


def entropy(spread: Sensitive, sizes: Counts) -> Measures:
    """Return the entropy per class in nats: ln s − (1/s)·Σ f·ln f; entropy l-diversity asks for at least ln l."""
    weighted = np.bincount(spread.classes, weights=spread.rows * np.log(spread.rows), minlength=len(sizes))
    return np.maximum(np.log(sizes) - weighted / sizes, 0.0)


def recursive_c(spread: Sensitive, sizes: Counts, least: int) -> Counts:
    """Return per class the least whole c with r1 < c·(r_l + … + r_m), r1 the commonest value's rows.

    `least` is l; every class has that many values. (Machanavajjhala et al. 2007, definition 4.3. A well-known tool
    takes the rarest value for r1; the paper's definition rules here.)
    """
    order = np.lexsort((-spread.rows, spread.classes))
    classes, rows = spread.classes[order], spread.rows[order]
    starts = np.searchsorted(classes, np.arange(len(sizes)))
    position = np.arange(len(classes)) - starts[classes]
    tail = np.bincount(classes, weights=np.where(position >= least - 1, rows, 0), minlength=len(sizes))
    found: Counts = rows[starts] // tail.astype(np.int64) + 1
    return found


def closeness(spread: Sensitive, sizes: Counts) -> Measures:
    """Return per class the distance of its distribution from the whole table's, 0 to 1 (Li et al. 2007).

    Ordered values: earth mover's distance with ordered ground distance, Σ_i |Σ_{j≤i}(q_j − p_j)| / (m − 1). Nominal
    values: equal ground distance, ½·Σ|q − p|.
    """
    return _ordered(spread, sizes) if spread.ordered else _nominal(spread, sizes)


def _nominal(spread: Sensitive, sizes: Counts) -> Measures:
    # Both distributions sum to one: half the absolute difference is the part where q exceeds p.
    n = int(spread.totals.sum())
    excess = np.maximum(spread.rows * n - sizes[spread.classes] * spread.totals[spread.values], 0)
    distances: Measures = np.bincount(spread.classes, weights=excess, minlength=len(sizes)) / (sizes * n)
    return distances


def _ordered(spread: Sensitive, sizes: Counts) -> Measures:
    """Sum |n·C_E(i) − s·C(i)| over all values without visiting those a class lacks.

    Between two values that occur in a class its cumulated count C_E stays and the table's C only grows, so that the
    difference changes sign once: two prefix sums per stretch give the whole stretch.
    """
    m, n = len(spread.totals), int(spread.totals.sum())
    if m == 1:
        return np.zeros(len(sizes))
    exact = n * int(sizes.max()) * m < _EXACT
    number = np.int64 if exact else np.float64
    cumulated = np.cumsum(spread.totals)
    prefix = np.concatenate([[0], np.cumsum(cumulated.astype(number))])
    occurs = spread.values
    starts = np.searchsorted(spread.classes, np.arange(len(sizes)))
    running = np.cumsum(spread.rows)
    reached = running - (running[starts] - spread.rows[starts])[spread.classes]
    last = np.append(spread.classes[1:] != spread.classes[:-1], True)
    ends = np.where(last, m, np.append(occurs[1:], m))
    s = sizes[spread.classes]
    turn = np.clip(np.searchsorted(cumulated, n * reached // s, side="right"), occurs, ends)
    high, low = (n * reached).astype(number), s.astype(number)
    stretch = high * (turn - occurs)
    stretch -= low * (prefix[turn] - prefix[occurs])
    stretch += low * (prefix[ends] - prefix[turn]) - high * (ends - turn)
    before = sizes.astype(number) * prefix[occurs[starts]]
    total = before + np.add.reduceat(stretch, starts)
    distances: Measures = total / (sizes.astype(np.float64) * n * (m - 1))
    return distances


def _likeness(spread: Sensitive, sizes: Counts) -> tuple[float, float]:
    """Return max (q − p)/p and max |ln(q/p)|, over classes and the values that occur in them."""
    n = spread.totals.sum()
    observed, expected = spread.rows * n, sizes[spread.classes] * spread.totals[spread.values]
    beta = float(((observed - expected) / expected).max())
    delta = float(np.abs(np.log(observed / expected)).max())
    return beta, delta
