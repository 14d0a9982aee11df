"""Spark and Delta's MERGE with deletion vectors: only files' marks and changed rows are written.

The MERGE has a matched clause only and the batch is broadcast, so that the register is not shuffled; new people are
appended. A table with deletion vectors is no set of Parquet files: after the work a plain copy takes its place.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jobs.benchmark import statements as sql
from jobs.benchmark import tables
from jobs.benchmark.measuring import START, Meter, main
from jobs.benchmark.peers import sessions
from jobs.benchmark.peers.spark_sql import export, ingest, resolve, stage, write
from jobs.benchmark.rules import FIELDS
from jobs.benchmark.statements import SPARK


def run(data: Path, out: Path, cores: int) -> None:
    """Do the whole work in a new Spark of this process."""
    phase = Meter("spark_merge", data, out, cores, {"spark": version("pyspark"), "delta": version("delta-spark")})
    work(phase, lambda: sessions.with_delta(out, cores), sessions.shuffled_bytes).stop()


def work(phase: Meter, opened: Callable[[], Any], shuffled: Callable[[Any], int] | None = None) -> Any:
    """Do the whole work in a session of Spark with Delta; write the outputs, return the session."""
    data, out = phase.data, phase.out
    register = tables.own_register(data, out / "work")
    table = f"delta.`{register}`"
    with phase(START):
        spark = opened()
        spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    if shuffled is not None:
        phase.shuffled = lambda: shuffled(spark)
    with phase("ingest"):
        ingest(spark, data, out, phase.counts)
    with phase("resolve"):
        resolve(spark, out, phase.counts)
    with phase("merge"):
        stage(spark, "hit", sql.matched(table), out)
        spark.sql(sql.closed("hit")).write.format("delta").save(str(out / "history"))
        phase.counts["changed"] = tables.row_count(out / "history")
        better = " OR ".join(f"w_{field}" for field in FIELDS)
        source = sql.updated(SPARK, f"(SELECT * FROM hit WHERE {better})")
        spark.sql(
            f"MERGE INTO {table} AS t USING ({source}) AS b ON t.id18 = b.id18 WHEN MATCHED THEN UPDATE SET *"
        )
        first = ", ".join(f"{value} AS {column}" for column, value in sql.first_values(SPARK).items())
        new = f"SELECT {first} FROM (SELECT s.* FROM s LEFT ANTI JOIN hit ON s.id18 = hit.id18) AS unknown"
        spark.sql(new).write.format("delta").mode("append").save(str(register))
    with phase("export"):
        export(spark, table, out, phase.counts)
    phase.finish({"register": register})
    write(spark, f"SELECT * FROM {table}", out / "register")
    shutil.rmtree(out / "work")
    return spark


if __name__ == "__main__":
    main("spark_merge", run)
