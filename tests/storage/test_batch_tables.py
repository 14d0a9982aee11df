"""Tables kept by batch: what is replaced, what counts, and what a reader of Delta sees."""

from __future__ import annotations

from contextlib import suppress

import polars as pl
import pytest
from deltalake import DeltaTable

from jobs.errors import StorageError
from jobs.storage import batch_tables
from jobs.storage.batch_tables import FILE, BatchTable, Writer, in_buckets, scan_files
from jobs.storage.locations import Location
from jobs.storage.scanning import files, scan_delta

SCHEMA = {"_batch_id": pl.String, "_source_row": pl.Int64, "said": pl.List(pl.String)}


@pytest.fixture
def table(place: Location) -> BatchTable:
    return BatchTable(place, SCHEMA)


def _put(table: BatchTable, batch: str, *numbers: int) -> None:
    with table.writer(batch) as writer:
        for number in numbers:
            writer.write(pl.DataFrame({"_source_row": [number], "said": [["x"]]}, schema=table.stored))
    table.replace(batch, writer.files())


def _numbers(table: BatchTable) -> list[tuple[str, int]]:
    return sorted(scan_delta(table.folder).select("_batch_id", "_source_row").collect().iter_rows())


def test_a_batch_is_replaced_and_the_others_stay(table: BatchTable) -> None:
    _put(table, "one", 1, 2)
    _put(table, "two", 3)
    _put(table, "one", 4)
    assert _numbers(table) == [("one", 4), ("two", 3)]


def test_a_batch_that_became_empty_is_gone_and_one_that_never_came_changes_nothing(table: BatchTable) -> None:
    _put(table, "one", 1)
    _put(table, "two", 2)
    for _ in range(2):
        table.replace("one", pl.DataFrame(schema=FILE))
        table.replace("never", pl.DataFrame(schema=FILE))
    assert _numbers(table) == [("two", 2)]


def test_written_files_do_not_count_before_they_are_committed(table: BatchTable) -> None:
    _put(table, "one", 1)
    with table.writer("one") as writer:
        writer.write(pl.DataFrame({"_source_row": [9], "said": [None]}, schema=table.stored))
    assert _numbers(table) == [("one", 1)]


def test_an_attempt_that_fails_leaves_no_file(table: BatchTable) -> None:
    with suppress(ZeroDivisionError), table.writer("one") as writer:
        writer.write(pl.DataFrame({"_source_row": [9], "said": [None]}, schema=table.stored))
        raise ZeroDivisionError
    assert not table.folder.files("*/*.parquet")


def test_what_a_first_attempt_of_a_task_left_is_not_read_on(table: BatchTable) -> None:
    attempts = []
    for _ in range(2):  # as an engine does that lost the worker after its work
        with Writer(table.folder / "1", table.stored) as writer:
            writer.write(pl.DataFrame({"_source_row": [7], "said": [None]}, schema=table.stored))
        attempts.append(writer.left(1))
    assert len(list((table.folder / "1").files("*.parquet"))) == 2
    (bucket,) = in_buckets(attempts[1])
    assert scan_files(table.folder, bucket, table.stored).collect()["_source_row"].to_list() == [7]


def test_a_column_added_later_is_empty_in_older_rows(table: BatchTable) -> None:
    _put(table, "one", 1)
    wider = BatchTable(table.folder, {**SCHEMA, "place": pl.String})
    with wider.writer("two") as writer:
        writer.write(pl.DataFrame({"_source_row": [2], "said": [None], "place": ["x"]}, schema=wider.stored))
    wider.replace("two", writer.files())
    found = scan_delta(table.folder).sort("_source_row").select("_source_row", "place").collect().rows()
    assert found == [(1, None), (2, "x")]
    (file,) = table.folder.files("_batch_id=one/*.parquet")
    assert wider.read(file, "one").collect().rows() == [("one", 1, ["x"], None)]
    assert [rows.rows() for rows in wider.slices(file, "one")] == [[("one", 1, ["x"], None)]]


def test_a_column_of_another_type_than_the_tables_is_refused_by_name(table: BatchTable) -> None:
    _put(table, "one", 1)
    other = BatchTable(table.folder, {**SCHEMA, "_source_row": pl.String})
    with pytest.raises(StorageError, match="type of _source_row") as caught:
        other.replace("two", pl.DataFrame(schema=FILE))
    assert caught.value.remedy
    assert _numbers(table) == [("one", 1)]


def test_files_stay_small_and_the_log_tells_counts_but_nothing_rows_say(
    table: BatchTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_tables, "FILE_ROWS", 2)
    _put(table, "one", 1, 2, 3, 4, 5)
    actions = files(table.folder)
    assert sorted(actions["num_records"]) == [1, 2, 2]
    DeltaTable(table.folder.uri, storage_options=table.folder.options).optimize.compact()
    compacted = files(table.folder)
    assert compacted["num_records"].to_list() == [5]
    told = {name for found in (actions, compacted) for name in found.columns if name.startswith(("min.", "max."))}
    assert told <= {"min._source_row", "max._source_row"}
