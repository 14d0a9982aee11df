"""Tables as departments of a city send them: each written as one of them writes it, with good rows, then a bad one."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import openpyxl
import polars as pl

from tests.storage.test_silent_losses import table as dbf_table
from tests.storage.test_workbooks import cell, ods, row

Rows = list[list[str]]
Writer = Callable[[list[str], Rows], bytes]
ROWS = 30
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CREDIT_SIGNS, CREDIT_WEIGHTS = "0123456789ABCDEFGHJKLMNPQRTUWXY", [pow(3, n, 31) for n in range(17)]


def resident_id(n: int) -> str:
    body = f"330203{1950 + n % 50}0{1 + n % 9}1{n % 9}{n + 1:03d}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, WEIGHTS, strict=True)) % 11]


def credit_code(n: int) -> str:
    organisation = f"MA{n + 10:06d}"
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    values = [alphabet.index(c) for c in organisation]
    check = 11 - sum(v * w for v, w in zip(values, (3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11
    body = f"91330203{organisation}{'X' if check == 10 else '0' if check == 11 else check}"
    total = sum(CREDIT_SIGNS.index(c) * w for c, w in zip(body, CREDIT_WEIGHTS, strict=True))
    return body + CREDIT_SIGNS[(31 - total % 31) % 31]


# What a column may hold, by type: the n-th cell, and one that is not of the type.
CELLS: dict[str, tuple[Callable[[int], str], str | None]] = {
    "resident_id": (resident_id, "330203195001010000"), "credit_code": (credit_code, "91330203MA0000000X"),
    "person_name": (lambda n: "赵钱孙李周吴郑王"[n % 8] + "伟芳娜敏静丽强磊军洋"[n % 10], None),
    "organisation_name": (lambda n: f"某{'甲乙丙丁戊'[n % 5]}{n}有限公司", None),
    "date": (lambda n: f"2025-{1 + n % 12:02d}-{1 + n % 28:02d}", "2025-02-30"),
    "slashed date": (lambda n: f"2025/{1 + n % 12}/{1 + n % 28}", "2025/2/30"),
    "chinese date": (lambda n: f"2025年{1 + n % 12}月{1 + n % 28}日", "2025年2月30日"),
    "compact date": (lambda n: f"2025{1 + n % 12:02d}{1 + n % 28:02d}", "20250230"),
    "timestamp": (lambda n: f"2025-03-{1 + n % 28:02d} 0{n % 9}:15:00", "某时"),
    "money": (lambda n: f"{1200 + n * 17}.50", "若干"), "amount": (lambda n: f"{1200 + n * 17}.50", "若干"),
    "integer": (lambda n: str(3 + n % 40), "多"),
    "decimal": (lambda n: f"{60 + n}.{n % 10}5", "大"), "boolean": (lambda n: "是否"[n % 2], "未知"),
    "sex": (lambda n: "男女"[n % 2], "丙"), "phone": (lambda n: f"138{n + 10_000_000:08d}", None),
    "division_code": (lambda n: ("330203", "330205", "330206")[n % 3], "000001"),
    "address": (lambda n: f"海曙区某某路{n + 1}号", None), "text": (lambda n: f"甬{n:05d}号", None),
    "word": (lambda n: ("正常", "停用", "注销")[n % 3], None),
    "free_text": (lambda n: f"第{n}项说明，" + "按规定办理" * 3, None),
}
TYPES = {
    "slashed date": "date", "chinese date": "date", "compact date": "date", "sex": "code", "word": "text",
    "amount": "decimal",  # whose unit nobody has said
}


@dataclass(frozen=True)
class Layout:
    """Describe a table: its columns (header and what they hold), how it is written, and what the draft gets wrong."""

    columns: dict[str, str]
    write: Writer
    suffix: str
    drafted: dict[str, str] = field(default_factory=dict)  # header: the type of the draft, where an engineer mends it

    def rows(self, count: int = ROWS) -> Rows:
        return [[CELLS[kind][0](n) for kind in self.columns.values()] for n in range(count)]

    def bad_row(self) -> list[str]:
        """Return a row with one cell that is not of its type."""
        place = next(p for p, kind in enumerate(self.columns.values()) if CELLS[kind][1] is not None)
        found = [CELLS[kind][0](ROWS + 1) for kind in self.columns.values()]
        found[place] = CELLS[list(self.columns.values())[place]][1] or ""
        return found


def separated(encoding: str, delimiter: str = ",", above: str = "", quote: bool = False, end: str = "\r\n") -> Writer:
    def write(header: list[str], rows: Rows) -> bytes:
        out = io.StringIO()
        out.write(above)
        how = csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
        csv.writer(out, delimiter=delimiter, quoting=how, lineterminator=end).writerows([header, *rows])
        return out.getvalue().encode(encoding)

    return write


def spans(encoding: str) -> Writer:
    def write(header: list[str], rows: Rows) -> bytes:
        lines = [[one.encode(encoding) for one in line] for line in [header, *rows]]
        widths = [max(map(len, column)) + 2 for column in zip(*lines, strict=True)]
        return b"".join(b"".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + b"\n" for line in lines)

    return write


def workbook(
    titles: Sequence[str] = (), groups: dict[str, tuple[int, int]] | None = None, sheet: str = "Sheet1"
) -> Writer:
    """Return a writer of XLSX with merged titles above, and groups (name: first and last column) above some columns."""

    def write(header: list[str], rows: Rows) -> bytes:
        book, out = openpyxl.Workbook(), io.BytesIO()
        page = book.active
        page.title = sheet
        for title in titles:
            page.append([title])
            page.merge_cells(start_row=page.max_row, end_row=page.max_row, start_column=1, end_column=len(header))
        if groups:
            inside = {n for first, last in groups.values() for n in range(first, last + 1)}
            top = len(titles) + 1
            page.append([None if n in inside else name for n, name in enumerate(header, 1)])
            parts = [(name, _group(groups, n)) for n, name in enumerate(header, 1)]
            page.append([name.removeprefix(group).strip() if group else None for name, group in parts])
            for name, (first, last) in groups.items():
                page.cell(top, first).value = name
                page.merge_cells(start_row=top, end_row=top, start_column=first, end_column=last)
            for n in set(range(1, len(header) + 1)) - inside:
                page.merge_cells(start_row=top, end_row=top + 1, start_column=n, end_column=n)
        else:
            page.append(header)
        for line in rows:
            page.append(line)
        book.save(out)
        return out.getvalue()

    return write


def _group(groups: dict[str, tuple[int, int]], column: int) -> str:
    return next((name for name, (first, last) in groups.items() if first <= column <= last), "")


def open_document(header: list[str], rows: Rows) -> bytes:
    title = row(cell("某某市登记一览表", table__number_columns_spanned=str(len(header))))
    return ods(title + "".join(row(*map(cell, line)) for line in [header, *rows]))


def objects(path: str = "") -> Writer:
    def write(header: list[str], rows: Rows) -> bytes:
        document: Any = [dict(zip(header, line, strict=True)) for line in rows]
        for key in reversed([part for part in path.split("/") if part]):
            document = {"code": 200, key: document}
        return json.dumps(document, ensure_ascii=False).encode()

    return write


def object_lines(header: list[str], rows: Rows) -> bytes:
    lines = (json.dumps(dict(zip(header, line, strict=True)), ensure_ascii=False) for line in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def elements(encoding: str) -> Writer:
    def write(header: list[str], rows: Rows) -> bytes:
        parts = ("".join(f"<{n}>{c}</{n}>" for n, c in zip(header, line, strict=True)) for line in rows)
        records = "".join(f"<row>{part}</row>" for part in parts)
        return f'<?xml version="1.0" encoding="{encoding}"?><data><rows>{records}</rows></data>'.encode(encoding)

    return write


def columns(header: list[str], rows: Rows) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(rows, schema=header, orient="row").write_parquet(out)
    return out.getvalue()


def dbase(header: list[str], rows: Rows) -> bytes:
    lines = [[one.encode("gbk") for one in line] for line in rows]
    widths = [max(20, *map(len, column)) for column in zip(*lines, strict=True)]
    heads = tuple((name.encode("gbk"), b"C", width, 0) for name, width in zip(header, widths, strict=True))
    records = [b" " + b"".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    return dbf_table(*records, columns=heads)


def zipped(inner: Writer, name: str) -> Writer:
    def write(header: list[str], rows: Rows) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, inner(header, rows))
        return out.getvalue()

    return write


def gzipped(inner: Writer) -> Writer:
    return lambda header, rows: gzip.compress(inner(header, rows), mtime=0)


PERSON = {"姓名": "person_name", "身份证号码": "resident_id"}
FIRM = {"单位名称": "organisation_name", "统一社会信用代码": "credit_code"}
LAYOUTS: dict[str, Layout] = {
    "social_insurance/payments": Layout(
        {"个人编号": "text", **PERSON, "单位名称": "organisation_name", "险种类型": "word", "缴费基数": "amount",
         "个人缴费金额": "amount", "到账日期": "compact date"}, separated("gb18030"), "csv"),
    "housing_fund/accounts": Layout(
        {"个人账号": "text", **PERSON, "开户日期": "date", "月缴存额": "amount",
         "账户余额": "amount", "账户状态": "word"},
        separated("gbk", "\t"), "txt"),
    "health_insurance/enrolments": Layout(
        {**PERSON, "性别": "sex", "参保日期": "date", "参保地区划": "division_code", "是否退休": "boolean",
         "定点医院": "organisation_name"}, workbook(["某某市基本医疗保险参保人员名册", "填报单位：医保局"]), "xlsx"),
    "transport/vehicles": Layout(
        {"号牌号码": "text", "车辆类型": "word", "所有人": "person_name", "身份证明号码": "resident_id",
         "初次登记日期": "slashed date", "核定载客": "integer",
         "总质量": "integer"}, separated("utf-8-sig", ";"), "csv"),
    "police/driving_licences": Layout(
        {"XM": "person_name", "SFZMHM": "resident_id", "XB": "sex", "CCLZRQ": "date", "ZJCX": "word"}, dbase, "dbf"),
    "land/real_estate_units": Layout(
        {"不动产单元号": "text", "坐落": "address", "建筑面积": "decimal", "权利人 姓名": "person_name",
         "权利人 证件号码": "resident_id", "登记时间": "date"},
        workbook(["不动产登记信息表"], {"权利人": (4, 5)}), "xlsx"),
    "water/accounts": Layout(
        {"户号": "text", "户名": "person_name", "用水地址": "address", "本月用水量": "decimal", "应收水费": "amount",
         "抄表日期": "date"}, spans("gb18030"), "txt"),
    "power/accounts": Layout(
        {"用户编号": "text", "用户名称": "organisation_name", "用电地址": "address", "本期电量": "decimal",
         "电费金额": "amount", "立户日期": "date", "联系电话": "phone"}, gzipped(separated("utf-8")), "csv.gz",
        drafted={"用户名称": "text"}),  # of people and of firms, elsewhere
    "education/school_enrolments": Layout(
        {"学籍号": "text", "学生姓名": "person_name", "学生身份证号": "resident_id", "性别": "sex",
         "入学年月日": "date",
         "学校名称": "organisation_name", "年级": "word"}, open_document, "ods"),
    "market/food_licences": Layout(
        {"许可证编号": "text", "经营者名称": "organisation_name", "社会信用代码": "credit_code", "经营场所": "address",
         "有效期至": "chinese date", "发证机关": "organisation_name"}, objects("data/list"), "json"),
    "transport/taxi_permits": Layout(
        {"经营许可证号": "text", "企业名称": "organisation_name", "统一社会信用代码": "credit_code", "车牌号码": "text",
         "发证日期": "date", "有效期止": "date"}, elements("gbk"), "xml"),
    "police/hotel_registers": Layout(
        {"旅客姓名": "person_name", "证件号码": "resident_id", "入住时间": "timestamp", "房间号": "text",
         "旅馆名称": "organisation_name"}, object_lines, "jsonl"),
    "welfare/disability_certificates": Layout(
        {**PERSON, "残疾类别": "word", "残疾等级": "word", "监护人姓名": "person_name", "监护人联系电话": "phone",
         "发证日期": "date"}, separated("gb18030", "|"), "txt"),
    "veterans/veterans": Layout(
        {"优抚证号": "text", **PERSON, "入伍时间": "date", "退役时间": "date", "抚恤金额": "amount",
         "备注": "free_text"},
        zipped(separated("gb18030"), "退役军人.csv"), "zip"),
    "social_insurance/pensions": Layout(
        {"待遇编号": "text", **PERSON, "退休日期": "compact date", "月养老金(元)": "money",
         "发放银行": "organisation_name"},
        workbook(sheet="发放明细"), "xlsx"),
    "finance/tenders": Layout(
        {"项目编号": "text", "项目名称": "text", "采购单位": "organisation_name", "中标供应商名称": "organisation_name",
         "供应商统一社会信用代码": "credit_code", "中标金额（万元）": "money", "公告日期": "date"},
        separated("utf-8", above="政府采购中标公告\n制表单位：财政局\n"), "csv"),
    "welfare/minimum_living_allowance": Layout(
        {"户主姓名": "person_name", "户主身份证号": "resident_id", "保障人数": "integer", "月保障金额": "amount",
         "批准日期": "date", "家庭住址": "address"}, workbook(["最低生活保障对象花名册"]), "xlsx"),
    "health/practising_doctors": Layout(
        {"执业证书编码": "text", **PERSON, "执业机构": "organisation_name", "执业范围": "free_text",
         "注册日期": "date"},
        separated("utf-16"), "csv"),
    "urban/parking_lots": Layout(
        {"停车场编号": "text", "停车场名称": "text", "地址": "address", "泊位数": "integer", "是否收费": "boolean",
         "经营单位": "organisation_name"}, columns, "parquet"),
    "environment/discharge_permits": Layout(
        {**FIRM, "许可证编号": "text", "行业类别": "word", "发证日期": "date", "有效期限": "date"},
        separated("gb18030", quote=True), "csv"),
    "emergency/safety_certificates": Layout(
        {"证书编号": "text", **PERSON, "工作单位": "organisation_name", "作业类别": "word", "复审日期": "slashed date"},
        zipped(workbook(["特种作业人员"]), "名单.xlsx"), "zip"),
    "culture/performance_permits": Layout(
        {"批文号": "text", "举办单位": "organisation_name", "演出场所": "address", "演出开始日期": "date",
         "演出场次": "integer"}, gzipped(object_lines), "jsonl.gz"),
    "agriculture/subsidies": Layout(
        {"农户姓名": "person_name", "农户身份证号": "resident_id", "种植面积": "decimal", "补贴金额": "amount",
         "村组": "word", "开户银行": "organisation_name"}, spans("gbk"), "txt"),
    "justice/lawyers": Layout(
        {"执业证号": "text", **PERSON, "性别": "sex", "执业机构名称": "organisation_name", "首次执业日期": "date"},
        elements("utf-8"), "xml"),
    "tax/arrears": Layout(
        {"纳税人名称": "organisation_name", "统一社会信用代码": "credit_code", "法定代表人姓名": "person_name",
         "欠税税种": "word", "欠税余额": "amount", "公告时间": "date"},
        separated("gb18030", above="欠税公告\n"), "csv"),
}
