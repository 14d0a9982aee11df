"""A JSON document: an array of objects somewhere inside, read element by element in bounded memory."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading import encodings
from jobs.storage.reading.diagnosis import not_of_kind
from jobs.storage.reading.json_lines import DECODER, RepeatedKeyError, record_of, skimmed
from jobs.storage.reading.layout import RAW, Layout, Record, Records
from jobs.storage.reading.limits import Limits

_CHUNK = 1 << 20
_SPACE = " \t\r\n\ufeff"


class _BrokenError(ValueError):
    """The document is not JSON from here on."""


def read_json(file: Path, source: Source, layout: Layout, limits: Limits) -> Records:
    """Yield the objects of the array at `records:` (default: the top), numbered from 1.

    An element that is no object is a defective record. Raises SourceError for a document that is cut off or broken, is
    nested too deeply, or has no such array; and for an unknown key where the contract says stop.
    """
    with file.open("rb") as stream:
        start = stream.read(encodings.PROBED)
    encodings.check(start, source.encoding)
    if start.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00")[:1] not in (b"{", b"["):
        raise not_of_kind(start, "json")
    path = [part for part in (source.records or "").split("/") if part]
    number = 0
    try:
        with file.open("rb") as stream:
            document = Document(stream, source.encoding, limits)
            document.enter(path)
            for value in document.elements():
                number += 1
                yield _record(number, value, layout, limits)
            document.leave(path)
    except _BrokenError:
        raise SourceError(
            "the JSON document is broken, cut off or too deep.", where=f"after record {number}",
            remedy="deliver it again, whole.",
        ) from None
    except UnicodeError:
        raise SourceError(
            f"the document is not {source.encoding} throughout.", where=f"after record {number}",
            remedy="mend encoding: in the contract, or deliver the file again.",
        ) from None


def _record(number: int, value: Any, layout: Layout, limits: Limits) -> Record:
    if value is RepeatedKeyError:
        return Record(number, {}, "record.duplicate_key")
    if not isinstance(value, dict):
        return Record(number, {}, "record.syntax", {RAW: skimmed(value)})
    return record_of(number, value, layout, f"record {number}", limits)


class Document:
    """Walk through one document from its beginning; raises _BrokenError (a ValueError) where it is not JSON."""

    def __init__(self, stream: BinaryIO, encoding: str, limits: Limits) -> None:
        self._stream, self._decoder = stream, codecs.getincrementaldecoder(encoding)()
        self._text, self._place, self._ended = "", 0, False
        self._most = max(limits.max_record_bytes, 2 * _CHUNK)

    def enter(self, path: list[str]) -> None:
        """Go to the array at a path of keys; raise SourceError where there is none."""
        for key in path:
            if self._sign() != "{" or not self._find(key):
                raise _no_array(path)
        if self._sign() != "[":
            raise _no_array(path)

    def elements(self) -> Iterator[Any]:
        """Yield the array's elements; RepeatedKeyError itself for an object with a key given twice."""
        if self._peek() == "]":
            self._place += 1
            return
        while True:
            yield self._value()
            sign = self._sign()
            if sign == "]":
                return
            if sign != ",":
                raise _BrokenError

    def leave(self, path: list[str]) -> None:
        """Read what follows the array, to the end: a document that was cut off there is not whole.

        Raises SourceError where a key of the path comes again: there would be other records, or none.
        """
        for key in reversed(path):
            while (sign := self._sign()) == ",":
                if self._key() == key:
                    raise SourceError(
                        "the document has a key on the way to its records twice.",
                        remedy="deliver it with each key once.",
                    )
                self._value()
            if sign != "}":
                raise _BrokenError
        if self._peek():
            raise _BrokenError

    def _find(self, key: str) -> bool:
        """Go to a key's value in the object just entered; tell whether it is there."""
        if self._peek() == "}":
            return False
        while self._key() != key:
            self._value()
            if self._sign() != ",":
                return False
        return True

    def _key(self) -> Any:
        key = self._value()
        if not isinstance(key, str) or self._sign() != ":":
            raise _BrokenError
        return key

    def _sign(self) -> str:
        sign = self._peek()
        self._place += 1
        return sign

    def _peek(self) -> str:
        """Return the next character that is no space, empty at the end."""
        while True:
            while self._place < len(self._text):
                if (sign := self._text[self._place]) not in _SPACE:
                    return sign
                self._place += 1
            if not self._more():
                return ""

    def _value(self) -> Any:
        """Decode one value, reading on while it is not whole."""
        self._peek()
        while True:
            value: Any = None
            end = -1
            try:
                value, end = DECODER.raw_decode(self._text, self._place)
            except RepeatedKeyError:
                value, end = RepeatedKeyError, self._end_of_value()
            except RecursionError:
                raise _BrokenError from None
            except ValueError:
                pass  # perhaps there is more to come
            # A number that ends where the text does may go on.
            if end >= 0 and (end < len(self._text) or self._ended):
                self._place = end
                return value
            if not self._more() and end < 0:
                raise _BrokenError

    def _end_of_value(self) -> int:
        try:
            return json.JSONDecoder().raw_decode(self._text, self._place)[1]
        except (ValueError, RecursionError):
            return -1

    def _more(self) -> bool:
        """Read on; tell whether there was anything. A value larger than a record may be is broken."""
        if self._ended:
            return False
        if len(self._text) - self._place > self._most:
            raise _BrokenError
        data = self._stream.read(_CHUNK)
        self._ended = not data
        self._text = self._text[self._place :] + self._decoder.decode(data, final=not data)
        self._place = 0
        return bool(data)


def _no_array(path: list[str]) -> SourceError:
    place = "/".join(path) or "its top"
    return SourceError(
        f"the document has no array of records at {place}.",
        remedy="mend records: in the contract: the keys that lead to the array, a/path.",
    )
