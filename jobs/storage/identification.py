"""What resolve asks of Spark about keys: which assertions touched claims make, and which entity each claim goes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from jobs.contract import Register, TypeSpec
from jobs.registers.assertions import SCHEMA, Ruling
from jobs.registers.claims import RANGES, RECORD_ORDER, claim_schema, correctable
from jobs.registers.fold import placed_schema
from jobs.registers.identities import ACTIVE
from jobs.registers.judging import judge
from jobs.registers.keys import ALPHABET
from jobs.registers.resolution import findings, placed, suggestions
from jobs.storage.court import Court
from jobs.storage.frames import grouped, spark_schema, to_arrow
from jobs.storage.ledgers import REGISTERS, Ledger

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Rulings = Mapping[str, Ruling]
Types = Mapping[str, TypeSpec]
FACTS = ("_key_id", "_kind", "_as_of", "_batch_id", "_alike")


def standing(ledger: Ledger) -> DataFrame:
    """Return a register's claims that still stand, as `jobs.registers.claims.standing` does."""
    from pyspark.sql import functions as f

    claims, catalogue = ledger.lake.read(REGISTERS, ledger.claims), ledger.lake.catalogue
    roles = [
        (contract, role)
        for contract in catalogue.feeding(ledger.register)
        for role, link in contract.entities.items()
        if link.register_ == ledger.register
    ]
    if not any(correctable(contract, role) for contract, role in roles):
        return claims
    records = claims.where(f.col("_record").isNotNull()).groupBy("_record").agg(
        f.max_by("_key_id", f.struct(*RECORD_ORDER)).alias("_about"), f.countDistinct("_key_id").alias("_n")
    )
    corrected = f.broadcast(records.where("_n > 1").select("_record", "_about"))
    rows = claims.join(corrected, "_record", "left")
    return rows.where(f.col("_about").isNull() | (f.col("_about") == f.col("_key_id"))).select(*claims.columns)


def sharing_records(claims: DataFrame, rows: DataFrame) -> DataFrame:
    """Return the claims made by the same records as some rows, whoever they are about."""
    return claims.join(rows.select("_record").where("_record IS NOT NULL").distinct(), "_record", "left_semi")


def asserted(claims: DataFrame, touched: DataFrame, register: Register, types: Types, rulings: Rulings) -> pl.DataFrame:
    """Return what rules assert of the touched keys, from all claims under each of them."""
    schema = claim_schema(register, types)
    rows = claims.select(list(schema)).join(touched.select("_key_id"), "_key_id", "left_semi")

    def asserting(group: pl.DataFrame) -> pl.DataFrame:
        return findings(group, register, rulings)[1]

    return _native(grouped(rows, "_range", asserting, SCHEMA))


def suggested(
    claims: DataFrame, touched: DataFrame, register: Register, *, some_known: bool
) -> tuple[pl.DataFrame, list[str]]:
    """Return which pairs of keys look like one party among all that share a fact with a touched key, and those keys.

    Pairs of other keys are not judged: whatever changed cannot concern them. The keys are left out where they cannot
    matter: no pair is found and none was known.
    """
    from pyspark.sql import functions as f

    facts = claims.where(f.col("_kind") == register.kinds[0]).select(*FACTS)
    single = facts.withColumn("_alike", f.explode("_alike"))
    moved = touched.select(f.explode("_alike").alias("_alike")).distinct()
    near = single.join(moved, "_alike", "left_semi").select("_key_id").union(touched.select("_key_id")).distinct()
    marks = single.join(near, "_key_id", "left_semi").select("_alike")
    sharing = single.join(marks.distinct(), "_alike", "left_semi")
    several = sharing.groupBy("_alike").agg(f.countDistinct("_key_id").alias("_n")).where("_n > 1")
    shared = sharing.join(several, "_alike", "left_semi").groupBy("_alike", "_key_id", "_kind").agg(
        f.min(f.struct("_as_of", "_batch_id")).alias("_first")
    )
    rows = _native(shared.select("_key_id", "_kind", "_first._as_of", "_first._batch_id", f.array("_alike").alias(
        "_alike")))
    keys = _native(near)["_key_id"].to_list() if rows.height or some_known else []
    found = suggestions(rows) if rows.height else pl.DataFrame(schema=SCHEMA)
    return found.filter(pl.col("left").is_in(keys) & pl.col("right").is_in(keys)), keys


