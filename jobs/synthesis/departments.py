"""What each department would send on a day: its own columns, its own habits, its own mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from jobs.synthesis.dirt import ENTITY_DIRT, PERSON_DIRT, repeated, reused, spoiled, swapped
from jobs.synthesis.numbers import registration_numbers
from jobs.synthesis.people import BASE, day
from jobs.synthesis.truth import iso, truth

DUPLICATES = 0.003
NEW_COLUMN_DAY = 3


@dataclass(frozen=True)
class City:
    """Hold what is true: people, what was told of them, couples, jobs, entities and what became of them."""

    people: pl.DataFrame
    events: pl.DataFrame
    couples: pl.DataFrame
    jobs: pl.DataFrame
    entities: pl.DataFrame
    entity_events: pl.DataFrame
    days: int


def household_register(city: City, number: int, chance: np.random.Generator) -> pl.DataFrame:
    """Return the household register's changes of a day; from the third day with a column nobody announced."""
    told = city.events.filter(pl.col("deliver_day") == number)
    of = told.join(
        city.people.drop("county", "address", "phone", "registered"), on="person", how="left", maintain_order="left"
    )
    rows = of.select(
        公民身份号码="resident_id",
        姓名="name",
        曾用名=pl.lit(""),
        性别="sex",
        出生日期=iso("birth"),
        民族="ethnic",
        户号="household",
        与户主关系="relationship",
        户籍地区划="county",
        户籍地址="address",
        联系电话="phone",
        婚姻状况="marital",
        变动类型="change",
        迁出地区划="previous",
        登记日期=iso("registered"),
        **truth("person", story="story"),
    )
    if number >= NEW_COLUMN_DAY:
        work = pl.Series("职业", chance.choice(np.array(["农民", "工人", "职员", "教师", ""]), rows.height), pl.String)
        rows = rows.insert_column(rows.columns.index("登记日期") + 1, work)
    rows = swapped(chance, rows, "公民身份号码", "姓名", 0.001)
    return repeated(chance, spoiled(chance, rows, "公民身份号码", PERSON_DIRT), DUPLICATES)


def deaths(city: City, number: int, chance: np.random.Generator) -> pl.DataFrame:
    """Return the deaths registered on a day; of three days or more, the second delivery names living people.

    That delivery is withdrawn, and what it should have said comes a day later.
    """
    dead = city.people.filter(pl.col("died_on").is_not_null())
    known = pl.col("died_on")
    if number == 1:
        rows = dead.filter(known < day(1))
    elif number == 2 and city.days > 2:
        alive = city.people.filter(known.is_null() & (pl.col("birth").dt.year() < BASE.year - 40))
        wrong = alive[sorted(chance.choice(alive.height, min(8, alive.height), replace=False).tolist())]
        return _deaths(wrong.with_columns(died_on=pl.lit(day(1))), number).with_columns(_dirt=pl.lit("withdrawn"))
    else:
        since = 1 if number == 2 or number == 3 else number - 1
        rows = dead.filter(known.is_between(day(since), day(number - 1)))
    rows = spoiled(chance, _deaths(rows, number), "身份证号", PERSON_DIRT)
    return repeated(chance, rows, DUPLICATES)


def _deaths(dead: pl.DataFrame, number: int) -> pl.DataFrame:
    registered = pl.min_horizontal(pl.col("died_on").dt.offset_by("5d"), pl.lit(day(number)))
    return dead.with_columns(registered_on=registered).select(
        登记编号=pl.concat_str(pl.lit("S"), pl.lit(f"{day(number):%Y%m%d}"), "person"),
        身份证号="resident_id",
        姓名="name",
        性别="sex",
        出生日期=iso("birth"),
        死亡日期=iso("died_on"),
        登记机关区划="county",
        登记日期=iso("registered_on"),
        **truth("person"),
    )


