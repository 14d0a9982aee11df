"""Look at a file before it is delivered: how it is laid out, and what the lake would say of each record.

No engine is needed: reading and judging are the lake's own.
"""

from __future__ import annotations

import csv
import json
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from jobs.batch import Batch
from jobs.contract import Contract, TypeSpec
from jobs.errors import RequestError
from jobs.rows.cleaning import clean_key
from jobs.rows.codes import CodeBook
from jobs.rows.dates import read_dates, read_timestamps
from jobs.stages.conform import ORIGIN, account, judged_rows
from jobs.storage.readers import Limits, dump_database, read
from jobs.storage.reading.layout import header_name
from jobs.storage.reading.workbook import MOST_BYTES, MOST_RATIO

COUNTED = ("_reasons", "_warnings", "_fingerprint")  # what the accounting needs of every row
SHOWN = (*ORIGIN, "_reasons", "_warnings", "_cells", "_extra")  # what a steward needs of a rejected row

PROBED_BYTES = 1 << 20
PROBED_ROWS = 40
PROBED_RECORDS = 200_000  # of JSON lines, for their keys
HEADER_SHARE = 0.6  # of the widest row's cells; a row of fewer is a title or a note above the header
BAD_SHARE = 0.05  # of the lines; beyond, the encoding is another one
DELIMITERS = (",", "\t", ";", "|")
ENCODINGS = ("utf-8", "gb18030")
_GIVE_HEADER = "give the table one header row with a name for each column, and no values in it."
_LABEL = re.compile(r"\s*[^\d:：]{2,12}[:：]")  # such as 填报单位：, above the header
_VALUE = re.compile(
    r"\d{6}|^\s*[\d.,+-]+\s*$|@|有限(责任)?公司|\d号|\*\*|^\s*\d[\d.,]*\s*[万亿]?元|^(?=.*\d)[0-9A-Z]{15,}$"
)


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
    counted: list[pl.DataFrame] = []
    rejected: list[pl.DataFrame] = []
    for cells in records(file, contract, limits):
        judged = judged_rows(cells, contract=contract, catalogue_types=types, codes=codes, data_date=day)
        counted.append(judged.select(COUNTED))
        rejected.append(judged.filter(pl.col("_reasons").list.len() > 0).select(SHOWN))
    batch = Batch(contract.name, "precheck", day, "request", "", ())
    report = account(pl.concat(counted).lazy(), contract, batch)
    return Precheck(
        report.delivered, report.accepted, report.quarantined, report.duplicates, report.reasons, report.warnings,
        pl.concat(rejected),
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
        dump_database(database_url(file), source.table, source.order_by, dump)
        yield from (pl.DataFrame(pl.from_arrow(batch)) for batch in read(dump, contract, limits))


def database_url(file: Path) -> str:
    """Return the SQLAlchemy URL that opens a database file for reading only."""
    from sqlalchemy import URL

    # SQLite reads its file name as a URI of its own inside SQLAlchemy's, so it is quoted for both.
    location = f"file:{quote(str(file.resolve()))}"
    return URL.create("sqlite", database=location, query={"mode": "ro", "uri": "true"}).render_as_string()


@dataclass(frozen=True)
class SampleLayout:
    """Say how a sample is read: the contract's `source:` without its path, and the column names."""

    source: dict[str, Any]
    columns: tuple[str, ...]


def recognise(sample: Path) -> SampleLayout:
    """Recognise format, encoding, delimiter, header and columns of a file nobody has described yet.

    Raises RequestError, which holds no cell, for a file without a header or of no known format.
    """
    with sample.open("rb") as stream:
        start = stream.read(PROBED_BYTES)
    if start.startswith(b"PK\x03\x04"):
        return _workbook_layout(sample)
    if start.startswith(b"SQLite format 3"):
        return _database_layout(sample)
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise refusal("the sample is an old or protected workbook.", "save it as .xlsx without a password.")
    encoding = _encoding(start)
    text = start.decode(encoding, "replace")
    if len(start) == PROBED_BYTES:
        text = text.rpartition("\n")[0]
    begin = text.lstrip("\ufeff \r\n\t")[:1]
    if not begin:
        raise refusal("the sample is empty.", "give a file with a header and some rows.")
    if begin == "[":
        raise refusal("the sample is one JSON array, not JSON lines.", "give one object per line.")
    return _json_layout(sample, encoding) if begin == "{" else _delimited_layout(text, encoding)


def _encoding(start: bytes) -> str:
    """Return the encoding that reads (nearly) every line: a byte order mark decides, then UTF-8 before GB 18030."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if start.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if start.count(0) > len(start) // 20:
        return "utf-16-le" if start[1::2].count(0) >= start[::2].count(0) else "utf-16-be"
    lines = start.split(b"\n")[:-1] or [start]
    bad = {encoding: sum(not _reads(line, encoding) for line in lines) for encoding in ENCODINGS}
    encoding = min(bad, key=lambda one: bad[one])
    if bad[encoding] > BAD_SHARE * len(lines):
        raise refusal("the sample is neither UTF-8 nor GB 18030 text.", "give it in one of these encodings.")
    return encoding


def _reads(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _json_layout(sample: Path, encoding: str) -> SampleLayout:
    if encoding.startswith("utf-16"):
        raise refusal("the sample is JSON lines in UTF-16.", "give them in UTF-8.")
    keys: dict[str, None] = {}
    with sample.open(encoding=encoding, errors="replace") as stream:
        for line, _ in zip(stream, range(PROBED_RECORDS), strict=False):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            keys |= dict.fromkeys(found) if isinstance(found, dict) else {}
    if not keys or any(map(_looks_like_value, keys)):
        raise refusal("the sample's keys are missing or look like values.", "give objects with names for keys.")
    return SampleLayout({"reader": "jsonl", **_declared(encoding=encoding.removesuffix("-sig"))}, tuple(keys))


def _delimited_layout(text: str, encoding: str) -> SampleLayout:
    """Choose the delimiter under which there is a header and the most cells stand in rows of one width."""
    found: list[tuple[int, str, int, list[str]]] = []
    refused: RequestError | None = None
    for delimiter in DELIMITERS:
        rows = [row for row, _ in zip(_delimited_rows(text, delimiter), range(PROBED_ROWS), strict=False)]
        width, count = max(Counter(len(cells) for _, cells in rows).items(), key=lambda one: one[1], default=(0, 0))
        try:
            found.append((width * count if width > 1 else 0, delimiter, *_header(rows)))
        except RequestError as error:
            refused = refused or error
    # Lines that look whole under a delimiter they do not have say nothing when another one found values on top.
    if not found or (refused and not any(score for score, *_ in found)):
        raise refused or refusal("the sample has no header.", _GIVE_HEADER)
    _, delimiter, row, columns = max(found, key=lambda one: one[0])
    declared = _declared(encoding=encoding, delimiter=delimiter, header_row=row)
    return SampleLayout({"reader": "csv", **declared}, _unique(columns))


def _delimited_rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each record that is not blank."""
    reader = csv.reader((line.rstrip("\r").replace("\r", " ") + "\n" for line in text.split("\n")), delimiter=delimiter)
    row = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield row, cells
        row = reader.line_num + 1


def _workbook_layout(sample: Path) -> SampleLayout:
    """Take the first worksheet that has any cell; rows above the header are titles."""
    import openpyxl

    try:
        with zipfile.ZipFile(sample) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > min(MOST_BYTES, MOST_RATIO * max(sample.stat().st_size, 1 << 20)):
            raise refusal("the workbook unpacks to far more than it may.", "give an ordinary one.")
        book = openpyxl.load_workbook(sample, read_only=True, data_only=True)
        sheets = {sheet.title: _sheet_rows(sheet) for sheet in book.worksheets}
        book.close()
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, SyntaxError) as error:
        raise refusal(f"the workbook cannot be read ({type(error).__name__}).", "save it again as .xlsx.") from None
    place, title = next(((n, title) for n, (title, rows) in enumerate(sheets.items()) if rows), (0, None))
    if title is None:
        raise refusal("the workbook has no filled cell.", "give a file with a header and some rows.")
    row, columns = _header(sheets[title])
    sheet = {"sheet": title} if place else {}
    return SampleLayout({"reader": "xlsx", **_declared(header_row=row), **sheet}, _unique(columns))


