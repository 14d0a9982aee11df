"""Time the risk of 10 million rows: `python tests/benchmarks/risk.py [ROWS] [--compare PYTHON]`.

Six quasi-identifiers, one sensitive column, invented. Prints seconds and peak memory of this process. `--compare`
names a Python that has pyCANON; it is given the first 10,000 rows (its cost grows with classes times rows).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from jobs.privacy.risk.measure import measure
from jobs.storage.undeclared import scan

QUASI = ["sex", "birth_year", "division_code", "education", "marital_status", "industry_code"]
OTHER = """
import sys, time, pandas as pd
from pycanon import anonymity
rows, quasi, sensitive = pd.read_csv(sys.argv[1]), sys.argv[2].split(","), ["disease"]
started = time.perf_counter()
anonymity.k_anonymity(rows, quasi)
anonymity.alpha_k_anonymity(rows, quasi, sensitive)
anonymity.entropy_l_diversity(rows, quasi, sensitive)
anonymity.recursive_c_l_diversity(rows, quasi, sensitive)
anonymity.t_closeness(rows, quasi, sensitive)
anonymity.basic_beta_likeness(rows, quasi, sensitive)
anonymity.delta_disclosure(rows, quasi, sensitive)
print(f"pyCANON: 10,000 rows in {time.perf_counter() - started:.1f} s")
"""


def invented(rows: int, seed: int = 1) -> pl.DataFrame:
    """Make rows with the spread of a city's people: skewed places and trades, years by a wide curve."""
    draw = np.random.default_rng(seed)
    places = [f"{code:06d}" for code in range(330100, 330200)]
    return pl.DataFrame(
        {
            "sex": draw.choice(["1", "2"], rows),
            "birth_year": np.clip(draw.normal(1980, 20, rows), 1920, 2024).astype(np.int32),
            "division_code": np.array(places)[np.minimum(draw.zipf(1.5, rows), 100) - 1],
            "education": draw.choice([f"{i}0" for i in range(1, 10)], rows),
            "marital_status": draw.choice(["10", "20", "30", "40"], rows, p=[0.3, 0.6, 0.05, 0.05]),
            "industry_code": draw.choice(list("ABCDEFGHIJKLMNOPQRST"), rows),
            "disease": np.array([f"J{i:02d}" for i in range(100)])[np.minimum(draw.zipf(1.3, rows), 100) - 1],
        }
    )


def main() -> None:
    """Make the file, measure it, print what it took."""
    asked = argparse.ArgumentParser()
    asked.add_argument("rows", nargs="?", type=int, default=10_000_000)
    asked.add_argument("--compare")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        invented(given.rows).write_parquet(file)
        made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        found = measure(scan(file), QUASI, ["disease"])
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"{given.rows:,} rows, {found['classes']:,} classes: {seconds:.1f} s, peak {peak / 2**20:.1f} GiB "
              f"(making the file took {made / 2**20:.1f})")
        print({name: found[name] for name in ("k", "uniques", "special_uniques", "t")})
        if given.compare:
            few = Path(folder) / "rows.csv"
            scan(file).head(10_000).collect().write_csv(few)
            started = time.perf_counter()
            measure(scan(few), QUASI, ["disease"])
            print(f"lake: 10,000 rows in {time.perf_counter() - started:.2f} s")
            subprocess.run([given.compare, "-c", OTHER, str(few), ",".join(QUASI)], check=True)


if __name__ == "__main__":
    main()
