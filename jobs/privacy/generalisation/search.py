"""Find the node of the lattice that meets the criteria and loses least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt

from jobs.errors import ReleaseRefused
from jobs.privacy.generalisation.hierarchies import Ladder
from jobs.privacy.generalisation.lattice import (
    Criteria,
    Groups,
    Judgement,
    Levels,
    Metric,
    column_losses,
    fold,
    judge,
)

LARGEST_LATTICE = 4_000_000  # nodes that are kept track of one by one
MOST_EVALUATIONS = 20_000
_KEPT = 6  # how many times the finest table's groups the remembered nodes may hold


@dataclass(frozen=True)
class Found:
    """Hold the best node, how much of the lattice was looked at, and whether nothing better can exist."""

    best: Judgement
    lattice: int
    evaluated: int
    optimal: bool


@dataclass
class _Lattice:
    """Judge nodes on demand, folding each from the smallest finer one that is remembered."""

    ladders: Sequence[Ladder]
    criteria: Criteria
    metric: Metric
    weights: Sequence[float]
    count_suppressed: bool
    base: Groups
    losses: list[npt.NDArray[np.float64]] = field(default_factory=list)
    judged: dict[Levels, Judgement] = field(default_factory=dict)
    remembered: dict[Levels, Groups] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.losses = column_losses(self.base, self.ladders, self.weights)
        self.remembered[self.base.levels] = self.base

    def judge(self, levels: Levels) -> Judgement:
        if levels not in self.judged:
            groups = self.groups(levels)
            self.judged[levels] = judge(
                groups, self.criteria, self.metric, self.losses, self.weights, count_suppressed=self.count_suppressed
            )
        return self.judged[levels]

    def groups(self, levels: Levels) -> Groups:
        if levels in self.remembered:
            return self.remembered[levels]
        finer = [one for at, one in self.remembered.items() if all(a <= b for a, b in zip(at, levels, strict=True))]
        found = fold(min(finer, key=lambda one: len(one.sizes)), levels, self.ladders)
        self.remembered[levels] = found
        held = sum(len(one.sizes) for one in self.remembered.values()) - len(self.base.sizes)
        for at in [at for at in self.remembered if at != self.base.levels]:
            if held <= _KEPT * len(self.base.sizes):
                break
            held -= len(self.remembered.pop(at).sizes)
        return found


def search(
    base: Groups,
    ladders: Sequence[Ladder],
    criteria: Criteria,
    limit: int,
    *,
    metric: Metric = "entropy",
    weights: Sequence[float] | None = None,
    count_suppressed: bool = True,
    most: int = MOST_EVALUATIONS,
) -> Found:
    """Find the node with the smallest loss among those that leave out at most `limit` rows.

    Nodes are tried by the entropy of their generalisation. A node where too many rows fail what groups keep as they
    grow (k, distinct l; with limit 0 everything) rules out all finer ones; such nodes are found by bisection on a
    path to the top (as Flash does: Kohlmayer et al. 2012). A node whose bound is no better than the best loss
    rules out all coarser ones. Both are exact: the result is the optimum unless `most` evaluations ran out or the
    lattice is too large to keep track of; then it is the best of a descent from a node that passes.
    Raises ReleaseRefused when not even one group of everything passes.
    """
    lattice = _Lattice(ladders, criteria, metric, weights or [1.0] * len(ladders), count_suppressed, base)
    nodes = prod(one.height + 1 for one in ladders)
    if nodes > LARGEST_LATTICE:
        best, complete = _descent(lattice, limit, most, None), False
    else:
        best, complete = _branch_and_bound(lattice, limit, most)
        # Nodes that lose the same are not told apart above: of those the finest says most.
        best = _descent(lattice, limit, len(lattice.judged) + most // 10, best) if best or not complete else None
    if best is None:
        raise ReleaseRefused(
            "no generalisation meets the criteria within the suppression limit.",
            remedy="lower k or l, raise t or the limit, or add a coarser top level to the hierarchies.",
        )
    return Found(best, nodes, len(lattice.judged), complete)


def _branch_and_bound(lattice: _Lattice, limit: int, most: int) -> tuple[Judgement | None, bool]:
    shape = tuple(one.height + 1 for one in lattice.ladders)
    priority = _priority(lattice.losses)
    closed = np.zeros(shape, dtype=bool)  # fails, or cannot be better
    best: Judgement | None = None

    def consider(levels: Levels) -> bool:
        """Judge a node, close what that rules out, and tell whether a finer one may pass."""
        nonlocal best
        one = lattice.judge(levels)
        if one.suppressed <= limit and (best is None or one.loss < best.loss):
            best = one
        hopeless = (one.certain if limit else one.suppressed) > limit
        if hopeless:
            closed[tuple(slice(0, level + 1) for level in levels)] = True
        if best is not None and one.bound >= best.loss:
            closed[tuple(slice(level, None) for level in levels)] = True
        closed[levels] = True
        return not hopeless

    for flat in np.argsort(priority, axis=None, kind="stable").tolist():
        levels: Levels = tuple(int(i) for i in np.unravel_index(flat, shape))
        if closed[levels]:
            continue
        if lattice.metric == "entropy" and best is not None and priority[levels] >= best.loss:
            return best, True  # all that follow lose at least as much
        if len(lattice.judged) >= most:
            return best, False
        path = _path(levels, closed, priority)
        low, high = 0, len(path)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if consider(path[middle]) else (middle + 1, high)
    return best, True


def _priority(losses: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    total = np.zeros((1,) * len(losses))
    for axis, column in enumerate(losses):
        total = total + column.reshape([-1 if axis == other else 1 for other in range(len(losses))])
    return total


def _path(levels: Levels, closed: npt.NDArray[np.bool_], priority: npt.NDArray[np.float64]) -> list[Levels]:
    """Return nodes from one upwards, each the least lossy open neighbour above the last."""
    path = [levels]
    while True:
        above = [up for up in _neighbours(path[-1], +1, closed.shape) if not closed[up]]
        if not above:
            return path
        path.append(min(above, key=lambda node: priority[node]))


def _neighbours(levels: Levels, step: int, shape: Sequence[int]) -> list[Levels]:
    moved = [(*levels[:i], levels[i] + step, *levels[i + 1 :]) for i in range(len(levels))]
    return [node for node in moved if all(0 <= level < size for level, size in zip(node, shape, strict=True))]


def _descent(lattice: _Lattice, limit: int, most: int, start: Judgement | None) -> Judgement | None:
    """Go down from a node that passes, always to the best finer one that does; the top is the first try."""
    shape = tuple(one.height + 1 for one in lattice.ladders)
    best = start or lattice.judge(tuple(size - 1 for size in shape))
    if best.suppressed > limit:
        return None
    while len(lattice.judged) < most:
        below = [lattice.judge(node) for node in _neighbours(best.levels, -1, shape)]
        better = [one for one in below if one.suppressed <= limit and one.loss <= best.loss]
        if not better:
            break
        best = min(better, key=lambda one: one.loss)
    return best
