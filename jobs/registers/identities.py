"""The id map: which entity every key belongs to, as a pure fold over the assertions in force.

Assertions are taken class by class, the surest first: a person's decision, arithmetic, rows that name both keys, a
model. Within a class no edge is preferred to another: where edges would join two keys that may not be joined (told
apart by a person, or both of the best kind), everything between them is ambiguous rather than one side's by chance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.registers.assertions import (
    ARITHMETIC,
    CLASH,
    CO_OCCURRENCE,
    DIFFERENT,
    PERSON,
    PLACEHOLDER,
    SAME,
    UNSURE,
    parties_of,
)
from jobs.registers.components import Conflict, Graph, groups_of, merge

Ints = npt.NDArray[np.int64]

ACTIVE, REDIRECT, AMBIGUOUS, HELD = "active", "redirect", "ambiguous", "held"
_CLASSES = {PERSON: 0, ARITHMETIC: 1, CO_OCCURRENCE: 2}
_MODEL = 3

# Only ids of which more is to say than "itself": `entity` is where claims under the id go, `state` how it resolves.
MAP: dict[str, Any] = {
    "id": pl.String,
    "kind": pl.String,
    "state": pl.String,
    "entity": pl.String,
    "entity_kind": pl.String,
    "parties": pl.List(pl.String),
    "why": pl.String,
}


@dataclass
class Identities:
    """Hold the id map (`MAP`, by id) and what stands against a merge: conflicts, each with its keys and edges."""

    map: pl.DataFrame
    conflicts: list[dict[str, Any]] = field(default_factory=list)


def identities(force: pl.DataFrame, ranks: Mapping[str, int], most_keys: int) -> Identities:
    """Fold assertions in force into the id map.

    `ranks` orders the kinds of key, best 0. An entity's id is that of its first key by (rank, id) that no decision took
    apart. A component of more than `most_keys` keys is held: nothing in it is merged. Takes 3 M edges on two cores in
    well under three minutes (`tests/benchmarks/identities.py`).
    """
    graph, ids, kinds = _graph(force, ranks, most_keys)
    if not ids.len():
        return Identities(pl.DataFrame(schema=MAP))
    edges = _edges(force, ids)
    conflicts: list[Conflict] = []
    for number in range(_MODEL + 1):
        chosen = edges.filter(pl.col("_class") == number)
        left, right, at = (chosen[name].to_numpy() for name in ("_left", "_right", "_at"))
        if number == _CLASSES[CO_OCCURRENCE]:
            for one in (shared := _shared(graph, left, right)):
                graph.shared[one.keys] = True
            conflicts += shared
        if number > 0:
            closed = graph.shared[left] | graph.shared[right] | graph.disputed[right]
            closed |= graph.disputed[left] & (number == _MODEL)
            left, right, at = left[~closed], right[~closed], at[~closed]
        conflicts += merge(graph, left, right, at, decided=number == 0)
    return _finished(force, graph, ids, kinds, conflicts)


def _graph(force: pl.DataFrame, ranks: Mapping[str, int], most_keys: int) -> tuple[Graph, pl.Series, pl.Series]:
    """Return the keys of the assertions, numbered by id, with what is known of each."""
    parts = [force.select(id="left", kind="left_kind"), force.select(id="right", kind="right_kind")]
    split = _split(force)
    parts.append(split.select("id", "kind"))
    keys = pl.concat(parts).filter(pl.col("id").is_not_null()).unique("id", keep="any").sort("id")
    ids, kinds = keys["id"], keys["kind"]
    rank = kinds.replace_strict(dict(ranks), default=len(ranks), return_dtype=pl.Int64).to_numpy()
    disputed = ids.is_in(_disputed(force).implode()) | ids.is_in(split["key"].implode())
    apart = force.filter((pl.col("judgement") == DIFFERENT) & pl.col("right").is_not_null()).select("left", "right")
    siblings = split.join(split, on="key", suffix="_other").filter(pl.col("id") < pl.col("id_other"))
    apart = pl.concat([apart, siblings.select(left="id", right="id_other")])
    pairs = np.column_stack([_places(apart["left"], ids), _places(apart["right"], ids)])
    return Graph.of(rank, disputed.to_numpy(), pairs, most_keys), ids, kinds


def _split(force: pl.DataFrame) -> pl.DataFrame:
    """Return the parties that decisions tell apart under one key: id, kind, key."""
    decided = force.filter(
        (pl.col("rule") == PERSON) & (pl.col("judgement") == DIFFERENT) & pl.col("right").is_null()
    )
    rows = [
        (party["id"], kind, key)
        for key, kind, parties in decided.select("subject", "left_kind", "parties").iter_rows()
        for party in json.loads(parties or "[]")
    ]
    return pl.DataFrame(rows, orient="row", schema={"id": pl.String, "kind": pl.String, "key": pl.String})


def _disputed(force: pl.DataFrame) -> pl.Series:
    return force.filter(pl.col("rule").is_in([CLASH, PLACEHOLDER]) & (pl.col("judgement") == UNSURE))["subject"]


def _edges(force: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """Return the `same` edges as numbers of keys, with their class and their place in `force`."""
    kind = pl.col("rule").replace_strict(_CLASSES, default=_MODEL, return_dtype=pl.Int8)
    found = force.with_row_index("_at").filter((pl.col("judgement") == SAME) & pl.col("right").is_not_null())
    numbers = pl.DataFrame({"id": ids}).with_row_index("_number")
    for side in ("left", "right"):
        found = found.join(
            numbers.rename({"id": side, "_number": f"_{side}"}), on=side, how="left", maintain_order="left"
        )
    return found.select(
        kind.alias("_class"), pl.col("_left").cast(pl.Int64), pl.col("_right").cast(pl.Int64),
        pl.col("_at").cast(pl.Int64),
    )


def _places(values: pl.Series, ids: pl.Series) -> Ints:
    return ids.search_sorted(values).to_numpy().astype(np.int64) if len(values) else np.zeros(0, dtype=np.int64)


def _shared(graph: Graph, left: Ints, right: Ints) -> list[Conflict]:
    """Return the keys that rows attach to several better keys of one kind which nothing joins: contested."""
    rank, group = graph.rank, graph.group
    swap = rank[left] > rank[right]
    better, worse = np.where(swap, right, left), np.where(swap, left, right)
    usable = (rank[better] < rank[worse]) & (graph.best_rank()[group[worse]] >= rank[worse])
    rows = pl.DataFrame({"worse": worse[usable], "rank": rank[better[usable]], "group": group[better[usable]],
                         "better": better[usable]})
    apart = pl.DataFrame({"worse": graph.pairs.ravel(), "better": graph.pairs[:, ::-1].ravel()})
    rows = rows.join(apart, on=["worse", "better"], how="anti")
    crowded = rows.group_by("worse", "rank").agg(pl.col("group").n_unique().alias("n")).filter(pl.col("n") > 1)
    found = rows.join(crowded.select("worse").unique(), on="worse", how="semi")
    return [
        Conflict("shared_key", [int(worse)], sorted(set(parties)), [])
        for worse, parties in found.group_by("worse").agg("better").sort("worse").iter_rows()
    ]


def _finished(
    force: pl.DataFrame, graph: Graph, ids: pl.Series, kinds: pl.Series, conflicts: list[Conflict]
) -> Identities:
    """Return the map of all ids that do not simply stand for themselves."""
    n = ids.len()
    taken = ids.is_in(_split(force)["key"].implode()).to_numpy()  # a key taken apart names no entity any more
    order = np.lexsort((np.arange(n), graph.rank, taken, graph.group))
    firsts = order[groups_of(graph.group[order])]
    chosen = np.empty(n, dtype=np.int64)
    chosen[graph.group[firsts]] = firsts
    entity = chosen[graph.group]
    state = np.where(entity != np.arange(n), REDIRECT, ACTIVE).astype(object)
    parties: dict[int, list[int]] = {}
    why: dict[int, str] = {}
    told: list[dict[str, Any]] = []
    assertions = force["id"]
    for one in conflicts:
        kind = one.kind
        for key in one.keys:
            if kind == "large_component":
                state[key] = HELD
            elif kind != "two_keys":
                state[key] = AMBIGUOUS
                parties[key] = sorted({int(entity[other]) for other in one.parties})
            if kind != "two_keys":
                why[key] = kind
        told.append({
            "kind": kind, "keys": [{"id": ids[key], "kind": kinds[key]} for key in one.keys],
            "parties": [{"id": ids[key], "kind": kinds[key]} for key in one.parties],
            "edges": sorted(assertions[at] for at in one.edges),
        })
    rows = pl.DataFrame({
        "id": ids, "kind": kinds, "state": pl.Series(state, dtype=pl.String),
        "entity": ids.gather(entity), "entity_kind": kinds.gather(entity),
    })
    named = pl.DataFrame(
        [(ids[key], reason, [ids[one] for one in parties[key]] if key in parties else None)
         for key, reason in why.items()],
        schema={"id": pl.String, "why": pl.String, "parties": pl.List(pl.String)}, orient="row",
    )
    rows = rows.join(named, on="id", how="left", maintain_order="left")
    rows = _with_disputes(rows, force)
    return Identities(
        rows.filter(pl.col("state") != ACTIVE).select(pl.col(name).cast(kind) for name, kind in MAP.items()), told
    )


def _with_disputes(rows: pl.DataFrame, force: pl.DataFrame) -> pl.DataFrame:
    """Return the map with keys that contradict themselves: in dispute, standing for nobody, or taken apart."""
    found: dict[str, tuple[str, list[str], str]] = {}
    keyed = force.filter(pl.col("right").is_null()).select("subject", "judgement", "rule", "parties", "evidence")
    named = pl.concat([keyed["subject"], parties_of(force)])
    entities = dict(rows.filter(pl.col("id").is_in(named.implode())).select("id", "entity").iter_rows())
    for key, judgement, rule, parties, evidence in keyed.sort(pl.col("rule") != PERSON).iter_rows():
        told = json.loads(parties or "[]")
        if rule == PERSON and judgement == DIFFERENT:
            apart = sorted(entities.get(party["id"], party["id"]) for party in told)
            found[key] = (AMBIGUOUS if told else HELD, apart, "decision")
        elif rule == PLACEHOLDER and key not in found:
            found[key] = (HELD, [], "placeholder")
        elif rule == CLASH and key not in found:
            anchored = json.loads(evidence)["anchored"]
            lead = [entities.get(key, key)] if anchored else []
            found[key] = (AMBIGUOUS, lead + [one["party"] for one in told[len(lead):]], "contested_key")
    table = pl.DataFrame(
        [(key, *rest) for key, rest in found.items()], orient="row",
        schema={"id": pl.String, "_state": pl.String, "_parties": pl.List(pl.String), "_why": pl.String},
    )
    joined = rows.join(table, on="id", how="left", maintain_order="left")
    return joined.with_columns(
        pl.coalesce("_state", "state").alias("state"), pl.coalesce("_parties", "parties").alias("parties"),
        pl.coalesce("_why", "why").alias("why"),
    )
