"""Connected components that respect what may not be joined, in bulk where nothing forbids and with care elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass
class Conflict:
    """Name what stands against a merge: the keys that stay undecided, the keys between which they stand, the edges."""

    kind: str  # shared_key, two_keys, large_component
    keys: list[int]
    parties: list[int]
    edges: list[int]


@dataclass
class Graph:
    """Hold the keys by number: rank of kind, whether in dispute or shared, which group it is in, pairs told apart.

    A key in dispute joins only what its undisputed rows name; a shared one joins nothing.
    """

    rank: Ints
    disputed: Bools
    shared: Bools
    pairs: Ints  # two columns
    most_keys: int
    group: Ints

    @classmethod
    def of(cls, rank: Ints, disputed: Bools, pairs: Ints, most_keys: int) -> Graph:
        """Return a graph in which every key is a group of its own."""
        keys = np.arange(len(rank))
        return cls(rank, disputed, np.zeros(len(rank), dtype=np.bool_), pairs.reshape(-1, 2), most_keys, keys)

    def best_rank(self) -> Ints:
        """Return the best rank of each group, by the group's number."""
        best = np.full(len(self.rank), np.iinfo(np.int64).max)
        np.minimum.at(best, self.group, self.rank)
        return best


def groups_of(ordered: Ints) -> Bools:
    """Return where a new value begins in an array whose equal values lie together."""
    begins = np.ones(len(ordered), dtype=np.bool_)
    begins[1:] = ordered[1:] != ordered[:-1]
    return begins


def merge(graph: Graph, left: Ints, right: Ints, at: Ints, *, decided: bool) -> list[Conflict]:
    """Join groups by the edges of one class; return what was refused.

    Two groups may not be joined, not even through others, when a pair told apart lies between them or, unless a person
    `decided`, when each holds a key of the best kind; nor, unless decided, to more than `most_keys` keys.
    """
    exclusive = not decided
    best = graph.best_rank()
    one, other = graph.group[left], graph.group[right]
    apart = one != other
    direct = apart & (_among(one, other, graph.group[graph.pairs], len(graph.rank)))
    direct |= apart & (best[one] == 0) & (best[other] == 0) & exclusive
    ends = np.sort(np.column_stack([left, right])[direct]).tolist()
    refused = [Conflict("two_keys", two, two, [edge]) for two, edge in zip(ends, at[direct].tolist(), strict=True)]
    usable = apart & ~direct
    one, other, left, right, at = (array[usable] for array in (one, other, left, right, at))
    if not len(one):
        return refused
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(graph.rank)
    _, label = connected_components(coo_array((np.ones(len(one), np.int8), (one, other)), shape=(n, n)), directed=False)
    whole = label[graph.group].astype(np.int64)  # of every key, the component of its group
    mentioned = np.zeros(n, dtype=np.bool_)
    mentioned[one] = mentioned[other] = True
    groups = np.flatnonzero(mentioned)
    numbered = best[groups] == 0
    bad = np.zeros(n, dtype=np.bool_)
    if exclusive:
        bad |= np.bincount(label[groups[numbered]], minlength=n)[:n] > 1
    told_apart = whole[graph.pairs[:, 0]] == whole[graph.pairs[:, 1]]
    bad[whole[graph.pairs[told_apart, 0]]] = True
    sizes = np.bincount(whole, minlength=n)
    large = (sizes > graph.most_keys) & exclusive
    touched = np.zeros(n, dtype=np.bool_)
    touched[label[groups]] = True
    for component in np.flatnonzero(large & touched).tolist():
        keys = np.flatnonzero(whole == component)
        refused.append(Conflict("large_component", keys.tolist(), [], at[label[one] == component].tolist()))
    careful = bad & ~large
    calm = ~(bad | large)[label]  # by group
    joined = np.where(calm, _first_of(label, n), np.arange(n))
    if careful.any():
        inside = careful[label[one]]
        order = np.argsort(label[one[inside]], kind="stable")
        parts = [array[inside][order] for array in (one, other, left, right, at)]
        begins = np.flatnonzero(groups_of(label[parts[0]]))
        foes = _foes(graph, careful[whole[graph.pairs[:, 0]]] & told_apart)
        of_best_kind = (best == 0) & exclusive
        pieces = [np.split(array, begins[1:]) for array in parts]
        for piece in zip(*pieces, strict=True):
            refused += _careful(graph, joined, *piece, of_best_kind=of_best_kind, foes=foes)
    graph.group = joined[graph.group]
    return refused


