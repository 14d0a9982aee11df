"""Small groups: coarsened in a fixed order, left out last, and never published below the threshold."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.rows.protection import coarsen, ladder
from jobs.sets.anonymity import anonymise, chain

QUASI = ["division_code", "birth_band", "sex_code"]
LADDERS = {"division_code": ladder("county"), "birth_band": ladder("five_years"), "sex_code": ladder("category")}

_ROW = st.tuples(
    st.sampled_from(["330102", "330105", "330201", "320102", None]),
    st.sampled_from(["1980-1984", "1985-1989", "1990-1994", "2000-2004", None]),
    st.sampled_from(["1", "2", None]),
    st.integers(0, 6),
    st.sampled_from(["a", "b"]),
)


def people(*groups: tuple[str, str, str, int]) -> pl.DataFrame:
    rows = [(place, band, sex) for place, band, sex, count in groups for _ in range(count)]
    return pl.DataFrame(rows, schema=dict.fromkeys(QUASI, pl.String), orient="row")


def frame(rows):
    schema = dict.fromkeys(QUASI, pl.String()) | {"person": pl.Int64(), "illness": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def sizes(result, quasi=QUASI):
    return dict(result.rows.group_by(quasi).len().select(pl.concat_str(quasi, separator=" "), "len").iter_rows())


def test_large_groups_stay_as_they_are():
    given_rows = people(("330102", "1980-1984", "1", 5), ("330105", "1980-1984", "1", 7))
    result = anonymise(given_rows, QUASI, 5, LADDERS, coarsen)
    assert result.rows.equals(given_rows.sort(QUASI))
    assert (result.smallest_group, result.groups, result.kept_share, dict(result.coarsened)) == (5, 2, 1.0, {})
    assert result.average_risk == pytest.approx((1 / 5 + 1 / 7) / 2)


def test_small_groups_of_two_counties_meet_in_their_city_and_the_large_one_stays():
    rows = people(
        ("330102", "1980-1984", "1", 9), ("330105", "1980-1984", "1", 3), ("330106", "1980-1984", "1", 2)
    )
    result = anonymise(rows, QUASI, 5, LADDERS, coarsen)
    assert sizes(result) == {"330102 1980-1984 1": 9, "330100 1980-1984 1": 5}
    assert dict(result.coarsened) == {"division_code: city": 5}


def test_places_are_widened_before_ages_and_ages_before_asterisks():
    assert chain(["sex_code", "birth_band", "division_code"], LADDERS) == [
        ("division_code", "city"), ("division_code", "province"), ("birth_band", "ten_years"),
        ("birth_band", "twenty_years"),
    ]  # fmt: skip


def test_the_age_band_widens_when_no_place_is_wide_enough():
    result = anonymise(
        people(("330102", "1980-1984", "1", 3), ("330105", "1985-1989", "1", 3)), QUASI, 5, LADDERS, coarsen
    )
    assert sizes(result) == {"330000 1980-1989 1": 6}


def test_rows_that_stay_alone_are_left_out_and_counted():
    rows = people(("330102", "1980-1984", "1", 6), ("650101", "1900-1904", "2", 2))
    result = anonymise(rows, QUASI, 5, LADDERS, coarsen)
    assert sizes(result) == {"330102 1980-1984 1": 6}
    assert (result.kept, result.suppressed, result.delivered) == (6, 2, 8)


def test_a_row_that_would_say_nothing_is_left_out_rather_than_kept_empty():
    result = anonymise(people(("330102", "1980-1984", "1", 4)), QUASI, 5, LADDERS, coarsen)
    assert result.rows.is_empty()
    assert (result.smallest_group, result.groups, result.kept_share) == (0, 0, 0.0)


def test_one_person_with_many_rows_is_no_crowd():
    rows = people(("330102", "1980-1984", "1", 6)).with_columns(pl.Series("person", ["A", "A", "A", "A", "A", "B"]))
    assert anonymise(rows.drop("person"), QUASI, 5, LADDERS, coarsen).kept == 6
    counted = anonymise(rows, QUASI, 5, LADDERS, coarsen, subjects=["person"])
    assert counted.kept == 0
    assert counted.rows.columns == QUASI


def test_rows_about_nobody_known_count_one_by_one():
    rows = people(("330102", "1980-1984", "1", 5)).with_columns(pl.lit(None, pl.String).alias("person"))
    assert anonymise(rows, QUASI, 5, LADDERS, coarsen, subjects=["person"]).smallest_group == 5


def test_a_group_that_shares_one_sensitive_value_is_widened_until_it_does_not():
    rows = people(("330102", "1980-1984", "1", 5), ("330105", "1980-1984", "1", 5))
    rows = rows.with_columns(pl.Series("illness", ["x"] * 5 + ["y"] * 5))
    result = anonymise(rows, QUASI, 5, LADDERS, coarsen, sensitive=["illness"])
    assert sizes(result) == {"330100 1980-1984 1": 10}


def test_without_quasi_identifiers_all_rows_are_one_group():
    rows = pl.DataFrame({"note": ["a", "b", "c"]})
    assert anonymise(rows, [], 3, {}, coarsen).rows.equals(rows)
    assert anonymise(rows, [], 4, {}, coarsen).rows.is_empty()


def test_no_rows_are_no_error():
    empty = anonymise(people(), QUASI, 5, LADDERS, coarsen)
    assert (empty.kept, empty.delivered, empty.groups) == (0, 0, 0)


@given(st.lists(_ROW, max_size=60), st.integers(2, 8), st.randoms(use_true_random=False))
def test_every_group_is_large_enough_and_every_row_is_accounted_for(rows, k, random):
    result = anonymise(frame(rows), QUASI, k, LADDERS, coarsen, subjects=["person"], sensitive=["illness"])
    assert result.kept + result.suppressed == len(rows) == result.delivered
    for _, group in result.rows.group_by(QUASI):
        assert group.height >= k
        assert group["illness"].n_unique() >= 2
    random.shuffle(rows)
    again = anonymise(frame(rows), QUASI, k, LADDERS, coarsen, subjects=["person"], sensitive=["illness"])
    assert again.rows.equals(result.rows)
    assert dict(again.coarsened) == dict(result.coarsened)


@given(st.lists(_ROW, max_size=60), st.integers(2, 8))
def test_a_published_value_is_the_given_one_or_a_coarser_one(rows, k):
    table = frame(rows).drop("person").with_row_index("number")
    result = anonymise(table, QUASI, k, LADDERS, coarsen)
    met = result.rows.join(table, on="number", suffix="_given")
    assert met.height == result.kept
    for column in QUASI:
        coarser = [coarsen(met[f"{column}_given"], step) for step in LADDERS[column]]
        same = pl.Series([False] * met.height, dtype=pl.Boolean)
        for option in (met[f"{column}_given"], *coarser):
            same |= met[column].eq_missing(option)
        assert same.all()
