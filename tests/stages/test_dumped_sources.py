"""A source that is asked, not delivered: what it refuses is said with its dataset and place, and without a secret."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.errors import SourceError
from jobs.settings import Settings
from jobs.stages import land
from jobs.storage.tables import Lake

DATASET, SECRET = "social_security/social_insurance", "pa/ss?word"
TABLE = {"reader": "database", "table": "insured_persons", "order_by": ["id_number"]}


def _lake(tmp_path: Path, source: dict[str, Any]) -> Lake:
    """Open a lake whose insurance register comes from another source than the project's."""
    schemas = tmp_path / "schemas"
    shutil.copytree(Settings().schemas, schemas)
    contract = schemas / f"{DATASET}.yaml"
    document = yaml.safe_load(contract.read_text(encoding="utf-8"))
    contract.write_text(yaml.safe_dump({**document, "source": source}, allow_unicode=True), encoding="utf-8")
    return Lake.open(Settings(schemas=schemas, root=tmp_path / "lake", raw=tmp_path / "raw"))


def test_a_server_that_is_not_there_is_named_without_user_password_and_parameters(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://reader:{SECRET}@127.0.0.1:1/insurance?sslpassword={SECRET}"
    source = {"url": url, **TABLE}
    with _lake(tmp_path, source) as lake, pytest.raises(SourceError) as refused:
        land.run(lake, DATASET)
    error = refused.value
    assert (error.dataset, error.layer) == (DATASET, "landing")
    assert (error.where or "").startswith("postgresql+psycopg://127.0.0.1:1/insurance")
    assert error.remedy
    assert not any(word in str(error) for word in (SECRET, "pa/ss", "word=", "reader:"))


def test_a_database_file_without_the_table_is_named_with_the_key_to_mend(tmp_path: Path) -> None:
    file = tmp_path / "insurance_20260302.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("create table others (a)")
    source = {"path": "insurance_{date:%Y%m%d}.sqlite", **TABLE}
    with _lake(tmp_path, source) as lake, pytest.raises(SourceError, match="no table") as refused:
        land.run(lake, DATASET, files=[file])
    assert refused.value.where == f"{file.name}:source.table"
    assert "bytes are kept: `lake delivered" in (refused.value.remedy or "")
