"""Draft a contract from a sample file: its layout, its columns, a guess at each type, and none of its values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from jobs.catalogue import read_catalogue
from jobs.contract import Contract, ContractField, TypeSpec
from jobs.errors import RequestError
from jobs.onboarding.headers import refusal, refuse_data_as_header
from jobs.onboarding.precheck import records
from jobs.onboarding.recognition import SampleLayout, recognise
from jobs.rows.casting import cast
from jobs.rows.cleaning import clean_key, clean_text
from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import KINDS
from jobs.rows.identifiers.organisations import LEGACY_KINDS
from jobs.rows.judgement import REMARKS
from jobs.settings import Settings
from jobs.storage.readers import Limits

FIT = 0.8  # share of a column's filled cells that must be of a type for it to be guessed
LONG_TEXT = 60

# English name: the type it suggests, and how departments head such a column.
_KNOWN = """
resident_id: resident_id 身份证号 身份证号码 公民身份号码 公民身份证号码 居民身份证号码 证件号码
person_name: person_name 姓名 人员姓名 中文姓名
former_name: person_name 曾用名
sex_code: code:sex 性别 sex gender
ethnic_group_code: code:ethnic_group 民族
marital_status_code: code:marital_status 婚姻状况
relationship_code: code:relationship 与户主关系
birth_date: date 出生日期 出生年月日 生日
died_on: date 死亡日期
registered_on: date 登记日期 注册日期 登记时间
established_on: date 成立日期 成立时间
issued_on: date 发证日期 颁发日期 核发日期
approved_on: date 批准日期 核准日期 审批日期
effective_on: date 有效期起 生效日期 开始日期 起始日期
expires_on: date 有效期止 有效期至 截止日期 结束日期 终止日期 到期日期
changed_on: date 变更日期
updated_at: timestamp 更新时间 修改时间 updated_at
created_at: timestamp 创建时间 录入时间 created_at
phone: phone 联系电话 电话 电话号码 手机 手机号 手机号码 联系方式 phone mobile
address: address 地址 住址 住所 家庭住址 户籍地址 居住地址 联系地址 注册地址 经营场所 通讯地址 address
division_code: division_code 区划 行政区划 行政区划代码 区划代码 行政区划编码 登记机关区划 division_code
credit_code: credit_code 统一社会信用代码 社会信用代码 信用代码 统一信用代码
organisation_code: organisation_code 组织机构代码 机构代码
registration_number: registration_number 工商注册号 注册号
organisation_name: organisation_name 企业名称 单位名称 机构名称 组织名称 公司名称 名称 单位 工作单位
department_name: organisation_name 登记机关 发证机关 主管单位 主管部门 填报单位 审批部门
legal_representative_name: person_name 法定代表人 法人代表 法人 负责人
contact_name: person_name 联系人
registered_capital: registered_capital 注册资本 注册资金
business_scope: free_text 经营范围
remarks: free_text 备注 说明 remark remarks note notes
record_no: text 编号 登记编号 流水号 登记字号 案号
row_no: integer 序号
licence_no: text 证书编号 许可证号 许可证编号 证照编号
status_name: text 状态 当前状态
amount: money 金额 amount
age: integer 年龄 age
"""
# Whose attribute a column is, when its header begins so.
_PARTIES = {
    "男方": "groom", "女方": "bride", "户主": "householder", "法定代表人": "legal_representative", "监护人": "guardian",
    "父亲": "father", "母亲": "mother", "配偶": "spouse", "联系人": "contact", "患者": "patient", "学生": "student",
    "申请人": "applicant", "经办人": "handler",
}
_SHORT = {"person_name": "name", "resident_id": "id"}
# Types a header hints at when its name is not in the dictionary; tried before the others.
_HINTS = {
    "person_name": r"姓名|人名|法定代表人|负责人$|联系人$|person_?name|full_?name|^name$",
    "organisation_name": r"(单位|企业|机构|公司|组织|学校|医院|部门)(名称)?$|(company|employer|enterprise)(_?name)?$",
    "address": r"地址|住址|住所|场所|address",
    "phone": r"电话|手机|传真|phone|mobile",
    "free_text": r"备注|说明|范围|内容|摘要|意见|remark|note|description|comment",
    "division_code": r"区划|division|county_?code",
    "timestamp": r"时间|_at$|timestamp",
    "date": r"日期|年月日|时间|date|_on$",
    "boolean": r"^是否|^有无|^(is|has)_",
    "registration_number": r"注册号",
    "money": r"金额|资金|资本|工资|收入|费用?$|款$|amount|salary|price",
}
_UNIT = re.compile(r"[(（]((?:十|百|千|万|百万|千万|亿)?元)[)）]")
_NUMBERED = re.compile(r"号码?$|编号|编码|代码|证$|流水|(^|_)(id|no|code|number)$", re.IGNORECASE)
# When the header says nothing, the strictest first; quantities only where it does not speak of a number or code.
_NUMBERS = ("resident_id", "credit_code", "organisation_code", "registration_number")
_COUNTED = (*_NUMBERS, "date", "timestamp", "phone", "division_code", "boolean", "money", "integer", "decimal")
_WORDS = ("person_name", "organisation_name", "address", "free_text", "text")
# Remarks, and shapes of cells, that speak against a type when only the cells suggest it.
_AGAINST = {"phone": ("phone_format",), "registration_number": ("registration_check", "registration_13")}
_ODD = {
    "date": r"^\d{1,7}$|^\d{9,}$", "timestamp": r"^\d+$", "phone": r"^0\d+$", "boolean": r"^\d$",
    "division_code": r"0000$", "integer": r"^\d{12,}$",
}
# Invented cells for the examples, never the sample's: the first one the sample does not hold.
_INVENTED = {
    "resident_id": ("11010519491231002X", "440524188001010014"), "division_code": ("110105", "440524"),
    "credit_code": ("91350100M000100Y43", "51100000500019541K"), "organisation_code": ("M000100Y4", "500019541"),
    "registration_number": ("110108000000016", "1101051234567"),
    "date": ("2026-01-05", "2026-01-06", "2026-01-07"), "timestamp": ("2026-01-05 13:45:00", "2026-01-06 13:45:01"),
    "money": ("5360.25元", "5361.25元"), "registered_capital": ("503万元人民币", "507万元人民币"),
    "integer": ("7", "11", "1013"), "decimal": ("7.25", "11.75", "1013.5"), "boolean": ("是", "yes", "√"),
    "phone": ("13900000000", "13900000001"), "person_name": ("某甲", "某乙"), "address": ("某某路某号", "某某街某号"),
    "organisation_name": ("某某公司", "某某单位"), "free_text": ("示例说明", "示例文字"), "text": ("示例甲", "示例乙"),
}
# What must be wrong about one cell when no column is filled everywhere.
_BROKEN = {
    "resident_id": ("110105194912310021", "check_character"), "date": ("2026-02-30", "not_a_date"),
    "timestamp": ("某时", "not_a_timestamp"), "integer": ("某数", "not_a_number"), "decimal": ("某数", "not_a_number"),
    "boolean": ("某答", "not_a_boolean"), "division_code": ("000001", "division"),
}
_FILE_DATE = re.compile(r"(?<!\d)(\d{4})([-_.]?)(\d{2})\2(\d{2})(?!\d)")
_INTRODUCTION = """\
# Drafted by `lake new` from a sample file. It holds none of the file's values, and it lets nothing out: every field
# is dropped (or a pseudonym) before gold, and nothing is published. Decide, then run `lake check`:
# - title, description, steward, schedule: what the table is, who answers for it, when it comes (without: triggered).
# - fields: an English name, the type, whether a cell is required, and with protect: what analysts may see.
#   publish: and release: open fields to the public; leave them out until somebody has decided that.
# - entities: which person or organisation a row speaks about, if it does; expect: rules between columns."""
_LOADING = """\
# mode: merge (new and corrected rows) or snapshot (the whole table each time) need key: [fields that identify a row];
# as_of: names the date field a row speaks of. unknown_columns: keep or drop lets a new column pass."""
_BY_WORD: dict[str, tuple[str, str]] = {
    word: (name, kind)
    for name, _, rest in (line.partition(": ") for line in _KNOWN.strip().splitlines())
    for kind, *words in [rest.split()]
    for word in words
}


