"""Two DAGs per register: resolve, whenever a dataset that feeds it or a decision is new; and people decide cases."""

from datetime import timedelta
from functools import reduce
from operator import or_

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Asset, Param, task, task_group

from jobs.catalogue import Catalogue, load_catalogue
from jobs.layers import Layer, asset_name, asset_uri, dag_name
from jobs.operation.schedules import in_china
from jobs.settings import Settings

ANSWERS = ["same", "different", "unsure"]
KEEP_APART = "unsure"  # nobody's answer joins nothing and parts nothing: the rows go on waiting
RETRIES = {
    "owner": "registers", "retries": 2, "retry_delay": timedelta(seconds=20), "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
}


def _asset(name: str) -> Asset:
    return Asset(name=asset_name(Layer.REGISTERS, name), uri=asset_uri(asset_name(Layer.REGISTERS, name)))


def register_dag(catalogue: Catalogue, name: str) -> DAG:
    """Return the DAG that resolves one register."""
    feeding = [asset_name(Layer.SILVER, contract.name) for contract in catalogue.feeding(name)]
    title, decisions = catalogue.registers[name].title, _asset(f"{name}_decisions")
    with DAG(
        dag_name("register", name),
        schedule=reduce(or_, [Asset(name=one, uri=asset_uri(one)) for one in feeding], decisions),
        catchup=False, max_active_runs=1, tags=["register"], default_args=RETRIES,
        doc_md=f"**{title.zh} · {title.en}**\n\nFed by: {', '.join(feeding)}. Unless it is keyed, what contradicts is "
        f"held: `lake cases --register {name}`. Also takes out what was withdrawn, and takes up decisions.",
    ) as dag:

        @task(task_id="resolve", outlets=[_asset(name)])
        def resolve() -> list[dict[str, object]]:
            from jobs.operation.tasks import perform

            return perform("resolve", name)

        resolve()
    return dag


def cases_dag(catalogue: Catalogue, name: str) -> DAG:
    """Return the DAG that asks people about one register's cases; XCom holds ids and answers, no value."""
    title = catalogue.registers[name].title

    def evidence(case: str) -> str:
        from jobs.operation.tasks import case_text

        return case_text(name, case)

    with DAG(
        dag_name("cases", name),
        schedule=in_china("0 9 * * 1-5"),
        catchup=False,
        max_active_runs=1,
        tags=["register", "people"],
        default_args=RETRIES,
        params={"limit": Param(20, type="integer", minimum=1, maximum=200, description="cases asked in one run")},
        user_defined_macros={"evidence": evidence},
        doc_md=f"**{title.zh} · {title.en}: 待裁定的疑点 · cases**\n\nA data steward answers `same`, `different` or "
        f"`unsure`; nobody's answer within a week keeps apart. The same by `lake decide`.",
    ) as dag:

        @task(task_id="waiting")
        def waiting(params: dict[str, object] | None = None) -> list[str]:
            from jobs.operation.tasks import waiting_cases

            return waiting_cases(name, int(str((params or {})["limit"])))

        @task(task_id="record", outlets=[_asset(f"{name}_decisions")])
        def record(case: str, answer: dict[str, object]) -> str:
            from jobs.operation.tasks import answered

            return answered(name, case, answer)

        @task_group(group_id="court")
        def court(case: str) -> None:
            ask = HITLOperator(
                task_id="ask", subject=case, body="{{ evidence(task.subject) }}", options=ANSWERS, defaults=KEEP_APART,
                params={"reason": Param("", type="string")}, response_timeout=timedelta(days=7),
            )
            record(case, ask.output)

        court.expand(case=waiting())
    return dag


_catalogue = load_catalogue(Settings().schemas)
for _name in _catalogue.registers:
    globals()[dag_name("register", _name)] = register_dag(_catalogue, _name)
    if not _catalogue.registers[_name].keyed:
        globals()[dag_name("cases", _name)] = cases_dag(_catalogue, _name)
