"""What a number in an XLSX cell says by its style, where the reader of workbooks takes it for something else.

Dates are numbers of days under a style that shows them so (ECMA-376 part 1, 18.8.30). The reader knows neither the
styles of East Asian editions of spreadsheet programs, nor a time without a day, nor the days a calendar lacks; and it
takes an integer for a floating-point number, which holds 15 digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

Element = tuple[str, dict[str, str]]

_EAST_ASIAN = frozenset((*range(27, 37), *range(50, 59)))
_BUILT_IN = frozenset((*range(14, 23), *range(45, 48))) | _EAST_ASIAN
_ELAPSED_BUILT_IN = 46
_NO_SIGNS = re.compile(r'"[^"]*"|\\.|_.|\*.')  # of a format code: quoted text, escaped and filling characters
_ELAPSED = re.compile(r"\[(?:h+|m+|s+|时|分|秒)\]", re.IGNORECASE)
_GENERAL = re.compile("general|g/(?:通用格式|標準|标准)")  # as editions of spreadsheet programs spell it
_IN_BRACKETS = re.compile(r"\[[^\]]*\]")
_MOMENT = re.compile(r"[ymdhsaeg]", re.IGNORECASE)
_INTEGER = re.compile(r"-?\d{16,}")
NO_DAY = 60  # 29 February 1900; there was none; spreadsheets count it all the same
DAYS = {False: 2_958_466, True: 2_957_004}  # up to the year 9999, from 1900 or from 1904
_SECONDS = 86_400


@dataclass(frozen=True)
class Style:
    """Say whether a number is shown as a moment, as time gone by, and whether the reader knows the style."""

    moment: bool = False
    elapsed: bool = False
    known: bool = True


class Styles:
    """Know the styles of a workbook's cells and from which year its days count."""

    def __init__(self, elements: Sequence[Element] = (), *, from_1904: bool = False) -> None:
        self.from_1904 = from_1904
        codes = {a.get("numFmtId", ""): a.get("formatCode", "") for tag, a in elements if tag == "numFmt"}
        self._styles = [_style(number, codes) for number in _formats_of_cells(elements)]

    @property
    def odd(self) -> list[int]:
        """Return the numbers of the styles that show a moment or time gone by."""
        return [number for number, style in enumerate(self._styles) if style.moment or style.elapsed]

    def text(self, style: str, value: str) -> str | None:
        """Return what a number says, None where the reader reads it right; its own digits where it is no moment."""
        shown = self._styles[int(style)] if style.isdigit() and int(style) < len(self._styles) else Style()
        if not shown.moment and not shown.elapsed:
            return value if _INTEGER.fullmatch(value) else None
        try:
            days = float(value)
        except ValueError:
            return None
        if not 0 <= days < DAYS[self.from_1904]:
            return value
        if shown.elapsed or days < 1:
            return clock(days, elapsed=shown.elapsed)
        if int(days) == NO_DAY and not self.from_1904:
            return value
        return None if shown.known else _moment(days, from_1904=self.from_1904)


def clock(days: float, *, elapsed: bool) -> str:
    """Return days, or a part of one, as hours, minutes and seconds; a time of day stays below 24 hours."""
    seconds = round(days * _SECONDS)
    seconds = seconds if elapsed else min(seconds, _SECONDS - 1)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def is_elapsed(code: str) -> bool:
    """Tell whether a format code shows time gone by."""
    return bool(_ELAPSED.search(_NO_SIGNS.sub("", code)))


def _formats_of_cells(elements: Sequence[Element]) -> list[str]:
    """Return the number format of each style a cell may name, in order."""
    found: list[str] = []
    inside = False
    for tag, attributes in elements:
        if tag in ("cellStyleXfs", "cellXfs", "cellStyles", "dxfs"):
            inside = tag == "cellXfs"
        elif inside and tag == "xf":
            found.append(attributes.get("numFmtId", "0"))
    return found


def _style(number: str, codes: dict[str, str]) -> Style:
    if number in codes:
        plain = _NO_SIGNS.sub("", codes[number])
        elapsed = is_elapsed(codes[number])
        signs = _GENERAL.sub("", _IN_BRACKETS.sub("", plain).lower())
        signs = re.sub(r"e[+-]", "", signs)  # of scientific notation
        return Style(moment=not elapsed and bool(_MOMENT.search(signs)), elapsed=elapsed)
    if not number.isdigit() or int(number) not in _BUILT_IN:
        return Style()
    elapsed = int(number) == _ELAPSED_BUILT_IN
    return Style(moment=not elapsed, elapsed=elapsed, known=int(number) not in _EAST_ASIAN)


def _moment(days: float, *, from_1904: bool) -> str:
    first = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 31 if days < NO_DAY else 30)  # noqa: DTZ001
    return (first + timedelta(seconds=round(days * _SECONDS))).isoformat(" ", "seconds")
