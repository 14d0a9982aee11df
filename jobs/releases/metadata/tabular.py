"""Descriptions of the table: CSVW (W3C, 2015), the core metadata of 发改高技〔2017〕1272号, and ODCS 3."""

from __future__ import annotations

from typing import Any

from jobs.releases.metadata.entry import CYCLES, Entry

_CSVW = {
    "integer": "integer", "number": "decimal", "boolean": "boolean", "date": "date", "datetime": "dateTime",
    "string": "string",
}
# Data types of information items in field 8 of the guide.
_GUIDE = {
    "integer": "整型 I", "number": "数值 N", "boolean": "逻辑 L", "date": "日期 D", "datetime": "日期时间 T",
    "string": "字符 C",
}
_CONTRACT = {
    "integer": "integer", "number": "number", "boolean": "boolean", "date": "date", "datetime": "timestamp",
    "string": "string",
}
_CONDITIONS = {"public": None, "controlled": "与数据接收方签订协议", "enclave": "仅限在数据领地内使用"}


def csvw(entry: Entry) -> dict[str, Any]:
    """Return the description of the CSV file for the web, to stand beside it."""
    file = next(name for name in entry.files if name.endswith(".csv"))
    schema: dict[str, Any] = {
        "columns": [
            {
                "name": one.name, "titles": {"und": [one.name], "en": [one.title.en], "zh": [one.title.zh]},
                "dc:description": one.derivation.en, "datatype": _CSVW[one.type], "null": [""],
            }
            for one in entry.columns
        ]
    }
    return {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "en"}],
        "url": file,
        "dc:title": entry.title.en,
        "dc:description": entry.description.en,
        "dc:license": {"@id": entry.licence_url},
        "dc:modified": {"@value": entry.data_date, "@type": "xsd:date"},
        "dialect": {
            "delimiter": ",", "encoding": "utf-8", "header": True, "lineTerminators": ["\r\n"], "quoteChar": '"',
            "doubleQuote": True,
        },
        "tableSchema": schema | ({"primaryKey": list(entry.key)} if entry.key else {}),
    }


def core_metadata(entry: Entry) -> dict[str, Any]:
    """Return the thirteen core metadata of 政务信息资源目录编制指南 (发改高技〔2017〕1272号), by their Chinese names.

    What only the catalogue of resources can give (code, codes of related resources) is null.
    """
    return {
        "信息资源分类": f"主题信息资源/{entry.theme}",
        "信息资源名称": entry.title.zh,
        "信息资源代码": None,
        "信息资源提供方": entry.publisher.zh,
        "信息资源提供方代码": None,
        "信息资源摘要": entry.description.zh,
        "信息资源格式": {"分类": "2 电子表格", "格式": [name.rpartition(".")[2] for name in entry.files]},
        "信息项信息": [
            {"信息项名称": one.title.zh, "字段": one.name, "数据类型": _GUIDE[one.type]} for one in entry.columns
        ],
        **_shared(entry),
        "更新周期": f"{CYCLES[entry.cycle].code} {CYCLES[entry.cycle].text.zh}",
        "发布日期": entry.data_date,
        "关联资源代码": None,
    }


def _shared(entry: Entry) -> dict[str, Any]:
    """Return fields 9 and 10: only what is public is shared without condition and open to society."""
    condition = _CONDITIONS[entry.mode]
    kind = "2 有条件共享" if condition else "1 无条件共享"
    return {
        "共享属性": {"共享类型": kind, "共享条件": condition, "共享方式": "平台"},
        "开放属性": {"是否向社会开放": "0" if condition else "1", "开放条件": None if condition else entry.licence},
    }


def _usage(entry: Entry) -> str:
    return f"Licence: {entry.licence}." if entry.mode == "public" else f"{entry.licence_name}: {entry.licence_url}"


def data_contract(entry: Entry) -> dict[str, Any]:
    """Return the release's terms as an Open Data Contract Standard 3.0.2 document."""
    return {
        "apiVersion": "v3.0.2",
        "kind": "DataContract",
        "id": entry.series,
        "name": entry.title.en,
        "version": entry.version,
        "status": "active",
        "domain": entry.theme_en,
        "description": {"purpose": entry.description.en, "usage": _usage(entry)},
        "team": [{"username": entry.contact, "role": "publisher"}],
        "slaProperties": [{"property": "frequency", "value": CYCLES[entry.cycle].text.en}],
        "schema": [
            {
                "name": entry.stem, "physicalName": next(iter(entry.files), entry.stem), "logicalType": "object",
                "description": entry.description.en,
                "properties": [
                    {
                        "name": one.name, "businessName": one.title.en, "logicalType": _CONTRACT[one.type],
                        "physicalType": one.arrow, "description": one.derivation.en,
                        **({"primaryKey": True, "primaryKeyPosition": entry.key.index(one.name) + 1}
                           if one.name in entry.key else {}),
                    }
                    for one in entry.columns
                ],
            }
        ],
    }
