"""The smallest delivery there is, of a number and a name, for whatever a reader is tried on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.contract import Contract
from jobs.errors import SourceError
from jobs.storage.readers import Limits, read

SECRET = "某机密内容"
TITLE = {"en": "Trials", "zh": "试验"}
GOOD = "证号,姓名\nA1,某甲\nA2,某乙\n"
Rows = list[dict[str, Any]]


def contract(
    load: dict[str, Any] | None = None,
    rows: dict[str, Any] | None = None,
    fields: tuple[str, str] = ("证号", "姓名"),
    required: bool = True,
    **source: Any,
) -> Contract:
    return Contract.model_validate(
        {
            "name": "a/trials", "title": TITLE, "description": TITLE, "steward": "tests@example.gov",
            "source": {"reader": "csv", "path": "trials", **source}, "load": load or {}, "rows": rows or {},
            "fields": {
                "number": {"from": fields[0], "type": "text", "required": required},
                "person_name": {"from": fields[1], "type": "text"},
            },
        }
    )


def rows_of(file: Path, limits: Limits | None = None, **how: Any) -> Rows:
    """Read a file by a contract as `contract` makes one."""
    return [row for batch in read(file, contract(**how), limits or Limits()) for row in batch.to_pylist()]


def brief(rows: Rows) -> list[tuple[Any, ...]]:
    return [(row["_source_row"], row["证号"], row["姓名"], row["_defect"]) for row in rows]


def said(refused: pytest.ExceptionInfo[SourceError]) -> str:
    """Return an error's text, which holds no cell and says what to do."""
    text = str(refused.value)
    assert SECRET not in text
    assert refused.value.remedy
    return text