def refolded(
    ledger: Ledger, court: Court, register: Register, types: Types, rulings: Rulings, touched: DataFrame,
    nodes: pl.DataFrame, number: int,
) -> tuple[DataFrame, DataFrame]:
    """Return the claims of every entity that a commit may change, each with its entity, and the entities' ids.

    These are the entities, before and after the commit, of the touched keys and of `nodes` (ids whose place in the id
    map changed). Claims under keys that a person has ruled on are judged here, all others in the fold.
    """
    from pyspark.sql import functions as f

    spark = ledger.lake.spark
    before, after = (_places(ledger, court, until) for until in (number - 1, number))
    node = {"_node": pl.String}
    more = spark.createDataFrame(to_arrow(nodes.select(_node="id"), node), spark_schema(node))
    keys = touched.select(f.col("_key_id").alias("_node")).union(more)
    entities = keys.join(before, "_node", "left").select(f.coalesce("_entity_id", "_node").alias("_entity_id"))
    entities = entities.union(
        keys.join(after, "_node", "left").select(f.coalesce("_entity_id", "_node").alias("_entity_id"))
    ).distinct()
    schema = placed_schema(register, types)
    claims = standing(ledger).select(list(claim_schema(register, types)))
    ruled = f.col("_key_id").isin(list(rulings)) if rulings else f.lit(False)
    waits = f.when(f.col("_shared") & ~f.col("_dataset").isin(list(register.lead)), f.lit(True))
    rows = (
        claims.where(~ruled).withColumn("_node", f.col("_key_id")).join(after, "_node", "left")
        .withColumn("_entity_id", f.coalesce("_entity_id", "_key_id"))
        .withColumn("_entity_kind", f.coalesce("_entity_kind", "_kind"))
        .withColumn("_waits", waits)
        .select(list(schema))
    )
    if rulings:
        mine, _ = judge(_native(claims.where(ruled)), register, rulings)
        found = placed(mine, court.id_map(number), register.lead)
        rows = rows.union(spark.createDataFrame(to_arrow(found, schema), spark_schema(schema)))
    rows = rows.join(entities, "_entity_id", "left_semi")
    place = f.expr(f"instr('{ALPHABET}', substring(_entity_id, 1, 1)) - 1")
    return rows.withColumn("_range", (f.floor(place * RANGES / 32)).cast("int")).select(list(schema)), entities


def moved(ledger: Ledger, court: Court, number: int) -> DataFrame:
    """Return where ids redirect after a commit (`_entity_id`, `_to`), as Spark sees it."""
    from pyspark.sql import functions as f

    places = _places(ledger, court, number).where(f.col("_node") != f.col("_entity_id"))
    return places.select(f.col("_node").alias("_entity_id"), f.col("_entity_id").alias("_to"))


def _places(ledger: Ledger, court: Court, until: int) -> DataFrame:
    """Return where each id stood after a commit, as Spark reads the id-change feed: what is itself is left out."""
    from pyspark.sql import functions as f

    names = {"_node": pl.String, "_entity_id": pl.String, "_entity_kind": pl.String, "_shared": pl.Boolean}
    if not ledger.lake.has(REGISTERS, court.id_changes):
        return ledger.lake.spark.createDataFrame([], spark_schema(names))
    feed = ledger.lake.read(REGISTERS, court.id_changes).where(f.col("_commit") <= until)
    newest = feed.groupBy(f.col("id").alias("_node")).agg(
        f.max_by(f.struct("state", "entity", "entity_kind", "why"), "_commit").alias("_last")
    )
    shared = (f.col("_last.state") == "ambiguous") & (f.col("_last.why") == "shared_key")
    return newest.where(f.col("_last.state") != ACTIVE).select(
        "_node", f.col("_last.entity").alias("_entity_id"), f.col("_last.entity_kind").alias("_entity_kind"),
        f.coalesce(shared, f.lit(False)).alias("_shared"),
    )


def _native(rows: DataFrame) -> pl.DataFrame:
    found = pl.DataFrame(pl.from_arrow(rows.toArrow()))
    return found.cast({name: kind for name, kind in SCHEMA.items() if name in found.columns})
