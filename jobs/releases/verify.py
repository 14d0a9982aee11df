"""Verify a release from its folder alone: nothing of the lake is asked, so that anybody can."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from jobs.releases import formats
from jobs.sets.anonymity import LEAST_SENSITIVE

_LINE = re.compile(r"^([0-9a-f]{64})  ([^/]+)$")


def verify(folder: Path, *, validate: bool = True) -> list[str]:
    """Return what is wrong with a release, one sentence each; nothing when it is as released.

    Checks every digest, that no file is missing or added, that CSV and Parquet hold the same rows and as many as the
    descriptions say, that every group is as large as its threshold, and, with `validate`, the Data Package by
    frictionless (its first 10,000 rows; the rest is covered by the digests and the comparison).
    """
    if not (folder / formats.SUMS).is_file():
        return [f"there is no {formats.SUMS} in {folder}."]
    problems = _digest_problems(folder)
    if problems:
        return problems  # what follows would only say it again, in other words
    try:
        statement = json.loads((folder / "statement.json").read_text(encoding="utf-8"))
        package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
        problems = _row_problems(folder, statement, package)
        if not problems:
            problems = _group_problems(folder, statement)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        return ["the release is not complete: a file or an entry that every release has is missing or unreadable."]
    return problems + (_package_problems(folder) if validate else [])


def _digest_problems(folder: Path) -> list[str]:
    listed: dict[str, str] = {}
    text = (folder / formats.SUMS).read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.match(line)
        if found is None:
            return [f"line {number} of {formats.SUMS} is not a digest and a name."]
        listed[found.group(2)] = found.group(1)
    there = {path.name for path in folder.iterdir()} - {formats.SUMS}
    problems = [f"{name} is missing." for name in sorted(set(listed) - there)]
    problems += [f"{name} does not belong to the release." for name in sorted(there - set(listed))]
    for name in sorted(there & set(listed)):
        if not (folder / name).is_file() or formats.digest(folder / name) != listed[name]:
            problems.append(f"{name} is not what was released: its SHA-256 is another.")
    return problems


def _data_file(folder: Path, suffix: str, statement: dict[str, Any]) -> Path:
    return folder / f"{str(statement['dataset']).rpartition('/')[2]}{suffix}"


def _row_problems(folder: Path, statement: dict[str, Any], package: dict[str, Any]) -> list[str]:
    csv, parquet = _data_file(folder, ".csv", statement), _data_file(folder, ".parquet", statement)
    table, cells = pl.read_parquet(parquet), formats.read_csv(csv)
    counts = {
        parquet.name: table.height,
        csv.name: cells.height,
        **{f"datapackage.json ({one['path']})": one["rowCount"] for one in package["resources"]},
    }
    problems = [
        f"{name} has {count} rows, the statement says {statement['rows']}."
        for name, count in counts.items() if count != statement["rows"]
    ]
    if {one["path"] for one in package["resources"]} != {csv.name, parquet.name}:
        problems.append("datapackage.json does not describe exactly the data files.")
    for one in package["resources"]:
        path = folder / Path(one["path"]).name
        if path.is_file() and one["hash"] != f"sha256:{formats.digest(path)}":
            problems.append(f"datapackage.json gives another digest for {path.name}.")
        if "schema" in one and [field["name"] for field in one["schema"]["fields"]] != table.columns:
            problems.append("datapackage.json names other columns than the data has.")
    if not problems and formats.csv_bytes(table) != csv.read_bytes():
        problems.append(f"{csv.name} and {parquet.name} do not hold the same rows in the same order.")
    return problems


def _group_problems(folder: Path, statement: dict[str, Any]) -> list[str]:
    """Count the groups anew; a table of sums alone does not show them."""
    said = statement["privacy"]
    table = pl.read_parquet(_data_file(folder, ".parquet", statement))
    if table.is_empty():
        return ["the release has no rows."]
    quasi = said["quasi_identifiers"] or [pl.lit("all").alias("_all")]
    sensitive = [name for name in said["sensitive"] if name not in said["quasi_identifiers"]]
    if said["kind"] == "aggregate":
        if not said["counts"]:
            return []
        size, sensitive = pl.col(said["counts"][0]).sum(), []
    else:
        size = pl.len()
    groups = table.group_by(quasi).agg(size.alias("_size"), *[pl.col(name).n_unique() for name in sensitive])
    problems = []
    if small := groups.filter(pl.col("_size") < said["threshold"]).height:
        problems.append(f"{small} groups are below the threshold of {said['threshold']}.")
    lone = [name for name in sensitive if groups.filter(pl.col(name) < LEAST_SENSITIVE).height]
    return problems + [f"{name} has one value only in some groups." for name in lone]


def _package_problems(folder: Path) -> list[str]:
    """Validate the Data Package by frictionless; its messages may quote cells, so only their kinds are told."""
    import frictionless

    report = frictionless.validate(str(folder / "datapackage.json"), type="package", limit_rows=10_000)
    kinds = sorted({f"{kind}" for (kind,) in report.flatten(["type"])})
    return [f"datapackage.json is not valid: {kind}." for kind in kinds]