@dataclass(frozen=True)
class Guess:
    """Hold a column's drafted field, the share of its filled cells that fit, and whether every row has a value."""

    field: dict[str, Any]
    share: float | None = None
    complete: bool = False
    legacy: tuple[str, ...] = ()


def draft(dataset: str, sample: Path) -> str:
    """Return the text of a contract for files like a sample: layout, fields, guessed types, invented examples.

    Nothing in it is opened, and it holds no value of the sample. Raises RequestError for a name the language does not
    allow and for a sample without a header, SourceError for a file that cannot be read at all.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*", dataset):
        raise refusal("a dataset is named department/dataset, in lower-case English.", "such as health/vaccinations.")
    if not sample.is_file():
        raise RequestError("there is no such file.", where=str(sample), remedy="name a delivered file.")
    settings = Settings()
    layout = recognise(sample, Limits.of(settings))
    types, codes = read_catalogue(settings.schemas)[0].types, CodeBook.load(settings.schemas / "codes")
    rows = _rows(dataset, sample, layout)
    refuse_data_as_header(layout.columns, rows)
    names, day = _names(layout.columns), datetime.now(UTC).date()
    guesses = {
        name: _guess(column, rows[column], types, codes, day)
        for name, column in zip(names, layout.columns, strict=True)
    }
    values = {text for column in rows.columns for text in rows[column].drop_nulls().unique().to_list()}
    path = f"{dataset.partition('/')[0]}/{_path_pattern(sample, values)}"
    reader, *others = layout.source.items()
    return _text(dataset, dict([reader, ("path", path), *others]), guesses, codes, values)


def _path_pattern(sample: Path, values: set[str]) -> str:
    """Return the file's name with its date as {date:…}; other long numbers, and words that are cells, become *."""
    stem, form = sample.stem, ""
    for found in _FILE_DATE.finditer(stem):
        year, sign, month, day = found.groups()
        if 1 <= int(month) <= 12 and 1 <= int(day) <= 31 and year[:2] in ("19", "20"):
            form = f"{{date:%Y{sign}%m{sign}%d}}"
            before, after = stem[: found.start()], stem[found.end() :]
            break
    else:
        before, after = stem, ""

    def anonymous(text: str) -> str:
        parts = re.split(r"([_\-\s.（）()]+)", re.sub(r"\d{4,}|[{}*]+", "*", text))
        return "".join("*" if part in values else part for part in parts)

    return f"{anonymous(before)}{form}{anonymous(after)}{sample.suffix}"


