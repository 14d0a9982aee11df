"""Who is who in a running lake: merges, shared keys, decisions, undo, withdrawals, and what the command line says."""

from __future__ import annotations

import json
import shutil
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from jobs.batch import StageReport
from jobs.cli import app
from jobs.operation.enquiries import Desk
from jobs.privacy.keyring import secret
from jobs.registers.keys import entity_ids
from jobs.settings import PROJECT, Settings
from jobs.stages import conform, land, load, resolve, retract
from jobs.storage.identification import GROWN
from jobs.storage.ledgers import Ledger
from jobs.storage.tables import Lake
from jobs.synthesis.numbers import credit_codes, registration_numbers
from tests.stages.states import state

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
    (LICENCES, "20260301", f"{B},{OWN},绿洲软件开发公司,2005-05-05,绿洲路6号,2026-03-01"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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
    monkeypatch.setenv("LAKE_SCHEMAS", str(schemas))
    return tmp_path


def _lake(place: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    keys = place / name / "keys"
    keys.mkdir(parents=True)
    (keys / "register.key").write_bytes(b"r" * 32)
    monkeypatch.setenv("LAKE_ROOT", str(place / name))
    return Settings()


def _deliver(lake: Lake, place: Path, *numbers: int) -> None:
    """Land, load and conform some deliveries, then resolve once."""
    for number in numbers:
        dataset, day, rows = DELIVERIES[number]
        columns = "code,number," if dataset == LICENCES else "number,"
        file = place / f"{dataset.rpartition('/')[2]}_{day}.csv"
        file.write_text(f"{columns}name,born,address,said\n{rows}\n", encoding="utf-8")
        land.run(lake, dataset, files=[file], data_date=date.fromisoformat(f"{day[:4]}-{day[4:6]}-{day[6:]}"))
    for dataset in sorted({DELIVERIES[number][0] for number in numbers}):
        load.run(lake, dataset)
        conform.run(lake, dataset)
    _resolve(lake)


def _resolve(lake: Lake) -> list[StageReport]:
    """Resolve; what the register counts along is what it holds."""
    reports = resolve.run(lake, "firm")
    held = Ledger(lake, "firm").counts()
    assert all(report.extra[name] == held[name] for report in reports[-1:] for name in GROWN)
    return reports


def _id(lake: Lake, kind: str, key: str) -> str:
    import polars as pl

    return entity_ids(pl.Series([kind]), pl.Series([key]), secret(lake.objects, "register"))[0]


def _lake_says(*words: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if done.stdout else None


def _told_apart_and_asked_why(own: str) -> None:
    """A number that two firms give: nobody's before the decision, two entities after it, each with its rows back."""
    assert _lake_says("resolve", own)["state"] == "ambiguous"
    row = _lake_says("entity", own)
    assert (row["status"], row["fields"]["name"]["value"], len(row["held"])) == ("contested", None, 2)
    (case,) = [one["case"] for one in _lake_says("cases") if one["kind"] == "contested_key"]
    _lake_says("decide", case, "different", "--reason", "two seals", "--by", "steward")


def _parties_of(own: str) -> None:
    answer = _lake_says("resolve", own)
    assert (answer["state"], len(answer["parties"])) == ("ambiguous", 2)
    shown = [_lake_says("entity", party, "--unmask")["fields"]["name"]["value"] for party in answer["parties"]]
    assert sorted(shown) == sorted([RED, BLUE])
    _lake_says("entity", own, code=1)
    told = _lake_says("why", answer["parties"][0], "address", "--unmask")
    assert [claim["state"] for claim in told["claims"]] == ["believed"]
    assert told["before"][-1]["source"] == PAYERS


def test_an_id_is_followed_across_merges_decisions_undo_and_withdrawal_and_any_order_ends_the_same(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Lake.open(_lake(place, "lake", monkeypatch)) as lake:
        a, b = (_id(lake, "organisation_code", code[8:17]) for code in (A, B))
        shared, own = (_id(lake, "registration_number", number) for number in (SHARED, OWN))
        _deliver(lake, place, 0, 1)
        assert _lake_says("resolve", shared)["path"] == [shared, a]
        _deliver(lake, place, 2, 3)
        assert _lake_says("resolve", shared, "--known-at", "1")["path"] == [shared, a]
        answer = _lake_says("resolve", shared)
        assert (answer["state"], sorted(answer["parties"])) == ("ambiguous", sorted([a, b]))
        assert _lake_says("resolve", shared, "--as-of", "2026-01-31")["path"] == [shared, a]
        assert _lake_says("resolve", shared, "--as-of", "2026-02-28")["state"] == "ambiguous"
        assert _lake_says("resolve", "A" * 26, code=1)["state"] == "unknown"

        (case,) = [one["case"] for one in _lake_says("cases") if one["kind"] == "shared_key"]
        sides = _lake_says("cases", case)["sides"]
        assert sorted(side["says"][0]["name"] for side in sides) == ["红******", "蓝*******"]
        assert {side["says"][0]["name"] for side in _lake_says("cases", case, "--unmask")["sides"]} == {RED, BLUE}
        _lake_says("decide", case, "same", "--reason", "one firm under a new name", "--by", "steward")
        _told_apart_and_asked_why(own)
        _resolve(lake)
        (best, other) = sorted((a, b))
        assert _lake_says("resolve", other)["path"] == [other, best]
        assert _lake_says("resolve", shared)["path"] == [shared, best]
        document = _lake_says("why", best)
        assert {key["id"] for key in document["keys"]} >= {a, b, shared}
        assert [one["judgement"] for one in document["decisions"]] == ["same"]
        assert {edge["rule"] for edge in document["edges"]} >= {"person", "co_occurrence@1", "arithmetic@1"}
        _parties_of(own)
        begun = time.monotonic()
        _lake_says("why", best, "name")
        assert time.monotonic() - begun < 2

        _lake_says("decide", case, "undo", "--reason", "the seals differ", "--by", "steward")
        _resolve(lake)
        assert _lake_says("resolve", other)["state"] == "active"
        assert _lake_says("resolve", shared)["state"] == "ambiguous"
        assert _lake_says("resolve", other, "--known-at", "3")["path"] == [other, best]
        assert [row["status"] for row in _lake_says("history", other)][-4:] == [
            "removed", "id redirect", "active", "id active"
        ]

        batch = next(one.id for one in lake.batches(LICENCES) if one.data_date.month == 2)
        retract.run(lake, LICENCES, batch=batch)
        _resolve(lake)
        assert _lake_says("resolve", shared)["path"] == [shared, a]
        assert _resolve(lake) == []
        handed = Desk.of(lake, "firm").court.handed_in().to_dicts()
        before = state(lake, [LICENCES, PAYERS])
    with Lake.open(_lake(place, "other", monkeypatch)) as lake:
        Desk.of(lake, "firm").court.hand_in(handed[::2])
        _deliver(lake, place, 3, 2)
        Desk.of(lake, "firm").court.hand_in(handed[1::2])
        _deliver(lake, place, 1, 0)
        retract.run(lake, LICENCES, batch=batch)
        _resolve(lake)
        assert state(lake, [LICENCES, PAYERS]) == before


def test_a_pair_found_to_be_one_is_asked_about_again_when_new_evidence_contradicts_and_stays_joined_meanwhile(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> list[tuple[str, str]]:
        return [(one["state"], one["judgement"]) for one in _lake_says("cases", "--state", "all")
                if one["kind"] == "shared_key"]

    with Lake.open(_lake(place, "lake", monkeypatch)) as lake:
        best, other = sorted(_id(lake, "organisation_code", code[8:17]) for code in (A, B))
        _deliver(lake, place, 0, 2)
        (case,) = [one["case"] for one in _lake_says("cases")]
        _lake_says("decide", case, "same", "--reason", "one firm under a new name", "--by", "steward")
        _resolve(lake)
        assert asked() == [("decided", "same")]
        _deliver(lake, place, 4)
        assert asked() == [("reopened", "same")]
        assert _lake_says("cases", case)["judgement"] == "same"
        assert _lake_says("resolve", other)["path"] == [other, best]
        _lake_says("decide", case, "same", "--reason", "seen, and still one firm", "--by", "steward")
        _resolve(lake)
        assert asked() == [("decided", "same")]
        handed = Desk.of(lake, "firm").court.handed_in().to_dicts()
        before = state(lake, [LICENCES])
    with Lake.open(_lake(place, "other", monkeypatch)) as lake:
        Desk.of(lake, "firm").court.hand_in(handed[:1])
        _deliver(lake, place, 4)
        _deliver(lake, place, 2)
        Desk.of(lake, "firm").court.hand_in(handed[1:])
        _deliver(lake, place, 0)
        assert state(lake, [LICENCES]) == before
