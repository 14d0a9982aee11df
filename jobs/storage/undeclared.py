"""A table nobody wrote a contract for: CSV, a workbook or Parquet as a person has it at hand, told by its content."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pcsv

from jobs.errors import RequestError, SourceError
from jobs.settings import Settings
from jobs.source import Source
from jobs.storage.reading import encodings
from jobs.storage.reading.archive import unpacked
from jobs.storage.reading.diagnosis import GZIP, PARQUET, ZIP, kind_of
from jobs.storage.reading.layout import header_name, nearest
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.workbook import first_rows

_SEPARATORS = (",", ";", "\t", "|")
_BLOCK = 16 << 20  # bytes parsed at a time; no record is longer
_NO_TEXT = (pl.Binary, pl.Object)


def scan(
    source: Path | bytes, columns: Sequence[str] = (), *, encoding: str | None = None, sheet: str | None = None
) -> pl.LazyFrame:
    """Open a table: of Parquet each column in its own type and not read yet, else as text, an empty cell as null.

    `columns` are the only ones to read; none named means all. Text is UTF-8, UTF-16, GB 18030 or Big5, as its first
    mebibyte says, unless `encoding` is given; the separator is the one of `, ; tab |` under which the header has the
    columns asked for, or else the most cells. A worksheet's header is its first row that is not empty. A file may be
    packed by gzip. A column without a name is `column_N`. Raises RequestError for a file or column that is not there,
    SourceError for what cannot be read: no line is cut or filled up, so one that is ragged, wrongly quoted or in
    another encoding is such an error, with its number. None quotes a cell.
    """
    with _opened(source) as (file, name):
        with file.open("rb") as stream:
            start = stream.read(encodings.PROBED)
        if not start.strip():
            raise SourceError("the file is empty.", where=name, remedy="give one with a header.")
        if start.startswith(PARQUET):
            table = _parquet(file, columns, name)
            return table if file == source else table.collect().lazy()
        if start.startswith(ZIP):
            return _worksheet(file, columns, sheet, name).lazy()
        if kind := kind_of(start):
            raise SourceError(f"the file is {kind}.", where=name, remedy="give CSV, XLSX or Parquet.")
        return _delimited(file, columns, _encoding(start, encoding, file, name), name).lazy()


def read(
    source: Path | bytes, columns: Sequence[str] = (), *, encoding: str | None = None, sheet: str | None = None
) -> pl.DataFrame:
    """Read a table as `scan` does, every column as text: a whole number, even where a float holds it, as its digits.

    Columns that hold neither text nor numbers are left out, and an error when they are asked for.
    """
    with reading("standard input" if isinstance(source, bytes) else source.name):
        table = scan(source, columns, encoding=encoding, sheet=sheet).collect()
    odd = [name for name, kind in table.schema.items() if kind.is_nested() or kind in _NO_TEXT]
    if odd and columns:
        raise SourceError("the column does not hold text or numbers.", where=odd[0], remedy="give another column.")
    return table.drop(odd).select(_text(values) for values in table.drop(odd))


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn a failure of Parquet, also one that comes late, into a SourceError that quotes no cell."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        what = f"the file cannot be read as a table ({type(error).__name__})."
        raise SourceError(what, where=name, remedy="Parquet must be whole: make the file again.") from None


def write(rows: pl.DataFrame, path: Path) -> None:
    """Write rows as CSV or Parquet, as the name says; raises RequestError for another name or a place it cannot be."""
    if path.suffix.lower() not in (".csv", ".parquet"):
        what = "the output is neither CSV nor Parquet."
        raise RequestError(what, where=path.name, remedy="end its name in .csv or .parquet.")
    with _writing(path):
        if path.suffix.lower() == ".parquet":
            rows.write_parquet(path, statistics=True)
        else:
            rows.write_csv(path)


def write_page(page: str, path: Path) -> None:
    """Write a page; raises RequestError for a place it cannot be."""
    with _writing(path):
        path.write_text(page, encoding="utf-8")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"the output cannot be written ({error.strerror or type(error).__name__})."
        raise RequestError(what, where=path.name, remedy="check the path.") from None


@contextmanager
def _opened(source: Path | bytes) -> Iterator[tuple[Path, str]]:
    """Give the file to read, unpacked, and the name to show for it."""
    if isinstance(source, bytes):
        with tempfile.NamedTemporaryFile(prefix="lake-input-") as copy:
            copy.write(source)
            copy.flush()
            with _opened(Path(copy.name)) as (file, _):
                yield file, "standard input"
        return
    try:
        with source.open("rb") as stream:
            packed = stream.read(len(GZIP)) == GZIP
    except OSError as error:
        said = f"the file cannot be opened ({error.strerror})."
        raise RequestError(said, where=source.name, remedy="check the path.") from None
    how = Source.model_validate({"reader": "csv", "path": "any", "packed": "gzip" if packed else None})
    with unpacked(source, how, Limits.of(Settings())) as [(name, file)]:
        yield file, name


# -- text ----------------------------------------------------------------------------------------------------------


def _encoding(start: bytes, asked: str | None, file: Path, name: str) -> str:
    if asked is not None and not encodings.exists(asked):
        raise RequestError(f"there is no encoding {asked!r}.", remedy="for example utf-8, gb18030, big5.")
    found = asked or encodings.likely(start)
    if found is None:
        _check_encoding(file, "utf-8", name, "the file is in none of UTF-8, UTF-16, GB 18030 and Big5")
    return found or "utf-8"


def _delimited(file: Path, columns: Sequence[str], encoding: str, name: str) -> pl.DataFrame:
    separator, header, above = _header(file, columns, encoding)
    places = _places(header, columns, name)
    if _has_quotes(file):
        _check_records(file, encoding, separator, len(header), name)  # an open quote would swallow what follows
    shown = [f"{place}" for place in range(len(header))]
    wanted = [shown[place] for place in places]
    try:
        table = pcsv.read_csv(
            pa.OSFile(str(file)),
            pcsv.ReadOptions(
                block_size=_BLOCK, column_names=shown, skip_rows_after_names=above + 1,
                encoding="utf8" if encodings.known(encoding).startswith("utf-8") else encoding,
            ),
            pcsv.ParseOptions(delimiter=separator, newlines_in_values=True, ignore_empty_lines=len(header) > 1),
            pcsv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except (UnicodeError, pa.ArrowInvalid):
        # Their messages may quote a line; what is wrong, and where, is looked for again.
        _check_encoding(file, encoding, name, f"the line is not {encoding}")
        if _check_records(file, encoding, separator, len(header), name) == 1:
            return pl.DataFrame(schema=dict.fromkeys(places.values(), pl.String))  # a header, and no line end
        raise SourceError(
            "the file cannot be read as delimited text.", where=name, remedy="look for cells larger than 16 MiB."
        ) from None
    return pl.DataFrame(pl.from_arrow(table.rename_columns(list(places.values()))))


def _header(file: Path, columns: Sequence[str], encoding: str) -> tuple[str, list[str], int]:
    """Return the separator, the header's cells under it, and how many blank lines stand above."""
    found: dict[str, tuple[list[str], int]] = {}
    for separator in _SEPARATORS:
        with file.open(encoding=encoding, errors="replace", newline="") as text:
            for above, cells in enumerate(csv.reader(text, delimiter=separator)):
                if any(cell.strip() for cell in cells):
                    found[separator] = cells, above
                    break
    asked = set(map(header_name, columns))
    best = max(found, key=lambda one: (len(asked & set(map(header_name, found[one][0]))), len(found[one][0])))
    return best, *found[best]