def _rows(dataset: str, sample: Path, layout: SampleLayout) -> pl.DataFrame:
    """Return the sample's first sound records as strings, read by the lake's own reader."""
    as_text = {"type": "text", "required": True}
    fields = {f"column_{n}": {"from": column, **as_text} for n, column in enumerate(layout.columns, 1)}
    text = {"en": "sample", "zh": "sample"}
    contract = Contract.model_validate(
        {
            "name": dataset, "title": text, "description": text, "steward": "sample@example.gov", "fields": fields,
            "source": {"path": "sample", **layout.source}, "load": {"unknown_columns": "drop"},
        }
    )
    found = next(records(sample, contract, Limits()))
    return found.filter(pl.col("_defect").is_null() | pl.col("_defect").is_in(REMARKS)).select(layout.columns)


# -- fields ------------------------------------------------------------------------------------------------------


def _names(columns: Sequence[str]) -> list[str]:
    """Return one English name per column: from the dictionary, from an ASCII header, else `column_N`."""
    names: list[str] = []
    for number, column in enumerate(columns, 1):
        name = again = _english(column) or f"column_{number}"
        while again in names:
            again = f"{name}_{number}"
        names.append(again)
    return names


def _english(column: str) -> str | None:
    word = _word(column)
    if word in _BY_WORD:
        return _BY_WORD[word][0]
    party = next((p for p in _PARTIES if word.startswith(p)), "")
    if party and (known := _BY_WORD.get(word.removeprefix(party))):
        return f"{_PARTIES[party]}_{_SHORT.get(known[0], known[0])}"
    snake = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column).lower()).strip("_")
    return snake if column.isascii() and re.fullmatch(r"[a-z][a-z0-9_]{0,59}", snake) else None


