"""Two numbers one slip apart under one name: a person is asked, in any order of arrival and after withdrawals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.settings import Settings
from jobs.stages import conform, land, load, resolve, retract
from jobs.storage.court import Court
from jobs.storage.ledgers import Ledger
from jobs.storage.tables import Lake

DATASET = "civil_affairs/deaths"
DEATH = {"性别": "女", "出生日期": "1949-12-31", "死亡日期": "2026-02-20", "登记机关区划": "110105",
         "登记日期": "2026-02-21"}  # fmt: skip
SAID = {
    1: {"登记编号": "S-1", "身份证号": "11010519491231002X", "姓名": "歐陽娜娜"},
    2: {"登记编号": "S-2", "身份证号": "110105194912310046", "姓名": "欧阳娜娜"},  # another digit
    3: {"登记编号": "S-3", "身份证号": "110105194912310062", "姓名": "赵国强"},  # a true neighbour
}


@pytest.fixture
def lake(tmp_path: Path) -> Any:
    """An empty lake."""
    with Lake.open(Settings(root=tmp_path / "lake")) as opened:
        yield opened


def _deliver(lake: Lake, folder: Path, *days: int) -> dict[int, str]:
    batches = {}
    for day in days:
        file = folder / f"deaths_2026030{day}.jsonl"
        file.write_text(json.dumps({**DEATH, **SAID[day]}, ensure_ascii=False) + "\n", encoding="utf-8")
        batches[day] = land.run(lake, DATASET, files=[file])[0].batch
        load.run(lake, DATASET)
        conform.run(lake, DATASET)
    resolve.run(lake, "person")
    return batches


def _asked(lake: Lake) -> list[tuple[str, str]]:
    return sorted(Court(lake, "person").cases().select("kind", "state").rows())


@pytest.mark.parametrize("order", [((1, 2, 3),), ((3,), (2,), (1,)), ((1,), (3, 2))])
def test_a_slip_is_asked_about_and_a_neighbour_is_not(
    lake: Lake, tmp_path: Path, order: tuple[tuple[int, ...], ...]
) -> None:
    batches = {day: batch for days in order for day, batch in _deliver(lake, tmp_path, *days).items()}
    assert _asked(lake) == [("near_key", "open")]
    assert Ledger(lake, "person").scan_current().collect().height == 3
    retract.run(lake, DATASET, batch=batches[1])
    resolve.run(lake, "person")
    assert _asked(lake) == []
    retract.run(lake, DATASET, batch=batches[1], undo=True)
    conform.run(lake, DATASET)
    resolve.run(lake, "person")
    assert _asked(lake) == [("near_key", "open")]
