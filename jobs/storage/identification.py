"""The heavy steps of resolve, each a task on one part: an interval of ids, or a file of silver.

A task reads what it needs natively, calls the pure core, and leaves rows in files: in a log's folder (they count once
committed) or in the commit's own folder, where the next step finds them. So it runs in this process or in any worker
of the engine, in any number of pieces, to the same end; what moves between steps is in proportion to what changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from jobs.contract import Contract, TypeSpec
from jobs.register import Register
from jobs.registers.assertions import SCHEMA, Ruling
from jobs.registers.claims import claims as claims_of
from jobs.registers.claims import needed, once
from jobs.registers.fold import REMOVED, changes, growth, placed_schema, register_schema, replaced, replaced_schema
from jobs.registers.judging import judge
from jobs.registers.nearness import MARKS, near, neighbours, sharing, told
from jobs.registers.reopening import contradictions
from jobs.registers.resolution import findings, placed, suggestions
from jobs.storage.batch_tables import BatchTable, scan_files
from jobs.storage.ledgers import Claims, newest
from jobs.storage.locations import Location
from jobs.storage.logs import GROUP_ROWS, NAMED, Interval, Log

Rulings = Mapping[str, Ruling]
Types = Mapping[str, TypeSpec]
VERSIONS, REPLACED = "versions", "replaced"
GROWN = ("entities", "held", "contested")  # as `jobs.registers.fold.growth` counts
WRITTEN: dict[str, Any] = {**NAMED, **dict.fromkeys(GROWN, pl.Int64)}  # and by how much the register grows
FACTS = ("_key_id", "_kind", "_as_of", "_batch_id", "_alike")
KEY = {"_key_id": pl.String}
RECORD = {"_key_id": pl.String, "_record": pl.String}
FACT = {"_alike": pl.String}
NEAR = {"_key_id": pl.String, "_near": pl.List(pl.String)}
PLACE = {"id": pl.String, "entity": pl.String}


@dataclass(frozen=True)
class Work:
    """Hold what every task of one commit needs: the register's rules, the commit's number and its own folder."""

    register: Register
    types: Types
    number: int
    folder: Location
    parts: tuple[Interval, ...]

    def put(self, rows: pl.DataFrame, name: str, part: object) -> None:
        """Leave rows of one part for the next step, written fast rather than small."""
        with (self.folder / name).create(f"{part}.parquet") as file:
            rows.write_parquet(file, compression="lz4", row_group_size=GROUP_ROWS)

    def found(self, name: str, schema: Mapping[str, Any], part: object = "*") -> pl.LazyFrame:
        """Return what a step left, of one part or of all."""
        return scan_files(self.folder, (self.folder / name).files(f"{part}.parquet"), schema)


@dataclass(frozen=True)
class Delivered:
    """Name some of silver's files of one batch, or one of so many equal shares of them (`share`)."""

    contract: Contract
    silver: BatchTable
    batch: str
    files: tuple[str, ...]
    number: int
    share: tuple[int, int] = (0, 1)


