"""The Delta tables of the other engines: a register of one's own to work on, its files, a commit of files."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable, WriterProperties, convert_to_deltalake
from deltalake.transaction import AddAction

from jobs.errors import RequestError

COMPRESSION = WriterProperties(compression="ZSTD", compression_level=1)


def own_register(data: Path, out: Path) -> Path:
    """Return OUT/register, the data set's register as hard links: files are never changed, only the log is copied."""
    register = out / "register"
    shutil.copytree(data / "register", register, copy_function=linked)
    return register


def linked(source: str, target: str) -> None:
    """Make a hard link of a Parquet file of rows, which nothing changes; copy everything else."""
    if "/_delta_log/" in source or not source.endswith(".parquet"):
        shutil.copy2(source, target)
        return
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def files(table: Path) -> list[str]:
    """Return the paths of a Delta table's files; raise RequestError when they alone are not its content."""
    delta = DeltaTable(str(table))
    if "deletionVectors" in (delta.protocol().reader_features or []):
        raise RequestError(
            "the table has deletion vectors: its Parquet files are not its content.", where=str(table),
            remedy="write a plain copy in its place after the work.",
        )
    return [str(table / unquote(path)) for path in pl.DataFrame(delta.get_add_actions(flatten=True))["path"]]


def replace_files(table: Path, written: Iterable[str]) -> None:
    """Commit files that an engine wrote into the table's folder itself as the table's whole content."""
    delta, now = DeltaTable(str(table)), int(time.time() * 1000)
    actions = []
    for file in sorted(written):
        rows = json.dumps({"numRecords": pq.ParquetFile(file).metadata.num_rows})
        actions.append(AddAction(os.path.relpath(file, table), Path(file).stat().st_size, {}, now, True, rows))
    delta.create_write_transaction(actions, mode="overwrite", schema=delta.schema())


def as_table(folder: Path) -> None:
    """Make a Delta table of a folder of Parquet files, in place."""
    convert_to_deltalake(str(folder))


def row_count(table: Path) -> int:
    """Return the number of a Delta table's rows, from its log."""
    return int(DeltaTable(str(table)).count())
