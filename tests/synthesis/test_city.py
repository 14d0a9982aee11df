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
from jobs.errors import RequestError
from jobs.rows.codes import CodeBook
from jobs.settings import PROJECT
from jobs.stages.judging import judged_rows
from jobs.storage.readers import Limits, dump_database, read
from jobs.synthesis import city
from jobs.synthesis.dirt import SMALL

SCHEMAS = PROJECT / "schemas"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("city")
    city.write(3_000, 3, 5, out, SCHEMAS / "codes", datasets=city.ALL)
    return out


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(written: Path, tmp_path: Path) -> None:
    city.write(3_000, 3, 5, tmp_path / "same", SCHEMAS / "codes", datasets=city.ALL)
    city.write(3_000, 3, 6, tmp_path / "other", SCHEMAS / "codes", datasets=["public_security/household_register"])
    assert _digests(tmp_path / "same") == _digests(written)
    register = "raw/public_security/household_register_20260302.csv"
    assert _digests(tmp_path / "other")[register] != _digests(written)[register]


def _deliveries(written: Path, catalogue: Catalogue, scratch: Path) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield, per delivered file, its truth and the lake's judgement of its rows."""
    codes = CodeBook.load(SCHEMAS / "codes")
    truth = pl.read_parquet(written / "truth" / "rows.parquet")
    for (dataset, file), rows in truth.group_by("dataset", "file", maintain_order=True):
        contract = catalogue.contract(str(dataset))
        path = written / "raw" / contract.department / str(file).split("/")[0]
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
    dirty: dict[str, set[str]] = {}
    for truth, judged in _deliveries(written, load_catalogue(SCHEMAS), tmp_path):
        rejected = pl.col("_reasons").list.len() > 0
        marks = judged.select(
            "_source_row", rejected=rejected, duplicate=~rejected & ~pl.col("_fingerprint").is_first_distinct()
        )
        met = truth.join(marks, left_on="source_row", right_on="_source_row", how="full", coalesce=True)
        assert met.null_count().select("dirt", "rejected").sum_horizontal().item() == 0, "a row got lost"
        wrong = met.filter(pl.col("rejected") != (pl.col("expected") == "rejected"))
        wrong = pl.concat([wrong, met.filter(pl.col("duplicate") != (pl.col("expected") == "duplicate"))])
        assert wrong.is_empty(), wrong.select("dataset", "file", "dirt", "expected", "rejected", "duplicate")
        dirty.setdefault(str(truth["dataset"][0]), set()).update(set(met["dirt"]) - {"", "exact_duplicate"})
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
    assert set(dirty) == set(city.ALL)
    rows = pl.read_parquet(written / "truth" / "rows.parquet").group_by("dataset", "file").len()
    large = set(rows.filter(pl.col("len") >= SMALL)["dataset"])
    assert len(large) >= 8
    assert not [dataset for dataset in large if not dirty[dataset]], "a department makes no mistakes"


def test_numbers_are_well_formed_and_belong_to_one_person_or_entity(written: Path) -> None:
    people = pl.read_parquet(written / "truth" / "people.parquet")
    entities = pl.read_parquet(written / "truth" / "organisations.parquet")
    assert people["resident_id"].is_unique().all()
    assert entities.filter(pl.col("credit_code") != "")["credit_code"].is_unique().all()
    # Not is_valid(): it knows today's divisions only, and most people were born in one that has another code now.
    sample = people["resident_id"].sample(300, seed=1)
    assert all(stdnum.cn.ric.calc_check_digit(number) == number[-1] for number in sample)
    codes = entities["credit_code"].filter(entities["credit_code"] != "")
    # stdnum knows no department whose code is a letter, such as agriculture's (N): its check character is asked alone.
    assert all(stdnum.cn.uscc.calc_check_digit(number) == number[-1] for number in codes)
    assert all(stdnum.cn.uscc.is_valid(number) for number in codes if not number.startswith("N"))
    assert set(entities["kind"]) == {"机关", "事业", "企业", "社会组织", "其他", "个体"}
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


