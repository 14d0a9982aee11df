"""Check characters, vectorised: identifiers as matrices of bytes, one row each, stored place after place.

Sources: GB 11643-1999 (ISO 7064 MOD 11-2), GB 32100-2015, GB 11714-1997, GS 15-2006 (ISO 7064 MOD 11,10), ICAO 9303.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from jobs.rows.identifiers.spelling import Mask, bytes_of

Matrix = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

CREDIT_ALPHABET = b"0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100: no I, O, S, V, Z
_LETTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # GB 11714 counts over all letters
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CREDIT_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_CHARACTERS = np.frombuffer(b"10X98765432", dtype=np.uint8)
_CREDIT_CHARACTERS = np.frombuffer(CREDIT_ALPHABET, dtype=np.uint8)
_ORGANISATION_CHARACTERS = np.frombuffer(b"?123456789X0", dtype=np.uint8)
_ZERO = np.uint8(ord("0"))
_STRANGE = 255


def _table(alphabet: bytes) -> Matrix:
    table = np.full(256, _STRANGE, dtype=np.uint8)
    for value, character in enumerate(alphabet):
        table[character] = value
    return table


# Two alphabets, two value maps: the credit code counts its 31 characters (J is 18), the organisation code inside it
# all 26 letters (J is 19).
_CREDIT_VALUES = _table(CREDIT_ALPHABET)
_LETTER_VALUES = _table(_LETTERS)


def matrix(values: pl.Series, width: int) -> Matrix:
    """Return ASCII values of exactly `width` characters, none null, as an (n, width) matrix of bytes."""
    data, _ = bytes_of(values)
    return np.ascontiguousarray(data.reshape(-1, width).T).T


def texts(letters: Matrix) -> pl.Series:
    """Return the rows of an (n, width) matrix of ASCII bytes as texts: the inverse of `matrix`."""
    count, width = letters.shape
    data = np.ascontiguousarray(letters).tobytes()
    ends = np.arange(0, len(data) + 1, width, dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(data)]
    return pl.Series(pa.Array.from_buffers(pa.large_string(), count, buffers))


def digits(letters: Matrix) -> Mask:
    """Return which rows consist of digits."""
    found = np.ones(letters.shape[0], dtype=np.bool_)
    for place in range(letters.shape[1]):
        found &= (letters[:, place] - _ZERO) < 10
    return found


def within(letters: Matrix, alphabet: bytes = CREDIT_ALPHABET) -> Mask:
    """Return which rows consist of an alphabet's characters."""
    allowed = _table(alphabet) != _STRANGE
    found = np.ones(letters.shape[0], dtype=np.bool_)
    for place in range(letters.shape[1]):
        found &= allowed[letters[:, place]]
    return found


def number(letters: Matrix, begin: int, end: int) -> Numbers:
    """Return the number that digits from place `begin` to before `end` write."""
    found = np.zeros(letters.shape[0], dtype=np.int32)
    for place in range(begin, end):
        found *= np.int32(10)
        found += letters[:, place] - _ZERO
    return found.astype(np.int64)


def resident_check(ids: Matrix) -> Matrix:
    """Return the check character of citizen ID numbers from their first 17 digits (ISO 7064 MOD 11-2)."""
    total = np.zeros(ids.shape[0], dtype=np.uint16)
    for place, weight in enumerate(_RESIDENT_WEIGHTS):
        total += (ids[:, place] - _ZERO) * np.uint16(weight)
    found: Matrix = _RESIDENT_CHARACTERS[total % np.uint16(11)]
    return found


def credit_check(codes: Matrix) -> Matrix:
    """Return the check character of unified social credit codes from their first 17 characters."""
    total = _weighed(codes, _CREDIT_VALUES, _CREDIT_WEIGHTS)
    found: Matrix = _CREDIT_CHARACTERS[(np.uint16(31) - total % np.uint16(31)) % np.uint16(31)]
    return found


def organisation_check(codes: Matrix) -> Matrix:
    """Return the check character of organisation codes from their first 8 characters."""
    rest = np.uint16(11) - _weighed(codes, _LETTER_VALUES, _ORGANISATION_WEIGHTS) % np.uint16(11)
    found: Matrix = _ORGANISATION_CHARACTERS[rest]
    return found


def registration_check(numbers: Matrix) -> Matrix:
    """Return the check digit of 15-digit business registration numbers from their first 14 digits."""
    product = np.full(numbers.shape[0], 10, dtype=np.int64)
    for place in range(14):
        total = (product + numbers[:, place].astype(np.int64) - ord("0")) % 10
        product = (np.where(total == 0, 10, total) * 2) % 11
    return ((11 - product) % 10 + ord("0")).astype(np.uint8)


def travel_document_check(numbers: Matrix) -> Matrix:
    """Return the check digit over all places given: weights 7, 3, 1 in turn, A is 10 (ICAO 9303 part 3)."""
    weights = tuple((7, 3, 1)[place % 3] for place in range(numbers.shape[1]))
    return (_weighed(numbers, _LETTER_VALUES, weights) % 10 + ord("0")).astype(np.uint8)


def _weighed(letters: Matrix, values: Matrix, weights: Sequence[int]) -> npt.NDArray[np.uint16]:
    total = np.zeros(letters.shape[0], dtype=np.uint16)  # at most 17 × 30 × 30
    for place, weight in enumerate(weights):
        table = values.astype(np.uint16) * np.uint16(weight)
        total += table[letters[:, place]]
    return total
