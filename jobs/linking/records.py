"""Rows in forms for comparing: each used column becomes one or a few of text, ready for the engine.

What is done to a cell depends on the plan and the cell alone, never on other rows, so that a frozen plan gives the same
forms in every batch. Rows get numbers in the order of their keys, which follow from content: results do not depend on
the order of delivery.
"""

from __future__ import annotations

import hashlib

import polars as pl
from pydantic import BaseModel, ConfigDict

from jobs.linking import forms
from jobs.linking.roles import Role, header_words, infer_role

HAN_SHARE = 0.3
VERIFIED_SHARE = 0.5
NAME_ROLES = (Role.GIVEN, Role.SURNAME, Role.NAME)


class Field(BaseModel):
    """One used column: its name as delivered, what it is, the prefix of its forms, and how its cells are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    role: Role
    slug: str
    han: bool = False  # mostly Chinese characters
    day_first: bool = True  # 03/04/1990 is the third of April


class Plan(BaseModel):
    """Which columns are used and how: frozen with the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: tuple[Field, ...]
    strong: tuple[str, ...] = ()  # slugs of which two different values exclude a match, as stated
    verified: tuple[str, ...] = ()  # the same for citizen ID numbers and credit codes whose check character holds

    def of(self, *roles: Role) -> list[Field]:
        """Return the fields of these roles."""
        return [field for field in self.fields if field.role in roles]


def make_plan(table: pl.DataFrame, stated: dict[str, Role], left_out: set[str], strong: tuple[str, ...] = ()) -> Plan:
    """Return what each column is: as stated, else as inferred; columns left out are looked at no further."""
    fields: list[Field] = []
    counts: dict[Role, int] = {}
    for column in sorted(set(table.columns) - left_out):
        known = table[column].drop_nulls()
        role = stated.get(column) or infer_role(column, table[column])
        if role is Role.IGNORE or known.is_empty():
            continue
        counts[role] = counts.get(role, 0) + 1
        han = int(known.str.contains(r"\p{Han}").sum()) >= HAN_SHARE * len(known)
        day_first = role is not Role.DATE or forms.day_first(known)
        fields.append(
            Field(column=column, role=role, slug=f"{role.value}_{counts[role]}", han=han, day_first=day_first)
        )
    fields = _without_repeats(table, fields)
    numbers = [field for field in fields if field.role is Role.IDENTIFIER and field.column not in strong]
    return Plan(
        fields=tuple(fields),
        strong=tuple(sorted(field.slug for field in fields if field.column in strong)),
        verified=tuple(sorted(f.slug for f in numbers if forms.verified_share(table[f.column]) > VERIFIED_SHARE)),
    )


def _without_repeats(table: pl.DataFrame, fields: list[Field]) -> list[Field]:
    """Leave out columns that another holds already: the same cells, or given name and surname once more in one."""
    kept: list[Field] = []
    parts = [f for f in fields if f.role in (Role.GIVEN, Role.SURNAME)]
    for field in fields:
        cells = table[field.column]
        same = any(
            other.role is field.role and bool(cells.eq_missing(table[other.column]).mean() == 1.0) for other in kept
        )
        if same or (
            field.role is Role.NAME and len(parts) >= 2 and forms.says_no_more(cells, [table[p.column] for p in parts])
        ):
            continue
        kept.append(field)
    return kept


def row_keys(table: pl.DataFrame, source: str, id_column: str | None) -> pl.Series:
    """Return a key for every row: from source and id where one is named, else from source and content.

    Rows with the same content are told apart by a number; which of them has which does not matter.
    """
    columns = [id_column] if id_column else sorted(table.columns)
    text = table.select(pl.concat_str([pl.col(c).fill_null("\x00") for c in columns], separator="\x1f").alias("text"))[
        "text"
    ]
    nth = pl.DataFrame({"text": text}).select(pl.int_range(pl.len()).over("text")).to_series()
    digests = [
        hashlib.sha256(f"{source}\x1e{cell}\x1e{n}".encode()).hexdigest()[:32]
        for cell, n in zip(text.to_list(), nth.to_list(), strict=True)
    ]
    return pl.Series("_key", digests, dtype=pl.String)


def comparable(table: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Return the comparable forms of a table's rows, columns named `<slug>` and `<slug>__<form>`."""
    columns: dict[str, pl.Series] = {}
    for field in plan.fields:
        if field.role in NAME_ROLES:
            continue
        for form, cells in forms.of(table[field.column], field.role, han=field.han, day_first=field.day_first).items():
            columns[f"{field.slug}__{form}" if form else field.slug] = cells
    columns |= _names(table, plan)
    return pl.DataFrame([cells.alias(name) for name, cells in columns.items()])


def _names(table: pl.DataFrame, plan: Plan) -> dict[str, pl.Series]:
    """Return people's names in parts: given, surname, and what a longer name holds beyond them."""
    given, surname = plan.of(Role.GIVEN), plan.of(Role.SURNAME)
    whole = sorted(plan.of(Role.NAME), key=lambda f: ("former" in header_words(f.column) or "曾" in f.column, f.slug))
    found: dict[str, pl.Series] = {}
    for field in (*given, *surname):
        found[field.slug] = forms.person(table[field.column])
        if field.han:
            found[f"{field.slug}__sound"] = forms.sound(table[field.column])
    if given and surname:
        for field in whole[:1]:
            parts = [found[given[0].slug], found[surname[0].slug]]
            found["name_rest"] = forms.beyond(forms.person(table[field.column]), parts)
        return found
    if not whole:
        return found
    main, others = whole[0], whole[1:]
    name = forms.person(table[main.column])
    if main.han:
        found |= {main.slug: name, f"{main.slug}__sound": forms.sound(table[main.column])}
        found[f"{main.slug}__surname"] = forms.chinese_surname(name)
        for field in others[:1]:
            found[f"{main.slug}__other"] = forms.person(table[field.column])
    elif not given and not surname:
        first, last = forms.split_name(table[main.column])
        found |= {"given_name_1": first, "surname_1": last, "name_rest": forms.beyond(name, [first, last])}
    return found
