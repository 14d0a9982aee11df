"""The synthetic city tells the truth about itself: what it calls dirty is judged so, by code written apart from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import stdnum.cn.ric
import stdnum.cn.uscc

from jobs.catalogue import Catalogue, load_catalogue
from jobs.rows.codes import CodeBook
from jobs.settings import PROJECT
from jobs.stages.conform import judged_rows
from jobs.storage.readers import Limits, dump_database, read
from jobs.synthesis import city

SCHEMAS = PROJECT / "schemas"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("city")
    city.write(3_000, 3, 5, out, SCHEMAS / "codes")
    return out


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(written: Path, tmp_path: Path) -> None:
    city.write(3_000, 3, 5, tmp_path / "same", SCHEMAS / "codes")
    city.write(3_000, 3, 6, tmp_path / "other", SCHEMAS / "codes")
    assert _digests(tmp_path / "same") == _digests(written)
    register = "raw/public_security/household_register_20260302.csv"
    assert _digests(tmp_path / "other")[register] != _digests(written)[register]


def _deliveries(written: Path, catalogue: Catalogue, scratch: Path) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield, per delivered file, its truth and the lake's judgement of its rows."""
    codes = CodeBook.load(SCHEMAS / "codes")
    truth = pl.read_parquet(written / "truth" / "rows.parquet")
    for (dataset, file), rows in truth.group_by("dataset", "file", maintain_order=True):
        contract, path = catalogue.contract(str(dataset)), written / "raw" / str(dataset).split("/")[0] / str(file)
        assert contract.source is not None
        if contract.source.table:
            dump = scratch / f"{file}.jsonl"
            dump_database(f"sqlite:///{path}", contract.source.table, contract.source.order_by, dump)
            path = dump
        day = datetime.strptime(path.name.split(".")[0][-8:], "%Y%m%d")  # noqa: DTZ007 (a date)
        judged = [
            judged_rows(
                pl.DataFrame(pl.from_arrow(batch)),
                contract=contract,
                catalogue_types=catalogue.types,
                codes=codes,
                data_date=day.date(),
            )
            for batch in read(path, contract, Limits())
        ]
        yield rows, pl.concat(judged)


def test_every_row_is_judged_as_the_truth_says(written: Path, tmp_path: Path) -> None:
    seen: set[str] = set()
    for truth, judged in _deliveries(written, load_catalogue(SCHEMAS), tmp_path):
        rejected = pl.col("_reasons").list.len() > 0
        marks = judged.select(
            "_source_row", rejected=rejected, duplicate=~rejected & ~pl.col("_fingerprint").is_first_distinct()
        )
        met = truth.join(marks, left_on="source_row", right_on="_source_row", how="full", coalesce=True)
        assert met.null_count().select("dirt", "rejected").sum_horizontal().item() == 0, "a row got lost"
        assert met.filter(pl.col("rejected") != (pl.col("expected") == "rejected")).is_empty()
        assert met.filter(pl.col("duplicate") != (pl.col("expected") == "duplicate")).is_empty()
        seen |= set(met["dirt"])
    assert seen >= {
        "full_width",
        "fifteen",
        "lower_x",
        "spreadsheet_tail",
        "scientific",
        "wrong_check",
        "nothing",
        "filler",
        "swapped",
        "reused",
        "exact_duplicate",
        "withdrawn",
        "legacy_number",
    }


def test_numbers_are_well_formed_and_belong_to_one_person_or_entity(written: Path) -> None:
    people = pl.read_parquet(written / "truth" / "people.parquet")
    entities = pl.read_parquet(written / "truth" / "organisations.parquet")
    assert people["resident_id"].is_unique().all()
    assert entities["credit_code"].is_unique().all()
    # Not is_valid(): it knows today's divisions only, and most people were born in one that has another code now.
    sample = people["resident_id"].sample(300, seed=1)
    assert all(stdnum.cn.ric.calc_check_digit(number) == number[-1] for number in sample)
    assert all(stdnum.cn.uscc.is_valid(number) for number in entities["credit_code"])
    assert set(entities["kind"]) == {"机关", "事业", "企业", "社会组织", "其他"}
    assert set(entities["representative"]) <= set(people["person"])


def test_changes_come_late_and_corrected_and_a_column_appears_on_the_third_day(written: Path) -> None:
    truth = pl.read_parquet(written / "truth" / "rows.parquet")
    assert {"late", "corrected", "renamed", "moved", "founded"} <= set(truth["story"])
    headers = [
        path.read_bytes().split(b"\n")[0].decode("gb18030")
        for path in sorted((written / "raw/public_security").glob("*.csv"))
    ]
    assert ["职业" in header for header in headers] == [False, False, True]


def test_the_withdrawn_delivery_names_living_people(written: Path) -> None:
    withdrawn = pl.read_parquet(written / "truth" / "withdrawals.parquet")
    assert withdrawn.rows() == [("civil_affairs/deaths", "deaths_20260303.jsonl")]
    rows = pl.read_parquet(written / "truth" / "rows.parquet").filter(pl.col("dirt") == "withdrawn")
    people = pl.read_parquet(written / "truth" / "people.parquet")
    named = rows.join(people, left_on="subject", right_on="person", how="left")
    assert named["died_on"].is_null().all()
