"""A lake of the benchmark's register and its product, with people who move and a copy to make gold anew in."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from jobs.layers import Layer, table_path
from jobs.rows.identifiers.characters import matrix, resident_check
from jobs.settings import Settings
from jobs.storage.standing import Standing
from jobs.storage.tables import Lake

PRODUCT, PLACES, DAYS = "products/people", ("110105", "330106", "330185"), 5
Row = tuple[str, str, dict[str, str]]


def number(place: str, born: date, at: int) -> str:
    body = f"{place}{born:%Y%m%d}{at:03d}"
    return body + chr(resident_check(matrix(pl.Series([body]), 17))[0])


@dataclass
class City:
    """People of three places and few ages, so that groups of five grow and shrink; each day some move or are new."""

    seed: int
    chance: random.Random = field(init=False)
    people: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def day(self, number_: int) -> list[Row]:
        for _ in range(36):
            born = date(1990, 1, 1) + timedelta(days=self.chance.choice((0, 2000)))
            self.people.append(number(self.chance.choice(PLACES), born, len(self.people)))
        moving = self.chance.sample(self.people, min(len(self.people), 40))
        when = f"2026-01-{number_ + 2:02d}"
        return [(key, when, {"name": self.chance.choice("甲乙丙"), "division": self.chance.choice(PLACES),
                             "phone": f"1380000{self.chance.randrange(10_000):04d}"}) for key in moving]


def told(rows: pl.LazyFrame) -> pl.DataFrame:
    found = rows.collect()
    return found.select(sorted(found.columns)).sort(pl.all())


def gold(lake: Lake) -> pl.DataFrame:
    return told(Standing(lake, PRODUCT).rows())


def kept_out(lake: Lake) -> pl.DataFrame:
    return told(lake.scan(Layer.SILVER, Standing(lake, PRODUCT).withholding[1]))


@contextmanager
def another(lake: Lake, folder: Path) -> Iterator[Lake]:
    """Give a copy of a lake that has no gold yet."""
    shutil.copytree(lake.settings.root, folder)
    for layer, name in ((Layer.GOLD, "*"), (Layer.SILVER, "products__*")):
        for table in folder.glob(f"{table_path(layer, name)}"):
            shutil.rmtree(table)
    with Lake.open(Settings(schemas=lake.settings.schemas, root=folder)) as found:
        yield found
    shutil.rmtree(folder)


def another_contract(root: Path, schemas: Path, *changes: tuple[str, str]) -> Settings:
    """Give the lake's product another contract, until the next one."""
    shutil.rmtree(root / "schemas", ignore_errors=True)
    shutil.copytree(schemas, root / "schemas")
    contract = root / "schemas" / "products" / "people.yaml"
    text = contract.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    contract.write_text(text, encoding="utf-8")
    return Settings(schemas=root / "schemas", root=root)
