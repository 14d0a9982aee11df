"""Linkage counts whom departments share, whatever key each knows them by."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from jobs.registers.linkage import linkage

NOBODY = pl.LazyFrame(schema={"id": pl.String, "entity": pl.String})


def _claims(*rows: tuple[str, str]) -> pl.LazyFrame:
    schema = {"_key_id": pl.String, "_dataset": pl.String}
    return pl.LazyFrame(list(rows), schema=schema, orient="row").with_columns(pl.lit(False).alias("_withdrawn"))


def test_a_subject_is_linked_when_another_department_speaks_of_it_under_any_of_its_keys() -> None:
    claims = _claims(("a", "health/visits"), ("a", "health/beds"), ("b", "health/visits"), ("c", "tax/payers"))
    merged = pl.LazyFrame({"id": ["c"], "entity": ["b"]})
    alone = {"health": {"subjects": 2, "linked": 0}, "tax": {"subjects": 1, "linked": 0}}
    assert linkage(claims, NOBODY) == alone
    assert linkage(claims, merged) == {"health": {"subjects": 2, "linked": 1}, "tax": {"subjects": 1, "linked": 1}}


def test_a_withdrawn_claim_links_nobody() -> None:
    claims = _claims(("a", "health/visits"), ("a", "tax/payers"))
    gone = claims.with_columns((pl.col("_dataset") == "tax/payers").alias("_withdrawn"))
    assert linkage(gone, NOBODY) == {"health": {"subjects": 1, "linked": 0}}


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["x/1", "x/2", "y/1", "z/1"]))))
def test_neither_order_nor_repetition_of_claims_matters(rows: list[tuple[str, str]]) -> None:
    found = linkage(_claims(*rows), NOBODY)
    assert found == linkage(_claims(*reversed(rows), *rows), NOBODY)
    assert all(0 <= one["linked"] <= one["subjects"] for one in found.values())
