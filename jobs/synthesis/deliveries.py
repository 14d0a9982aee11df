"""Every delivery the city's departments make: who makes its rows, how its file is written, how the lake counts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from jobs.synthesis import departments, files, formats
from jobs.synthesis.circumstances import Circumstances
from jobs.synthesis.corporate import Corporate
from jobs.synthesis.credit import Credit
from jobs.synthesis.departments import City
from jobs.synthesis.occupations import Occupations
from jobs.synthesis.personal import Personal

Maker = Callable[["Departments", int, np.random.Generator], pl.DataFrame]

PERMIT = {
    "居住证号": 16, "公民身份号码": 18, "姓名": 12, "性别": 2, "户籍地区划": 6, "居住地区划": 6, "居住地址": 60,
    "联系电话": 12, "居住事由": 12, "签发日期": 14, "有效期至": 14, "状态": 8,
}
CERTIFICATE = {
    "残疾证号": 20, "姓名": 16, "身份证号": 18, "性别": 2, "残疾类别": 8, "残疾等级": 6, "监护人": 16, "联系电话": 12,
    "区划代码": 6, "发证日期": 8, "有效期至": 8, "证件状态": 6,
}


class Departments:
    """Hold the departments of one city, each knowing what it knows."""

    def __init__(self, of: Circumstances) -> None:
        self.of, self.city = of, of.city
        self.personal, self.occupations = Personal(of), Occupations(of)
        self.corporate, self.credit = Corporate(of), Credit(of)


@dataclass(frozen=True)
class Delivery:
    """Describe one dataset's daily file.

    `inner` is the name of the file inside an archive; `first` is the number of the first record as the lake counts:
    the line of text, the row of a worksheet, else 1.
    """

    rows: Maker
    ending: str
    write: files.Writer
    first: int = 2
    inner: str = ""


def _of_city(make: Callable[[City, int, np.random.Generator], pl.DataFrame]) -> Maker:
    return lambda known, number, chance: make(known.city, number, chance)


# The order is part of a city: each delivery's chances are numbered by its place, so new ones go to the end.
DELIVERIES: dict[str, Delivery] = {
    "public_security/household_register": Delivery(
        _of_city(departments.household_register), "csv", files.write_csv
    ),
    "civil_affairs/deaths": Delivery(_of_city(departments.deaths), "jsonl", files.write_json_lines, 1),
    "civil_affairs/marriage_registrations": Delivery(
        _of_city(departments.marriage_registrations), "xlsx", files.write_workbook, 4
    ),
    "civil_affairs/social_organisations": Delivery(
        _of_city(departments.social_organisations), "tsv", files.write_tsv
    ),
    "social_security/social_insurance": Delivery(
        _of_city(departments.social_insurance), "sqlite", formats.database("insured_persons"), 1
    ),
    "market_regulation/enterprise_registrations": Delivery(
        _of_city(departments.enterprise_registrations), "csv", files.write_plain_csv
    ),
    "health/births": Delivery(
        lambda known, *day: known.personal.births(*day), "xml",
        formats.xml("<出生医学信息>\n", "出生记录", "</出生医学信息>"), 1,
    ),
    "civil_affairs/divorces": Delivery(
        lambda known, *day: known.personal.divorces(*day), "ods",
        formats.spreadsheet("离婚登记", "离婚登记信息表（合成数据）"), 3,
    ),
    "public_security/residence_permits": Delivery(
        lambda known, *day: known.personal.residence_permits(*day), "dat", formats.fixed_width(PERMIT), 1
    ),
    "disabled_persons_federation/disability_certificates": Delivery(
        lambda known, *day: known.personal.disability_certificates(*day), "dbf", formats.dbf(CERTIFICATE), 1
    ),
    "civil_affairs/minimum_living_allowance": Delivery(
        lambda known, *day: known.personal.minimum_living_allowance(*day), "txt",
        formats.delimited("gb18030", "|", quoted=False),
    ),
    "social_security/employment_registrations": Delivery(
        lambda known, *day: known.occupations.employment_registrations(*day), "json", formats.write_json_document, 1
    ),
    "taxation/personal_income": Delivery(
        lambda known, *day: known.occupations.personal_income(*day), "parquet", formats.write_parquet, 1
    ),
    "education/school_enrolment": Delivery(
        lambda known, *day: known.occupations.school_enrolment(*day), "txt", formats.write_utf_16
    ),
    "health/health_records": Delivery(
        lambda known, *day: known.occupations.health_records(*day), "zip",
        formats.zipped("records.csv", "gb18030"), inner="records.csv",
    ),
    "staffing_commission/government_organs": Delivery(
        lambda known, *day: known.corporate.government_organs(*day), "xlsx",
        formats.workbook("机关", "机关赋码信息（合成数据）"), 3,
    ),
    "staffing_commission/public_institutions": Delivery(
        lambda known, *day: known.corporate.public_institutions(*day), "xlsx",
        formats.workbook("事业单位", "事业单位登记信息（合成数据）", {"单位": 4, "登记事项": 6, "有效期": 4}), 4,
    ),
    "agriculture/village_collectives": Delivery(
        lambda known, *day: known.corporate.village_collectives(*day), "csv",
        formats.delimited("gb18030", ",", "农村集体经济组织登记赋码信息（合成数据）\n单位：万元\n\n"), 5,
    ),
    "taxation/taxpayers": Delivery(
        lambda known, *day: known.corporate.taxpayers(*day), "csv.gz", formats.write_gzip_csv
    ),
    "market_regulation/annual_reports": Delivery(
        lambda known, *day: known.corporate.annual_reports(*day), "jsonl.gz", formats.write_gzip_json_lines, 1
    ),
    "market_regulation/shareholders": Delivery(
        lambda known, *day: known.corporate.shareholders(*day), "zip",
        formats.zipped("shareholders.csv", "utf-8"), inner="shareholders.csv",
    ),
    "development_reform/administrative_licences": Delivery(
        lambda known, *day: known.credit.administrative_licences(*day), "sqlite", formats.database("xzxk"), 1
    ),
    "development_reform/administrative_penalties": Delivery(
        lambda known, *day: known.credit.administrative_penalties(*day), "xml",
        formats.xml("<DATA><ROWS>\n", "ROW", "</ROWS></DATA>", "gb18030"), 1,
    ),
    "development_reform/administrative_penalties_2016": Delivery(
        lambda known, *day: known.credit.administrative_penalties_2016(*day), "csv", formats.delimited("gb18030", "\t")
    ),
}

# What the demonstration delivers: enough to see everything happen, few enough to wait for.
DEMONSTRATED = tuple(DELIVERIES)[:6]
