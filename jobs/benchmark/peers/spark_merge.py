"""Spark and Delta's MERGE with deletion vectors: only files' marks and changed rows are written.

The MERGE has a matched clause only and the batch is broadcast, so that the register is not shuffled; new people are
appended. A table with deletion vectors is no set of Parquet files: after the work a plain copy takes its place.
"""

from __future__ import annotations

import shutil
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
    """Do the whole work in a new Spark of this process; write the outputs and result.json."""
    versions = {"spark": version("pyspark"), "delta": version("delta-spark")}
    phase = Meter("spark_merge", data, out, cores, versions)
    with phase(START):
        spark: Any = sessions.with_delta(out, cores)
        register = own_register(spark, data, out)
    phase.shuffled = lambda: sessions.shuffled_bytes(spark)
    with phase("ingest"):
        ingest(spark, data, out, phase.counts)
    with phase("resolve"):
        resolve(spark, out, phase.counts)
    with phase("merge"):
        merge(spark, register, out)
        phase.counts["changed"] = tables.row_count(out / "history")
    with phase("export"):
        export(spark, f"delta.`{register}`", out, phase.counts)
    phase.finish({"register": [register]})
    settle(spark, register, out)
    spark.stop()


def own_register(spark: Any, data: Path, out: Path) -> Path:
    """Return a register of one's own to work on, with deletion vectors."""
    register = tables.own_register(data, out / "work")
    spark.sql(f"ALTER TABLE delta.`{register}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    return register


def merge(spark: Any, register: Path, out: Path) -> None:
    """Write the history and merge the staged batch `s` into the register."""
    table = f"delta.`{register}`"
    stage(spark, "hit", sql.matched(table), out)
    spark.sql(sql.closed("hit")).write.format("delta").save(str(out / "history"))
    better = " OR ".join(f"w_{field}" for field in FIELDS)
    source = sql.updated(SPARK, f"(SELECT * FROM hit WHERE {better})")
    spark.sql(f"MERGE INTO {table} AS t USING ({source}) AS b ON t.id18 = b.id18 WHEN MATCHED THEN UPDATE SET *")
    first = ", ".join(f"{value} AS {column}" for column, value in sql.first_values(SPARK).items())
    new = f"SELECT {first} FROM (SELECT s.* FROM s LEFT ANTI JOIN hit ON s.id18 = hit.id18) AS unknown"
    spark.sql(new).write.format("delta").mode("append").save(str(register))


def settle(spark: Any, register: Path, out: Path) -> None:
    """Put a plain copy of the register where the referee looks."""
    write(spark, f"SELECT * FROM delta.`{register}`", out / "register")
    shutil.rmtree(out / "work")


if __name__ == "__main__":
    main("spark_merge", run)
