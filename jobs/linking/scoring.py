"""Splink on DuckDB: rows and pairs in, levels and match weights out; memory is bounded, the rest is spilled."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from jobs.linking.blocking import Blocks
from jobs.linking.comparisons import Comparison, Level

ROW, SINGLE = "_row", "_single"
COMPARED = "rows_to_compare"


class Scorer:
    """One DuckDB connection with the rows to compare in it."""

    def __init__(self, connection: Any, records: pl.DataFrame) -> None:
        self.connection = connection
        self.rows = records.height
        self._runs = 0
        connection.register("given_rows", records.to_arrow())
        connection.execute(f"CREATE TABLE {COMPARED} AS SELECT * FROM given_rows ORDER BY {ROW}")
        connection.unregister("given_rows")

    def add_frequencies(self, columns: dict[str, pl.DataFrame]) -> None:
        """Give each row the frequency of its value, columns `tf_<column>`, from tables (value, tf)."""
        for column, table in columns.items():
            self.connection.register("frequencies", table.to_arrow())
            self.connection.execute(
                f"CREATE OR REPLACE TABLE {COMPARED} AS SELECT r.*, f.tf AS tf_{column} FROM {COMPARED} r "
                f"LEFT JOIN frequencies f ON r.{column} = f.value ORDER BY {ROW}"
            )
            self.connection.unregister("frequencies")

    def pairs_of(self, blocks: Blocks) -> None:
        """Make table `pairs` (l, r, mask): each pair once, with the rules that brought it together."""
        self.connection.register("block_keys", blocks.keys.to_arrow())
        self.connection.execute(
            f"""CREATE OR REPLACE TABLE pairs AS
            SELECT a.row AS l, b.row AS r, bit_or(1::UBIGINT << a.rule) AS mask
            FROM block_keys a JOIN block_keys b ON a.rule = b.rule AND a.key = b.key AND a.row < b.row
            JOIN {COMPARED} x ON x.{ROW} = a.row JOIN {COMPARED} y ON y.{ROW} = b.row
            WHERE x.{SINGLE} IS NULL OR y.{SINGLE} IS NULL OR x.{SINGLE} <> y.{SINGLE}
            GROUP BY 1, 2"""
        )
        self.connection.unregister("block_keys")

    def sample_pairs(self, most: int) -> None:
        """Make table `training_pairs`: at most about so many of `pairs`, chosen by their rows alone."""
        share = min(1.0, most / max(1, self.count()))
        self.connection.execute(
            f"CREATE OR REPLACE TABLE training_pairs AS SELECT * FROM pairs "
            f"WHERE hash(l * 1000003 + r) % 1000000 < {int(share * 1_000_000)}"
        )

    def count(self, table: str = "pairs") -> int:
        """Return how many rows a table has."""
        found = self.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(found[0])

    def patterns_of_random_pairs(self, comparisons: Sequence[Comparison], rows: int) -> pl.DataFrame:
        """Count level patterns over all pairs of the first rows; rows are numbered at random, so is the sample."""
        self.connection.execute(
            f"""CREATE OR REPLACE TABLE random_pairs AS SELECT a.{ROW} AS l, b.{ROW} AS r, 0::UBIGINT AS mask
            FROM {COMPARED} a, {COMPARED} b WHERE a.{ROW} < b.{ROW} AND b.{ROW} < {int(rows)}
            AND (a.{SINGLE} IS NULL OR b.{SINGLE} IS NULL OR a.{SINGLE} <> b.{SINGLE})"""
        )
        return self.patterns(comparisons, "random_pairs")

    def patterns(self, comparisons: Sequence[Comparison], pairs: str) -> pl.DataFrame:
        """Count level patterns (`gamma_<name>`) and masks of a table of pairs: columns `mask`, `pairs`."""
        numbered = [_numbered(c) for c in comparisons]
        scored = self._predict(numbered, 0.5, pairs, detailed=True)
        levels = ", ".join(f"round(s.mw_{c.name})::INT - 1 AS gamma_{c.name}" for c in comparisons)
        found = self._frame(
            f"SELECT {levels}, p.mask, count(*) AS pairs FROM {scored} s "
            f"JOIN {pairs} p ON p.l = s.{ROW}_l AND p.r = s.{ROW}_r GROUP BY ALL ORDER BY ALL"
        )
        self.connection.execute(f"DROP TABLE {scored}")
        return found

    def weights(self, comparisons: Sequence[Comparison], pairs: str = "pairs") -> pl.DataFrame:
        """Return match weights of pairs, in bits, without the share of matches: columns l, r, weight."""
        scored = self._predict(comparisons, 0.5, pairs, detailed=False)
        found = self._frame(f"SELECT {ROW}_l AS l, {ROW}_r AS r, match_weight AS weight FROM {scored} ORDER BY 1, 2")
        self.connection.execute(f"DROP TABLE {scored}")
        return found

    def details(self, comparisons: Sequence[Comparison], pairs: pl.DataFrame) -> pl.DataFrame:
        """Return what each comparison adds for a few pairs: l, r, `gamma_<name>`, `bits_<name>`."""
        self.use_pairs(pairs, "detailed_pairs")
        added = self._predict(comparisons, 0.5, "detailed_pairs", detailed=True)
        levels = self._predict([_numbered(c) for c in comparisons], 0.5, "detailed_pairs", detailed=True)
        columns = []
        for c in comparisons:
            adjusted = f" + coalesce(a.mw_tf_adj_{c.name}, 0)" if any(level.tf for level in c.levels) else ""
            columns.append(f"round(n.mw_{c.name})::INT - 1 AS gamma_{c.name}, a.mw_{c.name}{adjusted} AS bits_{c.name}")
        found = self._frame(
            f"SELECT a.{ROW}_l AS l, a.{ROW}_r AS r, a.match_weight AS weight, {', '.join(columns)} "
            f"FROM {added} a JOIN {levels} n USING ({ROW}_l, {ROW}_r) ORDER BY 1, 2"
        )
        self.connection.execute(f"DROP TABLE {added}")
        self.connection.execute(f"DROP TABLE {levels}")
        return found

    def use_pairs(self, pairs: pl.DataFrame, table: str) -> None:
        """Make a table of pairs (l, r, mask 0) from a frame."""
        self.connection.register("given_pairs", pairs.select("l", "r").to_arrow())
        self.connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT l, r, 0::UBIGINT AS mask FROM given_pairs")
        self.connection.unregister("given_pairs")

    def _frame(self, query: str) -> pl.DataFrame:
        found = pl.from_arrow(self.connection.sql(query).to_arrow_table())
        assert isinstance(found, pl.DataFrame)
        return found

    def _predict(self, comparisons: Sequence[Comparison], prior: float, pairs: str, *, detailed: bool) -> str:
        from splink import DuckDBAPI, Linker, SettingsCreator

        self._runs += 1
        api = DuckDBAPI(connection=self.connection)
        rows = api.register(self.connection.table(COMPARED), dataset_display_name=f"rows_{self._runs}")
        blocked = api.register(
            self.connection.sql(f"SELECT '0' AS match_key, l AS join_key_l, r AS join_key_r FROM {pairs}")
        )
        settings = SettingsCreator(
            link_type="dedupe_only",
            comparisons=[_settings(c) for c in comparisons],
            unique_id_column_name=ROW,
            probability_two_random_records_match=prior,
            retain_matching_columns=False,
            blocking_rules_to_generate_predictions=[],
            retain_intermediate_calculation_columns=detailed,
            linker_uid="lake",
        )
        linker = Linker(rows, settings, log_level=logging.ERROR, validate_settings=False)
        linker.table_management.register_blocked_pairs_for_predict(blocked)
        return str(linker.inference.predict(warning_mode="never").physical_name)


@contextmanager
def scorer(records: pl.DataFrame, memory: str, threads: int | None = None) -> Iterator[Scorer]:
    """Open a scorer over rows; its spill folder goes when it closes."""
    with tempfile.TemporaryDirectory(prefix="lake-link-") as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory.replace(" ", ""),
            "temp_directory": str(Path(folder)),
            "preserve_insertion_order": False,
        }
        if threads:
            settings["threads"] = threads
        connection = duckdb.connect(":memory:", config=settings)
        try:
            yield Scorer(connection, records)
        finally:
            connection.close()


def frequency_columns(comparisons: Sequence[Comparison]) -> list[str]:
    """Return the columns whose values' frequencies weigh."""
    return sorted({level.tf for c in comparisons for level in c.levels if level.tf})


def _settings(comparison: Comparison) -> dict[str, Any]:
    unknown = {"sql_condition": comparison.missing, "label_for_charts": "unknown", "is_null_level": True}
    levels = [_level(level) for level in comparison.levels]
    return {"output_column_name": comparison.name, "comparison_levels": [unknown, *levels]}


def _numbered(comparison: Comparison) -> Comparison:
    """Return the comparison with weights that are its levels' numbers plus one, 0 for unknown.

    Splink keeps levels only together with the cells compared; asked as weights, no cell is copied.
    """
    best, u = len(comparison.levels) - 1, 2.0**-12
    levels = [
        x.model_copy(update={"m": u * 2.0 ** (best - i + 1), "u": u, "tf": None})
        for i, x in enumerate(comparison.levels)
    ]
    return comparison.model_copy(update={"levels": tuple(levels)})


def _level(level: Level) -> dict[str, Any]:
    made: dict[str, Any] = {
        "sql_condition": level.sql,
        "label_for_charts": level.label,
        "m_probability": level.m,
        "u_probability": level.u,
    }
    if level.tf:
        made |= {"tf_adjustment_column": level.tf, "disable_tf_exact_match_detection": True}
    return made
