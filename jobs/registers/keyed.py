"""Keyed registers: the key alone says who is who, so a row takes the better of what it has and what comes in.

For every field the greater statement wins in one total order (by the field's policy: rank of the source before moment,
or moment before rank; then value, then dataset), so rows may take statements in at any time, in any number of pieces,
to the same end. Moments are points in time: what corrects another statement is later, whenever it was delivered. No
join is wider than the statements of one source, and little is sorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from jobs.contract import TypeSpec
from jobs.register import Register, RegisterField
from jobs.registers.claims import OF_KEY, claim_schema
from jobs.registers.fold import ACTIVE, ENDED, REMOVED, register_schema

SPEAKER = ("_dataset", "_role")
_NEW = "\0"  # marks what a claim says beside what the row has


@dataclass(frozen=True)
class Terms:
    """Hold by what rule claims win: the register, its types, and what its datasets may say.

    `says`: (dataset, role) → the register's fields it speaks about; `ending`: lead datasets that can end an entity.
    """

    register: Register
    types: Mapping[str, TypeSpec]
    says: Mapping[tuple[str, str], Sequence[str]]
    ending: frozenset[str]

    @property
    def schema(self) -> dict[str, Any]:
        """Return the columns of a register row."""
        return register_schema(self.register, self.types)

    @property
    def claim_schema(self) -> dict[str, Any]:
        """Return the columns of a claim."""
        return claim_schema(self.register, self.types)

    def nobody(self) -> pl.DataFrame:
        """Return no register row."""
        return pl.DataFrame(schema=self.schema)


def counting(claims: pl.DataFrame, register: Register) -> pl.DataFrame:
    """Return the claims of whole deliveries that count (`Register.speaks`): all, or of each entity's rows the newest.

    The newest of a delivery's rows about one entity in one role is so by moment, then file and row.
    """
    if register.speaks == "every_row":
        return claims
    found = [claims.clear()]
    for said in _apart(claims, (*SPEAKER, "_batch_id")):
        several = said["_key_id"].is_duplicated()  # few are: only those are put in order
        ordered = said.filter(several).sort("_as_of", "_source_file", "_source_row", descending=True)
        found += [said.filter(~several), ordered.unique("_key_id", keep="first", maintain_order=True)]
    return pl.concat(found)


def _apart(claims: pl.DataFrame, by: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield the claims of each value of some columns; the values are few, so that looking through for each is cheap."""
    for one in claims.select(by).unique(maintain_order=True).iter_rows():
        yield claims.filter(pl.all_horizontal(pl.col(name) == value for name, value in zip(by, one, strict=True)))


def _layers(claims: pl.DataFrame, terms: Terms) -> Iterator[pl.DataFrame]:
    """Yield claims of one dataset and role at a time, each entity at most once; those that cannot win may be left out.

    Several claims of one source about one entity are few, or many deliveries' that are taken in again: then only those
    are looked at of which a field, or the standing, is the best.
    """
    for said in _apart(claims, SPEAKER):
        fields = terms.says.get(said.select(SPEAKER).row(0), ())
        times = pl.len().over("_key_id")
        once, left = said.filter(times == 1), said.filter(times > 1)
        if once.height:
            yield once
        if left.height and left.group_by("_key_id").len().filter(pl.col("len") > len(fields) + 1).height:
            left = _best_of_source(left, fields, terms)
        number = pl.int_range(pl.len()).over("_key_id").alias("_number")
        for _, layer in left.with_columns(number).group_by("_number", maintain_order=True):
            yield layer.drop("_number")


def _best_of_source(said: pl.DataFrame, fields: Sequence[str], terms: Terms) -> pl.DataFrame:
    """Return the claims of one source of which a field is its best about the entity: by moment, then value."""
    numbered = said.with_row_index("_place")
    best = []
    for name in ("_withdrawn", *fields):
        speaks = name == "_withdrawn" or terms.register.fields[name].null == "clears"
        told = numbered if speaks else numbered.filter(pl.col(name).is_not_null())
        order = pl.col("_place").sort_by("_as_of", name, nulls_last=False).last()
        best.append(told.group_by("_key_id").agg(order)["_place"])
    places = pl.concat(best).unique().sort()
    return said[places]


