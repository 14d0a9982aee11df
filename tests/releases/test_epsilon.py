"""A table of counts with noise, from contract to release: what it tells, what it spends, what it never does twice."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from jobs.catalogue import load_catalogue
from jobs.errors import ReleaseRefused
from jobs.layers import Layer
from jobs.onboarding.inspection import inspect
from jobs.releases import approvals, build, epsilon, inputs, listing, recipes
from jobs.releases.briefing import briefing
from jobs.releases.verify import verify
from jobs.settings import PROJECT
from jobs.stages import publish
from tests.releases.conftest import HEADCOUNT, copy_of, lake_in, write_contract, write_schemas

NAME = "products/headcount"
COUNTIES = ["330102", "330105", "330106"]
PRIVACY = {
    "epsilon": 0.5, "budget": 1.2, "person": "resident_id", "most_rows": 2, "most": {"fee_yuan": 500},
    "cells": {"division_code": COUNTIES, "sex_code": ["1", "2"]},
}  # fmt: skip
TRUTH = {("330102", "1"): 400, ("330102", "2"): 60, ("330105", "1"): 9}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Return the folder of a lake and its schemas, to be copied, never changed.

    Its counts are published with noise; the register's own rows are released to fewer people.
    """
    person = {"from": "resident_id", "type": "resident_id", "protect": "pseudonym"}
    words = {"division_code": "division_code", "sex_code": "code"}
    fields = {
        "resident_id": person,
        **{name: {"from": name, "type": kind, "publish": {"as": name}} for name, kind in words.items()},
        "fee": {"from": "fee", "type": "money", "protect": "keep"},
    }
    fields["sex_code"]["codes"] = "sex"
    folder = tmp_path_factory.mktemp("given")
    write_contract(write_schemas(folder / "schemas"), NAME, {**HEADCOUNT, "fields": fields, "privacy": PRIVACY})
    put(lake_in(folder), TRUTH)
    return folder


@pytest.fixture(scope="module")
def once(given, tmp_path_factory):
    """Return the folder of such a lake whose counts are released once; to be copied, never changed."""
    folder = tmp_path_factory.mktemp("once")
    release(copy_of(given, folder))
    return folder


@pytest.fixture
def noisy(given, schemas):
    """Return a lake of the test's own whose counts are published with noise."""
    return copy_of(given, schemas.parent)


@pytest.fixture
def paid(once, schemas):
    """Return a lake of the test's own whose counts are released once."""
    return copy_of(once, schemas.parent)


def put(lake, truth, *, extra=()):
    rows = [(f"P{place}{sex}{n}", place, sex) for (place, sex), count in truth.items() for n in range(count)]
    frame = pl.DataFrame([*rows, *extra], schema=["resident_id", "division_code", "sex_code"], orient="row")
    money = frame.with_columns(fee=pl.lit(100).cast(pl.Decimal(24, 4)), fee_currency=pl.lit("CNY"))
    write_deltalake(lake.folder(Layer.GOLD, NAME).uri, money.to_arrow(), mode="overwrite")


def release(lake):
    approvals.approve(lake, NAME, by="officer@city.example")
    (report,) = publish.run(lake, NAME, approved_by="officer")
    return report, listing.latest(lake.objects, NAME)


def entries(lake):
    return lake.objects.names(f"ops/epsilon/{NAME.replace('/', '__')}")


def problems(lake, schemas):
    return [str(one) for one in inspect(schemas, PROJECT / "expectations")[0] if "headcount" in str(one)]


def test_the_contract_with_noise_has_no_problem(noisy, schemas):
    assert problems(noisy, schemas) == []


def test_every_cell_is_there_near_the_truth_and_no_exact_count_is_told(paid):
    one = listing.latest(paid.objects, NAME)
    table = pl.read_parquet(one.data("parquet"))
    assert table.select("division_code", "sex_code").rows() == [(c, s) for c in COUNTIES for s in ("1", "2")]
    said = json.loads((one.folder / "risk.json").read_bytes())
    noise = said["differential_privacy"]
    assert (noise["epsilon"], noise["spent"], noise["budget"]) == ("0.5", "0.5", "1.2")
    measure = noise["measures"]["visits"]
    assert (measure["epsilon"], measure["sensitivity"]) == ("0.250000", 4)
    assert noise["measures"]["fee_yuan"]["sensitivity"] == 4 * 500
    for place, sex, visits, _ in table.rows():
        assert abs(visits - TRUTH.get((place, sex), 0)) < 12 * measure["error_95"]
    assert said["underlying_rows"] == table["visits"].sum()
    assert (table["visits"] >= 0).all()
    assert one.manifest["risk"] == said


