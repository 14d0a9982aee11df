"""XML: one element per record; its attributes and the elements in it are its cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading import encodings
from jobs.storage.reading.diagnosis import not_of_kind
from jobs.storage.reading.layout import Layout, Record, Records
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.markup import declared_encoding, local, parsed


def read_xml(file: Path, source: Source, layout: Layout, limits: Limits) -> Records:
    """Yield the elements at `records:` (a path of tags below the root; default: the root's children), from 1 on.

    A cell's column is its tag, `parent/tag` where it lies deeper, `@name` for an attribute; namespaces do not count.
    Raises SourceError for broken markup, entities, and unknown columns where the contract says stop.
    """
    with file.open("rb") as stream:
        start = stream.read(encodings.PROBED)
    if not start.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00").startswith(b"<"):
        raise not_of_kind(start, "xml")
    encodings.check(start, source.encoding)
    said = declared_encoding(start)
    if said and not _agree(said, source.encoding):
        raise SourceError(
            f"the document says it is {said if encodings.exists(said) else 'another'}, not {source.encoding}.",
            where="XML declaration", remedy="mend encoding: in the contract.",
        )
    gatherer = Gatherer([part for part in (source.records or "").split("/") if part])
    number = 0
    with file.open("rb") as stream:
        for found in parsed(stream, source.encoding, gatherer, limits):
            number += 1
            yield _record(number, found, layout, limits)
    if source.records and not gatherer.reached and not gatherer.is_empty:
        raise SourceError(
            f"the document has no element at {source.records}.",
            remedy="mend records: in the contract: the tags below the root that lead to a record, a/path.",
        )


@dataclass
class Element:
    """Hold one record's cells by column, and whether a column came twice."""

    cells: dict[str, str] = field(default_factory=dict)
    repeated: bool = False

    def add(self, column: str, text: str) -> None:
        """Take a cell."""
        self.repeated = self.repeated or column in self.cells
        self.cells[column] = text


class Gatherer:
    """Gather the records of a document from its events."""

    def __init__(self, path: list[str]) -> None:
        self.path, self.reached = path, False
        self._at_parent = self._others = False  # the records' parent came; something else than a record came in it
        self._open: list[str] = []  # tags from the root down
        self._texts: list[list[str]] = []
        self._leaf: list[bool] = []
        self._record: Element | None = None
        self._depth = max(len(path), 1) + 1  # of a record's element, the root being 1
        self._done: list[Element] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin a record or a cell of one."""
        self._open.append(local(tag))
        if self._record is None and len(self._open) == self._depth and self._on_path():
            self._record, self.reached = Element(), True
        if self._record is None:
            above = self.path[:-1]
            self._at_parent = self._at_parent or self._open[1:] == above
            self._others = self._others or (len(self._open) == self._depth and self._open[1:-1] == above)
            return
        if self._leaf:
            self._leaf[-1] = False
        self._texts.append([])
        self._leaf.append(True)
        for name, value in attributes.items():
            self._record.add("/".join([*self._open[self._depth :], f"@{local(name)}"]), value)

    def end(self, _: str) -> None:
        """End a cell or a record."""
        if self._record is not None:
            text, leaf = "".join(self._texts.pop()), self._leaf.pop()
            inside = self._open[self._depth :]
            if inside and (leaf or text.strip()):
                self._record.add("/".join(inside), text.strip())
            elif not inside:
                if text.strip():
                    self._record.add("#text", text.strip())
                self._done.append(self._record)
                self._record = None
        self._open.pop()

    @property
    def is_empty(self) -> bool:
        """Tell whether the element that should hold the records is there and holds no element at all."""
        return self._at_parent and not self.reached and not self._others

    def data(self, text: str) -> None:
        """Take text of the innermost cell."""
        if self._texts:
            self._texts[-1].append(text)

    def taken(self) -> list[Element]:
        """Return the finished records, and forget them."""
        done, self._done = self._done, []
        return done

    def _on_path(self) -> bool:
        return not self.path or self._open[1:] == self.path


def _record(number: int, found: Element, layout: Layout, limits: Limits) -> Record:
    if len(found.cells) > limits.max_columns:
        return Record(number, {}, "record.column_count")
    names = list(found.cells)
    layout.check_unknown(names, where=f"record {number}")
    record = layout.record(number, names, list(found.cells.values()))
    return Record(number, record.cells, "record.duplicate_key", record.extra) if found.repeated else record


def _agree(said: str, declared: str) -> bool:
    """Tell whether two names mean one encoding, or one that holds the other."""
    families = ({"gb2312", "gbk", "gb18030", "cp936"}, {"utf-8", "utf8", "utf-8-sig", "ascii", "us-ascii"})
    one, other = said.lower(), encodings.known(declared).replace("_", "-")
    return one == other or any({one, other} <= family for family in families) or (
        one.startswith("utf-16") and other.startswith("utf-16")
    ) or (one.startswith("big5") and other.startswith("big5"))
