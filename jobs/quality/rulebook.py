"""The rule book: what each rule expects, in words for stewards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml


def read_rules(expectations: Path) -> dict[str, dict[str, Any]]:
    """Return rule name → its entry of `rules.yaml`."""
    rules: dict[str, dict[str, Any]] = yaml.safe_load((expectations / "rules.yaml").read_text(encoding="utf-8"))
    return rules


def expected_form(expectations: Path, language: str = "en") -> Callable[[str], str]:
    """Return a function from a reason (`column.rule`) to the form the rule expects, in one language."""
    rules = read_rules(expectations)

    def form(reason: str) -> str:
        entry = rules.get(reason) or rules.get(reason.rpartition(".")[2]) or {}
        return str(entry.get(language, ""))

    return form
