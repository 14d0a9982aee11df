"""What each column is: by the words of its header, in English or Chinese, and by what stands in it."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

import polars as pl

from jobs.rows.cleaning import PLACEHOLDERS

SAMPLE = 5_000
LONG = 40  # characters of a text
FEW = 40  # distinct values of a category
NEARLY_ALL, MOST, HALF = 0.95, 0.8, 0.5


class Role(StrEnum):
    """Name what a column says about a person or organisation."""

    GIVEN = "given_name"
    SURNAME = "surname"
    NAME = "full_name"
    ORGANISATION = "organisation_name"
    DATE = "date"
    SEX = "sex"
    ADDRESS = "address"
    HOUSE = "house_number"
    POSTCODE = "postcode"
    PLACE = "place"
    PHONE = "phone"
    EMAIL = "email"
    IDENTIFIER = "identifier"
    CATEGORY = "category"
    NUMBER = "number"
    TEXT = "text"
    IGNORE = "ignore"


# Words of headers, the first that fits decides; Chinese ones are looked for anywhere, English ones as whole words.
_HEADERS: tuple[tuple[Role, str, str], ...] = (
    (
        Role.IGNORE,
        r"cluster|clusters|truth|ground truth|label|labels|true id|match id|person key|entity id|"
        r"entity key|group id|gold|source|source dataset|dataset|source file|filename|batch|"
        r"updated( at)?|created( at)?|inserted( at)?|modified( at)?|load(ed)?( at)?|timestamp|split|fold",
        r"数据来源|来源|批次|更新时间|创建时间|入库",
    ),
    (
        Role.IGNORE,
        r"(unique |rec(ord)? ?|row ?|serial ?|line ?|db ?|pk ?|person ?|customer ?|patient ?|member ?|"
        r"company ?|organi[sz]ation ?|org ?)?(id|uid|uuid|guid|key|index|idx|seq|rownum)|rec(ord)? ?(no|"
        r"nr|num|number)|row ?(no|nr|num|number)|id ?\d|recid|no|nr|#",
        r"^序号$|^编号$|^行号$|^主键$|流水号|记录号",
    ),
    (
        Role.EMAIL,
        r"e ?mails?|e ?mail addr(ess)?|mail",
        r"邮箱|电子邮件|电邮",
    ),
    (
        Role.PHONE,
        r"(tele)?phones?|tel|mobile|cell|fax|landline|(tele)?phone (no|nr|num|number)|contact (no|"
        r"number)|msisdn",
        r"电话|手机|联系方式|传真|座机",
    ),
    (
        Role.POSTCODE,
        r"post ?codes?|zip|zip ?codes?|postal codes?|plz|postcode fake|pc",
        r"邮编|邮政编码",
    ),
    (
        Role.SEX,
        r"sex|gender",
        r"性别",
    ),
    (
        Role.DATE,
        r"dob|do b|(date of )?birth ?(date|day)?|date of (birth|death|foundation|incorporation|"
        r"registration)|birth(day|date)|born( on)?|dod|death ?date|(incorporation|foundation|founded|"
        r"registration|established) ?(date|on)?|date|geburtsdatum|year of birth|birth ?year|yob|bday|"
        r"year founded|founding year",
        r"日期|生日|出生年月|出生时间|成立时间",
    ),
    (
        Role.PLACE,
        r"birth ?place|place of birth|city|town|suburb|state|province|region|country|county|district|"
        r"locality|municipality|place|village|territory|(post ?)?town|nationality|headquarters|hq",
        r"籍贯|城市|省份|出生地|国籍|^[省市区县]$|区划|行政区|所在地|户籍地$",
    ),
    (
        Role.GIVEN,
        r"given ?names?|first ?names?|fore ?names?|fname|gname|f name|givenname|christian name|"
        r"middle ?names?|vorname|prenom",
        r"^名$|名字",
    ),
    (
        Role.SURNAME,
        r"sur ?names?|last ?names?|family ?names?|lname|l name|sname|nachname|maiden ?names?",
        r"^姓$|姓氏",
    ),
    (
        Role.ORGANISATION,
        r"(company|organi[sz]ation|org|firm|business|legal|trading|entity|employer|institution|corporate|"
        r"registered|enterprise|supplier|vendor|operator|facility|restaurant|school|hospital) ?names?|"
        r"company|organi[sz]ation|firm|employer|supplier|vendor|dba|trade ?name|buyer|bidder|bidder name",
        r"企业|公司|机构|单位|法人名称|组织名称|商户|名称$",
    ),
    (
        Role.NAME,
        r"(full|person|complete|customer|patient|client|member|contact|student|voter|other|former|alias|"
        r"birth|author|first and sur|first and last|first name sur) ?names?|names?|authors?|alias|aka|"
        r"first name surname concat|name concat",
        r"姓名|曾用名|别名|^名称$|联系人|负责人|代表人|法人$",
    ),
    (
        Role.HOUSE,
        r"(street|house|st|building|unit|flat|apt) ?(no|nr|num|number)|hnr|house",
        r"门牌号?",
    ),
    (
        Role.ADDRESS,
        r"address(es)?( ?(line )?\d)?|addr( ?\d)?|street( ?(name|address|addr))?( ?\d)?|residence|road|"
        r"mailing address|location|adresse?|strasse|(registered|business|home|postal|office) (address|"
        r"office)",
        r"地址|住址|住所|住处|街道|户籍|经营场所",
    ),
    (
        Role.IDENTIFIER,
        r"ssn|soc(ial)? sec(urity)?( (id|no|nr|num|number))?|nhs( (no|number))?|national id|"
        r"passport( (no|number))?|tax (id|no|number)|vat( (id|no|number))?|ein|lei|duns|crn|abn|acn|tin|"
        r"license|licence|(driver|driving)s? licen[cs]e|(company|registration|reg|registry|licen[cs]e|"
        r"account|policy|credit card|card|identity card|uscc|credit code|charity) ?(no|nr|num|number|"
        r"code|id)|social security( number)?|id ?card( no)?|identifier|insee|siren|siret",
        r"身份证|证件号|证号|信用代码|机构代码|注册号|税号|纳税人识别号|护照|号码|社保|组织代码",
    ),
    (
        Role.CATEGORY,
        r"occupation|profession|job( title)?|title|marital( status)?|religion|race|ethnicity|type|"
        r"category|status|industry|sector|legal form|form|suffix|prefix|salutation|class",
        r"民族|学历|职业|婚姻|类型|行业|状态|职务|政治面貌",
    ),
    (
        Role.NUMBER,
        r"age|height|weight|salary|income|amount|capital|employees|revenue|lat(itude)?|lon(gitude)?|lng|"
        r"price",
        r"年龄|注册资本|金额|人数",
    ),
)
_COMPILED = tuple((role, re.compile(rf"(?:{english})"), re.compile(chinese)) for role, english, chinese in _HEADERS)

_EMAIL = r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$"
_DATE = (
    r"^(?:\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|"
    r"(?:1[5-9]|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?:[ T]\d.*)?$"
)
_SEX = frozenset({"m", "f", "male", "female", "男", "女", "w", "u", "other", "unknown", "男性", "女性", "1", "2", "0"})
_FIRM = (
    r"(?i)公司|合作社|事务所|企业|商行|"
    r"\b(?:ltd|limited|inc|llc|gmbh|corp|corporation|company|plc|s\.?a\.?r?\.?l?|b\.?v|pty)\b"
)
_CHINESE_NAME = r"^\p{Han}{2,4}$|^\p{Han}+·\p{Han}+$"
_CHECKED = r"^\d{17}[\dXx]$|^[0-9A-HJ-NPQRTUWXY]{18}$"


def header_words(name: str) -> str:
    """Return a header as lower-case words: `dateOfBirth`, `DATE_OF_BIRTH` and `date of birth` are one."""
    text = unicodedata.normalize("NFKC", name).strip()
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return re.sub(r"[\s_\-./:()]+", " ", text).lower().strip()


def role_of_header(name: str) -> Role | None:
    """Return what a header's words say; None where they say nothing."""
    words = header_words(name)
    unnumbered = re.sub(r"(?: ?\d+| [lrab])$", "", words)
    for role, english, chinese in _COMPILED:
        if english.fullmatch(words) or english.fullmatch(unnumbered) or chinese.search(words):
            return role
    # `customer birth date old`: a telling word anywhere, but never one that would make it an id or leave it out.
    for role, english, _ in _COMPILED[2:]:
        if re.search(rf"\b(?:{english.pattern})\b", words) and role not in (Role.CATEGORY, Role.NUMBER):
            return role
    return None


