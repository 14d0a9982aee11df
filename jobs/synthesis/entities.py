"""The city's legal entities of all five kinds, represented by people of the city."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from jobs.synthesis.names import FIRM_WORDS
from jobs.synthesis.numbers import credit_codes
from jobs.synthesis.people import BASE, CITY

TRADES = {
    "商贸": "日用百货批发、零售；货物进出口。",
    "餐饮管理": "餐饮服务；食品销售。",
    "建筑工程": "建筑工程施工；土石方工程。",
    "机械制造": "机械零部件制造、加工。",
    "信息科技": "软件开发；信息系统集成服务。",
    "物流": "道路货物运输；仓储服务。",
    "农业开发": "农作物种植；水果销售。",
    "企业管理": "企业管理咨询；商务信息咨询。",
}
_SHARES = [0.34, 0.16, 0.12, 0.14, 0.08, 0.06, 0.06, 0.04]
KINDS = {  # kind: (credit code prefix, share, name ending)
    "机关": ("11", 0.02, "局"),
    "事业": ("12", 0.04, "中心"),
    "企业": ("91", 0.84, "有限公司"),
    "社会组织": ("51", 0.06, "协会"),
    "其他": ("93", 0.04, "专业合作社"),
}
_SOCIAL = {"社会团体": "51", "民办非企业单位": "52", "基金会": "53"}
CAPITAL = ("{}万元", "{}(万元)", "{}万人民币", "{}(万元人民币)", "{}万元人民币", "{}（万元）")


def found_entities(chance: np.random.Generator, people: pl.DataFrame, count: int, first: int = 0) -> pl.DataFrame:
    """Return `count` invented entities, numbered from `first`.

    Columns: entity, kind, social_kind, credit_code, name, county, established, capital, scope, trade, address,
    representative (person), representative_name, representative_id.
    """
    kinds = chance.choice(list(KINDS), count, p=[share for _, share, _ in KINDS.values()])
    social = np.where(kinds == "社会组织", chance.choice(list(_SOCIAL), count, p=[0.6, 0.35, 0.05]), "")
    prefixes = [_SOCIAL.get(s) or KINDS[k][0] for k, s in zip(kinds, social, strict=True)]
    adults = people.filter(pl.col("birth").dt.year() < BASE.year - 25)
    heads = adults[chance.integers(0, adults.height, count).tolist()]
    trades = chance.choice(list(TRADES), count, p=_SHARES)
    words = [
        "".join(pair) for pair in zip(chance.choice(FIRM_WORDS, count), chance.choice(FIRM_WORDS, count), strict=True)
    ]
    divisions = heads["county"].to_list()
    numbers = np.arange(first, first + count)
    ages = chance.integers(30, 365 * 25, count)
    amounts = chance.choice(
        [3, 5, 10, 50, 100, 200, 500, 1000, 5000], count, p=[0.04, 0.06, 0.2, 0.2, 0.25, 0.1, 0.1, 0.04, 0.01]
    )
    formats = chance.choice(CAPITAL, count)
    names = [
        f"{CITY}{word}{number % 997:03d}{trade if kind in ('企业', '其他') else ''}{KINDS[kind][2]}"
        for word, number, trade, kind in zip(words, numbers, trades, kinds, strict=True)
    ]
    return pl.DataFrame(
        {
            "entity": pl.Series(numbers).cast(pl.String).str.zfill(7),
            "kind": kinds.astype(str),
            "social_kind": social.astype(str),
            "credit_code": credit_codes(prefixes, divisions, numbers + 7_000_000),
            "name": names,
            "county": divisions,
            "established": pl.select(pl.max_horizontal(
                pl.Series([BASE - timedelta(days=int(age)) for age in ages]), heads["birth"].dt.offset_by("18y"),
            )).to_series(),  # nobody represents anything before
            "capital": [form.format(amount) for form, amount in zip(formats, amounts, strict=True)],
            "trade": trades.astype(str),
            "scope": [TRADES[trade] for trade in trades],
            "address": heads["address"],
            "representative": heads["person"],
            "representative_name": heads["name"],
            "representative_id": heads["resident_id"],
        }
    )
