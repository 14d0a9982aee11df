"""Every row's code stands for the value it has, equal values for equal ones."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.privacy.risk.classes import count_classes, encoded

COLUMNS = {
    pl.Float64: st.floats() | st.sampled_from([0.0, -0.0, math.nan, -math.nan, math.inf, 5e-324]),
    pl.Float32: st.floats(width=32) | st.sampled_from([0.0, -0.0]),
    pl.String: st.text(max_size=3) | st.sampled_from(["", "0.0", "-0.0", "NaN", "*"]),
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.Boolean: st.booleans(),
    pl.Date: st.dates(),
    pl.Datetime("us"): st.datetimes(),
    pl.Decimal(20, 4): st.decimals(-(10**9), 10**9, places=4),
}


@pytest.mark.parametrize("kind", COLUMNS, ids=str)
@given(data=st.data())
def test_a_code_stands_for_its_rows_value_and_no_other(kind: pl.DataType, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.none() | COLUMNS[kind], max_size=20))
    values = pl.Series("value", rows, dtype=kind)
    codes, distinct = encoded(values)
    assert distinct.gather(codes).eq_missing(values).all()  # of numbers 0.0 is -0.0 and nan is nan
    assert len(set(codes.tolist())) == values.n_unique()


def test_zero_below_nothing_is_in_the_class_of_zero() -> None:
    counted = count_classes(pl.LazyFrame({"amount": [7.5, -0.0, 0.0, -0.0, 7.5]}), ["amount"])
    assert sorted(zip(counted.tuples["amount"].to_list(), counted.sizes.tolist(), strict=True)) == [(0.0, 3), (7.5, 2)]
