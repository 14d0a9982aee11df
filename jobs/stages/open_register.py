"""Open a register with the rows of the one before it: its entities, each value with its source and moment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import polars as pl

from jobs.batch import StageReport
from jobs.errors import RequestError, SourceError
from jobs.privacy.keyring import secret
from jobs.registers.fold import ACTIVE, register_schema
from jobs.registers.keys import entity_ids
from jobs.storage.batch_tables import FILE_ROWS
from jobs.storage.identification import Work
from jobs.storage.ledgers import Commit, Ledger
from jobs.storage.logs import PART, Interval, Log, intervals
from jobs.storage.spreading import COUNT, spread
from jobs.storage.tables import Lake
from jobs.storage.undeclared import reading

FIRST = 1  # the commit of an opening
_WRITTEN = {"snapshot": pl.Boolean, **PART}


def run(lake: Lake, register: str, files: Sequence[Path]) -> StageReport:
    """Fill a keyed register that has no commit yet from Parquet files; what was delivered then counts on top.

    A row has the register's key under its kind's name, its fields, and for each value `<field>_source` (a dataset) and
    `<field>_as_of`. Raises RequestError for a register that is not keyed or not empty, SourceError for a column that is
    missing, a key that is empty or there twice.
    """
    started = time.monotonic()
    declared = lake.catalogue.registers.get(register)
    if declared is None or not declared.keyed:
        known = ", ".join(name for name, one in lake.catalogue.registers.items() if one.keyed) or "none"
        raise RequestError(f"{register!r} is no keyed register.", remedy=f"keyed registers: {known}.")
    with lake.writing(f"registers.{register}"):
        ledger = Ledger(lake, register)
        if ledger.plans():
            raise RequestError("the register has commits already.", dataset=register, remedy="open it before all else.")
        rows = sum(_checked(file, declared.kinds[0], lake, register) for file in files)
        engine = lake.much(rows)
        parts = tuple(intervals(max(-(-rows // FILE_ROWS), lake.settings.engine_cores if engine else 1)))
        with lake.workspace(f"open-{register}", shared=engine) as folder:
            work = Work(declared, dict(lake.catalogue.types), FIRST, folder, parts)
            place = partial(_place, work=work, register_key=secret(lake.objects, "register"))
            numbered = list(enumerate(str(file.resolve()) for file in files))
            spread(lake, place, numbered, COUNT, engine=engine, where=f"registers.{register}")
            versions, snapshot = ledger.versions_log(), ledger.snapshot_log()
            write = partial(_write, work=work, versions=versions, snapshot=snapshot)
            written = spread(lake, write, parts, _WRITTEN, engine=engine, where=f"registers.{register}")
        lake.check_lease()
        snapshot.replace(written.filter("snapshot").select(list(PART)))
        versions.commit(written.filter(~pl.col("snapshot")).select(list(PART)), FIRST)
        commit = Commit(FIRST, (), ())
        ledger.write_commit(commit, "planned")
        report = StageReport(
            "resolve", register, f"commit-{FIRST}", seconds=time.monotonic() - started,
            extra={"batches": [], "withdrawn": [], "decisions": 0, "versions": {ACTIVE: rows}, "entities": rows},
        )
        lake.record(report)
        ledger.write_commit(commit, "done")
        return report


def _checked(file: Path, kind: str, lake: Lake, register: str) -> int:
    """Return how many rows a file has; raise SourceError when it or a column is missing."""
    if not file.is_file():
        raise SourceError("there is no such file.", dataset=register, where=file.name)
    with reading(file.name):
        scanned = pl.scan_parquet(file)
        names = scanned.collect_schema().names()
    fields = lake.catalogue.registers[register].fields
    wanted = [kind, *(f"{name}{suffix}" for name in fields for suffix in ("", "_source", "_as_of"))]
    if missing := [name for name in wanted if name not in names]:
        raise SourceError(f"there is no column {', '.join(missing)}.", dataset=register, where=file.name)
    return int(scanned.select(pl.len()).collect().item())


def _place(file: tuple[int, str], *, work: Work, register_key: bytes) -> pl.DataFrame:
    """Leave a file's rows under their ids, those of each interval apart."""
    number, path = file
    (kind,), schema = work.register.kinds, register_schema(work.register, work.types)
    rows = pl.read_parquet(path)
    if rows[kind].null_count():
        where = f"{Path(path).name}, row {rows[kind].is_null().arg_max() or 0}"
        raise SourceError("a row has no key.", dataset=work.register.name, where=where, remedy=f"fill {kind}.")
    ids = entity_ids(pl.repeat(kind, rows.height, eager=True), rows[kind], register_key)
    rows = rows.with_columns(
        ids, pl.lit(kind).alias("_kind"), pl.lit(ACTIVE).alias("_status"), pl.lit(None).alias("_standing_as_of")
    ).select(pl.col(name).cast(stored) for name, stored in schema.items())
    for part in work.parts:
        work.put(rows.filter(part.holds("_entity_id")), f"opened-{part.low}", number)
    return pl.DataFrame({"rows": [rows.height]})


def _write(part: Interval, *, work: Work, versions: Log, snapshot: Log) -> pl.DataFrame:
    """Write the rows of one interval as the first versions and as the snapshot."""
    schema = register_schema(work.register, work.types)
    rows = work.found(f"opened-{part.low}", schema).collect()
    if rows["_entity_id"].n_unique() != rows.height:
        twice = rows.height - rows["_entity_id"].n_unique()
        raise SourceError(f"{twice} rows have a key that another row has.", dataset=work.register.name,
                          remedy="leave one row of each key.")
    rows = rows.with_columns(pl.lit(FIRST, pl.Int64).alias("_commit"))
    written = [log.write(rows).with_columns(pl.lit(log is snapshot).alias("snapshot")) for log in (versions, snapshot)]
    return pl.concat(written).select(list(_WRITTEN))
