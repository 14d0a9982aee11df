"""Types and a small contract for tests of rows."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.contract import Contract, TypeSpec

SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.fixture(scope="session")
def types() -> Mapping[str, TypeSpec]:
    words = yaml.safe_load((SCHEMAS / "types.yaml").read_text(encoding="utf-8"))
    return {name: TypeSpec.model_validate({**spec, "name": name}) for name, spec in words.items()}


@pytest.fixture(scope="session")
def contract_of() -> Callable[..., Contract]:
    def build(fields: dict[str, dict[str, Any]], **rest: Any) -> Contract:
        return Contract.model_validate(
            {
                "name": "civil_affairs/trials",
                "title": {"en": "Trials", "zh": "试验"},
                "description": {"en": "Rows invented for tests.", "zh": "测试用数据。"},
                "steward": "tests@example.gov",
                "source": {"reader": "csv", "path": "trials.csv"},
                "fields": fields,
                **rest,
            }
        )

    return build
