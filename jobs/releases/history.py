"""What a release changes: from which versions, in which rows, and how much of it the sources and the code brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from jobs.layers import Layer
from jobs.releases.listing import Released
from jobs.sets.changes import Changes, comparable, differences

# As GLEIF's delta files: what is new since the last version, since a week, since a month.
WINDOWS = {"last": timedelta(0), "7_days": timedelta(days=7), "31_days": timedelta(days=31)}


@dataclass(frozen=True)
class Past:
    """Hold what a release is compared with.

    `tables`: the public rows of each version a window starts from. `unchanged_code`: the last release had the same
    code and terms. `recomputed`: what today's code and terms make of the last release's gold rows, None when these
    are gone or nothing has to be recomputed.
    """

    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    unchanged_code: bool = True
    recomputed: pl.DataFrame | None = None


def windows(
    before: Sequence[Released], now: datetime, columns: Sequence[Mapping[str, Any]], zone: Layer
) -> tuple[dict[str, str], str]:
    """Return window → the version its changes start from, and, when there is none, why the chain restarts.

    A window starts from the newest version that was out already when it began, else from the oldest of the chain. The
    chain is of one zone: what lies in another is no business of this one's readers, who may not even know of it. It
    begins anew after a withdrawn version and after one with other columns.
    """
    chain: list[Released] = []
    for one in reversed([one for one in before if one.zone is zone]):
        if one.withdrawn:
            why = f"version {one.version} was withdrawn"
        elif _shape(one.manifest["columns"]) != _shape(columns):
            why = f"version {one.version} has other columns"
        else:
            chain.insert(0, one)
            continue
        break
    else:
        why = "there is no version before"
    if not chain:
        return {}, why
    found = {}
    for name, span in WINDOWS.items():
        out = [one for one in chain if datetime.fromisoformat(one.attestation["released_at"]) <= now - span]
        found[name] = (out or chain[:1])[-1].version
    return {**found, "last": chain[-1].version}, ""


def changes_since(past: Past, table: pl.DataFrame, key: Sequence[str]) -> dict[str, Changes]:
    """Return the changes from each version a window starts from."""
    return {version: differences(rows, table, key) for version, rows in past.tables.items()}


def attribution(past: Past, last: str | None, table: pl.DataFrame, key: Sequence[str]) -> dict[str, Any]:
    """Return how much of the changes since the last version came from where, in rows.

    `source`: this code on these gold rows minus this code on the last release's; `pipeline`: this code on the last
    release's gold rows minus the last release. Gold is the line between the two: what changed before it, by a
    delivery or by the code of an earlier stage, counts as source. The two need not add up to the net changes, because
    one may undo the other. `unattributed` when the last release's gold rows are gone.
    """
    if last is None:
        return {}
    earlier = past.tables[last]
    if past.unchanged_code:
        return {"source": _counts(earlier, table, key), "pipeline": _counts(earlier, earlier, key)}
    if past.recomputed is None or not comparable(past.recomputed, table):
        return {"unattributed": _counts(earlier, table, key)}
    return {
        "source": _counts(past.recomputed, table, key), "pipeline": _counts(earlier, past.recomputed, key),
    }


def _counts(before: pl.DataFrame, after: pl.DataFrame, key: Sequence[str]) -> dict[str, int]:
    return differences(before, after, key).counts


def _shape(columns: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return sorted((one["name"], one["arrow"]) for one in columns)
