"""Who can be told apart: classes, suppressed rows, uniques, the three attackers, the verdict, the report."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.cli import app
from jobs.errors import RequestError
from jobs.privacy.risk.classes import count_classes
from jobs.privacy.risk.measure import measure
from jobs.privacy.risk.page import page
from jobs.privacy.risk.uniqueness import minimal_uniques
from jobs.privacy.risk.verdict import Environment, attack_probability
from tests.privacy.published import adult, published_adult

TABLE = pl.DataFrame({"a": ["1", "1", "1", "2", "2", "3"], "b": ["x", "x", "x", "y", "y", "y"]})


def test_suppressed_rows_are_in_no_class_and_empty_cells_are_equal() -> None:
    rows = pl.DataFrame({"a": ["*", "*", "*", None, None], "b": ["*", "*", "1", None, None], "s": list("ppqpq")})
    found = measure(rows.lazy(), ["a", "b"], ["s"])
    assert (found["n"], found["suppressed"], found["classes"], found["k"]) == (3, 2, 2, 1)
    assert found["prosecutor"]["avg"] == 2 / 3
    # The column is there to be read in suppressed rows too: p is 3/5 in the table, 1/2 in the class of two.
    assert found["t"]["s"] == pytest.approx(max(abs(0 - 3 / 5), abs(1 / 2 - 3 / 5)))


def test_a_table_with_nothing_left_has_no_risk_to_report() -> None:
    rows = pl.DataFrame({"a": ["*", "*"], "s": ["p", "q"]})
    found = measure(rows.lazy(), ["a"], ["s"])
    assert (found["n"], found["suppressed"], found["k"], found["gbt42460"]) == (0, 2, 0, None)
    assert found["t"] == {"s": None}
    assert "nothing to judge" in page(found, "t.csv")


def test_risks_of_a_small_table() -> None:
    found = measure(TABLE.lazy(), ["a", "b"], mode="controlled")
    assert found["prosecutor"] == {"max": 1.0, "avg": 0.5, "share_above": 1.0}
    assert found["journalist"] == found["prosecutor"]
    assert found["marketer"] == 0.5
    assert found["gbt42460"]["r_avg"] == pytest.approx((1 / 3 + 1 / 2 + 1) / 3)
    assert (found["gbt42460"]["r"], found["gbt42460"]["grade"]) == (1.0, 2)


def test_a_population_gives_exact_class_sizes() -> None:
    people = pl.DataFrame({"a": [1] * 10 + [2] + [4] * 5, "b": ["x"] * 10 + ["y"] + ["z"] * 5})
    found = measure(TABLE.lazy(), ["a", "b"], population=people.lazy(), mode="controlled")
    # Sizes 10, 2 (raised from 1) and 1 (nobody there): highest 1, mean (3/10 + 2/2 + 1/1)/6.
    assert found["population"] == {"rows": 16, "uniques": 1, "classes_missing": 1, "classes_raised": 1}
    assert found["marketer"] == pytest.approx(2.3 / 6)
    assert found["journalist"]["avg"] == pytest.approx(max(2.3 / 6, 3 / 13))
    assert found["journalist"]["max"] == 1.0
    assert found["journalist"]["share_above"] == pytest.approx(3 / 6)


def test_a_population_without_the_columns_is_refused() -> None:
    with pytest.raises(RequestError, match="no such column"):
        measure(TABLE.lazy(), ["a", "b"], population=TABLE.lazy().select("a"))


@pytest.mark.parametrize(
    ("mode", "environment", "expected"),
    [
        ("public", Environment("high", "low"), 1.0),
        ("controlled", Environment(), 1.0),
        ("controlled", Environment("high", "low"), 0.14),
        ("controlled", Environment("high", "high"), 0.2),
        ("controlled", Environment("medium", "low"), 0.27),
        ("enclave", Environment("low"), 0.6),
        ("enclave", Environment("high", "low", 150, 0.01), 1 - 0.99**150),
    ],
)
def test_the_attack_probability_is_the_worst_of_its_three_parts(mode, environment, expected) -> None:  # type: ignore[no-untyped-def]
    assert attack_probability(mode, environment) == pytest.approx(expected)


@pytest.mark.parametrize("bad", [Environment("low", None, 5), Environment("low", None, 5, 1.5)])
def test_an_environment_out_of_range_is_refused(bad: Environment) -> None:
    with pytest.raises(RequestError):
        attack_probability("controlled", bad)


@pytest.mark.parametrize(("mode", "k"), [("public", 20), ("controlled", 5), ("enclave", 3)])
def test_the_threshold_itself_passes(mode: str, k: int) -> None:
    at, below = (measure(pl.DataFrame({"q": ["x"] * n}).lazy(), ["q"], mode=mode) for n in (k, k - 1))  # type: ignore[arg-type]
    assert (at["gbt42460"]["exceedance"], at["gbt42460"]["grade"]) == (0.0, 3)
    assert (below["gbt42460"]["exceedance"], below["gbt42460"]["r"], below["gbt42460"]["grade"]) == (1.0, 1.0, 2)


@given(
    st.lists(
        st.tuples(*[st.one_of(st.none(), st.integers(0, 3))] * 4), min_size=1, max_size=25
    )
)
def test_minimal_uniques_are_what_trying_everything_finds(rows: list[tuple[int | None, ...]]) -> None:
    table = pl.DataFrame(rows, schema=dict.fromkeys("abcd", pl.Int64), orient="row")
    special, by_size = minimal_uniques(count_classes(table.lazy(), list("abcd")))
    minimal: set[tuple[int, tuple[int, ...]]] = set()
    for size in (1, 2, 3):
        for chosen in combinations(range(4), size):
            cut = [tuple(row[i] for i in chosen) for row in rows]
            for at, values in enumerate(cut):
                smaller = any(at == where and set(part) < set(chosen) for where, part in minimal)
                if cut.count(values) == 1 and not smaller:
                    minimal.add((at, chosen))
    assert special == len({at for at, _ in minimal})
    assert by_size == {size: sum(len(chosen) == size for _, chosen in minimal) for size in (1, 2, 3)}


def test_columns_that_are_not_there_or_named_twice_are_refused() -> None:
    for quasi, sensitive in (([], []), (["nobody"], []), (["a", "a"], []), (["a"], ["a"])):
        with pytest.raises(RequestError):
            count_classes(TABLE.lazy(), quasi, sensitive)


def test_adult_has_the_mean_risk_that_arx_publishes_for_it() -> None:
    for folder in published_adult():
        rows = adult(folder)
        found = measure(rows.lazy(), rows.columns)
        assert found["prosecutor"]["avg"] == rows.n_unique() / rows.height


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "semicolons.csv", "national.csv"])
def test_lake_risk_reads_any_file_and_prints_the_same_figures(tmp_path: Path, name: str) -> None:
    rows = TABLE.rename({"a": "区划"})
    file = tmp_path / name
    if name.endswith(".parquet"):
        rows.write_parquet(file)
    else:
        text = rows.write_csv(separator=";" if name.startswith("semi") else ",")
        file.write_bytes(text.encode("gb18030" if name.startswith("national") else "utf-8"))
    report = tmp_path / "report.html"
    arguments = ["risk", str(file), "--quasi", "区划, b", "--sensitive", "", "--html", str(report), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["classes"] == 3
    assert "区划" in report.read_text(encoding="utf-8")


def test_the_report_escapes_what_it_quotes() -> None:
    rows = TABLE.rename({"a": "<script>alert(1)</script>"})
    found = measure(rows.lazy(), [rows.columns[0]], ["b"])
    assert "<script>" not in page(found, "<script>")
