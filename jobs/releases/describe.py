"""Describe a release for machines and people, every description from the one contract, so that they cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from jobs.catalogue import Catalogue
from jobs.contract import Contract, ContractField, Join, ProductSource, Text
from jobs.releases.terms import code_list, summed_fields
from jobs.rows.coarsening import SUPPRESSED, method_named
from jobs.rows.codes import CodeBook
from jobs.rows.protection import ladders, protection_of

LICENCES = {
    "CC-BY-4.0": ("Creative Commons Attribution 4.0", "https://creativecommons.org/licenses/by/4.0/"),
    "CC0-1.0": ("CC0 1.0 Universal", "https://creativecommons.org/publicdomain/zero/1.0/"),
}
MEDIA = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}

# What each method leaves, in Chinese; English is the method's own word about itself.
_LEAVES_ZH = {
    "keep": "原值", "pseudonym": "带密钥假名（HMAC-SM3）", "suppressed": "仅星号", "month": "年月", "quarter": "季度",
    "year": "年份", "five_years": "五年段", "ten_years": "十年段", "twenty_years": "二十年段", "county": "区县",
    "city": "市（地级）", "province": "省", "initial": "首字", "industry": "由文字判定的行业门类（GB/T 4754）",
    "thousands": "向下取整到千", "round": "向下取整", "five_thousands": "五千段", "ten_thousands": "一万段",
    "hundred_thousands": "十万段", "magnitude": "数量级",
}


@dataclass(frozen=True)
class Column:
    """Describe one released column; `type` is Data Package's, `codes` its code list."""

    name: str
    title: Text
    derivation: Text
    type: str
    codes: str | None = None
    quasi: bool = False
    measure: str | None = None


def columns(
    contract: Contract, catalogue: Catalogue, table: pl.DataFrame, quasi: Sequence[str], k: int
) -> list[Column]:
    """Return the columns of a released table, in its order."""
    steps, sums, found = ladders(contract), summed_fields(contract), []
    for name in table.columns:
        kind = _data_type(table.schema[name])
        if name not in contract.published:
            measure = contract.aggregate.measures[name] if contract.aggregate else "count"
            found.append(Column(name, _spelled(name), _measured(sums.get(name)), kind, measure=measure))
            continue
        field = contract.fields[contract.published[name]]
        coarser = steps[name] if name in quasi else ()
        derivation = _derived(field, contract.published[name], catalogue, coarser, k)
        title, codes = _title(contract, field, name, catalogue), code_list(field, catalogue)
        found.append(Column(name, title, derivation, kind, codes, name in quasi))
    return found


def dictionary(found: Sequence[Column]) -> pl.DataFrame:
    """Return the dictionary of a release, one row per column, Chinese and English."""
    return pl.DataFrame(
        [
            {
                "column": one.name,
                "title_zh": one.title.zh,
                "title_en": one.title.en,
                "type": one.type,
                "derivation_zh": one.derivation.zh,
                "derivation_en": one.derivation.en,
                "code_list": one.codes,
                "quasi_identifier": "yes" if one.quasi else "no",
            }
            for one in found
        ],
        schema_overrides={"code_list": pl.String},
    )


def datapackage(
    contract: Contract, found: Sequence[Column], table: pl.DataFrame, codes: CodeBook, statement: Mapping[str, Any],
    files: Mapping[str, tuple[int, str]],
) -> dict[str, Any]:
    """Return the release as a Data Package, version 2; `files` gives each data file's size and SHA-256."""
    name, url = _licence(contract)
    resources: list[dict[str, Any]] = []
    for file, (size, digest) in files.items():
        suffix = f".{file.rpartition('.')[2]}"
        one: dict[str, Any] = {
            "name": file.replace(".", "-").replace("_", "-"), "path": file, "format": suffix[1:],
            "mediatype": MEDIA[suffix], "hash": f"sha256:{digest}", "rowCount": table.height,
        }
        if suffix == ".csv":
            # frictionless cannot count the bytes of Parquet and would call them wrong; the digest says as much.
            one |= {"bytes": size, "type": "table", "encoding": "utf-8", "schema": _table_schema(found, table, codes)}
        resources.append(one)
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": contract.name.replace("/", "-").replace("_", "-"),
        "id": _identifier(contract, statement["version"]),
        "title": contract.title.en,
        "title_zh": contract.title.zh,
        "description": contract.description.en,
        "description_zh": contract.description.zh,
        "version": statement["version"],
        "created": statement["released_at"],
        "licenses": [{"name": _terms(contract).licence, "title": name, "path": url}],
        "sources": [{"title": title} for title in _sources(contract)],
        "contributors": [{"title": contract.department, "email": contract.steward, "roles": ["publisher"]}],
        "keywords": [_terms(contract).theme],
        "resources": resources,
    }


