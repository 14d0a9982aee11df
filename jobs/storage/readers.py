"""Readers: a landed file becomes records of strings, each counted once and numbered as an editor shows it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from jobs.contract import Contract
from jobs.errors import LakeError, SourceError, StorageError
from jobs.source import Source
from jobs.storage.reading import pieces
from jobs.storage.reading.archive import unpacked
from jobs.storage.reading.database import dump_database
from jobs.storage.reading.dbf import read_dbf
from jobs.storage.reading.delimited import read_delimited
from jobs.storage.reading.fixed_width import read_fixed_width
from jobs.storage.reading.json_document import read_json
from jobs.storage.reading.json_lines import read_json_lines
from jobs.storage.reading.layout import Layout, Record, Records, Sound
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.ods import read_ods
from jobs.storage.reading.old_workbook import read_old_workbook
from jobs.storage.reading.parquet import read_parquet
from jobs.storage.reading.text import Piece
from jobs.storage.reading.workbook import read_workbook
from jobs.storage.reading.xml import read_xml

__all__ = ["Limits", "Piece", "dump_database", "read"]

BATCH_ROWS = 20_000
BATCH_CHARACTERS = 32 << 20  # of waiting records, so that a few huge ones do not fill the memory
_READERS: dict[str, Callable[[Path, Source, Layout, Limits], Records]] = {
    "csv": read_delimited, "fixed_width": read_fixed_width, "xlsx": read_workbook, "xls": read_old_workbook,
    "ods": read_ods, "json": read_json, "jsonl": read_json_lines, "xml": read_xml, "parquet": read_parquet,
    "dbf": read_dbf, "database": read_json_lines, "rest": read_json_lines,
}
_DUMPED = ("database", "rest")
_WITHOUT_RECORD = {
    "json": "the document's array of records is empty.", "jsonl": "the file has no record.",
    "xml": "the document has no record.", "database": "the table has no row.", "rest": "the source gives no record.",
}
# What the machine refuses is not the file's fault.
_MACHINE = {
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENOENT, errno.EROFS,
    errno.ESTALE, errno.ENOMEM,
}


def read(file: Path, contract: Contract, limits: Limits, piece: Piece | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a file's records: the contract's source columns as strings, then where each record came from.

    `_source_file` and `_source_row` say where (a packed file's name is followed by the one inside it); `_defect` says
    why a record cannot be trusted as a whole (for example `record.column_count`), or is a remark about one that can
    (`record.unterminated`); `_extra` holds, as JSON, unknown
    columns to keep and the raw text of a defective record. `piece` asks for one piece of a large csv, as `plan` cut it.
    Raises SourceError when the file as a whole is not what the contract declares, when it has no record and the
    contract does not say `rows: {min: 0}`, and for anything a format's library does not survive.
    """
    source = contract.source
    if source is None:
        raise SourceError("a product has no files.", dataset=contract.name)
    layout = Layout.of(contract)
    seen = 0
    shown = file.name
    try:
        with _bounded_failures():
            _refuse_zero_bytes(file, source)
            with unpacked(file, source, limits) as files:
                for name, path in files:
                    shown = name
                    for batch in _batches(_records(path, source, layout, limits, piece), layout, name, limits):
                        seen += batch.num_rows
                        yield batch
            shown = file.name
            if not seen and contract.rows.min and piece is None:
                raise _without_record(source)
    except (SourceError, StorageError) as error:
        where = f"{shown}:{error.where}" if error.where and error.where != shown else shown
        raise type(error)(error.what, dataset=contract.name, where=where, remedy=error.remedy) from None


def plan(file: Path, contract: Contract) -> list[Piece]:
    """Return the pieces a file may be read in, side by side."""
    assert contract.source is not None
    return pieces.plan(file, contract.source)


