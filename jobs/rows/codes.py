"""Code lists: what a code means, how departments spell it, and when it was in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import polars as pl

from jobs.errors import ContractError

DIVISION = "division"
COLUMNS = ("code", "label_zh", "label_en", "aliases", "valid_from", "valid_to")

# Counties that cards carry though no list of the Ministry of Civil Affairs has them: 市辖区, 城区, 郊区, 市区.
SYNTHETIC_COUNTIES = ("01", "02", "11", "20")


@dataclass(frozen=True)
class CodeBook:
    """Hold code lists by name; each a table of code, labels, aliases and years of validity."""

    tables: Mapping[str, pl.DataFrame]

    @classmethod
    def load(cls, folder: Path) -> CodeBook:
        """Read every CSV file of a folder; raise ContractError for one without the expected columns."""
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
        asked = pl.DataFrame({"spelling": values.cast(pl.String)})
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
        return pl.concat(parts).drop_nulls("spelling").filter(pl.col("spelling") != "")

    # -- divisions (GB/T 2260) -------------------------------------------------------------------------------------
    @cached_property
    def _divisions(self) -> frozenset[str]:
        return frozenset(self.table(DIVISION)["code"].to_list())

    @cached_property
    def divisions_since(self) -> int:
        """Return the first year the table of divisions knows; of earlier years it says nothing."""
        first = self.table(DIVISION)["valid_from"].cast(pl.Int32).min()
        return first if isinstance(first, int) else 0

    def division_known(self, codes: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Return for six-digit codes whether the division ever existed, and whether only as a synthetic county.

        A synthetic county (市辖区 01, 城区 02, 郊区 11, 市区 20) counts when its prefecture existed.
        """
        listed = codes.is_in(pl.Series(sorted(self._divisions)).implode())
        county, prefecture = codes.str.slice(4, 2), codes.str.slice(0, 4) + "00"
        child = county.is_in(pl.Series(SYNTHETIC_COUNTIES).implode())
        synthetic = ~listed & child & prefecture.is_in(pl.Series(sorted(self._divisions)).implode())
        return listed | synthetic, synthetic

    def division_in_force(self, codes: pl.Series, years: pl.Series) -> pl.Series:
        """Return whether each code was in force in the year beside it (end years excluded)."""
        spans = self.table(DIVISION).select(
            "code",
            pl.col("valid_from").cast(pl.Int32).fill_null(0).alias("begin"),
            pl.col("valid_to").cast(pl.Int32).fill_null(9999).alias("end"),
        )
        asked = pl.DataFrame({"code": codes, "year": years.cast(pl.Int32)}).with_row_index("row")
        hits = asked.join(spans, on="code", how="inner").filter(
            (pl.col("begin") <= pl.col("year")) & (pl.col("year") < pl.col("end"))
        )
        return asked["row"].is_in(hits["row"].unique().implode()).alias(codes.name)
