"""Code lists: what a code means, how departments spell it, and when it was in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path

import polars as pl

from jobs.errors import ContractError
from jobs.rows.divisions import Divisions

DIVISION = "division"
COLUMNS = ("code", "label_zh", "label_en", "aliases", "valid_from", "valid_to")


@dataclass(frozen=True)
class CodeBook:
    """Hold code lists by name; each a table of code, labels, aliases and years of validity."""

    tables: Mapping[str, pl.DataFrame]

    @classmethod
    def load(cls, folder: Path) -> CodeBook:
        """Return the CSV files of a folder, read once for as long as they stay as they are.

        Raises ContractError for one without the expected columns.
        """
        told = [(path, path.stat()) for path in sorted(folder.glob("*.csv"))]
        state = tuple((path.name, one.st_mtime_ns, one.st_ctime_ns, one.st_ino, one.st_size) for path, one in told)
        return cls._read(folder.resolve(), state)

    @classmethod
    @lru_cache(maxsize=4)
    def _read(cls, folder: Path, _state: tuple[tuple[str | int, ...], ...]) -> CodeBook:
        tables = {}
        for path in sorted(folder.glob("*.csv")):
            table = pl.read_csv(path, infer_schema=False)
            lacking = [name for name in ("code", "label_zh") if name not in table.columns]
            if lacking:
                raise ContractError(f"the column {lacking[0]} is missing.", where=str(path.name), remedy="add it.")
            tables[path.stem] = table.with_columns(
                pl.lit(None, pl.String).alias(name) for name in COLUMNS if name not in table.columns
            )
        return cls(tables)

    def has(self, name: str) -> bool:
        """Tell whether there is a list of this name."""
        return name in self.tables

    def table(self, name: str) -> pl.DataFrame:
        """Return one list; raise ContractError when there is none."""
        if name not in self.tables:
            raise ContractError(f"there is no code list {name!r}.", remedy=f"add schemas/codes/{name}.csv.")
        return self.tables[name]

    def lookup(self, name: str, values: pl.Series, on: date | None = None) -> pl.Series:
        """Return the code of each cell, which may be the code itself, a label or an alias; null where unknown.

        Of codes that share a spelling the one in force `on` a day wins, then the newest.
        """
        spelled = self._spellings(name)
        if on is not None:
            year = pl.lit(str(on.year))
            in_force = (pl.col("valid_from").fill_null("0000") <= year) & (pl.col("valid_to").fill_null("9999") > year)
            spelled = spelled.with_columns(in_force.alias("_now"))
        else:
            spelled = spelled.with_columns(pl.lit(value=True).alias("_now"))
        best = spelled.sort("_now", "valid_from", descending=True, nulls_last=True).unique(
            "spelling", keep="first", maintain_order=True
        )
        asked = pl.DataFrame({"spelling": values.cast(pl.String).str.normalize("NFKC")})
        found = asked.join(best.select("spelling", "code"), on="spelling", how="left", maintain_order="left")
        return found["code"].alias(values.name)

    def labels(self, name: str, language: str = "zh") -> dict[str, str]:
        """Return code → label in one language, Chinese where there is no other."""
        table = self.table(name).with_columns(pl.coalesce(f"label_{language}", "label_zh").alias("_label"))
        return dict(table.unique("code", keep="last", maintain_order=True).select("code", "_label").iter_rows())

    def _spellings(self, name: str) -> pl.DataFrame:
        table = self.table(name)
        columns = ("code", "valid_from", "valid_to")
        parts = [
            table.select(pl.col("code").alias("spelling"), *columns),
            table.select(pl.col("label_zh").alias("spelling"), *columns),
            table.select(pl.col("label_en").alias("spelling"), *columns),
            table.select(pl.col("aliases").str.split(";").alias("spelling"), *columns).explode("spelling"),
        ]
        spelled = pl.concat(parts).drop_nulls("spelling").filter(pl.col("spelling") != "")
        # Brackets and letters of either width are one spelling, in the list as in a cell.
        return spelled.with_columns(pl.col("spelling").str.normalize("NFKC"))

    @cached_property
    def divisions(self) -> Divisions:
        """Return the divisions of GB/T 2260 through time."""
        return Divisions(self.table(DIVISION))
