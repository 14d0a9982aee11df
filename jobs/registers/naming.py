"""Names as evidence: what of two spellings is a difference; what was delivered stays as it is.

Linking compares by the same forms (`jobs.rows.comparable`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from jobs.rows.comparable import organisation_core, organisation_name, person_name, reading, sounds
from jobs.rows.names import given_name

PERSON, ORGANISATION = "person_name", "organisation_name"
NAMES = (PERSON, ORGANISATION)
LIKE_LONG = 50.0  # rapidfuzz ratio, percent; below it two names share little more than a legal form
LIKE_READ = 85.0  # of a Chinese name's reading and a name in Latin letters: a letter off, no other name
LIKE_TRANSLITERATED = 60.0  # the characters of a name from another language follow its sound from afar
SHORT = 4  # characters of a Chinese personal name at most


@dataclass(frozen=True)
class Spelling:
    """Hold one name as it is compared: whole, without legal forms, and its reading in letters."""

    whole: str
    core: str
    latin: bool
    kind: str

    @cached_property
    def reading(self) -> str:
        """Return the letters of its reading, which only names in letters are compared by."""
        return reading(self.whole)


def spellings(names: Iterable[str], kind: str) -> dict[str, Spelling]:
    """Return each name of a type as it is compared; a name with nothing to compare is left out."""
    cells = pl.Series("name", sorted(set(names)), dtype=pl.String)
    if cells.is_empty():
        return {}
    whole = _whole(cells, kind).alias("whole")
    table = pl.DataFrame([cells, whole, _core(whole, kind).alias("core")])
    table = table.with_columns(~pl.col("whole").str.contains(r"\p{Han}").alias("latin"))
    return {
        name: Spelling(whole, core, latin, kind)
        for name, whole, core, latin in table.drop_nulls("whole").iter_rows()
    }


def written(cells: pl.Series, kind: str) -> pl.Series:
    """Return names of a type in one spelling: simplified, half-width, without dots, brackets and legal forms."""
    return _core(_whole(cells, kind), kind)


def sounding(cells: pl.Series, kind: str) -> pl.Series:
    """Return what names of a type sound like: equal for Han and pinyin, for homophones and for words in any order."""
    return sounds(written(cells.cast(pl.String), kind))


def same(one: Spelling, other: Spelling) -> bool:
    """Tell whether two spellings are of one name, letter for letter where one of them is in Latin letters."""
    if one.whole == other.whole or one.core == other.core:
        return True
    return (one.latin or other.latin) and sorted(one.reading) == sorted(other.reading)


def like(one: Spelling, other: Spelling) -> bool:
    """Tell whether two names may be one party's.

    Chinese personal names (up to four characters) are alike when they share a character of the given name, since a
    shared surname is no evidence; longer names by the share of characters in common; a name in Latin letters and one
    in characters by their readings. A firm's name in another language tells nothing against one in characters.
    """
    if same(one, other):
        return True
    from rapidfuzz import fuzz  # here: most enquiries compare no two names

    if one.latin != other.latin:
        if one.kind == ORGANISATION:
            return True
        han = other if one.latin else one
        enough = LIKE_READ if len(han.whole) <= SHORT else LIKE_TRANSLITERATED
        return fuzz.ratio(one.reading, other.reading) >= enough
    if one.kind != ORGANISATION and max(len(one.whole), len(other.whole)) <= SHORT:
        return bool(set(given_name(one.whole)) & set(given_name(other.whole)))
    return fuzz.ratio(one.whole, other.whole) >= LIKE_LONG


def _whole(cells: pl.Series, kind: str) -> pl.Series:
    return person_name(cells) if kind == PERSON else organisation_name(cells)


def _core(whole: pl.Series, kind: str) -> pl.Series:
    return whole if kind == PERSON else organisation_core(whole)
