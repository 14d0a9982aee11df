"""Where a step runs: here for little, over the engine's workers for much; the same function, the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa

from jobs.storage.frames import spark_schema, to_arrow
from jobs.storage.objects import storage_errors
from jobs.storage.tables import Lake
from jobs.storage.translation import carrying

Part = TypeVar("Part")
COUNT: dict[str, Any] = {"rows": pl.Int64}  # what a task tells that leaves its rows in files


def spread(
    lake: Lake, task: Callable[[Part], pl.DataFrame], parts: Sequence[Part], schema: Mapping[str, Any], *, engine: bool,
    where: str,
) -> pl.DataFrame:
    """Do a task for each part, with `engine` as one Spark task each, and return what the tasks told, together.

    What tasks return is small: rows travel by files, not through here.
    """
    if not parts:
        return pl.DataFrame(schema=schema)
    if not engine:
        return pl.concat([task(part) for part in parts]).cast(pl.Schema(schema))

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                with carrying(), storage_errors(where):
                    told = to_arrow(task(parts[number]), schema)
                yield from told.to_batches()

    with lake.engine_call(where):
        numbers = lake.spark.range(0, len(parts), 1, len(parts))
        told = numbers.mapInArrow(run, spark_schema(schema)).toArrow()
    return pl.DataFrame(pl.from_arrow(told)).cast(pl.Schema(schema))


def warm_up(lake: Lake) -> None:
    """Have the engine's workers do nothing once: its first task takes as long as its start, later ones a moment."""
    spread(lake, _nothing, range(lake.settings.engine_cores), COUNT, engine=True, where="engine")


def _nothing(_number: int) -> pl.DataFrame:
    return pl.DataFrame(schema=COUNT)
