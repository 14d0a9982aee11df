"""How harmful a table would be in the wrong hands: classes and grades of columns, grades of tables, and what follows.

Grades 1 to 4 of general data by GB/T 43697-2024 annex H, and `important` data by volume, as public descriptions of
the standard give them: its text was not available in full. All is computed from contracts and types; no row is read.

| a column | grade |
|---|---|
| as departments deliver it | its type's; 4 when the field is of a special kind (PIPL art. 28) |
| pseudonym | 2: de-identified personal information is never below |
| masked, redacted | one lower, not below 2: a mask does not anonymise |
| generalised | one lower; of a special kind 3 |
| published in counts, or in groups of the mode's threshold | 1; of a special kind in rows 2 |
| published outside the groups, with a reason | what gold holds; 1 when that is at most 2 |

A table has the grade of its highest column. It is raised to 4 where a row may speak of a child under 14 (PIPL art.
28: all of it is sensitive), by one where further tables about people are joined to its rows, and to important data by
volume. Published rows that may speak of a child are never below 2: about children only counts are public.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobs.catalogue import Catalogue
from jobs.contract import PEOPLE, Contract, ContractField, Mode
from jobs.rows.coarsening import method_named
from jobs.rows.protection import protection_of

HIGHEST, DEIDENTIFIED, ANONYMOUS = 4, 2, 1
PERSONAL = 3  # a direct identifier of this grade or higher is a person's; lower ones are organisations'
# The law asks of whoever handles so many people's data what it asks for important data (Regulations on Network Data
# Security Management, 2024, art. 28).
IMPORTANT_ROWS = 10_000_000
CLOSED: dict[Mode, int] = {"public": 0, "controlled": 1, "enclave": 2}
_LEAST_MODE: dict[int, Mode] = {1: "public", 2: "controlled", 3: "controlled", 4: "enclave"}


@dataclass(frozen=True)
class Column:
    """Hold one column's class and grade, and the field it is."""

    field: str
    class_: str
    grade: int


@dataclass(frozen=True)
class Grade:
    """Hold a table's grade, its columns', and what raised it; `important` is data whose volume alone needs care."""

    columns: tuple[Column, ...]
    grade: int
    important: bool = False
    raised_by: tuple[str, ...] = ()

    @property
    def mode(self) -> Mode:
        """Return the most open mode of release that the grade allows (GB/T 37964-2019's three)."""
        return "enclave" if self.important else _LEAST_MODE[self.grade]

    @property
    def highest(self) -> Column | None:
        """Return the first column of the highest grade."""
        return max(self.columns, key=lambda one: one.grade, default=None)


def delivered(contract: Contract, catalogue: Catalogue, rows: int = 0) -> Grade:
    """Return the grade of what departments delivered (silver), or of what a product reads.

    `rows`: how many there are; the contract's own bound on a delivery counts as well.
    """
    columns = [
        Column(name, _class(field, catalogue), HIGHEST if field.special else catalogue.types[field.type].grade)
        for name, field in contract.fields.items()
    ]
    return _raised(contract, catalogue, columns, max(rows, contract.rows.max or 0))


def desensitised(contract: Contract, catalogue: Catalogue, rows: int = 0) -> Grade:
    """Return the grade of gold: what is left of each field, still one row per row delivered."""
    columns = [
        Column(name, _class(field, catalogue), _left(field, catalogue, protection_of(field, catalogue.types)))
        for name, field in contract.fields.items()
        if protection_of(field, catalogue.types) != "drop"
    ]
    return _raised(contract, catalogue, columns, max(rows, contract.rows.max or 0))


def released(contract: Contract, catalogue: Catalogue) -> Grade:
    """Return the grade of what the contract publishes, once small groups are gone."""
    columns = [
        Column(name, _class(field, catalogue), _published(contract, field, catalogue))
        for name, field in contract.fields.items()
        if field.publish
    ]
    grade = max((one.grade for one in columns), default=ANONYMOUS)
    if contract.aggregate is None and columns and (child := under_14(contract, catalogue)):
        return Grade(tuple(columns), max(grade, DEIDENTIFIED), raised_by=(child,))
    return Grade(tuple(columns), grade)


def register_grade(register: str, catalogue: Catalogue) -> Grade:
    """Return the grade of a register: its fields and the identifiers it is keyed by, joined from every department."""
    spec = catalogue.registers[register]
    types = [(name, one.type) for name, one in spec.fields.items()] + [(kind, kind) for kind in spec.kinds]
    columns = [
        Column(name, catalogue.types[kind].class_, catalogue.types[kind].grade)
        for name, kind in types if kind in catalogue.types
    ]
    grade = max(one.grade for one in columns)
    if register != PEOPLE:
        return Grade(tuple(columns), grade)
    return Grade(tuple(columns), HIGHEST, raised_by=("rows may speak of children under 14",))


def problem(contract: Contract, catalogue: Catalogue) -> tuple[tuple[str, ...], str, str] | None:
    """Return (location, what, remedy) when a contract publishes more openly than its grade allows."""
    if contract.release is None or not contract.published:
        return None
    found, mode = released(contract, catalogue), contract.release.mode
    if CLOSED[mode] >= CLOSED[found.mode]:
        return None
    top = found.highest
    assert top is not None
    if top.grade < found.grade:
        return (
            ("release",),
            f"published rows are of grade {found.grade}, {'; '.join(found.raised_by)}: {mode} release needs less.",
            f"publish counts (aggregate:), say under under_14: why no row speaks of a child, or mode: {found.mode}.",
        )
    return (
        ("fields", top.field, "publish"),
        f"the {top.class_} column is published with grade {top.grade}: {mode} release needs less.",
        f"publish it coarser, as counts (aggregate:), or not at all; or release it with mode: {found.mode}.",
    )


