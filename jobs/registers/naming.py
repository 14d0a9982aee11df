"""Names as evidence: what of two spellings is a difference; what was delivered stays as it is."""

from __future__ import annotations

import polars as pl

from jobs.rows.comparable import organisation_core, organisation_name, person_name, sounds


def written(cells: pl.Series, kind: str) -> pl.Series:
    """Return names of a type in one spelling: simplified, half-width, without dots, brackets and legal forms."""
    return person_name(cells) if kind == "person_name" else organisation_core(organisation_name(cells))


def sounding(cells: pl.Series, kind: str) -> pl.Series:
    """Return what names of a type sound like: equal for Han and pinyin, for homophones and for words in any order."""
    return sounds(written(cells.cast(pl.String), kind))
