"""Spark SQL, straightforward: everything staged as Parquet, a full outer join that writes the whole register anew."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jobs.benchmark import statements as sql
from jobs.benchmark import tables
from jobs.benchmark.measuring import START, Meter, main
from jobs.benchmark.peers import sessions
from jobs.benchmark.rules import DEPARTMENTS
from jobs.benchmark.statements import SPARK


def run(data: Path, out: Path, cores: int) -> None:
    """Do the whole work in a new Spark of this process."""
    phase = Meter("spark_sql", data, out, cores, {"spark": version("pyspark")})
    work(phase, lambda: sessions.plain(out, cores), sessions.shuffled_bytes).stop()


def work(phase: Meter, opened: Callable[[], Any], shuffled: Callable[[Any], int] | None = None) -> Any:
    """Do the whole work in a session of Spark or of what speaks its protocol; write the outputs, return the session.

    `shuffled` asks a session how many bytes it shuffled.
    """
    data, out = phase.data, phase.out
    register = tables.own_register(data, out)
    with phase(START):
        spark = opened()
        spark.sql("SELECT 1").collect()
    if shuffled is not None:
        phase.shuffled = lambda: shuffled(spark)
    with phase("ingest"):
        ingest(spark, data, out, phase.counts)
    with phase("resolve"):
        resolve(spark, out, phase.counts)
    with phase("merge"):
        view(spark, "held", *tables.files(register))
        write(spark, sql.closed(f"({sql.matched('held')})"), out / "history")
        tables.as_table(out / "history")
        phase.counts["changed"] = tables.row_count(out / "history")
        both = sql.matched("held", "FULL OUTER JOIN")
        write(spark, sql.updated(SPARK, f"({both})", everyone=True), register / "after")
        tables.replace_files(register, map(str, (register / "after").glob("*.parquet")))
    with phase("export"):
        view(spark, "held", *tables.files(register))
        export(spark, "held", out, phase.counts)
    phase.finish()
    return spark


def view(spark: Any, name: str, *paths: str) -> None:
    """Name Parquet files or folders."""
    spark.read.parquet(*paths).createOrReplaceTempView(name)


def write(spark: Any, query: str, folder: Path) -> None:
    """Write an answer as Parquet."""
    spark.sql(query).write.parquet(str(folder))


def stage(spark: Any, name: str, query: str, out: Path) -> None:
    """Write an answer and name it, so that it is computed once."""
    write(spark, query, out / f"stage_{name}")
    view(spark, name, str(out / f"stage_{name}"))


def ingest(spark: Any, data: Path, out: Path, counts: dict[str, int]) -> None:
    """Judge the extracts, write the quarantine, stage each department's latest rows."""
    view(spark, "divisions", str(data / "ref_division.parquet"))
    spark.sql(sql.known("divisions")).createOrReplaceTempView("known")
    judged = {name: f"judged_{name}" for name in DEPARTMENTS}
    for name, table in judged.items():
        view(spark, "source", str(data / f"extract_{name}"))
        stage(spark, table, sql.judged(SPARK, name, "source"), out)
        stage(spark, name, sql.latest(name, table), out)
    write(spark, sql.rejected(judged), out / "quarantine.parquet")
    both = " UNION ALL ".join(f"SELECT count(*) AS n, count(reason) AS q FROM {table}" for table in judged.values())
    read, quarantined = spark.sql(f"SELECT sum(n), sum(q) FROM ({both})").collect()[0]
    latest = sum(spark.sql(f"SELECT count(*) FROM {name}").collect()[0][0] for name in DEPARTMENTS)
    counts |= {"read": int(read), "quarantined": int(quarantined), "latest": int(latest)}


def resolve(spark: Any, out: Path, counts: dict[str, int]) -> None:
    """Stage one row per person of the batch."""
    scores = sql.scored(SPARK, {name: name for name in DEPARTMENTS})
    stage(spark, "s", sql.resolved(scores, "max_by"), out)
    counts["entities"] = int(spark.sql("SELECT count(*) FROM s").collect()[0][0])


def export(spark: Any, register: str, out: Path, counts: dict[str, int]) -> None:
    """Write the desensitised rows of large enough groups, by province."""
    spark.sql(sql.banded(SPARK, register)).createOrReplaceTempView("e")
    stage(spark, "grp", sql.grouped("e"), out)
    everyone, suppressed = spark.sql(sql.counted("grp")).collect()[0]
    counts |= {"register": int(everyone), "suppressed": int(suppressed)}
    spark.sql(sql.exported(SPARK, "e", "grp")).write.partitionBy("prov").parquet(str(out / "export"))


if __name__ == "__main__":
    main("spark_sql", run)
