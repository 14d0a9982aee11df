"""Codes of administrative divisions (GB/T 2260): six digits, in force or historical."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers.spelling import Spelling, truth
from jobs.rows.identifiers.verdicts import Findings, Verdicts


def judge(spelling: Spelling, codes: CodeBook, on: date) -> Verdicts:
    """Judge division codes; a statistical code of 9 or 12 digits is cut to its county.

    Reasons: length, alphabet, division (no year of the table knows it). Remarks: division_cut, division_synthetic,
    division_not_in_force (on the data date).
    """
    long = spelling.matches("^[0-9]{9}(?:[0-9]{3})?$")
    if long.any():
        cut = spelling.text.zip_with(pl.Series(~long), spelling.text.str.slice(0, 6))
        spelling = replace(spelling, text=cut)
    findings = Findings(spelling)
    there = ~truth(spelling.text.is_null())
    numeric = spelling.matches("^[0-9]+$")
    regular = numeric & (spelling.lengths() == 6)
    places = spelling.text.filter(pl.Series(regular)).cast(pl.Int64).to_numpy()
    known, synthetic = codes.divisions.known(places)
    now = codes.divisions.in_force(places, np.full(len(places), on.year))
    findings.division_known[regular] = known
    findings.division_in_force[regular] = now
    findings.mark("length", numeric & ~regular)
    findings.mark("alphabet", there & ~numeric)
    findings.mark("division_cut", long)
    findings.mark_in("division", regular, ~known)
    findings.mark_in("division_synthetic", regular, synthetic)
    findings.mark_in("division_not_in_force", regular, known & ~synthetic & ~now)
    return findings.verdicts()