def _word(column: str) -> str:
    return re.sub(r"[(（].*?[)）]", "", column).strip().lower()


def _hinted(column: str) -> list[str]:
    """Return the types a header suggests, best first."""
    word = _word(column)
    party = next((p for p in _PARTIES if word.startswith(p) and word != p), "")
    known = _BY_WORD.get(word) or _BY_WORD.get(word.removeprefix(party))
    return [*([known[1]] if known else []), *(kind for kind, pattern in _HINTS.items() if re.search(pattern, word))]


def _guess(column: str, cells: pl.Series, types: Mapping[str, TypeSpec], codes: CodeBook, on: date) -> Guess:
    """Guess a column's type from its header and cells, by the lake's own judges."""
    filled, hinted = clean_text(cells).is_not_null(), _hinted(column)
    count, quantities = _count(filled), not _NUMBERED.search(_word(column))
    for kind in dict.fromkeys([*hinted, *(_COUNTED if quantities else _NUMBERS)]):
        word, _, listed = kind.partition(":")
        if word not in types or (listed and not codes.has(listed)):
            continue
        field = {"from": column, "type": word}
        if listed:
            field["codes"] = listed
        if types[word].storage == "money" and (unit := _UNIT.search(column)):
            field["unit"] = unit[1]
        good, legacy = _fitting(field, cells, types, codes, on, hinted=kind in hinted)
        if count and good.any() and _count(good) >= FIT * count:
            if word not in _WORDS and _fitting(field, pl.Series([column]), types, codes, on, hinted=False)[0].any():
                raise refusal("a column's name is of its cells' type.", "give the table a header row.")
            return Guess(_closed(field, types), _count(good) / count, bool(good.all()), legacy)
    long = _count(cells.str.len_chars() > LONG_TEXT) > (1 - FIT) * count
    word = next((kind for kind in hinted if kind in _WORDS), "free_text" if long else "text")
    return Guess(_closed({"from": column, "type": word}, types), None, bool(count) and bool(filled.all()))


def _count(mask: pl.Series) -> int:
    return int(mask.sum() or 0)


def _fitting(
    field: dict[str, Any],
    cells: pl.Series,
    types: Mapping[str, TypeSpec],
    codes: CodeBook,
    on: date,
    *,
    hinted: bool,
) -> tuple[pl.Series, tuple[str, ...]]:
    """Return which cells are of a type, and the kinds of older identifier among them."""
    kind = field["type"]
    legacy = dict.fromkeys(LEGACY_KINDS, "older_number") if kind == "credit_code" else {}
    found = cast(cells, ContractField.model_validate({**field, "legacy": legacy}), types, codes, on)
    good = found.values.is_not_null()
    against = [] if hinted else [found.warnings[name] for name in _AGAINST.get(kind, ()) if name in found.warnings]
    if kind in _ODD and not hinted:
        against.append(clean_key(cells).str.contains(_ODD[kind]).fill_null(value=False))
    if kind in ("integer", "decimal"):
        coded = clean_key(cells).str.contains(r"^0\d|^\d{16,}$").fill_null(value=False)
        against.append(pl.Series([coded.any()]).new_from_index(0, len(cells)))  # 007 is a code, not a number
    if kind in ("date", "timestamp"):
        clocks = cast(cells, ContractField(type="date"), types, codes, on).warnings["time_dropped"]
        if (kind == "date") == (_count(clocks) > (1 - FIT) * _count(good)):
            good &= False
    for mask in against:
        good &= ~mask
    if found.legacy is None or _count(good) * 3 < len(cells):
        return good, ()
    return good | found.legacy.is_not_null(), tuple(found.legacy.drop_nulls().unique().sort())


