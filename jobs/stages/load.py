"""Load a landed batch into bronze: every record as strings, under the source's own column names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jobs import layers
from jobs.batch import Batch, StageReport
from jobs.contract import Contract
from jobs.errors import SourceError
from jobs.layers import Layer
from jobs.stages.pending import each
from jobs.storage.tables import Lake
from jobs.storage.translation import carried

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

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
    """Return the batch's records as a Spark frame; each file is read where Spark decides, as a stream."""
    from pyspark.sql.pandas.types import from_arrow_schema

    folder = lake.objects.local(layers.landing_path(contract.name, batch.id))
    files = lake.spark.createDataFrame([(str(folder / file.name),) for file in batch.files], "file string")
    read = partial(_read_files, contract=contract, batch=batch.id, max_cell_bytes=lake.settings.max_cell_bytes)
    return files.repartition(len(batch.files)).mapInArrow(read, from_arrow_schema(bronze_schema(contract)))


def _read_files(
    descriptors: Iterator[pa.RecordBatch], *, contract: Contract, batch: str, max_cell_bytes: int
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    from jobs.storage.readers import Limits, read

    schema = bronze_schema(contract)
    for descriptor in descriptors:
        for file in descriptor.column(0).to_pylist():
            try:
                for records in read(Path(file), contract, Limits(max_cell_bytes=max_cell_bytes)):
                    ids = pa.array([batch] * records.num_rows, pa.string())
                    named = records.rename_columns([layers.column_name(name) for name in records.schema.names])
                    yield named.append_column("_batch_id", ids).select(schema.names)
            except SourceError as error:
                raise carried(error) from None
