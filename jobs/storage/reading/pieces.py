"""A large text file in pieces that are read side by side, each the same whoever reads it."""

from __future__ import annotations

from pathlib import Path

from jobs.source import Source
from jobs.storage.reading import encodings
from jobs.storage.reading.text import Piece

PIECE = 32 << 20  # bytes; a constant of the format of bronze, so that a file always falls into the same pieces
_READ = 4 << 20


def plan(file: Path, source: Source, size: int = PIECE) -> list[Piece]:
    """Return the pieces of a file in order; a single one where cutting it is not safe.

    A piece begins at a line before which quotes are balanced, so that no quoted cell reaches over the cut. Other
    readers than csv, packed files, sections, escapes and wide encodings make one piece.
    """
    if source.reader != "csv" or source.packed or source.section or source.escape or source.line_end != "lf":
        return [Piece()]
    if encodings.wide(source.encoding) or not source.quote.isascii() or source.quote > "?":
        return [Piece()]  # from the sign @ on, a byte may be the second half of a Chinese character
    if file.stat().st_size < 2 * size:
        return [Piece()]
    cuts = _cuts(file, source.quote.encode(), *_header(file, source), size)
    ends = [*cuts[1:], (None, None)]
    return [Piece(at, line, stop, end) for (at, line), (stop, end) in zip(cuts, ends, strict=True)]


def _header(file: Path, source: Source) -> tuple[bytes, int]:
    """Return the header's line as bytes (none where it is not that simple), and the first byte below it."""
    if source.header_rows != 1:
        return b"", 0
    with file.open("rb") as stream:
        lines = [stream.readline(_READ) for _ in range(min(source.header_row, 1000))]
    return lines[-1].rstrip(b"\r\n"), sum(map(len, lines))


def _cuts(file: Path, quote: bytes, header: bytes, below: int, size: int) -> list[tuple[int, int]]:
    """Return the first byte and line of each piece; only one where the header comes again: all must know."""
    cuts, line, quotes, wanted, place = [(0, 1)], 1, 0, size, 0
    with file.open("rb") as stream:
        while block := stream.read(_READ):
            while place + len(block) > wanted:
                at = block.find(b"\n", max(wanted - place, 0)) + 1
                if not at or place + at >= file.stat().st_size:
                    break
                if quote and (quotes + block.count(quote, 0, at)) % 2:
                    wanted = place + at  # inside a quoted cell, it seems: try the next line
                    continue
                cuts.append((place + at, line + block.count(b"\n", 0, at)))
                wanted = place + at + size
            if header and block.find(header, max(below - place, 0)) >= 0:
                return cuts[:1]
            line += block.count(b"\n")
            quotes += block.count(quote) if quote else 0
            place += len(block)
    return cuts
