"""One node of the lattice: the groups a table falls into at given levels, which of them fail, and what that loses.

Groups are never counted from rows: those of a node are folded from the groups of a finer one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from jobs.privacy.generalisation.hierarchies import Ladder
from jobs.privacy.risk.classes import Classes, Counts, Sensitive
from jobs.privacy.risk.disclosure import closeness, distinct_values, entropy

Levels = tuple[int, ...]
Diversity = Literal["distinct", "entropy"]
Metric = Literal["entropy", "discernibility", "class_size"]
_TINY = 1e-12  # a measure equal to its bound passes whatever its last digit
_LARGEST_KEY = 1 << 62
DENSE = 1 << 27  # keys below this are numbered through a table, not sorted


@dataclass(frozen=True)
class Criteria:
    """Name what every released group must meet: `k` rows, and for each sensitive column `l` and `t`.

    `diversity` says how l is meant: distinct values, or entropy at least ln l.
    """

    k: int
    l: float = 1  # noqa: E741 (the model's name)
    t: float = 1.0
    diversity: Diversity = "distinct"

    @property
    def grows(self) -> bool:
        """Tell whether a group that passes passes together with any other rows."""
        return self.t >= 1 and (self.l <= 1 or self.diversity == "distinct")


@dataclass(frozen=True)
class Groups:
    """Hold the groups of a node: `codes` by column at the node's levels, `sizes`, and sensitive values per group."""

    levels: Levels
    codes: tuple[Counts, ...]
    sizes: Counts
    sensitive: Mapping[str, Sensitive]


@dataclass(frozen=True)
class Judgement:
    """Hold what a node costs: rows left out, its loss, and a loss that no coarser node falls below.

    `certain` of the rows left out are left out at every finer node too.
    """

    levels: Levels
    suppressed: int
    certain: int
    loss: float
    bound: float


def finest(classes: Classes, ladders: Sequence[Ladder]) -> Groups:
    """Return the groups at level 0 of every hierarchy."""
    codes = tuple(ladder.maps[0][classes.codes[ladder.column]] for ladder in ladders)
    return Groups((0,) * len(ladders), codes, classes.sizes, classes.sensitive)


def fold(groups: Groups, levels: Levels, ladders: Sequence[Ladder]) -> Groups:
    """Merge the groups of a node into those of a coarser one."""
    steps = [one.step(low, high) for one, low, high in zip(ladders, groups.levels, levels, strict=True)]
    codes = [step[column] for step, column in zip(steps, groups.codes, strict=True)]
    widths = [len(one.labels[level]) for one, level in zip(ladders, levels, strict=True)]
    key, span = np.zeros(len(groups.sizes), dtype=np.int64), 1
    for column, width in zip(codes, widths, strict=True):
        if span * width >= _LARGEST_KEY:
            key, span = np.unique(key, return_inverse=True)[1], len(key)
        key, span = key * width + column, span * width
    _, place, count = _numbered(key, span)
    first = np.zeros(count, dtype=np.int64)
    first[place] = np.arange(len(place))  # any row of a group has its codes
    sizes = np.bincount(place, weights=groups.sizes, minlength=count).astype(np.int64)
    return Groups(
        levels,
        tuple(column[first] for column in codes),
        sizes,
        {name: _merged(spread, place) for name, spread in groups.sensitive.items()},
    )


