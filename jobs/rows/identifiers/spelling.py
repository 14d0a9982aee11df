"""How identifiers are written: one spelling for comparing, and cells that hold no identifier at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Mask = npt.NDArray[np.bool_]

# Case folded before comparing; the text has no blanks or dashes any more.
PLACEHOLDER = (
    r"^(?:无|无证|无号码|没有|不详|未详|未知|未填|暂无|暂缺|缺失|空|空白|待补|待定|NA|N/A|#N/A|NAN|NULL|NONE|NIL|UNKNOWN"
    r"|/+|\*+|\?+|\.+|0+|1+|2+|3+|4+|5+|6+|7+|8+|9+|X+|123456[0-9]*)$"
)
SPREADSHEET = r"^[1-9](?:\.[0-9]+)?E\+?[0-9]{1,2}$"
# Blanks, invisible characters, dashes of every kind, quotation marks, middle dots and underscores between the parts.
_SEPARATORS = r"[\s\p{Cf}\p{Cc}\p{Pd}·'`\"‘’“”′″−_]"
_AROUND = "()[]{}<>（）【】〔〕「」《》,.;:=、。，；：|"
_PLAIN = np.zeros(256, dtype=np.bool_)
_PLAIN[np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)] = True


@dataclass(frozen=True)
class Spelling:
    """Hold cells in the spelling in which identifiers are compared; null where nothing is left.

    `full_width` and `lower_case` say where a cell was written otherwise, `hyphenated` where it held a dash.
    """

    text: pl.Series
    full_width: Mask
    lower_case: Mask
    hyphenated: Mask

    def filter(self, rows: Mask) -> Spelling:
        """Return the spelling of some rows."""
        if rows.all():
            return self
        text = self.text.filter(pl.Series(rows))
        return Spelling(text, self.full_width[rows], self.lower_case[rows], self.hyphenated[rows])

    def matches(self, pattern: str) -> Mask:
        """Return where the text matches a pattern."""
        return truth(self.text.str.contains(pattern))

    def lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of characters of each text, 0 where there is none."""
        return self.text.str.len_chars().fill_null(0).cast(pl.Int64).to_numpy()

    def plain(self) -> Mask:
        """Return where there is text and every character of it is ASCII."""
        return truth(self.text.str.len_bytes() == self.text.str.len_chars())


def truth(mask: pl.Series) -> Mask:
    """Return a Boolean column as an array; null is false."""
    found: Mask = mask.fill_null(value=False).to_numpy().astype(np.bool_, copy=False)
    return found


def spelled(cells: pl.Series) -> Spelling:
    """Return cells in one spelling: NFKC, without separators, brackets or quotes around, in capitals."""
    nothing = np.zeros(len(cells), dtype=np.bool_)
    cells = cells.cast(pl.String)
    odd = _odd(cells)
    if not odd.any():
        return Spelling(cells, nothing, nothing, nothing)
    there = cells.filter(pl.Series(odd))
    compatible = there.str.normalize("NFKC")
    bare = compatible.str.replace_all(_SEPARATORS, "")
    bare = bare.zip_with(bare.str.contains(r"\p{Han}"), bare.str.strip_chars(_AROUND))
    bare = bare.str.replace(r"^([0-9]{6,})\.0+$", "$1")  # a number that a spreadsheet took for a quantity
    upper = bare.str.to_uppercase()
    upper = upper.set(upper.str.len_bytes() == 0, None)
    text = cells.clone().scatter(np.flatnonzero(odd), upper)
    full_width, lower_case, hyphenated = nothing.copy(), nothing.copy(), nothing.copy()
    full_width[odd] = truth(compatible != there)
    lower_case[odd] = truth(bare != bare.str.to_uppercase())
    hyphenated[odd] = truth(compatible.str.contains(r"\p{Pd}|−"))
    return Spelling(text, full_width, lower_case, hyphenated)


def bytes_of(values: pl.Series) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the UTF-8 bytes of a column, one value after the other, and where each begins and the last ends."""
    array = values.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    if offsets is None or not len(values):
        return np.zeros(0, dtype=np.uint8), np.zeros(len(values) + 1, dtype=np.int64)
    ends = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(values) + 1]
    whole = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return whole[ends[0] : ends[-1]], ends - ends[0]


def _odd(cells: pl.Series) -> Mask:
    """Return which cells hold anything but digits and capitals, or are empty text."""
    data, ends = bytes_of(cells)
    plain = _PLAIN[data]
    odd = truth(cells.str.len_bytes() == 0)
    if not plain.all():
        rows = np.searchsorted(ends, np.flatnonzero(~plain), side="right") - 1
        odd = odd.copy()
        odd[rows] = True
    return odd
