"""What a lake holds and did, in one page: accounting, registers, releases, seconds, and a search for identifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from jobs import layers
from jobs.operation.leaks import written
from jobs.operation.score import score
from jobs.releases import listing
from jobs.sets.runs import STARTED
from jobs.storage.court import Court
from jobs.storage.ledgers import REGISTERS, Ledger
from jobs.storage.tables import Lake

COUNTS = ("delivered", "accepted", "quarantined", "duplicates", "withheld")
LEAST_RELEASES = 4
PLANTED = ("reused", "filler", "nothing", "scientific", "spreadsheet_tail", "wrong_check")  # keys that mislead
NUMBER_LIKE = r"[0-9A-Za-z]{11,18}"
PLACES = ("gold", *(zone.value for zone in layers.ZONES), "logs", "runs", "airflow's database", "left in ops")


@dataclass
class Found:
    """Hold what the summary shows."""

    accounting: list[dict[str, Any]] = field(default_factory=list)
    registers: list[dict[str, Any]] = field(default_factory=list)
    cases: list[dict[str, Any]] = field(default_factory=list)
    score: list[dict[str, Any]] = field(default_factory=list)
    releases: list[dict[str, Any]] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)
    identifiers: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def collect(lake: Lake, truth: Path | None = None) -> Found:
    """Gather the summary of a lake; with a synthetic city's truth, search gold, open and logs for its identifiers."""
    found, runs = Found(), lake.runs().filter(pl.col("outcome") != STARTED)
    judged = runs.filter(pl.col("stage") == "conform").unique(["dataset", "batch"], keep="last", maintain_order=True)
    counted = [pl.len().alias("batches"), *[pl.col(count).sum() for count in COUNTS]]
    sums = judged.group_by("dataset", maintain_order=True).agg(counted)
    found.accounting = list(sums.sort("dataset").iter_rows(named=True))
    for row in judged.iter_rows(named=True):
        if row["delivered"] != sum(row[name] for name in COUNTS[1:]):
            found.problems.append(f"{row['dataset']} {row['batch']}: the accounting does not balance.")
    for name in lake.catalogue.registers:
        ledger = Ledger(lake, name)
        if lake.has(REGISTERS, ledger.versions):
            found.registers.append(_register(ledger))
            found.cases += _cases(lake, name)
    found.releases = [
        {**row, "path": str(layers.release_path(row["dataset"], row["version"], layers.Layer(row["zone"])))}
        for row in listing.releases(lake)
    ]
    found.problems += [
        f"{row['dataset']} {row['version']}: the release is damaged." for row in found.releases
        if row["status"] == "damaged"
    ]
    seconds = runs.group_by("stage", maintain_order=True).agg(pl.len().alias("runs"), pl.col("seconds").sum().round(1))
    found.stages = list(seconds.iter_rows(named=True))
    if truth is not None:
        found.score = score(lake, truth)
        found.problems += [
            f"{row['wrong']} wrong merges in {row['register']} among rows of class {row['dirt']}."
            for row in found.score if row["wrong"] and row["dirt"] in PLANTED
        ]
        found.identifiers = _planted(lake, pl.read_parquet(truth / "identifiers.parquet")["value"])
        leaks = [(place, count) for place, count in found.identifiers.items() if count]
        found.problems += [f"{count} planted identifiers in {place}." for place, count in leaks]
        good = {row["dataset"] for row in found.releases if (row["kept_share"] or 0) >= 0.7}
        if len(good) < LEAST_RELEASES:
            found.problems.append(f"only {len(good)} releases keep 70 % of their rows.")
    return found


def show(found: Found, seconds: float, peak_bytes: int) -> None:
    """Print the summary."""
    from jobs.commands.printing import table

    table(found.accounting, ("dataset", "batches", *COUNTS), title="Accounting")
    states = ("entities", "active", "ended", "contested", "claims", "held")
    table(found.registers, ("register", *states), title="Registers")
    if found.cases:
        table(found.cases, ("register", "kind", "state", "cases"), title="Cases")
    if found.score:
        columns = ("register", "dirt", "claims", "held", "precision", "recall", "wrong")
        table(found.score, columns, title="Reconciliation against the truth")
    table(found.releases, ("dataset", "version", "rows", "smallest_group", "kept_share", "path"), title="Releases")
    table(found.stages, ("stage", "runs", "seconds"), title="Seconds per stage")
    if found.identifiers:
        rows = [{"searched": place, "identifiers": count} for place, count in found.identifiers.items()]
        table(rows, ("searched", "identifiers"), title="Planted identifiers found")
    print(f"{seconds:.0f} s, peak memory of all processes {peak_bytes / 2**30:.1f} GiB")


def _register(ledger: Ledger) -> dict[str, Any]:
    return {"register": ledger.register, **ledger.counts()}


def _cases(lake: Lake, register: str) -> list[dict[str, Any]]:
    counts = Court(lake, register).cases().group_by("kind", "state").agg(pl.len().alias("cases"))
    return [{"register": register, **row} for row in counts.sort("kind", "state").iter_rows(named=True)]


def _planted(lake: Lake, values: pl.Series) -> dict[str, int]:
    """Return how many planted identifiers occur in gold, in open, and in anything a process wrote as text."""
    texts: dict[str, list[pl.Series]] = {place: [] for place in PLACES}
    for one in written(lake):
        texts[one.place].append(one.texts)
    return {place: occurring(some, values) for place, some in texts.items()}


def occurring(texts: Sequence[pl.Series], values: pl.Series) -> int:
    """Return how many of some values occur in texts."""
    if not texts:
        return 0
    words = pl.concat(texts).unique().str.extract_all(NUMBER_LIKE).explode().unique()
    return int(words.is_in(values.implode()).sum())