def table(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return one row per register and contract: grades of what is delivered, of gold, of what is open, and why."""
    rows: list[dict[str, Any]] = []
    for name in sorted(catalogue.registers):
        found = register_grade(name, catalogue)
        rows.append(_row(f"registers/{name}", found, None, None, None, found.raised_by))
    for name, contract in sorted(catalogue.contracts.items()):
        raw, gold = delivered(contract, catalogue), desensitised(contract, catalogue)
        opened = released(contract, catalogue) if contract.release and contract.published else None
        why = dict.fromkeys((*raw.raised_by, *(opened.raised_by if opened else ())))
        rows.append(_row(name, raw, gold, opened, contract.release.mode if contract.release else None, tuple(why)))
    return rows


def statement(contract: Contract, catalogue: Catalogue, rows: int) -> dict[str, Any]:
    """Return what a release says about grades; `rows`: how many rows of gold it was made from."""
    gold, opened = desensitised(contract, catalogue, rows), released(contract, catalogue)
    return {
        "made_from": delivered(contract, catalogue, rows).grade, "gold": gold.grade, "important": gold.important,
        "release": opened.grade, "least_mode": opened.mode,
    }


def under_14(contract: Contract, catalogue: Catalogue) -> str | None:
    """Return why a row may speak of a child under 14, None where it speaks of nobody or the contract says why not."""
    if contract.under_14 is not None:
        return None
    told = "rows may speak of children under 14"
    if any(link.register_ == PEOPLE for link in contract.entities.values()) or PEOPLE in contract.reads_registers:
        return told
    behind = [name for name in contract.reads_datasets if name != contract.name and name in catalogue.contracts]
    return told if any(under_14(catalogue.contracts[name], catalogue) for name in behind) else None


def _row(
    name: str, raw: Grade, gold: Grade | None, opened: Grade | None, mode: str | None, why: tuple[str, ...]
) -> dict[str, Any]:
    classes = {one.class_ for one in raw.columns}
    return {
        "table": name, "classes": ", ".join(c for c in ("direct", "sensitive", "quasi", "ordinary") if c in classes),
        "delivered": raw.grade, "gold": gold.grade if gold else None, "open": opened.grade if opened else None,
        "important": raw.important, "allows": opened.mode if opened else None, "mode": mode, "why": "; ".join(why),
    }


def _class(field: ContractField, catalogue: Catalogue) -> str:
    return "sensitive" if field.special else catalogue.types[field.type].class_


def _left(field: ContractField, catalogue: Catalogue, how: str) -> int:
    """Return the grade of what a protection leaves of a field."""
    grade = HIGHEST if field.special else catalogue.types[field.type].grade
    word = how.partition(":")[0]
    if word == "keep":
        return grade
    if word == "pseudonym":
        return DEIDENTIFIED
    if word == "suppressed":
        return ANONYMOUS
    if word == "redacted" or word.partition("_")[0] == "mask":
        return max(grade - 1, DEIDENTIFIED)
    method_named(how)  # raises for a word that is none
    return max(grade - 1, ANONYMOUS)


def _published(contract: Contract, field: ContractField, catalogue: Catalogue) -> int:
    assert contract.release is not None
    assert field.publish is not None
    how, coarser = protection_of(field, catalogue.types), field.publish.generalise or "keep"
    left = min(_left(field, catalogue, how), _left(field, catalogue, coarser))
    spec = catalogue.types[field.type]
    named = spec.class_ == "direct" and spec.grade >= PERSONAL and "keep" in (how, coarser) and left >= PERSONAL
    if how == "pseudonym" or named:
        return left  # whoever has the person's number or name needs no group
    column, special = field.publish.as_, bool(field.special)
    if contract.aggregate is not None:
        return ANONYMOUS
    if column in contract.release.sensitive:
        return DEIDENTIFIED  # every group has several values of it
    if column in contract.quasi_identifiers:
        return DEIDENTIFIED if special else ANONYMOUS
    return ANONYMOUS if left <= DEIDENTIFIED and not special else left


def _raised(contract: Contract, catalogue: Catalogue, columns: list[Column], rows: int) -> Grade:
    why = list(_reasons(contract, catalogue))
    grade = max((one.grade for one in columns), default=ANONYMOUS)
    if contract.aggregate is None and contract.from_ is not None and _joined_people(contract, catalogue):
        grade = min(grade + 1, HIGHEST)
        why.append("tables about people are joined")
    important = bool(_about_people(contract, catalogue)) and rows > IMPORTANT_ROWS
    if important:
        why.append(f"more than {IMPORTANT_ROWS:,} rows about people")
    if under_14(contract, catalogue) or important:
        grade = HIGHEST
    return Grade(tuple(columns), grade, important, tuple(why))


def _reasons(contract: Contract, catalogue: Catalogue) -> Iterator[str]:
    kinds = sorted({field.special for field in contract.fields.values() if field.special})
    if kinds:
        yield f"of a special kind: {', '.join(kinds)}"
    if child := under_14(contract, catalogue):
        yield child


def _about_people(contract: Contract, catalogue: Catalogue) -> bool:
    if any(link.register_ == PEOPLE for link in contract.entities.values()) or PEOPLE in contract.reads_registers:
        return True
    behind = [name for name in contract.reads_datasets if name != contract.name and name in catalogue.contracts]
    return any(_about_people(catalogue.contracts[name], catalogue) for name in behind)


def _joined_people(contract: Contract, catalogue: Catalogue) -> bool:
    assert contract.from_ is not None
    others = [catalogue.contracts.get(join.dataset or "") for join in contract.from_.join]
    return any(join.register_ == PEOPLE for join in contract.from_.join) or any(
        other is not None and _about_people(other, catalogue) for other in others
    )
