"""Identifiers for invented people and entities.

Written apart from the lake's checks on purpose, so that each tests the other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]

_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ORGANISATION = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def resident_ids(places: pl.Series, births: pl.Series, male: npt.NDArray[np.bool_]) -> pl.Series:
    """Return distinct 18-character citizen ID numbers for county codes, birth dates and sexes (GB 11643-1999)."""
    people = pl.DataFrame({"place": places, "birth": births, "male": male})
    nth = people.select(pl.int_range(pl.len()).over("place", "birth", "male").alias("nth"))["nth"].to_numpy()
    # Sequences of one place and day begin somewhere in the middle, odd for men, even for women.
    sequence = (nth * 2 + 121 + (~male).astype(np.int64)) % 996
    sequence = np.where((sequence % 2 == 1) == male, sequence, sequence + 1)
    bodies = people.select(
        pl.concat_str("place", pl.col("birth").dt.strftime("%Y%m%d"), pl.Series(sequence).cast(pl.String).str.zfill(3))
    ).to_series()
    return bodies + resident_checks(bodies)


def resident_checks(bodies: pl.Series) -> pl.Series:
    """Return the check characters of 17-digit bodies: (1 - 2 × the body read to base 13) mod 11."""
    total = np.zeros(len(bodies), dtype=np.int64)
    for digit in range(17):
        total = (total * 13 + bodies.str.slice(digit, 1).cast(pl.Int64).to_numpy()) % 11
    return pl.Series(np.array(list("0123456789X"))[(1 - 2 * total) % 11])


def credit_codes(prefixes: list[str], divisions: list[str], serials: Ints) -> list[str]:
    """Return unified social credit codes (GB 32100-2015) with sound organisation codes inside."""
    return [
        _with_check(f"{prefix}{division}{_organisation_code(int(serial))}")
        for prefix, division, serial in zip(prefixes, divisions, serials, strict=True)
    ]


def registration_numbers(divisions: list[str], serials: Ints) -> list[str]:
    """Return 15-digit business registration numbers (GS 15-2006)."""
    found = []
    for division, serial in zip(divisions, serials, strict=True):
        body, product = f"{division}{int(serial) % 10**8:08d}", 10
        for digit in body:
            product = (((product + int(digit)) % 10 or 10) * 2) % 11
        found.append(f"{body}{(11 - product) % 10}")
    return found


def _organisation_code(serial: int) -> str:
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # letters both standards allow
    body, rest = "", serial
    for _ in range(6):
        rest, place = divmod(rest, 31)
        body = alphabet[place] + body
    body = "MA" + body
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    check = 11 - sum(_ORGANISATION.index(c) * w for c, w in zip(body, weights, strict=True)) % 11
    return body + {10: "X", 11: "0"}.get(check, str(check))


def _with_check(body: str) -> str:
    total = sum(_CREDIT.index(character) * pow(3, place, 31) for place, character in enumerate(body))
    return body + _CREDIT[(31 - total % 31) % 31]