def claim(part: Delivered, *, work: Work, register_key: bytes) -> pl.DataFrame:
    """Leave the claims that some rows of silver make; return how many (`rows`)."""
    silver = pl.concat(part.silver.read(file, part.batch) for file in part.files)
    columns = [name for name in needed(part.contract, work.register) if name in part.silver.schema]
    (at, of), height = part.share, silver.select(pl.len()).collect().item()
    first = at * height // of
    rows = silver.select(columns).slice(first, (at + 1) * height // of - first).collect()
    found = claims_of(rows, part.contract, work.register, work.types, register_key)
    work.put(found.sort("_key_id"), "fresh", part.number)
    return pl.DataFrame({"rows": [found.height]})


def enter(part: Interval, *, work: Work, log: Log) -> pl.DataFrame:
    """Write the fresh claims on one interval of keys into the log's folder; leave the keys, records and facts met."""
    schema = {**log.schema, "_near": pl.List(pl.String)}
    rows = once(work.found("fresh", schema).drop("_near").filter(part.holds("_key_id")).collect())
    touch(rows, work, f"fresh-{part.low}")
    return log.write(rows.with_columns(pl.lit(work.number, pl.Int64).alias("_commit")))


def touch(rows: pl.DataFrame, work: Work, part: str) -> None:
    """Leave the keys, records and facts of claims that a commit touches."""
    work.put(rows.select(list(RECORD)).unique(), "touched", part)
    work.put(rows.select(pl.col("_alike").explode()).drop_nulls().unique(), "facts", part)


def index(part: Interval, *, work: Work, marks: Log) -> pl.DataFrame:
    """Write the marks of one interval that are new, and the keys they make neighbours, into the index's folder."""
    near = work.found("fresh", NEAR).select(pl.col("_key_id").alias("key"), "_near").explode("_near")
    texts = near.filter(part.holds("_near")).unique()
    fresh = texts.select(*told("_near"), "key").select(list(MARKS)).collect(engine="streaming")
    known = marks.scan(part).filter(pl.col("_commit") < work.number).select(list(MARKS))
    met = known.join(fresh.lazy().select("mark"), on="mark", how="semi").collect(engine="streaming")
    new = fresh.join(met, on=list(MARKS), how="anti")
    several = pl.concat([met, new]).filter(pl.col("mark").is_duplicated())["mark"].unique().implode()
    found = pl.concat([new, neighbours(sharing(*(rows.filter(pl.col("mark").is_in(several)) for rows in (new, met))))])
    return marks.write(found.with_columns(pl.lit(work.number, pl.Int64).alias("_commit")))


def touched_keys(work: Work, more: Sequence[str]) -> pl.DataFrame:
    """Return every key a commit touches (`_key_id`), those a decision names included, and leave them for the tasks."""
    met = work.found("touched", RECORD).select("_key_id")
    keys = pl.concat([met, pl.LazyFrame({"_key_id": list(more)}, schema=KEY)]).unique().sort("_key_id").collect()
    work.put(keys, "keys", "all")
    return keys


def sharing_records(claims: pl.LazyFrame, work: Work) -> pl.DataFrame:
    """Return the claims made by the records that touched claims were made by, whoever they are about."""
    records = work.found("touched", RECORD).select("_record").drop_nulls().unique()
    return claims.join(records, on="_record", how="semi").select(*RECORD, "_alike").collect(engine="streaming")


def asserted(part: Interval, *, work: Work, claims: Claims, rulings: Rulings) -> pl.DataFrame:
    """Return what rules assert of the touched keys of one interval, from all claims under each of them."""
    keys = work.found("keys", KEY).filter(part.holds("_key_id"))
    rows = claims.scan(part).join(keys, on="_key_id", how="semi").collect(engine="streaming")
    return findings(rows, work.register, rulings)[1]


def suggested(claims: Claims, work: Work, *, some_known: bool) -> tuple[pl.DataFrame, pl.Series]:
    """Return which pairs of keys look like one party among all that share a fact with a touched key, and those keys.

    Pairs of other keys are not judged: whatever changed cannot concern them. The keys are left out where they cannot
    matter: no pair is found and none was known.
    """
    best = claims.scan().filter(pl.col("_kind") == work.register.kinds[0]).select(FACTS)
    single = best.explode("_alike").drop_nulls("_alike")
    touched = work.found("keys", KEY)
    met = work.found("facts", FACT).unique()
    near = pl.concat([single.join(met, on="_alike", how="semi").select("_key_id"), touched]).unique()
    keys = near.collect(engine="streaming")
    marks = single.join(keys.lazy(), on="_key_id", how="semi").select("_alike").unique()
    sharing = single.join(marks, on="_alike", how="semi")
    several = sharing.group_by("_alike").agg(pl.col("_key_id").n_unique()).filter(pl.col("_key_id") > 1)
    rows = sharing.join(several, on="_alike", how="semi").collect(engine="streaming")
    if rows.is_empty() and not some_known:
        return pl.DataFrame(schema=SCHEMA), pl.Series("_key_id", [], pl.String)
    found = suggestions(rows.with_columns(pl.concat_list("_alike"))) if rows.height else pl.DataFrame(schema=SCHEMA)
    among = keys["_key_id"].implode()
    return found.filter(pl.col("left").is_in(among) & pl.col("right").is_in(among)), keys["_key_id"]


def near_ones(claims: Claims, marks: Log, work: Work) -> pl.DataFrame:
    """Return which touched keys have a neighbour and look like one party with it."""
    touched = work.found("keys", KEY)
    index = marks.scan().filter(pl.col("_commit") <= work.number)
    met = index.join(touched, left_on="mark", right_on="_key_id", how="semi").collect(engine="streaming")
    ends = pl.min_horizontal("mark", "key").alias("left"), pl.max_horizontal("mark", "key").alias("right")
    pairs = met.select(ends).unique()
    keys = pl.LazyFrame({"_key_id": pl.concat([pairs["left"], pairs["right"]]).unique()})
    return near(pairs, claims.scan().join(keys, on="_key_id", how="semi").collect(engine="streaming"), work.register)


def contradicted(claims: Claims, work: Work, decided: pl.DataFrame) -> pl.DataFrame:
    """Return what contradicts decisions that two keys are one party's."""
    keys = pl.LazyFrame({"_key_id": pl.concat([decided["left"], decided["right"]]).unique()})
    rows = claims.scan().join(keys, on="_key_id", how="semi").collect(engine="streaming")
    return contradictions(decided, rows, work.register)


def affected(work: Work, keys: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> None:
    """Leave the entities of some ids (`id`) before and after a commit, and every key that goes to one of them."""
    entities = pl.concat(
        keys.join(places, on="id", how="left").select(pl.coalesce("entity", "id").alias("entity"))
        for places in (before, after)
    ).unique().sort("entity")
    members = after.join(entities, on="entity", how="semi").select(_key_id="id")
    work.put(entities.rename({"entity": "_entity_id"}), "entities", "all")
    work.put(pl.concat([entities.select(_key_id="entity"), members]).unique().sort("_key_id"), "members", "all")


def place(part: Interval, *, work: Work, claims: Claims, rulings: Rulings, id_map: pl.DataFrame) -> pl.DataFrame:
    """Leave the affected entities' claims under one interval of keys where each entity's interval finds them.

    Claims under a key that a person ruled on may go to any of its parties, so those are always looked at.
    """
    ruled = pl.LazyFrame({"_key_id": sorted(rulings)}, schema=KEY)
    keys = pl.concat([work.found("members", KEY), ruled]).filter(part.holds("_key_id"))
    rows = claims.scan(part).join(keys, on="_key_id", how="semi").collect(engine="streaming")
    judged, _ = judge(rows, work.register, rulings)
    entities = work.found("entities", {"_entity_id": pl.String}).collect()
    found = placed(judged, id_map, work.register.lead).join(entities, on="_entity_id", how="semi")
    found = found.select(list(placed_schema(work.register, work.types)))
    for target in work.parts if found.height else ():
        work.put(found.filter(target.holds("_entity_id")), f"placed-{target.low}", part.low)
    return pl.DataFrame({"rows": [found.height]})


def version(
    part: Interval, *, work: Work, versions: Log, gone: Log, snapshot: Log, id_map: pl.DataFrame,
    feeders: Mapping[str, Sequence[str]],
) -> pl.DataFrame:
    """Write new versions of one interval's entities whose fold differs from the register's row, and what they replace.

    Returns `WRITTEN`, of the logs `VERSIONS` and `REPLACED`. A row of an entity that is no more says what it became,
    where it became something.
    """
    schema = placed_schema(work.register, work.types)
    rows = work.found(f"placed-{part.low}", schema).collect()
    entities = work.found("entities", {"_entity_id": pl.String}).filter(part.holds("_entity_id"))
    known = pl.concat([snapshot.scan(part), versions.scan(part, after=snapshot.last)])
    known = known.filter(pl.col("_commit") < work.number).join(entities, on="_entity_id", how="semi")
    columns = list(register_schema(work.register, work.types))
    current = newest(known).select(columns).collect()
    changed = changes(rows, current, work.register, work.types, feeders)
    became = id_map.filter(pl.col("id") != pl.col("entity")).select(_entity_id="id", _to="entity")
    changed = changed.join(became, on="_entity_id", how="left").with_columns(
        pl.when(pl.col("_status") == REMOVED).then("_to").alias("_became")
    )
    before = replaced(changed, current, replaced_schema(work.register, work.types))
    written = pl.concat([
        versions.written(changed.select(columns), VERSIONS, work.number), gone.written(before, REPLACED, work.number)
    ])
    return telling(written, growth(changed, current))


def telling(written: pl.DataFrame, grown: Mapping[str, int]) -> pl.DataFrame:
    """Return what a task wrote (`NAMED`) with how much it makes the register grow, in the first row (`WRITTEN`)."""
    first = pl.int_range(pl.len()) == 0
    told = [pl.when(first).then(pl.lit(grown[name], pl.Int64)).otherwise(0).alias(name) for name in GROWN]
    return written.with_columns(told)
