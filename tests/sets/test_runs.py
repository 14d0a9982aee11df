"""What records of runs say of batches."""

from __future__ import annotations

import polars as pl

from jobs.sets.runs import accepted, interrupted, judged, retracted, withdrawn


def runs(*told: tuple[str, str, str]) -> pl.DataFrame:
    """Records of one dataset in order of time, as (stage, batch, outcome)."""
    rows = [(stage, "a/b", batch, outcome, '{"contract": "c"}') for stage, batch, outcome in told]
    return pl.DataFrame(rows, schema=["stage", "dataset", "batch", "outcome", "extra"], orient="row")


def test_the_latest_run_counts_and_one_that_only_began_does_not() -> None:
    told = runs(
        ("conform", "1", "withheld"), ("conform", "2", "done"), ("conform", "1", "done"), ("conform", "2", "started")
    )
    latest = judged(told, "conform", "a/b")
    assert [(batch, row["outcome"]) for batch, row in latest.items()] == [("2", "done"), ("1", "done")]
    assert interrupted(told, "conform", "a/b") == {"2"}
    assert judged(told, "conform", "a/c") == {}


def test_a_withdrawn_batch_is_not_accepted_and_a_reinstated_one_waits_for_its_judgement() -> None:
    told = [("conform", "1", "done"), ("conform", "2", "withheld"), ("retract", "1", "retracted")]
    assert (withdrawn(runs(*told), "a/b"), accepted(runs(*told), ["a/b"])) == ({"1"}, set())
    told.append(("retract", "1", "reinstated"))
    assert (withdrawn(runs(*told), "a/b"), accepted(runs(*told), ["a/b"])) == (set(), set())
    told.append(("conform", "1", "done"))
    assert accepted(runs(*told), ["a/b", "a/c"]) == {("a/b", "1", "c")}


def test_a_repair_goes_with_the_delivery_it_repairs() -> None:
    told = runs(("conform", "1", "done"), ("conform", "2", "done"), ("retract", "1", "retracted"))
    repairing = told.with_columns(extra=pl.Series(["{}", '{"contract": "c", "repairs": "1"}', "{}"]))
    assert (accepted(told, ["a/b"]), accepted(repairing, ["a/b"])) == ({("a/b", "2", "c")}, set())
    assert (retracted(told, "a/b"), retracted(repairing, "a/b"), retracted(repairing, "a/c")) == (
        {"1"}, {"1", "2"}, set())


def test_a_repair_that_has_only_landed_goes_too_and_comes_back_with_its_delivery() -> None:
    told = [("land", "1", "done"), ("retract", "1", "retracted"), ("land", "2", "done"), ("land", "3", "done")]
    extra = pl.Series(["{}", "{}", '{"files": [], "repairs": "1"}', '{"repairs": "0"}'])
    assert retracted(runs(*told).with_columns(extra=extra), "a/b") == {"1", "2"}
    undone = runs(*told, ("retract", "1", "reinstated")).with_columns(extra=extra.append(pl.Series(["{}"])))
    assert retracted(undone, "a/b") == set()
