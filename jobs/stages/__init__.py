"""The stages: one verb, one file, one command, one Airflow task.

Every stage has the shape `run(lake, name, ..., batch=None) -> list[StageReport]`: it works on all pending batches
of its dataset, oldest first, or on the one named. Running it again changes nothing.
"""
