"""DuckDB: SQL in memory, the register rewritten by its own Parquet writer, the commit by delta-rs."""

from __future__ import annotations

from pathlib import Path

import duckdb
from deltalake import write_deltalake

from jobs.benchmark import statements as sql
from jobs.benchmark import tables
from jobs.benchmark.measuring import Meter, main
from jobs.benchmark.rules import DEPARTMENTS, REGISTER
from jobs.benchmark.statements import DUCKDB

_ZSTD = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"


def run(data: Path, out: Path, cores: int) -> None:
    """Do the whole work; write the outputs and result.json."""
    phase = Meter("duckdb", data, out, cores, {"duckdb": duckdb.__version__})
    register = tables.own_register(data, out)
    db = duckdb.connect()
    db.execute(f"SET threads={cores}; SET preserve_insertion_order=false; SET temp_directory='{out}/spill'")
    with phase("ingest"):
        _ingest(db, data, out, phase.counts)
    with phase("resolve"):
        scores = sql.scored(DUCKDB, {name: name for name in DEPARTMENTS})
        db.execute(f"CREATE TEMP TABLE s AS {sql.resolved(scores, 'arg_max')}")
        phase.counts["entities"] = _count(db, "s")
        for name in DEPARTMENTS:
            db.execute(f"DROP TABLE {name}")
    with phase("merge"):
        _merge(db, register, out, phase.counts)
    with phase("export"):
        _export(db, register, out, phase.counts)
    phase.finish()


def _ingest(db: duckdb.DuckDBPyConnection, data: Path, out: Path, counts: dict[str, int]) -> None:
    db.execute(f"CREATE TEMP TABLE known AS {sql.known(_parquet([f'{data}/ref_division.parquet']))}")
    judged = {name: f"judged_{name}" for name in DEPARTMENTS}
    for name, table in judged.items():
        source = _parquet([f"{data}/extract_{name}/*.parquet"])
        db.execute(f"CREATE TEMP TABLE {table} AS {sql.judged(DUCKDB, name, source)}")
        db.execute(f"CREATE TEMP TABLE {name} AS {sql.latest(name, table)}")
    (quarantined,) = db.execute(f"COPY ({sql.rejected(judged)}) TO '{out}/quarantine.parquet' ({_ZSTD})").fetchall()[0]
    counts["read"] = sum(_count(db, table) for table in judged.values())
    counts["quarantined"] = int(quarantined)
    counts["latest"] = sum(_count(db, name) for name in DEPARTMENTS)
    for table in judged.values():
        db.execute(f"DROP TABLE {table}")


def _merge(db: duckdb.DuckDBPyConnection, register: Path, out: Path, counts: dict[str, int]) -> None:
    db.execute(f"CREATE VIEW held AS SELECT * FROM {_parquet(tables.files(register))}")
    # The people of both are few: they are made once, and feed the history as well as the new version.
    db.execute(f"CREATE TEMP TABLE hit AS {sql.matched('held')}")
    ended = db.sql(sql.closed("hit")).to_arrow_reader()
    write_deltalake(str(out / "history"), ended, writer_properties=tables.COMPRESSION)
    counts["changed"] = tables.row_count(out / "history")
    first = ", ".join(f"{value} AS {column}" for column, value in sql.first_values(DUCKDB).items())
    after = f"""
SELECT {', '.join(REGISTER)} FROM held WHERE NOT EXISTS (SELECT 1 FROM hit WHERE hit.id18 = held.id18)
UNION ALL {sql.updated(DUCKDB, 'hit')}
UNION ALL SELECT {first} FROM s WHERE NOT EXISTS (SELECT 1 FROM hit WHERE hit.id18 = s.id18)"""
    written = db.execute(
        f"COPY ({after}) TO '{register}' ({_ZSTD}, PER_THREAD_OUTPUT true, FILENAME_PATTERN 'after_{{uuid}}', "
        "OVERWRITE_OR_IGNORE true, RETURN_STATS true)"
    ).fetchall()
    tables.replace_files(register, [str(row[0]) for row in written])


def _export(db: duckdb.DuckDBPyConnection, register: Path, out: Path, counts: dict[str, int]) -> None:
    db.execute(f"CREATE VIEW e AS {sql.banded(DUCKDB, _parquet(tables.files(register)))}")
    db.execute(f"CREATE TEMP TABLE grp AS {sql.grouped('e')}")
    everyone, suppressed = db.execute(sql.counted("grp")).fetchall()[0]
    counts |= {"register": int(everyone), "suppressed": int(suppressed)}
    db.execute(f"COPY ({sql.exported(DUCKDB, 'e', 'grp')}) TO '{out}/export' ({_ZSTD}, PARTITION_BY (prov))")


def _parquet(paths: list[str]) -> str:
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{listed}])"


def _count(db: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


if __name__ == "__main__":
    main("duckdb", run)
