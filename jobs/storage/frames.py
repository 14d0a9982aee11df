"""The bridge between the pure core's frames and what Delta, Arrow and Spark call the same columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

Schema = Mapping[str, Any]


def arrow_schema(schema: Schema) -> pa.Schema:
    """Return the Arrow schema Spark and Delta understand for a Polars schema (plain, not large or view, types)."""
    return pa.schema([(name, _plain(kind)) for name, kind in _arrow(schema).items()])


def spark_schema(schema: Schema) -> StructType:
    """Return the Spark schema of a Polars schema."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(arrow_schema(schema))


def _arrow(schema: Schema) -> dict[str, pa.DataType]:
    empty = pl.DataFrame(schema=pl.Schema(schema)).to_arrow()
    return {field.name: field.type for field in empty.schema}


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(kind.field(i).name, _plain(kind.field(i).type)) for i in range(kind.num_fields)])
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC")
    return kind


def to_arrow(rows: pl.DataFrame, schema: Schema) -> pa.Table:
    """Return rows as an Arrow table of exactly a schema's columns, in its order."""
    return rows.select(list(schema)).to_arrow().cast(arrow_schema(schema))
