"""What a frozen model says: edges, cases, nothing; and what it says no more is taken back."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import polars as pl

from jobs.registers.assertions import DIFFERENT, SAME, in_force
from jobs.registers.linked import handing_in, linked
from tests.registers.firms import BLUE, FIRM, RED, claim, decided, entities, kinds_of, resolve

BORN, OTHER = date(1990, 1, 1), date(1999, 9, 9)
RECORDS = pl.DataFrame(
    [("A2", "organisation_code", RED, BORN), ("U1", "unkeyed", RED, BORN), ("U2", "unkeyed", RED, None),
     ("U3", "unkeyed", BLUE, OTHER), ("U4", "unkeyed", "紅星機械製造廠", None)],
    orient="row", schema={"_entity_id": pl.String, "_kind": pl.String, "name": pl.String, "established_on": pl.Date},
).with_columns(representative=pl.lit(None, pl.String), phone=pl.lit(None, pl.String))
ROWS = [claim("A2", day=1, name=RED, established_on=BORN)] + [
    {**claim("A2", day=day, name=name), "_key_id": f"U{day - 1}", "_kind": "unkeyed",
     "_keys": [{"kind": "unkeyed", "id": f"U{day - 1}"}]}
    for day, name in ((2, RED), (3, RED), (4, BLUE), (5, RED))
]


def said(*pairs: tuple[str, str, float], at: str = "2026-03-01T08:00:00Z") -> pl.DataFrame:
    table = pl.DataFrame(pairs, orient="row", schema=["left", "right", "probability"])
    return linked(table, RECORDS, FIRM, "abc", 0.99, at)


def test_a_sure_pair_is_an_edge_an_unsure_one_a_case_and_a_sure_one_that_contradicts_a_case_too() -> None:
    found = said(("A2", "U1", 0.999), ("A2", "U2", 0.7), ("A2", "U3", 0.999), ("A2", "U4", 0.995))
    assert dict(found.select("subject", "judgement").rows()) == {
        "A2+U1": SAME, "A2+U2": "unsure", "A2+U3": "unsure", "A2+U4": SAME,
    }
    whole = resolve(*ROWS, handed=found.to_dicts())
    assert entities(whole) == {"A2": [1, 2, 5], "U2": [3], "U3": [4]}
    assert kinds_of(whole) == [("linked", "open")] * 2
    assert sorted(whole.cases["confidence"]) == [0.7, 0.999]


def test_a_persons_decision_wins_over_the_model_and_stays_when_the_model_is_run_again() -> None:
    first = said(("A2", "U2", 0.7)).to_dicts()
    joined = [*first, *decided(resolve(*ROWS, handed=first), SAME)]
    assert entities(resolve(*ROWS, handed=joined))["A2"] == [1, 3]
    apart = [*decided(resolve(*ROWS, handed=first), DIFFERENT), *said(("A2", "U2", 0.999), at="2026-04-01").to_dicts()]
    assert entities(resolve(*ROWS, handed=apart))["A2"] == [1]
    again = [*joined, *said(("A2", "U2", 0.71), at="2026-04-01").to_dicts()]
    assert kinds_of(resolve(*ROWS, handed=again)) == [("linked", "decided")]


def test_running_again_hands_in_what_is_new_and_takes_back_what_is_said_no_more() -> None:
    def force(*entries: Any) -> pl.DataFrame:
        return in_force(pl.DataFrame(entries, schema=said(("A2", "U1", 0.9)).schema).with_columns(_commit=pl.lit(0)))

    first = handing_in(force(), said(("A2", "U1", 0.999), ("A2", "U2", 0.7)), "2026-03-01")
    assert len(first) == 2
    assert handing_in(force(*first), said(("A2", "U1", 0.999), ("A2", "U2", 0.7), at="2026-03-02"), "2026-03-02") == []
    later = handing_in(force(*first), said(("A2", "U1", 0.999), at="2026-03-03"), "2026-03-03")
    assert [one["judgement"] for one in later] == ["undo"]
    assert force(*first, *later)["subject"].to_list() == ["A2+U1"]
    both = said(("A2", "U1", 0.999), ("A2", "U2", 0.7), at="2026-03-04")
    back = handing_in(force(*first, *later), both, "2026-03-04")
    assert sorted(force(*first, *later, *back)["subject"]) == ["A2+U1", "A2+U2"]


def test_a_case_keeps_what_its_weight_comes_of_and_an_edge_does_not() -> None:
    pairs = [("A2", "U1", 0.999), ("A2", "U2", 0.7)]
    table = pl.DataFrame(pairs, orient="row", schema=["left", "right", "probability"])
    weights = {("A2", "U1"): [("name: equal", 9.0)], ("A2", "U2"): [("prior", -4.25), ("name: equal", 5.5)]}
    found = linked(table, RECORDS, FIRM, "abc", 0.99, "2026-03-01T08:00:00Z", weights)
    kept = {row["subject"]: json.loads(row["evidence"]) for row in found.iter_rows(named=True)}
    assert kept["A2+U2"]["weights"] == [["prior", -4.25], ["name: equal", 5.5]]
    assert "weights" not in kept["A2+U1"]
    before = said(("A2", "U2", 0.7)).to_dicts()
    settled = [*before, *decided(resolve(*ROWS, handed=before), DIFFERENT)]
    force = in_force(pl.DataFrame(before, schema=found.schema).with_columns(_commit=pl.lit(0)))
    weighed = handing_in(force, found.filter(pl.col("subject") == "A2+U2"), "2026-04-01")
    assert sorted(one["judgement"] for one in weighed) == ["undo", "unsure"]
    assert kinds_of(resolve(*ROWS, handed=[*settled, *weighed])) == [("linked", "decided")]
