"""A release's version by rule: what a program that read the last one must fear (semantic versioning 2.0.0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FIRST = "1.0.0"
# A column is what it was while these of its facts are what they were.
_IDENTITY = {"type": "type", "arrow": "stored type", "terms": "derivation", "codes": "code list"}


def version_key(version: str) -> tuple[int, ...]:
    """Return a version as numbers, so that 1.10.0 comes after 1.9.0."""
    return tuple(map(int, version.split(".")))


def breaks(last: Mapping[str, Any], columns: Sequence[Mapping[str, Any]], terms: Mapping[str, Any]) -> list[str]:
    """Return why a release would break who reads the last one: columns gone or of another kind, key, licence."""
    before, after = ({one["name"]: one for one in some} for some in (last["columns"], columns))
    reasons = [f"the column {name} is gone" for name in before if name not in after]
    reasons += [
        f"the column {name} has another {called}"
        for name in before if name in after
        for fact, called in _IDENTITY.items() if before[name][fact] != after[name][fact]
    ]
    return reasons + [f"the {what} is another" for what in ("key", "licence") if last["terms"][what] != terms[what]]


def next_version(
    last: Mapping[str, Any] | None, columns: Sequence[Mapping[str, Any]], terms: Mapping[str, Any],
    content: Mapping[str, str],
) -> tuple[str, list[str]]:
    """Return the version a draft would have and what it breaks; the last one's version when it says the same.

    MAJOR: a column is gone or of another kind (type, derivation, code list), another key or licence; MINOR: a column
    more, or other terms (threshold, scope, a code list's content); PATCH: other rows or other words. `last` is the
    last manifest, withdrawn or not, because a number is never used twice.
    """
    if last is None:
        return FIRST, []
    major, minor, patch = version_key(last["version"])
    if reasons := breaks(last, columns, terms):
        return f"{major + 1}.0.0", reasons
    if len(columns) != len(last["columns"]) or last["terms"] != terms:
        return f"{major}.{minor + 1}.0", []
    if dict(last["content"]) != dict(content):
        return f"{major}.{minor}.{patch + 1}", []
    return str(last["version"]), []
