"""What changed between two snapshots of one table, exactly: the earlier one and the changes give the later one.

Without a key a table is a multiset of rows: rows are added and removed, a change is one of each. With a key a row
that both snapshots have under one key is changed, with its old and its new values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from jobs.errors import ReleaseRefused

OLD, NEW = "old.", "new."  # no column's name holds a dot, so that these can never be one
_TIMES = "_times"


@dataclass(frozen=True)
class Changes:
    """Hold the rows added and removed (the table's columns) and those changed (key, then `old.`/`new.` pairs).

    `changed` is None without a key. All are sorted bytewise by their columns.
    """

    added: pl.DataFrame
    removed: pl.DataFrame
    changed: pl.DataFrame | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows were added, removed and, with a key, changed."""
        found = {"added": self.added.height, "removed": self.removed.height}
        return found if self.changed is None else {**found, "changed": self.changed.height}


def comparable(before: pl.DataFrame, after: pl.DataFrame) -> bool:
    """Tell whether two snapshots have the same columns of the same types, in whatever order."""
    return dict(before.schema) == dict(after.schema)


def differences(before: pl.DataFrame, after: pl.DataFrame, key: Sequence[str] = ()) -> Changes:
    """Return what turns `before` into `after`, two comparable tables of any order.

    Raises ReleaseRefused when a key is not complete and unique in both.
    """
    columns = after.columns
    before = before.select(columns)
    if not key:
        return Changes(_surplus(after, before), _surplus(before, after))
    for table in (before, after):
        check_key(table, key)
    values = [name for name in columns if name not in key]
    both = before.join(after, on=list(key), how="inner", suffix="\0")
    differ = pl.any_horizontal([pl.lit(value=False), *[pl.col(n).ne_missing(pl.col(f"{n}\0")) for n in values]])
    sides = (("", OLD), ("\0", NEW))
    pairs = [pl.col(f"{name}{mark}").alias(f"{side}{name}") for name in values for mark, side in sides]
    return Changes(
        added=after.join(before, on=list(key), how="anti").sort(columns),
        removed=before.join(after, on=list(key), how="anti").sort(columns),
        changed=both.filter(differ).select(*key, *pairs).sort(list(key)),
    )


def applied(before: pl.DataFrame, changes: Changes, key: Sequence[str] = ()) -> pl.DataFrame:
    """Return the later snapshot from the earlier one and the changes, sorted bytewise by its columns.

    Raises ReleaseRefused when a row that the changes remove or change is not there.
    """
    columns = changes.added.columns
    gone, come = [changes.removed], [changes.added]
    if changes.changed is not None:
        values = [name for name in columns if name not in key]
        for side, rows in ((OLD, gone), (NEW, come)):
            named = [pl.col(f"{side}{name}").alias(name) for name in values]
            rows.append(changes.changed.select(*key, *named).select(columns))
    left = _summed([(before.select(columns), 1), *[(rows, -1) for rows in gone], *[(rows, 1) for rows in come]])
    if left.filter(pl.col(_TIMES) < 0).height:
        raise ReleaseRefused("the changes remove rows that the earlier version does not have.", layer="open")
    return _repeated(left)


def check_key(table: pl.DataFrame, key: Sequence[str]) -> None:
    """Raise ReleaseRefused when the columns of a key have a null or do not tell all rows apart."""
    named = ", ".join(key)
    if table.select(pl.any_horizontal(pl.col(list(key)).is_null()).any()).item():
        raise ReleaseRefused(f"the key ({named}) is null in some rows.", layer="open", remedy="release.key: none.")
    if table.select(pl.struct(list(key)).n_unique()).item() != table.height:
        raise ReleaseRefused(f"the key ({named}) is not unique.", layer="open", remedy="release.key: none.")


def _surplus(rows: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that one multiset has more often than another, as often as that, sorted."""
    return _repeated(_summed([(rows, 1), (other.select(rows.columns), -1)]))


def _summed(parts: Sequence[tuple[pl.DataFrame, int]]) -> pl.DataFrame:
    columns = parts[0][0].columns
    signed = [rows.with_columns(pl.lit(sign, pl.Int64).alias(_TIMES)) for rows, sign in parts]
    return pl.concat(signed).group_by(columns).agg(pl.col(_TIMES).sum())


def _repeated(counted: pl.DataFrame) -> pl.DataFrame:
    """Return each row as often as it is counted, sorted bytewise; rows counted below one are not there."""
    rows = counted.filter(pl.col(_TIMES) > 0)
    index = rows.select(pl.int_range(pl.len()).repeat_by(_TIMES).explode()).to_series().drop_nulls()
    columns = [name for name in counted.columns if name != _TIMES]
    return rows.select(columns)[index].sort(columns)
