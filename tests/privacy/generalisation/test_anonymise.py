"""Rows made safe: what leaves meets the criteria, nothing else leaves, hierarchies are ARX's."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.cli import app
from jobs.errors import ReleaseRefused, RequestError
from jobs.privacy.generalisation.anonymise import generalise
from jobs.privacy.generalisation.hierarchies import Hierarchy, from_steps, ladder, read_hierarchy, write_hierarchy
from jobs.privacy.generalisation.lattice import Criteria
from jobs.privacy.risk.measure import measure
from jobs.rows.protection import coarsen
from jobs.rows.protection import ladder as steps_of

AGES = "20;20-29;*\n25;20-29;*\n31;30-39;*\n38;30-39;*\n"
SEXES = "f;*\nm;*\n"
HIERARCHIES = {"age": read_hierarchy(AGES, "age"), "sex": read_hierarchy(SEXES, "sex")}
ROWS = pl.DataFrame(
    {
        "name": [f"person {i}" for i in range(9)],
        "age": [20, 20, 25, 25, 31, 31, 38, 38, 38],
        "sex": ["f", "m", "f", "m", "f", "f", "m", None, None],
        "illness": list("abababaab"),
    }
)


def test_rows_leave_in_groups_and_nothing_unnamed_leaves() -> None:
    made = generalise(ROWS.lazy(), ["age", "sex"], HIERARCHIES, Criteria(4, 2), sensitive=["illness"], suppression=0)
    assert made.rows.columns == ["age", "sex", "illness"]
    assert made.rows.height == 9
    found = measure(made.rows.lazy(), ["age", "sex"], ["illness"])
    assert found["k"] == made.report["k"] >= 4
    assert found["l_distinct"]["illness"] >= 2
    assert made.report["levels"] == {"age": 1, "sex": 1}
    assert made.report["search"]["optimal"]


def test_kept_values_of_any_kind_stay_with_their_rows_in_bytewise_order() -> None:
    kept = pl.DataFrame({
        "paid": [2.5, None, -1.0, float("inf"), 0.0, 1e300, 2.5, -0.5, 2.5],
        "on": [date(2020, 1, n) if n % 3 else None for n in range(1, 10)],
        "said": ["", "乙", None, "b", "B", "é", "*", "b", "a"],
        "sure": [True, None, False, True, True, False, None, None, True],
        "fee": pl.Series([10, 2, 33, 4, 4, 4, 2, None, 1], dtype=pl.Decimal(24, 4)),
        "kind": pl.Series(list("zyxzyxzyx"), dtype=pl.Categorical),
    })
    rows = pl.concat([ROWS.select("age", "sex"), kept], how="horizontal")
    made = generalise(rows.lazy(), ["age", "sex"], HIERARCHIES, Criteria(9), keep=kept.columns, suppression=0)
    assert set(made.rows["age"]) == set(made.rows["sex"]) == {"*"}
    expected = kept.with_columns(pl.col("kind").cast(pl.String))
    assert made.rows.select(kept.columns).with_columns(pl.col("kind").cast(pl.String)).rows() == expected.sort(
        expected.columns
    ).rows()
    with pytest.raises(RequestError, match="neither text nor numbers"):
        generalise(rows.with_columns(many=[1]).lazy(), ["age"], HIERARCHIES, Criteria(1), keep=["many"])


def test_suppressed_rows_and_rows_of_failing_groups_are_not_among_those_that_leave() -> None:
    stars = {"*": "*", "20": "20-29", "38": "30-39"}
    own = {
        "age": Hierarchy("age", (tuple(stars), tuple(stars.values()), ("*",) * 3)),
        "sex": Hierarchy("sex", (("*", "f", "m"), ("*",) * 3)),
    }
    rows = pl.DataFrame({"age": ["20"] * 6 + ["*"] * 3 + ["38"], "sex": ["f"] * 6 + ["*"] * 3 + ["m"]})
    made = generalise(rows.lazy(), ["age", "sex"], own, Criteria(5), suppression=0.2)
    assert (made.report["n"], made.report["kept"], made.report["suppressed"]) == (7, 6, 1)
    assert made.rows.rows() == [("20", "f")] * 6


def test_rows_that_stand_out_are_left_out_up_to_the_limit() -> None:
    rows = pl.DataFrame({"age": ["20"] * 9 + ["38"], "sex": ["f"] * 10})
    made = generalise(rows.lazy(), ["age", "sex"], HIERARCHIES, Criteria(5), suppression=0.1)
    assert (made.report["levels"], made.report["suppressed"]) == ({"age": 0, "sex": 0}, 1)
    assert made.rows["age"].unique().to_list() == ["20"]
    whole = generalise(rows.lazy(), ["age", "sex"], HIERARCHIES, Criteria(5), suppression=0.09)
    assert (whole.report["levels"]["age"], whole.rows.height) == (2, 10)


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["20", "25", "31", "38", None]), st.sampled_from(["f", "m", None]), st.integers(0, 2)
        ),
        min_size=3, max_size=30,
    ),
    k=st.integers(1, 5),
    diversity=st.integers(1, 2),
)
def test_whatever_leaves_meets_the_criteria(rows: list[tuple[str, str, int]], k: int, diversity: int) -> None:
    table = pl.DataFrame(rows, schema={"age": pl.String, "sex": pl.String, "s": pl.Int64}, orient="row")
    try:
        made = generalise(
            table.lazy(), ["age", "sex"], HIERARCHIES, Criteria(k, diversity), sensitive=["s"], suppression=0.3
        )
    except ReleaseRefused:
        return
    assert made.report["suppressed"] <= 0.3 * table.height
    if made.rows.height:
        sizes = made.rows.group_by("age", "sex").agg(pl.len(), pl.col("s").n_unique())
        assert sizes["len"].min() >= k
        assert sizes["s"].min() >= diversity


def test_what_cannot_be_met_is_refused() -> None:
    with pytest.raises(ReleaseRefused, match="no generalisation"):
        generalise(ROWS.lazy(), ["age", "sex"], HIERARCHIES, Criteria(10), suppression=0)
    with pytest.raises(ReleaseRefused, match="no row"):
        generalise(ROWS.head(0).lazy(), ["age", "sex"], HIERARCHIES, Criteria(2))


@pytest.mark.parametrize(
    ("quasi", "criteria", "suppression"),
    [
        (["age", "illness"], Criteria(2), 0.0), (["age"], Criteria(0), 0.0), (["age"], Criteria(2, 2), 0.0),
        (["age"], Criteria(2), 1.0), (["age"], Criteria(2, t=-0.1), 0.0),
    ],
)
def test_a_bad_request_is_refused(quasi: list[str], criteria: Criteria, suppression: float) -> None:
    with pytest.raises(RequestError):
        generalise(ROWS.lazy(), quasi, HIERARCHIES, criteria, suppression=suppression)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"), ("a;*\nb\n", "another number"), ("a;*\na;*\n", "twice"),
        ("a;x;1\nb;x;2\n", "leads to two"),
    ],
)
def test_a_text_that_is_no_hierarchy_is_refused(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_hierarchy(text, "a")


def test_a_value_outside_its_hierarchy_is_counted_never_quoted() -> None:
    rows = pl.DataFrame({"age": ["20", "secret", "other"]})
    with pytest.raises(RequestError, match="lacks 2") as caught:
        generalise(rows.lazy(), ["age"], HIERARCHIES, Criteria(1))
    assert "secret" not in str(caught.value)


def test_hierarchies_are_written_as_they_are_read() -> None:
    odd = Hierarchy("a", (("x;y", 'q"', "z"), ("*", "*", "*")))
    assert read_hierarchy(write_hierarchy(odd), "a") == odd
    assert write_hierarchy(HIERARCHIES["age"]) == AGES


def test_the_lakes_own_ladders_make_hierarchies() -> None:
    days = pl.Series("born", [date(1980, 5, 17), date(1984, 1, 2), date(1999, 12, 31), None])
    made = from_steps(days, steps_of("day"), coarsen)
    assert [level[0] for level in made.labels] == [
        "1980-05-17", "1980-05", "1980-Q2", "1980", "1980-1984", "1980-1989", "1980-1999", "*"
    ]
    assert ladder(made, days, np.arange(4)).height == 7


def test_lake_anonymise_writes_a_table_that_lake_risk_accepts(tmp_path: Path) -> None:
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "age.csv").write_text(AGES, encoding="utf-8")
    (tmp_path / "h" / "rows_hierarchy_sex.csv").write_text(SEXES, encoding="utf-8")
    rows, safe = tmp_path / "rows.csv", tmp_path / "safe.parquet"
    ROWS.write_csv(rows)
    arguments = ["anonymise", str(rows), "--quasi", "age,sex", "--hierarchies", str(tmp_path / "h"), "--k", "3"]
    result = CliRunner().invoke(app, [*arguments, "--weights", "age=2", "--out", str(safe), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["k"] >= 3
    measured = CliRunner().invoke(app, ["risk", str(safe), "--quasi", "age,sex", "--mode", "enclave", "--json"])
    assert json.loads(measured.stdout)["gbt42460"]["grade"] == 3
