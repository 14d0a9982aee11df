"""Look at a file before it is delivered: what the lake would say of each record.

No engine is needed: reading and judging are the lake's own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from urllib.parse import quote

import polars as pl

from jobs.contract import Contract, TypeSpec
from jobs.errors import RequestError, SourceError
from jobs.rows.codes import CodeBook
from jobs.sets.tickets import ORIGIN
from jobs.stages.judging import counted, judged_rows
from jobs.storage.readers import Limits, dump_database, read

COUNTED = ("_reasons", "_warnings", "_fingerprint")  # what the accounting needs of every row
SHOWN = (*ORIGIN, "_reasons", "_warnings", "_cells", "_extra")  # what a steward needs of a rejected row


@dataclass(frozen=True)
class Precheck:
    """Hold what the lake would say of a file.

    The counts obey the accounting law: delivered = accepted + quarantined + duplicates. `reasons` and `warnings`
    count rows per rule. `rejected` has one row per quarantined record: `_source_file`, `_source_row`, `_reasons`,
    `_warnings`, `_cells` (its raw cells by source column, as JSON) and `_extra`.
    """

    delivered: int
    accepted: int
    quarantined: int
    duplicates: int
    reasons: Mapping[str, int]
    warnings: Mapping[str, int]
    rejected: pl.DataFrame = field(repr=False)  # cells must not reach a log


def precheck(
    file: Path, contract: Contract, types: Mapping[str, TypeSpec], codes: CodeBook, limits: Limits, day: date
) -> Precheck:
    """Judge every record of a file as the stages load and conform would; `day` is the data date.

    Raises RequestError for a file that is not there, SourceError for one that cannot be read as declared.
    """
    told: list[pl.DataFrame] = []
    rejected: list[pl.DataFrame] = []
    for cells in records(file, contract, limits):
        judged = judged_rows(cells, contract=contract, catalogue_types=types, codes=codes, data_date=day)
        told.append(judged.select(COUNTED))
        rejected.append(judged.filter(pl.col("_reasons").list.len() > 0).select(SHOWN))
    return account(pl.concat(told), pl.concat(rejected))


def account(judged: pl.DataFrame, rejected: pl.DataFrame) -> Precheck:
    """Count judged rows as the stage conform would; `rejected` are those to show."""
    sound = judged["_reasons"].list.len() == 0
    good, bad = judged.filter(sound), judged.filter(~sound)
    accepted = good["_fingerprint"].n_unique()
    return Precheck(
        judged.height, accepted, bad.height, good.height - accepted, counted(bad["_reasons"]),
        counted(good["_warnings"]), rejected,
    )


def records(file: Path, contract: Contract, limits: Limits) -> Iterator[pl.DataFrame]:
    """Yield a file's records in batches as `jobs.storage.readers.read` does; a database file is dumped first.

    Raises RequestError for a file that is not there, SourceError for one that cannot be read as declared.
    """
    if not file.is_file():
        raise RequestError("there is no such file.", dataset=contract.name, where=str(file))
    source = contract.source
    if source is None or source.table is None:
        yield from (pl.DataFrame(pl.from_arrow(batch)) for batch in read(file, contract, limits))
        return
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / f"{file.name}.jsonl"
        try:
            dump_database(database_url(file), source.table, source.order_by, dump)
        except SourceError as error:
            where = f"{file.name}:{error.where}" if error.where else file.name
            raise SourceError(error.what, dataset=contract.name, where=where, remedy=error.remedy) from None
        yield from (pl.DataFrame(pl.from_arrow(batch)) for batch in read(dump, contract, limits))


def database_url(file: Path) -> str:
    """Return the SQLAlchemy URL that opens a database file for reading only."""
    from sqlalchemy import URL

    # SQLite reads its file name as a URI of its own inside SQLAlchemy's, so it is quoted for both.
    location = f"file:{quote(str(file.resolve()))}"
    return str(URL.create("sqlite", database=location, query={"mode": "ro", "uri": "true"}))
