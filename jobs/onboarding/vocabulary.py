"""What the headers of departments' columns say: an English name for each, and the types they suggest."""

from __future__ import annotations

import re
from collections.abc import Sequence

# English name: the type it suggests, and how departments head such a column.
_KNOWN = """
resident_id: resident_id 身份证号 身份证号码 公民身份号码 公民身份证号码 居民身份证号码 证件号码 gmsfhm sfzh sfzmhm
person_name: person_name 姓名 人员姓名 中文姓名 xm
former_name: person_name 曾用名
sex_code: code:sex 性别 sex gender xb
ethnic_group_code: code:ethnic_group 民族 mz
marital_status_code: code:marital_status 婚姻状况
relationship_code: code:relationship 与户主关系
birth_date: date 出生日期 出生年月日 生日 csrq
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
phone: phone 联系电话 电话 电话号码 手机 手机号 手机号码 联系方式 phone mobile lxdh lxfs sjhm
address: address 地址 住址 住所 家庭住址 户籍地址 居住地址 联系地址 注册地址 经营场所 通讯地址 坐落 address dz zz hjdz
division_code: division_code 区划 行政区划 行政区划代码 区划代码 行政区划编码 登记机关区划 division_code xzqh
credit_code: credit_code 统一社会信用代码 社会信用代码 信用代码 统一信用代码 tyshxydm
organisation_code: organisation_code 组织机构代码 机构代码
registration_number: registration_number 工商注册号 注册号
taxpayer_number: taxpayer_number 纳税人识别号 扣缴义务人识别号 税号 税务登记号 税务登记证号
passport_number: passport 护照号 护照号码
travel_permit_number: travel_permit 通行证号 通行证号码
permanent_resident_number: permanent_resident_number 永久居留证号 永久居留证号码 永久居留身份证号 永久居留身份证号码
institution_certificate: institution_certificate 事业单位法人证书号 事证号
social_organisation_certificate: social_organisation_certificate 社会组织登记证号 社会团体登记证号 基金会登记证号
organisation_name: organisation_name 企业名称 单位名称 机构名称 组织名称 公司名称 名称 单位 工作单位 dwmc qymc
department_name: organisation_name 登记机关 发证机关 主管单位 主管部门 填报单位 审批部门
legal_representative_name: person_name 法定代表人 法人代表 法人 负责人
contact_name: person_name 联系人
registered_capital: registered_capital 注册资本 注册资金
business_scope: free_text 经营范围
remarks: free_text 备注 说明 remark remarks note notes bz
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
    "passport": r"护照|passport",
    "travel_permit": r"(港澳|台湾|内地|大陆|台胞).*(通行证|往来证)|travel_?permit",
    "permanent_resident_number": r"永久居留|permanent_?resident",
    "institution_certificate": r"事业单位.*证书号|^事证",
    "social_organisation_certificate": r"(社会组织|社会团体|社团|民办非企业|民非|基金会).*证书?号",
    "taxpayer_number": r"(纳税人|义务人)识别号|税号|税务登记证?号|taxpayer",
    "person_name": r"姓名|人名(?!称)|户名$|(所有|权利|持有|申请|产权|承租)人$|法定代表人|负责人$|联系人$|"
                   r"person_?name|full_?name|^name$",
    "organisation_name": r"(单位|企业|机构|公司|组织|学校|医院|部门|机关|银行|供应商|商户|旅馆|酒店|药店)(名称)?$|"
                         r"(纳税|当事|经营|被处罚|所有|权利|申请)(人|者)(名称)?$|户名$|(company|employer|enterprise)(_?name)?$",
    "address": r"地址|住址|住所|场所|坐落|所在地|address",
    "phone": r"电话|手机|传真|phone|mobile",
    "free_text": r"备注|说明|范围|内容|摘要|意见|remark|note|description|comment",
    "division_code": r"区划|division|county_?code",
    "timestamp": r"时间|_at$|timestamp",
    "date": r"日期|年月日|时间|date|_on$",
    "boolean": r"^是否|^有无|^(is|has)_",
    "registration_number": r"注册号",
    "money": r"金额|资金|资本|工资|收入|费用?$|款$|amount|salary|price",
}
UNIT = re.compile(r"[(（]((?:十|百|千|万|百万|千万|亿)?元)[)）]")
_NUMBERED = re.compile(r"号码?$|编号|编码|代码|证$|流水|(^|_)(id|no|code|number)$", re.IGNORECASE)
_BY_WORD: dict[str, tuple[str, str]] = {
    word: (name, kind)
    for name, _, rest in (line.partition(": ") for line in _KNOWN.strip().splitlines())
    for kind, *words in [rest.split()]
    for word in words
}


def names(columns: Sequence[str]) -> list[str]:
    """Return one English name per column: from the dictionary, from an ASCII header, else `column_N`."""
    found: list[str] = []
    for number, column in enumerate(columns, 1):
        name = again = _english(column) or f"column_{number}"
        while again in found:
            again = f"{name}_{number}"
        found.append(again)
    return found


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


def hinted(column: str) -> list[str]:
    """Return the types a header suggests, best first."""
    word = _word(column)
    party = next((p for p in _PARTIES if word.startswith(p) and word != p), "")
    known = _BY_WORD.get(word) or _BY_WORD.get(word.removeprefix(party))
    return [*([known[1]] if known else []), *(kind for kind, pattern in _HINTS.items() if re.search(pattern, word))]


def speaks_of_numbers(column: str) -> bool:
    """Tell whether a header names a number or code, which is no quantity whatever its digits."""
    return bool(_NUMBERED.search(_word(column)))
