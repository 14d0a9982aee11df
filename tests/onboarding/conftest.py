"""A contract drafted from a sample, put where contracts are and inspected."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.catalogue import Catalogue, check_references, read_catalogue
from jobs.contract import Contract
from jobs.onboarding.draft import draft
from jobs.rows.codes import CodeBook
from jobs.rows.examples import check_examples
from jobs.rows.protection import gold_schema
from jobs.settings import PROJECT
from tests.onboarding.samples import DATASET


@pytest.fixture
def onboarded(tmp_path: Path) -> Callable[..., tuple[Contract, Catalogue, str]]:
    """Draft a contract from a file, put it into a copy of the schemas, and inspect it as `lake check` does."""

    def onboard(sample: Path) -> tuple[Contract, Catalogue, str]:
        text = draft(DATASET, sample)
        schemas = Path(shutil.copytree(PROJECT / "schemas", tmp_path / "schemas"))
        (schemas / "health").mkdir(exist_ok=True)
        (schemas / f"{DATASET}.yaml").write_text(text, encoding="utf-8")
        catalogue, problems = read_catalogue(schemas)
        assert [str(p) for p in problems + check_references(catalogue)] == []
        contract = catalogue.contract(DATASET)
        assert check_examples(contract, catalogue.types, CodeBook.load(schemas / "codes")) == []
        gold_schema(contract, catalogue.types)
        return contract, catalogue, text

    return onboard
