"""Each morning every department finds its rejected rows in its drop box; mended ones come back with its deliveries."""

from datetime import timedelta

from airflow.sdk import DAG, task

from jobs.operation.schedules import in_china

with DAG(
    "returns",
    schedule=in_china("0 7 * * 1-5"),
    catchup=False,
    max_active_runs=1,
    tags=["deliveries", "people"],
    default_args={
        "owner": "operations", "retries": 2, "retry_delay": timedelta(minutes=2), "retry_exponential_backoff": True,
    },
    doc_md="**退回不合格行 · rejected rows given back**\n\nA workbook per batch in `<department>/_returned`, bad cells "
    "marked, reasons beside. Mended and put into `<department>/_repaired`, the `dataset.*` DAGs take it as a batch of "
    "its own. The same by `lake rejected --workbook` and `lake repair`.",
) as dag:

    @task(task_id="give_back")
    def give_back() -> list[dict[str, object]]:
        """Write the workbooks whose rows are new or changed; remove those whose rows are all mended."""
        from jobs.operation.tasks import perform

        return perform("give_back")

    give_back()
