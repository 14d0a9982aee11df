from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
import yaml

from jobs.contract import Expectation
from jobs.errors import ContractError
from jobs.rows.rules import RULES, rule_problem, violations

ON = date(2026, 3, 2)
ROOT = Path(__file__).parents[2]
EARLY, LATE = date(2026, 1, 1), date(2026, 2, 1)


def violated(rows, **expectation):
    return violations(pl.DataFrame(rows), Expectation.model_validate(expectation), ON).to_list()


def test_dates_stand_in_their_order():
    rows = {"born": [EARLY, LATE, EARLY, None], "died": [LATE, EARLY, EARLY, LATE]}
    assert violated(rows, rule="not_before", column="died", other="born") == [False, True, False, False]
    assert violated(rows, rule="not_after", column="died", other="born") == [True, False, False, False]


def test_a_point_in_time_compares_with_a_day_by_chinese_time():
    rows = {"at": [datetime(2025, 12, 31, 17, tzinfo=UTC)], "on": [EARLY]}
    assert violated(rows, rule="not_before", column="at", other="on") == [False]
    assert violated(rows, rule="not_before", column="on", other="at") == [False]


def test_values_stay_in_their_bounds():
    amounts = {"n": [0, 5, 10, None]}
    assert violated(amounts, rule="in_range", column="n", min=1, max=9) == [True, False, True, False]
    days = {"on": [EARLY, LATE, None]}
    assert violated(days, rule="in_range", column="on", min="2026-01-15") == [True, False, False]
    sums = {"n": pl.Series(["0.00", "1000000.01"]).cast(pl.Decimal(24, 4))}
    assert violated(sums, rule="in_range", column="n", min=0, max=1000000) == [False, True]


def test_text_matches_as_a_whole():
    assert violated({"c": ["A1", "A12", "xA1", None]}, rule="matches", column="c", pattern="A[0-9]") == [
        False,
        True,
        True,
        False,
    ]


def test_values_come_from_a_list():
    assert violated({"c": ["1", "3", None]}, rule="one_of", column="c", values=["1", "2"]) == [
        False,
        True,
        False,
    ]


def test_a_column_can_require_another():
    rows = {"status": ["2", "2", "1", None], "died": [LATE, None, None, None]}
    assert violated(rows, rule="requires", column="status", other="died", values=["2"]) == [
        False,
        True,
        False,
        False,
    ]
    assert violated(rows, rule="requires", column="died", other="status") == [False] * 4


def test_columns_can_be_equal():
    assert violated(
        {"a": ["1", "1", None], "b": ["1", "2", "2"]}, rule="equal_to", column="a", other="b"
    ) == [
        False,
        True,
        False,
    ]


def test_the_future_begins_after_the_data_date():
    rows = {"on": [ON, date(2026, 3, 3), None]}
    assert violated(rows, rule="not_future", column="on") == [False, True, False]


def test_birth_and_sex_agree_with_the_number():
    ids = ["11010519491231002X", "11010519491231002X", None]
    born = {"id": ids, "born": [date(1949, 12, 31), EARLY, EARLY]}
    assert violated(born, rule="birth_matches_id", column="born", other="id") == [False, True, False]
    sexes = {"id": [*ids, ids[0]], "sex": ["2", "1", "1", "0"]}
    assert violated(sexes, rule="sex_matches_id", column="sex", other="id") == [False, True, False, False]


def test_a_table_rule_accuses_no_row():
    assert violated({"a": [1, 1]}, rule="unique", columns=["a"]) == [False, False]


@pytest.mark.parametrize(
    ("expectation", "what"),
    [
        ({"rule": "no_such_rule", "column": "a"}, "there is no rule"),
        ({"rule": "not_before", "column": "a"}, "needs other:"),
        ({"rule": "in_range", "column": "a"}, "needs min: or max:"),
        ({"rule": "unique"}, "needs columns:"),
    ],
)
def test_a_rule_says_what_it_lacks(expectation, what):
    problem = rule_problem(Expectation.model_validate(expectation))
    assert problem is not None
    assert what in problem
    with pytest.raises(ContractError, match=what):
        violated({"a": [1]}, **expectation)


def test_a_complete_rule_has_no_problem():
    assert rule_problem(Expectation(rule="in_range", column="a", min=0)) is None
    assert rule_problem(Expectation(rule="null_share_below", column="a", max=0.0)) is None


def test_every_rule_is_explained_to_stewards():
    explained = yaml.safe_load((ROOT / "expectations/rules.yaml").read_text(encoding="utf-8"))
    assert set(RULES) <= set(explained)
    # An L_ code names an older kind of identifier, whether it came in the wrong column or in its own.
    own = [entry["code"] for entry in explained.values() if not entry["code"].startswith("L_")]
    assert len(set(own)) == len(own)
    assert all(entry["en"] and entry["zh"] for entry in explained.values())
