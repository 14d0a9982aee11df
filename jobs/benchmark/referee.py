"""The referee: whether engines wrote the same rows, by checksums that do not depend on the order of rows.

A row is its columns as text, joined by `|`, a null as a backslash and N; a table's checksum is the number of its rows,
and the exclusive or and the sum modulo 2^64 of the low halves of the rows' MD5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from jobs.benchmark import tables
from jobs.benchmark.rules import COLUMNS, OUTPUTS

AGREE, DIFFER, ALONE = "AGREE", "DIFFER", "ALONE"
UNREADABLE, NO_ROWS = "cannot be read", f"0 {0:016x} {0:016x}"


@dataclass(frozen=True)
class Verdict:
    """Hold the checksums of one output by engine, and the engines that differ from what most of them wrote."""

    output: str
    checksums: dict[str, str]
    differing: tuple[str, ...]

    @property
    def word(self) -> str:
        """Return AGREE, DIFFER, or ALONE where one engine has nobody to be compared with."""
        if self.differing:
            return DIFFER
        return AGREE if len(self.checksums) > 1 else ALONE


def judge(
    outputs: Mapping[str, Path], cores: int = 2, without: Mapping[str, Collection[str]] | None = None
) -> list[Verdict]:
    """Compare the outputs of engines (name: folder); one verdict for each output.

    `without` names outputs that an engine does not make: those are not asked for.

    What most engines wrote is taken for right; where two checksums have as many engines, all of them differ.
    """
    verdicts = []
    with duckdb.connect() as db:
        db.execute(f"SET threads={cores}; SET preserve_insertion_order=false")
        for output in OUTPUTS:
            found = {
                engine: _checksum(db, folder / output) for engine, folder in outputs.items()
                if output not in (without or {}).get(engine, ())
            }
            verdicts.append(Verdict(output, found, _differing(found)))
    return verdicts


def agreement(verdicts: list[Verdict], engine: str) -> str:
    """Return AGREE, ALONE or DIFFER with the outputs in which one engine differs."""
    wrong = [verdict.output for verdict in verdicts if engine in verdict.differing]
    if wrong:
        return f"{DIFFER}: {', '.join(wrong)}"
    mine = [verdict for verdict in verdicts if engine in verdict.checksums]
    return AGREE if all(verdict.word != ALONE for verdict in mine) else ALONE


def _differing(found: Mapping[str, str]) -> tuple[str, ...]:
    counted = Counter(checksum for checksum in found.values() if checksum != UNREADABLE).most_common(2)
    tied = len(counted) == 2 and counted[0][1] == counted[1][1]
    right = None if not counted or tied else counted[0][0]
    return tuple(engine for engine, checksum in found.items() if checksum != right)


def _checksum(db: duckdb.DuckDBPyConnection, path: Path) -> str:
    if not path.exists():
        return UNREADABLE
    files = _files(path)
    if not files:
        return NO_ROWS
    columns = COLUMNS[path.name]
    row = " || '|' || ".join(f"coalesce({column}::VARCHAR, '\\N')" for column in columns)
    partitioned = "prov" in columns
    partitions = "hive_partitioning=true, hive_types={'prov': VARCHAR}" if partitioned else "hive_partitioning=false"
    try:
        ((rows, mixed, summed),) = db.execute(
            "SELECT count(*), coalesce(bit_xor(h), 0), coalesce(sum(h) % 18446744073709551616::HUGEINT, 0) FROM "
            f"(SELECT md5_number_lower({row}) AS h FROM read_parquet($files, {partitions}))",
            {"files": files},
        ).fetchall()
    except duckdb.Error:
        return UNREADABLE
    return f"{rows} {int(mixed):016x} {int(summed):016x}"


def _files(path: Path) -> list[str]:
    """Return the Parquet files of an output: a Delta table's current ones, a folder's, or the file itself."""
    if path.is_file():
        return [str(path)]
    if (path / "_delta_log").is_dir():
        return tables.files(path)
    return sorted(map(str, path.rglob("*.parquet")))
