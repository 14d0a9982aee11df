"""An approval is for exactly what was seen: change what decides a column, and it lapses."""

from __future__ import annotations

import pytest

from jobs.catalogue import load_catalogue
from jobs.errors import ContractError, ReleaseRefused, RequestError
from jobs.releases import approvals
from jobs.releases.terms import fingerprint
from tests.releases.conftest import SCHEMAS

NAME = "health/visits"


def print_of(schemas):
    catalogue = load_catalogue(schemas)
    return fingerprint(catalogue.contract(NAME), catalogue)


def test_every_shipped_dataset_that_opens_something_is_approved_as_it_stands():
    catalogue = load_catalogue(SCHEMAS)
    opening = [contract for contract in catalogue.contracts.values() if contract.release]
    assert opening
    assert approvals.check_file(SCHEMAS / approvals.FILE, catalogue) == []
    for contract in opening:
        assert approvals.approved(contract, catalogue).approved_by


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (("fields", "sex_code", "publish"), {"as": "gender_code"}),
        (("fields", "birth_date", "protect"), "month"),
        (("fields", "birth_date", "publish", "generalise"), "five_years"),
        (("fields", "sex_code", "codes"), "marital_status"),
        (("release", "mode"), "public"),
        (("release", "licence"), "LicenseRef-city-data"),
        (("release", "utility_floor"), 0.5),
        (("release", "not_identifying"), {}),
        (("release", "only"), {"sex_code": ["1"]}),
        (("fields", "fee", "publish"), {"as": "fee"}),
    ],
)
def test_a_change_of_what_decides_the_columns_changes_the_fingerprint(schemas, change, keys, to):
    before = print_of(schemas)
    change(NAME, *keys, to=to)
    assert print_of(schemas) != before


@pytest.mark.parametrize(
    ("keys", "to"),
    [(("title", "en"), "Other words"), (("schedule",), "0 5 * * *"), (("fields", "fee", "protect"), "thousands")],
)
def test_words_and_fields_that_stay_inside_change_nothing(schemas, change, keys, to):
    before = print_of(schemas)
    change(NAME, *keys, to=to)
    assert print_of(schemas) == before


def test_a_changed_code_list_changes_the_fingerprint(schemas):
    before = print_of(schemas)
    with (schemas / "codes" / "sex.csv").open("a", encoding="utf-8") as stream:
        stream.write("7,另一,another,\n")
    assert print_of(schemas) != before


def test_an_approval_holds_until_the_terms_change(lake, opened, change):
    contract = lake.catalogue.contract(NAME)
    with pytest.raises(ReleaseRefused, match="nobody approved"):
        approvals.approved(contract, lake.catalogue)
    given = approvals.approve(lake, NAME, by="officer@city.example", note="seen, with a comma")
    assert approvals.approve(lake, NAME, by="another@city.example") == given
    held = approvals.approved(contract, lake.catalogue)
    assert (held.approved_by, held.fingerprint, held.line) == ("officer@city.example", given, 2)
    change(NAME, "release", "mode", to="public")
    after = opened()
    with pytest.raises(ReleaseRefused, match="lapsed") as refusal:
        approvals.approved(after.catalogue.contract(NAME), after.catalogue)
    assert f"lake approve {NAME}" in str(refusal.value)
    (problem,) = approvals.check_file(after.catalogue.root / approvals.FILE, after.catalogue)
    assert (problem.file, problem.line) == ("schemas/approvals.csv", 2)
    assert "lake approve" in problem.remedy
    approvals.approve(after, NAME, by="officer@city.example")
    assert approvals.check_file(after.catalogue.root / approvals.FILE, after.catalogue) == []


def test_an_approval_needs_somebody_and_something_to_approve(lake, opened, schemas, change):
    with pytest.raises(RequestError, match="nobody approves"):
        approvals.approve(lake, NAME, by="  ")
    inside = {"division_code": {"from": "division_code", "type": "division_code"}}
    change("products/headcount", "fields", to=inside)
    change("products/headcount", "aggregate", to=None)
    change("products/headcount", "release", to=None)
    with pytest.raises(RequestError, match="nothing to approve"):
        approvals.approve(opened(), "products/headcount", by="officer@city.example")


def test_broken_lines_are_named_by_their_line(lake):
    path = lake.catalogue.root / approvals.FILE
    path.write_text(
        ",".join(approvals.COLUMNS)
        + f"\n{NAME},abc,officer,2026-01-05,\n"
        + f"health/nothing,{'0' * 64},officer,2026-01-05,\n"
        + f"{NAME},{'0' * 64},,2026-01-05,\n{NAME},{'0' * 64},officer,January,\nx,y\n",
        encoding="utf-8",
    )
    assert [problem.line for problem in approvals.check_file(path, lake.catalogue)] == [2, 3, 4, 5, 6]
    with pytest.raises(ContractError, match="fingerprint"):
        approvals.approve(lake, NAME, by="officer@city.example")


def test_another_table_is_no_file_of_approvals(lake, tmp_path):
    path = tmp_path / "approvals.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    (problem,) = approvals.check_file(path, lake.catalogue)
    assert "header" in problem.remedy
    assert approvals.check_file(tmp_path / "none.csv", lake.catalogue) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("me", "ME ", True), ("me @gov", "me", True), ("Me <me@gov>", "me", True), ("Me <me@gov>", "me@gov", True),
        ("M. E. <me@gov>", "me", True), ("Me <clerk@gov>", "me", True), ("ｍｅ＠gov", "me", True),
        ('"Me" <clerk@gov>', " me", True), ("me@gov", "ME@GOV", True), ("me@", "me", True), ("<me>", "me", True),
        ("officer@gov", "me", False), ("me@gov", "me@elsewhere", False), ("Me <a@gov>", "Me <b@gov>", False),
        ("me too", "me", False), ("officer", "", False), ("@", "", False),
    ],
)  # fmt: skip
def test_who_asks_is_known_however_the_approver_writes_them(one, other, same):
    assert (approvals.same_person(one, other), approvals.same_person(other, one)) == (same, same)
