"""A release that shows organisations' identifiers says what became of them; one about people does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import frictionless
import polars as pl

from jobs.privacy.keyring import secret
from jobs.registers.identities import MAP
from jobs.registers.keys import entity_ids
from jobs.releases import approvals, listing, recipes
from jobs.releases.verify import verify
from jobs.stages import publish
from jobs.storage.court import Court
from jobs.storage.tables import Lake
from tests.releases.conftest import put_gold, visits

NAME = "health/visits"
OLD, NEW, ELSEWHERE, CALM = "000000019", "000000027", "000000035", "000000043"
WAS = [(OLD, "redirect", NEW), (ELSEWHERE, "redirect", "000000051"), (CALM, "active", CALM)]


def _released(lake: Lake) -> Path:
    approvals.approve(lake, NAME, by="officer@city.example")
    publish.run(lake, NAME, approved_by="officer")
    last = listing.latest(lake.objects, NAME)
    assert last is not None
    return last.folder


def _moved(lake: Lake) -> None:
    """Let the register of organisations say that some codes became others."""
    def born(code: str) -> str:
        return entity_ids(pl.Series(["organisation_code"]), pl.Series([code]), secret(lake.objects, "register"))[0]

    rows = [
        {**dict.fromkeys(MAP), "id": born(code), "kind": "organisation_code", "state": state, "entity": born(entity)}
        for code, state, entity in WAS
    ]
    court = Court(lake, "organisation")
    court.write(court.id_changes, pl.DataFrame(rows, schema=MAP), 1)


def test_what_became_of_the_codes_a_release_shows_is_in_it_described_and_sealed(
    change: Callable[..., None], opened: Callable[[], Lake]
) -> None:
    change(NAME, "fields", "clinic_code", to={
        "from": "机构", "type": "organisation_code", "protect": "keep", "publish": {"as": "clinic_code"}})
    reasons: dict[str, Any] = {"remark": "the same for everybody", "clinic_code": "an organisation's public identifier"}
    change(NAME, "release", "not_identifying", to=reasons)
    lake = opened()
    gold = visits(county=40)
    codes = pl.Series("clinic_code", [[OLD, NEW, ELSEWHERE, CALM][at % 4] for at in range(gold.height)])
    put_gold(lake, gold.with_columns(codes))
    _moved(lake)
    folder = _released(lake)
    table = pl.read_csv(folder / "id_changes.csv", infer_schema=False)
    assert table.select("column", "identifier", "state", "became").rows() == [
        ("clinic_code", OLD, "redirect", NEW), ("clinic_code", ELSEWHERE, "redirect", None),
    ]
    assert "000000051" not in (folder / "id_changes.csv").read_text(encoding="utf-8")  # not in the release's own rows
    assert verify(folder).problems == []
    assert "id_changes.csv" in (folder / "SHA256SUMS").read_text(encoding="utf-8")
    assert "id_changes.csv" in (folder / "README.md").read_text(encoding="utf-8")
    named = [one["path"] for one in json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))["resources"]]
    assert named[-1] == "id_changes.csv"
    assert frictionless.validate(str(folder / "datapackage.json")).valid
    version = folder.name
    assert {row["result"] for row in recipes.rebuild(lake, NAME, version)} == {"equal"}
    sealed = folder / "id_changes.csv"
    sealed.write_text(sealed.read_text(encoding="utf-8").replace(NEW, CALM), encoding="utf-8")
    assert verify(folder).problems


def test_a_release_about_people_has_no_such_file(lake: Lake) -> None:
    _moved(lake)
    folder = _released(lake)
    assert not (folder / "id_changes.csv").exists()
    assert "id_changes" not in (folder / "datapackage.json").read_text(encoding="utf-8")