def _first_of(label: npt.NDArray[np.int32], n: int) -> Ints:
    """Return for every group the least number in its component."""
    first = np.full(n, n)
    np.minimum.at(first, label, np.arange(n))
    return first[label]


def _among(one: Ints, other: Ints, pairs: Ints, n: int) -> Bools:
    """Return which of the pairs (one, other) are among some pairs, whichever of both comes first."""
    known = pairs.min(axis=1) * n + pairs.max(axis=1) if len(pairs) else np.zeros(0, dtype=np.int64)
    return np.isin(np.minimum(one, other) * n + np.maximum(one, other), known)


def _foes(graph: Graph, chosen: Bools) -> dict[int, set[int]]:
    """Return group → the groups it was told apart from."""
    foes: dict[int, set[int]] = {}
    pairs = graph.group[graph.pairs[chosen]]
    for a, b in pairs.tolist():
        foes.setdefault(a, set()).add(b)
        foes.setdefault(b, set()).add(a)
    return foes


def _careful(
    graph: Graph, joined: Ints, one: Ints, other: Ints, left: Ints, right: Ints, at: Ints, *,
    of_best_kind: Bools, foes: dict[int, set[int]],
) -> list[Conflict]:
    """Join what one component's edges join without doubt; what lies between keys that may not be joined stays apart.

    Terminals are the groups that may not be joined with some other. What remains of the component without them falls
    into pieces; a piece (or an edge between two terminals) that touches terminals of which some may not be joined,
    be it through further pieces, is undecided. No edge is preferred to another.
    """
    groups = np.unique(np.concatenate([one, other])).tolist()
    numbered = {group for group in groups if of_best_kind[group]}
    terminals = numbered | foes.keys() & set(groups)
    inner, outer = _Sets(groups), _Sets(groups)
    edges = list(zip(one.tolist(), other.tolist(), strict=True))
    for a, b in edges:
        if a not in terminals and b not in terminals:
            inner.union(a, b)
    touching: dict[int, set[int]] = {}
    for a, b in edges:
        for near, far in ((a, b), (b, a)):
            if near in terminals and far not in terminals:
                touching.setdefault(inner.find(far), set()).add(near)
        if a in terminals and b in terminals:
            outer.union(a, b)
    for reached in touching.values():
        first, *rest = sorted(reached)
        for terminal in rest:
            outer.union(first, terminal)
    unions: dict[int, list[int]] = {}
    for terminal in sorted(terminals):
        unions.setdefault(outer.find(terminal), []).append(terminal)
    hostile = {
        root for root, members in unions.items()
        if len(numbered.intersection(members)) > 1 or any(foes.get(m, set()) & set(members) for m in members)
    }
    result, refused = _Sets(groups), []
    undecided: dict[int, list[int]] = {}
    for place, (a, b) in enumerate(edges):
        if a in terminals and b in terminals:
            if outer.find(a) in hostile:
                ends = sorted((int(left[place]), int(right[place])))
                refused.append(Conflict("two_keys", ends, ends, [int(at[place])]))
            else:
                result.union(a, b)
            continue
        if a not in terminals and b not in terminals:
            result.union(a, b)
            continue
        piece = inner.find(b if a in terminals else a)
        terminal = a if a in terminals else b
        if len(touching[piece]) == 1 or outer.find(terminal) not in hostile:
            result.union(a, b)
        else:
            undecided.setdefault(piece, []).append(place)
    for _piece, places in sorted(undecided.items()):
        mine = sorted({int(right[p] if one[p] in terminals else left[p]) for p in places})
        theirs = sorted({int(left[p] if one[p] in terminals else right[p]) for p in places})
        refused.append(Conflict("shared_key", mine, theirs, at[places].tolist()))
        graph.shared[mine] = True
    for group in groups:
        joined[group] = result.find(group)
    return refused


class _Sets:
    """Disjoint sets whose representative is the least member."""

    def __init__(self, members: list[int]) -> None:
        self._parent = {member: member for member in members}

    def find(self, member: int) -> int:
        """Return the least member of a set."""
        parent = self._parent
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    def union(self, one: int, other: int) -> None:
        """Join two sets."""
        a, b = sorted((self.find(one), self.find(other)))
        self._parent[b] = a
