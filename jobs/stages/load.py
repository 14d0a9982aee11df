"""Load a landed batch into bronze: every record as strings, under the source's own column names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs import layers
from jobs.batch import Batch, StageReport
from jobs.contract import Contract
from jobs.errors import DamagedBatchError, SourceError
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
    record = NAMED_RECORD_BYTES if contract.source.reader in NAMED else RECORD_BYTES
    much = lake.much(sum(file.bytes for file in batch.files) // record)
    try:
        found = landed.files(lake, batch, contract.source)
        if much:
            parts = [part for file in found for part in _parts(file, contract)]
            files = spread(lake, task, parts, FILE, engine=True, where=f"bronze.{layers.slug(contract.name)}")
        else:
            files = pl.concat([_read_here(lake, task, file, contract) for file in found])
    except SourceError as error:
        kept = f"The bytes are kept in {folder}."
        if batch.envelope:
            kept = f"`lake delivered {batch.dataset} --batch {batch.id} --out FOLDER` writes its bytes out."
        raise SourceError(
            error.what, dataset=contract.name, layer=Layer.LANDING, where=error.where,
            remedy=f"{error.remedy or 'mend the file and deliver it again.'} {kept}",
        ) from None
    except DamagedBatchError as error:
        raise DamagedBatchError(
            error.what, dataset=contract.name, layer=Layer.LANDING, where=error.where,
            remedy=f"{error.remedy or 'put it back from a copy of the lake.'} Then `lake run load {contract.name} "
            f"--batch {batch.id}`; or withdraw it: `lake retract {contract.name} --batch {batch.id}`.",
        ) from None
    lake.replace_batch(table, batch.id, files)
    delivered = int(files["rows"].sum())
    return StageReport("load", contract.name, batch.id, delivered=delivered, accepted=delivered)


def _parts(file: Fetched, contract: Contract) -> list[Part]:
    """Return what the engine's tasks read of a file; only one that may be cut is fetched to be looked at.

    A worker may run elsewhere, so each part names the file where it lies.
    """
    if contract.source is None or contract.source.reader != "csv" or contract.source.packed:
        return [Part(file, None)]
    with file.local() as here:
        return _pieces(file, here, contract)


def _read_here(lake: Lake, task: Callable[[Part], pl.DataFrame], file: Fetched, contract: Contract) -> pl.DataFrame:
    """Read a file in this process; whatever of it had to be fetched or decrypted is gone afterwards."""
    with file.local() as here:
        parts = _pieces(Directory(here), here, contract)
        return spread(lake, task, parts, FILE, engine=False, where=f"bronze.{layers.slug(contract.name)}")


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