def merged(current: pl.DataFrame, claims: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Return the rows that claims make or change, as they are then.

    `current` are register rows (`Terms.schema`, one per entity) of at least the claims' entities that have one; a
    removed one counts as none. `claims` are claims that count (`counting`). Same columns, in any order.
    """
    known = current.filter(pl.col("_status") != REMOVED)
    own = {name: f"{name}{OF_KEY}" for name in terms.register.of_key}
    new = claims.select(_entity_id="_key_id", _kind="_kind", **own).unique("_entity_id", keep="any")
    new = new.join(known, on="_entity_id", how="anti")
    rows = pl.concat([known, new], how="diagonal").with_columns(_changed=pl.col("_status").is_null())
    for said in _layers(claims, terms):
        rows = _heard(rows, said, terms)
    changed = rows.filter("_changed").with_columns(pl.col("_status").fill_null(ACTIVE))
    return changed.select(list(terms.schema))


def refolded(opening: pl.DataFrame, claims: pl.DataFrame, current: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Return the rows of entities whose claims became fewer that differ from the current ones.

    `opening` are the rows the register was opened with, `claims` all that are left, `current` the rows as they are, of
    the same entities. One about which nothing is left is `removed`. Same columns, in any order.
    """
    schema = terms.schema
    found = pl.concat([opening.select(list(schema)), merged(opening, claims, terms)])
    found = found.unique("_entity_id", keep="last")
    changed = found.join(current, on=list(schema), how="anti", nulls_equal=True)
    gone = current.filter(pl.col("_status") != REMOVED).join(found, on="_entity_id", how="anti")
    kept = ("_entity_id", "_kind")
    emptied = gone.select(
        pl.col(name) if name in kept else pl.lit(REMOVED if name == "_status" else None, kind).alias(name)
        for name, kind in schema.items()
    )
    return pl.concat([changed.select(list(schema)), emptied])


def merged_on(day: date, opening: pl.DataFrame, claims: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Return rows as they were on a day in China: of what was said by then. Arguments and columns as `refolded`."""
    end = datetime.combine(day + timedelta(days=1), time(0), ZoneInfo("Asia/Shanghai")).astimezone(UTC)
    fields = list(terms.register.fields)
    rows = opening.with_columns(
        pl.when((pl.col(f"{name}_as_of") < end) | pl.col(f"{name}_source").is_null()).then(f"{name}{part}")
        .alias(f"{name}{part}")
        for name in fields for part in ("", "_source", "_as_of")
    )
    rows = rows.filter(pl.any_horizontal(pl.col(f"{name}_source").is_not_null() for name in fields))
    said = claims.filter(pl.col("_as_of") < end)
    return pl.concat([rows, merged(rows, said, terms)]).unique("_entity_id", keep="last")


def _heard(rows: pl.DataFrame, said: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Return rows, which have every entity spoken of, after one source said what it says of each at most once."""
    (dataset, role), declared = said.select(SPEAKER).row(0), terms.register.fields
    fields = [
        name for name in terms.says.get((dataset, role), ())
        if declared[name].null == "clears" or said[name].null_count() < said.height
    ]
    told = said.select(_entity_id="_key_id", **{f"{name}{_NEW}": name for name in ("_as_of", "_withdrawn", *fields)})
    both = rows.hstack(
        rows.select("_entity_id").join(told, on="_entity_id", how="left", maintain_order="left").drop("_entity_id")
    )
    moment, ends = pl.col(f"_as_of{_NEW}"), pl.col(f"_withdrawn{_NEW}")
    wins = {name: both.select(_wins(name, declared[name], dataset)).to_series() for name in fields}
    changed = {"_changed": pl.any_horizontal("_changed", *wins.values())}
    if dataset in terms.ending:
        again = ends & pl.col("_status").ne_missing(ENDED)  # of equal moments the end counts
        newer = _after([(moment, pl.col("_standing_as_of"))], tie=again)
        stands = (moment.is_not_null() & newer).fill_null(value=False)
        changed = {
            "_changed": changed["_changed"] | stands,
            "_status": pl.when(stands).then(pl.when(ends).then(pl.lit(ENDED)).otherwise(pl.lit(ACTIVE)))
            .otherwise("_status"),
            "_standing_as_of": pl.when(stands).then(moment).otherwise("_standing_as_of"),
        }
    for name, win in wins.items():
        better = pl.when(win)
        changed |= {
            name: better.then(f"{name}{_NEW}").otherwise(name),
            f"{name}_source": better.then(pl.lit(dataset)).otherwise(f"{name}_source"),
            f"{name}_as_of": better.then(moment).otherwise(f"{name}_as_of"),
        }
    return both.with_columns(**changed).select(rows.columns)


def _wins(name: str, field: RegisterField, dataset: str) -> pl.Expr:
    """Return where a claim on a field beats what the row has."""
    ranks = {source: -rank for rank, source in enumerate(field.prefer)}
    least, source, value = -len(ranks), pl.col(f"{name}_source"), pl.col(f"{name}{_NEW}")
    held = source.replace_strict(ranks, default=least, return_dtype=pl.Int32) if ranks else pl.lit(0)
    rank = (pl.lit(ranks.get(dataset, least)), held)
    moment = (pl.col(f"_as_of{_NEW}"), pl.col(f"{name}_as_of"))
    order = [rank, moment] if field.policy == "preferred" else [moment, rank]
    beats = _after([*order, (value, pl.col(name))], tie=pl.lit(dataset) < source)
    speaks = pl.col(f"_as_of{_NEW}").is_not_null() if field.null == "clears" else value.is_not_null()
    return (speaks & (source.is_null() | beats)).fill_null(value=False)


def _after(order: Sequence[tuple[pl.Expr, pl.Expr]], *, tie: pl.Expr) -> pl.Expr:
    """Return where new values come after held ones: compared pair by pair, a null before all, then by the tie."""
    found = tie
    for new, held in reversed(order):
        greater = (new > held).fill_null(new.is_not_null() & held.is_null())
        found = greater | (new.eq_missing(held) & found)
    return found
