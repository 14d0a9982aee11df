"""Published data sets to compare with, where the machine has them; none of them is part of the project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from jobs.settings import PROJECT


def published_adult() -> Iterator[Path]:
    """Yield the folder with ARX's copy of UCI Adult and its hierarchies, or nothing."""
    for parent in PROJECT.parents:
        folder = parent / "shared" / "data" / "deid" / "arx"
        if (folder / "adult.csv.gz").is_file():
            yield folder
            return


def adult(folder: Path) -> pl.DataFrame:
    return pl.read_csv(folder / "adult.csv.gz", separator=";", infer_schema=False)
