"""What the tasks of a batch's judgement do: rows typed into silver, bad ones into quarantine, equal ones found.

Each task works on files and tells a few figures; what it writes counts once the stage commits it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

import polars as pl

from jobs import layers
from jobs.batch import Batch
from jobs.contract import Contract, TypeSpec
from jobs.layers import Layer
from jobs.rows.codes import CodeBook
from jobs.rows.judgement import judge, silver_schema
from jobs.sets.deduplication import fingerprint
from jobs.sets.tickets import ORIGIN
from jobs.storage.batch_tables import FILE, SLICE_ROWS, BatchTable, Writer, scan_files, slices
from jobs.storage.locations import Location

LAKE_COLUMNS: dict[str, Any] = {
    "_batch_id": pl.String,
    **ORIGIN,
    "_data_date": pl.Date,
    "_deleted": pl.Boolean,
    "_fingerprint": pl.String,
    "_warnings": pl.List(pl.String),
    "_extra": pl.String,
}
# What a task that judges tells: `what` is a layer with a file of it, "marks" and a bucket with a file of them, "reason"
# or "warning" with a rule in the place of a path, or "delivered".
TOLD = {"what": pl.String, **FILE}
PLACE = {"file": pl.String, "place": pl.Int64}  # of a row in a file of silver
MARK = {"_fingerprint": pl.Binary, **ORIGIN, **PLACE}
REPEATED = {"file": pl.String, "path": pl.String, "rows": pl.Int64}  # of silver, and the file of places to leave out


def schema(contract: Contract, types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Return silver's columns: the contract's fields, then the lake's own."""
    return {**silver_schema(contract, types), **LAKE_COLUMNS}


