"""One DAG per register: resolve, whenever any dataset that feeds it has new accepted rows."""

from datetime import timedelta
from functools import reduce
from operator import or_

from airflow.sdk import DAG, Asset, task

from jobs.catalogue import Catalogue, load_catalogue
from jobs.layers import Layer, asset_name, asset_uri, dag_name
from jobs.settings import Settings


def register_dag(catalogue: Catalogue, name: str) -> DAG:
    """Return the DAG of one register."""
    feeding = [asset_name(Layer.SILVER, contract.name) for contract in catalogue.feeding(name)]
    own, title = asset_name(Layer.REGISTERS, name), catalogue.registers[name].title
    with DAG(
        dag_name("register", name),
        schedule=reduce(or_, [Asset(name=one, uri=asset_uri(one)) for one in feeding]),
        catchup=False,
        max_active_runs=1,
        tags=["register"],
        default_args={
            "owner": "registers", "retries": 2, "retry_delay": timedelta(seconds=20),
            "retry_exponential_backoff": True, "max_retry_delay": timedelta(minutes=10),
        },
        doc_md=f"**{title.zh} · {title.en}**\n\nFed by: {', '.join(feeding)}. Rows that contradict it are held: "
        f"`lake cases --register {name}`. Also takes out what `lake retract` withdrew.",
    ) as dag:

        @task(task_id="resolve", outlets=[Asset(name=own, uri=asset_uri(own))])
        def resolve() -> list[dict[str, object]]:
            from jobs.operation.tasks import perform

            return perform("resolve", name)

        resolve()
    return dag


_catalogue = load_catalogue(Settings().schemas)
for _name in _catalogue.registers:
    globals()[dag_name("register", _name)] = register_dag(_catalogue, _name)
