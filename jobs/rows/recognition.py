"""Find what identifies a person inside Chinese free text, and replace it by the word for its kind.

Numbers are believed only with their check digit (citizen ID GB 11643, bank card Luhn ISO/IEC 7812, credit code
GB 32100); names and addresses are found by form and the words around them, so that some are missed: text that went
through here is poorer in personal data, not free of it, and stays closed to open release.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from jobs.rows.identifiers.characters import CREDIT_ALPHABET
from jobs.rows.masking import COMPOUND_SURNAMES

_HAN = "\u4e00-\u9fff"
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾萧肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪"
    "廖石金韦贾夏付傅方邹熊白孟秦邱侯江尹薛闫阎雷龙史陶黎贺顾毛郝龚邵万覃武钱戴严莫孔向常汤康易乔赖文施洪樊兰殷欧安颜倪牛温鲁"
    "葛俞章毕聂丛焦柳邢路岳齐梅庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋甘景薄单包司柏宁"
)
_NAME = f"(?:{'|'.join(COMPOUND_SURNAMES)}|[{_SURNAMES}])[{_HAN}]{{1,2}}?"
_BEFORE = (
    "姓名|名字|联系人|患者|病人|申请人|当事人|投诉人|举报人|来电人|被告人?|原告|经办人|法定代表人|法人代表|负责人|户主|"
    "监护人|委托人|受益人|业主|租户|承租人|死者|亡者|家属|配偶|丈夫|妻子|父亲|母亲|儿子|女儿|学生|职工|员工|村民|居民|市民|"
    "邻居|同事|朋友|房东|客户|旅客|乘客|考生|教师|护士|司机|驾驶人|收件人|签收人|证人|我叫|名叫|叫做|本人"
)
_LINKS = "(?:其|系|为|是|叫|名叫|[:：,，\\s])*"
_AFTER = "先生|女士|小姐|同志|老师|医生|大夫|律师|师傅|阿姨|大爷|奶奶|同学"
_DEEDS = (
    "来电|致电|反映|投诉|举报|申请|签字|签收|领取|到场|来访|报案|自述|表示|办理|缴纳|"
    "提交|咨询|共同|一起|前往|居住|购买|发生|要求|希望|认为|代为|称|说|于|的|已|在|因|将|被|等"
)
_ENDS = rf"(?=$|[^{_HAN}]|{_AFTER}|{_DEEDS}|与|和|及|、)"
# Words that begin with a surname.
_NO_NAMES = (
    "黄瓜 黄豆 牛肉 马铃 金针 白菜 毛巾 牛仔 龙虾 万能 石材 水果 茶叶 "
    "高度 高温 高中 高级 高血 方面 方式 方法 方案 方便 许可 许多 任何 任务 任职 黄色 "
    "黄金 金额 金融 石油 时间 时候 江苏 江西 马上 马路 白天 白色 万元 常年 常住 常见 "
    "向上 成立 成功 成员 于是 周一 周二 周三 周四 周五 周六 周日 周边 周年 程序 严重 "
    "严格 安全 安排 安置 单位 单独 单元 包括 包含 管理 关于 关系 关闭 项目 温度 路口 "
    "路边 路段 费用 司法 司机 查询 查看 查验 阳光 曾经 曾用 文件 文化 文书 康复 武装 "
    "龙头 谢谢 史料 施工 施行 位置 位于 易燃 纪律 纪委 齐全 盛夏 童年 成都 武汉 安徽 "
    "宁波 宁夏 温州 康定 家属 部门 本人 相关 有关 全部 应当 无关 和平 平台 何时 何人 "
    "何地 余额 余下 章程 毕业 毕竟 顾客 顾虑 付款 付清 卫生 祝愿 左右 游客 万一 洪水 "
    "洪涝 甘肃 景区 牛奶 鲁莽 路灯 汤药 左侧 向前 常规 白内 高烧 马桶 黄疸 "
)
_MAIL = "[A-Za-z0-9._%+-]"
_PLATE = "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·\\s]?"
_ORDINARY_PLATE = "[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳]"
_GREEN_PLATE = "[DF0-9][A-HJ-NP-Z0-9][0-9]{3}[0-9DF]"
# An address is found at its house number; what stands before it belongs to it as far as a word that leads to places.
_COUNT = "-0-9０-９一二三四五六七八九十百"
_HOUSE = re.compile(
    rf"(?:大道|大街|胡同|新村|小区|花园|公寓|家园|[路街巷弄里苑村庄组社])[东西南北中]?段?"
    rf"[{_COUNT}]{{1,7}}(?:号楼|号院|[号弄幢栋座室组]|单元)"
)
_INSIDE = re.compile(rf"[{_HAN}]{{0,6}}?[{_COUNT}A-Za-z]{{1,6}}(?:号楼|单元|[号弄幢栋座楼层室户])")
_MOST_PARTS = 5  # of what follows a house number: building, unit, floor, room
_BEFORE_HOUSE = 30  # characters
_LEADING = re.compile(
    "现住|居住|家住|住址|地址|户籍|位于|前往|来到|送至|寄到|寄往|寄至|来自|发生|反映|搬到|[住址在于至到往是为由从]"
)


@dataclass(frozen=True)
class Span:
    """Say where in a text something of a kind stands: from `start` up to, not including, `end`."""

    start: int
    end: int
    kind: str


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * (2 if i % 2 else 1) for i, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _resident(text: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    month, day = int(text[10:12]), int(text[12:14])
    total = sum(int(digit) * weight for digit, weight in zip(text, weights, strict=False))
    return 1 <= month <= 12 and 1 <= day <= 31 and "10X98765432"[total % 11] == text[17].upper()


def _credit(text: str) -> bool:
    values = [CREDIT_ALPHABET.decode().find(letter) for letter in text.upper()]
    total = sum(value * pow(3, place, 31) for place, value in enumerate(values[:17]))
    return min(values) >= 0 and (31 - total % 31) % 31 == values[17]


# In order of trust: an earlier kind keeps its characters.
_NUMBERS = (
    ("email", re.compile(rf"(?<!{_MAIL}){_MAIL}{{1,64}}@[A-Za-z0-9-]{{1,63}}(?:\.[A-Za-z0-9-]{{1,63}}){{1,8}}"), None),
    ("resident_id", re.compile(r"(?<![0-9])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])"), _resident),
    ("credit_code", re.compile(r"(?<![0-9A-Za-z])[1-9ANY][1-59][0-9]{6}[0-9A-Za-z]{10}(?![0-9A-Za-z])"), _credit),
    ("bank_card", re.compile(r"(?<![0-9])[3-6][0-9]{3}(?:[ -]?[0-9]{4}){2}(?:[ -]?[0-9]{1,4}){1,2}(?![0-9])"), _luhn),
    ("mobile", re.compile(r"(?<![0-9])(?:\+?86[- ]?)?1[3-9][0-9](?:[ -]?[0-9]{4}){2}(?![0-9])"), None),
    ("landline", re.compile(r"(?<![0-9])\(?0[1-9][0-9]{1,2}\)?[- ]?[2-9][0-9]{6,7}(?![0-9])"), None),
    ("plate", re.compile(rf"{_PLATE}(?:{_ORDINARY_PLATE}|{_GREEN_PLATE})(?![A-Z0-9])"), None),
    ("passport", re.compile(r"(?<![0-9A-Za-z])(?:[EGDSPK][0-9]{8}|E[A-HJ-NP-Z][0-9]{7})(?![0-9A-Za-z])"), None),
)
_NAMES = (
    re.compile(rf"(?:{_BEFORE}){_LINKS}(?P<name>{_NAME}){_ENDS}"),
    re.compile(rf"(?P<name>{_NAME})(?={_AFTER})"),
    re.compile(rf"(?P<name>{_NAME})(?=[(（,，\s]*(?:男|女)(?:[,，)）;；\s]|$))"),
    re.compile(rf"(?P<name>{_NAME})(?=[(（,，:：\s]*(?:身份证|电话|手机|联系方式|公民身份))"),
    re.compile(rf"(?:^|[^{_HAN}]|由|与|和|经|让|请|找|向|给|至|对|替|被|及|、)(?P<name>{_NAME})(?={_DEEDS}|[、与和及]|$)"),
)


def recognise(text: str) -> list[Span]:
    """Return what identifies somebody in a text, in order, without overlaps.

    Kinds: resident_id, credit_code, bank_card, mobile, landline, email, plate, passport, address, name.
    """
    taken: list[Span] = []
    no_names = frozenset(_NO_NAMES.split())
    used = bytearray(len(text))

    def take(start: int, end: int, kind: str) -> None:
        if start < end and not any(used[start:end]):
            used[start:end] = b"\1" * (end - start)
            taken.append(Span(start, end, kind))

    for kind, pattern, holds in _NUMBERS:
        for found in pattern.finditer(text):
            if holds is None or holds(re.sub(r"[ -]", "", found.group())):
                take(found.start(), found.end(), kind)
    for start, end in _addresses(text):
        take(start, end, "address")
    for pattern in _NAMES:
        for found in _overlapping(pattern, text):
            if found.group("name")[:2] not in no_names:
                take(found.start("name"), found.end("name"), "name")
    return sorted(taken, key=lambda span: span.start)


def _overlapping(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Yield matches that begin at every name, also where one match's end is the next one's beginning."""
    at = 0
    while found := pattern.search(text, at):
        yield found
        at = found.start("name") + 1


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    for house in _HOUSE.finditer(text):
        start, end = house.start(), house.end()
        while start > max(0, house.start() - _BEFORE_HOUSE) and "\u4e00" <= text[start - 1] <= "\u9fff":
            start -= 1
        leads = list(_LEADING.finditer(text, start, house.start()))
        for _ in range(_MOST_PARTS):
            part = _INSIDE.match(text, end)
            if part is None:
                break
            end = part.end()
        yield leads[-1].end() if leads else start, end


def redacted(values: pl.Series) -> pl.Series:
    """Replace what identifies somebody in texts by its kind in brackets, such as [mobile]; each distinct text once."""
    texts = values.cast(pl.String)
    distinct = texts.drop_nulls().unique()
    table = pl.DataFrame(
        {"text": distinct, "redacted": pl.Series([_redact(text) for text in distinct.to_list()], dtype=pl.String)}
    )
    found = pl.DataFrame({"text": texts}).join(table, on="text", how="left", maintain_order="left")
    return found["redacted"].alias(values.name)


def _redact(text: str) -> str:
    parts, at = [], 0
    for span in recognise(text):
        parts += [text[at : span.start], f"[{span.kind}]"]
        at = span.end
    return "".join([*parts, text[at:]])
