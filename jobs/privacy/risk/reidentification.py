"""The risk that a row is put to a name: prosecutor, journalist and marketer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from jobs.errors import RequestError
from jobs.privacy.risk.classes import Classes, Counts

_BITS = 200  # after the point, in sums of shares


@dataclass(frozen=True)
class Risk:
    """Hold the highest and mean risk over rows, and the share of rows whose risk is above a threshold."""

    max: float
    avg: float
    share_above: float


@dataclass(frozen=True)
class Population:
    """Hold how many people of the population share each class's tuple, and where that contradicts the table.

    `sizes` is parallel to the classes, never below the class's own size. `missing` counts classes that nobody of the
    population is in, `raised` those with fewer people than rows; both were set to the class's size.
    """

    rows: int
    sizes: Counts
    missing: int
    raised: int


def population_sizes(classes: Classes, population: pl.LazyFrame) -> Population:
    """Count exactly how many of a population share each class's tuple (F_j, not estimated).

    Columns are matched by name, and as text where the two tables store them differently. Raises RequestError for a
    quasi-identifier that the population lacks.
    """
    names, stored = classes.tuples.columns, population.collect_schema()
    for name in names:
        if name not in stored.names():
            raise RequestError(
                "the population has no such column.", where=name, remedy=f"columns: {', '.join(stored.names())}."
            )
    tuples = classes.tuples
    differ = [name for name in names if stored[name] != tuples.schema[name]]
    as_text = [pl.col(name).cast(pl.String) for name in differ]
    people = population.select(names).with_columns(as_text).group_by(names)
    counted = people.agg(pl.len().cast(pl.Int64).alias("__people")).collect(engine="streaming")
    found = tuples.with_columns(as_text).join(
        counted, on=names, how="left", nulls_equal=True, maintain_order="left"
    )
    sizes: Counts = found["__people"].fill_null(0).to_numpy()
    return Population(
        rows=int(counted["__people"].sum()),
        sizes=np.maximum(sizes, classes.sizes),
        missing=int((sizes == 0).sum()),
        raised=int(((sizes > 0) & (sizes < classes.sizes)).sum()),
    )


def prosecutor(classes: Classes, threshold: float) -> Risk | None:
    """Return the risk when the attacker knows that the person is in the table: 1/f_j for a row of class j.

    Mean over rows: J/n (El Emam & Dankar 2008). None when no row is in a class.
    """
    return _risk(classes.sizes, classes.sizes, threshold)


def journalist(classes: Classes, population: Population | None, threshold: float) -> Risk | None:
    """Return the risk when the attacker does not know who is in the table: 1/F_j for a row of class j.

    Highest 1/min F_j; mean max(J/ΣF_j, Σ(f_j/F_j)/n), ΣF_j over the table's classes (El Emam & Dankar 2008; as
    GB/T 42460 is implemented). Without a population F_j = f_j, the least it can be: an upper bound, equal to the
    prosecutor's.
    """
    if population is None:
        return prosecutor(classes, threshold)
    risk = _risk(classes.sizes, population.sizes, threshold)
    if risk is None:
        return None
    found = len(classes.sizes) / int(population.sizes.sum())
    return Risk(risk.max, max(risk.avg, found), risk.share_above)


def marketer(classes: Classes, population: Population | None) -> float | None:
    """Return the expected share of rows put to the right name when all are tried: Σ(f_j/F_j)/n.

    Without a population J/n (El Emam & Dankar 2008).
    """
    risk = _risk(classes.sizes, classes.sizes if population is None else population.sizes, 1.0)
    return None if risk is None else risk.avg


def class_average(sizes: Counts) -> float:
    """Return the mean of 1/f_j over classes (not rows): R_avg of GB/T 42460 annex D, as implemented."""
    size, count = np.unique(sizes, return_counts=True)
    return _mean_of_shares(count, size, len(sizes))


def _mean_of_shares(parts: Counts, sizes: Counts, over: int) -> float:
    """Return Σ(part/size)/over, rounded once: equal shares have themselves as their mean, not their neighbour."""
    shares = ((int(part) << _BITS) // int(size) for part, size in zip(parts, sizes, strict=True))
    return sum(shares) / (over << _BITS)


def _risk(rows: Counts, people: Counts, threshold: float) -> Risk | None:
    if not len(rows):
        return None
    n = int(rows.sum())
    size, place = np.unique(people, return_inverse=True)
    held = np.bincount(place, weights=rows).astype(np.int64)  # rows by the size of their group
    mean = _mean_of_shares(held, size, n)
    if rows is people:
        mean = len(rows) / n  # the same sum, without its roundings
    above = int(held[1 / size > threshold].sum())
    return Risk(max=1 / int(size[0]), avg=mean, share_above=above / n)
