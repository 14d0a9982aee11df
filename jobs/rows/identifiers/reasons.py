"""What can be said about an identifier: the rules, their codes, and what each does to a verdict.

A rule's name stands in reasons and warnings (`column.check_character`), its code in tables for machines (`E_CHECK`).
Codes begin with E (rejected), W (remark), L (an older or another identifier, recognised), K (accepted by list). They
stand here in the order in which they are told: of several errors the first is the one that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Flags = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Rule:
    """Hold a rule's name and code; whether it rejects a row, and whether it breaks the structure of the identifier."""

    name: str
    code: str
    rejects: bool = False
    breaks: bool = False


# A rule that breaks the structure and rejects no row: offices are known to have issued such numbers.
RULES = (
    Rule("empty", "E_NULL", breaks=True),
    Rule("placeholder", "E_PLACEHOLDER", rejects=True, breaks=True),
    Rule("spreadsheet_damage", "E_EXCEL", rejects=True, breaks=True),
    Rule("length", "E_LEN", rejects=True, breaks=True),
    Rule("alphabet", "E_CHAR", rejects=True, breaks=True),
    Rule("form", "E_FORM", rejects=True, breaks=True),
    Rule("foreign_form", "E_FORM", breaks=True),
    Rule("division", "E_DIV", rejects=True),
    Rule("calendar_date", "E_DATE", rejects=True, breaks=True),
    Rule("foreign_sequence", "E_SEQ", rejects=True, breaks=True),
    Rule("check_character", "E_CHECK", rejects=True, breaks=True),
    Rule("registration_check", "E_CHECK", breaks=True),
    Rule("taxpayer_check", "E_CHECK", breaks=True),
    Rule("legacy_registration_number", "L_REG15", rejects=True, breaks=True),
    Rule("legacy_registration_number_13", "L_REG13", rejects=True, breaks=True),
    Rule("legacy_organisation_code", "L_ORG9", rejects=True, breaks=True),
    Rule("legacy_taxpayer_number", "L_TAX15", rejects=True, breaks=True),
    Rule("legacy_personal_taxpayer_number", "L_TAXID", rejects=True, breaks=True),
    Rule("legacy_certificate_text", "L_TEXT", rejects=True, breaks=True),
    Rule("upgraded_15", "L_15"),
    Rule("registration_15", "L_REG15"),
    Rule("registration_13", "L_REG13"),
    Rule("older_organisation_code", "L_ORG9"),
    Rule("taxpayer_15", "L_TAX15"),
    Rule("embeds_resident_id", "L_TAXID"),
    Rule("certificate_text", "L_TEXT"),
    Rule("permanent_resident_2017", "L_PR2017"),
    Rule("issued_nonconforming", "K_ISSUED"),
    Rule("division_synthetic", "W_DIV_SYNTHETIC"),
    Rule("division_not_at_birth", "W_DIV_NOT_AT_BIRTH"),
    Rule("division_not_in_force", "W_DIV_NOT_IN_FORCE"),
    Rule("division_unknown", "W_REGION"),
    Rule("division_cut", "W_DIV_CUT"),
    Rule("department_category", "W_DEPT"),
    Rule("embedded_check", "W_ORG_CHECK"),
    Rule("local_unit", "W_LOCAL_UNIT"),
    Rule("in_house", "W_IN_HOUSE"),
    Rule("future_birth", "W_FUTURE"),
    Rule("age", "W_AGE"),
    Rule("sequence", "W_SEQ"),
    Rule("spreadsheet_tail", "W_EXCEL_TAIL"),
    Rule("ambiguous", "W_AMBIGUOUS"),
    Rule("full_width", "W_WIDTH"),
    Rule("lower_case", "W_CASE"),
)
BIT = {rule.name: np.uint64(1 << place) for place, rule in enumerate(RULES)}


def union(names: Iterable[str]) -> np.uint64:
    """Return the flags of several rules at once."""
    return np.uint64(sum(int(BIT[name]) for name in names))


BREAKING = union(rule.name for rule in RULES if rule.breaks)
REJECTING = union(rule.name for rule in RULES if rule.rejects)


def occurring(flags: Flags) -> list[Rule]:
    """Return the rules that are set in any row."""
    some = int(np.bitwise_or.reduce(flags)) if len(flags) else 0
    return [rule for rule in RULES if some & int(BIT[rule.name])]


def codes_of(flags: Flags) -> pl.Series:
    """Return per row the codes of its rules, each once, in order, separated by `;`; null where there is none."""
    codes = _told(flags, lambda rule: rule.code).list.join(";")
    return codes.set(codes == "", None)


def names_of(flags: Flags, *, rejecting: bool) -> pl.Series:
    """Return per row the sorted names of its rules that reject, or of those that only remark (List(String))."""
    wanted = REJECTING if rejecting else ~REJECTING & ~BIT["empty"]
    return _told(flags & wanted, lambda rule: rule.name).list.sort()


def _told(flags: Flags, word: Callable[[Rule], str]) -> pl.Series:
    # Few combinations occur, so they are spelled once each.
    patterns = pl.Series("flags", flags)
    distinct = patterns.unique()
    words = [
        list(dict.fromkeys(word(rule) for rule in RULES if pattern & int(BIT[rule.name])))
        for pattern in distinct.to_list()
    ]
    table = pl.DataFrame({"flags": distinct, "words": pl.Series(words, dtype=pl.List(pl.String))})
    found = pl.DataFrame({"flags": patterns}).join(table, on="flags", how="left", maintain_order="left")
    return found["words"]
