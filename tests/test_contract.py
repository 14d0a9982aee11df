"""The contract language: what it allows, and what it says when it does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from jobs.catalogue import load_catalogue, read_catalogue, read_document, read_types
from jobs.contract import Release, json_schema
from jobs.errors import ContractError, RequestError
from jobs.references import check_references
from jobs.settings import PROJECT
from jobs.source import Source

SCHEMAS = PROJECT / "schemas"


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """A copy of the project's schemas that a test may spoil."""
    return Path(shutil.copytree(SCHEMAS, tmp_path / "schemas"))


def _spoil(schemas: Path, file: str, old: str, new: str) -> None:
    path = schemas / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def _problems(schemas: Path) -> list[str]:
    catalogue, problems = read_catalogue(schemas)
    return [str(problem) for problem in problems + check_references(catalogue)]


def test_data_that_not_everybody_may_have_is_under_terms_of_its_own_and_under_no_open_licence() -> None:
    def licence(**said: str) -> str:
        return Release.model_validate({"theme": "卫生", **said}).licence

    assert licence() == licence(mode="public") == "CC-BY-4.0"
    assert licence(mode="controlled") == "LicenseRef-controlled-use"
    assert licence(mode="enclave") == "LicenseRef-enclave-use"
    assert licence(mode="controlled", licence="LicenseRef-city-data") == "LicenseRef-city-data"
    for name in (
        "CC-BY-4.0", "CC0-1.0", "ODbL-1.0", " CC-BY-4.0", "Creative Commons Attribution 4.0", "MIT", "",
        "https://creativecommons.org/licenses/by/4.0/",
    ):
        assert licence(mode="public", licence=name) == name
        for mode in ("controlled", "enclave"):
            with pytest.raises(ValidationError, match=f"mode: {mode} has terms of its own"):
                licence(mode=mode, licence=name)
    for mode in ("controlled", "enclave"):
        with pytest.raises(ValidationError, match="is for data that not everybody may have"):
            licence(mode="public", licence=f"LicenseRef-{mode}-use")


DEATHS = "civil_affairs/deaths.yaml"


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("steward:", "stewart:", 1, "steward"),
        ("load: {mode: merge", "load: {mode: upsert", 6, "mode"),
        ("type: resident_id", "type: shoe_size", 15, "no type 'shoe_size'"),
        ("register: person", "register: persons", 9, "no register 'persons'"),
        ("codes: sex", "codes: sexes", 17, "no code list 'sexes'"),
        ("key: [registration_no]", "key: [number]", 6, "'number' is no field"),
        ("as_of: registered_on", "as_of: division_code", 6, "is no date"),
        ("protect: year, publish: {as: birth_", "protect: drop, publish: {as: birth_", 18, "never reaches gold"),
        ("release: {theme: 卫生}", "release: {theme: 天气}", 27, "20 domains"),
        ("release: {theme: 卫生}", "", 1, "release: says no terms"),
        ("    rejected: [registered_on.not_before]", "", 31, "either accepted: or rejected:"),
        ("path: \"civil_affairs/", "path: \"../civil_affairs/", 5, "stays below the drop box"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(schemas: Path, old: str, new: str, line: int, says: str) -> None:
    _spoil(schemas, DEATHS, old, new)
    found = [problem for problem in _problems(schemas) if says in problem]
    assert found, _problems(schemas)
    assert found[0].startswith(f"schemas/{DEATHS}:{line}:")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("residence_code: not_null}", "residence: not_null}", "'residence' is no column of what the product"),
        ("{from: sex_code, ", "{from: gender, ", "'gender' is no column the product has"),
        ("not_null}}", "not_null}, join: [{dataset: civil_affairs/deaths, on: {number: resident_id}}]}",
         "'number' is no column of the rows so far"),
        ("not_null}}", "not_null}, join: [{dataset: civil_affairs/deaths, on: {name: person}}]}",
         "'person' is no column of the joined table"),
        ("not_null}}", "not_null}, join: [{dataset: civil_affairs/deaths, on: {birth_date: sex_code}}]}",
         "they never meet"),
    ],
)
def test_a_product_that_could_not_be_made_is_refused_where_it_is_written(
    schemas: Path, old: str, new: str, says: str
) -> None:
    _spoil(schemas, "products/population.yaml", old, new)
    assert [problem for problem in _problems(schemas) if says in problem], _problems(schemas)


def test_a_key_given_twice_is_an_error_not_the_last_one_wins(schemas: Path) -> None:
    _spoil(schemas, DEATHS, "steward:", "schedule: '0 1 * * *'\nsteward:")
    assert any("given twice" in problem for problem in _problems(schemas))


