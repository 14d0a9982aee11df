"""Time and memory of the id map at the size of a large city: 10 M keys, 3 M edges.

    python tests/benchmarks/identities.py [KEYS] [EDGES]

Keys are of three kinds, most stand alone; edges join a best key to lesser ones, one in five hundred to a second best
key as well, so that the careful path has thousands of components to look at. Prints one JSON line.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
import polars as pl

from jobs.registers.assertions import SCHEMA
from jobs.registers.identities import identities

RANKS = {"organisation_code": 0, "credit_code": 1, "registration_number": 2, "taxpayer_number": 3}
ALPHABET = np.frombuffer(b"234567ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)


def names(numbers: np.ndarray) -> pl.Series:
    """Return 26 characters of base32 per number, scattered as entity ids are."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    digits = np.empty((len(numbers), 26), dtype=np.uint8)
    for place in range(26):
        digits[:, place] = ALPHABET[(mixed >> np.uint64(place * 5 % 59)) & np.uint64(31)]
    digits[:, 13:20] = ALPHABET[(numbers[:, None] // 32 ** np.arange(7)) % 32]
    return pl.Series(digits.view("S26").ravel().astype("U26"))


def ledger(keys: int, edges: int, chance: np.random.Generator) -> pl.DataFrame:
    """Return assertions in force: `edges` edges among `keys` keys, the best kind first."""
    best = keys // 2
    right = chance.choice(np.arange(best, keys), edges, replace=False)
    left = chance.integers(0, best, edges)
    doubled = chance.choice(edges, edges // 500, replace=False)
    left = np.concatenate([left, chance.integers(0, best, len(doubled))])
    right = np.concatenate([right, right[doubled]])
    kinds = np.array(list(RANKS))[1 + right % 3]
    rows = pl.DataFrame({
        "id": [f"{number:032x}" for number in range(len(left))], "judgement": "same", "subject": names(left),
        "left": names(left), "left_kind": "organisation_code", "right": names(right), "right_kind": kinds,
        "evidence": "{}", "rule": "co_occurrence@1",
    })
    return rows.with_columns(
        [pl.lit(None, kind).alias(name) for name, kind in SCHEMA.items() if name not in rows.columns]
    ).select(list(SCHEMA))


def main(keys: int = 10_000_000, edges: int = 3_000_000) -> None:
    """Fold once and print the figures."""
    force = ledger(keys, edges, np.random.default_rng(1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    found = identities(force, RANKS, most_keys=50)
    print(json.dumps({
        "keys": keys, "edges": force.height, "seconds": round(time.monotonic() - started, 1),
        "redirects": found.map.filter(pl.col("state") == "redirect").height, "conflicts": len(found.conflicts),
        "peak_GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "before_GiB": round(before / 2**20, 2),
    }))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
