"""Take released versions back: what goes >> approval by another person >> withdraw >> site >> announce."""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, get_current_context, task

from jobs.catalogue import load_catalogue
from jobs.settings import Settings

_open = sorted(one.name for one in load_catalogue(Settings().schemas).contracts.values() if one.release)

with DAG(
    "withdrawal",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["open data", "people"],
    default_args={"owner": "operations", "retries": 2, "retry_delay": timedelta(seconds=20)},
    params={
        "dataset": Param(_open[0] if _open else "", type="string", enum=_open or [""]),
        "versions": Param("", type="string", minLength=5, description="such as 1.0.0 1.0.1"),
        "reason": Param("", type="string", minLength=3, description="published with the statement: no personal data"),
    },
    doc_md="**撤回已发布的版本 · withdraw released versions**\n\nTheir data, and every change file that holds their "
    "rows, go; a signed statement says when and why, the feed and the site tell it. The same by `lake withdraw`.",
) as dag:

    @task(task_id="preview")
    def preview(params: dict[str, str] | None = None) -> str:
        """Say what would be removed."""
        from jobs.operation.tasks import withdrawing

        return withdrawing(**(params or {}))

    @task(task_id="withdraw")
    def withdraw(decision: dict[str, object], params: dict[str, str] | None = None) -> list[str]:
        """Withdraw, signed by who approved."""
        from jobs.operation.tasks import withdrawn

        run = get_current_context()["dag_run"]
        return withdrawn(**(params or {}), decision=decision, triggered_by=run.triggering_user_name)

    @task(task_id="site", trigger_rule="none_failed")
    def build_site() -> dict[str, object]:
        """Build the site, so that it says so."""
        from jobs.operation.tasks import site

        return site()

    @task(task_id="announce", trigger_rule="none_failed")
    def announce(built: dict[str, object] | None) -> None:
        """Tell the feed's readers, now that the pages are there."""
        from jobs.operation.tasks import announced

        announced(built)

    approve = ApprovalOperator(
        task_id="approve", subject="Withdraw {{ params.dataset }} {{ params.versions }}?",
        body="{{ ti.xcom_pull(task_ids='preview') }}", response_timeout=timedelta(days=7),
    )
    preview() >> approve
    built = build_site()
    withdraw(approve.output) >> built
    announce(built)