def marriage_registrations(city: City, number: int, chance: np.random.Generator) -> pl.DataFrame:
    """Return the marriages registered by a day; a few grooms give a number that is somebody else's."""
    rows = city.couples.filter(pl.col("deliver_day") == number).select(
        登记字号=pl.concat_str(pl.lit("J"), "couple"),
        男方姓名="groom_name",
        男方身份证号="groom_id",
        男方出生日期=iso("groom_birth"),
        女方姓名="bride_name",
        女方身份证号="bride_id",
        女方出生日期=iso("bride_birth"),
        登记机关区划="county",
        登记日期=iso("registered"),
        状态="status",
        **truth("groom", "bride"),
    )
    rows = reused(chance, rows, "男方身份证号", "男方姓名", max(1, rows.height // 100) if number == 1 else 0)
    rows = spoiled(chance, spoiled(chance, rows, "男方身份证号", PERSON_DIRT), "女方身份证号", PERSON_DIRT)
    return repeated(chance, rows, DUPLICATES)


def social_insurance(city: City, number: int, _chance: np.random.Generator) -> pl.DataFrame:
    """Return the insurance system's table as it stands on a day, in the order of its canonical dump."""
    of = city.jobs.join(city.people, on="person", how="inner", maintain_order="left").join(
        city.entities.select("entity", "credit_code", employer_name="name"),
        on="entity",
        how="left",
        maintain_order="left",
    )
    gone = pl.col("died_on").is_not_null() & (pl.col("died_on") < day(number - 1))
    rows = of.select(
        id_number="resident_id",
        name="name",
        insurance_kind="insurance_kind",
        employer_credit_code=pl.col("credit_code").fill_null(""),
        employer_name=pl.col("employer_name").fill_null(""),
        contribution_base=pl.col("base").cast(pl.String) + ".00",
        status="insurance_status",
        division_code="county",
        updated_on=iso("updated_on"),
        **truth("person", "entity"),
        _gone=gone,
    )
    same = np.random.default_rng([city.jobs.height, 3])  # a system keeps its mistakes from day to day
    rows = repeated(same, spoiled(same, rows, "id_number", PERSON_DIRT), DUPLICATES).filter(~pl.col("_gone"))
    order = ["id_number", "insurance_kind", "updated_on"]
    rest = [name for name in rows.columns if name not in order and not name.startswith("_")]
    return rows.drop("_gone").sort([*order, *rest], maintain_order=True)


def enterprise_registrations(city: City, number: int, chance: np.random.Generator) -> pl.DataFrame:
    """Return the enterprises registered or changed by a day, in the columns of a public register extract."""
    rows = _entities(city, number, ["企业", "其他"]).select(
        企业名称="name",
        统一社会信用代码="credit_code",
        注册日期=iso("established"),
        企业类型=pl.when(pl.col("kind") == "企业").then(pl.lit("有限责任公司")).otherwise(pl.lit("农民专业合作社")),
        法人代表="representative_name",
        注册资金="capital",
        经营范围="scope",
        所在省份=pl.lit("浙江"),
        地区=pl.lit("丽水"),
        注册地址="address",
        **truth("entity", story="story"),
        _county="county",
        _serial=pl.col("entity").cast(pl.Int64),
    )
    # Some registers never exchanged the old number of 15 digits for a credit code.
    old = pl.Series(chance.random(rows.height) < 0.02) & (rows["_dirt"] == "")
    numbers = pl.Series(registration_numbers(rows["_county"].to_list(), rows["_serial"].to_numpy()), dtype=pl.String)
    rows = rows.with_columns(
        统一社会信用代码=pl.when(old).then(numbers).otherwise("统一社会信用代码"),
        _dirt=pl.when(old).then(pl.lit("legacy_number")).otherwise("_dirt"),
    ).drop("_county", "_serial")
    return repeated(chance, spoiled(chance, rows, "统一社会信用代码", ENTITY_DIRT), DUPLICATES)


def social_organisations(city: City, number: int, chance: np.random.Generator) -> pl.DataFrame:
    """Return the social organisations registered, changed or dissolved by a day."""
    rows = _entities(city, number, ["社会组织"]).select(
        统一社会信用代码="credit_code",
        名称="name",
        组织类型="social_kind",
        法定代表人="representative_name",
        法定代表人身份证号="representative_id",
        业务主管单位=pl.lit("丽水市民政局"),
        成立日期=iso("established"),
        注册资金="capital",
        住所="address",
        区划="county",
        状态="status",
        变更日期=iso("changed_on"),
        **truth("entity", "representative", story="story"),
    )
    return repeated(chance, spoiled(chance, rows, "统一社会信用代码", ENTITY_DIRT), DUPLICATES)


def _entities(city: City, number: int, kinds: list[str]) -> pl.DataFrame:
    return city.entity_events.filter((pl.col("deliver_day") == number) & pl.col("kind").is_in(kinds))


def couples(chance: np.random.Generator, people: pl.DataFrame, days: int) -> pl.DataFrame:
    """Return the marriages of the last two years and of the city's days, one row each."""
    heads = people.filter((pl.col("relationship") == "户主") & pl.col("died_on").is_null())
    spouses = people.filter((pl.col("relationship") == "配偶") & pl.col("died_on").is_null())
    pairs = heads.join(spouses, on="household", how="inner", suffix="_two").filter(
        pl.max_horizontal("birth", "birth_two").dt.year() < BASE.year - 21
    )
    a_day = max(2, people.height // 10_000)
    count = min(pairs.height, int(people.height * 0.015) + a_day * (days - 1))
    pairs = pairs[sorted(chance.choice(pairs.height, count, replace=False).tolist())]
    man = pl.col("sex") == "男"

    def of(name: str, male: bool) -> pl.Expr:
        return pl.when(man == male).then(name).otherwise(f"{name}_two")

    later = a_day * (days - 1)
    number = np.concatenate([np.ones(count - later, dtype=int), np.repeat(np.arange(2, days + 1), a_day)])
    ago = np.where(number == 1, chance.integers(1, 730, count), 0)
    registered = [day(int(n)) - timedelta(days=int(back)) for n, back in zip(number, ago, strict=True)]
    return pairs.select(
        pl.int_range(pl.len()).cast(pl.String).str.zfill(7).alias("couple"),
        "county",
        **{f"groom_{new}": of(old, True) for new, old in _PARTY.items()},
        **{f"bride_{new}": of(old, False) for new, old in _PARTY.items()},
        groom=of("person", True),
        bride=of("person", False),
    ).with_columns(
        pl.Series("deliver_day", number),
        pl.Series("registered", registered, pl.Date),
        pl.Series("status", np.where(chance.random(count) < 0.01, "撤销", "登记"), pl.String),
    )


_PARTY = {"name": "name", "id": "resident_id", "birth": "birth"}


def jobs_of(chance: np.random.Generator, people: pl.DataFrame, entities: pl.DataFrame) -> pl.DataFrame:
    """Return the insurances of grown people, one row per person and kind, with employer and contribution base."""
    grown = people.filter(pl.col("birth").dt.year() < BASE.year - 18)
    working = pl.Series(chance.random(grown.height) < 0.6) & (grown["birth"].dt.year() > BASE.year - 60)
    employer = pl.Series(entities["entity"].to_numpy()[chance.integers(0, entities.height, grown.height)].astype(str))
    bases = np.clip(chance.lognormal(8.7, 0.35, grown.height), 4_462, 24_930).astype(int) // 10 * 10
    one = grown.select(
        "person",
        entity=pl.when(working).then(employer),
        base=pl.when(working).then(pl.Series(bases)).otherwise(4462),
        insurance_status=pl.Series(np.where(chance.random(grown.height) < 0.05, "停保", "参保")),
        updated_on=pl.Series(np.datetime64(BASE) - chance.integers(1, 700, grown.height)).cast(pl.Date),
    )
    kinds = {
        "养老": pl.Series(chance.random(grown.height) < 0.9),
        "医疗": pl.Series(chance.random(grown.height) < 0.97),
        "失业": working,
    }
    return pl.concat([one.filter(has).with_columns(insurance_kind=pl.lit(kind)) for kind, has in kinds.items()]).sort(
        "person", "insurance_kind", maintain_order=True
    )


def entity_events(chance: np.random.Generator, entities: pl.DataFrame, fresh: pl.DataFrame, days: int) -> pl.DataFrame:
    """Return what the registers of entities hear: all on the first day, then foundations, changes and dissolutions."""
    first = entities.with_columns(
        deliver_day=pl.lit(1), status=pl.lit("正常"), changed_on=pl.col("established"), story=pl.lit("")
    )
    told = [first]
    for number in range(2, days + 1):
        count = max(3, entities.height // 500)
        chosen = entities[sorted(chance.choice(entities.height, count, replace=False).tolist())]
        kind = pl.Series(np.array(["renamed", "moved", "deregistered"])[np.arange(count) % 3])
        told.append(
            chosen.with_columns(
                deliver_day=pl.lit(number),
                story=kind,
                name=pl.when(kind == "renamed").then(pl.col("name").str.replace("丽水市", "丽水新")).otherwise("name"),
                address=pl.when(kind == "moved")
                .then(pl.col("address").str.replace("解放街", "人民路"))
                .otherwise("address"),
                status=pl.when(kind == "deregistered").then(pl.lit("注销")).otherwise(pl.lit("正常")),
                changed_on=pl.lit(day(number)),
            )
        )
        new = fresh.filter(pl.int_range(pl.len()) % max(1, days - 1) == number - 2)
        told.append(
            new.with_columns(
                deliver_day=pl.lit(number),
                story=pl.lit("founded"),
                established=pl.lit(day(number)),
                status=pl.lit("正常"),
                changed_on=pl.lit(day(number)),
            )
        )
    return pl.concat(told, how="diagonal_relaxed")
