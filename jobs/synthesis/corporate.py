"""What departments would send about organisations beyond the enterprise register: columns, habits and mistakes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import polars as pl

from jobs.synthesis.circumstances import INDUSTRIES, Circumstances, unfolded
from jobs.synthesis.dirt import ENTITY_DIRT, PERSON_DIRT, marred, repeated, spoiled
from jobs.synthesis.people import BASE, CITY
from jobs.synthesis.truth import iso, truth

DUPLICATES = 0.003
_PURPOSES = (
    "开展基础教育教学服务。", "提供基本医疗与公共卫生服务。", "软件开发与信息系统运行维护。", "组织群众文化艺术活动。",
    "农作物种植技术推广。",
)
_TAXED = ["企业", "其他", "社会组织", "事业"]


class Corporate:
    """Make the deliveries about organisations; what a department knows is made once for all its days."""

    def __init__(self, city: Circumstances) -> None:
        self.of = city

    def government_organs(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the organs that were given a code or changed by a day."""
        serial = pl.col("entity").cast(pl.Int64)
        rows = self.of.told(["机关"], number).select(
            机构名称="name",
            统一社会信用代码="credit_code",
            机构类型=pl.lit("机关"),
            机构层级=pl.when(serial % 3 == 0).then(pl.lit("市级")).otherwise(pl.lit("县级")),
            负责人="representative_name",
            编制数=(serial % 83 + 12).cast(pl.String),
            批准成立日期=iso("established"),
            机构地址="address",
            区划="county",
            状态="status",
            赋码或变更日期=iso("changed_on"),
            **truth("entity", story="story"),
        )
        rows = spoiled(chance, rows, "统一社会信用代码", ENTITY_DIRT)
        rows = marred(chance, rows, {
            "机构类型": {"unknown_word": 0.004},
            "负责人": {"blank_in_name": 0.03},
            "编制数": {"number_in_words": 0.004},
            "批准成立日期": {"chinese_date": 0.03, "no_day": 0.004},
        })
        return repeated(chance, rows, DUPLICATES)

    def public_institutions(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the public institutions registered, changed or dissolved by a day."""
        serial = pl.col("entity").cast(pl.Int64)
        rows = self.of.told(["事业"], number).select(
            **{
                "单位 名称": pl.col("name"),
                "单位 统一社会信用代码": pl.col("credit_code"),
                "单位 事业单位法人证书号": pl.format("事证第1{}{}号", "county", pl.col("entity").str.slice(-5)),
                "单位 举办单位": pl.lit(CITY + "人民政府"),
                "登记事项 法定代表人": pl.col("representative_name"),
                "登记事项 宗旨和业务范围": (serial % 5).replace_strict(dict(enumerate(_PURPOSES))),
                "登记事项 经费来源": (serial % 3).replace_strict({0: "全额拨款", 1: "差额拨款", 2: "经费自理"}),
                "登记事项 开办资金": pl.col("capital"),
                "登记事项 住所": pl.col("address"),
                "登记事项 区划": pl.col("county"),
                "有效期 自": iso("established"),
                "有效期 至": pl.col("established").dt.offset_by("30y").dt.strftime("%Y-%m-%d"),
                "有效期 状态": pl.col("status"),
                "有效期 登记日期": iso("changed_on"),
            },
            **truth("entity", story="story"),
        )
        rows = spoiled(chance, rows, "单位 统一社会信用代码", ENTITY_DIRT)
        rows = marred(chance, rows, {
            "登记事项 经费来源": {"unknown_word": 0.004, "padded": 0.02},
            "登记事项 开办资金": {"bare": 0.03, "some": 0.004},
            "有效期 至": {"long_ago": 0.004, "slashed_date": 0.03},
        }, {"bare": (lambda cell: cell.str.extract(r"(\d+)", 1), "accepted"),
            "some": (lambda _: pl.lit("若干"), "rejected"), "long_ago": (lambda _: pl.lit("1970-01-01"), "rejected")})
        return repeated(chance, rows, DUPLICATES)

    @cached_property
    def _collectives(self) -> pl.DataFrame:
        of = self.of
        changed = pl.Series(of.chance(61).integers(0, 39, of.collectives.height))
        found = of.collectives.with_columns(changed=pl.col("established") + pl.duration(days=pl.lit(changed)))
        return unfolded(of.chance(62), found, of.days, "changed")

    def village_collectives(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the rural collectives that were given a code or changed by a day."""
        rows = self._collectives.filter(pl.col("deliver_day") == number).select(
            统一社会信用代码="credit_code",
            组织名称="name",
            组织层级="level",
            法定代表人="representative_name",
            法定代表人身份证号="representative_id",
            成员人数=pl.col("members").cast(pl.String),
            **{"资产总额(万元)": pl.col("assets").cast(pl.String)},
            住所="address",
            区划="county",
            成立日期=iso("established"),
            状态=pl.lit("正常"),
            赋码日期=iso("changed"),
            **truth("entity", "representative", story="story"),
        )
        rows = spoiled(chance, rows, "统一社会信用代码", ENTITY_DIRT)
        rows = spoiled(chance, rows, "法定代表人身份证号", PERSON_DIRT)
        rows = marred(chance, rows, {
            "组织层级": {"unknown_word": 0.005},
            "成员人数": {"number_in_words": 0.005, "none": 0.005},
            "资产总额(万元)": {"grouped_amount": 0.03},
            "成立日期": {"impossible_date": 0.005},
        }, {"none": (lambda _: pl.lit("0"), "rejected")})
        return repeated(chance, rows, DUPLICATES)

    def _traders(self, number: int) -> pl.DataFrame:
        of = self.of
        told = unfolded(of.chance(63), of.traders.with_columns(on="established"), of.days, "on")
        return told.filter(pl.col("deliver_day") == number).with_columns(
            economic=pl.lit("个体经营"), industry=pl.lit("F"), status=pl.lit("正常"), grade=pl.lit(""),
            older=pl.lit(value=False), opened="established",
        )

    def taxpayers(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the taxpayers registered or changed by a day: organisations by their credit code, and sole traders."""
        serial = pl.col("entity").cast(pl.Int64)
        older = pl.col("entity").replace_strict(dict(self.of.older_numbers), default=None, return_dtype=pl.String)
        firms = self.of.told(_TAXED, number).with_columns(
            number=pl.coalesce(older, "credit_code"),
            older=older.is_not_null(),
            economic=pl.when(pl.col("kind") == "企业").then(
                (serial % 10).replace_strict(
                    {0: "股份合作", 1: "国有全资", 2: "其他有限责任公司", 3: "其他有限责任公司"},
                    default="私营有限责任公司",
                )
            ).when(pl.col("kind") == "其他").then(pl.lit("其他内资")).otherwise(pl.lit("其他")),
            industry=pl.when(pl.col("kind").is_in(["企业", "其他"])).then(pl.col("trade").replace_strict(INDUSTRIES))
            .otherwise(pl.lit("S")),
            grade=(serial % 20).replace_strict({0: "D", 1: "C", 2: "M", 3: "M", 4: "A", 5: "A"}, default="B"),
            on="changed_on", opened="established",
        )
        columns = ["number", "credit_code", "name", "economic", "industry", "representative_name", "representative_id",
                   "address", "county", "grade", "opened", "status", "on", "older", "entity", "representative", "story"]
        told = pl.concat([firms.select(columns), self._traders(number).select(columns)], how="vertical_relaxed")
        rows = told.select(
            纳税人识别号="number",
            统一社会信用代码="credit_code",
            纳税人名称="name",
            登记注册类型="economic",
            行业门类="industry",
            法定代表人="representative_name",
            法定代表人身份证件号码="representative_id",
            注册地址="address",
            主管税务机关区划="county",
            纳税信用等级="grade",
            登记日期=iso("opened"),
            纳税人状态="status",
            更新日期=iso("on"),
            **truth("entity", "representative", story="story"),
        ).with_columns(_dirt=pl.when(told["older"]).then(pl.lit("legacy_number")).otherwise("_dirt"))
        rows = spoiled(chance, rows, "统一社会信用代码", ENTITY_DIRT | {"nothing": (0.003, _no_code)})
        rows = spoiled(chance, rows, "法定代表人身份证件号码", PERSON_DIRT | _NO_NUMBER)
        rows = marred(chance, rows, {
            "纳税人识别号": {"cut_number": 0.002},
            "登记注册类型": {"unknown_word": 0.002},
            "登记日期": {"chinese_date": 0.01, "impossible_date": 0.001},
            "纳税人状态": {"padded": 0.01, "missing": 0.001},
        }, {"cut_number": (lambda cell: cell.str.slice(0, 14), "rejected")})
        return repeated(chance, rows, DUPLICATES)

    @cached_property
    def _reports(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(64)
        hands = of.work.filter(pl.col("entity").is_not_null()).group_by("entity").agg(hands=pl.len())
        firms = of.standing.filter(pl.col("kind").is_in(["企业", "其他"])).join(
            hands, on="entity", how="left", maintain_order="left"
        ).with_columns(pl.col("hands").fill_null(0))
        count = firms.height
        sales = np.round(chance.lognormal(4.2, 1.3, count) + firms["hands"].to_numpy() * 12, 2)
        assets = np.round(sales * chance.uniform(0.5, 2.5, count), 2)
        found = firms.with_columns(
            sales=pl.Series(sales), assets=pl.Series(assets),
            debts=pl.Series(np.round(assets * chance.uniform(0.1, 0.9, count), 2)),
            main=pl.Series(np.floor(sales * chance.uniform(0.7, 1.0, count) * 100) / 100),
            profit=pl.Series(np.round(sales * chance.normal(0.05, 0.08, count), 2)),
            taxes=pl.Series(np.round(sales * chance.uniform(0.01, 0.06, count), 2)),
            shown=pl.Series(np.where(chance.random(count) < 0.7, "是", "否")),
            reported=pl.Series(np.datetime64(BASE) - chance.integers(0, 60, count)).cast(pl.Date),
        )
        return unfolded(chance, found, of.days, "reported")

    def annual_reports(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the annual reports filed or mended by a day; the employees are those who work there in truth."""
        amounts = {"资产总额": "assets", "负债总额": "debts", "营业总收入": "sales", "主营业务收入": "main",
                   "利润总额": "profit", "纳税总额": "taxes"}
        rows = self._reports.filter(pl.col("deliver_day") == number).select(
            统一社会信用代码="credit_code",
            企业名称="name",
            年报年度=pl.lit("2025"),
            **{name: pl.col(column).cast(pl.String) for name, column in amounts.items()},
            从业人数=pl.col("hands").cast(pl.String),
            高校毕业生人数=(pl.col("hands") // 5).cast(pl.String),
            经营数据是否公示="shown",
            经营状态=pl.lit("存续"),
            填报日期=iso("reported"),
            **truth("entity", story="story"),
        )
        rows = spoiled(chance, rows, "统一社会信用代码", ENTITY_DIRT)
        rows = marred(chance, rows, {
            "年报年度": {"two_digits": 0.002, "with_year": 0.002},
            "主营业务收入": {"in_yuan": 0.003},
            "从业人数": {"number_in_words": 0.002},
            "纳税总额": {"grouped_amount": 0.01, "in_ten_thousands": 0.01},
            "经营数据是否公示": {"unknown_word": 0.002, "as_a_letter": 0.02},
        }, {
            "two_digits": (lambda cell: cell.str.slice(2), "rejected"),
            "with_year": (lambda cell: cell + "年", "rejected"),
            # Yuan in a column of ten thousands: more than all the sales there were.
            "in_yuan": (lambda _: (pl.col("营业总收入").cast(pl.Float64) * 10_000).cast(pl.String), "rejected"),
            "in_ten_thousands": (lambda cell: cell + "万元", "accepted"),
            "as_a_letter": (lambda cell: cell.replace_strict({"是": "Y", "否": "N"}), "accepted"),
        })
        return repeated(chance, rows, DUPLICATES)

    @cached_property
    def _shares(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(65)
        firms = of.standing.filter(pl.col("kind") == "企业").with_columns(
            amount=pl.col("capital").str.extract(r"(\d+)", 1).cast(pl.Int64),
            holders=pl.col("entity").cast(pl.Int64) % 3,
        )
        parts = pl.DataFrame({"holders": [0, 1, 1, 2, 2, 2], "serial": [1, 1, 2, 1, 2, 3],
                              "percent": [100, 60, 40, 50, 30, 20]}, schema_overrides={"holders": pl.Int64})
        shares = firms.join(parts, on="holders", how="inner", maintain_order="left_right")
        count, grown = shares.height, of.living.filter(pl.col("birth").dt.year() < BASE.year - 20)
        others = grown[chance.integers(0, grown.height, count).tolist()].select(
            holder="person", holder_name="name", holder_id="resident_id"
        )
        parents = firms[chance.integers(0, firms.height, count).tolist()].select(
            parent="entity", parent_name="name", parent_code="credit_code"
        )
        shares = shares.hstack(others).hstack(parents)
        first, firm = pl.col("serial") == 1, (pl.col("serial") > 1) & pl.Series(chance.random(count) < 0.1)
        paid = pl.Series(chance.choice([0.0, 0.5, 1.0], count, p=[0.3, 0.3, 0.4]))
        found = shares.with_columns(
            kind=pl.when(firm).then(pl.lit("法人股东")).otherwise(pl.lit("自然人股东")),
            who=pl.when(firm).then("parent_name").when(first).then("representative_name").otherwise("holder_name"),
            person=pl.when(firm).then(None).when(first).then("representative").otherwise("holder"),
            person_id=pl.when(firm).then(pl.lit("")).when(first).then("representative_id").otherwise("holder_id"),
            firm=pl.when(firm).then("parent"),
            firm_code=pl.when(firm).then("parent_code").otherwise(pl.lit("")),
            subscribed=pl.col("amount") * pl.col("percent") / 100,
            paid=pl.col("amount") * pl.col("percent") / 100 * paid,
            changed="established",
        )
        return unfolded(chance, found, of.days, "changed")

    def shareholders(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the shares of enterprises taken or changed by a day; the first holder is the representative."""
        rows = self._shares.filter(pl.col("deliver_day") == number).select(
            企业统一社会信用代码="credit_code",
            企业名称="name",
            股东序号=pl.col("serial").cast(pl.String),
            股东名称="who",
            股东类型="kind",
            自然人证件号码="person_id",
            法人统一社会信用代码="firm_code",
            认缴出资额=pl.col("subscribed").round(2).cast(pl.String),
            实缴出资额=pl.col("paid").round(2).cast(pl.String),
            **{"出资比例(%)": pl.col("percent").cast(pl.String)},
            出资方式=pl.lit("货币"),
            认缴日期=iso("established"),
            变更日期=iso("changed"),
            **truth("entity", "person", "firm", story="story"),
        )
        rows = spoiled(chance, rows, "企业统一社会信用代码", ENTITY_DIRT)
        rows = spoiled(chance, rows, "自然人证件号码", PERSON_DIRT)
        rows = marred(chance, rows, {
            "股东类型": {"unknown_word": 0.002},
            "自然人证件号码": {"missing": 0.001},
            "认缴出资额": {"in_ten_thousands": 0.02, "some": 0.002},
            "出资比例(%)": {"with_sign": 0.002, "ten_thousandths": 0.001},
            "变更日期": {"chinese_date": 0.01, "in_the_future": 0.001},
        }, {"in_ten_thousands": (lambda cell: cell + "万元人民币", "accepted"),
            "some": (lambda _: pl.lit("若干"), "rejected"),
            "with_sign": (lambda cell: cell + "%", "rejected"),
            "ten_thousandths": (lambda cell: cell + "00", "rejected")})
        return repeated(chance, rows, DUPLICATES)


def _no_code(_number: str) -> tuple[str, str]:
    return "无", "accepted"  # the column may be empty: sole traders have no code


_NO_NUMBER = {"nothing": (PERSON_DIRT["nothing"][0], _no_code)}