def infer_role(name: str, cells: pl.Series) -> Role:
    """Return what a column is: its header's word where the content does not contradict, else by content.

    A column without values, or with one value only, says nothing: ignored. Row numbers and ids of a database are
    ignored too, whether unique or not: what they say of identity is either nothing or the answer.
    """
    known = cells.drop_nulls()
    if known.n_unique() <= 1:
        return Role.IGNORE
    said = role_of_header(name)
    if said is Role.IGNORE:
        return said
    seen = _role_of_content(known)
    if said is None:
        unique = len(known) > FEW and known.n_unique() == len(cells)
        # A code that no two rows share is a row's own number; that it resembles another's tells of how it was made.
        return Role.IGNORE if unique and seen in (Role.IDENTIFIER, Role.NUMBER) else seen
    if said is Role.DATE and seen in (Role.NUMBER, Role.CATEGORY) and _share(known, r"^\d{4}$") == 1.0:
        return Role.NUMBER  # a year
    if said in (Role.NAME, Role.ORGANISATION) and seen is Role.ORGANISATION:
        return seen
    if said is Role.ORGANISATION and seen is Role.NAME:
        return Role.NAME
    if said is Role.SEX and seen is not Role.SEX:
        return Role.CATEGORY
    if said is Role.ADDRESS and _share(known, r"^\d{1,5}[a-zA-Z]?$") > NEARLY_ALL:
        return Role.HOUSE
    if said is Role.CATEGORY and int(known.str.len_chars().sum()) > LONG * len(known):
        return Role.TEXT
    if said is Role.NUMBER and seen is not Role.NUMBER:
        return seen
    return said


