#!/usr/bin/env bash
# Serve the engine in the foreground, for a container, a supervisor or a cluster; LAKE_* settings as everywhere.
# Further arguments go to spark-submit: infra/spark/serve.sh --master spark://host:7077 --driver-memory 8g
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

# The same settings as the engine that `lake` starts by itself; what is given here wins.
mapfile -d '' -t options < <(
    .venv/bin/python - <<'PYTHON'
from pathlib import Path

import pyspark

from jobs.settings import Settings
from jobs.storage import jars
from jobs.storage.engine import configuration

settings = Settings()
for folder in ("warehouse", "tmp"):
    (settings.home / "engine" / folder).mkdir(parents=True, exist_ok=True)
words = [str(Path(pyspark.__file__).parent)]
words += ["--master", f"local[{settings.engine_cores}]", "--driver-memory", settings.engine_memory]
words += ["--jars", ",".join(map(str, jars.paths(settings)))]
confs = {
    **configuration(settings),
    "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.connect.grpc.binding.port": str(settings.engine_port or 15002),
}
for name, value in confs.items():
    words += ["--conf", f"{name}={value}"]
print("\0".join(words), end="\0")
PYTHON
)
((${#options[@]})) || exit 1

export SPARK_HOME=${options[0]} PYSPARK_PYTHON=$PWD/.venv/bin/python PYTHONPATH=$PWD POLARS_MAX_THREADS=1
exec "$SPARK_HOME/bin/spark-submit" --class org.apache.spark.sql.connect.service.SparkConnectServer \
    "${options[@]:1}" "$@" spark-internal
