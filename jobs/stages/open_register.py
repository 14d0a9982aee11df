"""Open a register with the rows of the one before it: its entities, each value with its source and moment."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import polars as pl

from jobs.batch import StageReport
from jobs.errors import RequestError, SourceError
from jobs.privacy.keyring import secret
from jobs.registers.fold import ACTIVE, register_schema
from jobs.registers.keyed import Terms
from jobs.registers.keys import entity_ids, told_by
from jobs.storage.batch_tables import FILE_ROWS
from jobs.storage.identification import Work
from jobs.storage.ledgers import OPENING, OPENS, Commit, Ledger
from jobs.storage.logs import PART, Interval, Log, intervals
from jobs.storage.spreading import COUNT, spread
from jobs.storage.tables import Lake
from jobs.storage.undeclared import reading

FIRST = OPENS  # the commit of an opening
_WRITTEN = {"snapshot": pl.Boolean, **PART}


def run(lake: Lake, register: str, files: Sequence[Path]) -> StageReport:
    """Fill a keyed register that has no commit yet from Parquet files; what was delivered then counts on top.

    A row has the register's key under its kind's name, its fields, and for each value `<field>_source` (a dataset that
    speaks about the field) and `<field>_as_of`; what no dataset speaks about is read from the key. An opening that was
    interrupted is finished by the same files. Raises RequestError for a register that is not keyed or not empty,
    SourceError for a column that is missing, a key that is empty or there twice, a value of another type or of unknown
    origin.
    """
    started = time.monotonic()
    declared = lake.catalogue.registers.get(register)
    if declared is None or not declared.keyed:
        known = ", ".join(name for name, one in lake.catalogue.registers.items() if one.keyed) or "none"
        raise RequestError(f"{register!r} is no keyed register.", remedy=f"keyed registers: {known}.")
    with lake.writing(f"registers.{register}"):
        ledger = Ledger(lake, register)
        rows = sum(_checked(file, lake, register) for file in files)
        commit = Commit(FIRST, (), (), (OPENING + _digest(files),))
        plans = ledger.plans()
        if any(done for _, done in plans) or any(not one.opens for one, _ in plans):
            raise RequestError(
                "the register has commits already, and only an empty one is opened.", dataset=register,
                remedy=f"for another start move the tables {register}_* of the layer registers away.",
            )
        if plans and plans[0][0] != commit:
            raise RequestError(
                "the register is being opened with other files.", dataset=register, remedy="finish that one first."
            )
        if not plans:
            ledger.write_commit(commit, "planned")  # first: a resolve sees that there is something to be finished
        engine = lake.much(rows)
        parts = tuple(intervals(max(-(-rows // FILE_ROWS), lake.settings.engine_cores if engine else 1)))
        with lake.workspace(f"open-{register}", shared=engine) as folder:
            work = Work(declared, dict(lake.catalogue.types), FIRST, folder, parts)
            key, terms = secret(lake.objects, "register"), lake.terms(register)
            place = partial(_place, work=work, register_key=key, terms=terms)
            numbered = list(enumerate(str(file.resolve()) for file in files))
            spread(lake, place, numbered, COUNT, engine=engine, where=f"registers.{register}")
            versions, snapshot = ledger.versions_log(), ledger.snapshot_log()
            write = partial(_write, work=work, versions=versions, snapshot=snapshot)
            written = spread(lake, write, parts, _WRITTEN, engine=engine, where=f"registers.{register}")
        lake.check_lease()
        snapshot.replace(written.filter("snapshot").select(list(PART)))
        versions.commit(written.filter(~pl.col("snapshot")).select(list(PART)), FIRST)
        report = StageReport(
            "resolve", register, f"commit-{FIRST}", seconds=time.monotonic() - started,
            extra={"batches": [], "withdrawn": [], "decisions": 0, "versions": {ACTIVE: rows}, "entities": rows},
        )
        lake.record(report)
        ledger.write_commit(commit, "done")
        return report


def _digest(files: Sequence[Path]) -> str:
    """Return 32 hex digits of what files hold, in whatever order they are named."""
    found = []
    for file in files:
        with file.open("rb") as stream:
            found.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return hashlib.sha256("".join(sorted(found)).encode()).hexdigest()[:32]


def _checked(file: Path, lake: Lake, register: str) -> int:
    """Return how many rows a file has; raise SourceError when it or a column is missing."""
    if not file.is_file():
        raise SourceError("there is no such file.", dataset=register, where=file.name, remedy="name a Parquet file.")
    with reading(file.name):
        scanned = pl.scan_parquet(file)
        names = scanned.collect_schema().names()
        rows = int(scanned.select(pl.len()).collect().item())
    declared = lake.catalogue.registers[register]
    spoken = {field for fields in lake.terms(register).says.values() for field in fields}
    fields = [name for name in declared.fields if name in spoken or name not in declared.of_key]
    wanted = [*declared.kinds, *(f"{name}{part}" for name in fields for part in ("", "_source", "_as_of"))]
    if missing := [name for name in wanted if name not in names]:
        what = f"there is no column {', '.join(missing)}."
        raise SourceError(what, dataset=register, where=file.name, remedy="add it; it may be empty but for the key.")
    return rows


def _place(file: tuple[int, str], *, work: Work, register_key: bytes, terms: Terms) -> pl.DataFrame:
    """Leave a file's rows under their ids, those of each interval apart."""
    number, path = file
    (kind,), name = work.register.kinds, Path(path).name
    with reading(name):
        rows = pl.read_parquet(path)
    rows = _typed(rows, work, name)
    _check(rows, terms, name)
    rows = rows.with_columns(
        pl.coalesce(field, told_by(rows[kind], what).cast(rows.schema[field])).alias(field)
        for field, what in work.register.of_key.items()
    )
    ids = entity_ids(pl.repeat(kind, rows.height, eager=True), rows[kind], register_key)
    rows = rows.with_columns(
        ids, pl.lit(kind).alias("_kind"), pl.lit(ACTIVE).alias("_status"), pl.lit(None).alias("_standing_as_of")
    ).select(pl.col(column).cast(stored) for column, stored in terms.schema.items())
    for part in work.parts:
        work.put(rows.filter(part.holds("_entity_id")), f"opened-{part.low}", number)
    return pl.DataFrame({"rows": [rows.height]})