def test_unless_named_the_deliveries_are_the_demonstrations_and_others_do_not_change_them(
    written: Path, tmp_path: Path
) -> None:
    city.write(3_000, 3, 5, tmp_path / "six", SCHEMAS / "codes")
    city.write(3_000, 3, 5, tmp_path / "one", SCHEMAS / "codes", datasets=["health/births"])
    every, six, one = (_digests(folder / "raw") for folder in (written, tmp_path / "six", tmp_path / "one"))
    assert {name.rpartition("_")[0] for name in six} == set(city.DEMONSTRATED)
    assert len(city.DEMONSTRATED) == 6
    assert {name.rpartition("_")[0] for name in one} == {"health/births"}
    assert six.items() <= every.items()
    assert one.items() <= every.items()


def test_a_delivery_no_department_makes_is_refused_with_the_nearest_ones(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="did you mean health/births"):
        city.write(400, 1, 1, tmp_path, SCHEMAS / "codes", datasets=["health/birth"])
    assert not any(tmp_path.iterdir())


def test_every_delivery_of_the_city_has_a_contract() -> None:
    # Not the other way round: a new dataset needs no Python.
    assert set(city.ALL) <= {contract.name for contract in load_catalogue(SCHEMAS).datasets()}
    assert len(city.ALL) >= 16
    assert len({name.partition("/")[0] for name in city.ALL}) >= 8


def test_a_city_of_any_size_makes_every_delivery(tmp_path: Path) -> None:
    summary = city.write(200, 3, 2, tmp_path, SCHEMAS / "codes", datasets=city.ALL)
    assert summary.files == 3 * len(city.ALL)


def test_all_departments_tell_one_truth(written: Path) -> None:
    rows = pl.read_parquet(written / "truth" / "rows.parquet")
    people = pl.read_parquet(written / "truth" / "people.parquet")
    entities = pl.read_parquet(written / "truth" / "organisations.parquet")
    everybody = pl.concat([people["person"], entities["entity"]])
    for role in ("subject", "other", "third", "fourth"):
        assert rows[role].drop_nulls().is_in(everybody.implode()).all(), role
    told = rows.filter(pl.col("dirt") != "withdrawn")

    def subjects(dataset: str) -> set[str]:
        return set(told.filter(pl.col("dataset") == dataset)["subject"].drop_nulls())

    registered = subjects("public_security/household_register")
    newborn = {person for person in registered if person.startswith("9")}
    assert newborn & subjects("health/births"), "children born in the city's days have a certificate"
    assert subjects("health/births") <= registered
    assert subjects("staffing_commission/government_organs") == set(entities.filter(pl.col("kind") == "机关")["entity"])
    assert subjects("staffing_commission/public_institutions") == set(
        entities.filter(pl.col("kind") == "事业")["entity"]
    )
    firms = subjects("market_regulation/enterprise_registrations")
    assert subjects("market_regulation/annual_reports") <= firms
    assert subjects("market_regulation/shareholders") <= firms
    assert firms <= subjects("taxation/taxpayers")
    dead = set(people.filter(pl.col("died_on") < pl.date(2026, 3, 2))["person"])
    for dataset in ("social_security/employment_registrations", "education/school_enrolment", "health/health_records"):
        assert not subjects(dataset) & dead
    assert not subjects("civil_affairs/minimum_living_allowance") & subjects("social_security/employment_registrations")


def test_taxpayers_numbers_are_their_credit_codes_or_older_ones_that_end_in_the_same_organisation_code(
    written: Path,
) -> None:
    file = written / "raw/taxation/taxpayers_20260302.csv.gz"
    rows = pl.read_csv(file, separator=";", infer_schema=False)
    truth = pl.read_parquet(written / "truth" / "rows.parquet").filter(
        (pl.col("dataset") == "taxation/taxpayers") & (pl.col("file") == file.name)
    )
    entities = pl.read_parquet(written / "truth" / "organisations.parquet")
    met = rows.hstack(truth.select("subject", "dirt")).join(entities, left_on="subject", right_on="entity", how="left")
    number, code = pl.col("纳税人识别号"), pl.col("credit_code")
    coded = met.filter((pl.col("dirt") == "") & (code != ""))
    assert coded.filter(number != code).is_empty()
    older = met.filter(pl.col("dirt") == "legacy_number")
    assert older.height
    assert older.filter(number.str.slice(6) != code.str.slice(8, 9)).is_empty()
    assert met.filter((pl.col("dirt") == "") & (code == "")).filter(number.str.len_chars() != 20).is_empty()
