"""What departments would send about people beyond the household register: their columns, habits and mistakes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import polars as pl

from jobs.synthesis.circumstances import BACKLOG_DAYS, DISABILITIES, MOVERS, Circumstances, unfolded
from jobs.synthesis.dirt import PERSON_DIRT, Spoiler, marred, repeated, spoiled, swapped
from jobs.synthesis.people import BASE, CITY, day
from jobs.synthesis.truth import iso, truth

DUPLICATES = 0.003
# A column of eighteen places cannot hold full-width digits, and its system writes no other forms of numbers.
NARROW_DIRT: dict[str, tuple[float, Spoiler]] = {
    name: PERSON_DIRT[name] for name in ("fifteen", "lower_x", "wrong_check", "nothing", "filler")
}
_ALLOWED = ("城市低保", "农村低保", "特困供养", "临时救助")


class Personal:
    """Make the deliveries about people; what a department knows is made once for all its days."""

    def __init__(self, city: Circumstances) -> None:
        self.of = city

    @cached_property
    def _births(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(20)
        parents = of.city.people.filter(pl.col("relationship").is_in(["户主", "配偶"]))
        columns = {"name": "name", "id": "resident_id", "birth": "birth"}

        def parent(sex: str, role: str) -> pl.DataFrame:
            found = parents.filter(pl.col("sex") == sex).unique("household", keep="first", maintain_order=True)
            return found.select("household", pl.col("person").alias(role), *[
                pl.col(old).alias(f"{role}_{new}") for new, old in columns.items()
            ])

        children = of.city.people.filter(
            pl.col("relationship").is_in(["子", "女"]) & (pl.col("birth") > day(1 - BACKLOG_DAYS))
        )
        born = children.join(parent("女", "mother"), on="household", how="inner", maintain_order="left").join(
            parent("男", "father"), on="household", how="left", maintain_order="left"
        ).filter(pl.col("mother_birth").dt.year() <= pl.col("birth").dt.year() - 16)
        hospitals = of.of_kind("事业").select(hospital="entity", hospital_name="name", hospital_code="credit_code")
        here = hospitals[chance.integers(0, hospitals.height, born.height).tolist()]
        fresh = pl.col("person").str.starts_with("9")
        count = born.height
        return born.hstack(here).with_columns(
            fresh=fresh,
            deliver_day=pl.when(fresh).then((pl.col("registered") - BASE).dt.total_days() + 1).otherwise(1),
            at=pl.Series(chance.integers(0, 24 * 60, count)),
            weight=pl.Series(np.clip(chance.normal(3_250, 420, count), 1_200, 5_200).astype(np.int64)),
            weeks=pl.Series(chance.choice([36, 37, 38, 39, 40, 41], count, p=[0.05, 0.1, 0.25, 0.35, 0.2, 0.05])),
            issued=pl.min_horizontal(
                pl.col("birth") + pl.duration(days=pl.lit(pl.Series(chance.integers(1, 12, count)))),
                pl.when(fresh).then("registered").otherwise(pl.lit(BASE)),
            ),
        )

    def births(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the birth certificates of a day; the register does not know the newest children's numbers yet."""
        rows = self._births.filter(pl.col("deliver_day") == number).select(
            出生医学证明编号=pl.lit("U33") + pl.col("person"),
            **{
                "新生儿/姓名": pl.col("name"),
                "新生儿/公民身份号码": pl.when("fresh").then(pl.lit("")).otherwise("resident_id"),
                "新生儿/性别": pl.col("sex"),
                "新生儿/出生时间": iso("birth") + pl.format(
                    " {}:{}:00", (pl.col("at") // 60).cast(pl.String).str.zfill(2),
                    (pl.col("at") % 60).cast(pl.String).str.zfill(2),
                ),
                "新生儿/出生体重": pl.col("weight").cast(pl.String),
                "新生儿/孕周": pl.col("weeks").cast(pl.String),
                "母亲/姓名": pl.col("mother_name"),
                "母亲/证件号码": pl.col("mother_id"),
                "父亲/姓名": pl.col("father_name").fill_null(""),
                "父亲/证件号码": pl.col("father_id").fill_null(""),
            },
            签发机构="hospital_name",
            签发机构代码="hospital_code",
            签发机构区划="county",
            签发日期=iso("issued"),
            **truth("person", "mother", "father", "hospital"),
        )
        rows = spoiled(chance, rows, "母亲/证件号码", PERSON_DIRT)
        rows = marred(chance, rows, {
            "新生儿/出生时间": {"slashed_time": 0.01, "no_day": 0.002},
            "新生儿/出生体重": {"ten_times": 0.003, "number_in_words": 0.001},
            "父亲/姓名": {"missing": 0.002},
            "签发日期": {"chinese_date": 0.02, "two_digit_year": 0.002, "in_the_future": 0.001},
        }, {"slashed_time": (lambda cell: cell.str.replace_all("-", "/"), "accepted")})
        # A certificate with the father's number and no name is incomplete; without either it is a single mother's.
        alone = (pl.col("_dirt") == "missing") & (pl.col("父亲/证件号码") == "")
        rows = rows.with_columns(_expected=pl.when(alone).then(pl.lit("accepted")).otherwise("_expected"))
        return repeated(chance, rows, DUPLICATES)

    @cached_property
    def _divorces(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(21)
        split = of.living.filter((pl.col("marital") == "离婚") & (pl.col("birth").dt.year() < BASE.year - 24))
        sides = []
        for sex, role in (("男", "man"), ("女", "woman")):
            found = split.filter(pl.col("sex") == sex)
            found = found[chance.permutation(found.height).tolist()]
            sides.append(found.select("person", "name", "resident_id", "birth", "county").rename(
                {"person": role, "name": f"{role}_name", "resident_id": f"{role}_id", "birth": f"{role}_birth"}
                | ({"county": "elsewhere"} if role == "woman" else {})
            ))
        count = min(sides[0].height, sides[1].height, max(30, of.living.height // 300))
        past = sides[0].head(count).hstack(sides[1].head(count)).drop("elsewhere").with_columns(
            marriage=pl.lit(""), deliver_day=pl.lit(1, pl.Int64), story=pl.lit("")
        )
        grown = pl.max_horizontal("man_birth", "woman_birth").dt.offset_by("22y")
        ago = pl.Series(np.datetime64(BASE) - chance.integers(1, 3_000, past.height)).cast(pl.Date)
        past = past.with_columns(registered=pl.max_horizontal(grown, ago))
        # Those who part in the city's days are still married in the household register, which hears of it later.
        pairs = of.city.couples.filter((pl.col("deliver_day") == 1) & (pl.col("status") == "登记"))
        a_day = min(max(3, past.height // 200), pairs.height // of.days)
        now = pairs[np.sort(chance.choice(pairs.height, a_day * (of.days - 1), replace=False)).tolist()]
        on = pl.Series(np.repeat(np.arange(2, of.days + 1), a_day), dtype=pl.Int64)
        now = now.select(
            man="groom", man_name="groom_name", man_id="groom_id", man_birth="groom_birth", county="county",
            woman="bride", woman_name="bride_name", woman_id="bride_id", woman_birth="bride_birth",
            marriage=pl.lit("J") + pl.col("couple"), deliver_day=on, story=pl.lit("not_yet_in_the_household_register"),
            registered=pl.lit(BASE) + pl.duration(days=pl.lit(on - 1)),
        )
        both: pl.DataFrame = pl.concat([past, now], how="diagonal_relaxed")
        return both.with_columns(serial=pl.int_range(pl.len()).cast(pl.String).str.zfill(7))

    def divorces(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the divorces registered by a day."""
        rows = self._divorces.filter(pl.col("deliver_day") == number).select(
            离婚证字号=pl.lit("L") + pl.col("serial"),
            原结婚登记字号="marriage",
            男方姓名="man_name",
            男方身份证号="man_id",
            男方出生日期=iso("man_birth"),
            女方姓名="woman_name",
            女方身份证号="woman_id",
            女方出生日期=iso("woman_birth"),
            登记机关区划="county",
            登记日期=iso("registered"),
            状态=pl.lit("登记"),
            **truth("man", "woman", story="story"),
        )
        rows = spoiled(chance, spoiled(chance, rows, "男方身份证号", PERSON_DIRT), "女方身份证号", PERSON_DIRT)
        rows = marred(chance, rows, {
            "男方出生日期": {"compact_date": 0.02},
            "女方姓名": {"blank_in_name": 0.01, "missing": 0.002},
            "登记日期": {"slashed_date": 0.02, "impossible_date": 0.003},
            "状态": {"unknown_word": 0.002},
        })
        return repeated(chance, rows, DUPLICATES)

    @cached_property
    def _permits(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(22)
        codes = of.counties["code"].to_numpy().astype(str)
        movers = of.living.filter(
            pl.Series(chance.random(of.living.height) < MOVERS) & (pl.col("birth").dt.year() < BASE.year - 16)
        ).select(of.incomers.columns)
        home = np.searchsorted(codes, movers["county"].to_numpy().astype(str))
        away = codes[(home + chance.integers(1, len(codes), movers.height)) % len(codes)]
        here = np.concatenate([away, codes[chance.integers(0, len(codes), of.incomers.height)]])
        holders = pl.concat([movers, of.incomers])
        labels = dict(of.counties.select("code", "label_zh").iter_rows())
        count = holders.height
        of_room = pl.Series(chance.integers(1, 400, count)).cast(pl.String)
        permits = holders.with_columns(
            here=pl.Series(here),
            place=pl.lit(CITY) + pl.Series(here).replace_strict(labels) + pl.lit("人民路") + of_room + pl.lit("号"),
            reason=pl.Series(chance.choice(["务工", "经商", "就学", "投靠亲友", "购房", "其他"], count,
                                           p=[0.6, 0.12, 0.1, 0.1, 0.05, 0.03])),
            issued=pl.Series(np.datetime64(BASE) - chance.integers(1, 700, count)).cast(pl.Date),
        )
        told = unfolded(chance, permits, of.days, "issued")
        ends = pl.col("issued").dt.offset_by("1y")
        return told.with_columns(
            ends=ends, status=pl.when(ends < BASE).then(pl.lit("到期")).otherwise(pl.lit("有效"))
        )

    def residence_permits(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the residence permits issued or renewed by a day, in the fields of an old terminal system."""
        rows = self._permits.filter(pl.col("deliver_day") == number).select(
            居住证号=pl.lit("33") + pl.col("person"),
            公民身份号码="resident_id",
            姓名="name",
            性别="sex",
            户籍地区划="county",
            居住地区划="here",
            居住地址="place",
            联系电话="phone",
            居住事由="reason",
            签发日期=pl.col("issued").dt.strftime("%Y%m%d"),
            有效期至=pl.col("ends").dt.strftime("%Y%m%d"),
            状态="status",
            **truth("person", story="story"),
        )
        rows = spoiled(chance, rows, "公民身份号码", NARROW_DIRT)
        rows = marred(chance, rows, {
            "姓名": {"missing": 0.001, "blank_in_name": 0.01},
            "签发日期": {"cut_date": 0.002},
            "有效期至": {"long_ago": 0.002},
            "居住事由": {"unknown_word": 0.002, "left_blank": 0.01},
        }, {"cut_date": (lambda cell: cell.str.slice(0, 6), "rejected"),
            "long_ago": (lambda _: pl.lit("19700101"), "rejected")})
        return repeated(chance, rows, DUPLICATES)

    @cached_property
    def _disabled(self) -> pl.DataFrame:
        of = self.of
        minded = pl.col("kind").is_in(["智力", "精神"])
        found = of.disabled.join(of.heads, on="household", how="left", maintain_order="left").with_columns(
            guardian=pl.when(minded & (pl.col("head") != pl.col("person"))).then("head_name").otherwise(pl.lit("")),
            issued=pl.max_horizontal(
                pl.Series(np.datetime64(BASE) - of.chance(23).integers(1, 3_300, of.disabled.height)).cast(pl.Date),
                pl.col("birth"),
            ),
        )
        return unfolded(of.chance(24), found, of.days, "issued")

    def disability_certificates(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the disability certificates issued or renewed by a day."""
        kind = pl.col("kind").replace_strict({name: str(at) for at, name in enumerate(DISABILITIES, 1)})
        rows = self._disabled.filter(pl.col("deliver_day") == number).select(
            残疾证号=pl.col("resident_id") + kind + pl.col("grade").cast(pl.String),
            姓名="name",
            身份证号="resident_id",
            性别="sex",
            残疾类别="kind",
            残疾等级=pl.col("grade").replace_strict({1: "一级", 2: "二级", 3: "三级", 4: "四级"}),
            监护人="guardian",
            联系电话="phone",
            区划代码="county",
            发证日期=pl.col("issued").dt.strftime("%Y%m%d"),
            有效期至=pl.col("issued").dt.offset_by("10y").dt.strftime("%Y%m%d"),
            证件状态=pl.lit("有效"),
            **truth("person", story="story"),
        )
        rows = spoiled(chance, rows, "身份证号", NARROW_DIRT)
        rows = marred(chance, rows, {
            "残疾证号": {"cut_number": 0.002},
            "残疾类别": {"unknown_word": 0.002},
            "残疾等级": {"missing": 0.002, "as_a_digit": 0.02},
            "发证日期": {"cut_date": 0.002},
        }, {"cut_number": (lambda cell: cell.str.slice(0, 18), "rejected"),
            "cut_date": (lambda cell: cell.str.slice(0, 6), "rejected"),
            "as_a_digit": (lambda cell: cell.replace_strict(
                {"一级": "1", "二级": "2", "三级": "3", "四级": "4"}, default=cell), "accepted")})
        return repeated(chance, rows, DUPLICATES)

    @cached_property
    def _poor(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(25)
        count = of.poor.height
        found = of.poor.with_columns(
            allowed=pl.Series(chance.choice(_ALLOWED, count, p=[0.25, 0.55, 0.12, 0.08])),
            cause=pl.when(pl.col("kind").is_not_null()).then(pl.lit("因残")).otherwise(
                pl.Series(chance.choice(["因病", "因学", "因灾", "缺劳力", "其他"], count,
                                        p=[0.45, 0.15, 0.05, 0.25, 0.1]))
            ),
            once=pl.Series(np.where(chance.random(count) < 0.3, "是", "否")),
            amount=pl.Series(chance.integers(300, 1_250, count)),
            approved=pl.max_horizontal(
                pl.Series(np.datetime64(BASE) - chance.integers(60, 2_500, count)).cast(pl.Date), "birth"
            ),
            reviewed=pl.Series(np.datetime64(BASE) - chance.integers(1, 59, count)).cast(pl.Date),
            stops=pl.Series(chance.random(count) < 0.06),
        ).with_columns(reviewed=pl.max_horizontal("reviewed", "approved"))
        return unfolded(chance, found, of.days, "reviewed")

    def minimum_living_allowance(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the allowances granted, reviewed or stopped by a day."""
        rows = self._poor.filter(pl.col("deliver_day") == number).select(
            救助证号=pl.lit("B") + pl.col("person"),
            姓名="name",
            身份证号="resident_id",
            联系电话="phone",
            救助类别="allowed",
            致贫原因="cause",
            是否脱贫户="once",
            保障人口=pl.col("size").cast(pl.String),
            月保障金额=pl.col("amount").cast(pl.String) + ".00",
            区划="county",
            审批日期=iso("approved"),
            停发日期=pl.when("stops").then(iso("reviewed")).otherwise(pl.lit("")),
            复核日期=iso("reviewed"),
            **truth("person", story="story"),
        )
        rows = swapped(chance, rows, "姓名", "身份证号", 0.001)
        rows = spoiled(chance, rows, "身份证号", PERSON_DIRT)
        rows = marred(chance, rows, {
            "救助类别": {"unknown_word": 0.003},
            "月保障金额": {"grouped_amount": 0.02, "unit_in_cell": 0.02, "amount_in_words": 0.003, "yearly": 0.002},
            "停发日期": {"before_approval": 0.002},
            "复核日期": {"chinese_date": 0.03, "no_day": 0.003},
        }, {"yearly": (lambda _: pl.lit("15000.00"), "rejected"),
            "before_approval": (lambda _: pl.lit("1990-01-01"), "rejected")})
        return repeated(chance, rows, DUPLICATES)