def _sheet_rows(sheet: Any) -> list[tuple[int, list[str]]]:
    sheet.reset_dimensions()  # what a program wrote there may be wrong
    rows = enumerate(sheet.iter_rows(max_row=PROBED_ROWS, values_only=True), 1)
    texts = [(number, ["" if cell is None else str(cell) for cell in cells]) for number, cells in rows]
    return [(number, cells) for number, cells in texts if any(cell.strip() for cell in cells)]


def _database_layout(sample: Path) -> SampleLayout:
    """Take the table (or view) with the most columns, ordered by its primary key, else by its first column."""
    import sqlalchemy as sa

    engine = sa.create_engine(database_url(sample))
    try:
        inspector = sa.inspect(engine)
        names = inspector.get_table_names() + inspector.get_view_names()
        tables = {name: inspector.get_columns(name) for name in names}
        if not tables:
            raise refusal("the database has no table.", "give a database with the table to deliver.")
        table = max(tables, key=lambda name: len(tables[name]))
        columns = tuple(str(column["name"]) for column in tables[table])
        order = inspector.get_pk_constraint(table)["constrained_columns"] or [columns[0]]
    except sa.exc.SQLAlchemyError as error:
        raise refusal(f"the database cannot be read ({type(error).__name__}).", "give a whole one.") from None
    finally:
        engine.dispose()
    return SampleLayout({"reader": "database", "table": table, "order_by": list(order)}, columns)


