"""Between the lake and a department: which rejected rows it has not mended, and its mended ones as a new batch.

A batch of mended rows is of the same data date as the batch it repairs, which its manifest names; `_tickets.json`
beside it says which rejected row each of its records mends.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import polars as pl

from jobs import layers
from jobs.batch import Batch, LandedFile
from jobs.contract import Contract
from jobs.errors import DamagedBatchError, LakeError, RequestError, SourceError
from jobs.layers import Layer
from jobs.onboarding.mended import read_mended
from jobs.onboarding.workbook import CUT, MOST_CHARACTERS
from jobs.sets.tickets import ATTEMPT, MENDED, REFUSED, REJECTED, SAID, TICKET, WAITING, standing
from jobs.sets.tickets import ORIGIN as PLACE
from jobs.stages.judging import judged_rows
from jobs.storage.objects import Sealing, copy_in
from jobs.storage.readers import Limits
from jobs.storage.tables import Lake

TICKETS, ROWS = "_tickets.json", "mended.jsonl"
ORIGIN = tuple(PLACE)


def open_rows(lake: Lake, contract: Contract) -> pl.DataFrame:
    """Return a dataset's rejected rows that are not mended yet, each as last delivered (`jobs.sets.tickets.standing`).

    Rows of withdrawn deliveries are nobody's task any more, and those of withheld ones are delivered anew as a whole;
    nor are those whose record a later delivery has brought, accepted.
    """
    return parted(lake, contract)[0]


def parted(lake: Lake, contract: Contract) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rejected rows that wait for their department, and those that a later delivery has closed."""
    rejected = lake.scan(Layer.QUARANTINE, contract.name, absent=REJECTED).select(list(REJECTED)).collect()
    gone = lake.retracted(contract.name)
    batches = {batch.id: batch for batch in lake.batches(contract.name) if batch.id not in gone}
    judged = {one for one, row in lake.judged("conform", contract.name).items() if row["outcome"] == "done"}
    repairs = [batch for batch in batches.values() if batch.repairs]
    attempts = [_attempts(lake, batch, rejected, judged=batch.id in judged) for batch in repairs]
    own = rejected.filter(pl.col("_batch_id").is_in([one.id for one in batches.values() if not one.repairs]))
    own = own.filter(pl.col("_batch_id").is_in(sorted(judged)))
    found = standing(own, pl.concat([pl.DataFrame(schema=ATTEMPT), *attempts]))
    found = found.sort("_batch_id", "_source_file", "_source_row")
    closed = _brought_later(lake, contract, found, batches).with_columns(pl.lit(value=True).alias("_closed"))
    told = found.join(closed, on=list(TICKET), how="left", maintain_order="left")
    waits = pl.col("_closed").is_null()
    return told.filter(waits).drop("_closed"), told.filter(~waits).drop("_closed")


