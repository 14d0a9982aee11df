"""Hierarchies that somebody wrote as files, one per column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jobs.errors import RequestError
from jobs.privacy.generalisation.hierarchies import Hierarchy, read_hierarchy


def hierarchies_in(folder: Path, columns: Sequence[str]) -> dict[str, Hierarchy]:
    """Read a folder's hierarchies: for each column `COLUMN.csv`, or ARX's `NAME_hierarchy_COLUMN.csv`.

    Raises RequestError for a column with no file, or with several.
    """
    if not folder.is_dir():
        raise RequestError("there is no such folder.", where=folder.name, remedy="give a folder of hierarchies.")
    found: dict[str, Hierarchy] = {}
    for column in columns:
        own = folder / f"{column}.csv"
        files = [own] if own.is_file() else sorted(
            path for path in folder.glob("*.csv") if path.name.endswith(f"_hierarchy_{column}.csv")
        )
        if len(files) != 1:
            what = "several hierarchies" if files else "no hierarchy"
            raise RequestError(f"the folder has {what} for a column.", where=column, remedy=f"keep one {column}.csv.")
        found[column] = read_hierarchy(files[0].read_text(encoding="utf-8-sig"), column)
    return found