def _header(rows: Sequence[tuple[int, list[str]]]) -> tuple[int, list[str]]:
    """Return the number and the names of the header: the first row nearly as wide as the widest."""
    filled = [sum(bool(cell.strip()) for cell in cells) for _, cells in rows]
    for (number, cells), count in zip(rows, filled, strict=True):
        first = next((cell for cell in cells if cell.strip()), "")
        if count < HEADER_SHARE * max(filled) or _LABEL.match(first):
            continue
        for place, cell in enumerate(cells, 1):
            if _looks_like_value(cell):
                raise refusal(f"row {number} is no header: its cell {place} looks like a value.", _GIVE_HEADER)
        return number, [header_name(cell) for cell in cells]
    raise refusal("the sample has no header.", _GIVE_HEADER)


def _looks_like_value(cell: str) -> bool:
    """Tell whether a header cell holds what a header does not: a date, a number, an identifier, a name of a firm."""
    cleaned = clean_key(pl.Series([cell], dtype=pl.String))
    dated = pl.concat([read_dates(cleaned)[0].is_not_null(), read_timestamps(cleaned).is_not_null()])
    return bool(_VALUE.search(cell)) or dated.any()


def refuse_data_as_header(columns: Sequence[str], rows: pl.DataFrame) -> None:
    """Raise RequestError when a column's name is one of its own values, unless the whole header is repeated."""
    data = rows.filter(~pl.all_horizontal(pl.col(name) == name for name in columns).fill_null(value=False))
    for place, name in enumerate(columns, 1):
        if name in data[name]:
            raise refusal(f"the name of column {place} is also a value in it.", _GIVE_HEADER)


def _unique(columns: Iterable[str]) -> tuple[str, ...]:
    named = [name for name in columns if name]
    if len(set(named)) != len(named):
        raise refusal("the header has a name twice.", "give each column one name.")
    return tuple(named)


def _declared(**options: str | int) -> dict[str, str | int]:
    """Return the options that are not the language's defaults."""
    defaults = {"encoding": "utf-8", "delimiter": ",", "header_row": 1}
    return {name: value for name, value in options.items() if value != defaults[name]}


def refusal(what: str, remedy: str) -> RequestError:
    """Return the error that says why no contract can be drafted from a sample."""
    return RequestError(what, where="sample", remedy=remedy)