def test_a_key_that_is_no_word_is_refused_and_one_over_a_merged_one_is_not_given_twice(schemas: Path) -> None:
    _spoil(schemas, "civil_affairs/deaths.yaml", "steward:", "? [a, b]\n: c\nsteward:")
    assert any("not YAML: found unhashable key" in problem for problem in _problems(schemas))
    merged = schemas / "merged.yaml"
    merged.write_text("one: &one {a: 1, b: 2}\ntwo: {<<: *one, a: 3}\n", encoding="utf-8")
    assert read_document(merged, schemas).data["two"] == {"a": 3, "b": 2}


def test_a_document_says_what_yaml_means_dates_and_words_as_they_are_written(schemas: Path) -> None:
    written = schemas / "written.yaml"
    written.write_text(
        "base: &base {a: 1, b: [x, 2, 3.5, null, true, yes, 2026-01-05, '01', \"2\", !!str 7]}\n"
        "again: *base\nover: {<<: *base, a: no}\n1: {2: two, on: off}\nempty: {}\nnothing:\nlong: |\n  a\n  b\n",
        encoding="utf-8",
    )
    base = {"a": 1, "b": ["x", 2, 3.5, None, True, "yes", "2026-01-05", "01", "2", "7"]}
    assert read_document(written, schemas).data == {
        "base": base, "again": base, "over": {**base, "a": "no"}, 1: {2: "two", "on": "off"}, "empty": {},
        "nothing": None, "long": "a\nb\n",
    }


@pytest.mark.parametrize(
    "text",
    ["!!seq abc", "!!map abc", "!!str {b: c}", "!!str [b]", "!!map [b]", "!!seq {b: c}", "!!int abc", "!!float abc",
     "!!bool abc", "!!timestamp abc", "!!int {b: c}", "!!no_such b", "{!!str {b: c}: d}", "{!!int b: c}", "0b_"],
)  # fmt: skip
def test_a_tag_before_what_it_does_not_fit_is_a_named_error(schemas: Path, text: str) -> None:
    file = schemas / "written.yaml"
    file.write_text(f"sound: [a, {{b: c}}]\na: {text}\n", encoding="utf-8")
    with pytest.raises(ContractError, match=r"written\.yaml:2: not YAML: .*Remedy: mend the syntax"):
        read_document(file, schemas)


@pytest.mark.parametrize(
    "text", ["a: &x [*x]", "a: &x {b: *x}", "a: &x {b: [c, {d: *x}]}", f"a: {'[' * 3000}{']' * 3000}"]
)
def test_a_part_that_is_within_itself_is_a_named_error(schemas: Path, text: str) -> None:
    file = schemas / "written.yaml"
    file.write_text(f"{text}\n", encoding="utf-8")
    with pytest.raises(ContractError, match=r"written\.yaml:1: not YAML"):
        read_document(file, schemas)


def test_loading_a_broken_folder_raises_with_place_and_remedy(schemas: Path) -> None:
    _spoil(schemas, DEATHS, "type: resident_id", "type: shoe_size")
    with pytest.raises(ContractError, match=r"deaths\.yaml:15: .*shoe_size.* Remedy: types:"):
        load_catalogue(schemas)


def test_an_unknown_dataset_names_the_nearest_ones() -> None:
    with pytest.raises(RequestError, match="did you mean civil_affairs/deaths"):
        load_catalogue(SCHEMAS).contract("civil_affairs/death")


def test_the_json_schema_beside_the_contracts_is_the_generated_one() -> None:
    assert json.loads((SCHEMAS / "contract.schema.json").read_text(encoding="utf-8")) == json.loads(
        json.dumps(json_schema())
    )


def test_a_data_date_is_read_from_the_file_name() -> None:
    source = Source(reader="csv", path="a/b_*_{date:%Y%m%d}.csv")
    found = source.date_pattern().match("a/b_north_20260302.csv")
    assert found is not None
    assert found["date"] == "20260302"
    assert source.date_pattern().match("a/b_north_2026.csv") is None


def test_default_closed_a_field_without_publish_is_in_no_release() -> None:
    for contract in load_catalogue(SCHEMAS).contracts.values():
        for name, field in contract.fields.items():
            if field.publish is None:
                assert name not in contract.published.values()


@pytest.mark.parametrize("content", [None, "- a list\n"])
def test_types_that_are_absent_or_none_are_one_error(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "types.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ContractError, match=r"no types\.yaml|not a mapping") as refused:
        read_types(tmp_path)
    assert refused.value.remedy
    if content is not None:
        assert [one.what for one in read_catalogue(tmp_path)[1]] == ["not a mapping."]
