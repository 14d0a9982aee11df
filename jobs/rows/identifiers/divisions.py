"""Codes of administrative divisions (GB/T 2260): six digits, in force or historical."""

from __future__ import annotations

from datetime import date

import polars as pl

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers.verdicts import normalised, placed, verdicts


def check_division_code(cells: pl.Series, codes: CodeBook, on: date) -> pl.DataFrame:
    """Judge division codes; a statistical code of 9 or 12 digits is cut to its county.

    Reasons: length, alphabet, division (no year of the table knows it). Warnings: division_cut, division_synthetic,
    division_not_in_force.
    """
    text, warnings = normalised(cells)
    long = text.str.contains(r"^\d{9}(\d{3})?$").fill_null(value=False)
    text = text.zip_with(~long, text.str.slice(0, 6))
    regular = text.str.contains(r"^\d{6}$").fill_null(value=False)
    found = text.filter(regular)
    known, synthetic = codes.division_known(found)
    now = codes.division_in_force(found, pl.Series(dtype=pl.Int32).extend_constant(on.year, len(found)))
    digits = text.str.contains(r"^\d+$")
    reasons = {
        "length": text.is_not_null() & digits & ~regular,
        "alphabet": text.is_not_null() & ~digits,
        "division": placed(regular, ~known),
    }
    warnings |= {
        "division_cut": long,
        "division_synthetic": placed(regular, synthetic),
        "division_not_in_force": placed(regular, known & ~synthetic & ~now),
    }
    return verdicts(text, reasons, warnings)
