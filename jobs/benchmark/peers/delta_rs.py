"""delta-rs alone: DataFusion's SQL over Delta tables, and its own MERGE."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from jobs.benchmark import statements as sql
from jobs.benchmark import tables
from jobs.benchmark.measuring import Meter, main
from jobs.benchmark.rules import BATCH_AT, DEPARTMENTS, FIELDS, HISTORY
from jobs.benchmark.statements import DATAFUSION

_ZSTD = "OPTIONS ('format.compression' 'zstd(1)')"


def run(data: Path, out: Path, cores: int) -> None:
    """Do the whole work; write the outputs and result.json."""
    phase = Meter("delta_rs", data, out, cores, {"delta-rs": deltalake.__version__})
    tables.own_register(data, out)
    with phase("ingest"):
        _ingest(data, out, phase.counts)
    with phase("resolve"):
        _resolve(out)
        phase.counts["entities"] = tables.row_count(out / "s")
    with phase("merge"):
        _merge(out)
        phase.counts["changed"] = tables.row_count(out / "history")
    with phase("export"):
        _export(out, phase.counts)
    phase.finish()


def _ask(out: Path, query: str, tables_: dict[str, str]) -> Any:
    """Return the answer as a stream; `tables_` says which folder of OUT is which table."""
    builder = QueryBuilder()
    for name, folder in tables_.items():
        builder.register(name, DeltaTable(str(out / folder)))
    return builder.execute(query)


def _rows(out: Path, query: str, tables_: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.table(_ask(out, query, tables_).read_all()).to_pylist()
    return found


def _stage(out: Path, name: str, query: str, tables_: dict[str, str]) -> None:
    """Write an answer as a Delta table of its own."""
    _ask(out, f"COPY ({query}) TO '{out}/{name}/' STORED AS PARQUET {_ZSTD}", tables_).read_all()
    tables.as_table(out / name)


def _take_in(out: Path, name: str, *parts: Path) -> None:
    """Make a Delta table of Parquet files without copying them."""
    (out / name).mkdir()
    for part in parts:
        os.link(part, out / name / part.name)
    tables.as_table(out / name)


def _ingest(data: Path, out: Path, counts: dict[str, int]) -> None:
    _take_in(out, "divisions", data / "ref_division.parquet")
    _stage(out, "known", sql.known("divisions"), {"divisions": "divisions"})
    judged = {name: f"judged_{name}" for name in DEPARTMENTS}
    for name, table in judged.items():
        _take_in(out, f"in_{name}", *sorted((data / f"extract_{name}").glob("*.parquet")))
        _stage(out, table, sql.judged(DATAFUSION, name, "src"), {"src": f"in_{name}", "known": "known"})
        _stage(out, name, sql.latest(name, "v"), {"v": table})
    bad = f"COPY ({sql.rejected(judged)}) TO '{out}/quarantine.parquet' STORED AS PARQUET {_ZSTD}"
    there = {table: table for table in judged.values()}
    _ask(out, bad, there).read_all()
    both = " UNION ALL ".join(f"SELECT count(*) AS n, count(reason) AS q FROM {table}" for table in there)
    (told,) = _rows(out, f"SELECT sum(n) AS n, sum(q) AS q FROM ({both})", there)
    counts |= {"read": int(told["n"]), "quarantined": int(told["q"])}
    counts["latest"] = sum(tables.row_count(out / name) for name in DEPARTMENTS)


def _resolve(out: Path) -> None:
    """Stage one row per person: DataFusion has no arg_max, so the best score first, then the arm that holds it."""
    best = ", ".join(f"max(s_{f}) AS s_{f}" for f in FIELDS)
    values = ", ".join(
        f"max(CASE WHEN u.s_{f} = m.s_{f} THEN u.n_{f} END) AS n_{f}, max(m.s_{f}) AS s_{f}" for f in FIELDS
    )
    query = f"""
WITH u AS ({sql.scored(DATAFUSION, {name: name for name in DEPARTMENTS})}),
m AS (SELECT id18, {best} FROM u GROUP BY id18)
SELECT u.id18 AS id18, {values} FROM u JOIN m ON u.id18 = m.id18 GROUP BY u.id18"""
    _stage(out, "s", query, {name: name for name in DEPARTMENTS})


def _merge(out: Path) -> None:
    wins = {field: sql.wins(field, "t") for field in FIELDS}
    changed = " OR ".join(f"({won} AND s.n_{field} IS DISTINCT FROM t.{field})" for field, won in wins.items())
    closed = ", ".join(f"t.{column}" for column in HISTORY[:-1])
    query = f"SELECT {closed}, cast({BATCH_AT} AS BIGINT) AS valid_to FROM t JOIN s ON t.id18 = s.id18 WHERE {changed}"
    ended = _ask(out, query, {"t": "register", "s": "s"})
    write_deltalake(str(out / "history"), ended, writer_properties=tables.COMPRESSION)
    update = {
        "version": f"CASE WHEN {changed} THEN t.version + 1 ELSE t.version END",
        "valid_from": f"CASE WHEN {changed} THEN {BATCH_AT} ELSE t.valid_from END",
    }
    for field, won in wins.items():
        source, time = sql.provenance(DATAFUSION, field, "s.")
        for column, new in ((field, f"s.n_{field}"), (f"{field}_src", source), (f"{field}_ts", time)):
            update[column] = f"CASE WHEN {won} THEN {new} ELSE t.{column} END"
    merge = DeltaTable(str(out / "register")).merge(
        _ask(out, "SELECT * FROM s", {"s": "s"}), "t.id18 = s.id18", source_alias="s", target_alias="t",
        writer_properties=tables.COMPRESSION,
    )
    merge = merge.when_matched_update(update, predicate=" OR ".join(wins.values()))
    merge.when_not_matched_insert(sql.first_values(DATAFUSION, "s.")).execute()


def _export(out: Path, counts: dict[str, int]) -> None:
    people = f"({sql.banded(DATAFUSION, 't')})"
    _stage(out, "grp", sql.grouped(people), {"t": "register"})
    (told,) = _rows(out, sql.counted("grp"), {"grp": "grp"})
    counts |= {name: int(value) for name, value in told.items()}
    rows = sql.exported(DATAFUSION, people, "grp")
    _ask(
        out, f"COPY ({rows}) TO '{out}/export/' STORED AS PARQUET PARTITIONED BY (prov) {_ZSTD}",
        {"t": "register", "grp": "grp"},
    ).read_all()


if __name__ == "__main__":
    main("delta_rs", run)
