"""Delta tables read natively: the log says which files count, Polars reads those.

Neither Polars' own Delta reader (it takes the percent signs of an encoded path for a part of a file's name) nor
delta-rs' Arrow dataset (it casts every statistic of every file at each opening).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import polars as pl

from jobs.storage.locations import Location

if TYPE_CHECKING:
    from deltalake import DeltaTable


def files(folder: Location) -> pl.DataFrame:
    """Return the files of a table's newest version; no row where it has none.

    Columns: `path` (an address), `size_bytes`, `num_records`, `partition.*`, and `min.*` and `max.*` of the columns
    the table keeps statistics of.
    """
    return files_of(opened(folder), folder)


def scan_delta(folder: Location) -> pl.LazyFrame:
    """Return a Delta table's rows; a column that a file is older than is null there."""
    return scan_opened(opened(folder), folder)


def opened(folder: Location) -> DeltaTable:
    """Return a table as delta-rs knows it."""
    from deltalake import DeltaTable

    return DeltaTable(folder.uri, storage_options=folder.options)


def scan_opened(table: DeltaTable, folder: Location) -> pl.LazyFrame:
    """Return the rows of a table that is open already, as `scan_delta` does."""
    partitions = table.metadata().partition_columns
    declared = pl.Schema(table.schema().to_arrow())
    schema = {name: pl.String() if kind == pl.Categorical else kind for name, kind in declared.items()}
    found = files_of(table, folder)
    if found.is_empty():
        return pl.LazyFrame(schema=schema)
    stored = {name: kind for name, kind in schema.items() if name not in partitions}
    rows = pl.scan_parquet(
        found["path"].to_list(), schema=stored, missing_columns="insert", extra_columns="ignore", glob=False,
        hive_partitioning=bool(partitions), hive_schema={name: schema[name] for name in partitions} or None,
        try_parse_hive_dates=False, storage_options=folder.scanning,
    )
    return rows.select(list(schema))


def files_of(table: DeltaTable, folder: Location) -> pl.DataFrame:
    """Return the files of a table that is open already, as `files` does."""
    found = pl.DataFrame(table.get_add_actions(flatten=True))
    places = [folder.address(unquote(path)) for path in found["path"]] if found.height else []
    return found.with_columns(pl.Series("path", places, pl.String))
