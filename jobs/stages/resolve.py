"""Resolve: claims and decisions meet what a register knows; who is who is settled, and changed entities are refolded.

A commit takes five steps, each of which a second attempt finds done or does again to the same end: claims enter or
leave; what rules now find of the touched keys enters the ledger; the id map is folded anew and its changes enter the
feed; so do the cases'; every entity whose claims or place in the id map changed gets a new version.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from jobs import layers
from jobs.batch import StageReport
from jobs.contract import Register
from jobs.errors import RequestError
from jobs.layers import Layer
from jobs.privacy.keyring import secret
from jobs.registers.assertions import ALIKE, difference, in_force, parties_of, rulings
from jobs.registers.cases import cases
from jobs.registers.claims import claim_schema, claims, once
from jobs.registers.fold import REMOVED, changes, register_schema
from jobs.registers.identities import identities
from jobs.registers.keys import kind_ranks
from jobs.storage.court import Court, case_changes, map_changes
from jobs.storage.frames import cogrouped, grouped, mapped, spark_schema
from jobs.storage.identification import asserted, moved, refolded, sharing_records, standing, suggested
from jobs.storage.ledgers import REGISTERS, Commit, Consumed, Ledger, accepted
from jobs.storage.tables import Lake, Staged

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def run(lake: Lake, register: str, *, batch: str | None = None) -> list[StageReport]:
    """Bring a register up to date with every accepted batch and decision, withdrawn ones taken out; or return [].

    One commit takes all that waits. A commit that a killed run left planned is finished first, as planned.
    `batch` is refused: which batches wait is a matter of the register's own list.
    """
    if register not in lake.catalogue.registers:
        raise RequestError(
            f"there is no register {register!r}.", remedy=f"registers: {', '.join(lake.catalogue.registers)}."
        )
    if batch is not None:
        raise RequestError("a register takes every waiting batch.", dataset=register, remedy="leave --batch out.")
    reports = []
    with lake.writing(f"registers.{register}"):
        ledger = Ledger(lake, register)
        for commit, done in ledger.plans():
            if not done:
                reports.append(_carry_out(lake, ledger, commit))
        planned = _next(lake, ledger)
        if planned is not None:
            ledger.write_commit(planned, "planned")
            reports.append(_carry_out(lake, ledger, planned))
    return reports


def _next(lake: Lake, ledger: Ledger) -> Commit | None:
    wanted = accepted(lake, [contract.name for contract in lake.catalogue.feeding(ledger.register)])
    held = ledger.consumed()
    add, remove = sorted(wanted - held), sorted(held - wanted)
    handed_in = set(Court(lake, ledger.register).handed_in()["id"].to_list())
    decisions = sorted(handed_in - ledger.decisions())
    if not add and not remove and not decisions:
        return None
    return Commit(len(ledger.plans()) + 1, tuple(add), tuple(remove), tuple(decisions))


def _carry_out(lake: Lake, ledger: Ledger, commit: Commit) -> StageReport:
    """Apply one planned commit; every step replaces or finds done what an interrupted attempt may have left."""
    started = time.monotonic()
    register = lake.catalogue.registers[ledger.register]
    court = Court(lake, register.name)
    staging = f"resolve-{register.name}-{commit.number}"
    fresh = lake.staged(f"{staging}-claims", _claims(lake, register, commit.add)).rows
    touched = _touched(lake, ledger, court, fresh, commit, f"{staging}-touched")
    _exchange_claims(lake, ledger, fresh, commit)
    if lake.has(REGISTERS, ledger.claims):
        _assert(lake, ledger, court, register, touched, commit)
        _identify(court, register, commit)
        changed = _changed(lake, ledger, court, register, touched.rows, commit.number)
        lake.append_once(REGISTERS, ledger.versions, changed, version=commit.number, partition="_range")
    report = _account(lake, ledger, court, commit, started)
    lake.record(report)  # first: a commit that is done is accounted for
    ledger.write_commit(commit, "done")
    lake.unstage(f"{staging}-claims")
    lake.unstage(f"{staging}-touched")
    return report


def _claims(lake: Lake, register: Register, batches: tuple[Consumed, ...]) -> DataFrame:
    """Return the claims of batches as a Spark frame, one pass over silver per dataset."""
    from pyspark.sql import functions as f

    types, schema = dict(lake.catalogue.types), claim_schema(register, lake.catalogue.types)
    key = secret(lake.objects, "register")
    found = lake.spark.createDataFrame([], spark_schema(schema))
    for dataset in sorted({dataset for dataset, _, _ in batches}):
        ids = [batch for name, batch, _ in batches if name == dataset]
        rows = lake.read(Layer.SILVER, dataset).where(f.col("_batch_id").isin(ids))
        function = partial(
            claims, contract=lake.catalogue.contracts[dataset], register=register, types=types, register_key=key
        )
        found = found.unionByName(mapped(rows, function, schema))
    found = grouped(found, "_range", once, schema)
    return found.repartitionByRange("_key_id").sortWithinPartitions("_key_id")  # one key is found in few places


def _touched(
    lake: Lake, ledger: Ledger, court: Court, fresh: DataFrame, commit: Commit, name: str
) -> Staged:
    """Return the keys a commit touches, with the facts said of them, as they are before any claim leaves."""
    from pyspark.sql import functions as f

    schema = {"_key_id": pl.String, "_alike": pl.List(pl.String)}
    earlier = lake.found_staged(name, spark_schema(schema))
    if earlier is not None:
        return earlier
    touched = fresh.select(*schema)
    if lake.has(REGISTERS, ledger.claims):
        known = lake.read(REGISTERS, ledger.claims)
        old = known.where(f.col("_batch_id").isin([batch for _, batch, _ in commit.remove]))
        same = sharing_records(known, fresh.select("_record").union(old.select("_record")))
        touched = touched.union(old.select(*schema)).union(same.select(*schema))
    decided = court.handed_in().filter(pl.col("id").is_in(list(commit.decisions)))
    keys = pl.concat([decided["subject"], decided["left"], decided["right"]]).drop_nulls().unique().sort()
    if len(keys):
        rows = [(key, list[str]()) for key in keys]
        touched = touched.union(lake.spark.createDataFrame(rows, spark_schema(schema)))
    facts = f.array_distinct(f.flatten(f.collect_list("_alike"))).alias("_alike")
    return lake.staged(name, touched.groupBy("_key_id").agg(facts))


def _exchange_claims(lake: Lake, ledger: Ledger, fresh: DataFrame, commit: Commit) -> None:
    """Put the claims of joining batches in, and take those of leaving ones out."""
    kept = [batch for _, batch, _ in commit.add]
    for _, batch, _ in commit.remove:
        if batch not in kept:
            lake.delete_batch(REGISTERS, ledger.claims, batch)
    if kept:
        lake.replace_batches(REGISTERS, ledger.claims, kept, fresh)


def _assert(
    lake: Lake, ledger: Ledger, court: Court, register: Register, touched: Staged, commit: Commit
) -> None:
    """Enter into the ledger the decisions of a commit, and what rules find anew or no longer of the touched keys."""
    if court.holds(court.assertions, commit.number):
        return
    before = court.entries(commit.number - 1)
    handed = court.handed_in().filter(pl.col("id").is_in(list(commit.decisions)))
    stamped = handed.with_columns(
        pl.lit(commit.number, pl.Int64).alias("_commit"),
        pl.lit(None, before.schema["_recorded_at"]).alias("_recorded_at"),
    )
    force = in_force(pl.concat([before, stamped]))
    with lake.engine_call(f"registers.{register.name}"):
        known = standing(ledger)
        wanted = asserted(known, touched.rows, register, dict(lake.catalogue.types), rulings(force))
        keys = touched.scan().select("_key_id").collect()["_key_id"]
        entries = [handed, difference(force.filter(pl.col("rule") != ALIKE), wanted, keys)]
        if register.clash.alike:
            pairs = force.filter(pl.col("rule") == ALIKE)
            alike, near = suggested(known, touched.rows, register, some_known=pairs.height > 0)
            pairs = pairs.filter(pl.col("left").is_in(near) & pl.col("right").is_in(near))
            entries.append(difference(pairs, alike, pairs["subject"]))
    court.write(court.assertions, pl.concat(entries), commit.number)


def _identify(court: Court, register: Register, commit: Commit) -> None:
    """Fold the ledger into the id map and the cases; enter what changed into the feed and the log of cases."""
    number = commit.number
    force = court.force(number)
    found = identities(force, kind_ranks(register), register.most_keys)
    court.write(court.id_changes, map_changes(court.id_map(number - 1), found.map), number)
    court.write(court.cases_log, case_changes(court.cases(number - 1), cases(force, found)), number)


def _changed(
    lake: Lake, ledger: Ledger, court: Court, register: Register, touched: DataFrame, number: int
) -> DataFrame:
    """Return new versions of the entities whose fold differs from the register's row; one that went says where."""
    from pyspark.sql import functions as f

    types = dict(lake.catalogue.types)
    row_schema = register_schema(register, types)
    decided = court.decisions(number)
    nodes = pl.concat([court.changed_ids(number), parties_of(decided)]).unique()
    rows, entities = refolded(
        ledger, court, register, types, rulings(in_force(decided)), touched, nodes.to_frame("id"), number
    )
    current = ledger.current()
    if current is None:
        current = lake.spark.createDataFrame([], spark_schema(row_schema))
    else:
        current = current.join(entities, "_entity_id", "left_semi").select(
            [f.col(n) if n in current.columns else f.lit(None).alias(n) for n in row_schema]
        )
    function = partial(changes, register=register, types=types, feeders=lake.feeders(register.name), rulings={})
    changed = cogrouped(rows, current, "_range", function, row_schema)
    became = moved(ledger, court, number)
    went = f.when(f.col("_status") == REMOVED, f.col("_to")).alias("_became")
    changed = changed.join(became, "_entity_id", "left").select(
        *[went if name == "_became" else f.col(name) for name in row_schema]
    )
    return changed.withColumn("_commit", f.lit(number).cast("bigint"))


def _account(lake: Lake, ledger: Ledger, court: Court, commit: Commit, started: float) -> StageReport:
    """Count what a commit did: claims taken, decisions taken up, entities changed, rows held, cases."""
    versions: dict[str, int] = {}
    living: dict[str, int] = {}
    if lake.has(REGISTERS, ledger.versions):
        log = lake.scan(REGISTERS, ledger.versions).filter(pl.col("_commit") == commit.number)
        versions = dict(sorted(log.group_by("_status").len().collect().iter_rows()))
        living = ledger.scan_current().select(
            pl.len().alias("entities"), pl.col("_held").list.len().sum().alias("held"),
            (pl.col("_status") == "contested").sum().alias("contested"),
        ).collect().row(0, named=True)
    states = dict(sorted(court.cases().group_by("state").len().iter_rows()))
    return StageReport(
        "resolve", ledger.register, f"commit-{commit.number}", seconds=time.monotonic() - started,
        extra={
            "batches": [batch for _, batch, _ in commit.add], "withdrawn": [batch for _, batch, _ in commit.remove],
            "decisions": len(commit.decisions), "versions": versions, **living, "cases": states,
            "table": layers.asset_name(Layer.REGISTERS, ledger.register),
        },
    )
