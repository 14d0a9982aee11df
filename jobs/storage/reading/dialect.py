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
        self._memo: tuple[str, list[str]] = ("", [""])  # the last text whose cells were found, and these
        self.special = [sign for sign in (self.quote, self.escape) if sign]

    def is_plain(self, text: str) -> bool:
        """Tell whether a text has neither quotes nor escapes, so that its cells lie between delimiters."""
        return not any(sign in text for sign in self.special)

    def is_open(self, text: str) -> bool:
        """Tell whether a quoted cell is still open at the end of a text."""
        if not self.quote or self.quote not in text:
            return False
        try:
            self._memo = text, self._parsed(text)
        except csv.Error as error:
            return "unexpected end" in str(error)
        return False

    def cells(self, text: str) -> list[str] | None:
        """Return a record's cells, None when its quoting cannot be read."""
        if self.is_plain(text):
            return text.split(self.delimiter)
        if self._memo[0] is text:
            return self._memo[1]
        try:
            return self._parsed(text)
        except csv.Error:
            return None

    def _parsed(self, text: str) -> list[str]:
        # The parser knows delimiters of one character, takes a line end outside quotes for the record's own, and an
        # escape for one of whatever follows; here it stands only before a quote or another escape.
        restored = {sign: sign for sign in ("\r", "\n") if sign in text}
        if len(self.delimiter) > 1:
            restored = {self.delimiter: self.delimiter, **restored}
        if self.escape and self.escape in text:
            restored = {self.escape * 2: self.escape, self.escape + self.quote: self.quote, **restored}
        if not restored:
            return self._split(text, self.delimiter)
        free = (sign for sign in _STAND_INS if sign not in text)
        stand_ins = dict(zip(restored, free, strict=False))
        if len(stand_ins) < len(restored):
            raise csv.Error("no character is left to stand for another")
        for sign, stand_in in stand_ins.items():
            text = text.replace(sign, stand_in)
        cells = self._split(text, stand_ins.get(self.delimiter, self.delimiter))
        for sign, stand_in in stand_ins.items():
            cells = [cell.replace(stand_in, restored[sign]) for cell in cells]
        return cells

    def _split(self, text: str, delimiter: str) -> list[str]:
        reader = csv.reader(
            [text], delimiter=delimiter, quotechar=self.quote or None, strict=True,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
        )
        return next(reader, [])
