"""Rows without a key join the register by a frozen model, and a person is asked where it is not sure."""

from __future__ import annotations

import random
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.operation.tasks import case_text
from jobs.stages import conform, land, load, resolve
from jobs.storage.tables import Lake
from jobs.synthesis.numbers import credit_codes, registration_numbers
from tests.stages.test_decisions import LICENCES, PAYERS, _lake, _lake_says, place

__all__ = ["place"]  # a fixture
FIRMS = 60


def _deliveries() -> tuple[str, str]:
    """Return licences of firms with their codes, and taxpayers without any number: every second firm, and strangers."""
    chance = random.Random(5)
    codes = credit_codes(["91"] * FIRMS, ["331102"] * FIRMS, np.arange(1, FIRMS + 1))
    numbers = registration_numbers(["331102"] * FIRMS, np.arange(1, FIRMS + 1))
    words = ["红星", "蓝天", "绿洲", "长江", "泰山", "珠海", "昆明", "赤峰", "松花", "天山", "东海", "西岭"]
    trades = ["机械", "餐饮", "软件", "航运", "旅游", "光电", "乳业", "花卉", "铁矿", "纺织"]
    every = [f"{one}{two}{trade}有限公司" for one in words for two in words for trade in trades]
    names = chance.sample(every, FIRMS + 10)
    born = [f"{chance.randint(1980, 2020)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}" for _ in names]
    streets = [f"{chance.choice(words)}路{chance.randint(1, 900)}号" for _ in names]
    licences = [
        f"{code},{number},{name},{day},{street},2026-01-01"
        for code, number, name, day, street in zip(codes, numbers, names, born, streets, strict=False)
    ]
    some = [*range(0, FIRMS, 2), *range(FIRMS, FIRMS + 10)]
    payers = [f",{names[at]},{born[at]},{streets[at]},2026-01-06" for at in some]
    return "\n".join(licences), "\n".join(payers)


def test_sure_pairs_are_joined_unsure_ones_asked_about_and_a_second_run_changes_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    licences, payers = _deliveries()
    with Lake.open(_lake(place, "lake", monkeypatch)) as lake:
        for dataset, head, rows in ((LICENCES, "code,number,", licences), (PAYERS, "number,", payers)):
            file = place / f"{dataset.rpartition('/')[2]}_20260106.csv"
            file.write_text(f"{head}name,born,address,said\n{rows}\n", encoding="utf-8")
            land.run(lake, dataset, files=[file])
            load.run(lake, dataset)
            conform.run(lake, dataset)
        resolve.run(lake, "firm")
        model = str(tmp_path / "firm.model.json")
        learned = _lake_says("match", "firm", "--train", model)
        told = _lake_says("match", "firm", "--model", model, "--high", "0.9")
        assert (told["model"], told["keyed"], told["unkeyed"]) == (learned["model"], FIRMS, FIRMS // 2 + 10)
        assert told["edges"] == FIRMS // 2
        (report,) = resolve.run(lake, "firm")
        assert report.extra["entities"] == FIRMS + 10
        again = _lake_says("match", "firm", "--model", model, "--high", "0.9")
        assert (again["new"], again["taken_back"]) == (0, 0)
        assert resolve.run(lake, "firm") == []
        asked = _lake_says("match", "firm", "--model", model, "--high", "0.99999999")
        assert asked["edges"] < FIRMS // 2
        (report,) = resolve.run(lake, "firm")
        assert report.extra["cases"]["open"] == asked["cases"]
        case = _lake_says("cases")[0]
        assert (case["kind"], case["suggestion"]) == ("linked", "same")
        _shows_what_its_weight_comes_of(case, tmp_path / "weights.html")


def _shows_what_its_weight_comes_of(case: dict[str, Any], chart: Path) -> None:
    """A linked case's steps come to its weight: in the document, on the page, in Airflow's question, in the table."""
    found = _lake_says("cases", case["case"], "--unmask", "--chart", str(chart))
    steps = {one["step"]: one["bits"] for one in found["weights"]}
    assert next(iter(steps)) == "share of matches among all pairs"
    assert any(step.startswith("name: ") and bits > 0 for step, bits in steps.items())
    weight = sum(steps.values())
    assert 1 / (1 + 2**-weight) == pytest.approx(case["confidence"], abs=0.01)
    page = chart.read_text(encoding="utf-8")
    assert page.count("<rect") == len(steps) + 1
    assert all(escape(step) in page for step in steps)
    assert f"{case['case']}: {weight:.1f} bits" in page
    said = [one["name"] for side in found["sides"] for one in side["says"]]
    assert len(said) == 2
    assert all("公司" in value and value not in page for value in said)
    told = case_text("firm", case["case"])
    assert all(f"| {step} | {bits:+.1f} |" in told for step, bits in steps.items())
    shown = CliRunner().invoke(app, ["cases", case["case"]])
    assert "what its weight comes of" in shown.stdout
