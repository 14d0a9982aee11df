"""How the text of one record becomes cells: delimiter, quotes, escapes (RFC 4180 and its relatives)."""

from __future__ import annotations

import csv

from jobs.source import Source

csv.field_size_limit(1 << 30)  # a large cell is a defect of its row, judged later; it must not stop the file
# Unicode promises that these are no characters, so they can stand for signs the parser would take amiss.
_STAND_INS = [chr(code) for code in range(0xFDD0, 0xFDF0)]


class Dialect:
    """Split records as a source declares them."""

    def __init__(self, source: Source) -> None:
        self.delimiter, self.quote, self.escape = source.delimiter, source.quote, source.escape
        self.special = [sign for sign in (self.quote, self.escape) if sign]

    def is_plain(self, text: str) -> bool:
        """Tell whether a text has neither quotes nor escapes, so that its cells lie between delimiters."""
        return not any(sign in text for sign in self.special)

    def is_open(self, text: str) -> bool:
        """Tell whether a quoted cell is still open at the end of a text."""
        if not self.quote or self.quote not in text:
            return False
        try:
            self._parsed(text)
        except csv.Error as error:
            return "unexpected end" in str(error)
        return False

    def cells(self, text: str) -> list[str] | None:
        """Return a record's cells, None when its quoting cannot be read."""
        if self.is_plain(text):
            return text.split(self.delimiter)
        try:
            return self._parsed(text)
        except csv.Error:
            return None

    def _parsed(self, text: str) -> list[str]:
        # The parser knows delimiters of one character, and takes a line end outside quotes for the record's own.
        awkward = [sign for sign in ("\r", "\n") if sign in text]
        delimiter = self.delimiter
        if len(delimiter) > 1:
            awkward.insert(0, delimiter)
        if not awkward:
            return self._split(text, delimiter)
        free = (sign for sign in _STAND_INS if sign not in text)
        replaced = dict(zip(awkward, free, strict=False))
        if len(replaced) < len(awkward):
            raise csv.Error("no character is left to stand for another")
        for sign, stand_in in replaced.items():
            text = text.replace(sign, stand_in)
        cells = self._split(text, replaced.get(delimiter, delimiter))
        for sign, stand_in in replaced.items():
            cells = [cell.replace(stand_in, sign) for cell in cells]
        return cells

    def _split(self, text: str, delimiter: str) -> list[str]:
        reader = csv.reader(
            [text], delimiter=delimiter, quotechar=self.quote or None, escapechar=self.escape or None, strict=True,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
        )
        return next(reader, [])
