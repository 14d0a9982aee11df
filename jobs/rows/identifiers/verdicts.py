"""Verdicts on a column of identifiers: three answers and a class per value, never one boolean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.rows.identifiers.reasons import BIT, BREAKING, REJECTING, Flags, codes_of, names_of, occurring
from jobs.rows.identifiers.spelling import Mask, Spelling

Answers = npt.NDArray[np.int8]  # 1 yes, 0 no, -1 there is no answer
NO_ANSWER = -1


@dataclass(frozen=True)
class Verdicts:
    """Hold what was found about each value, the findings as one number of flags (see `reasons`).

    `normalised` is the value in the spelling for comparing, null where nothing is left. `legacy` names the older or
    other kind of identifier a value was recognised as, else null.
    """

    normalised: pl.Series
    flags: Flags
    division_known: Answers
    division_in_force: Answers
    legacy: pl.Series

    @property
    def accepted(self) -> pl.Series:
        """Return the normalised values that no rule rejects, null for the others."""
        rejected = (self.flags & REJECTING) != 0
        return self.normalised.set(pl.Series(rejected), None) if rejected.any() else self.normalised

    def masks(self, *, rejecting: bool) -> dict[str, pl.Series]:
        """Return rule → where it is found, for the rules that occur: those that reject a row, or those that remark."""
        return {
            rule.name: pl.Series((self.flags & BIT[rule.name]) != 0)
            for rule in occurring(self.flags)
            if rule.rejects == rejecting and rule.name != "empty"
        }

    def frame(self) -> pl.DataFrame:
        """Return `value, reasons, warnings, legacy` per row; a value with any reason is null."""
        return pl.DataFrame(
            {
                "value": self.accepted.alias("value"),
                "reasons": names_of(self.flags, rejecting=True).alias("reasons"),
                "warnings": names_of(self.flags, rejecting=False).alias("warnings"),
                "legacy": self.legacy.alias("legacy"),
            }
        )

    def answers(self) -> pl.DataFrame:
        """Return `normalised, structure_ok, division_known, division_in_force, conforming, reasons` per row."""
        whole = (self.flags & BREAKING) == 0
        listed = (self.flags & BIT["issued_nonconforming"]) != 0
        return pl.DataFrame(
            {
                "normalised": self.normalised.alias("normalised"),
                "structure_ok": pl.Series(whole, dtype=pl.Boolean),
                "division_known": _answered(self.division_known),
                "division_in_force": _answered(self.division_in_force),
                "conforming": pl.Series(whole & ~listed, dtype=pl.Boolean),
                "reasons": codes_of(self.flags).alias("reasons"),
            }
        )


class Findings:
    """Collect findings about a column, rule by rule, until they are verdicts."""

    def __init__(self, spelling: Spelling) -> None:
        height = len(spelling.text)
        self.normalised = spelling.text
        self.flags: Flags = np.zeros(height, dtype=np.uint64)
        self.division_known: Answers = np.full(height, NO_ANSWER, dtype=np.int8)
        self.division_in_force: Answers = np.full(height, NO_ANSWER, dtype=np.int8)
        self.legacy = pl.Series("legacy", dtype=pl.String).extend_constant(None, height)
        self.mark("full_width", spelling.full_width)
        self.mark("lower_case", spelling.lower_case)
        if spelling.text.null_count():
            self.mark("empty", spelling.text.is_null().to_numpy())

    def mark(self, rule: str, where: Mask) -> None:
        """Note a rule where a mask is true."""
        if where.any():
            self.flags[where] |= BIT[rule]

    def mark_in(self, rule: str, rows: Mask, where: Mask) -> None:
        """Note a rule in some rows, where a mask over only these is true."""
        if where.any():
            self.flags[np.flatnonzero(rows)[where]] |= BIT[rule]

    def name(self, kind: str, rows: Mask) -> None:
        """Note that rows hold an older or other kind of identifier, a reason of its own."""
        if rows.any():
            self.legacy = self.legacy.set(pl.Series(rows), kind)
            self.mark(f"legacy_{kind}", rows)

    def place(self, rows: Mask, found: Verdicts, *, spelling: bool = True) -> None:
        """Take over verdicts on some rows; without `spelling` the values stay as they are written here."""
        if not rows.any():
            return
        if rows.all():
            self.flags |= found.flags
            self.division_known, self.division_in_force = found.division_known, found.division_in_force
            self.normalised = found.normalised if spelling else self.normalised
            self.legacy = found.legacy
            return
        self.flags[rows] |= found.flags
        self.division_known[rows] = found.division_known
        self.division_in_force[rows] = found.division_in_force
        where = np.flatnonzero(rows)
        if spelling:
            self.normalised = self.normalised.clone().scatter(where, found.normalised)
        if found.legacy.null_count() < len(found.legacy):
            self.legacy = self.legacy.clone().scatter(where, found.legacy)

    def verdicts(self) -> Verdicts:
        """Return what was found."""
        return Verdicts(self.normalised, self.flags, self.division_known, self.division_in_force, self.legacy)


def _answered(answers: Answers) -> pl.Series:
    known = pl.Series(answers == 1, dtype=pl.Boolean)
    return known.set(pl.Series(answers == NO_ANSWER), None)
