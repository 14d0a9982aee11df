"""Text in lines, numbered as an editor shows them, in bounded memory whatever a file holds."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from jobs.source import Source
from jobs.storage.reading import encodings
from jobs.storage.reading.layout import KEPT_RAW
from jobs.storage.reading.limits import Limits

BLOCK = 1 << 20  # bytes
TOO_LARGE, ENCODING = "record.too_large", "record.encoding"
UNTERMINATED = "record.unterminated"  # a remark: RFC 4180 allows it, and so ends a file cut inside its last cell


class Line(NamedTuple):
    """Hold one line: its number, its text, the line end that followed it, and what is wrong with it."""

    number: int
    text: str
    end: str
    defect: str | None


@dataclass(frozen=True)
class Block:
    """Hold whole lines of a file: the first one's number, their text, the defects by place in the block."""

    first: int
    text: str
    defects: dict[int, str]

    def lines(self) -> Iterator[Line]:
        """Yield the block's lines."""
        texts = self.text.split("\n")
        last = len(texts) - 1
        for place, whole in enumerate(texts):
            if place == last and not whole:
                return
            text = whole.rstrip("\r")
            end = whole[len(text) :] + ("\n" if place < last else "")
            yield Line(self.first + place, text, end, self.defects.get(place))

    def count(self) -> int:
        """Return how many lines there are."""
        return self.text.count("\n") + (not self.text.endswith("\n"))


@dataclass(frozen=True)
class Piece:
    """Name a part of a text file: its first byte and line, and the byte and line at which the next part begins."""

    start: int = 0
    first: int = 1
    stop: int | None = None
    end: int | None = None


class Lines:
    """Give a file's lines one by one or by the block, and take lines back that were read too far.

    A line longer than allowed comes as its beginning only, named `record.too_large`; one that is not in the declared
    encoding comes with replaced characters, named `record.encoding`.
    """

    def __init__(self, file: Path, source: Source, limits: Limits, piece: Piece | None = None) -> None:
        self._blocks = _blocks(file, source, limits, piece or Piece())
        self._waiting: deque[Line] = deque()
        self.remark: str | None = None  # about the line given last: the file ends without a line end after it

    def next(self) -> Line | None:
        """Return the next line; None at the end."""
        while not self._waiting:
            block = next(self._blocks, None)
            if block is None:
                return None
            self._waiting.extend(block.lines())
        line = self._waiting.popleft()
        self.remark = None if "\n" in line.end else UNTERMINATED
        return line

    def give_back(self, lines: list[Line]) -> None:
        """Take lines back, to be given again in order."""
        self._waiting.extendleft(reversed(lines))

    def block(self) -> Block | None:
        """Return the next whole block; None at the end and where lines of the last one are still waiting."""
        return None if self._waiting else next(self._blocks, None)

    def put_back(self, block: Block) -> None:
        """Take back a block that must be read line by line."""
        self._waiting.extend(block.lines())


def _blocks(file: Path, source: Source, limits: Limits, piece: Piece) -> Iterator[Block]:
    encoding = encodings.known(source.encoding)
    with file.open("rb") as stream:
        stream.seek(piece.start)
        chunks = _wide_chunks(stream, encoding) if encodings.wide(encoding) else _chunks(stream, piece)
        yield from _Cutter(source, encoding, limits).blocks(chunks, piece.first, at_start=piece.start == 0)


def _chunks(stream: BinaryIO, piece: Piece) -> Iterator[bytes]:
    """Yield a file's bytes; no chunk reaches over the end of the piece, so that no block does."""
    left = None if piece.stop is None else piece.stop - piece.start
    while chunk := stream.read(BLOCK if not left else min(BLOCK, left)):
        left = left - len(chunk) if left else left
        yield chunk


def _wide_chunks(stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    """Yield a file of two- or four-byte characters as UTF-8; what cannot be read becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    while chunk := stream.read(BLOCK):
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


class _Cutter:
    """Cut a stream of bytes into blocks of whole lines."""

    def __init__(self, source: Source, encoding: str, limits: Limits) -> None:
        self.wide = encodings.wide(encoding)
        self.encoding = "utf-8" if self.wide else encoding
        self.double = self.encoding.startswith(("gb", "big5", "cp950"))
        self.newline = b"\r" if source.line_end == "cr" else b"\n"
        self.limits = limits

    def blocks(self, chunks: Iterator[bytes], number: int, *, at_start: bool) -> Iterator[Block]:
        kept, skipping = b"", False
        for chunk in chunks:
            if skipping:
                place = chunk.find(self.newline)
                if place < 0:
                    continue
                chunk, skipping = chunk[place + 1 :], False
            place = chunk.rfind(self.newline)
            if place < 0:
                kept += chunk
                if len(kept) > self.limits.max_record_bytes:
                    yield self._overlong(number, kept)
                    number, kept, skipping, at_start = number + 1, b"", True, False
                continue
            block = self._block(number, kept + chunk[: place + 1], at_start=at_start)
            kept, at_start = chunk[place + 1 :], False
            number += block.count()
            yield block
        if kept:
            yield self._block(number, kept, at_start=at_start)

    def _overlong(self, number: int, data: bytes) -> Block:
        text = data[: 4 * KEPT_RAW].decode(self.encoding, "replace")[:KEPT_RAW]
        return Block(number, text.replace("\n", " ") + "\n", {0: TOO_LARGE})

    def _block(self, number: int, data: bytes, *, at_start: bool) -> Block:
        defects: dict[int, str] = {}
        try:
            text = data.decode(self.encoding)
            doubtful = self.double and encodings.may_hold_utf8(data)
        except UnicodeError:
            text, doubtful = "", True
        if doubtful:
            lines = data.split(self.newline)
            for place, line in enumerate(lines):
                if not encodings.reads(line, self.encoding) or (self.double and encodings.is_utf8_inside(line)):
                    defects[place] = ENCODING
            if not text:
                sign = self.newline.decode()
                text = sign.join(line.decode(self.encoding, "replace") for line in lines)
        if at_start:
            text = text.removeprefix("\ufeff")
        if self.newline == b"\r":
            # Inside, lines end in LF; an LF in such a file is text like any other.
            text = text.translate({13: 10, 10: 13})
        if self.wide and "\ufffd" in text:
            defects.update({n: ENCODING for n, line in enumerate(text.split("\n")) if "\ufffd" in line})
        most = self.limits.max_record_bytes
        if len(data) > most:
            sizes = (len(line) for line in data.split(self.newline))
            defects.update({n: TOO_LARGE for n, size in enumerate(sizes) if size > most})
        return Block(number, text, defects)
