"""A row is shown from its decision until its regime's end, its own, or repair: on every day, across every regime."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.periods import rules
from jobs.rows.periods import end
from jobs.settings import PROJECT

PENALTIES = rules(yaml.safe_load((PROJECT / "schemas/periods.yaml").read_text(encoding="utf-8")))["penalties"]
COLUMNS = {"decided": pl.Date, "kind": pl.String, "until": pl.Date, "repaired": pl.Date}
DAYS = st.dates(date(2018, 1, 1), date(2032, 12, 31))


def ends(rows, regimes=PENALTIES):
    """Return the end of each (decided, kind, until, repaired)."""
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    columns = [pl.col(name) for name in COLUMNS]
    return frame.select(end(regimes, columns[0], columns[1], until=columns[2], repaired=columns[3])).to_series()


def months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


@pytest.mark.parametrize(
    ("decided", "kind", "last"),
    [
        (date(2026, 3, 31), "3", date(2029, 3, 31)),  # the last day of the regime of 2023: three years
        (date(2026, 4, 1), "3", date(2027, 4, 1)),  # the first day of the regime of 2026: one
        (date(2026, 3, 31), "1", date(2026, 3, 31)),  # never shown
        (date(2026, 4, 1), "1", date(2026, 7, 1)),
        (date(2026, 4, 1), "7", date(2029, 4, 1)),
        (date(2023, 4, 30), "3", date(2024, 4, 30)),
        (date(2020, 2, 29), "3", date(2021, 2, 28)),
        (date(2026, 11, 30), "2", date(2027, 2, 28)),
        (date(2015, 5, 1), "3", date(2016, 5, 1)),  # before the first regime, by that one
        (date(2026, 4, 1), None, date(2027, 4, 1)),
        (date(2026, 4, 1), "unheard of", date(2027, 4, 1)),
    ],
)
def test_the_regime_of_the_decisions_day_decides(decided, kind, last):
    assert ends([(decided, kind, None, None)]).to_list() == [last]


def test_without_a_day_of_decision_nothing_is_shown():
    assert ends([(None, "3", date(2030, 1, 1), None)]).to_list() == [None]


def test_a_row_never_ends_later_than_it_says_itself_or_than_its_repair():
    decided = date(2026, 4, 1)
    assert ends([(decided, "3", date(2026, 9, 1), None)]).to_list() == [date(2026, 9, 1)]
    assert ends([(decided, "3", date(2030, 9, 1), None)]).to_list() == [date(2027, 4, 1)]
    assert ends([(decided, "3", date(2026, 9, 1), date(2026, 8, 1))]).to_list() == [date(2026, 8, 1)]


@given(DAYS, st.sampled_from(["1", "3", "7", "11", "x"]), st.none() | DAYS, st.none() | DAYS, DAYS)
def test_visible_on_a_day_when_decided_not_ended_and_not_repaired(decided, kind, until, repaired, day):
    regime = [one for one in PENALTIES if one.since <= decided][-1:] or [PENALTIES[0]]
    found = [one.months for one in regime[0].classes.values() if kind in one.codes]
    months = found[0] if found else next(one.months for one in regime[0].classes.values() if not one.codes)
    visible = decided <= day < months_later(decided, months)
    visible = visible and (until is None or day < until) and (repaired is None or day < repaired)
    (last,) = ends([(decided, kind, until, repaired)])
    assert (decided <= day < last) == visible


def recast(since: str, months: int, *, recast: bool):
    return {"name": since, "since": since, "recast": recast, "classes": {"all": {"months": months}}}


def test_a_regime_may_shorten_what_is_still_shown_but_brings_nothing_back():
    def regimes(*, again: bool):
        return rules({"x": [recast("2020-01-01", 36, recast=False), recast("2024-01-01", 12, recast=again)]})["x"]

    old = [(date(year, 6, 1), "3", None, None) for year in (2023, 2021, 2020)]
    assert ends(old, regimes(again=False)).to_list() == [date(2026, 6, 1), date(2024, 6, 1), date(2023, 6, 1)]
    assert ends(old, regimes(again=True)).to_list() == [date(2024, 6, 1), date(2024, 1, 1), date(2023, 6, 1)]


@given(st.lists(DAYS, min_size=1, max_size=5))
def test_one_day_later_never_more_is_shown_again(decisions):
    last = ends([(day, "3", None, None) for day in decisions])
    for day, until in zip(decisions, last, strict=True):
        shown = [day <= day + timedelta(n) < until for n in range(0, 1200, 50)]
        assert shown == sorted(shown, reverse=True)


@pytest.mark.parametrize(
    "document",
    [
        {"x": []},
        {"x": [recast("2024-01-01", 12, recast=False), recast("2020-01-01", 12, recast=False)]},
        {"x": [recast("2024-01-01", 12, recast=False)] * 2},
        {"x": [recast("2024-01-01", -1, recast=False)]},
        {"x": [recast("2024-01-01", 1, recast=False) | {"classes": {"all": {"months": 1, "codes": ["1"]}}}]},
        {"x": [recast("2024-01-01", 1, recast=False) | {"classes": {}}]},
        {"x": [recast("2024-01-01", 1, recast=False) | {"more": 1}]},
        {"x": [recast("2024-01-01", 1, recast=False)
               | {"classes": {"a": {"months": 1, "codes": ["1", "1"]}, "b": {"months": 2}}}]},
        None,
    ],
)  # fmt: skip
def test_rules_that_are_no_rules_are_refused(document):
    with pytest.raises(ValidationError):
        rules(document)
