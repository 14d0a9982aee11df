"""What else is true of the city: who works where, lives elsewhere, is disabled, trades, owns land together.

Each table is made when somebody asks for it, from chances of its own, so that a city with a few deliveries costs no
more than they need and every delivery of one city tells the same truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from jobs.synthesis.departments import City
from jobs.synthesis.names import full_names, surnames
from jobs.synthesis.numbers import credit_codes, resident_ids
from jobs.synthesis.people import BASE, counties, phones

BACKLOG_DAYS = 730  # of births and the like that are delivered on the first day
PEOPLE_PER_COLLECTIVE, PEOPLE_PER_TRADER = 2_500, 60
INCOMERS, MOVERS, FLEXIBLE, DISABLED, POOR = 0.03, 0.02, 0.15, 0.04, 0.016
INDUSTRIES = {
    "商贸": "F", "餐饮管理": "H", "建筑工程": "E", "机械制造": "C", "信息科技": "I", "物流": "G", "农业开发": "A",
    "企业管理": "L",
}
DISABILITIES = ("视力", "听力", "言语", "肢体", "智力", "精神", "多重")
_POSTS = ("专业技术人员", "职员", "企业管理人员", "工人")
_OLDER_NUMBER = 50  # one firm in so many is still taxed under a number from before the credit code
_COLLECTIVES, _TRADERS = 20_000_000, 30_000_000  # where the serials of their codes begin


class Circumstances:
    """Hold a city and what else is true of it; tables as they are asked for."""

    def __init__(self, city: City, seed: int, codes: Path) -> None:
        self.city, self.days = city, city.days
        self._seed, self._codes = seed, codes

    def chance(self, topic: int) -> np.random.Generator:
        """Return the chances of one topic, apart from all others."""
        return np.random.default_rng([self._seed, 5, topic])

    @cached_property
    def counties(self) -> pl.DataFrame:
        """Return the city's counties: `code`, `label_zh` and what they were before."""
        return counties(self._codes)

    @cached_property
    def living(self) -> pl.DataFrame:
        """Return the people who live when the city's days begin, newborns of those days not among them."""
        died = pl.col("died_on")
        return self.city.people.filter((died.is_null() | (died >= BASE)) & ~pl.col("person").str.starts_with("9"))

    @cached_property
    def heads(self) -> pl.DataFrame:
        """Return who heads each household: `household`, `head`, `head_name`, `head_id`."""
        heads = self.city.people.filter(pl.col("relationship") == "户主")
        return heads.select("household", head="person", head_name="name", head_id="resident_id")

    @cached_property
    def standing(self) -> pl.DataFrame:
        """Return the entities that stand when the city's days begin."""
        return self.city.entity_events.filter(pl.col("deliver_day") == 1).drop("deliver_day", "story")

    def of_kind(self, kind: str) -> pl.DataFrame:
        """Return the standing entities of a kind; all of them in a city too small to have one."""
        found = self.standing.filter(pl.col("kind") == kind)
        return self.standing if found.is_empty() else found

    def told(self, kinds: list[str], number: int) -> pl.DataFrame:
        """Return what the registers of some kinds of entity hear on a day."""
        return self.city.entity_events.filter((pl.col("deliver_day") == number) & pl.col("kind").is_in(kinds))

    @cached_property
    def older_numbers(self) -> Mapping[str, str]:
        """Return entity → its taxpayer number of 15 characters, for the few that are still taxed under one."""
        old = self.standing.filter(
            pl.col("kind").is_in(["企业", "其他"]) & (pl.col("entity").cast(pl.Int64) % _OLDER_NUMBER == 7)
        )
        return dict(old.select("entity", pl.col("county") + pl.col("credit_code").str.slice(8, 9)).iter_rows())

    @cached_property
    def work(self) -> pl.DataFrame:
        """Return the working people with `entity` (their employer), `hired_on`, `form`, `status`, `education`."""
        chance = self.chance(1)
        of = self.city.jobs.unique("person", keep="first", maintain_order=True).select("person", "entity", "base")
        people = self.living.join(of, on="person", how="inner", maintain_order="left")
        flexible = pl.Series(chance.random(people.height) < FLEXIBLE) & (people["birth"].dt.year() > BASE.year - 60)
        people = people.filter(pl.col("entity").is_not_null() | flexible).join(
            self.standing.select("entity", "established"), on="entity", how="left", maintain_order="left"
        )
        count, own = people.height, people["person"].is_in(self.traders["owner"].implode())
        grown = pl.col("birth").dt.offset_by("18y")
        employed = pl.col("entity").is_not_null()
        return people.with_columns(
            hired_on=pl.max_horizontal(
                pl.Series(np.datetime64(BASE) - chance.integers(60, 3_650, count)).cast(pl.Date), grown, "established"
            ),
            form=pl.when(employed).then(pl.Series(chance.choice(["单位就业", "公益性岗位"], count, p=[0.97, 0.03])))
            .when(own).then(pl.lit("个体经营")).otherwise(pl.lit("灵活就业")),
            status=pl.when(employed)
            .then(
                pl.Series(chance.choice(_POSTS, count, p=[0.2, 0.3, 0.1, 0.4]))
            )
            .when(own).then(pl.lit("个体经营者")).otherwise(pl.lit("自由职业者")),
            education=pl.Series(
                chance.choice(["硕士研究生", "大学本科", "大专", "中专", "高中", "初中"], count,
                              p=[0.03, 0.17, 0.2, 0.15, 0.2, 0.25])
            ),
        )

    @cached_property
    def incomers(self) -> pl.DataFrame:
        """Return people who live here and are registered in other provinces; no other register of the city has them."""
        chance, count = self.chance(2), max(20, int(self.living.height * INCOMERS))
        places = pl.read_csv(self._codes / "division.csv", infer_schema=False).filter(
            (pl.col("level") == "county") & pl.col("valid_to").is_null()
            & pl.col("code").str.contains("^(34|36|41|52)")
        )["code"]
        male = chance.random(count) < 0.58
        births = pl.Series(np.datetime64(BASE) - chance.integers(365 * 17, 365 * 60, count)).cast(pl.Date)
        home = places.gather(chance.integers(0, len(places), count))
        return pl.DataFrame(
            {
                "person": pl.Series(np.arange(80_000_000, 80_000_000 + count)).cast(pl.String),
                "name": full_names(chance, surnames(chance, count), male),
                "sex": pl.Series(np.where(male, "男", "女")),
                "birth": births,
                "resident_id": resident_ids(home, births, male),
                "county": home,
                "phone": phones(chance, count),
            }
        )

    @cached_property
    def disabled(self) -> pl.DataFrame:
        """Return the people with a disability certificate: `person`, `kind` (of DISABILITIES), `grade` (1 to 4)."""
        chance, living = self.chance(3), self.living
        old = (living["birth"].dt.year() < BASE.year - 55).to_numpy()
        of = living.filter(pl.Series(chance.random(living.height) < np.where(old, DISABLED * 2, DISABLED / 2)))
        return of.with_columns(
            kind=pl.Series(chance.choice(DISABILITIES, of.height, p=[0.15, 0.18, 0.03, 0.43, 0.09, 0.09, 0.03])),
            grade=pl.Series(chance.choice([1, 2, 3, 4], of.height, p=[0.1, 0.25, 0.3, 0.35])),
        )

    @cached_property
    def poor(self) -> pl.DataFrame:
        """Return the people who receive an allowance; nobody who works is among them."""
        chance, idle = self.chance(4), self.living.join(self.work.select("person"), on="person", how="anti")
        sizes = self.living.group_by("household").agg(size=pl.len())
        share = min(1.0, POOR * self.living.height / max(1, idle.height))
        return idle.filter(pl.Series(chance.random(idle.height) < share)).join(
            sizes, on="household", how="left", maintain_order="left"
        ).join(self.disabled.select("person", "kind"), on="person", how="left", maintain_order="left")

    @cached_property
    def collectives(self) -> pl.DataFrame:
        """Return the rural collectives of groups, villages and townships, as entities headed by people of the city."""
        chance, count = self.chance(6), max(12, self.living.height // PEOPLE_PER_COLLECTIVE)
        level = chance.choice(["组级", "村级", "乡镇级"], count, p=[0.2, 0.7, 0.1])
        heads = self._owners(chance, count)
        prefixes = pl.Series(level).replace_strict({"组级": "N1", "村级": "N2", "乡镇级": "N3"}).to_list()
        numbers = np.arange(count)
        return self._entities(chance, heads, "C", numbers).with_columns(
            kind=pl.lit("其他"),
            level=pl.Series(level),
            credit_code=pl.Series(credit_codes(prefixes, heads["county"].to_list(), numbers + _COLLECTIVES)),
            name=pl.concat_str("label", "word", pl.lit("村"), pl.Series(numbers % 97 + 1).cast(pl.String),
                               pl.lit("股份经济合作社")),
            members=pl.Series(chance.integers(120, 3_200, count)),
            assets=pl.Series(np.round(chance.lognormal(5.5, 1.0, count), 2)),
        )

    @cached_property
    def traders(self) -> pl.DataFrame:
        """Return the sole traders; a fifth have no credit code and are taxed under their owner's number."""
        chance, count = self.chance(7), max(12, self.living.height // PEOPLE_PER_TRADER)
        owners, numbers = self._owners(chance, count), np.arange(count)
        coded = pl.Series(chance.random(count) < 0.8)
        codes = pl.Series(credit_codes(["92"] * count, owners["county"].to_list(), numbers + _TRADERS))
        return self._entities(chance, owners, "T", numbers).with_columns(
            kind=pl.lit("个体"),
            credit_code=pl.when(coded).then(codes).otherwise(pl.lit("")),
            number=pl.when(coded).then(codes).otherwise(pl.col("representative_id") + "01"),
            name=pl.concat_str("label", pl.col("representative_name").str.slice(0, 1), pl.lit("记"), "word",
                               pl.Series(numbers % 997).cast(pl.String), pl.lit("店")),
            owner="representative",
        )

    def _owners(self, chance: np.random.Generator, count: int) -> pl.DataFrame:
        grown = self.living.filter(pl.col("birth").dt.year() < BASE.year - 25)
        owners: pl.DataFrame = grown[np.sort(chance.choice(grown.height, count, replace=False)).tolist()]
        return owners

    def _entities(
        self, chance: np.random.Generator, heads: pl.DataFrame, letter: str, numbers: np.ndarray
    ) -> pl.DataFrame:
        words = pl.Series(chance.choice(list("东西南北上下大小"), heads.height)) + pl.Series(
            chance.choice(list("山溪田桥塘坑垟源"), heads.height)
        )
        labels = dict(self.counties.select("code", "label_zh").iter_rows())
        return heads.select(
            (pl.lit(letter) + pl.Series(numbers).cast(pl.String).str.zfill(6)).alias("entity"),
            "county", "address", representative="person", representative_name="name", representative_id="resident_id",
            label=pl.col("county").replace_strict(labels),
            word=words,
            established=pl.max_horizontal(
                pl.Series(np.datetime64(BASE) - chance.integers(40, 365 * 12, heads.height)).cast(pl.Date),
                pl.col("birth").dt.offset_by("18y"),  # nobody owns a business before
            ),
        )


def unfolded(
    chance: np.random.Generator, records: pl.DataFrame, days: int, dated: str, share: float = 0.001
) -> pl.DataFrame:
    """Return what a department tells about its records day by day.

    Most are told on the first day (`deliver_day` 1, `story` empty); each later day brings some for the first time
    (`new`) and some again (`changed`), with that day in the column `dated`.
    """
    later = days - 1
    a_day = min(max(3, int(records.height * share)), records.height // (2 * days))
    chosen = chance.choice(records.height, 2 * a_day * later, replace=False)
    fresh, again = np.sort(chosen[: a_day * later]), np.sort(chosen[a_day * later :])
    on = np.repeat(np.arange(2, days + 1), a_day)
    first = np.ones(records.height, dtype=np.int64)
    first[fresh] = on
    new = np.zeros(records.height, dtype=bool)
    new[fresh] = True
    told = [
        records.with_columns(deliver_day=pl.Series(first), story=pl.Series(np.where(new, "new", ""))),
        records[again.tolist()].with_columns(deliver_day=pl.Series(on), story=pl.lit("changed")),
    ]
    day = pl.lit(BASE) + pl.duration(days=pl.col("deliver_day") - 1)
    every: pl.DataFrame = pl.concat(told, how="vertical_relaxed")
    return every.with_columns(
        pl.when(pl.col("deliver_day") > 1).then(day).otherwise(dated).alias(dated)
    )
