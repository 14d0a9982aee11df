"""How long decisions may be shown to the public: the dated rules of `schemas/periods.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from jobs.source import Model


class PeriodClass(Model):
    """Say how many months from its decision a row of one class is shown; without `codes` it is every other row's."""

    months: int = Field(ge=0, le=1200)
    codes: tuple[str, ...] = ()


class Regime(Model):
    """State the periods of decisions made from one day on, until the next regime's.

    `recast`: earlier decisions that are still shown when it begins take its periods too.
    """

    name: str = Field(min_length=1)
    since: date
    recast: bool
    classes: Mapping[str, PeriodClass] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Regime:
        open_ = [name for name, one in self.classes.items() if not one.codes]
        named = [code for one in self.classes.values() for code in one.codes]
        if len(open_) != 1:
            raise ValueError("exactly one class has no codes: that of every other row")
        if len(set(named)) != len(named):
            raise ValueError("a code is of one class")
        return self


def _ordered(regimes: tuple[Regime, ...]) -> tuple[Regime, ...]:
    days = [one.since for one in regimes]
    if not days or days != sorted(set(days)):
        raise ValueError("regimes stand in the order of their days, each day once")
    return regimes


_RULES = TypeAdapter(dict[str, Annotated[tuple[Regime, ...], AfterValidator(_ordered)]])


def rules(document: object) -> dict[str, tuple[Regime, ...]]:
    """Return rule name → its regimes, oldest first; raise pydantic's ValidationError for anything else."""
    return _RULES.validate_python(document)
