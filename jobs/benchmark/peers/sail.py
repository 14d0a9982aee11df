"""Sail (Rust, DataFusion) through Spark's own protocol: the statements of `spark_sql`, word for word."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from jobs.benchmark.measuring import Meter, main
from jobs.benchmark.peers import spark_sql


def run(data: Path, out: Path, cores: int) -> None:
    """Do the whole work in a server of this process; needs the package `pysail`."""
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server: Any = SparkConnectServer("127.0.0.1", 0)

    def opened() -> Any:
        server.start()
        _, port = server.listening_address
        return SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()

    spark_sql.work(Meter("sail", data, out, cores, {"sail": version("pysail")}), opened).stop()
    server.stop()


if __name__ == "__main__":
    main("sail", run)
