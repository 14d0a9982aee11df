"""Metadata of releases for every ecosystem, each a pure function of one entry, so that they cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import yaml

from jobs.releases.formats import json_bytes
from jobs.releases.metadata.croissant import croissant, schema_org
from jobs.releases.metadata.datapackage import datapackage
from jobs.releases.metadata.dcat import release_graph
from jobs.releases.metadata.entry import Entry
from jobs.releases.metadata.rdf import json_ld, turtle
from jobs.releases.metadata.tabular import core_metadata, csvw, data_contract


def documents(entry: Entry, codes: Mapping[str, pl.DataFrame]) -> dict[str, bytes]:
    """Return file name → content of every description of a release; `codes` are the code lists by column."""
    graph = release_graph(entry)
    odcs = yaml.safe_dump(data_contract(entry), allow_unicode=True, sort_keys=False, width=1_000)
    return {
        "datapackage.json": json_bytes(datapackage(entry, codes)),
        "dcat.ttl": turtle(graph),
        "dcat.jsonld": json_ld(graph),
        "croissant.json": json_bytes(croissant(entry)),
        "schema.jsonld": json_bytes(schema_org(entry)),
        f"{entry.stem}.csv-metadata.json": json_bytes(csvw(entry)),
        "core-metadata.json": json_bytes(core_metadata(entry)),
        "odcs.yaml": odcs.encode(),
    }
