"""What a reader sees of a register's values: direct identifiers masked unless the reader's role allows more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.catalogue import Catalogue

LONGEST_MASK = 8


def masked(value: Any) -> Any:
    """Return a text with all but its first character hidden."""
    return f"{value[0]}{'*' * min(len(value) - 1, LONGEST_MASK)}" if isinstance(value, str) and value else value


def shown(
    catalogue: Catalogue, register: str, said: Mapping[str, Any], *, unmask: bool, years: bool = False
) -> dict[str, Any]:
    """Return values of a register's fields as a reader may see them; with `years`, dates by their year alone."""
    fields = catalogue.registers[register].fields
    found = {}
    for name, value in said.items():
        if not unmask and name in fields and catalogue.types[fields[name].type].class_ == "direct":
            found[name] = masked(value)
        else:
            found[name] = f"{value.year}" if years and isinstance(value, date) else value
    return found
