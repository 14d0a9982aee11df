"""Load a landed batch into bronze: every record as strings, under the source's own column names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jobs import layers
from jobs.batch import Batch, StageReport
from jobs.contract import Contract
from jobs.errors import SourceError, StorageError
from jobs.layers import Layer
from jobs.stages.pending import each
from jobs.storage.tables import Lake
from jobs.storage.translation import carried

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from jobs.storage.readers import Limits

RECORD = {
    "_batch_id": "string", "_source_file": "string", "_source_row": "int64", "_defect": "string", "_extra": "string"
}


def run(lake: Lake, dataset: str, *, batch: str | None = None) -> list[StageReport]:
    """Load every pending batch of a dataset, or the named one again; raise SourceError for an unreadable file.

    A refused batch stays in landing with its bytes; the others are loaded all the same.
    """
    contract = lake.catalogue.contract(dataset)
    with lake.writing(f"bronze.{layers.slug(dataset)}"):
        return each(lake, "load", contract, batch, lambda one: _load(lake, contract, one))


def _load(lake: Lake, contract: Contract, batch: Batch) -> StageReport:
    try:
        lake.replace_batch(Layer.BRONZE, contract.name, batch.id, _records(lake, contract, batch))
    except SourceError as error:
        kept = layers.landing_path(contract.name, batch.id)
        raise SourceError(
            error.what, dataset=contract.name, layer=Layer.LANDING, where=error.where,
            remedy=f"{error.remedy or 'mend the file and deliver it again.'} The bytes are kept in {kept}.",
        ) from None
    delivered = lake.count(Layer.BRONZE, contract.name, batch.id)
    return StageReport("load", contract.name, batch.id, delivered=delivered, accepted=delivered)


def bronze_schema(contract: Contract) -> pa.Schema:
    """Return bronze's columns: every source column as a string, then where each record came from."""
    import pyarrow as pa

    names = [layers.column_name(name) for name in contract.source_columns]
    return pa.schema(
        [(name, pa.string()) for name in names]
        + [(name, pa.type_for_alias(kind)) for name, kind in RECORD.items()]
    )


def _records(lake: Lake, contract: Contract, batch: Batch) -> DataFrame:
    """Return the batch's records as a Spark frame; each file, or piece of one, is read where Spark decides."""
    from pyspark.sql.pandas.types import from_arrow_schema

    from jobs.storage.readers import Limits

    folder = lake.objects.local(layers.landing_path(contract.name, batch.id))
    files = [folder / file.name for file in batch.files]
    parts = [(str(file), *piece) for file in files for piece in _pieces(file, contract)]
    descriptors = lake.spark.createDataFrame(parts, "file string, start long, first long, stop long, end long")
    read = partial(_read_files, contract=contract, batch=batch.id, limits=Limits.of(lake.settings))
    schema = from_arrow_schema(bronze_schema(contract))
    return descriptors.repartition(len(parts)).mapInArrow(read, schema)


def _pieces(file: Path, contract: Contract) -> list[tuple[int | None, ...]]:
    """Return a file's pieces as rows of a table of descriptors; all null for a file read as a whole."""
    from jobs.storage.readers import plan

    found = plan(file, contract)
    if len(found) == 1:
        return [(None, None, None, None)]
    return [(one.start, one.first, one.stop, one.end) for one in found]


def _read_files(
    descriptors: Iterator[pa.RecordBatch], *, contract: Contract, batch: str, limits: Limits
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    from jobs.storage.readers import Piece, read

    schema = bronze_schema(contract)
    for descriptor in descriptors:
        for part in descriptor.to_pylist():
            file = Path(part.pop("file"))
            piece = None if part["start"] is None else Piece(**part)
            try:
                for records in read(file, contract, limits, piece):
                    ids = pa.array([batch] * records.num_rows, pa.string())
                    named = records.rename_columns([layers.column_name(name) for name in records.schema.names])
                    yield named.append_column("_batch_id", ids).select(schema.names)
            except (SourceError, StorageError) as error:
                raise carried(error) from None