def _has_quotes(file: Path) -> bool:
    with file.open("rb") as stream:
        return any(b'"' in block for block in iter(lambda: stream.read(1 << 20), b""))


def _check_encoding(file: Path, encoding: str, name: str, what: str) -> None:
    """Raise SourceError for the first line that is not in an encoding; one of wide characters has no lines to tell."""
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not encodings.wide(encoding) and not encodings.reads(line, encoding):
                remedy = "save it as UTF-8, or name its encoding."
                raise SourceError(f"{what}.", where=f"{name}:{number}", remedy=remedy)


def _check_records(file: Path, encoding: str, separator: str, width: int, name: str) -> int:
    """Return how many records there are; raise SourceError for the first of another width, or with a quote amiss."""
    count = 0
    with file.open(encoding=encoding, errors="replace", newline="") as text:
        reader = csv.reader(text, delimiter=separator, strict=True)
        while True:
            where = f"{name}:{reader.line_num + 1}"
            try:
                cells = next(reader, None)
            except csv.Error:
                remedy = "close each quoted cell, and double the quotes in it."
                raise SourceError("a quoted cell does not end where it should.", where=where, remedy=remedy) from None
            if cells is None:
                return count
            count += bool(cells)
            if cells and len(cells) != width:
                what = f"the line has {len(cells)} cells, the header {width}."
                raise SourceError(what, where=where, remedy="mend the line, or quote a cell that holds the separator.")


