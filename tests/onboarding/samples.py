"""Samples on their way to a contract: written, drafted from, inspected, and judged by their draft."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from jobs.catalogue import Catalogue, read_catalogue
from jobs.contract import Contract
from jobs.onboarding.draft import draft
from jobs.onboarding.precheck import precheck
from jobs.references import check_references
from jobs.rows.codes import CodeBook
from jobs.rows.examples import check_examples
from jobs.rows.protection import gold_schema
from jobs.settings import PROJECT
from jobs.storage.readers import Limits

DATASET = "health/vaccinations"


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def onboard(sample: Path, folder: Path) -> tuple[Contract, Catalogue, str]:
    """Draft a contract from a file, put it into a schemas folder of its own, and inspect it as `lake check` does."""
    text = draft(DATASET, sample)
    schemas = folder / "schemas"
    (schemas / "health").mkdir(parents=True)
    shutil.copy(PROJECT / "schemas" / "types.yaml", schemas)
    (schemas / "codes").symlink_to(PROJECT / "schemas" / "codes")
    (schemas / f"{DATASET}.yaml").write_text(text, encoding="utf-8")
    catalogue, problems = read_catalogue(schemas)
    assert [str(p) for p in problems + check_references(catalogue)] == []
    contract = catalogue.contract(DATASET)
    assert check_examples(contract, catalogue.types, CodeBook.load(schemas / "codes")) == []
    gold_schema(contract, catalogue.types)
    return contract, catalogue, text


def checked(sample: Path, contract: Contract, catalogue: Catalogue) -> tuple[int, int]:
    codes = CodeBook.load(catalogue.root / "codes")
    result = precheck(sample, contract, catalogue.types, codes, Limits(), date(2026, 3, 2))
    assert result.reasons == {}
    return result.delivered, result.accepted
