"""The workbook of rejected rows as it comes back from the department: which rows it mends, and their cells now."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from jobs.contract import Contract
from jobs.errors import SourceError
from jobs.onboarding.workbook import FILE, ROW, TICKET
from jobs.sets.tickets import ORIGIN
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.workbook import first_rows, sheet_names

REJECTED = "退回"


@dataclass(frozen=True)
class Mended:
    """Hold a workbook that came back: the batch it is about, and its rows (`_source_file`, `_source_row`, cells)."""

    batch: str
    rows: pl.DataFrame = field(repr=False)


def read_mended(file: Path, contract: Contract, limits: Limits) -> Mended:
    """Read a workbook that `write_workbook` wrote for a batch and a department has edited; an empty cell is null.

    Raises SourceError for a workbook that is not of this dataset, has lost a column, or has a row without its ticket.
    """
    sheets = sheet_names(file)
    if TICKET not in sheets:
        raise _not_ours(contract, file, f"the sheet {TICKET} is missing.")
    ticket = first_rows(file, TICKET, limits)
    told = [str(row[0]) for row in ticket.iter_rows() if row[0] is not None]
    if len(told) != 2 or told[0] != contract.name:
        raise _not_ours(contract, file, "its ticket names another dataset, or no batch.")
    parts = [_sheet(file, sheet, contract, limits) for sheet in sheets if sheet.startswith(REJECTED)]
    if not parts:
        raise _not_ours(contract, file, "the sheet of rejected rows is missing.")
    rows = pl.concat(parts)
    twice = rows.select(pl.struct(list(ORIGIN)).is_duplicated()).to_series()
    if twice.any():
        raise SourceError(
            "two rows of the workbook have the same ticket.", dataset=contract.name, layer="landing",
            where=f"{file.name}:{_first(twice)}", remedy="keep one of them.",
        )
    return Mended(told[1], rows)


def _sheet(file: Path, sheet: str, contract: Contract, limits: Limits) -> pl.DataFrame:
    cells = first_rows(file, sheet, limits)
    titles = [None if title is None else str(title) for title in cells.row(0)] if cells.height else []
    wanted = {ROW: "_source_row", FILE: "_source_file", **{name: name for name in contract.source_columns}}
    absent = [title for title in wanted if titles.count(title) != 1]
    if absent:
        raise _not_ours(contract, file, f"the column {absent[0]} is missing, or there twice.")
    rows = cells.slice(1).select(
        cells.to_series(titles.index(title)).slice(1).alias(name) for title, name in wanted.items()
    )
    rows = rows.with_columns(pl.all().replace("", None))
    filled = pl.any_horizontal(pl.col(name).is_not_null() for name in contract.source_columns)
    numbers = pl.col("_source_row").str.to_integer(strict=False)
    lost = rows.select(filled & (numbers.is_null() | pl.col("_source_file").is_null())).to_series()
    if lost.any():
        raise SourceError(
            "a row has lost its ticket (file and row).", dataset=contract.name, layer="landing",
            where=f"{file.name}:{_first(lost)}",
            remedy="keep those two columns as they were; new records come with the next delivery.",
        )
    return rows.filter(filled).with_columns(numbers.alias("_source_row"))


def _first(rows: pl.Series) -> int:
    """Return the worksheet's number of the first row that is marked: the header is row 1."""
    return int(rows.arg_true()[0]) + 2


def _not_ours(contract: Contract, file: Path, why: str) -> SourceError:
    return SourceError(
        f"this is no workbook of rejected rows of {contract.name}: {why}", dataset=contract.name, layer="landing",
        where=file.name, remedy=f"`lake rejected {contract.name} --workbook FILE` writes it; edit that one.",
    )
