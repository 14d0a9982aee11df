"""Follow a register: a product's rows that come and go with its entities, rows of small groups withheld.

Rows are multisets: a product need not tell its rows apart. Signed rows say in `_change` how many of a row come (above
0) or go (below 0).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from jobs.contract import Contract
from jobs.errors import StorageError
from jobs.register import Register
from jobs.sets.products import joined

CHANGE, ROWS = "_change", "_rows"
SUFFIXES = ("_changes", "_groups", "_withheld")  # of the names of a product's tables beside gold
_ENTITY = "_entity_id"
Protection = Callable[[pl.DataFrame], pl.DataFrame]


class NotThereError(StorageError):
    """Say that what is to be taken away is not there: a table is not what it was made from."""


def follows(contract: Contract, register: Register | None) -> bool:
    """Tell whether a product may follow its register: it is made row by row of what entities are, and of one register.

    From where and since when a value is so is not kept of what a version replaced.
    """
    source = contract.from_
    if register is None or source is None or source.register_ != register.name or source.join:
        return False
    used = {*source.where, *(field.from_ or name for name, field in contract.fields.items())}
    return used <= {_ENTITY, "_status", *register.fields}


def turned(before: pl.DataFrame, now: pl.DataFrame, contract: Contract, protection: Protection) -> pl.DataFrame:
    """Return what comes and goes in a product as entities change: signed rows of gold.

    `before` and `now` are register rows in force, each entity at most once; `protection` takes the product's fields to
    gold's columns, row by row. An entity of which gold would say the same neither comes nor goes.
    """
    source = contract.from_
    assert source is not None
    made = [joined(rows.lazy(), (), source, contract.fields, also=[_ENTITY]) for rows in (before, now)]
    came = [rows.with_columns(pl.lit(sign, pl.Int8).alias(CHANGE)) for rows, sign in zip(made, (-1, 1), strict=True)]
    signed = _unlike(pl.concat(came).collect())
    gold = protection(signed.drop(_ENTITY, CHANGE))
    return _unlike(gold.with_columns(signed[_ENTITY], signed[CHANGE])).drop(_ENTITY)


def _unlike(signed: pl.DataFrame) -> pl.DataFrame:
    """Return signed rows without those of entities that say the same before and after."""
    placed = signed.select(_ENTITY, CHANGE).with_row_index("_at")
    was, now = (placed.filter(pl.col(CHANGE) == sign).drop(CHANGE) for sign in (-1, 1))
    pairs = was.join(now, on=_ENTITY, suffix="_now")
    same = pl.repeat(value=True, n=pairs.height, eager=True)
    for name in signed.columns:
        if name not in (_ENTITY, CHANGE):
            values = signed[name]
            same &= values.gather(pairs["_at"]).eq_missing(values.gather(pairs["_at_now"]))
    alike = pairs.filter(same)
    there = np.ones(signed.height, dtype=np.bool_)
    there[alike["_at"].to_numpy()] = there[alike["_at_now"].to_numpy()] = False
    return signed.filter(pl.Series(there))


def net(signed: pl.LazyFrame) -> pl.LazyFrame:
    """Return signed rows, equal ones as one; what comes as often as it goes is left out."""
    columns = [name for name in signed.collect_schema().names() if name != CHANGE]
    return signed.group_by(columns).agg(pl.col(CHANGE).cast(pl.Int64).sum()).filter(pl.col(CHANGE) != 0)


def after(rows: pl.LazyFrame, signed: pl.LazyFrame) -> pl.LazyFrame:
    """Return rows after signed changes, in any order; raise NotThereError when a row goes that is not there."""
    changes = net(signed).collect(engine="streaming")
    gone, come = changes.filter(pl.col(CHANGE) < 0), changes.filter(pl.col(CHANGE) > 0)
    kept = [rows, _repeated(come).lazy()]
    if gone.height:
        columns = [name for name in gone.columns if name != CHANGE]
        met = rows.join(gone.lazy(), on=columns, how="semi", nulls_equal=True)
        met = met.with_columns(pl.lit(1, pl.Int64).alias(CHANGE)).select(gone.columns)
        kept[0] = rows.join(gone.lazy(), on=columns, how="anti", nulls_equal=True)
        kept.append(_repeated(net(pl.concat([met, gone.lazy()])).collect(engine="streaming")).lazy())
    names = rows.collect_schema().names()
    return pl.concat([one.select(names) for one in kept])


def _repeated(counted: pl.DataFrame) -> pl.DataFrame:
    """Return rows as often as they are counted."""
    _check(counted[CHANGE])
    places = pl.int_range(pl.len()).repeat_by(CHANGE).explode()
    return counted.select(pl.all().exclude(CHANGE).gather(places)) if counted.height else counted.drop(CHANGE)


def _check(counts: pl.Series) -> None:
    """Raise NotThereError for less than never."""
    if (counts < 0).any():
        raise NotThereError(
            "what is to be taken away is not there.", layer="gold",
            remedy="`lake run desensitise` makes the product's gold anew.",
        )


def counted(signed: pl.DataFrame, of: Sequence[str]) -> pl.DataFrame:
    """Return by how many rows signed ones change each group (`of`, `_rows`)."""
    return signed.group_by(of).agg(pl.col(CHANGE).cast(pl.Int64).sum().alias(ROWS))


def in_groups(rows: pl.DataFrame, groups: pl.DataFrame, of: Sequence[str]) -> pl.Series:
    """Tell (Boolean) which rows are of some groups."""
    marked = groups.select(of).with_columns(pl.lit(value=True).alias(ROWS))
    found = rows.select(of).join(marked, on=list(of), how="left", nulls_equal=True, maintain_order="left")
    return found[ROWS].fill_null(value=False)


def met(rows: pl.LazyFrame, groups: pl.DataFrame) -> pl.LazyFrame:
    """Return the rows of some groups, which are few: what says that a row is of none is read before the rest of it."""
    of = groups.columns
    maybe = [pl.col(name).is_in(groups[name].unique().implode(), nulls_equal=True) for name in of]
    return rows.filter(*maybe).join(groups.lazy(), on=of, how="semi", nulls_equal=True)


@dataclass(frozen=True)
class Withheld:
    """Hold what a product keeps out of gold: the sizes of all groups (`of`, `_rows`), and the rows of small ones."""

    sizes: pl.DataFrame
    rows: pl.DataFrame

    def large(self, below: int) -> pl.DataFrame:
        """Return the groups that gold may show."""
        return self.sizes.filter(pl.col(ROWS) >= below)

    def moved(
        self, changes: pl.DataFrame, small: pl.DataFrame, of: Sequence[str], below: int,
        shown: Callable[[pl.DataFrame], pl.DataFrame],
    ) -> tuple[Withheld, pl.DataFrame]:
        """Return what is withheld after changes, and the signed rows by which groups that grew or shrank move.

        `changes`: of the groups (`counted`); `small`: the signed rows of groups that were small. `shown` is asked once
        for the rows that gold has of some groups, those of large ones changed already.
        """
        sizes = net(pl.concat([self.sizes, changes]).lazy().rename({ROWS: CHANGE})).collect().rename({CHANGE: ROWS})
        _check(sizes[ROWS])
        large = sizes.filter(pl.col(ROWS) >= below)
        before = self.large(below)
        fallen = before.filter(~in_groups(before, large, of)).select(of)
        one = pl.lit(1, pl.Int64).alias(CHANGE)
        dropped = shown(fallen) if fallen.height else self.rows.clear()
        columns = self.rows.columns
        waiting = [self.rows.with_columns(one), small.select(*columns, pl.col(CHANGE).cast(pl.Int64))]
        pool = _repeated(net(pl.concat(waiting).lazy()).collect())
        grown = in_groups(pool, large, of)
        rows = pl.concat([pool.filter(~grown), dropped.select(columns)])
        moving = [pool.filter(grown).with_columns(one), dropped.select(columns).with_columns(-one)]
        return Withheld(sizes, rows), pl.concat(moving)