def dcat(
    contract: Contract, statement: Mapping[str, Any], files: Mapping[str, tuple[int, str]]
) -> dict[str, Any]:
    """Return the release as a dataset of DCAT-AP 3 in JSON-LD, its files relative to the description."""
    _, url = _licence(contract)
    theme, identifier = _terms(contract).theme, _identifier(contract, statement["version"])

    def spoken(text: Text) -> list[dict[str, str]]:
        return [{"@language": "en", "@value": text.en}, {"@language": "zh", "@value": text.zh}]

    return {
        "@context": {
            "dcat": "http://www.w3.org/ns/dcat#",
            "dct": "http://purl.org/dc/terms/",
            "foaf": "http://xmlns.com/foaf/0.1/",
            "skos": "http://www.w3.org/2004/02/skos/core#",
            "spdx": "http://spdx.org/rdf/terms#",
            "vcard": "http://www.w3.org/2006/vcard/ns#",
            "xsd": "http://www.w3.org/2001/XMLSchema#",
        },
        "@id": identifier,
        "@type": "dcat:Dataset",
        "dct:identifier": identifier,
        "dct:title": spoken(contract.title),
        "dct:description": spoken(contract.description),
        "dct:issued": {"@type": "xsd:dateTime", "@value": statement["released_at"]},
        "dcat:version": statement["version"],
        "dcat:keyword": [{"@language": "zh", "@value": theme}],
        "dcat:theme": {
            "@id": f"urn:open-data-theme:{theme}", "@type": "skos:Concept",
            "skos:prefLabel": {"@language": "zh", "@value": theme},
        },
        "dct:publisher": {
            "@id": f"urn:department:{contract.department}", "@type": "foaf:Agent", "foaf:name": contract.department,
        },
        "dcat:contactPoint": {
            "@type": "vcard:Organization", "vcard:fn": contract.department,
            "vcard:hasEmail": {"@id": f"mailto:{contract.steward}"},
        },
        "dcat:distribution": [
            {
                "@id": f"{identifier}:{file}",
                "@type": "dcat:Distribution",
                "dct:title": {"@language": "en", "@value": file},
                "dcat:accessURL": {"@id": file},
                "dcat:downloadURL": {"@id": file},
                "dcat:mediaType": {
                    "@id": f"https://www.iana.org/assignments/media-types/{MEDIA['.' + file.rpartition('.')[2]]}",
                    "@type": "dct:MediaType",
                },
                "dcat:byteSize": {"@type": "xsd:nonNegativeInteger", "@value": str(size)},
                "dct:license": {"@id": url, "@type": "dct:LicenseDocument"},
                "spdx:checksum": {
                    "@type": "spdx:Checksum",
                    "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256", "@type": "spdx:ChecksumAlgorithm"},
                    "spdx:checksumValue": {"@type": "xsd:hexBinary", "@value": digest},
                },
            }
            for file, (size, digest) in files.items()
        ],
    }


