"""Delimited text without a single quote in it, a block at a time by Arrow's parser.

Only where the result is beyond doubt the one of reading line by line: anything odd in a block leaves it to that.
"""

from __future__ import annotations

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

_BLANK = re.compile(r"(?:^|\n)[ \t]*\r?(?:\n|$)")


class Columns:
    """Read blocks of one file whose header is known."""

    def __init__(self, source: Source, frame: Frame, names: list[str]) -> None:
        self.dialect, self.frame, self.names = Dialect(source), frame, names
        self.wanted = [n for n, name in enumerate(names) if name in frame.layout.columns]

    def sound(self, block: Block, limits: Limits) -> list[Record | Sound] | None:
        """Return a block's records, the ragged ones last, or None for a block to be read line by line."""
        text = block.text
        if self.frame.is_second or block.defects or NUL in text or not self.dialect.is_plain(text) or not text.strip():
            return None
        if "\r" in text and text.count("\r") != text.count("\r\n"):
            return None
        rows = np.arange(block.first, block.first + block.count())
        if _BLANK.search(text.rstrip("\r\n")):
            lines = text.split("\n")[: len(rows)]
            filled = [n for n, line in enumerate(lines) if line.strip()]
            rows, text = rows[filled], "\n".join(lines[n] for n in filled)
        ragged: list[tuple[int, str]] = []
        try:
            table = self._parsed(text, ragged)
        except pa.ArrowInvalid:
            return None
        sound = np.delete(rows, [place for place, _ in ragged]) if ragged else rows
        if table.num_rows != len(sound) or self._odd(table, limits):
            return None
        found: list[Record | Sound] = []
        if len(sound):
            names = [self.names[n] for n in self.wanted]
            found.append(Sound(pa.array(sound), dict(zip(names, table.columns, strict=True))))
        for place, line in ragged:
            record = self.frame.take(int(rows[place]), line.split(self.dialect.delimiter), line)
            found += [record] if record is not None else []
        return found

    def _parsed(self, text: str, ragged: list[tuple[int, str]]) -> pa.Table:
        def keep(row: pcsv.InvalidRow) -> str:
            ragged.append((row.number - 1, row.text))
            return "skip"

        data = text.encode()
        columns = [f"c{n}" for n in range(len(self.names))]
        wanted = [columns[n] for n in self.wanted]
        return pcsv.read_csv(
            io.BytesIO(data),
            pcsv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=columns),
            pcsv.ParseOptions(
                delimiter=self.dialect.delimiter, quote_char=False, newlines_in_values=False, invalid_row_handler=keep
            ),
            pcsv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, null_values=[""],
                strings_can_be_null=True, check_utf8=False,
            ),
        ).combine_chunks()

    def _odd(self, table: pa.Table, limits: Limits) -> bool:
        """Tell whether a cell is too large, or the header may be there once more."""
        first = self.wanted[0]
        if pc.any(pc.equal(table.column(0), self.names[first])).as_py():
            return True
        return any((pc.max(pc.binary_length(one)).as_py() or 0) > limits.max_cell_bytes for one in table.columns)


def columns(source: Source, frame: Frame) -> Columns | None:
    """Return what reads a file's blocks, or None for a dialect or table that must be read line by line."""
    names = frame.names or []
    unknown = [name for name in names if name and name not in frame.layout.columns]
    if source.section or source.comment or len(source.delimiter) != 1 or not source.delimiter.isascii():
        return None
    if len(names) < 2 or (unknown and frame.layout.unknown == "keep"):
        return None
    if source.delimiter.isspace() and source.delimiter != "\t":
        return None
    return Columns(source, frame, names)
