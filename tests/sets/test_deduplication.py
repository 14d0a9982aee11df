from datetime import date
from decimal import Decimal
from itertools import permutations

import polars as pl
import pytest

from jobs.contract import Contract
from jobs.sets.deduplication import current, fingerprint

FIRST, SECOND, THIRD = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)


def contract_with(**load):
    return Contract.model_validate(
        {
            "name": "civil_affairs/trials",
            "title": {"en": "Trials", "zh": "试验"},
            "description": {"en": "Rows invented for tests.", "zh": "测试用数据。"},
            "steward": "tests@example.gov",
            "source": {"reader": "csv", "path": "trials.csv"},
            "load": load,
            "fields": {
                "number": {"from": "号", "type": "text"},
                "status": {"from": "状态", "type": "text"},
                "changed_on": {"from": "日期", "type": "date"},
            },
        }
    )


def rows(*entries):
    """Rows of (number, status, changed_on, data date, deleted)."""
    return pl.DataFrame(
        entries,
        schema={
            "number": pl.String,
            "status": pl.String,
            "changed_on": pl.Date,
            "_data_date": pl.Date,
            "_deleted": pl.Boolean,
        },
        orient="row",
    )


def statuses(table):
    return dict(table.select("number", "status").iter_rows())


def test_a_fingerprint_is_the_same_for_ever():
    table = pl.DataFrame(
        {
            "text": ["某甲"],
            "on": [date(2026, 1, 5)],
            "amount": pl.Series([Decimal("1.50")], dtype=pl.Decimal(24, 4)),
            "yes": [True],
            "nothing": pl.Series([None], dtype=pl.String),
        }
    )
    assert fingerprint(table, table.columns).to_list() == ["2f330223a8d67641a0ca3b38a16c4432"]


def test_a_fingerprint_does_not_depend_on_column_order_scale_or_empty_columns():
    plain = pl.DataFrame({"a": ["1"], "b": pl.Series([Decimal("2.5")], dtype=pl.Decimal(24, 4))})
    other = pl.DataFrame(
        {"b": pl.Series([Decimal("2.5")], dtype=pl.Decimal(38, 8)), "new": [None], "a": ["1"]}
    )
    assert fingerprint(plain, plain.columns).to_list() == fingerprint(other, other.columns).to_list()


def test_values_cannot_imitate_another_row():
    tricky = pl.DataFrame({"a": ["x", "x\x1fb=y", None, "", "x"], "b": ["y", None, "x", None, "\x1f"]})
    assert fingerprint(tricky, tricky.columns).n_unique() == 5


def test_the_newest_row_of_a_key_is_current_in_any_order_of_arrival():
    entries = [
        ("1", "old", FIRST, FIRST, False),
        ("1", "corrected", FIRST, SECOND, False),
        ("2", "late", FIRST, THIRD, False),
        ("2", "newer", SECOND, SECOND, False),
    ]
    contract = contract_with(mode="merge", key=["number"], as_of="changed_on")
    for order in permutations(entries):
        assert statuses(current(rows(*order), contract)) == {"1": "corrected", "2": "newer"}


def test_a_row_without_an_as_of_date_speaks_of_its_data_date():
    contract = contract_with(mode="merge", key=["number"], as_of="changed_on")
    table = rows(("1", "dated", SECOND, SECOND, False), ("1", "undated", None, THIRD, False))
    assert statuses(current(table, contract)) == {"1": "undated"}


def test_a_withdrawn_key_drops_out_and_may_come_back():
    contract = contract_with(mode="merge", key=["number"], as_of="changed_on")
    gone = rows(("1", "in", FIRST, FIRST, False), ("1", "out", FIRST, SECOND, True))
    assert statuses(current(gone, contract)) == {}
    back = pl.concat([gone, rows(("1", "again", THIRD, THIRD, False))])
    assert statuses(current(back, contract)) == {"1": "again"}


def test_at_equal_dates_a_withdrawal_wins():
    contract = contract_with(mode="merge", key=["number"], as_of="changed_on")
    entries = [("1", "in", FIRST, FIRST, False), ("1", "out", FIRST, FIRST, True)]
    for order in permutations(entries):
        assert current(rows(*order), contract).is_empty()


def test_a_tie_is_decided_by_content_not_by_order():
    contract = contract_with(mode="merge", key=["number"])
    entries = [("1", "a", None, FIRST, False), ("1", "b", None, FIRST, False), ("1", "c", None, FIRST, False)]
    assert len({str(statuses(current(rows(*order), contract))) for order in permutations(entries)}) == 1


def test_a_snapshot_is_its_newest_day_alone():
    contract = contract_with(mode="snapshot", key=["number"], as_of="changed_on")
    table = rows(
        ("1", "a", FIRST, FIRST, False), ("2", "b", FIRST, FIRST, False), ("1", "a", FIRST, SECOND, False)
    )
    assert statuses(current(table, contract)) == {"1": "a"}
    assert current(rows(), contract).is_empty()


@pytest.mark.parametrize("mode", ["append"])
def test_a_dataset_that_appends_keeps_all_rows_but_the_withdrawn(mode):
    table = rows(
        ("1", "a", FIRST, FIRST, False), ("1", "b", FIRST, SECOND, False), ("2", "c", FIRST, FIRST, True)
    )
    assert current(table, contract_with(mode=mode))["status"].to_list() == ["a", "b"]
