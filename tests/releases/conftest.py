"""A lake with two small contracts that open something, and gold rows for them, without an engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from deltalake import write_deltalake

from jobs.catalogue import load_catalogue
from jobs.layers import Layer
from jobs.portal.build import build
from jobs.releases import announcement, approvals
from jobs.settings import Settings
from jobs.stages import publish
from jobs.storage.tables import Lake

SCHEMAS = Path(__file__).parents[2] / "schemas"
VISITS: dict[str, Any] = {
    "title": {"en": "Visits", "zh": "就诊"},
    "description": {"en": "One row per visit, invented.", "zh": "虚构的就诊记录。"},
    "steward": "open-data@health.example.gov",
    "source": {"reader": "csv", "path": "health/visits.csv"},
    "entities": {"patient": {"register": "person", "key": ["resident_id"]}},
    "fields": {
        "resident_id": {"from": "身份证号", "type": "resident_id", "protect": "pseudonym"},
        "division_code": {"from": "区划", "type": "division_code", "publish": {"as": "division_code"}},
        "sex_code": {"from": "性别", "type": "code", "codes": "sex", "publish": {"as": "sex_code"}},
        "birth_date": {
            "from": "出生日期", "type": "date", "protect": "year",
            "publish": {"as": "birth_band", "generalise": "ten_years"},
        },
        "remark": {"from": "备注", "type": "text", "protect": "keep", "publish": {"as": "remark"}},
        "fee": {"from": "费用", "type": "money", "protect": "keep"},
    },
    "release": {
        "theme": "卫生", "mode": "controlled",
        "not_identifying": {"remark": "one of two fixed remarks, the same for everybody"},
    },
    "examples": [
        {"given": {"身份证号": "11010519491231002X"}, "accepted": True},
        {"given": {"身份证号": "110105194912310021"}, "rejected": ["resident_id.check_character"]},
    ],
}  # fmt: skip
# The same as the public may have them: a remark is free text no longer, and nobody in them lives.
PUBLIC_VISITS: dict[str, Any] = {
    **VISITS,
    "fields": {**VISITS["fields"], "remark": {**VISITS["fields"]["remark"], "type": "organisation_name"}},
    "release": {**VISITS["release"], "mode": "public"},
    "under_14": {"exempt": "the rows are invented, nobody in them lives"},
}
HEADCOUNT = {
    "title": {"en": "Visits counted", "zh": "就诊统计"},
    "description": {"en": "Visits by county and sex.", "zh": "按区县和性别统计。"},
    "steward": "open-data@health.example.gov",
    "from": {"dataset": "health/visits"},
    "fields": {
        "division_code": {"from": "division_code", "type": "division_code", "publish": {"as": "division_code"}},
        "sex_code": {"from": "sex_code", "type": "code", "codes": "sex", "publish": {"as": "sex_code"}},
        "fee": {"from": "fee", "type": "money"},
    },
    "aggregate": {"measures": {"visits": "count", "fee_yuan": "sum(fee)"}},
    "release": {"theme": "卫生"},
}


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    return write_schemas(tmp_path / "schemas")


def write_schemas(root: Path, visited: dict[str, Any] = VISITS) -> Path:
    """Write a schemas folder with the two contracts and what they need."""
    shutil.copytree(SCHEMAS / "codes", root / "codes")
    shutil.copy(SCHEMAS / "types.yaml", root / "types.yaml")
    for folder in ("health", "products", "registers"):
        (root / folder).mkdir()
    write_contract(root, "health/visits", visited)
    write_contract(root, "products/headcount", HEADCOUNT)
    for name, text in registers_alone().items():
        (root / "registers" / name).write_text(text, encoding="utf-8")
    return root


@cache
def registers_alone() -> dict[str, str]:
    """Return the registers' files by name, without what they prefer, which is not here."""
    found = {}
    for register in (SCHEMAS / "registers").glob("*.yaml"):
        words = yaml.safe_load(register.read_text(encoding="utf-8"))
        words["lead"] = []
        for field in words["fields"].values():
            field.pop("prefer", None)
        found[register.name] = yaml.safe_dump(words, allow_unicode=True)
    return found


