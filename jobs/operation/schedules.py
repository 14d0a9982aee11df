"""When DAGs run by themselves."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable


def in_china(cron: str) -> CronTriggerTimetable:
    """Return a schedule by the clock of China.

    A DAG that is new runs at its next time: by default Airflow runs it at once for hours after the last one, so that
    what a new lake does first would depend on the time of day it is started.
    """
    return CronTriggerTimetable(cron, timezone="Asia/Shanghai", run_immediately=timedelta(0))
