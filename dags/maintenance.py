"""Housekeeping, then a search for leaks; and what may be public no longer is withdrawn, then the site built."""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

with DAG(
    "maintenance",
    schedule=CronTriggerTimetable("30 4 * * *", timezone="Asia/Shanghai"),
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

    @task(task_id="site", trigger_rule="none_failed")
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
    built = build_site()
    expire() >> built  # of its own: what must be gone today waits for no housekeeping
    announce(built)
