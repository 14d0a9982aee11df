"""At which levels two values agree, by role, in SQL of DuckDB with what is expected of true matches before learning.

The priors of m are the starting point of learning and its anchor where a file holds few matches; they are judgements,
not measurements of any one file. The last level of each comparison is everything else.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from jobs.linking.records import Field, Plan
from jobs.linking.roles import Role

# What people of one household, or firms of one building, have in common without being one.
SHARED = frozenset({Role.SURNAME, Role.ADDRESS, Role.HOUSE, Role.POSTCODE, Role.PLACE, Role.PHONE, Role.CATEGORY})


Rung = tuple[str, str, float, str | None]  # label, condition, m, column weighed by frequency


class Level(BaseModel):
    """One level of agreement: what it is called, when it holds, and its m and u (probabilities)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    sql: str
    m: float
    u: float = 0.01
    r: float = 0.01  # among relatives: one household, one building, one group of firms
    tf: str | None = None  # weighed by how frequent this column's value is


class Comparison(BaseModel):
    """How one thing is compared: its name, the columns it touches, its levels from best to worst."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    columns: tuple[str, ...]
    missing: str  # when it cannot be judged
    levels: tuple[Level, ...]
    contradiction: float = 0.5  # the largest m of the last level that learning may reach
    shared: bool = False  # relatives have it in common: surname, address, telephone

    def with_levels(self, m: Iterable[float], u: Iterable[float], r: Iterable[float]) -> Comparison:
        """Return the comparison with learned probabilities."""
        levels = zip(self.levels, m, u, r, strict=True)
        made = tuple(x.model_copy(update={"m": a, "u": b, "r": c}) for x, a, b, c in levels)
        return self.model_copy(update={"levels": made})

    def plain(self) -> Comparison:
        """Return the comparison without weighing by frequency."""
        return self.model_copy(update={"levels": tuple(x.model_copy(update={"tf": None}) for x in self.levels)})

    def of_relatives(self) -> Comparison:
        """Return the comparison as relatives agree: r in the place of m."""
        return self.model_copy(update={"levels": tuple(x.model_copy(update={"m": x.r}) for x in self.levels)})


def comparisons_of(plan: Plan, available: set[str]) -> list[Comparison]:
    """Return what is compared, for the forms that records have."""
    found: list[Comparison] = []
    for field in plan.fields:
        if field.role in (Role.GIVEN, Role.SURNAME, Role.NAME) or field.slug not in available:
            continue
        found.append(_of_field(field, plan))
    return [*_names(plan, available), *found]


def _either(column: str) -> str:
    return f"({column}_l is null or {column}_r is null)"


def _equal(column: str, other: str | None = None) -> str:
    return f"{column}_l = {other or column}_r"


def _jw(column: str, least: float) -> str:
    return f"jaro_winkler_similarity({column}_l, {column}_r) >= {least}"


def _typos(column: str, most: int, shortest: int = 0) -> str:
    # The lengths are asked first: they are cheap, and most pairs fail there.
    lengths = f"abs(length({column}_l) - length({column}_r)) <= {most}"
    enough = f"least(length({column}_l), length({column}_r)) >= {shortest} and " if shortest else ""
    return f"({enough}{lengths} and damerau_levenshtein({column}_l, {column}_r) <= {most})"


def _ratio(column: str, most: float) -> str:
    longest = f"{most} * greatest(length({column}_l), length({column}_r))"
    near = f"damerau_levenshtein({column}_l, {column}_r) <= {longest}"
    return f"(abs(length({column}_l) - length({column}_r)) <= {longest} and {near})"


def _shared(column: str, least: float, smallest: int = 1) -> str:
    few = f"least(len({column}_l), len({column}_r))"
    return f"{few} >= {smallest} and len(list_intersect({column}_l, {column}_r)) >= {least} * {few}"


def _jaccard(column: str, least: float) -> str:
    both = f"len(list_intersect({column}_l, {column}_r))"
    return f"{both} >= {least} * (len({column}_l) + len({column}_r) - {both})"


def _comparison(
    field: Field | str,
    title: str,
    columns: tuple[str, ...],
    levels: list[Rung],
    rest: float,
    contradiction: float = 0.5,
    missing: str | None = None,
) -> Comparison:
    slug = field if isinstance(field, str) else field.slug
    made = [Level(label=label, sql=sql, m=m, tf=tf) for label, sql, m, tf in levels]
    made.append(Level(label="everything else", sql="ELSE", m=rest))
    total = sum(level.m for level in made)
    made = [level.model_copy(update={"m": level.m / total}) for level in made]
    return Comparison(
        name=slug,
        title=title,
        columns=columns,
        missing=missing or _either(columns[0]),
        levels=tuple(made),
        contradiction=contradiction,
        shared=slug.rpartition("_")[0] in SHARED,
    )


def _names(plan: Plan, available: set[str]) -> list[Comparison]:
    found: list[Comparison] = []
    given = [f.slug for f in plan.of(Role.GIVEN)] or ["given_name_1"]
    surname = [f.slug for f in plan.of(Role.SURNAME)] or ["surname_1"]
    titles = {field.slug: field.column for field in plan.fields}
    pairs = {given[0]: surname[0], surname[0]: given[0]}
    for slug in [*given, *surname]:
        if slug in available:
            other = pairs.get(slug) if pairs.get(slug) in available else None
            found.append(_part_of_name(slug, titles.get(slug, slug), other, f"{slug}__sound" in available))
    if "name_rest" in available:
        column = "name_rest"
        levels: list[Rung] = [
            ("same further words", f"{column}_l = {column}_r", 0.5, None),
            ("half of the further words", _jaccard(column, 0.5), 0.2, None),
            ("a further word", f"list_has_any({column}_l, {column}_r)", 0.15, None),
        ]
        found.append(_comparison(column, "further names", (column,), levels, 0.15, 0.6))
    found.extend(_whole_name(field, available) for field in plan.of(Role.NAME) if field.slug in available)
    return found


def _part_of_name(slug: str, title: str, other: str | None, sounds: bool) -> Comparison:
    levels: list[Rung] = [("same", _equal(slug), 0.7, slug)]
    columns: tuple[str, ...] = (slug,)
    if other:
        columns = (slug, other)
        levels.append(
            ("given name and surname swapped", f"({_equal(slug, other)} or {_equal(other, slug)})", 0.02, None)
        )
    if sounds:
        levels.append(("same sound", _equal(f"{slug}__sound"), 0.03, None))
    levels += [
        ("very alike", f"({_jw(slug, 0.92)} or {_typos(slug, 1, 4)})", 0.1, None),
        (
            "alike",
            f"({_jw(slug, 0.82)} or starts_with({slug}_l, {slug}_r) or starts_with({slug}_r, {slug}_l))",
            0.06,
            None,
        ),
    ]
    return _comparison(slug, title, columns, levels, 0.09, 0.4)


def _whole_name(field: Field, available: set[str]) -> Comparison:
    slug = field.slug
    other = f"{slug}__other"
    levels: list[Rung] = [("same", _equal(slug), 0.8, slug)]
    if other in available:
        levels.append(
            ("a former or other name agrees", f"({_equal(slug, other)} or {_equal(other, slug)})", 0.02, None)
        )
    if f"{slug}__sound" in available:
        levels.append(("same sound", _equal(f"{slug}__sound"), 0.05, None))
    levels += [
        ("one character differs", _typos(slug, 1, 3), 0.06, None),
        ("alike", _jw(slug, 0.85), 0.03, None),
    ]
    if f"{slug}__surname" in available:
        levels.append(("same surname", _equal(f"{slug}__surname"), 0.02, None))
    return _comparison(field, field.column, (slug,), levels, 0.03, 0.25)


def _of_field(field: Field, plan: Plan) -> Comparison:
    slug, role = field.slug, field.role
    words = f"{slug}__words"
    columns: tuple[str, ...] = (slug,)
    levels: list[Rung]
    if role is Role.DATE:
        return _date(field)
    if role is Role.ORGANISATION:
        return _organisation(field)
    if role in (Role.ADDRESS, Role.PLACE):
        sibling = next((f.slug for f in plan.of(role) if f.slug != slug), None)
        levels = [("same", _equal(slug), 0.65, slug)]
        if sibling:
            columns = (slug, sibling)
            levels.append(("in the other column", f"({_equal(slug, sibling)} or {_equal(sibling, slug)})", 0.02, None))
        levels.append(("very alike", f"({_jw(slug, 0.92)} or {_ratio(slug, 0.15)})", 0.12, None))
        if role is Role.ADDRESS:
            numbers = f"coalesce({slug}__number_l = {slug}__number_r, false)"
            levels.append(("same number, words shared", f"{numbers} and {_shared(words, 0.5, 2)}", 0.05, None))
            levels.append(("words shared", f"({_shared(words, 0.6, 2)} or {_ratio(slug, 0.35)})", 0.06, None))
        else:
            levels.append(
                (
                    "alike",
                    f"({_jw(slug, 0.82)} or contains({slug}_l, {slug}_r) or contains({slug}_r, {slug}_l))",
                    0.05,
                    None,
                )
            )
        return _comparison(field, field.column, columns, levels, 0.15, 0.6)
    if role is Role.POSTCODE:
        area = f"left({slug}_l, greatest(2, length({slug}_l) - 3)) = left({slug}_r, greatest(2, length({slug}_r) - 3))"
        levels = [
            ("same", _equal(slug), 0.65, slug),
            ("one typo or two swapped", _typos(slug, 1), 0.12, None),
            ("same district", area, 0.05, None),
            ("same area", f"left({slug}_l, 2) = left({slug}_r, 2)", 0.05, None),
        ]
        return _comparison(field, field.column, columns, levels, 0.15, 0.6)
    if role in (Role.PHONE, Role.IDENTIFIER):
        levels = [("same", _equal(slug), 0.8, slug), ("one typo or two swapped", _typos(slug, 1, 5), 0.07, None)]
        if role is Role.PHONE:
            levels.append(("same last seven digits", f"right({slug}_l, 7) = right({slug}_r, 7)", 0.05, None))
        levels.append(("two typos", _typos(slug, 2, 6), 0.03, None))
        return _comparison(field, field.column, columns, levels, 0.1, 0.6 if role is Role.PHONE else 0.3)
    if role is Role.EMAIL:
        local = f"{slug}__local"
        levels = [
            ("same", _equal(slug), 0.7, slug),
            ("same before the @", _equal(local), 0.06, local),
            ("very alike", f"({_typos(slug, 2, 8)} or {_jw(slug, 0.94)})", 0.1, None),
            ("alike before the @", _jw(local, 0.88), 0.05, None),
        ]
        return _comparison(field, field.column, columns, levels, 0.1, 0.5)
    if role is Role.NUMBER:
        near = f"abs(try_cast({slug}_l as double) - try_cast({slug}_r as double))"
        size = f"greatest(abs(try_cast({slug}_l as double)), abs(try_cast({slug}_r as double)))"
        levels = [
            ("same", _equal(slug), 0.7, slug),
            ("within 1 %", f"{near} <= 0.01 * {size}", 0.05, None),
            ("within 10 %", f"{near} <= 0.1 * {size}", 0.08, None),
        ]
        return _comparison(field, field.column, columns, levels, 0.17, 0.6)
    if role is Role.TEXT:
        levels = [
            ("same", _equal(slug), 0.55, slug),
            ("very alike", f"({_jw(slug, 0.92)} or {_jaccard(words, 0.7)})", 0.15, None),
            ("words shared", f"({_shared(words, 0.5, 2)} or {_jw(slug, 0.85)})", 0.1, None),
        ]
        return _comparison(field, field.column, columns, levels, 0.2, 0.6)
    if role is Role.HOUSE:
        levels = [("same", _equal(slug), 0.75, slug), ("one typo or two swapped", _typos(slug, 1, 2), 0.1, None)]
        return _comparison(field, field.column, columns, levels, 0.15, 0.6)
    return _comparison(
        field, field.column, columns, [("same", _equal(slug), 0.85, slug)], 0.15, 0.3 if role is Role.SEX else 0.6
    )


def _date(field: Field) -> Comparison:
    slug = field.slug
    left, right = f"{slug}_l", f"{slug}_r"
    full = f"length({left}) = 10 and length({right}) = 10"
    year = f"left({left}, 4) = left({right}, 4)"
    turned = f"right({left}, 2) = substr({right}, 6, 2) and substr({left}, 6, 2) = right({right}, 2)"
    levels: list[Rung] = [
        ("same", _equal(slug), 0.75, slug),
        ("month and day turned", f"{full} and {year} and {turned}", 0.01, None),
        ("one typo or two swapped", f"{full} and {_typos(slug, 1)}", 0.09, None),
        (
            "same year and month, or month and day",
            f"{full} and (left({left}, 7) = left({right}, 7) or right({left}, 5) = right({right}, 5))",
            0.03,
            None,
        ),
        ("same year", year, 0.05, None),
        ("two typos", f"{full} and {_typos(slug, 2)}", 0.02, None),
        (
            "within ten years",
            f"abs(try_cast(left({left}, 4) as int) - try_cast(left({right}, 4) as int)) <= 10",
            0.02,
            None,
        ),
    ]
    return _comparison(field, field.column, (slug,), levels, 0.03, 0.3)


def _organisation(field: Field) -> Comparison:
    slug = field.slug
    core, dense, words = f"{slug}__core", f"{slug}__dense", f"{slug}__words"
    longest = f"greatest(length({dense}_l), length({dense}_r))"
    levels: list[Rung] = [
        ("same", _equal(slug), 0.45, slug),
        ("same but for the legal form", f"({_equal(core)} or {_equal(dense)} or {words}_l = {words}_r)", 0.15, core),
        ("very alike", f"({_jw(dense, 0.96)} or {_ratio(dense, 0.1)}) and {longest} >= 4", 0.12, None),
        (
            "one holds the other",
            f"least(length({dense}_l), length({dense}_r)) >= 4 and "
            f"(starts_with({dense}_l, {dense}_r) or starts_with({dense}_r, {dense}_l) or {_shared(words, 1.0, 2)})",
            0.08,
            None,
        ),
        ("most words shared", f"({_jaccard(words, 0.6)} or {_jw(dense, 0.92)})", 0.07, None),
        ("half of the words shared", f"({_shared(words, 0.5, 2)} or {_jw(dense, 0.85)})", 0.06, None),
    ]
    return _comparison(field, field.column, (slug,), levels, 0.07, 0.35)
