"""A record that a later delivery corrects to be about somebody else stops speaking of the first, in any order."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from jobs.layers import Layer
from jobs.settings import Settings
from jobs.stages import conform, land, load, resolve
from jobs.storage.ledgers import Ledger
from jobs.storage.tables import Lake

DATASET = "civil_affairs/deaths"
FIRST, SECOND = "11010519491231002X", "110105194912310038"
DEATH = {"登记编号": "S-9", "姓名": "某甲", "性别": "女", "出生日期": "1949-12-31", "死亡日期": "2026-02-20",
         "登记机关区划": "110105", "登记日期": "2026-02-21"}  # fmt: skip


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_only_the_corrected_person_is_dead(tmp_path: Path, order: tuple[int, int]) -> None:
    said = {1: FIRST, 2: _checked(SECOND)}
    with Lake.open(Settings(root=tmp_path / "lake")) as lake:
        for day in order:
            file = tmp_path / f"deaths_2026030{day}.jsonl"
            file.write_text(json.dumps({**DEATH, "身份证号": said[day]}, ensure_ascii=False) + "\n", encoding="utf-8")
            land.run(lake, DATASET, files=[file])
            load.run(lake, DATASET)
            conform.run(lake, DATASET)
            resolve.run(lake, "person")
        rows = Ledger(lake, "person").scan_current().select("_entity_id", "died_on").collect()
        claims = lake.scan(Layer.REGISTERS, "person_claims").collect()
    corrected = claims.filter(pl.col("_delivered_on") == pl.col("_delivered_on").max())["_key_id"].to_list()
    assert rows["_entity_id"].to_list() == corrected
    assert rows["died_on"].null_count() == 0


def _checked(number: str) -> str:
    """Return a number with its check character (ISO 7064 MOD 11-2)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    rest = sum(int(digit) * weight for digit, weight in zip(number[:17], weights, strict=True)) % 11
    return number[:17] + "10X98765432"[rest]