# -- workbooks and Parquet -----------------------------------------------------------------------------------------


def _worksheet(file: Path, columns: Sequence[str], sheet: str | None, name: str) -> pl.DataFrame:
    try:
        cells = first_rows(file, sheet, Limits.of(Settings()))
    except SourceError as error:
        remedy = "give a whole XLSX without a password, CSV or Parquet."
        raise SourceError(error.what, where=name, remedy=remedy) from None
    cells = cells.select(pl.when(pl.all() != "").then(pl.all()))
    filled = cells.select(pl.any_horizontal(pl.all().str.strip_chars() != "").fill_null(value=False)).to_series()
    begin = filled.arg_max() if filled.any() else None
    if begin is None:
        raise SourceError("the worksheet is empty.", where=name, remedy="give one with a header.")
    header, rows = [cell or "" for cell in cells.row(begin)], cells.slice(begin + 1)
    kept = [n for n, cell in enumerate(header) if cell.strip() or rows.to_series(n).null_count() < rows.height]
    places = _places([header[place] for place in kept], columns, name)
    found = pl.DataFrame([rows.to_series(kept[place]).alias(column) for place, column in places.items()])
    # A blank row of several columns is no record, as in text.
    return found.filter(filled.slice(begin + 1)) if len(kept) > 1 else found


def _parquet(file: Path, columns: Sequence[str], name: str) -> pl.LazyFrame:
    with reading(name):
        table = pl.scan_parquet(file)
        names = table.collect_schema().names()
    return table.select(pl.col(names[place]).alias(column) for place, column in _places(names, columns, name).items())


# -- columns -------------------------------------------------------------------------------------------------------


def _places(header: Sequence[str], columns: Sequence[str], name: str) -> dict[int, str]:
    """Return where each column asked for (or each there is) stands, and its name; an error tells places, no cell."""
    names = [header_name(cell) or f"column_{place}" for place, cell in enumerate(header, 1)]
    asked = {header_name(column): column for column in columns} or {one: one for one in names}
    if lacking := [column for one, column in asked.items() if one not in names]:
        near = nearest(lacking[0], names)
        hint = f"column {names.index(near) + 1} is nearly that" if near else "mind case and blanks"
        what = f"the file has no such column; its header has {len(names)}."
        raise RequestError(what, where=f"{name}:{lacking[0]}", remedy=f"name it as the header does: {hint}.")
    for one in asked:
        if names.count(one) > 1:
            places = ", ".join(str(place) for place, other in enumerate(names, 1) if other == one)
            raise SourceError(f"columns {places} have one name.", where=name, remedy="give them different names.")
    return {place: asked[one] for place, one in enumerate(names) if one in asked}


def _text(values: pl.Series) -> pl.Series:
    """Return values as text: whole numbers as their digits, even where a float holds them."""
    if not values.dtype.is_float():
        return values.cast(pl.String)
    whole = ((values == values.floor()) & values.is_finite() & (values.abs() < 1e20)).fill_null(value=False)
    digits = values.set(~whole, None).cast(pl.Decimal(38, 0), strict=False).cast(pl.String)
    return digits.zip_with(whole, values.cast(pl.String))
