"""What every engine must do, as data: departments, survivorship, columns, reasons, the instant of the batch.

Keys are 18-character citizen ID numbers. A raw key is spelled anew (full-width to ASCII, spaces and dashes away, upper
case); 15 digits get the century 19 and their check character. The first failing rule is a rejected row's reason. Of a
department's rows about one person the latest counts, then the highest rec_id. A field's value is the one with the
highest score; on equal scores the register keeps its own, so that a batch that comes again changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

BATCH_AT = 1_767_225_600  # 2026-01-01T00:00:00Z in seconds: valid_from of the new versions
AGES_ON = date(2026, 1, 1)
PSEUDONYM_PREFIX = "3f1d9a6be07c42d58e1b0c7a94f2d6e3"  # public, since invented people need no secret
K = 5  # fewer people of one division, sex and band of ages are not exported
FIRST_YEAR = 1900
BAND_YEARS = 5

RANK = 1 << 40  # a department's priority weighs more than any time
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999
CHECKS = "10X98765432"
WIDE, NARROW = "０１２３４５６７８９Ｘｘ　 -", "0123456789XX"  # what stands beyond NARROW is taken away
REASONS = ("E_NULL", "E_LEN", "E_CHAR", "E_DIV", "E_DATE", "E_CHECK")  # in the order they are asked

EXPORTING = "export"  # a phase and what it writes
PHASES = ("ingest", "resolve", "merge", EXPORTING)
OUTPUTS = ("register", "history", "quarantine.parquet", EXPORTING)


class Policy(StrEnum):
    """Name how a field's value is chosen among departments."""

    PRIORITY = "priority"  # the department that ranks highest, then the latest: rank * 2^40 + time
    RECENCY = "recency"  # the latest, then the department that ranks highest: time * 4 + rank


@dataclass(frozen=True)
class Survivorship:
    """Say how one field's value is chosen: a policy, and each department's rank by its code."""

    policy: Policy
    ranks: dict[int, int]


@dataclass(frozen=True)
class Department:
    """Name a department's code and the fields it delivers."""

    code: int
    fields: tuple[str, ...]


DEPARTMENTS = {  # public security, civil affairs, health insurance
    "ps": Department(1, ("name", "ethnic", "division", "address", "phone", "marital")),
    "ca": Department(2, ("name", "phone", "marital")),
    "hi": Department(3, ("name", "address", "phone", "insured")),
}
FIELDS = {
    "name": Survivorship(Policy.PRIORITY, {1: 3, 2: 2, 3: 1}),
    "ethnic": Survivorship(Policy.PRIORITY, {1: 3}),
    "division": Survivorship(Policy.PRIORITY, {1: 3}),
    "address": Survivorship(Policy.RECENCY, {1: 2, 3: 1}),
    "phone": Survivorship(Policy.RECENCY, {3: 3, 1: 2, 2: 1}),
    "marital": Survivorship(Policy.PRIORITY, {2: 3, 1: 2}),
    "insured": Survivorship(Policy.PRIORITY, {3: 3}),
}

REGISTER = (
    "id18", "sex", "birth", *(f"{field}{part}" for field in FIELDS for part in ("", "_src", "_ts")),
    "version", "valid_from",
)
HISTORY = (*REGISTER, "valid_to")
QUARANTINE = ("dept", "rec_id", "raw_id", "reason")
EXPORT = (
    "pid", "name", "sex", "age_band", "division", "ethnic", "phone", "address", "marital", "insured", "prov",
)
COLUMNS = {"register": REGISTER, "history": HISTORY, "quarantine.parquet": QUARANTINE, "export": EXPORT}
