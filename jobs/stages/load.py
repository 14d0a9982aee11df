"""Load a landed batch into bronze: every record as strings, under the source's own column names."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs import layers
from jobs.batch import Batch, StageReport
from jobs.contract import Contract
from jobs.errors import SourceError
from jobs.layers import Layer
from jobs.source import Source
from jobs.stages import landed
from jobs.stages.pending import each
from jobs.storage.batch_tables import FILE, BatchTable
from jobs.storage.locations import Directory, Fetched
from jobs.storage.spreading import spread
from jobs.storage.tables import Lake

if TYPE_CHECKING:
    from jobs.storage.readers import Limits, Piece

RECORD: dict[str, Any] = {
    "_batch_id": pl.String, "_source_file": pl.String, "_source_row": pl.Int64, "_defect": pl.String,
    "_extra": pl.String,
}
# What a record is taken to have; how many there are is known only when they are read. Some repeat their fields' names.
RECORD_BYTES, NAMED_RECORD_BYTES = 100, 300
MENDED = Source(reader="jsonl", path="*")  # mended rows come in the lake's own form, whatever the contract's is
NAMED = ("json", "jsonl", "xml", "database", "rest")


def run(lake: Lake, dataset: str, *, batch: str | None = None) -> list[StageReport]:
    """Load every pending batch of a dataset, or the named one again; raise SourceError for an unreadable file.

    A refused batch stays in landing with its bytes; the others are loaded all the same.
    """
    contract = lake.catalogue.contract(dataset)
    with lake.writing(f"bronze.{layers.slug(dataset)}"):
        return each(lake, "load", contract, batch, lambda one: _load(lake, contract, one))


def bronze_schema(contract: Contract) -> dict[str, Any]:
    """Return bronze's columns: every source column as a string, then where each record came from."""
    return {**{layers.column_name(name): pl.String for name in contract.source_columns}, **RECORD}


@dataclass(frozen=True)
class Part:
    """Name a landed file, or one piece of a large one, where the task that reads it finds it."""

    file: Fetched
    piece: Piece | None


def _load(lake: Lake, contract: Contract, batch: Batch) -> StageReport:
    from jobs.storage.readers import Limits

    folder = layers.landing_path(contract.name, batch.id)
    table = BatchTable(lake.folder(Layer.BRONZE, contract.name), bronze_schema(contract))
    if batch.repairs:
        contract = contract.model_copy(update={"source": MENDED})
    task = partial(_read, contract=contract, batch=batch.id, limits=Limits.of(lake.settings), table=table)
    assert contract.source is not None
    found = landed.files(lake, batch, contract.source)
    record = NAMED_RECORD_BYTES if contract.source.reader in NAMED else RECORD_BYTES
    much = lake.much(sum(file.bytes for file in batch.files) // record)
    try:
        with ExitStack() as stack:
            here = [stack.enter_context(file.local()) for file in found]
            # A worker of the engine may run elsewhere and fetches what it reads; this process has it by now.
            places = found if much else [Directory(path) for path in here]
            parts = [part for file, path in zip(places, here, strict=True) for part in _pieces(file, path, contract)]
            files = spread(lake, task, parts, FILE, engine=much, where=f"bronze.{layers.slug(contract.name)}")
    except SourceError as error:
        raise SourceError(
            error.what, dataset=contract.name, layer=Layer.LANDING, where=error.where,
            remedy=f"{error.remedy or 'mend the file and deliver it again.'} The bytes are kept in {folder}.",
        ) from None
    lake.replace_batch(table, batch.id, files)
    delivered = int(files["rows"].sum())
    return StageReport("load", contract.name, batch.id, delivered=delivered, accepted=delivered)


def _pieces(file: Fetched, here: Path, contract: Contract) -> list[Part]:
    from jobs.storage.readers import plan

    pieces = plan(here, contract)
    return [Part(file, piece) for piece in pieces] if len(pieces) > 1 else [Part(file, None)]


def _read(part: Part, *, contract: Contract, batch: str, limits: Limits, table: BatchTable) -> pl.DataFrame:
    """Write a file's records, as they are read, into bronze's folder; return the files written."""
    import pyarrow as pa

    from jobs.storage.readers import read

    with part.file.local() as file, table.writer(batch) as writer:
        for records in read(file, contract, limits, part.piece):
            named = records.rename_columns([layers.column_name(name) for name in records.schema.names])
            writer.write(pa.Table.from_batches([named]).select(list(table.stored)))
    return writer.files()
