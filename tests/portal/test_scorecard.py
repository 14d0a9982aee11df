"""The score card: shares that follow from the run records, and nothing but counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl

from jobs.portal.scorecard import score_card

CYCLES = {"health/visits": "daily", "health/beds": "weekly", "police/people": "irregular"}


def _run(stage: str, batch: str, at: datetime, dataset: str = "health/visits", **counts: int) -> dict[str, Any]:
    zero = dict.fromkeys(("delivered", "accepted", "quarantined", "duplicates", "withheld"), 0)
    return {"stage": stage, "dataset": dataset, "batch": batch, "outcome": "done", **zero, **counts,
            "notes": '["a name"]', "recorded_at": at}  # fmt: skip


def _runs() -> pl.DataFrame:
    day, late, month = (datetime(2026, *one, tzinfo=UTC) for one in ((1, 2), (1, 9), (2, 1)))
    return pl.DataFrame(
        [
            _run("land", "2026-01-01-a", day), _run("conform", "2026-01-01-a", day, delivered=10, quarantined=10),
            _run("conform", "2026-01-01-a", late, delivered=10, accepted=8, quarantined=1, duplicates=1),
            _run("land", "2026-01-02-b", late),
            _run("conform", "2026-01-02-b", month, delivered=11, accepted=9, quarantined=2),
            _run("land", "2026-01-01-c", month, "police/people"),
            _run("conform", "2026-01-01-c", month, "police/people", delivered=1, accepted=1),
        ]
    )


def test_the_latest_judgement_of_a_batch_counts_and_its_first_arrival() -> None:
    health, police = score_card(_runs(), CYCLES, {"health/visits"})["departments"]
    assert health["deliveries"] == 2
    assert health["timeliness"] == 0.5
    assert health["completeness"] == 0.5
    assert health["quality"] == round(17 / 20, 4)
    assert (health["collected"], health["agreed"], health["opened"]) == (1, 2, 1)
    assert [month["month"] for month in health["history"]] == ["2026-01", "2026-02"]
    assert police["timeliness"] is None


def test_without_runs_there_is_nothing_to_judge() -> None:
    empty = _runs().clear()
    card = score_card(empty, CYCLES, set())
    assert card["as_of"] is None
    assert [one["quality"] for one in card["departments"]] == [None, None]


def test_no_note_of_a_run_reaches_the_card() -> None:
    assert "a name" not in str(score_card(_runs(), CYCLES, set()))
