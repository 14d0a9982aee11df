"""Readers: a landed file becomes records of strings, each counted once and numbered as an editor shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from jobs.contract import Contract
from jobs.errors import SourceError
from jobs.storage.reading.database import dump_database
from jobs.storage.reading.delimited import read_delimited
from jobs.storage.reading.json_lines import read_json_lines
from jobs.storage.reading.layout import Layout, Record
from jobs.storage.reading.workbook import read_workbook

__all__ = ["Limits", "dump_database", "read"]

BATCH_ROWS = 20_000
_READERS = {
    "csv": read_delimited, "jsonl": read_json_lines, "database": read_json_lines, "xlsx": read_workbook,
}


@dataclass(frozen=True)
class Limits:
    """Bound what one record may hold: a larger cell sends its row to quarantine."""

    max_cell_bytes: int = 1 << 20


def read(file: Path, contract: Contract, limits: Limits) -> Iterator[pa.RecordBatch]:
    """Yield a file's records: the contract's source columns as strings, then where each record came from.

    `_source_file` and `_source_row` say where; `_defect` says why a record cannot be trusted as a whole (for example
    `record.column_count`); `_extra` holds, as JSON, unknown columns to keep and the raw text of a defective record.
    Raises SourceError when the file as a whole is not what the contract declares.
    """
    source = contract.source
    if source is None:
        raise SourceError("a product has no files.", dataset=contract.name)
    layout = Layout.of(contract)
    waiting: list[Record] = []
    seen = 0
    try:
        if file.stat().st_size == 0:
            raise SourceError("the file is empty.", remedy="deliver it again.")
        for record in _READERS[source.reader](file, source, layout):
            waiting.append(record)
            seen += 1
            if len(waiting) == BATCH_ROWS:
                yield _batch(waiting, layout, file.name, limits)
                waiting = []
    except SourceError as error:
        where = f"{file.name}:{error.where}" if error.where else file.name
        raise SourceError(error.what, dataset=contract.name, where=where, remedy=error.remedy) from None
    if not seen and contract.rows.min:
        raise SourceError(
            "the file has a header and no record.", dataset=contract.name, where=file.name, remedy="deliver it again."
        )
    yield _batch(waiting, layout, file.name, limits)


def _batch(records: list[Record], layout: Layout, file: str, limits: Limits) -> pa.RecordBatch:
    bounded = [record.bounded(limits.max_cell_bytes) for record in records]
    columns = [[record.cells.get(name) for record in bounded] for name in layout.columns]
    origin = {
        "_source_file": pa.array([file] * len(bounded), pa.string()),
        "_source_row": pa.array([record.row for record in bounded], pa.int64()),
        "_defect": pa.array([record.defect for record in bounded], pa.string()),
        "_extra": pa.array([record.extra_json() for record in bounded], pa.string()),
    }
    return pa.RecordBatch.from_arrays(
        [pa.array(column, pa.string()) for column in columns] + list(origin.values()), [*layout.columns, *origin]
    )
