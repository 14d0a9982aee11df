"""Anybody can tell from the folder alone whether a release is as released."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from jobs.releases import approvals, formats
from jobs.releases.verify import verify
from jobs.stages import publish


@pytest.fixture
def folder(lake) -> Path:
    approvals.approve(lake, "health/visits", by="officer@city.example")
    (report,) = publish.run(lake, "health/visits", approved_by="officer")
    return Path(str(report.extra["path"]))


def seal(folder):
    """Write the digests anew, as somebody would who tampers with care."""
    (folder / formats.SUMS).write_bytes(formats.sums_bytes(folder))


def rewrite(folder, rows):
    rows.write_parquet(folder / "visits.parquet")
    (folder / "visits.csv").write_bytes(formats.csv_bytes(rows))
    package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    for one in package["resources"]:
        one["rowCount"], one["hash"] = rows.height, f"sha256:{formats.digest(folder / one['path'])}"
        if "bytes" in one:
            one["bytes"] = (folder / one["path"]).stat().st_size
    (folder / "datapackage.json").write_bytes(formats.json_bytes(package))
    statement = json.loads((folder / "statement.json").read_text(encoding="utf-8"))
    (folder / "statement.json").write_bytes(formats.json_bytes(statement | {"rows": rows.height}))
    seal(folder)


def test_a_changed_a_missing_and_a_foreign_file_are_named(folder):
    with (folder / "visits.csv").open("ab") as stream:
        stream.write(b"x")
    (folder / "dcat.jsonld").unlink()
    (folder / "notes.txt").write_text("hello")
    assert verify(folder) == [
        "dcat.jsonld is missing.",
        "notes.txt does not belong to the release.",
        "visits.csv is not what was released: its SHA-256 is another.",
    ]


def test_a_folder_without_digests_is_no_release(tmp_path):
    (problem,) = verify(tmp_path / "nothing")
    assert "SHA256SUMS" in problem


def test_a_row_lost_from_one_file_is_found_even_with_fresh_digests(folder):
    lines = (folder / "visits.csv").read_bytes().splitlines(keepends=True)
    (folder / "visits.csv").write_bytes(b"".join(lines[:-1]))
    seal(folder)
    assert "visits.csv has 125 rows, the statement says 126." in verify(folder)


def test_a_cell_that_differs_between_the_files_is_found(folder):
    table = pl.read_parquet(folder / "visits.parquet").with_columns(pl.lit("other").alias("remark"))
    csv = (folder / "visits.csv").read_bytes()
    rewrite(folder, table)
    (folder / "visits.csv").write_bytes(csv)
    seal(folder)
    assert any("another digest" in problem for problem in verify(folder))


def test_a_group_below_the_threshold_is_found(folder):
    table = pl.read_parquet(folder / "visits.parquet")
    rewrite(folder, table)
    assert verify(folder) == []
    lone = table.head(1).with_columns(pl.lit("650102").alias("division_code"))
    rewrite(folder, pl.concat([table, lone]))
    assert verify(folder) == ["1 groups are below the threshold of 5."]


def test_a_description_that_is_not_one_is_found(folder):
    (folder / "statement.json").write_text("{}")
    seal(folder)
    (problem,) = verify(folder)
    assert "not complete" in problem


def test_a_data_package_that_is_invalid_is_found(folder):
    package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    package["resources"][0]["schema"]["fields"][0]["type"] = "integer"
    package["resources"][0]["schema"]["fields"][0]["constraints"] = {"maximum": 5}
    (folder / "datapackage.json").write_bytes(formats.json_bytes(package))
    seal(folder)
    problems = verify(folder)
    assert problems
    assert all(problem.startswith("datapackage.json is not valid") for problem in problems)