def test_the_card_says_epsilon_and_error_in_both_languages_and_the_release_verifies(paid):
    one = listing.latest(paid.objects, NAME)
    off = str(one.manifest["risk"]["differential_privacy"]["measures"]["visits"]["error_95"])
    for name in ("README.md", "README.zh.md"):
        card = (one.folder / name).read_text(encoding="utf-8")
        assert "ε = 0.5" in card
        assert off in card
    assert verify(one.folder).problems == []


def test_a_retry_takes_the_draw_that_was_paid_for(paid):
    before = listing.latest(paid.objects, NAME).data("csv").read_bytes()
    report, again = release(paid)
    assert report.outcome == "known"
    assert again.data("csv").read_bytes() == before
    assert len(entries(paid)) == 1


def test_a_draw_whose_run_died_before_the_release_is_the_one_the_next_run_takes(noisy):
    contract = noisy.catalogue.contract(NAME)
    made = build.draft(noisy.scan(Layer.GOLD, NAME), contract, noisy.catalogue)
    drawn, _ = epsilon.spend(noisy, made, inputs.fingerprints(inputs.sources(noisy, contract)))
    paid = entries(noisy)
    assert len(paid) == 1
    _, one = release(noisy)
    assert entries(noisy) == paid
    assert pl.read_parquet(one.data("parquet"))["visits"].to_list() == drawn.table["visits"].to_list()


def test_a_rebuild_makes_the_same_bytes(paid):
    assert {row["result"] for row in recipes.rebuild(paid, NAME, "1.0.0")} == {"equal"}


def test_the_ledger_refuses_what_the_budget_does_not_pay_for(paid):
    noisy = paid
    put(noisy, {**TRUTH, ("330105", "2"): 70})
    assert release(noisy)[1].manifest["risk"]["differential_privacy"]["spent"] == "1"
    put(noisy, TRUTH)
    assert release(noisy)[1].version == "1.0.2"  # the same rows as at first: that draw stands, and costs nothing
    put(noisy, {**TRUTH, ("330105", "2"): 71})
    with pytest.raises(ReleaseRefused, match=r"budget is spent: 1 of 1\.2") as refused:
        release(noisy)
    assert refused.value.remedy
    assert publish.preview(noisy, NAME)["verdict"].startswith("FAILS: the ε budget is spent")
    assert len(entries(noisy)) == 2
    assert noisy.runs().filter(outcome="refused").height == 1


def test_withdrawing_gives_no_epsilon_back(paid):
    publish.withdraw(paid, NAME, ["1.0.0"], reason="it was wrong", by="officer")
    assert epsilon.spent(paid.objects, paid.catalogue.contract(NAME)) == 0.5


def test_a_person_with_many_rows_moves_the_table_no_further_than_the_noise_is_made_for(noisy):
    crowd = [("ONE", "330106", "2")] * 50
    put(noisy, TRUTH, extra=crowd)
    gold = noisy.scan(Layer.GOLD, NAME)
    exact = build.draft(gold, noisy.catalogue.contract(NAME), noisy.catalogue).exact
    cell = exact.filter(pl.col("division_code") == "330106", pl.col("sex_code") == "2")
    assert cell.select("visits", "fee_yuan").row(0) == (2, 200)


def test_a_draft_without_noise_shows_zeros_never_the_truth(noisy):
    made = build.draft(noisy.scan(Layer.GOLD, NAME), noisy.catalogue.contract(NAME), noisy.catalogue)
    assert made.table["visits"].sum() == made.table["fee_yuan"].sum() == 0
    assert build.privacy(made)["underlying_rows"] == 0
    assert not re.search(r"\b469\b|\b400\b", repr(made.table) + repr(made.private))


def test_a_preview_spends_nothing_and_says_what_it_would_cost(noisy):
    shown = publish.preview(noisy, NAME)
    assert entries(noisy) == []
    assert shown["verdict"].startswith("PASSES: noise protects everybody")
    assert shown["epsilon"].startswith("0.5, with 0 of 1.2 spent; a cell is off by: visits ± ")
    release(noisy)
    shown = publish.preview(noisy, NAME)
    assert shown["unchanged"] is True
    assert "0.5 of 1.2 spent" in shown["epsilon"]