def _table_schema(found: Sequence[Column], table: pl.DataFrame, codes: CodeBook) -> dict[str, Any]:
    fields = []
    for one in found:
        field: dict[str, Any] = {
            "name": one.name, "type": one.type, "title": one.title.en, "description": one.derivation.en,
            "title_zh": one.title.zh, "description_zh": one.derivation.zh,
        }
        if one.codes and codes.has(one.codes):
            field["categories"] = _categories(table[one.name], one.codes, codes)
        fields.append(field)
    return {"fields": fields, "missingValues": [""]}


def _categories(values: pl.Series, name: str, codes: CodeBook) -> list[dict[str, str]]:
    labels = codes.labels(name) | {SUPPRESSED: "隐去 / withheld"}
    present = sorted(values.drop_nulls().cast(pl.String).unique())
    return [{"value": value, "label": labels.get(value, value)} for value in present]


def _data_type(kind: pl.DataType) -> str:
    if kind.is_integer():
        return "integer"
    if kind.is_numeric():
        return "number"
    if kind == pl.Boolean:
        return "boolean"
    if kind.is_temporal():
        return "date" if kind == pl.Date else "datetime"
    return "string"


def _title(contract: Contract, field: ContractField, name: str, catalogue: Catalogue) -> Text:
    """Return a column's title: the field's own, its register's, or what its name and its source's name say."""
    if field.title:
        return field.title
    root = contract.from_.register_ if contract.from_ else None
    register = catalogue.registers.get(root or "")
    zh = catalogue.types[field.type].title.zh
    if register and field.from_ in register.fields:
        zh = register.fields[field.from_].title.zh
    elif field.from_ and not field.from_.isascii():
        zh = field.from_
    return Text(en=_spelled(name).en, zh=zh)


def _spelled(name: str) -> Text:
    words = name.replace("_", " ").capitalize()
    return Text(en=words, zh=words)


def _measured(field: str | None) -> Text:
    if field is None:
        return Text(en="Number of rows in the group.", zh="该组的行数。")
    return Text(en=f"Sum of {field} over the group's rows.", zh=f"该组各行 {field} 之和。")


def _derived(field: ContractField, name: str, catalogue: Catalogue, coarser: Sequence[str], k: int) -> Text:
    """Say in words how a column came about: protection, generalisation, and what small groups look like."""
    spec = catalogue.types[field.type]
    steps = [protection_of(field, catalogue.types), (field.publish.generalise if field.publish else None) or "keep"]
    steps = [step for step in dict.fromkeys(steps) if step != "keep"] or ["keep"]
    said = ", then ".join(method_named(step)[0].says for step in steps)
    said_zh = "，再取".join(_LEAVES_ZH.get(step.partition(":")[0], step) for step in steps)
    en = f"From {name} ({spec.title.en}): {said}."
    zh = f"由{field.from_ or name}（{spec.title.zh}）取{said_zh}。"
    if coarser:
        wider = [step for step in coarser if step not in ("suppressed", "magnitude")]
        listed = f"wider ({', '.join(method_named(step)[0].says for step in wider)}), at last" if wider else ""
        listed_zh = f"更宽的值（{'、'.join(_LEAVES_ZH[step] for step in wider)}），最终为" if wider else ""
        en += f" Rows of a group below {k} have a value that is {listed} {SUPPRESSED}.".replace("  ", " ")
        zh += f"不足 {k} 的组显示{listed_zh} {SUPPRESSED}。"
    return Text(en=en, zh=zh)


def _sources(contract: Contract) -> list[str]:
    if contract.from_ is None:
        return [f"{contract.title.en} ({contract.department})"]
    parts: list[ProductSource | Join] = [contract.from_, *contract.from_.join]
    return [f"register of {part.register_}s" if part.register_ else str(part.dataset) for part in parts]


def _licence(contract: Contract) -> tuple[str, str]:
    licence = _terms(contract).licence
    return LICENCES.get(licence, (licence, f"https://spdx.org/licenses/{licence}.html"))


def _identifier(contract: Contract, version: str) -> str:
    return f"urn:open-dataset:{contract.name.replace('/', ':')}:{version}"


def _terms(contract: Contract) -> Any:
    assert contract.release is not None
    return contract.release