def _brought_later(
    lake: Lake, contract: Contract, rows: pl.DataFrame, batches: Mapping[str, Batch]
) -> pl.DataFrame:
    """Return the tickets of rejected rows whose key a batch of as late a data date, received later, has in silver.

    Only a dataset of `mode: merge` has records that come again; a row whose key cannot be read, or is wrong, waits:
    what stands there may be another record's.
    """
    key = list(contract.load.key)
    if contract.load.mode != "merge" or not key:
        return pl.DataFrame(schema=TICKET)
    doubtful = pl.element().str.split(".").list.first().is_in(["record", *key])
    rows = rows.filter(~pl.col("_reasons").list.eval(doubtful).list.any())
    order = {one.id: (one.received_at, one.data_date) for one in batches.values()}

    def is_later(then: str, now: str) -> bool:
        # Nothing says when a damaged batch without a record of its landing was received: it closes no ticket.
        return order[now][0] > order[then][0] > "" and order[now][1] >= order[then][1]

    waiting = rows["_batch_id"].unique().to_list()
    brought = [now for now in order if any(is_later(then, now) for then in waiting)]
    if not brought:
        return pl.DataFrame(schema=TICKET)
    said = pl.Struct(dict.fromkeys(contract.source_columns, pl.String()))
    no_defect = pl.lit(None, pl.String).alias("_defect")
    cells = rows.select(*TICKET, "_extra", no_defect, pl.col("_cells").str.json_decode(said))
    cells = cells.unnest("_cells")
    typed = [
        judged_rows(
            part.drop("_batch_id"), contract=contract, catalogue_types=lake.catalogue.types, codes=lake.codes,
            data_date=batches[str(batch)].data_date,
        ).select(*ORIGIN, *key, pl.lit(str(batch)).alias("_batch_id"))
        for (batch,), part in cells.group_by("_batch_id", maintain_order=True)
    ]
    wanted = pl.concat(typed).drop_nulls(key)
    schema = {**{name: wanted.schema[name] for name in key}, "_batch_id": pl.String}
    silver = lake.scan(Layer.SILVER, contract.name, absent=schema).filter(pl.col("_batch_id").is_in(brought))
    silver = silver.select(*key, pl.col("_batch_id").alias("_later"))
    found = silver.join(wanted.lazy(), on=key, how="inner").select(*TICKET, "_later").collect()
    later = [is_later(then, now) for then, now in found.select("_batch_id", "_later").iter_rows()]
    return found.filter(pl.Series(later, dtype=pl.Boolean)).select(list(TICKET)).unique()


def prepare(
    lake: Lake, contract: Contract, file: Path, part: Path, received: datetime, seal: Sealing | None = None
) -> tuple[Batch, bool]:
    """Put the rows that a workbook mends into a folder, as a batch, true; or the batch that brought them, false.

    The rows are encrypted by `seal` if given; what says which they mend names files and numbers and is not.

    Raises SourceError for a workbook that is not one of this dataset's, or names rows that were not rejected, and
    RequestError where nothing was mended or a repair cannot be taken: a snapshot or a withheld delivery comes whole.
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
    if lake.judged("conform", contract.name).get(batch.id, {}).get("outcome") != "done":
        raise RequestError(
            f"batch {batch.id} is withheld: it is delivered anew as a whole.", dataset=contract.name, where=file.name,
            remedy=f"see `lake rejected {contract.name} --batch {batch.id}`.",
        )
    waiting = open_rows(lake, contract).filter(pl.col("_batch_id") == batch.id)
    fresh = _changed(mended.rows, waiting.filter(~pl.col("_waits")), contract)
    if fresh.is_empty():
        if known := _brought(lake, batch, mended.rows):
            return known, False
        raise RequestError(
            "no row of the workbook was changed.", dataset=contract.name, where=file.name,
            remedy="mend the marked cells, save, and hand it in again.",
        )
    tickets = [[name, row] for name, row in fresh.select(ORIGIN).iter_rows()]
    told = json.dumps({"repairs": batch.id, "tickets": tickets}, ensure_ascii=False)
    (part / TICKETS).write_text(told, encoding="utf-8")
    about = LandedFile(TICKETS, len(told.encode()), hashlib.sha256(told.encode()).hexdigest())
    rows = fresh.select(contract.source_columns).write_ndjson().encode()
    size, digest = copy_in(io.BytesIO(rows), part / ROWS, seal)
    landed = LandedFile(ROWS, size, digest)
    # Two rows may be mended to the same cells: whose they are makes them two batches.
    name = Batch.name_for(contract.name, batch.data_date, (landed, about))
    return Batch(
        contract.name, name, batch.data_date, "request", received.isoformat(timespec="microseconds"), (landed,),
        repairs=batch.id,
    ), True


def _brought(lake: Lake, batch: Batch, rows: pl.DataFrame) -> Batch | None:
    """Return the newest batch that brought one of a workbook's rows mended."""
    asked = {(name, row) for name, row in rows.select(ORIGIN).iter_rows()}
    gone = lake.retracted(batch.dataset)
    repairs = [one for one in lake.batches(batch.dataset) if one.repairs == batch.id and one.id not in gone]
    for one in sorted(repairs, key=lambda one: one.received_at, reverse=True):
        if asked & {(name, row) for name, row in _tickets(lake, one)}:
            return one
    return None


