"""The score card: shares that follow from the run records, and nothing but counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl

from jobs.portal.scorecard import score_card

CYCLES = {"health/visits": "daily", "health/beds": "weekly", "police/people": "irregular"}


def _run(stage: str, batch: str, at: datetime, dataset: str = "health/visits", **counts: int) -> dict[str, Any]:
    zero = dict.fromkeys(("delivered", "accepted", "quarantined", "duplicates", "withheld"), 0)
    return {"stage": stage, "dataset": dataset, "batch": batch, "outcome": "done", **zero, **counts,
            "notes": '["a name"]', "extra": "{}", "recorded_at": at}  # fmt: skip


def _event(day: str, kind: str = "release", dataset: str = "health/visits", version: str = "1.0.0") -> dict[str, str]:
    return {"kind": kind, "dataset": dataset, "version": version, "at": f"{day}T00:00:00Z"}


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
    health, police = score_card(_runs(), CYCLES, [_event("2026-01-05")])["departments"]
    assert health["deliveries"] == 2
    assert health["timeliness"] == 0.5
    assert health["completeness"] == 0.5
    assert health["quality"] == round(17 / 20, 4)
    assert (health["collected"], health["agreed"], health["opened"]) == (1, 2, 1)
    assert [month["month"] for month in health["history"]] == ["2026-01", "2026-02"]
    assert police["timeliness"] is None


def test_shares_collected_and_open_are_those_of_each_months_end() -> None:
    events = [
        _event("2026-01-05"), _event("2026-02-03", "withdrawal"), _event("2026-03-01", version="1.0.1"),
        _event("2026-03-01", dataset="products/headcount"),
    ]
    card = score_card(_runs(), CYCLES, events)
    health = next(one for one in card["departments"] if one["department"] == "health")
    told = {month["month"]: (month["completeness"], month["openness"]) for month in health["history"]}
    assert told == {"2026-01": (0.5, 0.5), "2026-02": (0.5, 0.0), "2026-03": (0.5, 0.5)}
    assert (card["all"]["completeness"], card["all"]["openness"]) == (round(2 / 3, 4), round(1 / 3, 4))
    assert (card["all"]["opened"], card["all"]["agreed"]) == (2, 3)


def test_linkage_is_the_last_count_of_a_month_in_whole_percent_and_nothing_for_few() -> None:
    def night(day: datetime, health: tuple[int, int], police: tuple[int, int]) -> dict[str, Any]:
        counts = {name: {"subjects": all_, "linked": some} for name, (all_, some) in
                  (("health", health), ("police", police))}  # fmt: skip
        told = {"linkage": {"person": counts, "organisation": {"health": {"subjects": 100, "linked": 0}}}}
        return _run("maintain", f"{day:%Y-%m-%d}", day, "lake") | {"extra": json.dumps(told)}

    first, second = datetime(2026, 1, 30, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
    runs = pl.concat([_runs(), pl.DataFrame([night(first, (100, 99), (19, 19)), night(second, (201, 200), (20, 19))])])
    health, police = score_card(runs, CYCLES, [])["departments"]
    assert [month["linkage"] for month in health["history"]] == [0.49, 0.66]
    assert health["linkage"] == 0.66
    assert [month["linkage"] for month in police["history"]] == [None, 0.95]


def test_mended_rows_count_against_the_rows_rejected_and_their_batch_is_no_delivery() -> None:
    day = datetime(2026, 2, 10, tzinfo=UTC)
    mended = _run("conform", "2026-01-02-d", day, delivered=2, accepted=1, quarantined=1)
    runs = pl.concat([_runs(), pl.DataFrame([mended | {"extra": json.dumps({"repairs": "2026-01-02-b"})}])])
    health, police = score_card(runs, CYCLES, [])["departments"]
    assert health["repaired"] == round(1 / 3, 4)
    assert health["repair_days"] == 9, "from the first judgement of the delivery"
    assert police["repair_days"] is None
    assert [month["repaired"] for month in health["history"]] == [0.0, round(1 / 3, 4)]
    assert (health["deliveries"], health["quality"]) == (2, round(17 / 20, 4))
    assert police["repaired"] is None


def test_days_to_a_repair_count_from_the_judgement_that_let_the_delivery_pass() -> None:
    day = datetime(2026, 2, 10, tzinfo=UTC)
    mended = _run("conform", "2026-01-02-d", day, delivered=1, accepted=1)
    withheld = _run("conform", "2026-01-02-b", datetime(2026, 1, 10, tzinfo=UTC), delivered=11, withheld=11)
    given = [withheld | {"outcome": "withheld"}, mended | {"extra": json.dumps({"repairs": "2026-01-02-b"})}]
    health, _ = score_card(pl.concat([_runs(), pl.DataFrame(given)]), CYCLES, [])["departments"]
    assert health["repair_days"] == 9


def test_rows_that_a_later_delivery_brought_anew_are_repaired_too_once() -> None:
    first, again = (datetime(2026, 2, day, tzinfo=UTC) for day in (4, 20))
    given = [
        _run("give_back", "2026-01-02-b", at) | {"extra": json.dumps({"overtaken": count})}
        for at, count in ((first, 1), (again, 1), (again, 2))
    ]
    health, police = score_card(pl.concat([_runs(), pl.DataFrame(given)]), CYCLES, [])["departments"]
    assert (health["repaired"], health["repair_days"]) == (round(2 / 3, 4), 3)
    assert police["repaired"] is None


def test_without_runs_there_is_nothing_to_judge() -> None:
    empty = _runs().clear()
    card = score_card(empty, CYCLES, [])
    assert card["as_of"] is None
    assert [one["quality"] for one in card["departments"]] == [None, None]


def test_no_note_of_a_run_reaches_the_card() -> None:
    assert "a name" not in str(score_card(_runs(), CYCLES, []))
