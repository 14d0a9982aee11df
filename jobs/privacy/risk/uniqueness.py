"""Special uniques: rows that stand alone on a few columns already, and are easy to find for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import polars as pl

from jobs.privacy.risk.classes import Classes, Counts

LARGEST = 3
_DENSE = 1 << 24  # up to here counts go into an array with a place for every combination


def minimal_uniques(classes: Classes, largest: int = LARGEST) -> tuple[int, dict[int, int]]:
    """Return (special uniques, minimal sample uniques by size) up to a number of columns.

    A minimal sample unique is a set of columns on which a row is unique while it is so on no proper subset; a special
    unique is a row with at least one of them (SUDA: Elliot, Manning & Ford 2002; here by full enumeration). Whoever is
    unique on some columns is unique on all, so only rows alone in their class are looked at.
    """
    columns = list(classes.codes.values())
    alone = np.flatnonzero(classes.sizes == 1)
    found: dict[tuple[int, ...], np.ndarray] = {}
    by_size: dict[int, int] = {}
    special = np.zeros(len(alone), dtype=bool)
    for size in range(1, min(largest, len(columns)) + 1):
        by_size[size] = 0
        for chosen in combinations(range(len(columns)), size):
            unique = _unique_on([columns[i] for i in chosen], classes.sizes, alone)
            for smaller in range(1, size):
                for part in combinations(chosen, smaller):
                    unique &= ~found[part]
            found[chosen] = unique
            by_size[size] += int(unique.sum())
            special |= unique
    return int(special.sum()), by_size


def _unique_on(columns: Sequence[Counts], sizes: Counts, alone: Counts) -> np.ndarray:
    """Tell which of the rows `alone` share their values on some columns with nobody."""
    key, span = np.zeros(len(sizes), dtype=np.int64), 1
    for codes in columns:
        width = int(codes.max(initial=0)) + 1
        if span * width >= 1 << 62:
            key, span = np.unique(key, return_inverse=True)[1], len(key)
        key, span = key * width + codes, span * width
    if span <= _DENSE:
        unique: np.ndarray = np.bincount(key, weights=sizes, minlength=span)[key[alone]] == 1
        return unique
    rows = pl.DataFrame({"key": key, "rows": sizes}).group_by("key").agg(pl.col("rows").sum())
    sought = pl.DataFrame({"key": key[alone]}).join(rows, on="key", how="left", maintain_order="left")
    return (sought["rows"] == 1).to_numpy()
