"""Recognise a file nobody has described yet: format, encoding, dialect, where the records lie, the column names."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from jobs.errors import RequestError, SourceError
from jobs.onboarding import trees
from jobs.onboarding.headers import GIVE_HEADER, Header, find_header, refusal, unique
from jobs.onboarding.precheck import database_url
from jobs.source import Source
from jobs.storage.reading import encodings
from jobs.storage.reading.archive import unpacked
from jobs.storage.reading.diagnosis import GZIP, OLE, PARQUET, SQLITE, ZIP, kind_of
from jobs.storage.reading.limits import Limits
from jobs.storage.sealed import MAGIC

PROBED_ROWS = 40
DELIMITERS = (",", "\t", ";", "|")
QUOTES = ('"', "'")
_LEAST_LINES = 3  # of one length, before text is taken for fixed width


@dataclass(frozen=True)
class SampleLayout:
    """Say how a sample is read: the contract's `source:` without its path, and the column names."""

    source: dict[str, Any]
    columns: tuple[str, ...]


def recognise(sample: Path, limits: Limits) -> SampleLayout:
    """Recognise format, encoding, delimiter, header and columns of a file.

    Raises RequestError, which holds no cell, for a file without a header or of no known format.
    """
    try:
        return _recognised(sample, limits)
    except SourceError as error:
        raise refusal(error.what, error.remedy or "give another sample.") from None


def _recognised(sample: Path, limits: Limits) -> SampleLayout:
    with sample.open("rb") as stream:
        start = stream.read(encodings.PROBED)
    if start.startswith(MAGIC):
        raise SourceError(f"the sample is {kind_of(start)}.", remedy="give that one.")
    if start.startswith(GZIP):
        return _packed(sample, "gzip", limits)
    if start.startswith(ZIP):
        return _zip_layout(sample, limits)
    if start.startswith(SQLITE):
        return _database_layout(sample)
    if start.startswith(OLE):
        return _old_workbook_layout(sample)
    if start.startswith(PARQUET):
        return _parquet_layout(sample)
    if start[:1] and start[0] < 0x20 and start[:1] not in b"\t\r\n" and b"\x00" in start[:32]:
        return _dbf_layout(sample, limits)
    return _text_layout(sample, start, limits)


# -- text ----------------------------------------------------------------------------------------------------------


def _text_layout(sample: Path, start: bytes, limits: Limits) -> SampleLayout:
    encoding = _encoding(start)
    text = start.decode(encoding, "replace")
    declared: dict[str, str | int] = {"encoding": encoding}
    if "\n" not in text and "\r" in text:
        declared["line_end"], text = "cr", text.replace("\r", "\n")
    if len(start) == encodings.PROBED and "\n" in text:
        text = text.rpartition("\n")[0]
    text = text.removeprefix("\ufeff")
    begin = text.lstrip(" \r\n\t")[:1]
    if not begin:
        raise refusal("the sample is empty.", "give a file with a header and some rows.")
    if begin == "<":
        return _tree("xml", encoding, trees.xml_records(sample, encoding, limits))
    if begin == "{" and (keys := trees.json_line_keys(text)):
        return SampleLayout({"reader": "jsonl", **_declared(encoding=encoding.removesuffix("-sig"))}, keys)
    if begin in ("{", "["):
        return _tree("json", encoding, trees.json_records(sample, encoding, limits))
    return _delimited_layout(text, declared)


def _encoding(start: bytes) -> str:
    """Return the encoding that makes sense of (nearly) every line; a byte order mark decides."""
    encoding = "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else encodings.likely(start)
    if encoding is None:
        raise refusal("the sample is neither UTF-8, GB 18030 nor Big5 text.", "give it in one of these encodings.")
    return encoding


def _tree(reader: str, encoding: str, found: tuple[str, tuple[str, ...]]) -> SampleLayout:
    records, columns = found
    where = {"records": records} if records else {}
    return SampleLayout({"reader": reader, **_declared(encoding=encoding), **where}, columns)


def _delimited_layout(text: str, declared: dict[str, str | int]) -> SampleLayout:
    """Choose the delimiter under which there is a header and the most cells stand in rows of one width."""
    found: list[tuple[int, str, str, Header]] = []
    refused: RequestError | None = None
    for delimiter in DELIMITERS:
        for quote in QUOTES:
            rows = list(islice(_delimited_rows(text, delimiter, quote), PROBED_ROWS))
            width, count = max(Counter(len(cells) for _, cells in rows).items(), key=lambda one: one[1], default=(0, 0))
            quoted = sum(cell[:1] == other for _, cells in rows for cell in cells for other in QUOTES if other != quote)
            try:
                found.append((width * count - quoted if width > 1 else 0, delimiter, quote, find_header(rows)))
            except RequestError as error:
                refused = refused or error
    if (not found or max(score for score, *_ in found) <= 0) and (fixed := _fixed_width(text, declared)):
        return fixed
    # Lines that look whole under a delimiter they do not have say nothing when another one found values on top.
    if not found or (refused and not any(score for score, *_ in found)):
        raise refused or refusal("the sample has no header.", GIVE_HEADER)
    _, delimiter, quote, header = max(found, key=lambda one: one[0])
    options = _declared(**declared, delimiter=delimiter, quote=quote, header_row=header.row, header_rows=header.rows)
    return SampleLayout({"reader": "csv", **options}, unique(header.names))


