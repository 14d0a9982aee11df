"""Delimited text a block at a time: by Arrow's parser where quotes only enclose cells, else by the csv module.

Only where the result is beyond doubt the one of reading line by line: anything odd in a block leaves it to that.
"""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from jobs.source import Source
from jobs.storage.reading.dialect import Dialect
from jobs.storage.reading.framing import Frame
from jobs.storage.reading.layout import NUL, Record, Sound
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.text import Block

_MAY_BE_BLANK = re.compile(r"\n[ \t\n]")
Ragged = list[tuple[int, list[str], str]]  # place among the lines that are not blank, cells, text


class Columns:
    """Read blocks of one file whose header is known."""

    def __init__(self, source: Source, frame: Frame, names: list[str]) -> None:
        self.dialect, self.frame, self.names = Dialect(source), frame, names
        self.wanted = [n for n, name in enumerate(names) if name in frame.layout.columns]
        self.places = [*self.wanted, *frame.nameless]  # what is read: nothing may stand in a column without a name
        quote, delimiter = re.escape(self.dialect.quote), re.escape(self.dialect.delimiter)
        # From a quote on, which is soon found; only then is looked at what stands before it.
        self.enclosed = re.compile(rf"{quote}(?<=[{delimiter}\n]{quote})[^{quote}\n]*{quote}(?=[{delimiter}\n])")

    def sound(self, block: Block, limits: Limits) -> list[Record | Sound] | None:
        """Return a block's records, the ragged ones last, or None for a block to be read line by line."""
        text, plain = block.text, self.dialect.is_plain(block.text)
        if self.frame.is_second or block.defects or NUL in text or (self.dialect.escape and not plain):
            return None
        if not text.endswith("\n"):
            return None  # the file's last line, unterminated: its record gets a remark
        if "\r" in text:
            if text.count("\r") != text.count("\r\n"):
                return None
            text = text.replace("\r\n", "\n")
        rows = np.arange(block.first, block.first + block.count())
        if text[:1] in (" ", "\t", "\n") or _MAY_BE_BLANK.search(text):
            lines = text.split("\n")[: len(rows)]
            filled = [n for n, line in enumerate(lines) if line.strip()]
            rows, text = rows[filled], "\n".join(lines[n] for n in filled)
        if not len(rows):
            return []
        found = self._parsed(text) if plain else self._quoted(text, len(rows))
        if found is None:
            return None
        read, ragged = found
        columns, beside = read[: len(self.wanted)], read[len(self.wanted) :]
        if any(one.null_count < len(one) for one in beside):
            return None
        sound = np.delete(rows, [place for place, *_ in ragged]) if ragged else rows
        if any(len(one) != len(sound) for one in columns) or self._odd(columns, limits):
            return None
        records: list[Record | Sound] = []
        if len(sound):
            names = [self.names[n] for n in self.wanted]
            records.append(Sound(pa.array(sound), dict(zip(names, columns, strict=True))))
        taken = (self.frame.take(int(rows[place]), cells, line) for place, cells, line in ragged)
        return records + [record for record in taken if record is not None]

    def _parsed(self, text: str, quote: str | None = None) -> tuple[list[pa.Array], Ragged] | None:
        ragged: Ragged = []

        def keep(row: pcsv.InvalidRow) -> str:
            ragged.append((row.number - 1, row.text.split(self.dialect.delimiter), row.text))
            return "skip"

        data = text.encode()
        names = [f"c{n}" for n in range(len(self.names))]
        wanted = [names[n] for n in self.places]
        try:
            table = pcsv.read_csv(
                io.BytesIO(data),
                pcsv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
                pcsv.ParseOptions(
                    delimiter=self.dialect.delimiter, quote_char=quote or False, newlines_in_values=False,
                    invalid_row_handler=keep,
                ),
                pcsv.ConvertOptions(
                    column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, null_values=[""],
                    strings_can_be_null=True, check_utf8=False,
                ),
            )
        except pa.ArrowInvalid:
            return None
        return [column.combine_chunks() for column in table.columns], ragged

    def _quoted(self, text: str, count: int) -> tuple[list[pa.Array], Ragged] | None:
        quote = self.dialect.quote
        if quote and quote.isascii() and 2 * len(self.enclosed.findall(f"\n{text}")) == text.count(quote):
            found = self._parsed(text, quote)
            if found is not None and not found[1]:  # a ragged line's cells are not where its delimiters are
                return found
        lines = text.split("\n")[:count]
        reader = csv.reader(lines, delimiter=self.dialect.delimiter, quotechar=self.dialect.quote, strict=True)
        try:
            records = list(reader)
        except csv.Error:
            return None
        if len(records) != count:
            return None  # a cell reaches over a line's end, or an open quote does
        width = len(self.names)
        odd = [place for place, cells in enumerate(records) if len(cells) != width]
        ragged = [(place, records[place], lines[place]) for place in odd]
        if odd:
            records = [cells for cells in records if len(cells) == width]
        by_column = list(zip(*records, strict=True)) if records else [()] * width
        arrays = [pa.array(by_column[n], pa.string()) for n in self.places]
        return [pc.if_else(pc.equal(one, ""), pa.nulls(1, one.type)[0], one) for one in arrays], ragged

    def _odd(self, columns: list[pa.Array], limits: Limits) -> bool:
        """Tell whether a cell is too large, or the header may be there once more."""
        head = self.frame.first_head(self.wanted[0])
        if pc.any(pc.is_in(columns[0], pa.array([head, f"\ufeff{head}"]))).as_py():
            return True
        return any((pc.max(pc.binary_length(one)).as_py() or 0) > limits.max_cell_bytes for one in columns)


def columns(source: Source, frame: Frame) -> Columns | None:
    """Return what reads a file's blocks, or None for a dialect or table that must be read line by line."""
    names = frame.names or []
    unknown = [name for name in names if name and name not in frame.layout.columns]
    if source.section or source.comment or len(source.delimiter) != 1 or not source.delimiter.isascii():
        return None
    if len(names) < 2 or (unknown and frame.layout.unknown == "keep") or source.line_end != "lf":
        return None
    if source.delimiter == " ":
        return None
    return Columns(source, frame, names)
