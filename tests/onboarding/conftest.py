"""A contract drafted from a sample, put where contracts are and inspected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.catalogue import Catalogue
from jobs.contract import Contract
from tests.onboarding.samples import onboard


@pytest.fixture
def onboarded(tmp_path: Path) -> Callable[..., tuple[Contract, Catalogue, str]]:
    """Draft a contract from a file and inspect it, in this test's folder."""
    return lambda sample: onboard(sample, tmp_path)
