"""Check characters, vectorised: identifiers as matrices of bytes, one row each.

Sources: GB 11643-1999 (ISO 7064 MOD 11-2), GB 32100-2015, GB 11714-1997, GS 15-2006 (ISO 7064 MOD 11,10).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Matrix = npt.NDArray[np.uint8]
Values = npt.NDArray[np.int64]

CREDIT_ALPHABET = b"0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100: no I, O, S, V, Z
_RESIDENT_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CREDIT_WEIGHTS = np.array([pow(3, place, 31) for place in range(17)])
_ORGANISATION_WEIGHTS = np.array([3, 7, 9, 10, 5, 8, 4, 2])
_RESIDENT_CHARACTERS = np.frombuffer(b"10X98765432", dtype=np.uint8)
_CREDIT_CHARACTERS = np.frombuffer(CREDIT_ALPHABET, dtype=np.uint8)
_ORGANISATION_CHARACTERS = np.frombuffer(b"?123456789X0", dtype=np.uint8)


def _table(alphabet: bytes) -> Values:
    table = np.full(256, -1, dtype=np.int64)
    for value, character in enumerate(alphabet):
        table[character] = value
    return table


_CREDIT_VALUES = _table(CREDIT_ALPHABET)
_LETTER_VALUES = _table(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")  # GB 11714 counts over all letters


def _characters(alphabet: Matrix, places: Values) -> Matrix:
    found: Matrix = alphabet[places]
    return found


def matrix(values: pl.Series, width: int) -> Matrix:
    """Return ASCII values of exactly `width` characters, none null, as an (n, width) matrix of bytes."""
    if values.is_empty():
        return np.zeros((0, width), dtype=np.uint8)
    return np.array(values.to_list(), dtype=f"S{width}").view(np.uint8).reshape(-1, width)


def resident_check(ids: Matrix) -> Matrix:
    """Return the check character of citizen ID numbers from their first 17 digits."""
    digits = ids[:, :17].astype(np.int64) - ord("0")
    return _characters(_RESIDENT_CHARACTERS, (digits @ _RESIDENT_WEIGHTS) % 11)


def credit_check(codes: Matrix) -> Matrix:
    """Return the check character of unified social credit codes from their first 17 characters."""
    values = _CREDIT_VALUES[codes[:, :17]]
    return _characters(_CREDIT_CHARACTERS, (31 - (values @ _CREDIT_WEIGHTS) % 31) % 31)


def organisation_check(codes: Matrix) -> Matrix:
    """Return the check character of organisation codes from their first 8 characters."""
    rest = 11 - (_LETTER_VALUES[codes[:, :8]] @ _ORGANISATION_WEIGHTS) % 11
    return _characters(_ORGANISATION_CHARACTERS, rest)


def registration_check(numbers: Matrix) -> Matrix:
    """Return the check digit of 15-digit business registration numbers from their first 14 digits."""
    product = np.full(numbers.shape[0], 10, dtype=np.int64)
    for place in range(14):
        total = (product + numbers[:, place].astype(np.int64) - ord("0")) % 10
        product = (np.where(total == 0, 10, total) * 2) % 11
    return ((11 - product) % 10 + ord("0")).astype(np.uint8)
