"""What the credit platform gathers: administrative licences and penalties (双公示), in both layouts."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import polars as pl

from jobs.synthesis.circumstances import Circumstances, unfolded
from jobs.synthesis.dirt import ENTITY_DIRT, PERSON_DIRT, marred, repeated, spoiled
from jobs.synthesis.numbers import registration_numbers
from jobs.synthesis.people import BASE, CITY
from jobs.synthesis.truth import iso, truth

DUPLICATES = 0.003
LICENSED, FINED, FINED_BEFORE = 0.5, 0.05, 0.02  # of the firms; people by a hundredth of it
_SOURCE = f"{CITY}发展和改革委员会"
_CODES = ("SHXYM", "GSZC", "ZZJG", "SWDJ", "SYDW", "SHZZ")
_LICENCES = ("普通", "特许", "认可", "核准", "登记")
_OFFENCES = ("未按规定公示年度报告", "超出许可范围经营", "未取得许可从事经营活动", "消防设施不合格")
# These layouts leave a cell empty where the subject has no such number, so an empty cell is no dirt here.
_GIVEN_CODE = {name: how for name, how in ENTITY_DIRT.items() if name != "nothing"}
_GIVEN_NUMBER = {name: how for name, how in PERSON_DIRT.items() if name != "nothing"}


class Credit:
    """Make the deliveries of the credit platform; what it knows is made once for all its days."""

    def __init__(self, city: Circumstances) -> None:
        self.of = city

    def _subjects(self, topic: int, share: float, least: int) -> pl.DataFrame:
        """Return whom decisions are about: organisations, sole traders with a code, and people; and who decides.

        Columns: `class`, `name`, the six codes, `representative…`, `person…`, `authority…`, `county`, `scope`,
        `established` (a person's: null).
        """
        of, chance = self.of, self.of.chance(topic)
        firms = of.standing.filter(pl.col("kind") != "机关")
        share = max(share, min(1.0, least / max(1, firms.height)))
        firms = firms.filter(pl.Series(chance.random(firms.height) < share))
        traders = of.traders.filter(
            pl.Series(chance.random(of.traders.height) < share / 5) & (pl.col("credit_code") != "")
        )
        chosen = of.living.filter(
            pl.Series(chance.random(of.living.height) < share / 100) & (pl.col("birth").dt.year() < BASE.year - 18)
        )
        organisations = firms.with_columns(pl.lit("法人及非法人组织").alias("class"))
        shops = traders.with_columns(pl.lit("个体工商户").alias("class"), scope=pl.lit("日用百货零售。"))
        people = chosen.select(
            pl.lit("自然人").alias("class"), "name", "county", "person", kind=pl.lit(""), person_id="resident_id",
            scope=pl.lit("道路货物运输驾驶。"),
        )
        both = pl.concat([organisations, shops, people], how="diagonal_relaxed")
        wanted = ["class", "name", "county", "kind", "entity", "credit_code", "representative", "representative_name",
                  "representative_id", "person", "person_id", "scope", "established"]
        both = both.select(wanted)
        organs = of.of_kind("机关").select(authority="entity", authority_name="name", authority_code="credit_code")
        return both.hstack(organs[chance.integers(0, organs.height, both.height).tolist()]).with_columns(
            serial=pl.int_range(pl.len()).cast(pl.String).str.zfill(6)
        )

    def _codes(self, subjects: pl.DataFrame, chance: np.random.Generator, prefix: str) -> pl.DataFrame:
        """Return the six codes of each subject: the crosswalk from older numbers to the credit code."""
        known = pl.col("credit_code").is_not_null()
        serial = pl.col("entity").str.extract(r"(\d+)", 1)
        numbers = subjects.select(number=pl.coalesce(serial, "serial").cast(pl.Int64))
        kept = pl.Series(chance.random(subjects.height) < 0.3) & (subjects["kind"] == "企业")
        registered = pl.Series(
            registration_numbers(subjects["county"].to_list(), numbers["number"].to_numpy()), dtype=pl.String
        )
        return subjects.select(
            (pl.col("credit_code").fill_null("")).alias(f"{prefix}_SHXYM"),
            pl.when(kept).then(registered).otherwise(pl.lit("")).alias(f"{prefix}_GSZC"),
            pl.when(known).then(pl.col("credit_code").str.slice(8, 9)).otherwise(pl.lit("")).alias(f"{prefix}_ZZJG"),
            pl.col("credit_code").fill_null("").alias(f"{prefix}_SWDJ"),
            pl.when(pl.col("kind") == "事业")
            .then(pl.format("事证第1{}{}号", "county", serial.str.slice(-5)))
            .otherwise(pl.lit("")).alias(f"{prefix}_SYDW"),
            pl.when(pl.col("kind") == "社会组织").then(pl.format("浙社证字第{}号", serial)).otherwise(pl.lit(""))
            .alias(f"{prefix}_SHZZ"),
        )

    @cached_property
    def _licences(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(81)
        subjects = self._subjects(80, LICENSED, 60)
        count = subjects.height
        decided = pl.Series(np.datetime64(BASE) - chance.integers(1, 1_000, count)).cast(pl.Date)
        found = subjects.hstack(self._codes(subjects, chance, "XK_XDR")).with_columns(
            decided=pl.max_horizontal(decided, "established"),
            licence=pl.Series(chance.choice(_LICENCES, count, p=[0.6, 0.02, 0.1, 0.2, 0.08])),
            years=pl.Series(chance.choice([3, 5, 10], count, p=[0.3, 0.6, 0.1])),
        )
        return unfolded(chance, found, of.days, "decided")

    def administrative_licences(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the licences decided by a day, in the order of the exchange database's canonical dump."""
        natural = pl.col("class") == "自然人"
        rows = self._licences.filter(pl.col("deliver_day") == number).select(
            XK_XDR_MC="name",
            XK_XDR_LB="class",
            **{f"XK_XDR_{code}": pl.col(f"XK_XDR_{code}") for code in _CODES},
            XK_FRDB=pl.col("representative_name").fill_null(""),
            XK_FR_ZJLX=pl.when(natural).then(pl.lit("")).otherwise(pl.lit("身份证")),
            XK_FR_ZJHM=pl.col("representative_id").fill_null(""),
            XK_XDR_ZJLX=pl.when(natural).then(pl.lit("身份证")).otherwise(pl.lit("")),
            XK_XDR_ZJHM=pl.col("person_id").fill_null(""),
            XK_XKWS=pl.lit("准予行政许可决定书"),
            XK_WSH=pl.format("丽许〔{}〕{}号", pl.col("decided").dt.year(), "serial"),
            XK_XKLB="licence",
            XK_XKZS=pl.lit("许可证"),
            XK_XKBH=pl.lit("XK") + pl.col("serial"),
            XK_NR="scope",
            XK_JDRQ=iso("decided"),
            XK_YXQZ=iso("decided"),
            XK_YXQZI=pl.format("{}-{}", pl.col("decided").dt.year() + pl.col("years"), pl.lit("12-31")),
            XK_XKJG="authority_name",
            XK_XKJGDM="authority_code",
            XK_ZT=pl.lit("1"),
            XK_LYDW=pl.lit(_SOURCE),
            XK_LYDWDM=pl.lit(""),
            BZ=pl.lit(""),
            **truth("entity", "person", "representative", "authority", story="story"),
        )
        rows = spoiled(chance, rows, "XK_XDR_SHXYM", _GIVEN_CODE)
        rows = spoiled(chance, rows, "XK_FR_ZJHM", _GIVEN_NUMBER)
        rows = marred(chance, rows, {
            "XK_XDR_ZZJG": {"hyphenated": 0.02},
            "XK_XDR_ZJHM": {"missing": 0.001},
            "XK_XKLB": {"unknown_word": 0.002, "padded": 0.01},
            "XK_JDRQ": {"chinese_date": 0.02, "no_day": 0.002},
            "XK_YXQZ": {"long_ago": 0.002},
            "XK_YXQZI": {"for_ever": 0.01},
            "XK_WSH": {"missing": 0.001},
        }, {
            "hyphenated": (lambda cell: cell.str.replace(r"^(.{8})(.)$", "${1}-${2}"), "accepted"),
            "long_ago": (lambda _: pl.lit("1970-01-01"), "rejected"),
            "for_ever": (lambda _: pl.lit("2099-12-31"), "accepted"),
        })
        rows = repeated(chance, rows, DUPLICATES)
        order = ["XK_XKJGDM", "XK_WSH", "XK_XDR_MC"]
        rest = [name for name in rows.columns if name not in order and not name.startswith("_")]
        return rows.sort([*order, *rest], maintain_order=True)

    @cached_property
    def _penalties(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(83)
        subjects = self._subjects(82, FINED, 40)
        count = subjects.height
        decided = pl.Series(np.datetime64(BASE) - chance.integers(1, 900, count)).cast(pl.Date)
        found = subjects.hstack(self._codes(subjects, chance, "CF_XDR")).with_columns(
            decided=pl.max_horizontal(decided, "established"),
            penalty=pl.Series(chance.choice(["罚款", "警告", "没收", "暂扣"], count, p=[0.75, 0.12, 0.1, 0.03])),
            fine=pl.Series(np.round(chance.lognormal(-0.5, 1.1, count) + 0.01, 2)),
            offence=pl.Series(chance.choice(_OFFENCES, count)),
        )
        return unfolded(chance, found, of.days, "decided")

    def administrative_penalties(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return the penalties decided by a day, in the newer layout; amounts are in 万元."""
        natural, fined = pl.col("class") == "自然人", pl.col("penalty") == "罚款"
        amount = pl.col("fine").cast(pl.String)
        rows = self._penalties.filter(pl.col("deliver_day") == number).select(
            CF_XDR_MC="name",
            CF_XDR_LB="class",
            **{f"CF_XDR_{code}": pl.col(f"CF_XDR_{code}") for code in _CODES},
            CF_FRDB=pl.col("representative_name").fill_null(""),
            CF_FR_ZJHM=pl.col("representative_id").fill_null(""),
            CF_XDR_ZJLX=pl.when(natural).then(pl.lit("身份证")).otherwise(pl.lit("")),
            CF_XDR_ZJHM=pl.col("person_id").fill_null(""),
            CF_WSH=pl.format("丽罚〔{}〕{}号", pl.col("decided").dt.year(), "serial"),
            CF_WFXW="offence",
            CF_SY=pl.format("经查，当事人{}。", "offence"),
            CF_YJ=pl.lit("《中华人民共和国行政处罚法》"),
            CF_CFLB="penalty",
            CF_NR=pl.when(fined).then(pl.format("处罚款{}万元", amount)).otherwise("penalty"),
            CF_NR_FK=pl.when(fined).then(amount).otherwise(pl.lit("")),
            CF_NR_WFFF=pl.when(pl.col("penalty") == "没收").then(amount).otherwise(pl.lit("")),
            CF_NR_ZKDX=pl.when(pl.col("penalty") == "暂扣").then(pl.lit("经营许可证")).otherwise(pl.lit("")),
            CF_JDRQ=iso("decided"),
            CF_YXQ=pl.lit("2099-12-31"),
            CF_GSJZQ=pl.col("decided").dt.offset_by("3y").dt.strftime("%Y-%m-%d"),
            CF_CFJG="authority_name",
            CF_CFJGDM="authority_code",
            CF_SJLY=pl.lit(_SOURCE),
            CF_SJLYDM=pl.lit(""),
            BZ=pl.lit(""),
            **truth("entity", "person", "representative", "authority", story="story"),
        )
        rows = spoiled(chance, rows, "CF_XDR_SHXYM", _GIVEN_CODE)
        rows = spoiled(chance, rows, "CF_FR_ZJHM", _GIVEN_NUMBER)
        rows = marred(chance, rows, {
            "CF_XDR_ZJHM": {"missing": 0.001},
            "CF_CFLB": {"unknown_word": 0.004},
            # Yuan in a column of 万元: worth a remark, and only the authority can say.
            "CF_NR_FK": {"in_yuan": 0.01, "missing": 0.003, "amount_in_words": 0.003},
            "CF_JDRQ": {"slashed_date": 0.02, "in_the_future": 0.003},
            "CF_GSJZQ": {"long_ago": 0.003},
        }, {
            "in_yuan": (lambda _: pl.lit("50000"), "accepted"),
            "long_ago": (lambda _: pl.lit("1970-01-01"), "rejected"),
        })
        return repeated(chance, rows, DUPLICATES)

    @cached_property
    def _older(self) -> pl.DataFrame:
        of, chance = self.of, self.of.chance(85)
        subjects = self._subjects(84, FINED_BEFORE, 30).filter(
            pl.col("established").is_null() | (pl.col("established") < pl.date(2016, 1, 1))
        )
        if subjects.height < 2 * of.days:  # a city without an old firm: its people were fined all the same
            subjects = self._subjects(86, 1.0, 30).filter(pl.col("class") == "自然人")
        count = subjects.height
        decided = pl.Series(np.datetime64("2016-01-01") + chance.integers(0, 1_000, count)).cast(pl.Date)
        codes = self._codes(subjects, chance, "CF_XDR")
        found = subjects.hstack(codes).with_columns(
            decided=decided,
            stamped=decided + pl.duration(days=pl.lit(pl.Series(chance.integers(0, 20, count)))),
            second=pl.Series(chance.choice(["", "罚款"], count, p=[0.6, 0.4])),
            offence=pl.Series(chance.choice(_OFFENCES, count)),
        )
        return unfolded(chance, found, of.days, "stamped")

    def administrative_penalties_2016(self, number: int, chance: np.random.Generator) -> pl.DataFrame:
        """Return penalties of old, delivered in the layout of 2016 by counties that still use it."""
        rows = self._older.filter(pl.col("deliver_day") == number).select(
            CF_WSH=pl.format("丽罚字〔{}〕{}号", pl.col("decided").dt.year(), "serial"),
            CF_CFMC=pl.col("offence") + "案",
            CF_CFLB1=pl.lit("警告"),
            CF_CFLB2="second",
            CF_SY="offence",
            CF_YJ=pl.lit("《中华人民共和国行政处罚法》"),
            CF_XDR_MC="name",
            CF_XDR_SHXYM="CF_XDR_SHXYM",
            CF_XDR_ZDM=pl.col("CF_XDR_ZZJG").str.replace(r"^(.{8})(.)$", "${1}-${2}"),
            CF_XDR_GSDJ="CF_XDR_GSZC",
            CF_XDR_SWDJ="CF_XDR_SWDJ",
            CF_XDR_SFZ=pl.col("person_id").fill_null(""),
            CF_FR=pl.col("representative_name").fill_null(""),
            CF_JG=pl.when(pl.col("second") == "").then(pl.lit("警告")).otherwise(pl.lit("警告，并罚款人民币壹仟元整")),
            CF_JDRQ=pl.col("decided").dt.strftime("%Y/%m/%d"),
            CF_XZJG="authority_name",
            CF_ZT=pl.lit("1"),
            DFBM="county",
            SJC=pl.col("stamped").dt.strftime("%Y-%m-%d"),
            BZ=pl.lit(""),
            **truth("entity", "person", story="story"),
        )
        rows = spoiled(chance, rows, "CF_XDR_SHXYM", _GIVEN_CODE)
        rows = marred(chance, rows, {
            "CF_CFLB1": {"unknown_word": 0.005},
            "CF_JG": {"missing": 0.005},
            "SJC": {"compact_date": 0.02, "no_day": 0.005},
        })
        return repeated(chance, rows, DUPLICATES)
