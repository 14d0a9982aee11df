"""XML as a stream: without entities, without anything from outside, to a bounded depth and in bounded memory."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO, Any, Protocol
from xml.etree.ElementTree import ParseError

from jobs.errors import SourceError
from jobs.storage.reading.limits import Limits

_CHUNK = 1 << 16
_DECLARED = re.compile(r"^\ufeff?<\?xml[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")


class Handler(Protocol):
    """Take the events of a document; what it has finished is taken from it after each chunk."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, tag: str) -> None:
        """An element ends."""

    def data(self, text: str) -> None:
        """Text, maybe not all of it."""

    def taken(self) -> list[Any]:
        """Return what is finished, and forget it."""


def declared_encoding(start: bytes) -> str | None:
    """Return the encoding an XML document says it is in, in lower case; None where it says nothing."""
    wide = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", b"<\x00?\x00": "utf-16-le"}
    encoding = next((e for mark, e in wide.items() if start.startswith(mark)), "latin-1")
    found = _DECLARED.search(start[:400].decode(encoding, "ignore").removeprefix("ï»¿"))
    return found.group(1).lower() if found else None


def parsed(stream: IO[bytes], encoding: str, handler: Handler, limits: Limits) -> Iterator[Any]:
    """Yield what a handler makes of a document, as soon as it does.

    Raises SourceError for markup that is broken, cut off, too deep or declares entities, and for other bytes than the
    encoding's.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    guard = _Guard(handler, limits)
    parser = DefusedXMLParser(target=guard, encoding="utf-8", forbid_dtd=False, forbid_entities=True)
    decoder, given = codecs.getincrementaldecoder(encoding)(), 0
    try:
        while True:
            data = stream.read(_CHUNK)
            text = decoder.decode(data, final=not data).encode()
            given += len(text)
            if text:
                parser.feed(text)
            if given - max(parser.parser.CurrentByteIndex, 0) > limits.max_record_bytes:
                raise SourceError(
                    "one tag of the document is larger than a record may be.", where=guard.where(parser),
                    remedy="deliver it again, or raise LAKE_MAX_RECORD_BYTES.",
                )
            if not data:
                parser.close()
            yield from handler.taken()
            if not data:
                return
    except DefusedXmlException:
        raise SourceError(
            "the document declares entities or refers to something outside itself.", where=guard.where(parser),
            remedy="deliver it without a DTD that declares any.",
        ) from None
    except ParseError:
        raise SourceError(
            "the document's markup is broken or cut off.", where=guard.where(parser), remedy="deliver it again, whole."
        ) from None
    except UnicodeError:
        raise SourceError(
            f"the document is not {encoding} throughout.", where=guard.where(parser),
            remedy="mend encoding: in the contract, or deliver the file again.",
        ) from None


class _Guard:
    """Pass events on, and count how deep they are."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.handler, self.limits, self.depth = handler, limits, 0
        self.data = handler.data

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > self.limits.max_depth:
            raise SourceError(
                f"the document is nested more than {self.limits.max_depth} deep.",
                remedy="deliver a flatter one, or raise LAKE_MAX_DEPTH.",
            )
        self.limits.check_columns(len(attributes))
        self.handler.start(tag, attributes)

    def end(self, tag: str) -> None:
        self.depth -= 1
        self.handler.end(tag)

    def close(self) -> None:
        """Nothing is left to do."""

    def where(self, parser: Any) -> str:
        return f"line {parser.parser.CurrentLineNumber}"


def local(tag: str) -> str:
    """Return a tag's name without its namespace."""
    return tag.rpartition("}")[2]