def _closed(field: dict[str, Any], types: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Add a protection that lets nothing out: a pseudonym for identifiers, which may link tables, else nothing."""
    return {**field, "protect": "pseudonym" if field["type"] in KINDS and types[field["type"]].closed else "drop"}


# -- text --------------------------------------------------------------------------------------------------------


def _text(dataset: str, source: dict[str, Any], guesses: dict[str, Guess], codes: CodeBook, values: set[str]) -> str:
    department, _, name = dataset.partition("/")
    title, required = name.replace("_", " ").capitalize(), _required(guesses)
    lines = [
        _INTRODUCTION,
        _line("title: ", {"en": title, "zh": "待命名"}),
        _line("description: ", {"en": f"{title}, one row per record.", "zh": "待说明，每条记录一行。"}),
        f"steward: open-data@{department.replace('_', '-')}.example.gov",
        '# schedule: "0 2 * * *"',
        _line("source: ", source),
        "load: {mode: append, unknown_columns: stop}",
        _LOADING,
        "fields:",
    ]
    receiving: dict[str, str] = {}
    for field_name, guess in guesses.items():
        field = {**guess.field, **({"required": True} if field_name in required else {})}
        targets = {kind: _target(kind) for kind in guess.legacy}
        if targets:
            field["legacy"] = {kind: target for kind, (target, _) in targets.items()}
            receiving |= {target: kind for target, kind in targets.values() if target not in guesses}
        lines.append(f"{_line(f'  {field_name}: ', field)}  # {_remark(field_name, guess)}")
    lines += [_line(f"  {target}: ", {"type": kind, "protect": "drop"}) for target, kind in receiving.items()]
    given = {guess.field["from"]: _invented(guess.field, codes, values) for guess in guesses.values()}
    broken, reason = _rejected(guesses, given, required)
    lines += ["examples:", _line("  - given: ", given), "    accepted: true"]
    lines += [_line("  - given: ", broken), f"    rejected: [{reason}]"]
    return "\n".join(lines) + "\n"


def _required(guesses: dict[str, Guess]) -> list[str]:
    """Return the fields to require: identifiers that are never empty, else the first such column.

    Where no column is filled everywhere and no type can break a rule, the first is required all the same: a contract
    needs one row it rejects.
    """
    full = [name for name, guess in guesses.items() if guess.complete]
    keys = [name for name in full if guesses[name].field["type"] in KINDS or name.endswith(("_no", "_id"))]
    if full or any(guess.field["type"] in _BROKEN for guess in guesses.values()):
        return keys or full[:1]
    return list(guesses)[:1]


def _line(start: str, mapping: dict[str, Any]) -> str:
    """Write a mapping as a flow of YAML after the start of a line; a long one goes on below its opening brace."""
    text = yaml.safe_dump(mapping, default_flow_style=True, allow_unicode=True, sort_keys=False, width=100).strip()
    first, *more = text.split("\n")
    return "\n".join([f"{start}{first}", *(f"{' ' * (len(start) + 1)}{line.strip()}" for line in more)])


def _remark(name: str, guess: Guess) -> str:
    unnamed = "name it; " if re.fullmatch(r"column_\d+", name) else ""
    if guess.share is None:
        return f"{unnamed}no narrower type fits: give it one, or keep what may hold anything dropped"
    return f"{unnamed}{int(guess.share * 100)} % of the filled cells are of this type"


def _target(kind: str) -> tuple[str, str]:
    """Return the field that receives an older kind of identifier, and its type."""
    if kind.startswith("registration_number"):
        return "registration_number", "registration_number"
    if kind.endswith("taxpayer_number"):
        return "taxpayer_number", "taxpayer_number"
    return kind, "organisation_code" if kind == "organisation_code" else "text"


def _invented(field: dict[str, Any], codes: CodeBook, values: set[str]) -> str:
    """Return an invented cell for a field, if possible one the sample does not hold."""
    choice = tuple(codes.labels(field["codes"]).values()) if "codes" in field else _INVENTED[field["type"]]
    return next((cell for cell in choice if cell not in values), choice[0])


def _rejected(guesses: dict[str, Guess], given: dict[str, str], required: list[str]) -> tuple[dict[str, str], str]:
    """Return an invented row that breaks one rule, and the reason it is rejected for."""
    if required:
        left_empty = guesses[required[0]].field["from"]
        return {column: cell for column, cell in given.items() if column != left_empty}, f"{required[0]}.required"
    name = next(name for name, guess in guesses.items() if guess.field["type"] in _BROKEN)
    cell, rule = _BROKEN[guesses[name].field["type"]]
    return {**given, guesses[name].field["from"]: cell}, f"{name}.{rule}"
