"""Invented names: frequent surnames and given-name characters, combined by chance."""

from __future__ import annotations

import numpy as np
import polars as pl

SURNAMES = list(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾萧田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫雷龙史陶黎贺顾毛郝龚邵万覃武钱戴严莫孔向常"
)
GIVEN_MEN = list("伟强磊军洋勇杰涛超明刚平辉鹏华飞鑫波斌宇浩凯健俊帆帅旭宁龙林欢阳建成栋博文哲宏志嘉泽瑞晨皓轩子昊然")
GIVEN_WOMEN = list("芳娜敏静丽艳娟霞秀燕玲桂英梅红云兰洁颖琳晶慧倩雪婷玉萍珍莉凤琴璐怡欣雅诗涵雨梦佳悦萱语彤可馨")
FIRM_WORDS = list("华恒信达盛瑞丰泰安康宏远鑫源博创联通嘉禾金星海天云山东方正大成美佳新光明永兴顺利和祥福润")
_WEIGHTS = 1.0 / np.arange(3, len(SURNAMES) + 3)


def surnames(chance: np.random.Generator, count: int) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """Return surnames, frequent ones more often."""
    return chance.choice(np.array(SURNAMES), count, p=_WEIGHTS / _WEIGHTS.sum())


def full_names(
    chance: np.random.Generator,
    family: np.ndarray[tuple[int], np.dtype[np.str_]],
    male: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> pl.Series:
    """Return full names: a surname and one or two characters of the sex's given names."""
    count = len(family)
    first = np.where(male, chance.choice(np.array(GIVEN_MEN), count), chance.choice(np.array(GIVEN_WOMEN), count))
    second = np.where(male, chance.choice(np.array(GIVEN_MEN), count), chance.choice(np.array(GIVEN_WOMEN), count))
    second = np.where(chance.random(count) < 0.25, "", second)
    return pl.Series(family) + pl.Series(first) + pl.Series(second)
