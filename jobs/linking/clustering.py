"""From weighed pairs to clusters: average linkage, so that one strong pair never chains two groups that disagree.

Clusters grow by the pair of clusters whose mean weight over all their row pairs is highest, while that mean is above
the cut. Pairs nobody looked at count as a weak contradiction. Two clusters that hold rows which exclude each other (one
source without duplicates, two different values of a strong key) are never joined.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

CEILING = 12.0  # bits: no single pair outvotes more than this
UNSEEN = -4.0  # bits, for a pair that shares no block


@dataclass(frozen=True)
class Exclusions:
    """What keeps rows apart: sources without duplicates by row (None: may hold some), and values of strong keys."""

    singles: Sequence[int | None] = ()
    keys: tuple[Sequence[str | None], ...] = ()


@dataclass
class _Cluster:
    rows: list[int]
    singles: set[int]
    keys: list[set[str]]
    near: dict[int, list[float]] = field(default_factory=dict)  # other cluster -> [sum of weights, pairs seen]

    def excludes(self, other: _Cluster) -> bool:
        if self.singles & other.singles:
            return True
        return any(a and b and a != b for a, b in zip(self.keys, other.keys, strict=True))


def components(rows: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Return for every row the smallest row it is connected with."""
    parent = list(range(rows))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for left, right in pairs:
        a, b = root(left), root(right)
        if a != b:
            parent[max(a, b)] = min(a, b)
    return [root(row) for row in range(rows)]


def cluster(
    rows: int, pairs: pl.DataFrame, cut: float, exclusions: Exclusions = Exclusions(), unseen: float = UNSEEN
) -> list[int]:
    """Return for every row the smallest row of its cluster.

    `pairs` has columns l, r (rows) and weight (log odds of a match in bits, the share of matches included); `cut` is
    the least mean weight of a cluster's parts.
    """
    made = {row: _one(row, exclusions) for row in range(rows)}
    heap: list[tuple[float, int, int]] = []
    for left, right, weight in pairs.select("l", "r", "weight").iter_rows():
        bounded = max(-CEILING, min(CEILING, weight))
        made[left].near[right] = [bounded, 1.0]
        made[right].near[left] = [bounded, 1.0]
        if bounded > cut:
            heap.append((-bounded, min(left, right), max(left, right)))
    heapq.heapify(heap)
    while heap:
        negative, a, b = heapq.heappop(heap)
        if a not in made or b not in made or made[a].near.get(b) is None:
            continue
        if abs(_mean(made[a], made[b], b, unseen) + negative) > 1e-9 or made[a].excludes(made[b]):
            continue  # an entry from before one of them grew
        _join(made, a, b)
        for other in made[a].near:
            mean = _mean(made[a], made[other], other, unseen)
            if mean > cut:
                heapq.heappush(heap, (-mean, min(a, other), max(a, other)))
    labels = [0] * rows
    for found in made.values():
        for row in found.rows:
            labels[row] = min(found.rows)
    return labels


def _one(row: int, exclusions: Exclusions) -> _Cluster:
    single = exclusions.singles[row] if exclusions.singles else None
    keys = [{values[row]} if values[row] is not None else set() for values in exclusions.keys]
    return _Cluster([row], set() if single is None else {single}, keys)  # type: ignore[arg-type]


def _mean(one: _Cluster, other: _Cluster, number: int, unseen: float) -> float:
    total, seen = one.near[number]
    all_pairs = len(one.rows) * len(other.rows)
    return (total + unseen * (all_pairs - seen)) / all_pairs


def _join(made: dict[int, _Cluster], a: int, b: int) -> None:
    one, gone = made[a], made.pop(b)
    one.rows += gone.rows
    one.singles |= gone.singles
    for mine, theirs in zip(one.keys, gone.keys, strict=True):
        mine |= theirs
    one.near.pop(b)
    gone.near.pop(a)
    for other, (total, seen) in gone.near.items():
        before = one.near.get(other, [0.0, 0.0])
        one.near[other] = [before[0] + total, before[1] + seen]
        made[other].near[a] = one.near[other]
        made[other].near.pop(b)
