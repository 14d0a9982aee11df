"""Housekeeping, then a search for leaks; what may be public no longer goes, the site says so, the rest is offered."""

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, get_current_context, task

from jobs.operation.schedules import in_china

with DAG(
    "maintenance",
    schedule=in_china("30 4 * * *"),
    catchup=False,
    max_active_runs=1,
    tags=["maintenance"],
    default_args={
        "owner": "operations", "retries": 1, "retry_delay": timedelta(minutes=5), "retry_exponential_backoff": True,
    },
    doc_md="Every step may be repeated or interrupted at any point. See `lake runs`.",
) as dag:

    @task(task_id="maintain")
    def maintain() -> list[dict[str, object]]:
        """Run the lake's housekeeping once."""
        from jobs.operation.tasks import perform

        return perform("maintain")

    @task(task_id="expire")
    def expire() -> list[dict[str, object]]:
        """Withdraw released versions that show a row whose time in public is over."""
        from jobs.operation.tasks import perform

        return perform("expire")

    @task(task_id="again", trigger_rule="all_done")
    def again() -> list[str]:
        """Name the DAGs of the datasets that were withdrawn: what of them may be public still is offered anew."""
        from jobs.operation.tasks import offered_again

        return offered_again(get_current_context()["dag_run"].run_after)  # not when it began: cleared, it begins anew

    @task(task_id="site", trigger_rule="all_done")
    def build_site() -> dict[str, object]:
        """Build the site: the score card has a new day, and a withdrawal may have been made by hand."""
        from jobs.operation.tasks import site

        return site()

    @task(task_id="announce", trigger_rule="none_failed")
    def announce(built: dict[str, object] | None) -> None:
        """Tell the feed's readers, now that the pages are there."""
        from jobs.operation.tasks import announced

        announced(built)

    @task(task_id="scan", trigger_rule="all_done")
    def scan() -> list[dict[str, object]]:
        """Search what was written outside the closed layers for people's numbers; a finding fails the run."""
        from jobs.operation.tasks import perform

        return perform("scan")

    maintain() >> scan()
    expired, built, names = expire(), build_site(), again()
    # Of its own: what must be gone today waits for no housekeeping. What failed hides nothing that was withdrawn, and
    # is not hidden: the run fails by its last task `expired`.
    expired >> [built, names, EmptyOperator(task_id="expired")]
    announce(built)
    TriggerDagRunOperator.partial(
        task_id="offer", trigger_run_id="after_expiry__{{ run_id }}", skip_when_already_exists=True,
    ).expand(trigger_dag_id=names)
