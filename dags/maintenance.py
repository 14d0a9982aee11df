"""Housekeeping: compaction, vacuum, registers' snapshots, leftovers of killed runs, Data Docs, the open-data site."""

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

    @task(task_id="site", trigger_rule="none_failed")
    def build_site() -> dict[str, object]:
        """Build the site: the score card has a new day, and a withdrawal may have been made by hand."""
        from jobs.operation.tasks import site

        return site()

    maintain() >> build_site()
