"""Measure how many distinct values one core makes pseudonyms of: `python tests/benchmarks/pseudonyms.py [--rows N]`.

Prints values per CPU second, the best of three: the whole of `pseudonyms`, its digests alone, and by the library that
is asked where OpenSSL offers no SM3 to Python.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import polars as pl

from jobs.rows.pseudonymisation import by_library, by_openssl, pseudonyms


def main() -> None:
    """Print the rates."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=1_000_000)
    rows, key = asked.parse_args().rows, os.urandom(32)
    values = pl.Series("id", [f"{110105_0000_0000_0000 + 7919 * n:018d}" for n in range(rows)])
    octets = values.cast(pl.Binary).to_list()
    cases = {
        "pseudonyms": lambda: pseudonyms(values, key, "resident_id"),
        "digests by OpenSSL": lambda: by_openssl(octets, key, b"resident_id|"),
        "digests by cryptography": lambda: by_library(octets, key, b"resident_id|"),
    }
    for name, case in cases.items():
        seconds = []
        for _ in range(3):
            begun = time.process_time()
            case()
            seconds.append(time.process_time() - begun)
        print(f"{name:24} {rows / min(seconds) / 1e3:6.0f} k/s of one core ({min(seconds):.2f} s of {rows:,})")


if __name__ == "__main__":
    main()