def _typed(rows: pl.DataFrame, work: Work, file: str) -> pl.DataFrame:
    """Return the columns an opening takes, in their types; raise SourceError for values that are of another."""
    (kind,) = work.register.kinds
    wanted = {kind: pl.String, **{
        name: stored for name, stored in register_schema(work.register, work.types).items() if not name.startswith("_")
    }}
    typed = rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(stored, strict=False).alias(name)
        for name, stored in wanted.items()
    )
    for name in set(wanted) & set(rows.columns):
        if wrong := typed[name].null_count() - rows[name].null_count():
            what = f"{wrong} values of {name} are no {typed[name].dtype}."
            raise SourceError(what, dataset=work.register.name, where=file, remedy="write them as the register does.")
    return typed


def _check(rows: pl.DataFrame, terms: Terms, file: str) -> None:
    """Raise SourceError for a row without a key or with one that nobody will name, or a value of unknown origin."""
    register = terms.register
    (kind,) = register.kinds
    spelled = rows[kind].str.strip_chars().str.to_uppercase()
    faults = {f"no key in {kind}": rows[kind].is_null() | (rows[kind] == ""),
              f"a key in {kind} that is not in its one spelling": rows[kind] != spelled}
    for field in register.fields:
        said, source, moment = rows[field].is_not_null(), rows[f"{field}_source"], rows[f"{field}_as_of"]
        known = [dataset for (dataset, _), fields in terms.says.items() if field in fields]
        faults |= {
            f"a value of {field} without source or moment": said & (source.is_null() | moment.is_null()),
            f"a source of {field} that says nothing of it": source.is_not_null() & ~source.is_in(known),
        }
    for what, mask in faults.items():
        if mask.any():
            row = (mask.arg_true()[0] or 0) + 1
            raise SourceError(
                f"a row has {what}.", dataset=register.name, where=f"{file}, row {row}", remedy="mend it in the file."
            )


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
