"""Metadata of releases for every ecosystem, each a pure function of one entry, so that they cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from jobs.releases.formats import json_bytes
from jobs.releases.metadata.datapackage import datapackage
from jobs.releases.metadata.entry import Entry


def documents(entry: Entry, codes: Mapping[str, pl.DataFrame]) -> dict[str, bytes]:
    """Return file name → content of every description of a release; `codes` are the code lists by column."""
    return {"datapackage.json": json_bytes(datapackage(entry, codes))}
