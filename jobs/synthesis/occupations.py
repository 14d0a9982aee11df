"""What departments would send about people at work, at school and in care: their columns, habits and mistakes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import polars as pl

from jobs.synthesis.circumstances import Circumstances, unfolded
from jobs.synthesis.dirt import PERSON_DIRT, marred, repeated, spoiled, swapped
from jobs.synthesis.people import BASE, day
from jobs.synthesis.truth import iso, truth

DUPLICATES = 0.003
_SCHOOL_YEAR = 2025  # begins on its first of September
_PERIOD = ("2026-01-01", "2026-01-31")
# Rates on a month's taxable pay in yuan (个人所得税法 2018, the yearly table divided by twelve): up to, rate, less.
_RATES = ((3_000, 0.03, 0), (12_000, 0.1, 210), (25_000, 0.2, 1_410), (10**9, 0.25, 2_660))


class Occupations:
    """Make the deliveries about work, income, school and health; what a department knows is made once for all days."""

    def __init__(self, city: Circumstances) -> None:
        self.of = city

    @cached_property
    def _employers(self) -> pl.DataFrame:
        return self.of.standing.select("entity", employer_name="name", employer_code="credit_code")

    @cached_property
    def _jobs(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(40)
        count = of.work.height
        found = of.work.join(self._employers, on="entity", how="left", maintain_order="left").with_columns(
            registered_on=pl.min_horizontal(
                pl.col("hired_on") + pl.duration(days=pl.lit(pl.Series(chance.integers(0, 30, count)))), pl.lit(day(0))
            ),
            ended=pl.when(pl.Series(chance.random(count) < 0.04)).then(
                pl.Series(np.datetime64(BASE) - chance.integers(1, 30, count)).cast(pl.Date)
            ),
        )
        return unfolded(chance, found, of.days, "registered_on")

    def employment_registrations(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the employments registered by a day."""
        rows = self._jobs.filter(pl.col("deliver_day") == number).select(
            就业登记号=pl.lit("JY") + pl.col("person"),
            身份证号="resident_id",
            姓名="name",
            文化程度="education",
            就业形式="form",
            从业状况="status",
            用人单位名称=pl.col("employer_name").fill_null(""),
            用人单位统一社会信用代码=pl.col("employer_code").fill_null(""),
            登记机构区划="county",
            就业日期=iso("hired_on"),
            终止日期=iso("ended").fill_null(""),
            登记日期=iso("registered_on"),
            **truth("person", "entity", story="story"),
        )
        rows = spoiled(chance, rows, "身份证号", PERSON_DIRT)
        rows = swapped(chance, rows, "身份证号", "姓名", 0.0005)
        rows = marred(chance, rows, {
            "文化程度": {"unknown_word": 0.001, "padded": 0.01},
            "就业形式": {"missing": 0.001},
            "就业日期": {"slashed_date": 0.01, "impossible_date": 0.001},
            "登记日期": {"compact_date": 0.01, "in_the_future": 0.001},
        })
        return repeated(chance, rows, DUPLICATES)

    @cached_property
    def _incomes(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(41)
        paid = of.work.filter(pl.col("entity").is_not_null()).with_columns(item=pl.lit("工资薪金"))
        extra = paid.filter(pl.Series(chance.random(paid.height) < 0.05))
        others = of.standing["entity"].gather(chance.integers(0, of.standing.height, extra.height))
        extra = extra.with_columns(item=pl.lit("劳务报酬"), entity=others, base=pl.col("base") // 4)
        both = pl.concat([paid, extra], how="vertical_relaxed").join(
            self._employers, on="entity", how="left", maintain_order="left"
        )
        older = pl.col("entity").replace_strict(dict(of.older_numbers), default=None, return_dtype=pl.String)
        gross = np.round(both["base"].to_numpy() * chance.uniform(0.95, 1.4, both.height), 2)
        less = np.round(gross * 0.105 + 5_000, 2)
        taxable = np.maximum(np.round(gross - less, 2), 0)
        upper = [taxable <= most for most, _, _ in _RATES]
        tax = np.round(np.select(upper, [taxable * rate - off for _, rate, off in _RATES]), 2)
        found = both.with_columns(
            older=older.is_not_null(), payer=pl.coalesce(older, "employer_code"),
            gross=pl.Series(gross), less=pl.Series(np.minimum(less, gross)), taxable=pl.Series(taxable),
            tax=pl.Series(np.maximum(tax, 0)),
            declared=pl.Series(np.datetime64("2026-02-03") + chance.integers(0, 14, both.height)).cast(pl.Date),
        )
        return unfolded(chance, found, of.days, "declared")

    def personal_income(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the incomes declared by a day; columns are typed, so that only numbers and words can be wrong."""
        told = self._incomes.filter(pl.col("deliver_day") == number)
        odd = pl.Series(chance.random(told.height) < 0.001) & ~told["older"]
        rows = told.select(
            纳税人识别号="resident_id",
            纳税人姓名="name",
            扣缴义务人识别号="payer",
            扣缴义务人名称="employer_name",
            所得项目="item",
            税款所属期起=pl.lit(_PERIOD[0]).str.to_date(),
            税款所属期止=pl.lit(_PERIOD[1]).str.to_date(),
            收入额=pl.col("gross").cast(pl.Decimal(14, 2)),
            减除费用及扣除=pl.col("less").cast(pl.Decimal(14, 2)),
            应纳税所得额=pl.col("taxable").cast(pl.Decimal(14, 2)),
            # Gross and tax have changed places.
            应纳税额=pl.when(odd).then(pl.col("gross") + 1).otherwise("tax").cast(pl.Decimal(14, 2)),
            申报日期="declared",
            **truth("person", "entity", story="story"),
        ).with_columns(
            _dirt=pl.when(odd).then(pl.lit("tax_above_income"))
            .when(told["older"]).then(pl.lit("legacy_number")).otherwise("_dirt"),
            _expected=pl.when(odd).then(pl.lit("rejected")).otherwise("_expected"),
        )
        rows = spoiled(chance, rows, "纳税人识别号", PERSON_DIRT)
        rows = marred(chance, rows, {"所得项目": {"unknown_word": 0.001}, "纳税人姓名": {"number_as_name": 0.001}})
        return repeated(chance, rows, DUPLICATES)

    @cached_property
    def _pupils(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(42)
        # Who has turned six before the first of September begins school.
        turned = pl.lit(_SCHOOL_YEAR) - pl.col("birth").dt.year() - (pl.col("birth").dt.month() >= 9).cast(pl.Int32)
        pupils = of.living.with_columns(year=turned - 5).filter(pl.col("year").is_between(1, 12))
        schools = of.of_kind("事业").select(school="entity", school_name="name", school_code="credit_code")
        here = schools[chance.integers(0, schools.height, pupils.height).tolist()]
        vocational = pl.Series(chance.random(pupils.height) < 0.4)
        begins = pl.when(pl.col("year") > 9).then(10).when(pl.col("year") > 6).then(7).otherwise(1)
        found = pupils.hstack(here).join(of.heads, on="household", how="left", maintain_order="left").with_columns(
            stage=pl.when(pl.col("year") <= 6).then(pl.lit("小学")).when(pl.col("year") <= 9).then(pl.lit("初中"))
            .when(vocational).then(pl.lit("中职")).otherwise(pl.lit("高中")),
            entered=pl.date(_SCHOOL_YEAR - (pl.col("year") - begins), 9, 1),
            status=pl.Series(chance.choice(["在读", "休学", "转出"], pupils.height, p=[0.975, 0.01, 0.015])),
            updated=pl.Series(np.datetime64(BASE) - chance.integers(1, 170, pupils.height)).cast(pl.Date),
        )
        return unfolded(chance, found, of.days, "updated")

    def school_enrolment(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the pupils enrolled, moved or updated by a day."""
        rows = self._pupils.filter(pl.col("deliver_day") == number).select(
            学籍号=pl.lit("G") + pl.col("resident_id"),
            姓名="name",
            身份证件号="resident_id",
            性别="sex",
            学校名称="school_name",
            学校统一社会信用代码="school_code",
            学段="stage",
            年级=pl.col("year").cast(pl.String),
            入学日期=iso("entered"),
            学籍状态="status",
            监护人姓名=pl.col("head_name").fill_null(""),
            监护人身份证件号=pl.col("head_id").fill_null(""),
            学校所在区划="county",
            更新日期=iso("updated"),
            **truth("person", "school", "head", story="story"),
        )
        rows = spoiled(chance, rows, "身份证件号", PERSON_DIRT)
        rows = spoiled(chance, rows, "监护人身份证件号", {"full_width": PERSON_DIRT["full_width"]})
        rows = marred(chance, rows, {
            "年级": {"in_words": 0.002, "left_out": 0.001},
            "学段": {"unknown_word": 0.001},
            "入学日期": {"slashed_date": 0.01, "in_the_future": 0.001},
            "学籍状态": {"padded": 0.01, "missing": 0.001},
        }, {"in_words": (lambda cell: cell + "年级", "rejected"), "left_out": (lambda _: pl.lit(""), "rejected")})
        return repeated(chance, rows, DUPLICATES)

    @cached_property
    def _records(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(43)
        people = of.living.filter(pl.Series(chance.random(of.living.height) < 0.5)).join(
            of.disabled.select("person", "kind"), on="person", how="left", maintain_order="left"
        )
        count, age = people.height, BASE.year - people["birth"].dt.year().to_numpy()
        clinics = of.of_kind("事业").select(clinic="entity", clinic_name="name", clinic_code="credit_code")
        here = clinics[chance.integers(0, clinics.height, count).tolist()]
        luck = chance.random(count)
        ill = np.clip((age - 35) * 0.012, 0.01, 0.6)
        health = np.select(
            [luck < ill * 0.4, luck < ill * 0.6, luck < ill * 0.8, luck < ill],
            ["有慢性病", "心血管病", "糖尿病", "一般或较弱"],
            "健康",
        )
        height = np.where(age > 17, chance.normal(165, 8, count), np.clip(52 + 7.2 * age, 50, 178)).astype(np.int64)
        found = people.hstack(here).with_columns(
            health=pl.when(pl.col("kind").is_not_null()).then(pl.col("kind") + "残疾").otherwise(pl.Series(health)),
            pressure=pl.Series(np.where(chance.random(count) < ill * 0.5, "是", "否")),
            sugar=pl.when(pl.Series(health) == "糖尿病").then(pl.lit("是")).otherwise(pl.lit("否")),
            height=pl.Series(height),
            weight=pl.Series(np.round(np.clip((height / 100.0) ** 2 * chance.normal(22, 2.5, count), 3, 160), 1)),
            opened=pl.max_horizontal(
                pl.Series(np.datetime64(BASE) - chance.integers(366, 5_000, count)).cast(pl.Date), "birth"
            ),
        ).with_columns(
            seen=pl.max_horizontal(
                "opened", pl.Series(np.datetime64(BASE) - chance.integers(1, 365, count)).cast(pl.Date)
            )
        )
        return unfolded(chance, found, of.days, "seen")

    def health_records(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the health records opened or brought up to date by a day."""
        rows = self._records.filter(pl.col("deliver_day") == number).select(
            档案编号=pl.lit("D") + pl.col("person"),
            姓名="name",
            身份证号="resident_id",
            性别="sex",
            出生日期=iso("birth"),
            健康状况="health",
            高血压管理="pressure",
            糖尿病管理="sugar",
            **{"身高(cm)": pl.col("height").cast(pl.String), "体重(kg)": pl.col("weight").cast(pl.String)},
            建档机构名称="clinic_name",
            建档机构统一社会信用代码="clinic_code",
            建档机构区划="county",
            建档日期=iso("opened"),
            最近随访日期=iso("seen"),
            **truth("person", "clinic", story="story"),
        )
        rows = spoiled(chance, rows, "身份证号", PERSON_DIRT)
        rows = marred(chance, rows, {
            "出生日期": {"another_day": 0.001, "compact_date": 0.01},
            "健康状况": {"unknown_word": 0.002},
            "身高(cm)": {"in_metres": 0.002, "ten_times": 0.001},
            "体重(kg)": {"with_unit": 0.001},
            "最近随访日期": {"chinese_date": 0.01, "two_digit_year": 0.001},
        }, {
            # A birth that contradicts the number beside it.
            "another_day": (lambda _: pl.lit("1901-01-01"), "rejected"),
            "in_metres": (lambda _: pl.lit("1.65"), "rejected"),
            "with_unit": (lambda cell: cell + "公斤", "rejected"),
        })
        return repeated(chance, rows, DUPLICATES)
