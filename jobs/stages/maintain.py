"""Maintain: compact and vacuum tables, renew snapshots, clear leftovers, build Data Docs, count shared subjects."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import polars as pl

from jobs import layers
from jobs.batch import StageReport
from jobs.contract import Contract
from jobs.layers import Layer
from jobs.quality import docs
from jobs.registers.linkage import linkage
from jobs.stages import desensitise, following
from jobs.storage.batch_tables import FILE_ROWS
from jobs.storage.court import Court
from jobs.storage.ledgers import LOGS, REGISTERS, Ledger, newest
from jobs.storage.logs import intervals
from jobs.storage.objects import Store
from jobs.storage.standing import Standing
from jobs.storage.tables import STAGING, Lake

LEFTOVER_AGE = timedelta(days=1)  # older than any task may run
# A register's logs, and the id by which their files are sorted.
_ORDERED = {"claims": "_key_id", "versions": "_entity_id", "replaced": "_entity_id", "nearness": "mark"}
RETENTION_HOURS = 168  # Delta's own floor: readers of the last week's versions are safe


def run(lake: Lake) -> list[StageReport]:
    """Do the lake's housekeeping; every step may be repeated or interrupted at any point.

    Nothing that a table, a register's log or an approved release rests on is removed.
    """
    started = time.monotonic()
    disagreeing = [contract.name for contract in lake.catalogue.products() if not _settled(lake, contract)]
    tables = _tables(lake)
    for layer, name, lease in tables:
        _compact(lake, layer, name, lease)
    snapshots = {name: _snapshot(lake, name) for name in lake.catalogue.registers}
    report = StageReport(
        "maintain", "lake", datetime.now(UTC).date().isoformat(),
        extra={
            "tables": len(tables),
            "snapshots": snapshots,
            "made_anew": disagreeing,
            "leftovers": _clear_leftovers(lake),
            "data_docs": docs.build(lake),
            "linkage": {name: _linkage(lake, name) for name in lake.catalogue.registers},
        },
    )
    for name in disagreeing:  # last: what it refuses stops nothing else
        desensitise.run(lake, name)
    report.seconds = time.monotonic() - started
    lake.record(report)
    return [report]


def _settled(lake: Lake, contract: Contract) -> bool:
    """Settle a product's gold, drop what it withheld where it no longer does; tell whether its tables agree."""
    if not lake.has(Layer.GOLD, contract.name):
        _sweep(lake, layers.table_path(Layer.GOLD, contract.name))
        return True
    with lake.writing(f"gold.{layers.slug(contract.name)}"):
        for name in () if contract.withhold else Standing(lake, contract.name).withholding:
            lake.objects.remove(layers.table_path(Layer.SILVER, name))
        return following.settle(lake, contract)


def _tables(lake: Lake) -> list[tuple[Layer, str, str]]:
    """Return every table there is, with the lease of whoever writes it."""
    found = [(Layer.OPS, "runs", "ops.runs")]
    for contract in lake.catalogue.contracts.values():
        slug, standing = layers.slug(contract.name), Standing(lake, contract.name)
        found.append((Layer.GOLD, contract.name, f"gold.{slug}"))
        if contract.is_product:
            found += [(Layer.SILVER, name, f"gold.{slug}") for name in (standing.changes, *standing.withholding)]
        else:  # conform writes both silver and quarantine
            found += [(Layer.BRONZE, contract.name, f"bronze.{slug}"), (Layer.SILVER, contract.name, f"silver.{slug}"),
                      (Layer.QUARANTINE, contract.name, f"silver.{slug}")]
    for register in lake.catalogue.registers:
        found += [(REGISTERS, f"{register}{suffix}", f"registers.{register}") for suffix in ("", *LOGS)]
    return [(layer, name, lease) for layer, name, lease in found if lake.has(layer, name)]


def _compact(lake: Lake, layer: Layer, name: str, lease: str) -> None:
    """Join small files where there are many, and drop files no version of the last week needs."""
    sorted_by = _ORDERED.get(name.rpartition("_")[2]) if layer is REGISTERS else None
    fragmented, expired = lake.fragmented(layer, name), lake.expired_files(layer, name, RETENTION_HOURS)
    if not fragmented and not expired:
        return
    with lake.writing(lease):
        if fragmented:
            lake.compact(layer, name, by=sorted_by)
        if expired:
            lake.vacuum(layer, name, RETENTION_HOURS)


def _snapshot(lake: Lake, register: str) -> int:
    """Renew a register's snapshot from the log; return the commit it covers, 0 when there is no log yet."""
    ledger = Ledger(lake, register)
    with lake.writing(f"registers.{register}"):
        versions, snapshot = ledger.versions_log(), ledger.snapshot_log()
        last = max((commit.number for commit, done in ledger.plans() if done), default=0)
        if min(last, versions.last) <= snapshot.last:  # what a commit under way has written belongs to nobody yet
            return snapshot.last
        parts = []
        for one in intervals(1 + versions.rows // FILE_ROWS):
            fresh = versions.scan(one, after=snapshot.last).filter(pl.col("_commit") <= last)
            parts.append(snapshot.write(newest(pl.concat([snapshot.scan(one), fresh])).collect()))
        lake.check_lease()
        snapshot.replace(pl.concat(parts))
        return min(last, versions.last)


def _stores(lake: Lake) -> list[Store]:
    return [lake.objects] if lake.objects is lake.objects.own else [lake.objects, lake.objects.own]


def _linkage(lake: Lake, register: str) -> dict[str, dict[str, int]]:
    """Count whom departments share in a register; nobody before its first claim."""
    if not lake.has(REGISTERS, f"{register}_claims"):
        return {}
    claims = Ledger(lake, register).claims_in_force()
    return linkage(claims.scan(), Court(lake, register).id_map(claims.until).lazy())


def _clear_leftovers(lake: Lake) -> int:
    """Remove staged rows, unfinished landings and files that no table knows yet, of runs that died long ago."""
    removed = 0
    for contract in lake.catalogue.datasets():
        for layer in (Layer.BRONZE, Layer.SILVER, Layer.QUARANTINE):
            if not lake.has(layer, contract.name):
                removed += _sweep(lake, layers.table_path(layer, contract.name))
    for store in _stores(lake):
        for name in [*store.names(STAGING), *store.unfinished(Layer.LANDING)]:
            with suppress(FileNotFoundError):  # whoever it belonged to has just finished
                if store.age(name) > LEFTOVER_AGE.total_seconds():
                    store.remove(name)
                    removed += 1
    return removed


def _sweep(lake: Lake, folder: PurePosixPath) -> int:
    """Remove what a run that died before it made its table has left in the table's folder."""
    old = [name for name in lake.objects.states(folder) if lake.objects.age(name) > LEFTOVER_AGE.total_seconds()]
    for name in old:
        lake.objects.remove(name)
    return len(old)
