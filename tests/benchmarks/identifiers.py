"""Measure how many identifiers one core judges in a second; run by hand, at a quiet moment.

    POLARS_MAX_THREADS=1 python -m tests.benchmarks.identifiers [--rows N]

Invented numbers, seeded; the same 2 % of them spoiled. Two rounds of each case; the better one is the core's speed.
"""

from __future__ import annotations

import argparse
import os
import time
from datetime import date

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import numpy as np
import polars as pl

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import judged
from jobs.rows.identifiers.identification import identify
from jobs.settings import PROJECT
from jobs.synthesis.numbers import credit_codes, resident_ids

ON = date(2026, 3, 2)
PLACES = ("110105", "310115", "440524", "510104", "440401")


def people(rows: int, rng: np.random.Generator) -> pl.Series:
    """Return citizen ID numbers, 2 % with a wrong last character."""
    places = pl.Series(rng.choice(PLACES, rows))
    births = pl.Series((np.datetime64("1950-01-01") + rng.integers(0, 25_000, rows)).astype("datetime64[D]"))
    return _spoiled(resident_ids(places, births, rng.random(rows) < 0.5), rng)


def firms(rows: int, rng: np.random.Generator) -> pl.Series:
    """Return credit codes, 2 % with a wrong last character; a part is made and repeated, shuffled."""
    made = min(rows, 50_000)
    prefixes, places = rng.choice(("91", "92", "93", "51", "12"), made), rng.choice(PLACES, made)
    codes = pl.Series(credit_codes(prefixes.tolist(), places.tolist(), rng.integers(0, 31**6, made)))
    return _spoiled(codes.gather(rng.integers(0, made, rows)), rng)


def _spoiled(numbers: pl.Series, rng: np.random.Generator) -> pl.Series:
    wrong = pl.Series(rng.random(len(numbers)) < 0.02)
    return (numbers.str.slice(0, 17) + "7").zip_with(wrong, numbers)


def main() -> None:
    """Print rows per second of every case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    codes = CodeBook.load(PROJECT / "schemas" / "codes")
    rng = np.random.default_rng(1)
    columns = {"resident_id": people(rows, rng), "credit_code": firms(rows, rng)}
    for kind, values in columns.items():
        cases = {
            "judged": lambda kind=kind, values=values: judged(kind, values, codes, ON),
            "identify, kind given": lambda kind=kind, values=values: identify(values, codes, ON, kind),
            "identify, kind guessed": lambda values=values: identify(values, codes, ON),
        }
        for name, case in cases.items():
            case()
            seconds = []
            for _ in range(2):
                begin = time.process_time()
                case()
                seconds.append(time.process_time() - begin)
            best = min(seconds)
            print(f"{kind:12} {name:24} {rows / best / 1e6:6.2f} M rows/s  ({best:.2f} s of one core)")


if __name__ == "__main__":
    main()
