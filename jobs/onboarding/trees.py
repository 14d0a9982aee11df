"""Where the records lie in a JSON or XML document nobody has described yet, and what they are made of."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from jobs.onboarding.headers import looks_like_value, refusal, unique
from jobs.storage.reading.limits import Limits
from jobs.storage.reading.markup import local, parsed
from jobs.storage.reading.xml import Gatherer

PROBED_RECORDS = 10_000
MOST_BYTES = 64 << 20  # of a JSON document that is looked at as a whole
_DEEPEST = 5
_GIVE_KEYS = "give objects with names for keys."


def json_line_keys(text: str) -> tuple[str, ...]:
    """Return the keys of JSON lines, empty where the text is none; raise RequestError for keys that are values."""
    keys: dict[str, None] = {}
    lines = [line for line in text.split("\n") if line.strip()]
    whole = 0
    for line in lines[:PROBED_RECORDS]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            whole += 1
            keys |= dict.fromkeys(found)
    if not whole or whole < len(lines[:PROBED_RECORDS]) // 2:
        return ()
    if len(lines) == 1 and _arrays(json.loads(lines[0]), (), _DEEPEST):
        return ()  # one object that holds the records: a document on one line
    return _checked(keys)


def json_records(sample: Path, encoding: str, limits: Limits) -> tuple[str, tuple[str, ...]]:
    """Return the path to the longest array of objects in a document, and the keys of these."""
    if sample.stat().st_size > MOST_BYTES:
        raise refusal(f"the JSON document is larger than {MOST_BYTES} bytes.", "give a smaller sample.")
    try:
        document = json.loads(sample.read_bytes().decode(encoding).removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        raise refusal("the JSON document is broken.", "give a whole one.") from None
    found = _arrays(document, (), min(_DEEPEST, limits.max_depth))
    if not found:
        raise refusal("the JSON document has no array of objects.", _GIVE_KEYS)
    path, records = max(found, key=lambda one: len(one[1]))
    keys = dict.fromkeys(key for one in records[:PROBED_RECORDS] if isinstance(one, dict) for key in one)
    return "/".join(path), _checked(keys)


def xml_records(sample: Path, encoding: str, limits: Limits) -> tuple[str, tuple[str, ...]]:
    """Return the path to the elements that are most likely records (repeated, of several parts), and their parts."""
    census = _Census()
    with sample.open("rb") as stream:
        for _ in islice(parsed(stream, encoding, census, limits), PROBED_RECORDS):
            pass
    candidates = {path: number for path, number in census.elements.items() if len(path) > 1 and census.parts[path]}
    if not candidates:
        raise refusal("the XML document has no elements that could be records.", "give one with a record or two.")
    best = max(candidates, key=lambda path: (candidates[path] > 1, census.parts[path] / candidates[path], -len(path)))
    gatherer = Gatherer(list(best[1:]))
    columns: dict[str, None] = {}
    with sample.open("rb") as stream:
        for record in islice(parsed(stream, encoding, gatherer, limits), PROBED_RECORDS):
            columns |= dict.fromkeys(record.cells)
    return "/".join(best[1:]), _checked(columns)


class _Census:
    """Count the elements of a document by path, and their leaves and attributes."""

    def __init__(self) -> None:
        self.elements: Counter[tuple[str, ...]] = Counter()
        self.parts: Counter[tuple[str, ...]] = Counter()
        self._path: tuple[str, ...] = ()
        self._leaf = True
        self._seen = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path = (*self._path, local(tag))
        self.elements[self._path] += 1
        self.parts[self._path] += len(attributes)
        self._leaf = True

    def end(self, _: str) -> None:
        if self._leaf and len(self._path) > 1:
            self.parts[self._path[:-1]] += 1
        self._path, self._leaf = self._path[:-1], False
        self._seen += 1

    def data(self, text: str) -> None:
        """Texts are not looked at."""

    def taken(self) -> list[int]:
        """Return one count per element seen, so that a large document is not read to its end."""
        seen, self._seen = self._seen, 0
        return [1] * seen


def _arrays(value: Any, path: tuple[str, ...], deepest: int) -> list[tuple[tuple[str, ...], list[Any]]]:
    if _objects(value):
        return [(path, value)]
    if not isinstance(value, dict) or not deepest:
        return []
    return [found for key, inner in value.items() for found in _arrays(inner, (*path, key), deepest - 1)]


def _objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _checked(keys: dict[str, None]) -> tuple[str, ...]:
    if not keys or any(map(looks_like_value, keys)):
        raise refusal("the sample's keys are missing or look like values.", _GIVE_KEYS)
    return unique(keys)
