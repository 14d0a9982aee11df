"""Read amounts of money as registers write them: 137(万元人民币), 1,000万美元, 人民币伍佰万元整.

The result is the amount in the currency's main unit (yuan, dollar), Decimal(24, 4), and its ISO 4217 code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from jobs.rows.cleaning import clean_key

AMOUNT = pl.Decimal(24, 4)

# How registers name currencies, by ISO 4217 code; withdrawn ones live on in old entries.
_CURRENCY_WORDS = {
    "CNY": "人民币 RMB CNY ¥",
    "USD": "美元 美金 USD US$ $",
    "HKD": "香港元 港元 港币 港幣 HKD HK$",
    "MOP": "澳门元 澳门币 澳门帕塔卡",
    "AUD": "澳元 澳大利亚元 澳币 AUD",
    "EUR": "欧元 EUR € EURO",
    "GBP": "英镑 GBP £",
    "JPY": "日元 日圆 日币 JPY",
    "KRW": "韩元 韩圆 韩币 KRW",
    "SGD": "新加坡元 新币 新元 SGD",
    "CAD": "加拿大元 加元 CAD",
    "CHF": "瑞士法郎 CHF",
    "DEM": "德国马克 西德马克 马克",
    "FRF": "法国法郎 法郎",
    "ITL": "意大利里拉",
    "NLG": "荷兰盾",
    "SEK": "瑞典克朗",
    "DKK": "丹麦克朗",
    "NOK": "挪威克朗",
    "BEF": "比利时法郎",
    "ATS": "奥地利先令",
    "NZD": "新西兰元",
    "TWD": "新台币 台币 TWD",
    "THB": "泰国铢 泰铢",
    "MYR": "马来西亚林吉特 林吉特 马来西亚元",
    "PHP": "菲律宾比索",
    "INR": "印度卢比 卢比",
    "RUB": "俄罗斯卢布 卢布",
    "IDR": "印度尼西亚卢比 印尼盾",
    "VND": "越南盾",
    "XDR": "特别提款权",
    "XEU": "欧洲货币单位",
}
CURRENCIES = {word: code for code, words in _CURRENCY_WORDS.items() for word in (code, *words.split())}
# Longest first, so that 港元 is not read as 元 nor 澳门元 as 澳元.
_BY_LENGTH = sorted(CURRENCIES, key=len, reverse=True)
_POWERS = {"十": 1, "拾": 1, "百": 2, "佰": 2, "千": 3, "仟": 3, "万": 4, "萬": 4, "亿": 8, "億": 8}
_NOISE = re.compile(
    r"[()\[\]{}（）〔〕【】\s:：,，、。整正约计为]|注册资本|注册资金|认缴|实缴|出资额?|资金数额"
)
_NUMBER = r"([+-]?(?:\d{1,3}(?:[,，]\d{3})+|\d+)(?:\.\d*)?|[+-]?\.\d+)"
_PLAIN = r"^-?[0-9]{1,18}(?:\.[0-9]{1,4})?$"  # nothing to clean or to round
_WIDE = pl.Decimal(38, 4)  # holds such a number of any unit
_DIGITS = dict(
    zip("零〇一二三四五六七八九壹贰叁肆伍陆柒捌玖两", (0, 0, *range(1, 10), *range(1, 10), 2), strict=True)
)
_CHINESE_AMOUNT = re.compile(r"[零〇一二三四五六七八九壹贰叁肆伍陆柒捌玖两十拾百佰千仟万萬亿億]+")


@dataclass(frozen=True)
class Amounts:
    """Hold the amounts read from a column and what was noticed on the way (Boolean, same length)."""

    values: pl.Series
    currencies: pl.Series
    not_money: pl.Series
    unit_missing: pl.Series
    amount_missing: pl.Series
    rounded: pl.Series


@dataclass(frozen=True)
class Unit:
    """Say what stands around a number: its power of ten, its currency, whether any unit was named."""

    power: int
    currency: str | None
    named: bool


def read_unit(text: str) -> Unit | None:
    """Read the words around a number, such as (万元人民币); None when something in them is unknown."""
    rest = _NOISE.sub("", text).upper()
    currency = None
    for word in _BY_LENGTH:
        if word in rest:
            if currency not in (None, CURRENCIES[word]):
                return None  # two currencies contradict each other
            currency, rest = CURRENCIES[word], rest.replace(word, "")
    power, named = 0, currency is not None
    for sign in rest:
        if sign in _POWERS:
            power, named = power + _POWERS[sign], True
        elif sign in "元圆块":
            named = True
        else:
            return None
    return Unit(power, currency, named)


def read_money(cells: pl.Series, *, unit: str | None = None, currency: str | None = None) -> Amounts:
    """Read a column of money.

    `unit` and `currency` are what the contract declares for cells that name none. Without a declared unit a bare
    number is no amount and marked `unit_missing`: it may be yuan or ten thousand yuan, and nothing is guessed. A unit
    without a number is a missing amount.
    """
    default = (read_unit(unit) if unit else None) or Unit(0, None, named=True)
    if unit and cells.str.contains(_PLAIN).fill_null(value=True).all():
        return _plain(cells, default.power, currency or default.currency or "CNY")
    cleaned = _western(clean_key(cells))
    numbers = cleaned.str.extract(_NUMBER, 1)
    around = cleaned.str.replace(_NUMBER, "\u0001")
    table = _units(around.drop_nulls().unique(), default, currency or default.currency or "CNY")
    read = pl.DataFrame({"around": around}).join(table, on="around", how="left", maintain_order="left")
    known = read["known"].fill_null(value=False)
    digits = numbers.str.replace_all("[,，]", "").set(~known, None)
    found, rounded = _scaled(digits, read["power"])
    missing = known & numbers.is_null() & cleaned.is_not_null()
    bare = found.is_not_null() & ~read["named"].fill_null(value=True) & pl.Series([unit is None])
    values = found.set(bare, None)
    return Amounts(
        values=values,
        currencies=read["currency"].set(values.is_null(), None),
        not_money=cleaned.is_not_null() & found.is_null() & ~missing,
        unit_missing=bare,
        amount_missing=missing,
        rounded=rounded & ~bare,
    )


def _plain(cells: pl.Series, power: int, currency: str) -> Amounts:
    """Read cells that are numbers as they stand, in the declared unit and currency."""
    values = (cells.cast(_WIDE) * 10**power).cast(AMOUNT, strict=False)
    nowhere = pl.Series(dtype=pl.Boolean).extend_constant(value=False, n=len(cells))
    currencies = pl.Series(dtype=pl.String).extend_constant(currency, len(cells)).set(values.is_null(), None)
    return Amounts(values, currencies, cells.is_not_null() & values.is_null(), nowhere, nowhere, nowhere)


def _units(around: pl.Series, default: Unit, currency: str) -> pl.DataFrame:
    """Read each distinct surrounding once; \u0001 stands where the number was."""
    rows: list[tuple[str, int | None, str | None, bool, bool | None]] = []
    for text in around.to_list():
        # Nothing numeric may remain: 5-10万元 is a range, not an amount.
        unit = None if text.count("\u0001") > 1 else read_unit(text.replace("\u0001", ""))
        if unit is None:
            rows.append((text, None, None, False, None))
        elif unit.named and (unit.power or unit.currency or re.search("[元圆块]", text)):
            rows.append((text, unit.power, unit.currency or currency, True, True))
        else:
            rows.append((text, default.power, currency, True, False))
    columns = {
        "around": pl.Utf8, "power": pl.Int64, "currency": pl.Utf8, "known": pl.Boolean, "named": pl.Boolean,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row")


def _scaled(digits: pl.Series, power: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Multiply decimal texts by powers of ten exactly (the point moves); tell where digits were lost."""
    frame = pl.DataFrame({"digits": digits, "power": power})
    sign = pl.col("digits").str.starts_with("-")
    frame = frame.with_columns(
        sign=pl.when(sign).then(pl.lit("-")).otherwise(pl.lit("")),
        whole=pl.col("digits").str.extract(r"^[+-]?(\d*)", 1),
        part=pl.col("digits").str.extract(r"\.(\d*)$", 1).fill_null(""),
    )
    moved = pl.lit(None, dtype=pl.Utf8)
    for step in frame["power"].drop_nulls().unique().sort().to_list():
        padded = pl.col("part").str.pad_end(step, "0")
        text = pl.format("{}{}{}.{}", "sign", "whole", padded.str.slice(0, step), padded.str.slice(step))
        moved = pl.when(pl.col("power") == step).then(text).otherwise(moved)
    moved_text = frame.select(pl.when(pl.col("digits").is_not_null()).then(moved).alias("text"))["text"]
    moved_text = moved_text.str.strip_suffix(".")
    values = moved_text.cast(AMOUNT, strict=False)
    return values, moved_text.str.contains(r"\.\d{4}0*[1-9]").fill_null(value=False)


