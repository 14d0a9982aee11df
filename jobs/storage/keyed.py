"""The heavy step of a keyed register, a task on one interval of ids: claims in, versions out.

A task takes the batch's slice of its interval, reads the register's rows of those entities alone, and writes what
changed and nothing else. Its memory is bounded by the interval, what it returns by the number of files.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from jobs.registers.claims import fresh_schema
from jobs.registers.fold import growth, replaced, replaced_schema
from jobs.registers.keyed import Terms, counting, merged, refolded
from jobs.storage.identification import REPLACED, VERSIONS, Work, telling
from jobs.storage.ledgers import Claims, newest
from jobs.storage.logs import Interval, Log

CLAIMS = "claims"


@dataclass(frozen=True)
class Tables:
    """Hold a keyed register as it stood before a commit; crosses processes.

    `claims` are those in force after the commit; `opening` is the commit that opened the register with rows from
    elsewhere, 0 for none.
    """

    claims: Claims
    versions: Log
    replaced: Log
    snapshot: Log
    opening: int

    def current(self, part: Interval, ids: pl.Series, before: int) -> pl.DataFrame:
        """Return the newest rows of some entities of an interval, removed ones included."""
        if ids.is_empty():
            return pl.DataFrame(schema=self.versions.schema).drop("_commit")
        known = pl.concat([self.snapshot.scan(part), self.versions.scan(part, after=self.snapshot.last)])
        mine = known.filter((pl.col("_commit") < before) & pl.col("_entity_id").is_in(ids.implode()))
        return newest(mine).drop("_commit").collect()

    def opened(self, part: Interval, ids: pl.Series) -> pl.DataFrame:
        """Return the rows that some entities of an interval had when the register was opened."""
        if not self.opening or ids.is_empty():
            return pl.DataFrame(schema=self.versions.schema).drop("_commit")
        first = self.versions.scan(part).filter(pl.col("_commit") == self.opening)
        return first.filter(pl.col("_entity_id").is_in(ids.implode())).drop("_commit").collect()


def merge(part: Interval, *, work: Work, terms: Terms, tables: Tables) -> pl.DataFrame:
    """Write the fresh claims on one interval of ids and the versions they make; return the files (`WRITTEN`)."""
    schema = fresh_schema(work.register, work.types)
    fresh = counting(work.found("fresh", schema).filter(part.holds("_key_id")).collect(), work.register)
    less = work.found("less", {"_key_id": pl.String}).filter(part.holds("_key_id")).collect()["_key_id"].unique()
    more = fresh.filter(~pl.col("_key_id").is_in(less.implode())) if less.len() else fresh
    current = tables.current(part, more["_key_id"].unique(), work.number)
    before = tables.current(part, less, work.number)
    changed = merged(current, more, terms)
    if less.len():
        left = tables.claims.scan(part).filter(pl.col("_key_id").is_in(less.implode())).select(list(schema)).collect()
        claims = pl.concat([left, fresh.filter(pl.col("_key_id").is_in(less.implode()))])
        changed = pl.concat([changed, refolded(tables.opened(part, less), claims, before, terms)])
    known = pl.concat([current, before])
    gone = replaced(changed, known, replaced_schema(work.register, work.types))
    written = pl.concat([
        tables.claims.log.written(fresh, CLAIMS, work.number), tables.versions.written(changed, VERSIONS, work.number),
        tables.replaced.written(gone, REPLACED, work.number),
    ])
    return telling(written, growth(changed, known))
