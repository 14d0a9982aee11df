"""Logs: append-only tables of files sorted by id, written anywhere, counted once committed, each commit once."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import StorageError
from jobs.layers import Layer
from jobs.registers.keys import ALPHABET, places
from jobs.storage.locations import Location
from jobs.storage.logs import Log, intervals
from jobs.storage.scanning import files, scan_delta
from jobs.storage.tables import Lake

SCHEMA = {"_commit": pl.Int64, "id": pl.String, "says": pl.String}


def ids(count: int, seed: int = 1) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices(ALPHABET, k=26)) for _ in range(count)]


def rows(keys: list[str], commit: int, says: str = "x") -> pl.DataFrame:
    return pl.DataFrame({"_commit": [commit] * len(keys), "id": keys, "says": [says] * len(keys)}, schema=SCHEMA)


def opened(folder: Location) -> Log:
    return Log.open(folder, SCHEMA, "id")


@given(st.lists(st.text(ALPHABET, min_size=26, max_size=26), max_size=20))
def test_the_places_of_ids_have_their_order(keys: list[str]) -> None:
    given_ = pl.Series("id", keys, pl.String)
    found = given_.to_frame().with_columns(places(given_))
    for one, other in pairwise(found.sort("id").iter_rows()):
        assert one[1] < other[1] or one[0][:12] == other[0][:12]


def test_what_is_no_id_has_no_place() -> None:
    assert places(pl.Series(["A" * 26, "short", None])).to_list() == [None] * 3
    assert places(pl.Series(["A" * 26, "1" * 26])).to_list() == [None] * 2


@given(st.integers(1, 1024), st.text(ALPHABET, min_size=26, max_size=26))
def test_every_id_lies_in_exactly_one_interval(count: int, key: str) -> None:
    one = pl.DataFrame({"id": [key]})
    parts = intervals(count)
    assert len(parts) == count
    assert sum(one.filter(part.holds("id")).height for part in parts) == 1


def test_a_file_counts_once_it_is_committed_and_a_repeated_commit_adds_nothing(place: Location) -> None:
    folder, keys = place, ids(50)
    parts = opened(folder).write(rows(keys, 1))
    assert opened(folder).scan().collect().is_empty()
    opened(folder).commit(parts, 1)
    again = opened(folder).write(rows(keys, 1))
    opened(folder).commit(again, 1)
    assert opened(folder).scan().collect()["id"].to_list() == sorted(keys)
    assert (opened(folder).rows, opened(folder).last) == (50, 1)


def test_rows_are_found_by_interval_by_id_and_by_commit_and_other_files_are_left_unread(place: Location) -> None:
    keys = sorted(ids(200))
    for number, mine in enumerate((keys[:100], keys[100:]), start=1):
        log = opened(place)
        log.commit(log.write(rows(mine, number)), number)
    log = opened(place)
    found = [log.scan(part).collect()["id"].to_list() for part in intervals(7)]
    assert sorted(key for part in found for key in part) == keys
    assert all(max(part) < min(later) for part, later in pairwise(found))
    assert sorted(log.among([keys[3], keys[150], "A" * 26]).collect()["id"]) == [keys[3], keys[150]]
    assert log.scan(after=1).collect()["id"].to_list() == keys[100:]
    place.remove(log.files[0][0] if keys[0] == log.files[0][1] else log.files[1][0])
    assert log.scan(after=1).collect().height == 100


def test_a_column_that_came_later_is_null_in_older_files(place: Location) -> None:
    old = Log.open(place, {name: SCHEMA[name] for name in ("_commit", "id")}, "id")
    old.commit(old.write(rows(ids(3), 1)), 1)
    new = opened(place)
    new.commit(new.write(rows(ids(3, 2), 2, "y")), 2)
    assert sorted(opened(place).scan().collect()["says"].to_list(), key=str) == [None, None, None, "y", "y", "y"]
    assert scan_delta(place).collect().height == 6


def test_a_table_of_an_older_layout_is_named_with_the_remedy(place: Location) -> None:
    write_deltalake(place.uri, pl.DataFrame({"other": ["x"]}).to_arrow(), storage_options=place.options)
    with pytest.raises(StorageError, match=r"older layout.*lake run resolve"):
        opened(place)


def test_replacing_puts_written_files_in_the_place_of_all_others(place: Location) -> None:
    log = opened(place)
    log.commit(log.write(rows(ids(9), 1)), 1)
    log.replace(log.write(rows(ids(4, 2), 2)))
    assert (opened(place).rows, opened(place).last) == (4, 2)


def test_the_tables_log_keeps_no_statistics_of_what_rows_say(place: Location) -> None:
    log = opened(place)
    log.commit(log.write(rows(ids(3), 1, says="planted")), 1)
    logs = place.files("_delta_log/*.json")
    text = "".join(place.open(file).read().decode() for file in logs)
    assert logs
    assert "planted" not in text
    assert {"min.id", "max._commit"} <= set(files(place).columns)


@pytest.mark.parametrize("count", [0, 3])
def test_an_empty_commit_leaves_the_table_as_it_is(place: Location, count: int) -> None:
    log = opened(place)
    log.commit(log.write(rows(ids(count), 1)), 1)
    assert opened(place).rows == count


def test_a_compacted_log_has_few_files_the_same_rows_and_knows_its_commits(lake_folder: Path) -> None:
    del lake_folder
    with Lake.open() as lake:
        folder = lake.folder(Layer.REGISTERS, "trial")
        for number in range(1, 18):
            log = opened(folder)
            log.commit(log.write(rows(ids(4, number), number)), number)
        before = opened(folder).scan().sort("id").collect()
        assert lake.fragmented(Layer.REGISTERS, "trial")
        lake.compact(Layer.REGISTERS, "trial", by="id")
        log = opened(folder)
        assert (len(log.files), log.rows, log.last) == (1, 68, 17)
        assert log.scan().sort("id").collect().equals(before)
        log.commit(log.write(rows(ids(4), 17)), 17)
        assert opened(folder).rows == 68
