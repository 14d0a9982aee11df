"""Twenty-five tables of a city's departments: drafted by `lake new`, right as drafted or by editing YAML alone."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml

from jobs.catalogue import Catalogue, read_catalogue
from jobs.contract import Contract
from jobs.onboarding.draft import draft
from jobs.onboarding.precheck import precheck
from jobs.rows.codes import CodeBook
from jobs.settings import PROJECT
from jobs.storage.readers import Limits
from tests.onboarding.municipal import CELLS, LAYOUTS, ROWS, TYPES


@pytest.fixture(scope="module")
def knowledge() -> tuple[Catalogue, CodeBook]:
    return read_catalogue(PROJECT / "schemas")[0], CodeBook.load(PROJECT / "schemas/codes")


def test_there_are_twenty_five_of_them() -> None:
    assert len(LAYOUTS) == 25


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_municipal_table_is_onboarded_and_accounted_for_exactly(
    name: str, knowledge: tuple[Catalogue, CodeBook], tmp_path: Path
) -> None:
    layout, (catalogue, codes) = LAYOUTS[name], knowledge
    header, rows = list(layout.columns), layout.rows()
    sample = tmp_path / f"某表_20260302.{layout.suffix}"
    sample.write_bytes(layout.write(header, rows))
    text = draft(name, sample)
    assert not any(text.count(CELLS["person_name"][0](n)) for n in range(ROWS)), "a draft holds no value"

    document = yaml.safe_load(text)
    guessed = {one["from"]: one["type"] for one in document["fields"].values()}
    expected = {column: TYPES.get(kind, kind) for column, kind in layout.columns.items()}
    assert guessed == expected | layout.drafted
    for one in document["fields"].values():
        one["type"] = expected[one["from"]]
    contract = Contract.model_validate({"name": name, **document})
    sample.write_bytes(layout.write(header, [*rows, rows[3], layout.bad_row()]))
    found = precheck(sample, contract, catalogue.types, codes, Limits(), date(2026, 3, 2))
    counts = (found.delivered, found.accepted, found.quarantined, found.duplicates)
    assert counts == (ROWS + 2, ROWS, 1, 1), found.reasons
