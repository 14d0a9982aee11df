"""Any CSV or Parquet file as a table, for verbs that measure or change a file nobody wrote a contract for."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import polars as pl

from jobs.errors import RequestError, SourceError
from jobs.privacy.generalisation.hierarchies import Hierarchy, read_hierarchy

_SEPARATORS = ",;\t|"
_LOOK = 1 << 20  # bytes looked at to tell the encoding and the separator


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn a reader's failure, also one that comes late, into a SourceError that quotes no cell."""
    try:
        yield
    except pl.exceptions.PolarsError:
        raise SourceError(
            "the file cannot be read as a table.", where=path.name,
            remedy="CSV needs a header and as many cells in every line; Parquet must be whole.",
        ) from None


def scan(path: Path) -> pl.LazyFrame:
    """Open a CSV (every column as text) or Parquet file (its own types) without reading it yet.

    CSV: `.csv`, `.tsv`, `.txt`, also `.gz`; UTF-8 or, where that fails, GB 18030; the separator is the one of
    `, ; tab |` that the header has most of. An empty cell is null. Raises RequestError for a file that is not there
    or of another kind, SourceError for one that is neither encoding.
    """
    if not path.is_file():
        raise RequestError("there is no such file.", where=path.name, remedy="give a CSV or Parquet file.")
    kinds = [suffix.lower() for suffix in path.suffixes]
    if kinds[-1:] == [".parquet"]:
        with reading(path):
            table = pl.scan_parquet(path)
            table.collect_schema()
        return table
    if not kinds or kinds[-1] not in (".csv", ".tsv", ".txt", ".gz"):
        raise RequestError("the file is neither CSV nor Parquet.", where=path.name, remedy="convert it first.")
    with path.open("rb") as raw, gzip.open(raw) if kinds[-1] == ".gz" else raw as stream:
        head = stream.read(_LOOK)
    if not head.strip():
        raise SourceError("the file is empty.", where=path.name, remedy="ask for a file with a header.")
    separator = _separator(head.split(b"\n", 1)[0])
    with reading(path):
        if _is_utf8(head):
            return pl.scan_csv(path, separator=separator, infer_schema=False)
        return pl.read_csv(BytesIO(_from_gb18030(path, kinds[-1])), separator=separator, infer_schema=False).lazy()


def write(rows: pl.DataFrame, path: Path) -> None:
    """Write rows as CSV or Parquet, as the name says; raises RequestError for another name."""
    if path.suffix.lower() == ".parquet":
        rows.write_parquet(path, statistics=True)
    elif path.suffix.lower() == ".csv":
        rows.write_csv(path)
    else:
        what = "the output is neither CSV nor Parquet."
        raise RequestError(what, where=path.name, remedy="end its name in .csv or .parquet.")


def hierarchies_in(folder: Path, columns: Sequence[str]) -> dict[str, Hierarchy]:
    """Read a folder's hierarchies: for each column `COLUMN.csv`, or ARX's `NAME_hierarchy_COLUMN.csv`.

    Raises RequestError for a column with no file, or with several.
    """
    if not folder.is_dir():
        raise RequestError("there is no such folder.", where=folder.name, remedy="give a folder of hierarchies.")
    found: dict[str, Hierarchy] = {}
    for column in columns:
        own = folder / f"{column}.csv"
        files = [own] if own.is_file() else sorted(
            path for path in folder.glob("*.csv") if path.name.endswith(f"_hierarchy_{column}.csv")
        )
        if len(files) != 1:
            what = "several hierarchies" if files else "no hierarchy"
            raise RequestError(f"the folder has {what} for a column.", where=column, remedy=f"keep one {column}.csv.")
        found[column] = read_hierarchy(files[0].read_text(encoding="utf-8-sig"), column)
    return found


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # the look may end inside a character
    return True


def _from_gb18030(path: Path, kind: str) -> bytes:
    data = gzip.decompress(path.read_bytes()) if kind == ".gz" else path.read_bytes()
    try:
        return data.decode("gb18030").encode()
    except UnicodeDecodeError as error:
        raise SourceError(
            "the file is neither UTF-8 nor GB 18030.", where=path.name, remedy="save it as UTF-8."
        ) from error


def _separator(header: bytes) -> str:
    text = header.decode("utf-8", errors="replace")
    return max(_SEPARATORS, key=text.count)