@pytest.fixture(scope="session")
def three_versions(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake with three versions of one dataset, rows coming and going; look at it, never change it."""
    root = tmp_path_factory.mktemp("three")
    write_schemas(root / "schemas")
    found = lake_in(root)
    approvals.approve(found, "health/visits", by="officer@city.example")
    for county, rare in ((30, 3), (40, 3), (35, 4)):
        put_gold(found, visits(county=county, rare=rare))
        publish.run(found, "health/visits", approved_by="officer")
    announcement.announce(found)
    return found


@pytest.fixture(scope="session")
def released_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a lake whose visits are released once, and of its schemas; to be copied, never changed."""
    folder = tmp_path_factory.mktemp("released")
    write_schemas(folder / "schemas")
    found = lake_in(folder)
    approvals.approve(found, "health/visits", by="officer@city.example")
    put_gold(found, visits())
    publish.run(found, "health/visits", approved_by="officer", triggered_by="operator")
    return folder


@pytest.fixture
def released(released_once: Path, schemas: Path) -> Lake:
    """Return such a lake of the test's own, which `opened` opens with the contracts as they now stand."""
    return copy_of(released_once, schemas.parent)


@pytest.fixture(scope="session")
def shown_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a lake and its schemas, to be copied, never changed.

    There are two versions of one public dataset and one of another, shown on the site and announced.
    """
    folder = tmp_path_factory.mktemp("shown")
    write_schemas(folder / "schemas", PUBLIC_VISITS)
    found = lake_in(folder)
    for name in ("health/visits", "products/headcount"):
        approvals.approve(found, name, by="officer@city.example")
    for name, county in (("health/visits", 30), ("products/headcount", 30), ("health/visits", 60)):
        put_gold(found, visits(county=county), name)
        publish.run(found, name, approved_by="officer")
    build(found)
    announcement.announce(found)
    return folder


def copy_of(made: Path, place: Path, root: str = "lake") -> Lake:
    """Return a lake of a test's own at `root` in a place: a copy of one, with its schemas, that was made once."""
    shutil.copytree(made / "lake", place / root)
    shutil.copytree(made / "schemas", place / "schemas", dirs_exist_ok=True)
    return lake_in(place, root)


def lake_in(folder: Path, root: str = "lake") -> Lake:
    """Return the lake at `root` in a folder with the schemas in it."""
    settings = Settings(root=folder / root, schemas=folder / "schemas")
    return Lake(settings, load_catalogue(settings.schemas))


def write_contract(root: Path, name: str, words: dict[str, Any]) -> None:
    text = yaml.dump(words, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False)
    (root / f"{name}.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
def change(schemas: Path) -> Callable[..., None]:
    """Change one part of a contract, named by its keys."""

    def put(name: str, *keys: str, to: Any) -> None:
        words = yaml.load((schemas / f"{name}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        part = words
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = to
        write_contract(schemas, name, words)

    return put


@pytest.fixture
def opened(tmp_path: Path, schemas: Path) -> Callable[[], Lake]:
    """Open the lake with the contracts as they now stand."""

    def lake() -> Lake:
        with Lake.open(Settings(root=tmp_path / "lake", schemas=schemas)) as found:
            return found

    return lake


@pytest.fixture
def lake(opened: Callable[[], Lake]) -> Lake:
    found = opened()
    put_gold(found, visits())
    return found


def visits(*, county: int = 30, rare: int = 3, remark: str = "plain") -> pl.DataFrame:
    """Return gold rows: two counties of one city with two large groups each, and a few rows of their own kind."""
    groups = [
        ("330102", "1", 1984, county), ("330102", "2", 1984, county), ("330105", "1", 1991, county),
        ("330105", "2", 1995, county), ("330102", "1", 1901, rare), ("330105", "1", 1902, rare),
        ("650102", "9", 1950, 1),
    ]  # fmt: skip
    rows = [(place, sex, year) for place, sex, year, count in groups for _ in range(count)]
    schema = {"division_code": pl.String(), "sex_code": pl.String(), "birth_year": pl.Int32()}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.select(
        pl.concat_str(pl.lit("PERSON"), pl.int_range(pl.len())).alias("resident_id"),
        "division_code", "sex_code", "birth_year",
        pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit(remark)).alias("remark"),
        pl.lit(100).cast(pl.Decimal(24, 4)).alias("fee"),
        pl.lit("CNY").alias("fee_currency"),
    )  # fmt: skip


def put_gold(lake: Lake, rows: pl.DataFrame, name: str = "health/visits") -> None:
    if name == "products/headcount":
        rows = rows.select("division_code", "sex_code", "fee", "fee_currency")
    write_deltalake(lake.folder(Layer.GOLD, name).uri, rows.to_arrow(), mode="overwrite")
