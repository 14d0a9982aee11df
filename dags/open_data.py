"""One DAG per dataset or product: desensitise; if it is open, preview >> approval >> publish >> site >> announce."""

from datetime import timedelta
from functools import reduce
from operator import or_

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Asset, get_current_context, get_parsing_context, task

from jobs.catalogue import load_catalogue
from jobs.contract import Contract
from jobs.layers import Layer, asset_name, asset_uri, dag_name
from jobs.settings import Settings

PREVIEW = "{{ (ti.xcom_pull(task_ids='preview') or {}).get('report', '') }}"


def open_dag(contract: Contract) -> DAG:
    """Return the DAG that brings one dataset or product to gold and, where it is open, publishes it."""
    name, gold = contract.name, asset_name(Layer.GOLD, contract.name)
    sources = [asset_name(Layer.REGISTERS, register) for register in contract.reads_registers]
    sources += [asset_name(Layer.SILVER, dataset) for dataset in contract.reads_datasets]
    with DAG(
        _dag_name(contract),
        schedule=reduce(or_, [Asset(name=one, uri=asset_uri(one)) for one in sources]),
        catchup=False,
        max_active_runs=1,
        tags=["open data" if contract.release else "gold", contract.department],
        default_args={
            "owner": contract.department, "retries": 2, "retry_delay": timedelta(seconds=20),
            "retry_exponential_backoff": True, "max_retry_delay": timedelta(minutes=10),
        },
        doc_md=f"**{contract.title.zh} · {contract.title.en}**\n\n{contract.description.zh} {contract.description.en}"
        f"\n\nSteward: {contract.steward}. The release waits for a person, who is not the one who triggered the run.",
    ) as dag:

        @task(task_id="desensitise", outlets=[Asset(name=gold, uri=asset_uri(gold))])
        def desensitise() -> list[dict[str, object]]:
            from jobs.operation.tasks import perform

            return perform("desensitise", name)

        @task(task_id="preview", trigger_rule="none_failed")
        def preview() -> dict[str, object]:
            from jobs.operation.tasks import previewed

            return previewed(name)

        @task(task_id="publish")
        def publish(decision: dict[str, object], seen: dict[str, object]) -> list[dict[str, object]]:
            from jobs.operation.tasks import released

            return released(name, decision, seen, get_current_context()["dag_run"].triggering_user_name)

        @task(task_id="site", trigger_rule="none_failed")
        def build_site() -> dict[str, object]:
            from jobs.operation.tasks import site

            return site()

        @task(task_id="announce", trigger_rule="none_failed")
        def announce(built: dict[str, object] | None) -> None:
            from jobs.operation.tasks import announced

            announced(built)

        protected = desensitise()
        if contract.release:
            approve = ApprovalOperator(
                task_id="approve", subject=f"Release {contract.title.en} ({contract.title.zh})?", body=PREVIEW,
                response_timeout=timedelta(days=7),
            )
            seen = preview()
            protected >> seen >> approve
            built = build_site()
            publish(approve.output, seen) >> built
            announce(built)
    return dag


def _dag_name(contract: Contract) -> str:
    return dag_name("open" if contract.release else "gold", contract.name)


_asked = get_parsing_context().dag_id  # a task asks for its own DAG only
for _contract in load_catalogue(Settings().schemas).contracts.values():
    if _asked in (None, _dag_name(_contract)):
        globals()[f"open_{_contract.name}"] = open_dag(_contract)
