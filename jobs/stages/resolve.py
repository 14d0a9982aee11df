"""Resolve: claims of new batches meet what a register knows, and changed entities get a new version."""

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
from jobs.registers.claims import claim_schema, claims
from jobs.registers.fold import changes, register_schema
from jobs.storage.frames import cogrouped, mapped, spark_schema
from jobs.storage.ledgers import REGISTERS, Commit, Consumed, Ledger, accepted
from jobs.storage.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def run(lake: Lake, register: str, *, batch: str | None = None) -> list[StageReport]:
    """Bring a register up to date with every accepted batch, withdrawn ones taken out; nothing to do returns [].

    One commit takes all waiting batches. A commit that a killed run left planned is finished first, as planned.
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
    if not add and not remove:
        return None
    return Commit(len(ledger.plans()) + 1, tuple(add), tuple(remove))


def _carry_out(lake: Lake, ledger: Ledger, commit: Commit) -> StageReport:
    """Apply one planned commit; every step replaces what an interrupted attempt may have left."""
    started = time.monotonic()
    register = lake.catalogue.registers[ledger.register]
    staging = f"resolve-{register.name}-{commit.number}"
    fresh = lake.staged(f"{staging}-claims", _claims(lake, register, commit.add)).rows
    leaving = [batch for _, batch, _ in commit.remove]
    touched = _touched(lake, ledger, fresh, leaving, f"{staging}-touched")
    kept = [batch for _, batch, _ in commit.add]
    for batch in leaving:
        if batch not in kept:
            lake.delete_batch(REGISTERS, ledger.claims, batch)
    if kept:
        lake.replace_batches(REGISTERS, ledger.claims, kept, fresh)
    changed = _changed(lake, ledger, register, touched, commit.number)
    lake.append_once(REGISTERS, ledger.versions, changed, version=commit.number, partition="_range")
    report = _account(lake, ledger, commit, started)
    ledger.write_commit(commit, "done")
    lake.record(report)
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
    return found


def _touched(lake: Lake, ledger: Ledger, fresh: DataFrame, leaving: list[str], name: str) -> DataFrame:
    """Return the entities a commit may change; where claims leave, stored first, for a second attempt to see."""
    from pyspark.sql import functions as f

    touched = fresh.select("_entity_id", "_range")
    if not leaving or not lake.has(REGISTERS, ledger.claims):
        return touched.distinct()
    earlier = lake.found_staged(name, spark_schema({"_entity_id": pl.String, "_range": pl.Int32}))
    if earlier is not None:
        return earlier.rows
    old = lake.read(REGISTERS, ledger.claims).where(f.col("_batch_id").isin(leaving))
    return lake.staged(name, touched.unionByName(old.select("_entity_id", "_range")).distinct()).rows


def _changed(lake: Lake, ledger: Ledger, register: Register, touched: DataFrame, number: int) -> DataFrame:
    """Return new versions of the touched entities whose fold differs from the register's row."""
    from pyspark.sql import functions as f

    types = dict(lake.catalogue.types)
    rows = lake.read(REGISTERS, ledger.claims).select(list(claim_schema(register, types)))
    rows = rows.join(touched.select("_entity_id"), "_entity_id", "left_semi")
    row_schema = register_schema(register, types)
    current = ledger.current()
    if current is None:
        current = lake.spark.createDataFrame([], spark_schema(row_schema))
    else:
        current = current.join(touched.select("_entity_id"), "_entity_id", "left_semi").select(
            [f.col(n) if n in current.columns else f.lit(None).alias(n) for n in row_schema]
        )
    function = partial(changes, register=register, types=types, feeders=lake.feeders(register.name))
    return cogrouped(rows, current, "_range", function, row_schema).withColumn("_commit", f.lit(number).cast("bigint"))


def _account(lake: Lake, ledger: Ledger, commit: Commit, started: float) -> StageReport:
    """Count what a commit did: claims taken, entities changed, rows held."""
    changed = (
        lake.scan(Layer.REGISTERS, ledger.versions)
        .filter(pl.col("_commit") == commit.number)
        .group_by("_status").len().collect()
    )
    living = ledger.scan_current().select(
        pl.len().alias("entities"), pl.col("_held").list.len().sum().alias("held"),
        (pl.col("_status") == "contested").sum().alias("contested"),
    ).collect().row(0, named=True)
    return StageReport(
        "resolve", ledger.register, f"commit-{commit.number}", seconds=time.monotonic() - started,
        extra={
            "batches": [batch for _, batch, _ in commit.add], "withdrawn": [batch for _, batch, _ in commit.remove],
            "versions": dict(sorted(changed.iter_rows())), **living,
            "table": layers.asset_name(Layer.REGISTERS, ledger.register),
        },
    )