def unreadable(lake: Lake, contract: Contract) -> list[LakeError]:
    """Return an error for each batch of mended rows that no longer says which it mends: it counts as no attempt."""
    gone = lake.retracted(contract.name)
    repairs = [one for one in lake.batches(contract.name) if one.repairs and gone.isdisjoint({one.id, one.repairs})]
    return [
        DamagedBatchError(
            "what says which rejected rows this batch mends is gone or cannot be read; it counts for none of them.",
            dataset=contract.name, layer="landing", where=f"batch {one.id}: {TICKETS}",
            remedy="put it back from a copy of the lake; or withdraw the batch: "
            f"`lake retract {contract.name} --batch {one.id}`.",
        )
        for one in repairs if _read_tickets(lake, one) is None
    ]


def _tickets(lake: Lake, batch: Batch) -> list[tuple[str, int]]:
    """Return which rejected rows a batch mends, in the order of its records; none where nothing says so any more."""
    return _read_tickets(lake, batch) or []


def _read_tickets(lake: Lake, batch: Batch) -> list[tuple[str, int]] | None:
    file = layers.landing_path(batch.dataset, batch.id) / TICKETS
    if not lake.objects.exists(file):
        return None
    try:
        found = [(name, row) for name, row in json.loads(lake.objects.read(file))["tickets"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if all(isinstance(name, str) and type(row) is int for name, row in found) else None


def _changed(rows: pl.DataFrame, waiting: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Return the rows whose cells differ from what was delivered last, by file and row.

    A cell too long for a workbook came back cut; where nobody touched it, it is the one that was delivered.
    """
    columns = list(contract.source_columns)
    said = pl.Struct(dict.fromkeys(columns, pl.String()))
    known = waiting.select(*ORIGIN, pl.col("_cells").str.json_decode(said).alias("_said"))
    known = known.select(*ORIGIN, pl.col("_said").struct.unnest()).with_columns(pl.col(columns).replace("", None))
    both = rows.join(known, on=ORIGIN, suffix="_then").with_columns(
        pl.when(pl.col(f"{name}_then").str.len_chars() > MOST_CHARACTERS)
        .then(
            pl.when(pl.col(name) == pl.col(f"{name}_then").str.slice(0, MOST_CHARACTERS) + CUT)
            .then(f"{name}_then").otherwise(name)
        ).otherwise(name).alias(name)
        for name in columns
    )
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_then")) for name in columns)
    return both.filter(differs).select(rows.columns).sort(ORIGIN)


def _attempts(lake: Lake, batch: Batch, rejected: pl.DataFrame, *, judged: bool) -> pl.DataFrame:
    """Return what became of the records of a batch of mended rows."""
    rows = pl.DataFrame(
        [(batch.repairs, name, row, number) for number, (name, row) in enumerate(_tickets(lake, batch), 1)],
        orient="row",
        schema={"_batch_id": pl.String, "_source_file": pl.String, "_source_row": pl.Int64, "_record": pl.Int64},
    )
    refused = rejected.filter(pl.col("_batch_id") == batch.id).select(pl.col("_source_row").alias("_record"), *SAID)
    state = pl.lit(WAITING) if not judged else pl.when(pl.col("_reasons").is_null()).then(
        pl.lit(MENDED)).otherwise(pl.lit(REFUSED))
    found = rows.join(refused, on="_record", how="left").with_columns(
        pl.lit(batch.received_at).alias("_at"), state.alias("_state"))
    return found.select(pl.col(name).cast(kind) for name, kind in ATTEMPT.items())