def _delimited_rows(text: str, delimiter: str, quote: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each record that is not blank."""
    lines = (line.rstrip("\r").replace("\r", " ") + "\n" for line in text.split("\n"))
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote)
    row = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield row, cells
            row = reader.line_num + 1
    except csv.Error:
        return


def _fixed_width(text: str, declared: dict[str, str | int]) -> SampleLayout | None:
    """Return the layout of lines of one length whose columns are parted by places that are blank in all of them."""
    encoding = str(declared["encoding"]).removesuffix("-sig")
    if encodings.wide(encoding):
        return None
    lines = [line.rstrip("\r").encode(encoding) for line in text.split("\n") if line.strip()][: 5 * PROBED_ROWS]
    width = max(map(len, lines))
    if len(lines) < _LEAST_LINES or min(map(len, lines)) < width // 2:
        return None
    blank = [all(line[place : place + 1] in (b" ", b"") for line in lines) for place in range(width)]
    begins = [p for p in range(width) if not blank[p] and (p == 0 or blank[p - 1])]
    if len(begins) < 2:
        return None
    spans = list(zip([0, *begins[1:]], [*begins[1:], width], strict=True))
    rows = [
        (number, [line[a:b].decode(encoding, "replace").strip() for a, b in spans])
        for number, line in enumerate(lines, 1)
    ]
    header = find_header(rows[:PROBED_ROWS])
    names = unique(header.names)
    if len(names) != len(spans) or header.rows != 1:
        return None
    widths = {name: b - a for name, (a, b) in zip(header.names, spans, strict=True)}
    options = _declared(**declared, header_row=header.row)
    return SampleLayout({"reader": "fixed_width", **options, "widths": widths}, names)


# -- workbooks and archives ----------------------------------------------------------------------------------------


def _zip_layout(sample: Path, limits: Limits) -> SampleLayout:
    import zipfile

    try:
        with zipfile.ZipFile(sample) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile:
        raise refusal("the archive or workbook cannot be read.", "save it again.") from None
    if "xl/workbook.xml" in names:
        return _workbook_layout(sample, limits)
    return _ods_layout(sample, limits) if "content.xml" in names else _packed(sample, "zip", limits)


def _packed(sample: Path, packed: str, limits: Limits) -> SampleLayout:
    """Take the first of the packed files that is a table."""
    source = Source.model_validate({"reader": "xlsx", "path": "sample", "packed": packed})
    refused: RequestError | None = None
    with unpacked(sample, source, limits) as files:
        for name, file in files:
            try:
                inner = _recognised(file, limits)
            except (RequestError, SourceError) as error:
                refused = refused or refusal(error.what, error.remedy or "")
                continue
            suffixes = {Path(other).suffix for other, _ in files}
            member = {"member": f"*{Path(name).suffix}"} if len(suffixes) > 1 else {}
            reader, *others = inner.source.items()
            return SampleLayout(dict([reader, ("packed", packed), *member.items(), *others]), inner.columns)
    raise refused or refusal("the archive is empty.", "give one with a table in it.")


def _workbook_layout(sample: Path, limits: Limits) -> SampleLayout:
    from jobs.storage.reading import workbook
    from jobs.storage.reading.sheet_xml import scan

    scan(sample, None, limits)
    names = workbook.sheet_names(sample)
    return _grid("xlsx", names, lambda sheet: workbook.first_rows(sample, sheet, limits, PROBED_ROWS).rows())


def _old_workbook_layout(sample: Path) -> SampleLayout:
    from jobs.storage.reading import old_workbook

    names = old_workbook.sheet_names(sample)
    return _grid("xls", names, lambda sheet: old_workbook.load(sample, sheet)[0][:PROBED_ROWS])


def _ods_layout(sample: Path, limits: Limits) -> SampleLayout:
    from jobs.storage.reading import ods

    def rows(sheet: str) -> list[list[str | None]]:
        found = {row.number: row.cells for row in islice(ods.sheet_rows(sample, sheet, limits), PROBED_ROWS)}
        return [found.get(number, []) for number in range(1, min(max(found, default=0), 10 * PROBED_ROWS) + 1)]

    return _grid("ods", ods.sheet_names(sample, limits), rows)


def _grid(reader: str, names: list[str], rows_of: Any) -> SampleLayout:
    """Take the first worksheet that has any cell; rows above the header are titles."""
    for place, name in enumerate(names):
        texts = [(number, [cell or "" for cell in cells]) for number, cells in enumerate(rows_of(name), 1)]
        rows = [(number, cells) for number, cells in texts if any(cell.strip() for cell in cells)]
        if rows:
            header = find_header(rows)
            options = _declared(header_row=header.row, header_rows=header.rows)
            sheet = {"sheet": name} if place else {}
            return SampleLayout({"reader": reader, **options, **sheet}, unique(header.names))
    raise refusal("the workbook has no filled cell.", "give a file with a header and some rows.")


# -- tables that name their own columns ----------------------------------------------------------------------------


def _parquet_layout(sample: Path) -> SampleLayout:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(sample).names
    except (pa.ArrowException, OSError) as error:
        raise refusal(f"the Parquet file cannot be read ({type(error).__name__}).", "give a whole one.") from None
    return SampleLayout({"reader": "parquet"}, unique(names))


def _dbf_layout(sample: Path, limits: Limits) -> SampleLayout:
    from jobs.storage.reading import dbf

    with sample.open("rb") as stream:
        table = dbf.header(stream, "latin-1", limits)
        stream.seek(0)
        data = stream.read(encodings.PROBED)
        encoding = encodings.likely(data[table.begin :].replace(b"\x00", b" ") + b"\n") or table.says or "gb18030"
        named = dbf.header(stream, encoding, limits) if stream.seek(0) == 0 else table
    return SampleLayout({"reader": "dbf", **_declared(encoding=encoding)}, unique(one.name for one in named.columns))


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


def _declared(**options: str | int) -> dict[str, str | int]:
    """Return the options that are not the language's defaults."""
    defaults = Source.model_fields
    return {name: value for name, value in options.items() if value != defaults[name].default}
