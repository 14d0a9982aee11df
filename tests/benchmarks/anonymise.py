"""Time the safe generalisation of 10 million rows: `python tests/benchmarks/anonymise.py [ROWS]`.

The rows of `risk.py`: six quasi-identifiers with hierarchies of two to five levels (1,080 nodes) and one sensitive
column. Each criterion is a process of its own; prints wall and CPU seconds, peak memory, and what the search found.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobs.privacy.generalisation.anonymise import generalise
from jobs.privacy.generalisation.hierarchies import Hierarchy
from jobs.privacy.generalisation.lattice import Criteria
from jobs.storage.undeclared import scan
from tests.benchmarks.risk import QUASI, invented

CRITERIA = {"k = 20": Criteria(20), "k = 5, l = 2": Criteria(5, 2)}


def hierarchies() -> dict[str, Hierarchy]:
    """Return a hierarchy of each quasi-identifier, all of whose tops say nothing."""
    years, places = [str(year) for year in range(1900, 2031)], [f"{code:06d}" for code in range(330100, 330200)]
    trades, schools = list("ABCDEFGHIJKLMNOPQRST"), [f"{i}0" for i in range(1, 10)]

    def band(width: int) -> Callable[[str], str]:
        return lambda year: f"{int(year) // width * width}-{int(year) // width * width + width - 1}"

    return {
        "sex": _hierarchy("sex", ["1", "2"]),
        "birth_year": _hierarchy("birth_year", years, band(5), band(10), band(20)),
        "division_code": _hierarchy("division_code", places, lambda code: code[:5], lambda code: code[:4]),
        "education": _hierarchy("education", schools, lambda code: "low" if code < "50" else "high"),
        "marital_status": _hierarchy(
            "marital_status", ["10", "20", "30", "40"], lambda code: min("30", code)
        ),
        "industry_code": _hierarchy("industry_code", trades, lambda code: "A" if code == "A" else min("G", code)),
    }


def _hierarchy(column: str, values: list[str], *steps: Callable[[str], str]) -> Hierarchy:
    levels = [tuple(values), *(tuple(map(step, values)) for step in steps), ("*",) * len(values)]
    return Hierarchy(column, tuple(levels))


def one(file: Path, name: str) -> None:
    """Generalise the file for one criterion and print what it took."""
    criteria = CRITERIA[name]
    own, other = (["disease"], []) if criteria.l > 1 else ([], ["disease"])
    wall, cpu = time.perf_counter(), time.process_time()
    report = generalise(scan(file), QUASI, hierarchies(), criteria, sensitive=own, keep=other).report
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    found = report["search"]
    print(
        f"{name}: {report['n']:,} rows, {wall:.1f} s, {cpu:.1f} CPU s, peak {peak:.1f} GiB; levels {report['levels']}, "
        f"{report['suppression']:.2%} left out, {found['evaluated']} of {found['lattice']} nodes, "
        f"optimal: {found['optimal']}"
    )


def main() -> None:
    """Make the file, and generalise it for each criterion."""
    asked = argparse.ArgumentParser()
    asked.add_argument("rows", nargs="?", type=int, default=10_000_000)
    rows, fresh = asked.parse_args().rows, multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        invented(rows).write_parquet(file)
        for name in CRITERIA:
            process = fresh.Process(target=one, args=(file, name))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