def _share(cells: pl.Series, pattern: str) -> float:
    return int(cells.str.contains(pattern).sum()) / max(1, len(cells))


def _role_of_content(known: pl.Series) -> Role:
    cells = known.head(SAMPLE).str.normalize("NFKC").str.strip_chars()
    distinct = cells.n_unique()
    if _share(cells, _EMAIL) > MOST:
        return Role.EMAIL
    if set(cells.str.to_lowercase().unique()) - PLACEHOLDERS <= _SEX and not set(cells.unique()) <= {"0", "1", "2"}:
        return Role.SEX
    if _share(cells, _DATE) > MOST:
        return Role.DATE
    if (
        _share(cells, r"^(?:\+?86)?1[3-9]\d{9}$|^\+?\d[\d\s()-]{6,16}\d$") > MOST
        and _share(cells, r"[\s()+-]|^1\d{10}$") > HALF
    ):
        return Role.PHONE
    if _share(cells, _CHECKED) > MOST:
        return Role.IDENTIFIER
    if _share(cells, r"^[A-Za-z]{1,2}\d[A-Za-z\d]?\s*\d[A-Za-z]{2}$") > MOST:
        return Role.POSTCODE
    if _share(cells, _FIRM) > HALF:
        return Role.ORGANISATION
    if distinct <= FEW and 3 * distinct <= len(cells):
        return Role.CATEGORY
    if _share(cells, r"^[+-]?\d+(?:[.,]\d+)?$") > NEARLY_ALL:
        wide = cells.str.len_chars()
        fixed = wide.min() == wide.max() and int(wide.max() or 0) >= 6  # type: ignore[arg-type]
        return Role.IDENTIFIER if fixed else Role.NUMBER
    if _share(cells, _CHINESE_NAME) > MOST:
        return Role.NAME
    if _share(cells, r"^[A-Za-z0-9-]*\d[A-Za-z0-9-]*$") > MOST:
        return Role.IDENTIFIER
    return Role.TEXT
