"""The merge benchmark: one declared register, one batch of changes, and every engine a user might take for it.

A data set is a folder: `register/` (a Delta table of people), `extract_ps`, `extract_ca`, `extract_hi` (departments'
changes as Parquet parts) and `ref_division.parquet`. An engine is a module run as a process of its own; it writes
`register/`, `history/`, `quarantine.parquet`, `export/prov=*` and `result.json`. The referee compares what they wrote.

`rules` says what all must do, `statements` says it in SQL, `generation` makes data, `measuring` measures, `referee`
judges, `run` takes turns, `report` tells.
"""
