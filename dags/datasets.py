"""One DAG per contract: land >> load >> conform. A run takes every batch that waits, so a missed one heals itself.

A batch that one task refuses stops no other: the next tasks run all the same, and the run fails by its last, `judged`.
"""

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, Param, get_current_context, get_parsing_context, task

from jobs.catalogue import load_catalogue
from jobs.contract import Contract
from jobs.layers import Layer, asset_name, asset_uri, dag_name
from jobs.operation.schedules import in_china
from jobs.settings import Settings


def dataset_dag(contract: Contract) -> DAG:
    """Return the DAG of one dataset."""
    name, silver = contract.name, asset_name(Layer.SILVER, contract.name)
    with DAG(
        dag_name("dataset", name),
        schedule=in_china(contract.schedule) if contract.schedule else None,
        catchup=False,
        max_active_runs=1,
        tags=["dataset", contract.department],
        params={
            "batch": Param(
                None, type=["null", "string"], pattern=r"^\d{4}-\d{2}-\d{2}-[0-9a-f]{12}$",
                description="One batch, judged again; empty: all that wait. `lake batches` lists them.",
            )
        },
        default_args={
            "owner": contract.department, "retries": 2, "retry_delay": timedelta(seconds=20),
            "retry_exponential_backoff": True, "max_retry_delay": timedelta(minutes=10),
        },
        doc_md=f"**{contract.title.zh} · {contract.title.en}**\n\n{contract.description.zh} {contract.description.en}"
        f"\n\nSteward: {contract.steward}. What a batch became: `lake batches {name}`; "
        f"rejected rows: `lake rejected {name}`. A backfill judges the delivered batches of its dates again.",
    ) as dag:

        @task(task_id="land")
        def land() -> list[dict[str, object]]:
            from jobs.operation.tasks import perform

            return perform("land", name)

        @task(task_id="load", trigger_rule="all_done")
        def load() -> list[dict[str, object]]:
            from jobs.operation.tasks import backfilled, perform

            context = get_current_context()
            return perform("load", name, batch=context["params"]["batch"], data_date=backfilled(context["dag_run"]))

        @task(task_id="conform", trigger_rule="all_done", outlets=[Asset(name=silver, uri=asset_uri(silver))])
        def conform() -> list[dict[str, object]]:
            from jobs.operation.tasks import backfilled, perform

            context = get_current_context()
            return perform("conform", name, batch=context["params"]["batch"], data_date=backfilled(context["dag_run"]))

        landed, loaded, conformed = land(), load(), conform()
        landed >> loaded >> conformed
        [landed, loaded, conformed] >> EmptyOperator(task_id="judged", trigger_rule="none_failed")
    return dag


_asked = get_parsing_context().dag_id  # a task asks for its own DAG only
for _contract in load_catalogue(Settings().schemas).contracts.values():
    _name = dag_name("dataset", _contract.name)
    if not _contract.is_product and _asked in (None, _name):
        globals()[_name] = dataset_dag(_contract)
