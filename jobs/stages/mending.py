"""Between the lake and a department: which rejected rows it has not mended, and its mended ones as a new batch.

A batch of mended rows is of the same data date as the batch it repairs, which its manifest names; `_tickets.json`
beside it says which rejected row each of its records mends.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import polars as pl

from jobs import layers
from jobs.batch import Batch, LandedFile
from jobs.contract import Contract
from jobs.errors import RequestError, SourceError
from jobs.layers import Layer
from jobs.onboarding.mended import ORIGIN, read_mended
from jobs.sets.tickets import ATTEMPT, MENDED, REFUSED, REJECTED, SAID, WAITING, standing
from jobs.storage.objects import copy_in
from jobs.storage.readers import Limits
from jobs.storage.tables import Lake

TICKETS, ROWS = "_tickets.json", "mended.jsonl"


def open_rows(lake: Lake, contract: Contract) -> pl.DataFrame:
    """Return a dataset's rejected rows that are not mended yet, each as last delivered (`jobs.sets.tickets.standing`).

    Rows of withdrawn deliveries are nobody's task any more.
    """
    rejected = lake.scan(Layer.QUARANTINE, contract.name, absent=REJECTED).select(list(REJECTED)).collect()
    gone = lake.retracted(contract.name)
    batches = {batch.id: batch for batch in lake.batches(contract.name) if batch.id not in gone}
    judged = {one for one, row in lake.judged("conform", contract.name).items() if row["outcome"] == "done"}
    repairs = [batch for batch in batches.values() if batch.repairs]
    attempts = [_attempts(lake, batch, rejected, judged=batch.id in judged) for batch in repairs]
    own = rejected.filter(pl.col("_batch_id").is_in([one.id for one in batches.values() if not one.repairs]))
    found = standing(own, pl.concat([pl.DataFrame(schema=ATTEMPT), *attempts]))
    return found.sort("_batch_id", "_source_file", "_source_row")


def prepare(lake: Lake, contract: Contract, file: Path, part: Path, received: datetime) -> Batch | None:
    """Put the rows that a workbook mends into a folder, as a batch; None where all of it is known already.

    Raises SourceError for a workbook that is not one of this dataset's, or names rows that were not rejected, and
    RequestError where nothing was mended or a repair cannot be taken: a snapshot is delivered whole.
    """
    if contract.load.mode == "snapshot":
        raise RequestError(
            "a snapshot is delivered whole: single rows cannot be mended.", dataset=contract.name, where=file.name,
            remedy="mend them at the source; the next snapshot holds them.",
        )
    mended = read_mended(file, contract, Limits.of(lake.settings))
    batch = next((one for one in lake.batches(contract.name) if one.id == mended.batch and not one.repairs), None)
    if batch is None or batch.id in lake.retracted(contract.name):
        raise SourceError(
            "the workbook is about a batch that is not here, or was withdrawn.", dataset=contract.name,
            layer="landing", where=file.name, remedy=f"`lake batches {contract.name}` lists what there is.",
        )
    rejected = lake.scan(Layer.QUARANTINE, contract.name, absent=REJECTED).filter(pl.col("_batch_id") == batch.id)
    strange = mended.rows.join(rejected.select(ORIGIN).collect(), on=ORIGIN, how="anti")
    if strange.height:
        raise SourceError(
            f"{strange.height} rows of the workbook were not rejected in batch {batch.id}.", dataset=contract.name,
            layer="landing", where=f"{file.name}: row {strange['_source_row'][0]} of the delivery",
            remedy="keep the columns of file and row as they were.",
        )
    waiting = open_rows(lake, contract).filter(pl.col("_batch_id") == batch.id)
    known = waiting.filter(pl.col("_waits")).height or mended.rows.join(waiting, on=ORIGIN, how="anti").height
    fresh = _changed(mended.rows, waiting.filter(~pl.col("_waits")), contract)
    if fresh.is_empty():
        if known:
            return None
        raise RequestError(
            "no row of the workbook was changed.", dataset=contract.name, where=file.name,
            remedy="mend the marked cells, save, and hand it in again.",
        )
    tickets = [[name, row] for name, row in fresh.select(ORIGIN).iter_rows()]
    (part / TICKETS).write_text(json.dumps(tickets, ensure_ascii=False), encoding="utf-8")
    source = part / f".{ROWS}"
    fresh.select(contract.source_columns).write_ndjson(source)
    size, digest = copy_in(source, part / ROWS)
    source.unlink()
    landed = (LandedFile(ROWS, size, digest),)
    return Batch(
        contract.name, Batch.name_for(contract.name, batch.data_date, landed), batch.data_date, "request",
        received.isoformat(timespec="seconds"), landed, repairs=batch.id,
    )


def _changed(rows: pl.DataFrame, waiting: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Return the rows whose cells differ from what was delivered last, by file and row."""
    columns = list(contract.source_columns)
    said = pl.Struct(dict.fromkeys(columns, pl.String()))
    known = waiting.select(*ORIGIN, pl.col("_cells").str.json_decode(said).alias("_said"))
    known = known.select(*ORIGIN, pl.col("_said").struct.unnest()).with_columns(pl.col(columns).replace("", None))
    both = rows.join(known, on=ORIGIN, suffix="_then")
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_then")) for name in columns)
    return both.filter(differs).select(rows.columns).sort(ORIGIN)


def _attempts(lake: Lake, batch: Batch, rejected: pl.DataFrame, *, judged: bool) -> pl.DataFrame:
    """Return what became of the records of a batch of mended rows."""
    tickets = json.loads(lake.objects.read(layers.landing_path(batch.dataset, batch.id) / TICKETS))
    rows = pl.DataFrame(
        [(batch.repairs, name, row, number) for number, (name, row) in enumerate(tickets, 1)], orient="row",
        schema={"_batch_id": pl.String, "_source_file": pl.String, "_source_row": pl.Int64, "_record": pl.Int64},
    )
    refused = rejected.filter(pl.col("_batch_id") == batch.id).select(pl.col("_source_row").alias("_record"), *SAID)
    state = pl.lit(WAITING) if not judged else pl.when(pl.col("_reasons").is_null()).then(
        pl.lit(MENDED)).otherwise(pl.lit(REFUSED))
    found = rows.join(refused, on="_record", how="left").with_columns(
        pl.lit(batch.received_at).alias("_at"), state.alias("_state"))
    return found.select(pl.col(name).cast(kind) for name, kind in ATTEMPT.items())
