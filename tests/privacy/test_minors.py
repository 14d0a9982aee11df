"""Children under 14: a claim that none is spoken of is a claim that rows can disprove."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from jobs.catalogue import Catalogue, load_catalogue
from jobs.onboarding.inspection import inspect
from jobs.privacy import minors
from jobs.settings import PROJECT

ON = date(2026, 3, 1)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(PROJECT / "schemas")


@pytest.mark.parametrize(
    ("born", "young"),
    [
        (date(2012, 3, 2), True), (date(2012, 3, 1), False), (date(2026, 2, 28), True), (date(1949, 12, 31), False),
        (None, False),
    ],
)
def test_somebody_is_a_child_until_the_day_they_are_14(born: date | None, young: bool) -> None:
    rows = pl.DataFrame({"born": [born]}, schema={"born": pl.Date})
    assert minors.children(rows, ("born",), ON).to_list() == [young]


def test_a_number_tells_an_age_as_a_date_does_and_any_person_of_a_row_counts() -> None:
    rows = pl.DataFrame({
        "one": ["11010519491231002X", "110105201512310025", None, "not a number", "11010519491231002X"],
        "other": [date(1980, 1, 1), date(1980, 1, 1), None, None, date(2020, 1, 1)],
    })
    assert minors.children(rows, ("one", "other"), ON).to_list() == [False, True, False, False, True]
    assert minors.children(rows, (), ON).to_list() == [False] * 5
    assert minors.children(rows.clear(), ("one", "other"), ON).to_list() == []


def test_the_day_a_row_speaks_of_counts_and_never_one_that_lies_ahead() -> None:
    born = date(2006, 6, 1)
    rows = pl.DataFrame({"born": [born] * 3, "said": [date(2019, 1, 1), date(2021, 1, 1), None]})
    assert minors.children(rows, ("born",), ON, "said").to_list() == [True, False, False]
    ahead = pl.DataFrame({"born": [date(2015, 1, 1)], "said": [date(2040, 1, 1)]})
    assert minors.children(ahead, ("born",), ON, "said").to_list() == [True]
    # 23:00 in UTC is the next day in China: whoever is 14 that day is none.
    late = pl.DataFrame({"born": [born], "said": [datetime(2020, 5, 31, 23, tzinfo=UTC)]})
    assert minors.children(late, ("born",), ON, "said").to_list() == [False]


def test_who_a_row_speaks_of_follows_from_the_contract(catalogue: Catalogue) -> None:
    def told(name: str) -> tuple[str, ...]:
        return minors.telling(catalogue.contract(name), catalogue)

    assert told("civil_affairs/marriage_registrations") == (
        "groom_id", "groom_birth_date", "bride_id", "bride_birth_date"
    )
    assert told("social_security/employment_registrations") == ("resident_id",)
    assert told("development_reform/administrative_licences") == ("representative_id", "person_id")
    assert "birth_date" in {
        catalogue.contract("products/population").fields[name].from_ or name for name in told("products/population")
    }
    assert told("market_regulation/annual_reports") == ()


def test_a_law_that_makes_an_exception_is_no_claim_about_rows(catalogue: Catalogue) -> None:
    assert not minors.claims_none(catalogue.contract("civil_affairs/deaths"), catalogue)
    assert minors.claims_none(catalogue.contract("civil_affairs/marriage_registrations"), catalogue)
    assert minors.refusal(catalogue.contract("civil_affairs/deaths"), catalogue, {}) is None


def test_rows_that_nobody_counted_are_not_released(catalogue: Catalogue) -> None:
    contract = catalogue.contract("civil_affairs/marriage_registrations")
    assert minors.refusal(contract, catalogue, {"under_14": 0, "age_unknown": 0, "age_known": 9}) is None
    for counted in ({}, {"under_14": 0}):  # gold of before ages were counted apart
        uncounted = minors.refusal(contract, catalogue, counted)
        assert uncounted is not None
        assert "lake run desensitise" in str(uncounted.remedy)
    some = minors.refusal(contract, catalogue, {"under_14": 3, "age_unknown": 0, "age_known": 9})
    assert some is not None
    assert some.what.startswith("3 rows speak of children")


def test_an_unknown_age_is_shown_and_where_no_age_is_known_nothing_was_checked(catalogue: Catalogue) -> None:
    contract = catalogue.contract("civil_affairs/marriage_registrations")
    assert minors.refusal(contract, catalogue, {"under_14": 0, "age_unknown": 8, "age_known": 1}) is None
    assert minors.refusal(contract, catalogue, {"under_14": 0, "age_unknown": 0, "age_known": 0}) is None
    nothing = minors.refusal(contract, catalogue, {"under_14": 0, "age_unknown": 9, "age_known": 0})
    assert nothing is not None
    assert nothing.what.startswith("in every one of its 9 rows somebody's age is unknown")
    for count, shown in ((0, "0"), (1, "fewer than 5"), (4, "fewer than 5"), (5, "5")):
        said = minors.statement(contract, catalogue, {"under_14": 0, "age_unknown": count, "age_known": 1})
        assert said == {"claim": contract.under_14, "age_unknown": shown}
    exempt = catalogue.contract("civil_affairs/deaths")
    assert minors.statement(exempt, catalogue, {}) is minors.told(exempt, catalogue, {}) is None


def test_the_age_of_each_person_a_row_speaks_of_must_be_told_by_something(catalogue: Catalogue) -> None:
    contract = catalogue.contract("civil_affairs/marriage_registrations")
    groom, bride = minors.people(contract, catalogue)
    assert (groom.telling, bride.telling) == (("groom_id", "groom_birth_date"), ("bride_id", "bride_birth_date"))
    number, born = "11010519491231002X", date(1990, 1, 1)
    rows = pl.DataFrame(
        [
            (number, None, "甲", number, None, "乙"), (None, born, "甲", number, None, "乙"),
            (number, None, "甲", None, None, "乙"), (number, born, "甲", "P1234567", None, None),
            (None, None, "甲", None, None, "乙"), (number, None, "甲", None, None, None), (None,) * 6,
        ],
        schema={
            "groom_id": pl.String, "groom_birth_date": pl.Date, "groom_name": pl.String,
            "bride_id": pl.String, "bride_birth_date": pl.Date, "bride_name": pl.String,
        }, orient="row",
    )  # fmt: skip
    found = minors.counts(rows, contract, catalogue, ON)
    assert found["age_unknown"].to_list() == [False, False, True, True, True, False, False]
    assert found["age_known"].to_list() == [True, True, False, False, False, True, False]
    assert found["under_14"].to_list() == [False] * 7
    assert minors.counts(rows.clear(), contract, catalogue, ON).height == 0


def test_a_claim_that_no_field_could_disprove_is_an_error_of_the_contract(tmp_path: Path) -> None:
    schemas = Path(shutil.copytree(PROJECT / "schemas", tmp_path / "schemas"))
    path = schemas / "social_security" / "employment_registrations.yaml"
    text = path.read_text(encoding="utf-8")
    told = "  worker:   {register: person, key: [resident_id], fields: {name: worker_name}}\n"
    assert told in text
    path.write_text(text.replace(told, "", 1), encoding="utf-8")
    problems = [str(one) for one in inspect(schemas, PROJECT / "expectations")[0]]
    assert [one for one in problems if "under_14: no field tells how old" in one]


def test_a_product_stands_on_the_claims_of_what_it_reads(tmp_path: Path) -> None:
    schemas = Path(shutil.copytree(PROJECT / "schemas", tmp_path / "schemas"))
    (schemas / "products" / "couples.yaml").write_text(
        "title: {en: Couples, zh: 夫妻}\ndescription: {en: Couples., zh: 夫妻。}\nsteward: a@b.example\n"
        "from: {dataset: civil_affairs/marriage_registrations}\n"
        "fields:\n  his_number: {from: groom_id, type: resident_id, protect: pseudonym}\n"
        "  division_code: {type: division_code, publish: {as: division_code}}\n"
        "release: {theme: 社保}\n",
        encoding="utf-8",
    )
    found = load_catalogue(schemas)
    contract = found.contract("products/couples")
    assert minors.claims_none(contract, found)
    assert minors.telling(contract, found) == ("his_number",)
    assert minors.people(contract, found) == (minors.Person(("his_number",), ("his_number",)),)  # nothing of her
    told = minors.told(contract, found, {"under_14": 0, "age_unknown": 1, "age_known": 2})
    assert told is not None
    assert told["claim"] == found.contract("civil_affairs/marriage_registrations").under_14


def test_somebody_joined_by_a_key_that_tells_an_age_is_who_the_key_is_about(tmp_path: Path) -> None:
    schemas = Path(shutil.copytree(PROJECT / "schemas", tmp_path / "schemas"))
    with (schemas / "registers" / "person.yaml").open("a", encoding="utf-8") as register:
        register.write("  number: {type: resident_id, title: {en: Number, zh: 号码}}\n")
    (schemas / "products" / "couples.yaml").write_text(
        "title: {en: Couples, zh: 夫妻}\ndescription: {en: Couples., zh: 夫妻。}\nsteward: a@b.example\n"
        "from:\n  dataset: civil_affairs/marriage_registrations\n  join:\n"
        "    - {register: person, on: {groom_id: number}, columns: {home: residence_code}}\n"
        "    - {register: person, on: {groom_name: name}, columns: {other: residence_code}}\n"
        "fields:\n  his_number: {from: groom_id, type: resident_id, protect: pseudonym}\n"
        "  home: {type: division_code, publish: {as: home}}\n  other: {type: division_code, publish: {as: other}}\n"
        "release: {theme: 社保}\n",
        encoding="utf-8",
    )
    found = load_catalogue(schemas)
    contract = found.contract("products/couples")
    his, home, other = minors.people(contract, found)
    assert his == minors.Person(("his_number",), ("his_number",))
    assert home == minors.Person(("his_number",), ("home",))
    assert other == minors.Person((), ("other",))  # a name tells no age
    rows = pl.DataFrame(
        [("11010519491231002X", "330102", None), (None, None, "330102")],
        schema={"his_number": pl.String, "home": pl.String, "other": pl.String}, orient="row",
    )
    assert minors.counts(rows, contract, found, ON)["age_unknown"].to_list() == [False, True]
