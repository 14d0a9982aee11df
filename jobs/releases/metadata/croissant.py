"""Croissant 1.1 (MLCommons, 2026): the release for machine-learning tools, its records read from Parquet."""

from __future__ import annotations

from typing import Any

from jobs.releases.metadata.entry import MEDIA, Entry

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_TYPES = {
    "string": "sc:Text", "integer": "sc:Integer", "number": "sc:Float", "boolean": "sc:Boolean", "date": "sc:Date",
    "datetime": "sc:DateTime",
}
_CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape", "citeAs": "cr:citeAs", "column": "cr:column", "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/", "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty", "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract", "field": "cr:field", "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes", "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5",
    "name": {"@container": "@language"}, "parentField": "cr:parentField", "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/", "recordSet": "cr:recordSet", "references": "cr:references",
    "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace", "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(entry: Entry) -> dict[str, Any]:
    """Return the release in Croissant; its `datePublished` is the day of its data, as no clock may enter a release."""
    parquet = next(name for name in entry.files if name.endswith(".parquet"))
    named = {"en": entry.publisher.en, "zh": entry.publisher.zh}
    publisher = {"@type": "sc:Organization", "name": named, "email": entry.contact}
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "@id": entry.address,
        "name": {"en": entry.name},
        "alternateName": [entry.title.en, entry.title.zh],
        "description": {"en": entry.description.en, "zh": entry.description.zh},
        "license": entry.licence_url,
        "url": entry.address,
        "version": entry.version,
        "datePublished": entry.data_date,
        "inLanguage": ["zh", "en"],
        "keywords": [entry.theme, entry.theme_en],
        "citeAs": f"{entry.publisher.en}: {entry.title.en}, version {entry.version}. {entry.address}",
        "creator": publisher,
        "publisher": publisher,
        "distribution": [
            {
                "@type": "cr:FileObject", "@id": name, "name": {"en": name}, "contentUrl": name,
                "contentSize": f"{said.bytes} B", "sha256": said.sha256,
                "encodingFormat": "text/csv" if name.endswith(".csv") else "application/x-parquet",
            }
            for name, said in entry.files.items()
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet", "@id": "rows", "name": {"en": "rows"},
                "description": {"en": entry.description.en, "zh": entry.description.zh},
                **({"key": [{"@id": f"rows/{name}"} for name in entry.key]} if entry.key else {}),
                "field": [
                    {
                        "@type": "cr:Field", "@id": f"rows/{one.name}", "name": {"en": one.name},
                        "description": {
                            "en": f"{one.title.en}. {one.derivation.en}", "zh": f"{one.title.zh}。{one.derivation.zh}"
                        },
                        "dataType": _TYPES[one.type],
                        "source": {"fileObject": {"@id": parquet}, "extract": {"column": one.name}},
                    }
                    for one in entry.columns
                ],
            }
        ],
    }


def schema_org(entry: Entry) -> dict[str, Any]:
    """Return the release for search engines: schema.org Dataset in JSON-LD, to stand in its page."""
    organisation = {"@type": "GovernmentOrganization", "name": entry.publisher.zh, "alternateName": entry.publisher.en,
                    "email": entry.contact}
    return {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "@id": entry.address,
        "name": entry.title.zh,
        "alternateName": entry.title.en,
        "description": f"{entry.description.zh} {entry.description.en}",
        "url": entry.address,
        "identifier": entry.address,
        "version": entry.version,
        "license": entry.licence_url,
        "isAccessibleForFree": entry.mode == "public",
        "inLanguage": ["zh", "en"],
        "keywords": [entry.theme, entry.theme_en],
        "dateModified": entry.data_date,
        "creator": organisation,
        "publisher": organisation,
        "isPartOf": {
            "@type": "Dataset", "@id": entry.series, "name": entry.title.en, "description": entry.description.en,
        },
        "variableMeasured": [
            {
                "@type": "PropertyValue", "name": one.name, "alternateName": one.title.zh,
                "description": one.derivation.en,
            }
            for one in entry.columns
        ],
        "distribution": [
            {
                "@type": "DataDownload", "name": name, "contentUrl": f"{entry.address}{name}",
                "encodingFormat": MEDIA[f".{name.rpartition('.')[2]}"], "contentSize": f"{said.bytes} B",
                "sha256": said.sha256,
            }
            for name, said in entry.files.items()
        ],
    }
