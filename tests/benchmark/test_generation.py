"""The benchmark's data: the same every time, sound keys, dirt of every kind."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars import col
from polars.testing import assert_frame_equal

from jobs.benchmark.generation import change_rows, generate, register_rows
from jobs.benchmark.population import Population
from jobs.benchmark.rules import BATCH_AT, REASONS, REGISTER
from jobs.benchmark.run import Turns
from jobs.errors import RequestError
from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import judged
from tests.benchmark.conftest import CHANGES, PEOPLE

EXTRACTS = ("extract_ps", "extract_ca", "extract_hi")


def _read(data: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(data / name / "*.parquet")


def test_the_same_sizes_give_the_same_rows(data: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", PEOPLE, CHANGES, cores=1)
    for name in ("register", *EXTRACTS):
        assert_frame_equal(_read(data, name), _read(tmp_path / "again", name))


def test_a_slice_made_alone_is_a_slice_of_the_whole() -> None:
    people = Population(PEOPLE)
    whole = register_rows(people, 0, 3_000)
    parts = pl.concat([register_rows(people, 0, 1_000), register_rows(people, 1_000, 3_000)])
    assert_frame_equal(whole.sort("id18"), parts.sort("id18"))
    changes = change_rows(people, "ps", 1, 0, 2_000, 2_000, CHANGES)
    assert_frame_equal(changes[700:900], change_rows(people, "ps", 1, 700, 900, 2_000, CHANGES))


def test_the_register_is_people_with_sound_keys_sorted_and_of_unequal_counties(data: Path, codes: CodeBook) -> None:
    register = _read(data, "register")
    assert register.columns == list(REGISTER)
    assert register.height == PEOPLE
    assert register["id18"].n_unique() == PEOPLE
    assert register["id18"].is_sorted()
    verdicts = judged("resident_id", register["id18"], codes, date(2026, 1, 1))
    assert (verdicts.accepted == register["id18"]).all()
    assert (register["id18"].str.slice(6, 8) == register["birth"].dt.strftime("%Y%m%d")).all()
    assert ((register["id18"].str.slice(16, 1).cast(pl.Int32) % 2 == 1) == (register["sex"] == 1)).all()
    counties = register["division"].value_counts()["count"]
    assert counties.max() > 4 * counties.min()
    known = pl.read_parquet(data / "ref_division.parquet")["division"]
    assert register["division"].is_in(known.implode()).all()


def test_extracts_hold_every_kind_of_dirt(data: Path, turns: dict[str, Turns]) -> None:
    raw = pl.concat([_read(data, name).select("raw_id") for name in EXTRACTS])["raw_id"]
    for kind, form in {
        "fifteen digits": r"^[0-9]{15}$", "spaces and a dash": "^ [0-9]{6}-", "full-width": "^[０-９]",
        "lower case": "x $", "short": r"^[0-9]{17}$", "letter": "[0-9]A[0-9]", "unknown division": "^99",
    }.items():
        assert raw.str.contains(form).any(), kind
    assert raw.null_count() > 0
    assert turns["duckdb"].out is not None
    reasons = pl.read_parquet(turns["duckdb"].out / "quarantine.parquet")["reason"]
    assert set(reasons) == set(REASONS)


def test_extracts_hold_duplicates_late_rows_newcomers_and_people_who_moved(data: Path) -> None:
    register = _read(data, "register").select("id18", old="division")
    for name in EXTRACTS:
        rows = _read(data, name)
        assert rows["raw_id"].drop_nulls().is_duplicated().any()
        assert 0.05 < (rows["update_ts"] < BATCH_AT - 86400).mean() < 0.15
    rows = _read(data, "extract_ps").filter(col("raw_id").str.contains("^[0-9]{17}[0-9X]$"))
    joined = rows.join(register, left_on="raw_id", right_on="id18", how="left")
    assert 0.03 < joined["old"].is_null().mean() < 0.15
    assert 0.02 < (joined["old"] != joined["division"]).mean() < 0.10


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine", encoding="utf-8")
    with pytest.raises(RequestError, match="not empty"):
        generate(tmp_path, 100, 100)
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_a_batch_may_be_larger_than_the_register(tmp_path: Path) -> None:
    generate(tmp_path / "data", 10, 3_000)
    assert _read(tmp_path / "data", "register").height == 10
    assert sum(_read(tmp_path / "data", name).height for name in EXTRACTS) == 3_000


@pytest.mark.parametrize("changes", [0, 1, 2])
def test_a_batch_may_be_empty_or_of_a_row_or_two(tmp_path: Path, changes: int) -> None:
    generate(tmp_path / "data", 10, changes)
    extracts = [_read(tmp_path / "data", name) for name in EXTRACTS]
    assert sum(one.height for one in extracts) == changes
    assert all("raw_id" in one.columns for one in extracts)