@dataclass(frozen=True)
class Judging:
    """Hold what the tasks of one batch need: its contract and codes, the tables, and a folder for what tasks exchange.

    `alone` says that all records are judged at once, so that no equal row can be elsewhere.
    """

    contract: Contract
    types: Mapping[str, TypeSpec]
    codes: CodeBook
    batch: Batch
    bronze: BatchTable
    silver: BatchTable
    quarantine: BatchTable
    folder: Location
    buckets: int
    alone: bool

    def cells(self, files: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the records of some files of bronze, at most `SLICE_ROWS` at a time, fewer ones all at once."""
        held: list[pl.DataFrame] = []
        for some in chain.from_iterable(self.bronze.slices(file, self.batch.id) for file in files):
            if held and sum(one.height for one in held) + some.height > SLICE_ROWS:
                yield _in_order(held)
                held = []
            held.append(some)
        if held:
            yield _in_order(held)

    def marks(self, stack: ExitStack) -> list[Writer]:
        """Open a writer of marks (`MARK`) for each bucket."""
        places = (self.folder / str(number) for number in range(0 if self.alone else self.buckets))
        return [stack.enter_context(Writer(place, MARK, passing=True)) for place in places]


def _in_order(slices: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return slices as one; those of several files in the order of delivery, which their names do not have."""
    return slices[0] if len(slices) == 1 else pl.concat(slices).sort(*ORIGIN, maintain_order=True)


def judge_files(files: Sequence[str], *, judging: Judging) -> pl.DataFrame:
    """Judge the records of some files of bronze into files of silver and quarantine, which do not count yet.

    Of rows equal in every field that meet in a slice the first is written; where equal ones may be elsewhere, each
    leaves a mark in its bucket. Returns (`TOLD`) the files, the marks, and how many rows broke each rule.
    """
    batch = judging.batch
    delivered, found = 0, Counter[tuple[str, str]]()
    with ExitStack() as stack:
        silver = stack.enter_context(judging.silver.writer(batch.id))
        quarantine = stack.enter_context(judging.quarantine.writer(batch.id))
        marks = judging.marks(stack)
        for cells in judging.cells(files):
            rows = judged_rows(
                cells, contract=judging.contract, catalogue_types=judging.types, codes=judging.codes,
                data_date=batch.data_date,
            )
            sound = rows["_reasons"].list.len() == 0
            bad, good = rows.filter(~sound), rows.filter(sound)
            found.update({("reason", rule): count for rule, count in counted(bad["_reasons"]).items()})
            found.update({("warning", rule): count for rule, count in counted(good["_warnings"]).items()})
            delivered += rows.height
            quarantine.write(bad)
            first = _first(good)
            name, place = silver.write(first)
            if marks and first.height:
                _mark(first, name, place, marks)
    told = [
        silver.files().select(pl.lit(Layer.SILVER.value).alias("what"), "path", "size", "rows"),
        quarantine.files().select(pl.lit(Layer.QUARANTINE.value).alias("what"), "path", "size", "rows"),
        pl.DataFrame([("delivered", "", 0, delivered)], schema=TOLD, orient="row"),
        pl.DataFrame([(*key, 0, count) for key, count in found.items()], schema=TOLD, orient="row"),
        *[
            writer.left().select(pl.lit(f"marks {number}").alias("what"), "path", "size", "rows")
            for number, writer in enumerate(marks)
        ],
    ]
    return pl.concat(told)


def _first(rows: pl.DataFrame) -> pl.DataFrame:
    """Return of equal rows the first by file and row, wherever it stands."""
    if rows["_fingerprint"].n_unique() == rows.height:
        return rows
    if rows["_source_file"].n_unique() == 1 and rows["_source_row"].is_sorted():
        return rows.filter(pl.col("_fingerprint").is_first_distinct())
    return rows.sort(*ORIGIN, maintain_order=True).unique("_fingerprint", keep="first", maintain_order=True)


def _mark(rows: pl.DataFrame, file: str, place: int, marks: list[Writer]) -> None:
    """Leave a mark of each row, whose first is at a place of a file, so that equal rows meet in one bucket."""
    told = rows.select(
        pl.col("_fingerprint").str.decode("hex"), *ORIGIN, pl.lit(file).alias("file"),
        pl.int_range(place, place + pl.len()).alias("place"),
    )
    if len(marks) == 1:
        marks[0].write(told)
        return
    bucket = rows["_fingerprint"].str.slice(0, 7).str.to_integer(base=16) % len(marks)
    for number, writer in enumerate(marks):
        writer.write(told.filter(bucket == number))


def repeated_rows(bucket: Sequence[str], *, judging: Judging) -> pl.DataFrame:
    """Find the rows of one bucket that an earlier row, by file and row, equals; leave their places (`REPEATED`)."""
    rows = scan_files(judging.folder, bucket, MARK).collect()
    several = rows.filter(pl.col("_fingerprint").is_duplicated()).sort(*ORIGIN, "file", "place")
    later = several.filter(~pl.col("_fingerprint").is_first_distinct())
    told = []
    for (file,), places in later.group_by("file", maintain_order=True):
        with Writer(judging.folder / "repeated", PLACE, passing=True) as writer:
            writer.write(places)
        told.append(writer.left().select(pl.lit(file).alias("file"), "path", "rows"))
    return pl.concat(told) if told else pl.DataFrame(schema=REPEATED)


def without(repeated: tuple[str, Sequence[str]], *, judging: Judging) -> pl.DataFrame:
    """Write one file of silver once more, without the rows at some places; return the files written."""
    file, places = repeated
    gone = scan_files(judging.folder, places, PLACE).collect()["place"]
    with judging.silver.writer(judging.batch.id) as writer:
        start = 0
        for rows in slices(writer.folder, writer.folder.address(file)):
            here = pl.int_range(start, start + rows.height, eager=True)
            writer.write(rows.filter(~here.is_in(gone.implode())))
            start += rows.height
    return writer.files()


def judged_rows(
    cells: pl.DataFrame,
    *,
    contract: Contract,
    catalogue_types: Mapping[str, TypeSpec],
    codes: CodeBook,
    data_date: date,
) -> pl.DataFrame:
    """Return bronze cells judged: typed fields, reasons, warnings, fingerprint, and the raw cells of rejected rows."""
    names = {layers.column_name(name): name for name in contract.source_columns}
    cells = cells.rename({bronze: name for bronze, name in names.items() if bronze in cells.columns})
    rows = judge(cells, contract, catalogue_types, codes, data_date)
    rejected = rows["_reasons"].list.len() > 0
    said = [*silver_schema(contract, catalogue_types), "_deleted", "_extra"]
    unread = _unread(cells, rows, contract)
    return rows.with_columns(
        pl.lit(data_date).alias("_data_date"),
        fingerprint(rows.with_columns(unread), [*said, *(one.name for one in unread)]).alias("_fingerprint"),
        _raw(cells.select(contract.source_columns), rejected).alias("_cells"),
    )


def _raw(cells: pl.DataFrame, wanted: pl.Series) -> pl.Series:
    """Return the cells of some rows as JSON, of the others null."""
    places = wanted.arg_true()
    texts = cells[places].select(pl.struct(pl.all()).struct.json_encode().alias("_cells"))["_cells"]
    return pl.Series("_cells", dtype=pl.String).extend_constant(None, cells.height).scatter(places, texts)


def _unread(cells: pl.DataFrame, rows: pl.DataFrame, contract: Contract) -> list[pl.Series]:
    """Return the raw cells that a remark left without a value, so that 5() and 6() do not become one row."""
    remarks = rows.select(pl.int_range(pl.len()).alias("row"), field="_warnings").explode("field").drop_nulls()
    remarks = remarks.with_columns(pl.col("field").str.split(".").list.first())
    unread = []
    for name in remarks["field"].unique().sort():
        spec = contract.fields.get(name)
        if spec is not None and spec.from_ in cells.columns:
            here = pl.int_range(rows.height, eager=True).is_in(remarks.filter(pl.col("field") == name)["row"].implode())
            unread.append(cells[spec.from_].set(~here | rows[name].is_not_null(), None).alias(f"{name}="))
    return unread


def counted(findings: pl.Series) -> dict[str, int]:
    """Return how many rows have each finding, of lists of findings."""
    counts = findings.explode().drop_nulls().value_counts()
    return dict(sorted(counts.iter_rows()))
