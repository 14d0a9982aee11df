"""Who is who in a running lake: merges, shared keys, decisions, undo, withdrawals, and what the command line says."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from jobs.cli import app
from jobs.operation.decisions import decide
from jobs.operation.enquiries import Desk
from jobs.privacy.keyring import secret
from jobs.registers.keys import entity_ids
from jobs.settings import PROJECT, Settings
from jobs.stages import conform, land, load, resolve, retract
from jobs.storage.tables import Lake
from jobs.synthesis.numbers import credit_codes, registration_numbers
from tests.stages.states import state

pytestmark = pytest.mark.spark

TITLE = {"en": "x", "zh": "x"}
REGISTER = {
    "title": TITLE, "description": TITLE, "lead": ["market/licences"],
    "kinds": ["organisation_code", "credit_code", "registration_number"],
    "clash": {"name": "name", "other": ["established_on"]},
    "fields": {
        "name": {"type": "organisation_name", "title": TITLE, "prefer": ["market/licences"]},
        "established_on": {"type": "date", "title": TITLE},
        "address": {"type": "address", "title": TITLE, "policy": "latest"},
    },
}


def _contract(path: str, key: list[str]) -> dict[str, Any]:
    kinds = {"code": "credit_code", "number": "registration_number", "name": "organisation_name", "born": "date",
             "address": "address", "said": "date"}
    wanted = [name for name in kinds if name in (*key, "name", "born", "address", "said")]
    return {
        "title": TITLE, "description": TITLE, "steward": "open-data@market.example.gov",
        "source": {"reader": "csv", "path": path + "_{date:%Y%m%d}.csv"},
        "load": {"mode": "append", "as_of": "said"},
        "entities": {"firm": {"register": "firm", "key": key, "fields": {
            "name": "name", "established_on": "born", "address": "address"}}},
        "fields": {name: {"from": name, "type": kinds[name], "protect": "drop"} for name in wanted},
        "examples": [
            {"given": {"name": "某某厂", "said": "2026-01-01"}, "accepted": True},
            {"given": {"name": "某某厂", "said": "2026-02-30"}, "rejected": ["said.not_a_date"]},
        ],
    }


A, B = credit_codes(["91", "91"], ["331102", "331102"], np.array([1, 2]))
SHARED, OWN = registration_numbers(["331102", "331102"], np.array([1, 2]))
RED, BLUE = "红星机械制造厂", "蓝天餐饮管理中心"
LICENCES, PAYERS = "market/licences", "tax/payers"
DELIVERIES = [
    (LICENCES, "20260105", f"{A},{SHARED},{RED},1990-01-01,红星路1号,2026-01-01"),
    (PAYERS, "20260106", f"{SHARED},{RED},1990-01-01,红星路2号,2026-01-06"),
    (LICENCES, "20260201", f"{B},{SHARED},{BLUE},1999-09-09,蓝天路3号,2026-02-01"),
    (PAYERS, "20260202", f"{OWN},{BLUE},1999-09-09,蓝天路4号,2026-02-02\n{OWN},{RED},1990-01-01,红星路5号,2026-02-02"),
]


@pytest.fixture
def place(tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for lakes with two small contracts and one register, all with one key ring."""
    schemas = tmp_path / "schemas"
    (schemas / "registers").mkdir(parents=True)
    shutil.copy(PROJECT / "schemas" / "types.yaml", schemas)
    shutil.copytree(PROJECT / "schemas" / "codes", schemas / "codes")
    documents = {"registers/firm": REGISTER, LICENCES: _contract(LICENCES, ["code", "number"]),
                 PAYERS: _contract(PAYERS, ["number"])}
    for name, document in documents.items():
        (schemas / name).parent.mkdir(exist_ok=True)
        (schemas / f"{name}.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    monkeypatch.setenv("LAKE_SPARK", engine)
    monkeypatch.setenv("LAKE_SCHEMAS", str(schemas))
    return tmp_path


def _lake(place: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    keys = place / name / "keys"
    keys.mkdir(parents=True)
    (keys / "register.key").write_bytes(b"r" * 32)
    monkeypatch.setenv("LAKE_ROOT", str(place / name))
    return Settings()


def _deliver(lake: Lake, place: Path, *numbers: int) -> None:
    for number in numbers:
        dataset, day, rows = DELIVERIES[number]
        columns = "code,number," if dataset == LICENCES else "number,"
        file = place / f"{dataset.rpartition('/')[2]}_{day}.csv"
        file.write_text(f"{columns}name,born,address,said\n{rows}\n", encoding="utf-8")
        land.run(lake, dataset, files=[file], data_date=date.fromisoformat(f"{day[:4]}-{day[4:6]}-{day[6:]}"))
        load.run(lake, dataset)
        conform.run(lake, dataset)
    resolve.run(lake, "firm")


def _id(lake: Lake, kind: str, key: str) -> str:
    import polars as pl

    return entity_ids(pl.Series([kind]), pl.Series([key]), secret(lake.objects, "register"))[0]


def _lake_says(*words: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.fixture
def told(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Lake, str, str, str, str]]:
    """A lake that heard all deliveries in two commits, and the ids of both firms and both numbers."""
    with Lake.open(_lake(place, "lake", monkeypatch)) as lake:
        _deliver(lake, place, 0, 1)
        _deliver(lake, place, 2, 3)
        yield (
            lake, _id(lake, "organisation_code", A[8:17]), _id(lake, "organisation_code", B[8:17]),
            _id(lake, "registration_number", SHARED), _id(lake, "registration_number", OWN),
        )


def test_an_id_is_followed_across_a_merge_a_shared_number_a_decision_and_its_undo(
    told: tuple[Lake, str, str, str, str]
) -> None:
    lake, a, b, shared, own = told
    assert _lake_says("resolve", shared, "--known-at", "1")["path"] == [shared, a]
    answer = _lake_says("resolve", shared)
    assert (answer["state"], sorted(answer["parties"])) == ("ambiguous", sorted([a, b]))
    assert _lake_says("resolve", shared, "--as-of", "2026-01-31")["path"] == [shared, a]
    assert _lake_says("resolve", shared, "--as-of", "2026-02-28")["state"] == "ambiguous"
    assert _lake_says("resolve", own)["state"] == "ambiguous"  # two firms under one number, no lead
    assert _lake_says("resolve", "A" * 26, code=1)["state"] == "unknown"

    waiting = _lake_says("cases")
    assert sorted((case["kind"], case["state"]) for case in waiting) == [
        ("contested_key", "open"), ("shared_key", "open")
    ]
    (case,) = [case["case"] for case in waiting if case["kind"] == "shared_key"]
    sides = _lake_says("cases", case)["sides"]
    assert sorted(side["says"][0]["name"] for side in sides) == ["红******", "蓝*******"]
    assert {side["says"][0]["name"] for side in _lake_says("cases", case, "--unmask")["sides"]} == {RED, BLUE}

    _lake_says("decide", case, "same", "--reason", "one firm under a new name", "--by", "steward")
    resolve.run(lake, "firm")
    (best, other) = sorted((a, b))
    assert _lake_says("resolve", other)["path"] == [other, best]
    assert _lake_says("resolve", shared)["path"] == [shared, best]
    assert Desk.of(lake, "firm").ledger.status(other) == "removed"
    document = _lake_says("why", best)
    assert {key["id"] for key in document["keys"]} >= {a, b, shared}
    assert [one["judgement"] for one in document["decisions"]] == ["same"]
    assert {edge["rule"] for edge in document["edges"]} >= {"person", "co_occurrence@1", "arithmetic@1"}

    _lake_says("decide", case, "undo", "--reason", "the seals differ", "--by", "steward")
    resolve.run(lake, "firm")
    assert _lake_says("resolve", other)["state"] == "active"
    assert _lake_says("resolve", shared)["state"] == "ambiguous"
    assert _lake_says("resolve", other, "--known-at", "3")["path"] == [other, best]
    assert [row["status"] for row in _lake_says("history", other)] == [
        "active", "removed", "id redirect", "active", "id active"]


def test_a_contested_number_told_apart_gives_two_entities_and_their_rows_back(
    told: tuple[Lake, str, str, str, str]
) -> None:
    lake, _, _, _, own = told
    desk = Desk.of(lake, "firm")
    row = desk.row(own)
    assert row is not None
    assert (row["_status"], row["name"], len(row["_held"])) == ("contested", None, 2)
    (case,) = [one["case"] for one in _lake_says("cases") if one["kind"] == "contested_key"]
    decide(lake, case, "different", by="steward", reason="two seals")
    resolve.run(lake, "firm")
    answer = _lake_says("resolve", own)
    assert (answer["state"], len(answer["parties"])) == ("ambiguous", 2)
    rows = [desk.row(party) for party in answer["parties"]]
    assert sorted(row["name"] for row in rows if row) == sorted([RED, BLUE])
    assert desk.row(own) is None
    told_why = _lake_says("why", answer["parties"][0], "address", "--unmask")
    assert [claim["state"] for claim in told_why["claims"]] == ["believed"]
    assert told_why["before"][-1]["source"] == PAYERS


def test_a_withdrawn_delivery_takes_its_evidence_with_it_and_any_order_ends_the_same(
    told: tuple[Lake, str, str, str, str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, a, _, shared, _ = told
    (case,) = [one["case"] for one in _lake_says("cases") if one["kind"] == "shared_key"]
    taken = decide(lake, case, "different", by="steward", reason="two seals")
    rows = Desk.of(lake, "firm").court.handed_in().to_dicts()
    assert [row["id"] for row in rows] == taken["ids"]
    resolve.run(lake, "firm")
    batch = next(one.id for one in lake.batches(LICENCES) if one.data_date.month == 2)
    retract.run(lake, LICENCES, batch=batch)
    resolve.run(lake, "firm")
    assert _lake_says("resolve", shared)["path"] == [shared, a]
    before = state(lake, [LICENCES, PAYERS])
    assert resolve.run(lake, "firm") == []
    with Lake.open(_lake(place, "other", monkeypatch)) as other:
        Desk.of(other, "firm").court.hand_in(rows)
        _deliver(other, place, 3)
        _deliver(other, place, 2, 1)
        _deliver(other, place, 0)
        retract.run(other, LICENCES, batch=batch)
        resolve.run(other, "firm")
        assert state(other, [LICENCES, PAYERS]) == before


def test_asking_why_is_quick(told: tuple[Lake, str, str, str, str]) -> None:
    _, a, *_ = told
    begun = time.monotonic()
    _lake_says("why", a, "name")
    assert time.monotonic() - begun < 2
