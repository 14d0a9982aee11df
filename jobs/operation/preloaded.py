"""Airflow's scheduler and DAG processor with modules imported before they fork: what they start begins at once.

`python -m jobs.operation.preloaded scheduler` is `airflow scheduler` otherwise. Nothing here may start a thread pool
or keep open a file that a fork would share: modules are imported, and the catalogue is read.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module

STAGES = ("land", "load", "conform", "resolve", "desensitise", "publish", "maintain", "expire", "scan", "give_back")
HEAVY = ("deltalake", "pandas", "pyarrow.parquet", "pypinyin", "scipy.sparse.csgraph")
OTHERS = ("jobs.operation.tasks", "jobs.operation.enquiries", "jobs.portal.build")
OPERATORS = ("empty", "hitl", "trigger_dagrun")
DAG_FILES = (  # what they import; `airflow.sdk` itself imports its parts when they are asked for
    "airflow.sdk.definitions.dag", "airflow.sdk.definitions.decorators",
    *(f"airflow.providers.standard.operators.{one}" for one in OPERATORS),
)
MODULES = {
    "scheduler": (*HEAVY, *OTHERS, *DAG_FILES, *(f"jobs.stages.{stage}" for stage in STAGES)),
    "dag-processor": DAG_FILES,
}


def main() -> None:
    """Import what the named service's children need, then become Airflow's command line."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it starts its threads when imported
    for name in MODULES[sys.argv[1]]:
        import_module(name)
    from airflow.__main__ import main as airflow

    from jobs.catalogue import load_catalogue
    from jobs.errors import ContractError
    from jobs.settings import Settings

    with suppress(ContractError):  # a task will say so
        load_catalogue(Settings().schemas)
    if "jobs.portal.build" in MODULES[sys.argv[1]]:
        from jobs.portal.pages import compile_templates

        compile_templates()
    airflow()


if __name__ == "__main__":
    main()
