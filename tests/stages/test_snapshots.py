"""A leading department that sends its whole register each time: whoever is not in it any more has left."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import polars as pl
import pytest

from jobs.settings import Settings
from jobs.stages import conform, land, load, resolve, retract
from jobs.storage.ledgers import Ledger
from jobs.storage.tables import Lake
from tests.stages.states import state

DATASET = "public_security/household_register"
STAYS, LEAVES = "11010519491231002X", "110105194912310054"
HEADER = (
    "公民身份号码,姓名,曾用名,性别,出生日期,民族,户号,与户主关系,"
    "户籍地区划,户籍地址,联系电话,婚姻状况,变动类型,迁出地区划,登记日期"
)
ROWS = {
    STAYS: f"{STAYS},某甲,,女,1949-12-31,,,,110105,,,,登记,,2026-01-05",
    LEAVES: f"{LEAVES},某乙,,男,1949-12-31,,,,110105,,,,登记,,2026-01-05",
}
DAYS = {1: (STAYS, LEAVES), 2: (STAYS,), 3: (STAYS, LEAVES), 4: (STAYS,)}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose household register comes as snapshots."""
    schemas = tmp_path_factory.mktemp("contracts") / "schemas"
    shutil.copytree(Settings().schemas, schemas)
    contract = schemas / f"{DATASET}.yaml"
    text = contract.read_text(encoding="utf-8")
    declared = next(line for line in text.splitlines() if line.startswith("load:"))
    given = text.replace(declared, "load: {mode: snapshot, key: [resident_id]}")
    contract.write_text(given, encoding="utf-8")
    return Settings(schemas=schemas)


def _lake(settings: Settings, folder: Path) -> Settings:
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "register.key").write_bytes(b"k" * 32)  # one key for all lakes, so that ids can be compared
    return settings.model_copy(update={"root": folder, "raw": folder / "raw"})


def _deliver(lake: Lake, folder: Path, day: int) -> str:
    file = folder / f"household_register_2026030{day}.csv"
    file.write_text("\n".join([HEADER, *(ROWS[one] for one in DAYS[day])]) + "\n", encoding="gb18030")
    batch = land.run(lake, DATASET, files=[file])[0].batch
    load.run(lake, DATASET)
    conform.run(lake, DATASET)
    return batch


def _statuses(lake: Lake) -> dict[str, str]:
    rows = Ledger(lake, "person").scan_current().select("name", "_status").collect()
    return {str(name): str(status) for name, status in rows.iter_rows()}


def test_whoever_the_next_snapshot_lacks_has_ended_until_one_names_them_again(
    tmp_path: Path, settings: Settings
) -> None:
    expected = {1: "active", 2: "ended", 3: "active", 4: "ended"}
    with Lake.open(_lake(settings, tmp_path / "lake")) as lake:
        for day, status in expected.items():
            _deliver(lake, tmp_path, day)
            resolve.run(lake, "person")
            assert _statuses(lake) == {"某甲": "active", "某乙": status}
        ended = Ledger(lake, "person").claims_in_force().scan().filter("_withdrawn").collect()
    assert sorted(str(day) for day in ended["_as_of"]) == ["2026-03-02", "2026-03-04"]


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_snapshots_in_any_order_and_one_withdrawn_give_the_register_of_those_that_stayed(
    tmp_path: Path, settings: Settings, order: tuple[int, ...]
) -> None:
    with Lake.open(_lake(settings, tmp_path / "calm")) as lake:
        for day in (1, 2):
            _deliver(lake, tmp_path, day)
        resolve.run(lake, "person")
        wanted = state(lake, [])
    with Lake.open(_lake(settings, tmp_path / "lake")) as lake:
        batches = {}
        for day in order:
            batches[day] = _deliver(lake, tmp_path, day)
            resolve.run(lake, "person")
        assert _statuses(lake) == {"某甲": "active", "某乙": "active"}
        retract.run(lake, DATASET, batch=batches[3])
        resolve.run(lake, "person")
        assert _statuses(lake) == {"某甲": "active", "某乙": "ended"}
        assert state(lake, []) == wanted


def test_a_snapshot_speaks_for_its_own_department_only(tmp_path: Path, settings: Settings) -> None:
    with Lake.open(_lake(settings, tmp_path / "lake")) as lake:
        _deliver(lake, tmp_path, 1)
        _deliver(lake, tmp_path, 2)
        resolve.run(lake, "person")
        claims = Ledger(lake, "person").claims_in_force().scan().collect()
    assert claims.filter(pl.col("_withdrawn"))["_dataset"].unique().to_list() == [DATASET]
