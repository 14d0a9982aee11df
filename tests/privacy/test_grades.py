"""Grades: what each column and table is worth protecting, and what may not leave in the open."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.catalogue import Catalogue, load_catalogue
from jobs.cli import app
from jobs.onboarding.inspection import inspect
from jobs.privacy import grades
from jobs.settings import PROJECT


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(PROJECT / "schemas")


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT / "schemas", tmp_path / "schemas"))


def spoil(schemas: Path, file: str, old: str, new: str) -> list[str]:
    path = schemas / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    problems = [str(one) for one in inspect(schemas, PROJECT / "expectations")[0]]
    return [one for one in problems if "approvals.csv" not in one]  # other terms lapse, which is another matter


def column(found: grades.Grade, field: str) -> grades.Column:
    return next(one for one in found.columns if one.field == field)


def test_a_table_is_as_high_as_its_highest_column(catalogue: Catalogue) -> None:
    found = grades.delivered(catalogue.contract("civil_affairs/marriage_registrations"), catalogue)
    assert (column(found, "groom_id").class_, column(found, "groom_id").grade) == ("direct", 4)
    assert (column(found, "division_code").class_, column(found, "division_code").grade) == ("quasi", 2)
    assert found.grade == 4


def test_a_column_of_a_special_kind_is_of_grade_4_whatever_its_type(catalogue: Catalogue) -> None:
    contract = catalogue.contract("health/health_records")
    found = grades.delivered(contract, catalogue)
    assert catalogue.types[contract.fields["health_code"].type].grade == 2
    assert (column(found, "health_code").class_, column(found, "health_code").grade) == ("sensitive", 4)


def test_desensitising_lowers_a_grade_but_never_below_what_is_still_about_a_person(catalogue: Catalogue) -> None:
    found = grades.desensitised(catalogue.contract("social_security/social_insurance"), catalogue)
    assert column(found, "resident_id").grade == 2  # a pseudonym
    assert column(found, "contribution_base").grade == 2  # money by thousands
    assert found.grade == 2


def test_rows_that_may_speak_of_children_are_of_grade_4_in_every_layer_but_open(catalogue: Catalogue) -> None:
    contract = catalogue.contract("education/school_enrolment")
    assert grades.desensitised(contract, catalogue).grade == 4
    assert "under 14" in "; ".join(grades.desensitised(contract, catalogue).raised_by)
    counted = catalogue.contract("products/school_enrolment")
    assert grades.desensitised(counted, catalogue).grade == 4  # a product stands on what it reads
    assert grades.released(counted, catalogue).grade == 1  # counts of them are public


def test_volume_makes_general_data_important(catalogue: Catalogue) -> None:
    contract = catalogue.contract("social_security/social_insurance")
    few, many = (grades.desensitised(contract, catalogue, rows) for rows in (10_000_000, 10_000_001))
    assert (few.grade, few.important, few.mode) == (2, False, "controlled")
    assert (many.grade, many.important, many.mode) == (4, True, "enclave")
    assert not grades.desensitised(catalogue.contract("market_regulation/annual_reports"), catalogue, 1 << 40).important


def test_joining_tables_about_people_raises_a_product(schemas: Path) -> None:
    words = (schemas / "products" / "population.yaml").read_text(encoding="utf-8")
    words = words.replace("aggregate: {measures: {people: count}}\n", "under_14: everybody here is older than that\n")
    alone = schemas / "products" / "alone.yaml"
    alone.write_text(words, encoding="utf-8")
    joining = "join: [{dataset: civil_affairs/deaths, on: {residence_code: division_code}, columns: {sex2: sex_code}}]}"
    joined = words.replace("residence_code: not_null}}", f"residence_code: not_null}}, {joining}")
    assert joined != words
    (schemas / "products" / "joined.yaml").write_text(joined, encoding="utf-8")
    found = load_catalogue(schemas)
    assert grades.desensitised(found.contract("products/alone"), found).grade == 2
    assert grades.desensitised(found.contract("products/joined"), found).grade == 3


def test_every_released_dataset_is_published_no_more_openly_than_its_grade_allows(catalogue: Catalogue) -> None:
    opened = [one for one in catalogue.contracts.values() if one.release]
    assert len(opened) > 5
    assert [one.name for one in opened if grades.problem(one, catalogue)] == []


DEATHS = "civil_affairs/deaths.yaml"


def test_a_pseudonym_in_a_public_release_is_an_error_with_file_line_and_remedy(schemas: Path) -> None:
    (found,) = spoil(
        schemas, DEATHS, "required: true, protect: pseudonym}",
        "required: true, protect: pseudonym, publish: {as: whom}}",
    )
    assert found.startswith(f"schemas/{DEATHS}:15: fields.resident_id.publish: ")
    assert "grade 2" in found
    assert "mode: controlled" in found


def test_a_name_may_only_be_published_where_nothing_leaves(schemas: Path) -> None:
    (found,) = spoil(
        schemas, DEATHS, "type: person_name, required: true, protect: drop}",
        "type: person_name, required: true, protect: keep, publish: {as: whose}}",
    )
    assert "grade 3" in found
    assert "schemas/civil_affairs/deaths.yaml:16:" in found


def test_rows_about_possible_children_are_not_public_unless_the_contract_says_why(schemas: Path) -> None:
    (found,) = spoil(schemas, DEATHS, "under_14:", "# under_14:")
    assert found.startswith(f"schemas/{DEATHS}:27: release: ")
    assert "under 14" in found
    assert spoil(schemas, DEATHS, "release: {theme: 卫生}", "release: {theme: 卫生, mode: controlled}") == []


def test_a_special_kind_is_public_in_counts_and_not_in_rows(schemas: Path) -> None:
    (found,) = spoil(schemas, DEATHS, "publish: {as: sex_code}}", "publish: {as: sex_code}, special: health}")
    assert "sensitive column" in found
    school = "products/school_enrolment.yaml"
    assert spoil(schemas, school, "publish: {as: sex_code}}", "publish: {as: sex_code}, special: health}")[1:] == []


def test_the_grades_of_every_table_are_shown() -> None:
    shown = CliRunner().invoke(app, ["check", "--grades", "--json"])
    assert shown.exit_code == 0, shown.output
    rows = {row["table"]: row for row in json.loads(shown.stdout)["grades"]}
    assert rows["registers/person"]["delivered"] == 4
    deaths = rows["civil_affairs/deaths"]
    assert (deaths["delivered"], deaths["gold"], deaths["open"]) == (4, 2, 1)
    assert (deaths["allows"], deaths["mode"]) == ("public", "public")
    assert "direct" in deaths["classes"]
    assert "products/population" in CliRunner().invoke(app, ["check", "--grades"]).stdout


def test_a_method_for_a_whole_column_protects_no_field(schemas: Path) -> None:
    hours = "protect: thousands, publish: {as: contribution_base_band, generalise: five_thousands}"
    file = "social_security/social_insurance.yaml"
    (found,) = spoil(schemas, file, hours, "protect: 'microaggregate:5'")
    assert "fields.contribution_base.protect: microaggregate:5 is for a whole column" in found
