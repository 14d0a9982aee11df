"""The rule book: what each rule expects, in words for stewards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

try:  # libyaml is an order of magnitude faster
    from yaml import CSafeLoader as _Loader
except ImportError:  # pragma: no cover
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]


def read_terms(file: Path) -> dict[str, Any]:
    """Return what a YAML file of the expectations folder says."""
    found: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    return found


def read_rules(expectations: Path) -> dict[str, dict[str, Any]]:
    """Return rule name → its entry of `rules.yaml`."""
    return read_terms(expectations / "rules.yaml")


def expected_form(expectations: Path, language: str = "en") -> Callable[[str], str]:
    """Return a function from a reason (`column.rule`) to the form the rule expects, in one language."""
    rules = read_rules(expectations)

    def form(reason: str) -> str:
        entry = rules.get(reason) or rules.get(reason.rpartition(".")[2]) or {}
        return str(entry.get(language, ""))

    return form
