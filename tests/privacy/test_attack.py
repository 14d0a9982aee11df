"""The attack: what links, what is true of it, and what a row gives away beyond its group."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
from typer.testing import CliRunner

from jobs.cli import app
from jobs.privacy.attack import (
    WHOM,
    blame,
    document,
    hierarchy_views,
    infer,
    link,
    link_probably,
    masked_views,
    wilson_lower,
)
from jobs.privacy.generalisation.hierarchies import read_hierarchy
from jobs.rows.masking import mask_of_type

TAU = 0.05
COUNTIES = ["330102", "330103", "330104", "330105"]


def _people(number: int = 400) -> pl.DataFrame:
    """A population spread evenly over four counties, two sexes and ten years."""
    rows = pl.int_range(number, eager=True)
    return pl.DataFrame({
        "county": [COUNTIES[row % 4] for row in rows], "sex": [str(1 + row // 4 % 2) for row in rows],
        "born": [str(1960 + row // 8 % 10) for row in rows], WHOM: [f"p{row}" for row in rows],
    })  # fmt: skip


def _as_is(values: pl.Series, _published: pl.Series) -> list[pl.Series]:
    return [values]


def test_a_table_whose_groups_fit_many_people_makes_no_claim() -> None:
    people = _people()
    found = link(people.select("county", "sex", WHOM), people, {"county": _as_is, "sex": _as_is}, TAU)
    assert (found.met, found.claims, found.singled_out, found.least) == (400, 0, 0, 50)
    assert not found.succeeds(TAU)


def test_unique_tuples_are_singled_out_and_true() -> None:
    people = _people(80)
    views = dict.fromkeys(("county", "sex", "born"), _as_is)
    found = link(people.head(30), people, views, TAU)
    assert (found.singled_out, found.singled_out_true, found.claims, found.true) == (30, 30, 30, 30.0)
    assert found.succeeds(TAU)
    column, left = blame(people.head(30), people, views, TAU)[0]
    assert (column, round(left, 6)) == ("born", 3.0)


def test_claims_about_people_who_are_not_in_the_table_are_false() -> None:
    people = _people(80)
    strangers = people.head(30).with_columns(pl.format("stranger-{}", pl.col(WHOM)).alias(WHOM))
    found = link(strangers, people, dict.fromkeys(("county", "sex", "born"), _as_is), TAU)
    assert (found.singled_out, found.singled_out_true, found.true) == (30, 0, 0.0)
    assert not found.succeeds(TAU)


def test_rows_coarsened_to_different_steps_are_each_met_at_their_own() -> None:
    people = _people(80)

    def county_or_city(values: pl.Series, _published: pl.Series) -> list[pl.Series]:
        return [values, values.str.head(4) + "00"]

    released = people.with_columns(
        pl.when(pl.col("county") == "330102").then("county").otherwise(pl.lit("330100")).alias("county"),
        pl.lit("*").alias("born"),
    )
    found = link(released, people, {"county": county_or_city, "born": _as_is}, TAU)
    assert (found.met, found.least, found.claims) == (80, 20, 0)


def test_a_row_with_one_wrong_value_is_linked_by_all_the_others() -> None:
    people = _people(80)
    wrong = people.head(30).with_columns(born=pl.lit("1899"))  # a year nobody was born in
    views = dict.fromkeys(("county", "sex", "born"), _as_is)
    assert link(wrong, people, views, TAU).met == 0
    found = link_probably(wrong, people, views, TAU)
    assert (found.met, found.claims, found.singled_out, found.least) == (30, 30, 0, 10)
    assert round(found.true, 6) == 3.0  # ten people share county and sex
    assert found.lower < found.precision == 0.1
    # With a column more, each is the only one who differs in one column.
    whole = people.with_columns(pl.col(WHOM).alias("file"))
    found = link_probably(whole.head(30).with_columns(born=pl.lit("1899")), whole, {**views, "file": _as_is}, TAU)
    assert (found.singled_out, found.singled_out_true, found.true) == (30, 30, 30.0)
    assert found.succeeds(TAU)
    assert document(link(wrong, people, views, TAU), [], TAU, probable=found)["succeeds"]


def test_the_likeliest_column_is_the_one_whose_value_is_frequent() -> None:
    people = pl.DataFrame({
        "county": ["a"] * 90 + ["b"] * 10, "born": ["1970"] * 50 + ["1980"] * 49 + ["1999"],
        WHOM: [f"p{n}" for n in range(100)],
    })
    # In county a nobody was born in 1999: either the county is wrong (one person), or the year (ninety people).
    released = pl.DataFrame({"county": ["a"], "born": ["1999"], WHOM: ["p99"]})
    found = link_probably(released, people, dict.fromkeys(("county", "born"), _as_is), TAU)
    assert (found.met, found.claims, found.true, found.singled_out) == (1, 1, 1.0, 0)


def test_rows_that_fit_somebody_or_large_groups_are_no_probable_claims() -> None:
    people = _people(80)
    views = dict.fromkeys(("county", "sex", "born"), _as_is)
    assert link_probably(people, people, views, TAU).met == 0
    group = people.head(30).with_columns(county=pl.lit("330102"), sex=pl.lit("1"), born=pl.lit("1899"))
    found = link_probably(group, people, views, TAU)
    assert (found.met, found.claims) == (30, 0)  # thirty of them look alike: no claim is surer than one in thirty
    assert link_probably(people, people, {"county": _as_is}, TAU).met == 0
    assert link_probably(people.clear(), people, views, TAU).claims == 0


def test_a_class_counts_at_least_its_part_of_the_sample() -> None:
    people = _people(80)
    twice = pl.concat([people, people]).with_columns(pl.Series(WHOM, [f"q{row}" for row in range(160)]))
    found = link(twice, people, {"county": _as_is, "sex": _as_is}, TAU)
    assert (found.raised, found.least) == (8, 20)


def test_masked_numbers_lead_straight_to_their_people() -> None:
    numbers = [f"33010{2 + n % 4}19{60 + n % 40}0{1 + n % 9}1{n % 10}{100 + n}{n % 10}" for n in range(90)]
    people = pl.DataFrame({"number": numbers, WHOM: [f"p{n}" for n in range(90)]})
    shown = people.with_columns(mask_of_type(people["number"], "resident_id").alias("number"))
    assert shown["number"].str.contains("*", literal=True).all()
    found = link(shown, people, {"number": masked_views}, TAU)
    assert found.met == 90
    assert found.singled_out_true > 45
    assert found.succeeds(TAU)


def test_a_hierarchys_levels_are_seen_through() -> None:
    people = _people(80)
    levels = read_hierarchy("330102;3301;*\n330103;3301;*\n330104;3302;*\n330105;3302;*\n", "county")
    city = dict(zip(COUNTIES, ["3301", "3301", "3302", "3302"], strict=True))
    released = people.with_columns(pl.col("county").replace(city))
    found = link(released, people, {"county": hierarchy_views(levels)}, TAU)
    assert (found.met, found.least) == (80, 40)


def test_without_knowing_whose_rows_they_are_the_worst_is_taken() -> None:
    people = _people(80)
    nobody = people.with_columns(pl.lit(None, pl.String).alias(WHOM))
    found = link(nobody.head(30), nobody, dict.fromkeys(("county", "sex", "born"), _as_is), TAU)
    assert (found.singled_out, found.singled_out_true) == (30, 30)


def test_what_a_whole_group_shares_is_no_ones_own_and_what_one_row_alone_tells_is() -> None:
    same = pl.DataFrame({"county": ["a"] * 20 + ["b"], "illness": ["x"] * 20 + ["y"]})
    found = infer(same, ["county"], "illness", TAU)
    assert (found.homogeneous, found.above) == (21, 1)
    assert found.advantage == 1.0
    mixed = pl.DataFrame({"county": ["a"] * 20, "illness": ["x"] * 19 + ["y"]})
    assert infer(mixed, ["county"], "illness", TAU).above == 0


def test_the_interval_is_wilsons() -> None:
    assert round(wilson_lower(9, 10), 4) == 0.5958  # Newcombe 1998, method 3
    assert wilson_lower(0, 10) == 0.0
    assert wilson_lower(0, 0) == 0.0


def test_the_verb_prints_counts_and_fails_when_the_attack_succeeds(tmp_path: Path) -> None:
    people = _people(80).rename({WHOM: "person"})
    people.write_csv(tmp_path / "people.csv")
    people.select("county", "sex", "born", "person").head(30).write_csv(tmp_path / "open.csv")
    people.select("county", "sex", "person").write_csv(tmp_path / "safe.csv")
    given = ["attack", "--population", str(tmp_path / "people.csv"), "--whom", "person", "--json"]
    bad = CliRunner().invoke(app, [*given, "--known", "county,sex,born", str(tmp_path / "open.csv")])
    assert (bad.exit_code, json.loads(bad.stdout)["singled_out_true"]) == (1, 30)
    assert "p7" not in bad.output
    good = CliRunner().invoke(
        app, [*given, "--known", "county", "--hidden", "sex", "--mode", "controlled", str(tmp_path / "safe.csv")]
    )
    assert (good.exit_code, json.loads(good.stdout)["claims"]) == (0, 0), good.output


def test_the_document_holds_no_ones_row() -> None:
    people = _people(80)
    found = document(link(people, people, {"county": _as_is}, TAU), [infer(people, ["county"], "sex", TAU)], TAU)
    assert not any(county in json.dumps(found) for county in COUNTIES)
