"""The configuration file of a linkage: everything is optional, the rest is inferred; README.md shows it."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.errors import RequestError
from jobs.linking.roles import Role


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparing(_Strict):
    """Which columns are compared."""

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


class Blocking(_Strict):
    """Which pairs are looked at."""

    rules: tuple[tuple[str, ...], ...] = ()
    add_to_inferred: bool = True
    max_pairs: int | None = Field(default=None, ge=1_000, le=1_000_000_000)


class LinkConfig(_Strict):
    """What a user states about a linkage."""

    columns: dict[str, Role] = Field(default_factory=dict)
    comparisons: Comparing = Comparing()
    blocking: Blocking = Blocking()
    threshold: float | None = Field(default=None, gt=0, lt=1)
    sources_without_duplicates: tuple[str, ...] = ()
    strong_keys: tuple[str, ...] = ()
    memory: str = Field(default="4GB", pattern=r"^\d+(?:\.\d+)? ?[MG]B$")

    def named_columns(self) -> set[str]:
        """Return every column the configuration speaks of."""
        ruled = {column for rule in self.blocking.rules for column in rule}
        return {*self.columns, *self.comparisons.only, *self.comparisons.without, *self.strong_keys, *ruled}


def read_config(file: Path) -> LinkConfig:
    """Read a configuration. Raises RequestError naming the entry that is wrong, never a value."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8-sig")) or {}
        return LinkConfig.model_validate(document)
    except OSError:
        raise RequestError("the configuration cannot be read.", where=str(file)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file.name}:{mark.line + 1}" if mark else file.name
        raise RequestError("the configuration is not YAML.", where=where, remedy="mend that line.") from None
    except ValidationError as error:
        first = error.errors()[0]
        entry = ".".join(str(part) for part in first["loc"]) or "the document"
        raise RequestError(f"{entry}: {first['msg']}", where=file.name, remedy="README.md shows the form.") from None
