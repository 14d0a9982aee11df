"""Samples on their way to a contract: written to a file, and judged by the contract drafted from them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from jobs.catalogue import Catalogue
from jobs.contract import Contract
from jobs.onboarding.precheck import precheck
from jobs.rows.codes import CodeBook
from jobs.storage.readers import Limits

DATASET = "health/vaccinations"


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def checked(sample: Path, contract: Contract, catalogue: Catalogue) -> tuple[int, int]:
    codes = CodeBook.load(catalogue.root / "codes")
    result = precheck(sample, contract, catalogue.types, codes, Limits(), date(2026, 3, 2))
    assert result.reasons == {}
    return result.delivered, result.accepted
