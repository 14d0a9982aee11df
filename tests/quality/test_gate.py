"""The quality gate: a contract's terms as Great Expectations judge them."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from jobs.batch import StageReport
from jobs.contract import Contract
from jobs.quality.docs import offline
from jobs.quality.gate import bounds, judge, profile, validate

TITLE = {"en": "x", "zh": "x"}
SHARED = {
    "silver": [
        {"metric": "quarantined_share", "max": 0.5, "severity": "error", "title": {"en": "half rejected"}},
        {"metric": "quarantined_share", "max": 0.1, "severity": "warn", "title": {"en": "a tenth rejected"}},
    ]
}


def _contract(**changes: Any) -> Contract:
    return Contract.model_validate(
        {
            "name": "a/b", "title": TITLE, "description": TITLE, "steward": "a@b.example",
            "source": {"reader": "csv", "path": "a/b.csv"},
            "fields": {"number": {"from": "n", "type": "text"}, "place": {"from": "p", "type": "text"}},
            **changes,
        }
    )


def _judged(contract: Contract, figures: dict[str, float]) -> dict[tuple[str, str], bool]:
    """Return which terms hold, as Great Expectations judges them; the gate's own verdict must be the same."""
    terms = bounds(contract, SHARED)
    result = validate(figures, terms, "a__b")
    found = {(term.rule, term.severity): one["success"] for term, one in zip(terms, result["results"], strict=True)}
    verdict = judge(figures, terms)
    missed = [text.partition(":")[0] for text in verdict.failed]
    wanted = sorted(rule for (rule, severity), held in found.items() if severity == "error" and not held)
    assert sorted(missed) == wanted
    assert set(verdict.warned) == {rule for (rule, severity), held in found.items() if severity == "warn" and not held}
    return found


def test_each_term_is_judged_with_its_own_severity() -> None:
    figures = {"delivered": 100.0, "quarantined_share": 0.2, "duplicate_share": 0.0}
    assert _judged(_contract(), figures) == {
        ("rows.min", "error"): True, ("table.quarantined_share", "error"): True,
        ("table.quarantined_share", "warn"): False,
    }


def test_a_batch_without_a_record_is_withheld_unless_the_contract_allows_for_it() -> None:
    figures = {"delivered": 0.0, "quarantined_share": 0.0}
    assert _judged(_contract(), figures)["rows.min", "error"] is False
    assert ("rows.min", "error") not in _judged(_contract(rows={"min": 0}), figures)


@pytest.mark.parametrize(
    ("delivered", "fewest", "most"),
    [(5, False, True), (10, True, True), (50, True, True), (100, True, True), (101, True, False)],
)
def test_a_delivery_outside_its_row_envelope_is_noticed(delivered: int, fewest: bool, most: bool) -> None:
    found = _judged(_contract(rows={"min": 10, "max": 100}), {"delivered": float(delivered), "quarantined_share": 0.0})
    assert (found["rows.min", "error"], found["rows.max", "warn"]) == (fewest, most)


def test_table_rules_are_measured_over_the_accepted_rows() -> None:
    contract = _contract(
        expect=[
            {"rule": "unique", "columns": ["number"]},
            {"rule": "null_share_below", "column": "place", "max": 0.3, "severity": "warn"},
        ]
    )
    rows = pl.LazyFrame({"number": ["1", "1", "2"], "place": [None, "x", "y"]})
    report = StageReport("conform", "a/b", f"{date(2026, 1, 1)}-x", delivered=4, accepted=3, quarantined=1)
    figures = profile(rows, contract, report)
    assert (figures["unique__number"], round(figures["null_share_below__place"], 2)) == (1.0, 0.33)
    found = _judged(contract, figures)
    assert (found["table.unique", "error"], found["table.null_share_below", "warn"]) == (False, False)


def test_a_data_docs_page_calls_no_other_host() -> None:
    page = (
        '<head><link rel="stylesheet" href="https://cdn.example/x.css">'
        '<script src="//cdn.example/x.js"></script></head>'
        '<img src="https://counter.example/pixel.gif?id=1"><p>kept</p>'
    )
    assert "example" not in offline(page)
    assert "<p>kept</p>" in offline(page)
