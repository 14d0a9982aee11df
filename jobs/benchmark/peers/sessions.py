"""Spark as its users have it: a session of a process's own, with the settings that serve one machine best."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from jobs.settings import Settings
from jobs.storage import engine, jars

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MOST_HEAP_GB = 10
HEAP_SHARE = 0.4  # of the machine's memory


def plain(out: Path, cores: int) -> SparkSession:
    """Return Spark with its defaults and a full-sized heap; raise EngineError without Java."""
    return _session(out, cores, {})


def with_delta(out: Path, cores: int) -> SparkSession:
    """Return Spark with Delta, tuned: parallel collector, broadcasts up to 512 MB; raise EngineError without jars."""
    return _session(out, cores, {
        "spark.jars": ",".join(map(str, jars.paths(Settings()))),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
        "spark.sql.autoBroadcastJoinThreshold": "512m",
    })


def _session(out: Path, cores: int, options: dict[str, str]) -> SparkSession:
    from pyspark.sql import SparkSession

    java = Path(engine.java(Settings())).resolve()
    os.environ.setdefault("JAVA_HOME", str(java.parent.parent))
    heap = min(MOST_HEAP_GB << 30, int(psutil.virtual_memory().total * HEAP_SHARE)) >> 20
    settings = {
        "spark.driver.memory": f"{heap}m", "spark.sql.shuffle.partitions": str(4 * cores), "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false", "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.compression.codec": "zstd", "spark.hadoop.parquet.compression.codec.zstd.level": "1",
        "spark.local.dir": str(out / "spill"), "spark.sql.warehouse.dir": (out / "warehouse").as_uri(),
        "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1", **options,
    }
    builder = SparkSession.builder.master(f"local[{cores}]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def shuffled_bytes(spark: Any) -> int:
    """Return the bytes that a session of this process wrote for shuffles so far, as its own accounting has it."""
    executors = spark.sparkContext._jsc.sc().statusStore().executorList(False)
    return sum(int(executors.apply(place).totalShuffleWrite()) for place in range(executors.size()))
