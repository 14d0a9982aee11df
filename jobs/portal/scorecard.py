"""The score card: how timely, complete, sound, linked and open each department's data is, from run records alone."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from jobs.portal.closings import Closing, closings, median_days

# How many days after its data date a delivery of each cycle may come.
ALLOWED_DAYS = {"hourly": 1, "daily": 1, "weekly": 7, "monthly": 31, "annual": 366}
# A share of fewer people or organisations than this would say something about some of them.
LEAST_SUBJECTS = 20
Rows = Sequence[Mapping[str, Any]]


def score_card(runs: pl.DataFrame, cycles: Mapping[str, str], events: Rows) -> dict[str, Any]:
    """Return a row for all and one per department, each with its history by month, and the time of the last run.

    `runs`: rows of `ops.runs`; `cycles`: dataset agreed → its update cycle; `events`: releases and withdrawals as the
    portal's log has them (`kind`, `dataset`, `version`, `at`). Shares are 0 to 1, None where there is nothing to judge;
    those of a month's end are of what is agreed today. Only counts and shares leave this function.
    """
    judged = runs.filter(pl.col("stage") == "conform").sort("recorded_at")
    judged = judged.unique(["dataset", "batch"], keep="last", maintain_order=True)
    landed = runs.filter(pl.col("stage") == "land").sort("recorded_at")
    first = landed.unique(["dataset", "batch"], keep="first", maintain_order=True)
    received = {(row["dataset"], row["batch"]): row["recorded_at"] for row in first.iter_rows(named=True)}
    rows = [
        row | {
            "received": received.get((row["dataset"], row["batch"])),
            "repairs": json.loads(row["extra"] or "{}").get("repairs"),
        }
        for row in judged.iter_rows(named=True)
    ]
    links, closed = _links(runs), closings(runs, rows)
    departments = sorted({name.partition("/")[0] for name in (*cycles, *(event["dataset"] for event in events))})
    last = runs["recorded_at"].max()
    return {
        "as_of": last.astimezone(UTC).isoformat(timespec="seconds") if isinstance(last, datetime) else None,
        "all": _scores(rows, cycles, events, {}, closed),
        "departments": [
            {"department": name} | _scores(
                [row for row in rows if _of(row) == name],
                {dataset: one for dataset, one in cycles.items() if dataset.partition("/")[0] == name},
                [event for event in events if _of(event) == name],
                {month: told[name] for month, told in links.items() if name in told},
                [one for one in closed if one.dataset.partition("/")[0] == name],
            )
            for name in departments
        ],
    }  # fmt: skip


def _scores(
    rows: Rows, cycles: Mapping[str, str], events: Rows, links: Mapping[str, Mapping[str, int]],
    closed: Sequence[Closing],
) -> dict[str, Any]:
    """Return the scores of some datasets as they stand and by month; `links`: month → subjects and linked ones."""
    months = sorted({_month(row) for row in rows} | {event["at"][:7] for event in events} | set(links))
    history = []
    for month in months:
        some = [row for row in rows if _month(row) == month]
        history.append(
            {"month": month, "deliveries": len(_delivered(some)), "timeliness": _timely(some, cycles),
             "quality": _sound(some), **_repaired(rows, closed, month)}
            | _shares(_collected(rows, month) & set(cycles), _opened(events, month), cycles)
            | {"linkage": _linked(links.get(month))}
        )
    collected, opened = _collected(rows) & set(cycles), _opened(events)
    return {
        "agreed": len(cycles), "collected": len(collected), "opened": len(opened), "deliveries": len(_delivered(rows)),
        "timeliness": _timely(rows, cycles), "quality": _sound(rows), **_repaired(rows, closed),
        **_shares(collected, opened, cycles),
        "linkage": _linked(links[max(links)]) if links else None, "history": history,
    }  # fmt: skip


def _shares(collected: Collection[str], opened: Collection[str], cycles: Mapping[str, str]) -> dict[str, Any]:
    """Return the plan's two measures: shares of the datasets agreed that are collected and that are open."""
    return {
        "completeness": _share(len(collected), len(cycles)),
        "openness": _share(len(set(opened) & set(cycles)), len(cycles)),
    }


def _collected(rows: Rows, until: str = "9999") -> set[str]:
    return {row["dataset"] for row in rows if _month(row) <= until}


def _opened(events: Rows, until: str = "9999") -> set[str]:
    """Return the datasets that had a version on offer when a month ended."""
    known = [event for event in events if event["at"][:7] <= until]
    gone = {(event["dataset"], event["version"]) for event in known if event["kind"] == "withdrawal"}
    return {event["dataset"] for event in known if (event["dataset"], event["version"]) not in gone}


def _links(runs: pl.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    """Return month → department → subjects and linked ones over all registers, as last counted in that month."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    counted = runs.filter(pl.col("stage") == "maintain").sort("recorded_at")
    for row in counted.iter_rows(named=True):
        told = json.loads(row["extra"] or "{}").get("linkage")
        if told:
            sums: dict[str, dict[str, int]] = {}
            for register in told.values():
                for name, one in register.items():
                    before = sums.get(name, {"subjects": 0, "linked": 0})
                    sums[name] = {key: before[key] + one[key] for key in before}
            found[_month(row)] = sums
    return found


def _linked(counts: Mapping[str, int] | None) -> float | None:
    """Return the share of linked subjects in whole percent; None for few subjects."""
    if counts is None or counts["subjects"] < LEAST_SUBJECTS:
        return None
    return round(counts["linked"] / counts["subjects"], 2)


def _of(row: Mapping[str, Any]) -> str:
    return str(row["dataset"]).partition("/")[0]


def _month(row: Mapping[str, Any]) -> str:
    return f"{row['recorded_at']:%Y-%m}"


def _timely(rows: Rows, cycles: Mapping[str, str]) -> float | None:
    """Return the share of deliveries landed within one cycle of their data date."""
    told = []
    for row in _delivered(rows):
        allowed = ALLOWED_DAYS.get(cycles.get(row["dataset"], ""))
        if allowed is not None and row["received"] is not None:
            told.append((row["received"].date() - date.fromisoformat(row["batch"][:10])).days <= allowed)
    return _share(sum(told), len(told))


def _sound(rows: Rows) -> float | None:
    """Return the share of delivered rows, repetitions aside, that were accepted."""
    own = _delivered(rows)
    return _share(sum(row["accepted"] for row in own), sum(row["delivered"] - row["duplicates"] for row in own))


def _repaired(rows: Rows, closed: Sequence[Closing], until: str = "9999") -> dict[str, Any]:
    """Return the share of rejected rows that came back sound, and after how many days half of these did."""
    done = [one for one in closed if one.month <= until]
    rejected = sum(row["quarantined"] for row in _delivered(rows) if _month(row) <= until)
    mended = min(sum(one.rows for one in done), rejected)  # a contract may be relaxed since
    return {"repaired": _share(mended, rejected), "repair_days": median_days(done)}


def _delivered(rows: Rows) -> Rows:
    """Return the batches that are deliveries, not repairs of one."""
    return [row for row in rows if not row["repairs"]]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