def _western(cells: pl.Series) -> pl.Series:
    """Write amounts in Chinese numerals (伍佰万元整) as digits; cells that hold a digit already stay."""
    spoken = ~cells.str.contains(r"\d").fill_null(value=True)
    spoken &= cells.str.contains(r"[零〇一二三四五六七八九壹贰叁肆伍陆柒捌玖两十拾]").fill_null(value=False)
    if not spoken.any():
        return cells
    table = cells.filter(spoken).unique().to_list()
    return cells.replace({text: _CHINESE_AMOUNT.sub(_digits, text, count=1) for text in table})


def _digits(numeral: re.Match[str]) -> str:
    """Write a Chinese numeral as digits; one that counts in ten thousands names its unit, as 500万 does."""
    return f"{_spoken(numeral.group())}{'元' if re.search('[万萬亿億]', numeral.group()) else ''}"


def _spoken(numeral: str) -> Decimal:
    """Read a Chinese numeral: 壹仟贰佰万 is 12000000, 十万 is 100000."""
    total = section = digit = Decimal(0)
    for sign in numeral:
        if sign in _DIGITS:
            digit = Decimal(_DIGITS[sign])
        elif (power := _POWERS[sign]) < 4:
            section, digit = section + (digit or 1) * Decimal(10) ** power, Decimal(0)
        elif power == 4:
            total, section, digit = total + (section + digit or 1) * Decimal(10**4), Decimal(0), Decimal(0)
        else:
            total, section, digit = (total + section + digit or 1) * Decimal(10**8), Decimal(0), Decimal(0)
    return total + section + digit
