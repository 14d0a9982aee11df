"""Data Package, version 2 (datapackage.org, 2024): the release for Frictionless tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from jobs.releases.id_changes import FIELDS, FILE
from jobs.releases.metadata.entry import MEDIA, DataFile, Entry

DIALECT = {"delimiter": ",", "lineTerminator": "\r\n", "quoteChar": '"', "doubleQuote": True}


def datapackage(entry: Entry, codes: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Return the release as a Data Package; `codes` gives the labels of a column's codes by the column's name."""
    resources: list[dict[str, Any]] = []
    for file, said in entry.files.items():
        suffix = f".{file.rpartition('.')[2]}"
        one: dict[str, Any] = {
            "name": file.replace(".", "-").replace("_", "-"), "path": file, "format": suffix[1:],
            "mediatype": MEDIA[suffix], "hash": f"sha256:{said.sha256}", "rowCount": entry.rows,
        }
        if suffix == ".csv":
            # frictionless cannot count the bytes of Parquet and would call them wrong; the digest says as much.
            one |= {
                "bytes": said.bytes, "type": "table", "encoding": "utf-8", "dialect": DIALECT,
                "schema": _schema(entry, codes),
            }
        resources.append(one)
    if entry.feed is not None:
        resources.append(_feed(entry, entry.feed))
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": entry.name,
        "id": entry.address,
        "title": entry.title.en,
        "title_zh": entry.title.zh,
        "description": entry.description.en,
        "description_zh": entry.description.zh,
        "version": entry.version,
        "homepage": entry.series,
        "licenses": [
            {
                **({} if "/" in entry.licence else {"name": entry.licence}), "title": entry.licence_name,
                "path": entry.licence_url,
            }
        ],
        "sources": [{"title": title} for title in entry.sources],
        "contributors": [{"title": entry.publisher.en, "email": entry.contact, "roles": ["publisher"]}],
        "keywords": [entry.theme, entry.theme_en],
        "resources": resources,
    }


def _feed(entry: Entry, said: DataFile) -> dict[str, Any]:
    """Return the id-change feed as a resource."""
    fields = [
        {"name": name, "type": "date" if name == "changed_on" else "string", "description": en, "title_zh": zh}
        for name, (en, zh) in FIELDS.items()
    ]
    return {
        "name": FILE.replace(".", "-").replace("_", "-"), "path": FILE, "format": "csv", "mediatype": MEDIA[".csv"],
        "hash": f"sha256:{said.sha256}", "rowCount": entry.feed_rows, "bytes": said.bytes, "type": "table",
        "encoding": "utf-8", "dialect": DIALECT, "schema": {"fields": fields, "missingValues": [""]},
        "title": "What became of the identifiers", "title_zh": "标识变更",
    }


def _schema(entry: Entry, codes: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    fields = []
    for one in entry.columns:
        field: dict[str, Any] = {
            "name": one.name, "type": one.type, "title": one.title.en, "description": one.derivation.en,
            "title_zh": one.title.zh, "description_zh": one.derivation.zh,
        }
        if one.name in codes:
            labels = codes[one.name].select("code", "label_zh").iter_rows()
            field["categories"] = [{"value": code, "label": label} for code, label in labels]
        fields.append(field)
    schema: dict[str, Any] = {"fields": fields, "missingValues": [""]}
    return schema | ({"primaryKey": list(entry.key)} if entry.key else {})