def _records(path: Path, source: Source, layout: Layout, limits: Limits, piece: Piece | None) -> Records:
    _refuse_zero_bytes(path, source)
    if piece is not None and source.reader == "csv":
        return read_delimited(path, source, layout, limits, piece)
    return _READERS[source.reader](path, source, layout, limits)


def _refuse_zero_bytes(file: Path, source: Source) -> None:
    """Raise SourceError for a delivered file of no byte: it cannot be told from a transfer that failed.

    A dump of a database or a REST source is the lake's own, made after the source answered: it may be empty.
    """
    if source.reader not in _DUMPED and file.stat().st_size == 0:
        text = source.reader == "jsonl" or (source.reader in ("csv", "fixed_width") and not source.header_rows)
        other = "; where rows: {min: 0} allows no record, a file of one empty line says so" if text else ""
        raise SourceError("the file is empty.", remedy=f"deliver it again{other}.")


def _without_record(source: Source) -> SourceError:
    plain = "the file has a header and no record." if source.header_rows else "the file has no record."
    return SourceError(
        _WITHOUT_RECORD.get(source.reader, plain),
        remedy="deliver it again; if a delivery of this dataset may have no record, declare rows: {min: 0}.",
    )


class _bounded_failures:  # noqa: N801 (used like a function)
    """Let nothing out but the lake's own errors: a library's message may quote a cell, so only its kind is kept."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None or isinstance(error, LakeError | GeneratorExit | KeyboardInterrupt | SystemExit):
            return
        number = getattr(error, "errno", None)
        if isinstance(error, OSError) and number in _MACHINE:
            raise StorageError(
                f"the file could not be read ({errno.errorcode.get(number, number)}).",
                remedy="look at the machine: space, rights, open files; then run again.",
            ) from None
        what = "needs more memory than there is" if isinstance(error, MemoryError) else "cannot be read"
        raise SourceError(
            f"the file {what} ({type(error).__name__}).",
            remedy="open it where it was made, save it again and deliver it.",
        ) from None


def _batches(records: Records, layout: Layout, file: str, limits: Limits) -> Iterator[pa.RecordBatch]:
    waiting: list[Record] = []
    size, given = 0, False
    for found in records:
        if isinstance(found, Sound):
            if waiting:
                yield _batch(waiting, layout, file)
                waiting, size = [], 0
            yield _sound_batch(found, layout, file)
            given = True
            continue
        record = found.bounded(limits.max_cell_bytes)
        waiting.append(record)
        size += record.size()
        if len(waiting) == BATCH_ROWS or size > BATCH_CHARACTERS:
            yield _batch(waiting, layout, file)
            waiting, size, given = [], 0, True
    if waiting or not given:
        yield _batch(waiting, layout, file)


def _batch(records: list[Record], layout: Layout, file: str) -> pa.RecordBatch:
    columns = [pa.array([record.cells.get(name) for record in records], pa.string()) for name in layout.columns]
    rows = pa.array([record.row for record in records], pa.int64())
    defects = pa.array([record.defect or record.remark for record in records], pa.string())
    extra = pa.array([record.extra_json() for record in records], pa.string())
    return _with_origin(columns, layout, file, rows, defects, extra)


def _sound_batch(sound: Sound, layout: Layout, file: str) -> pa.RecordBatch:
    none = pa.nulls(len(sound.rows), pa.string())
    columns = [_whole(sound.cells[name]) if name in sound.cells else none for name in layout.columns]
    return _with_origin(columns, layout, file, sound.rows, none, none)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _with_origin(
    columns: list[pa.Array], layout: Layout, file: str, rows: pa.Array, defects: pa.Array, extra: pa.Array
) -> pa.RecordBatch:
    origin = {
        "_source_file": pa.array([file] * len(rows), pa.string()), "_source_row": rows.cast(pa.int64()),
        "_defect": defects, "_extra": extra,
    }
    return pa.RecordBatch.from_arrays([*columns, *origin.values()], [*layout.columns, *origin])