def _merged(spread: Sensitive, place: Counts) -> Sensitive:
    m = len(spread.totals)
    span = (int(place.max(initial=-1)) + 1) * m
    key, where, count = _numbered(place[spread.classes] * m + spread.values, span)
    rows = np.bincount(where, weights=spread.rows, minlength=count).astype(np.int64)
    return Sensitive(key // m, key % m, rows, spread.totals, spread.ordered)


def _numbered(key: Counts, span: int) -> tuple[Counts, Counts, int]:
    """Return the distinct keys in order, the number of each key among them, and how many there are.

    Keys are below `span`; a small span needs no sorting.
    """
    if span > DENSE:
        distinct, place = np.unique(key, return_inverse=True)
        return distinct, place, len(distinct)
    present = np.zeros(span, dtype=bool)
    present[key] = True
    distinct = np.flatnonzero(present)
    number = np.zeros(span, dtype=np.int32)
    number[distinct] = np.arange(len(distinct), dtype=np.int32)
    return distinct, number[key].astype(np.int64), len(distinct)


def growing(groups: Groups, criteria: Criteria) -> npt.NDArray[np.bool_]:
    """Tell which groups meet what any group keeps when others join it: k, and l distinct values.

    Entropy l-diversity implies l distinct values, so that no group passes without this.
    """
    passes = groups.sizes >= criteria.k
    if criteria.l > 1:
        for spread in groups.sensitive.values():
            passes &= distinct_values(spread, groups.sizes) >= criteria.l
    return passes


def passing(groups: Groups, criteria: Criteria) -> npt.NDArray[np.bool_]:
    """Tell which groups meet all criteria."""
    passes = growing(groups, criteria)
    for spread in groups.sensitive.values():
        if criteria.l > 1 and criteria.diversity == "entropy":
            passes &= entropy(spread, groups.sizes) >= np.log(criteria.l) - _TINY
        if criteria.t < 1:
            passes &= closeness(spread, groups.sizes) <= criteria.t + _TINY
    return passes


def column_losses(groups: Groups, ladders: Sequence[Ladder], weights: Sequence[float]) -> list[npt.NDArray[np.float64]]:
    """Return the non-uniform entropy of each column at each of its levels, in bits over all rows; `groups` at level 0.

    Σ over rows of −log2 P(value | its label) = Σ_v f(v)·(log2 F(label of v) − log2 f(v)) (De Waal & Willenborg
    1999). It never falls from a level to the next, so that their sum is a bound of every coarser node's loss.
    """
    found = []
    for one, codes, weight in zip(ladders, groups.codes, weights, strict=True):
        rows = np.bincount(codes, weights=groups.sizes, minlength=len(one.labels[0]))
        losses = []
        for level in range(one.height + 1):
            label = one.step(0, level)
            together = np.bincount(label, weights=rows)[label]
            bits = np.log2(together) - np.log2(rows)
            losses.append(weight * float((rows * bits).sum()))
        found.append(np.maximum.accumulate(np.maximum(losses, 0.0)))
    return found


def judge(
    groups: Groups, criteria: Criteria, metric: Metric, losses: Sequence[npt.NDArray[np.float64]],
    weights: Sequence[float], *, count_suppressed: bool = True,
) -> Judgement:
    """Judge a node: how many rows must go, and what it loses.

    `discernibility`: Σ|E|² over kept groups plus |E|·n for left-out ones (Bayardo & Agrawal 2005). `class_size`: rows
    per group, all left-out rows being one (LeFevre et al. 2005, without its division by k). `entropy`: `losses` summed
    (see column_losses) plus, for the left-out rows, the entropy of their labels among themselves, as ARX counts
    them. Without `count_suppressed` the loss is that of the generalisation alone (ARX: monotonic variant), all
    groups counted as if kept.
    """
    passes = passing(groups, criteria)
    out = groups.sizes[~passes]
    n, gone = int(groups.sizes.sum()), int(out.sum())
    if metric == "entropy":
        bound = float(sum(column[level] for column, level in zip(losses, groups.levels, strict=True)))
        loss = bound + (_label_entropy(groups, ~passes, weights) if gone and count_suppressed else 0.0)
    elif metric == "discernibility":
        squares = groups.sizes.astype(np.float64) ** 2
        bound = float(squares.sum())
        loss = float(squares[passes].sum()) + float(gone) * n
    else:
        bound = n / len(groups.sizes)
        loss = n / (int(passes.sum()) + bool(gone))
    certain = gone if criteria.grows else int(groups.sizes[~growing(groups, criteria)].sum())
    return Judgement(groups.levels, gone, certain, loss if count_suppressed else bound, bound)


def _label_entropy(groups: Groups, chosen: npt.NDArray[np.bool_], weights: Sequence[float]) -> float:
    sizes, total = groups.sizes[chosen], 0.0
    rows = float(sizes.sum())
    for codes, weight in zip(groups.codes, weights, strict=True):
        together = np.bincount(codes[chosen], weights=sizes)
        together = together[together > 0]
        total += weight * float((together * (np.log2(rows) - np.log2(together))).sum())
    return total