@pytest.mark.usefixtures("noisy")
def test_a_cell_is_never_out_with_noise_and_without(opened, change):
    change(NAME, "privacy", to=None)
    exact = opened()
    release(exact)
    change(NAME, "privacy", to=PRIVACY)
    with pytest.raises(ReleaseRefused, match="shows the same cells without noise") as refused:
        release(opened())
    assert "lake withdraw" in refused.value.remedy


def test_exact_values_of_the_same_rows_elsewhere_are_an_error_with_file_and_line(noisy, schemas, change):
    change("health/visits", "release", "mode", to="public")
    change("health/visits", "under_14", to={"exempt": "to reach the other check"})
    (found,) = [one for one in problems(noisy, schemas) if "exact values" in one]
    assert re.match(r"schemas/products/headcount\.yaml:\d+: privacy: health/visits publishes exact", found)


@pytest.mark.parametrize(
    ("change_to", "says"),
    [
        ({"person": None}, "nobody knows whose rows these are"),
        ({"person": "fee"}, "no field of protect: pseudonym"),
        ({"budget": 0.4}, "does not pay for one release"),
        ({"most": {}}, "no bound on one row's amount"),
        ({"cells": {"division_code": ["99*"]}}, "no code of division begins like 99*"),
        ({"cells": {"county": ["1"]}}, "'county' is no published column"),
    ],
)
def test_noise_that_would_protect_nobody_is_an_error_with_file_and_line(noisy, schemas, change, change_to, says):
    change(NAME, "privacy", to={key: value for key, value in {**PRIVACY, **change_to}.items() if value is not None})
    found = problems(noisy, schemas)
    assert any(says in one for one in found), found
    assert all(re.match(r"schemas/products/headcount\.yaml:\d+: privacy", one) for one in found)


def test_a_new_delivery_is_a_new_draw_even_of_the_same_counts(noisy):
    made = build.draft(noisy.scan(Layer.GOLD, NAME), noisy.catalogue.contract(NAME), noisy.catalogue)
    told = {"dataset": "health/visits", "batch": "2026-01-05-0123456789ab", "sha256": "0" * 64}
    names = {epsilon.spend(noisy, made, batches)[1] for batches in ([told], [told], [])}
    assert len(names) == len(entries(noisy)) == 2


def test_the_population_of_the_register_can_be_counted_with_noise(tmp_path):
    copy = Path(shutil.copytree(PROJECT / "schemas", tmp_path / "schemas"))
    path = copy / "products" / "population.yaml"
    bands = ", ".join(f'"{year}-{year + 4}"' for year in range(1920, 2030, 5))
    cells = f'cells: {{division_code: ["3301*"], sex_code: ["1", "2"], birth_band: [{bands}]}}'
    words = path.read_text(encoding="utf-8") + f"privacy: {{epsilon: 1, budget: 4, {cells}}}\n"
    path.write_text(words, encoding="utf-8")
    found = [str(one) for one in inspect(copy, PROJECT / "expectations")[0]]
    assert [one for one in found if "approvals.csv" not in one] == []  # its approval lapses: other terms
    assert len(found) == 1
    catalogue = load_catalogue(copy)
    gold = pl.DataFrame({"residence_code": ["330102"] * 300, "sex_code": "1", "birth_year": 1984}).with_columns(
        pl.col("birth_year").cast(pl.Int32), ethnic_group_code=pl.lit("01"), marital_status_code=pl.lit("10")
    )
    made = build.draft(gold.lazy(), catalogue.contract("products/population"), catalogue)
    assert made.exact.filter(pl.col("people") > 0).rows() == [("330102", "1", "1980-1984", 300)]
    assert made.table.height == made.exact.height


def test_an_approval_of_other_rows_spends_nothing_and_the_officer_can_read_what_noise_will_cost(noisy):
    approvals.approve(noisy, NAME, by="officer@city.example")
    shown = publish.preview(noisy, NAME)
    assert "ε = " in briefing(shown)
    assert "smallest group" not in briefing(shown)
    with pytest.raises(ReleaseRefused, match="not what was approved"):
        publish.run(noisy, NAME, approved_by="officer", seen="the rows of another day")
    assert epsilon.spent(noisy.objects, noisy.catalogue.contract(NAME)) == 0
    assert noisy.runs().filter(stage="publish", outcome="refused").height == 1
    publish.run(noisy, NAME, approved_by="officer", seen=shown["content"])

