"""The benchmark's data set: a register of invented people and three departments' changes, dirt of every kind included.

Deterministic: the same sizes give the same rows. Keys are valid citizen ID numbers (GB 11643-1999) of real counties.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from polars import col

from jobs.benchmark import population as people_of
from jobs.benchmark import tables
from jobs.benchmark.population import Ints, Population, mixed, picked, share
from jobs.benchmark.rules import BATCH_AT, DEPARTMENTS, FIELDS, NARROW, REGISTER, WIDE
from jobs.errors import RequestError

PART_ROWS, GROUP_ROWS = 500_000, 250_000
SHARES = {"ps": 0.4, "ca": 0.2, "hi": 0.4}  # of the change rows
PEOPLE_PER_CHANGE = 0.7  # departments tell much of the same people
DUPLICATES, LATE, NEWCOMERS, MOVED, DIRTY = 0.03, 0.10, 0.07, 0.05, 0.05
DIRT = {  # kind: its share of the dirty keys; the first four can be mended
    "fifteen": 0.25, "spaces": 0.15, "full_width": 0.10, "lower": 0.10, "check": 0.16, "short": 0.08, "letter": 0.04,
    "date": 0.04, "division": 0.04, "null": 0.04,
}
_FIRST_DAY, _DAYS = BATCH_AT - 2190 * 86400, 2190  # the register's values are up to six years old
_TELLERS = {  # who told the register's values: department's code, another's, share of the first
    "name": (1, 1, 1.0), "ethnic": (1, 1, 1.0), "division": (1, 1, 1.0), "address": (1, 3, 0.7), "phone": (3, 1, 0.6),
    "marital": (2, 1, 0.5), "insured": (3, 3, 1.0),
}
_MISSING = {"phone": 0.10, "insured": 0.08, "marital": 0.05, "address": 0.02}


def generate(out: Path, register: int, changes: int, cores: int = 2) -> None:
    """Write a data set of so many people and change rows to a new or empty folder; raise RequestError for another."""
    if register < 1 or changes < 0:
        raise RequestError("a data set needs a register.", remedy="ask for more rows.")
    if out.exists() and any(out.iterdir()):
        raise RequestError("the folder is not empty.", where=str(out), remedy="name another.")
    out.mkdir(parents=True, exist_ok=True)
    people = Population(register)
    people.known.write_parquet(out / "ref_division.parquet", compression="zstd")
    _write(out / "register", register, cores, lambda start, end: register_rows(people, start, end))
    tables.as_table(out / "register")
    for number, (name, part) in enumerate(SHARES.items()):
        rows = max(int(changes * part), int(changes > number))  # of a few changes everybody has some

        def made(start: int, end: int, name: str = name, salt: int = number + 1, rows: int = rows) -> pl.DataFrame:
            return change_rows(people, name, salt, start, end, rows, changes)

        _write(out / f"extract_{name}", rows, cores, made)


def _write(folder: Path, rows: int, cores: int, made: Callable[[int, int], pl.DataFrame]) -> None:
    folder.mkdir()

    def part(start: int) -> None:
        made(start, min(start + PART_ROWS, rows)).write_parquet(
            folder / f"part-{start // PART_ROWS:05d}.parquet", compression="zstd", compression_level=1,
            row_group_size=GROUP_ROWS,
        )

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(part, range(0, max(rows, 1), PART_ROWS)))


def register_rows(people: Population, start: int, end: int) -> pl.DataFrame:
    """Return people `start` to before `end` as the register has them, by key."""
    n = np.arange(start, end)
    keys = people.keys(n)
    order = np.argsort(keys.body)
    n, keys, zero = n[order], keys.ordered(order), np.zeros(len(n), np.int64)
    values = {
        "name": people.names(n), "ethnic": people_of.ethnic_groups(n), "division": people.divisions(keys.county),
        "address": people.addresses(n, keys.county, zero), "phone": people_of.phones(n, zero),
        "marital": people_of.marital_states(n, zero), "insured": people_of.insurances(n, zero),
    }
    columns: dict[str, pl.Series] = {
        "id18": keys.id18, "sex": pl.Series(keys.sex, dtype=pl.Int32), "birth": keys.birth.cast(pl.Date),
    }
    for place, field in enumerate(FIELDS):
        first, second, part = _TELLERS[field]
        there = ~share(n, 60 + place, _MISSING.get(field, 0.0))
        source = np.where(share(n, 50 + place, part), first, second)
        columns[field] = _where(values[field], there)
        columns[f"{field}_src"] = _where(pl.Series(source, dtype=pl.Int32), there)
        columns[f"{field}_ts"] = _where(pl.Series(_day(n, 70 + place)), there)
    columns["version"] = pl.Series(np.ones(len(n)), dtype=pl.Int32)
    columns["valid_from"] = pl.Series(_day(n, 80))
    return pl.DataFrame(columns).select(REGISTER)


def change_rows(
    people: Population, department: str, salt: int, start: int, end: int, rows: int, changes: int
) -> pl.DataFrame:
    """Return rows `start` to before `end` of the `rows` of a department's extract, of a batch of `changes` in all."""
    pool = max(1, int(changes * PEOPLE_PER_CHANGE))
    row = np.arange(start, end)
    own = row + salt * 10**9  # chance of the row; what is drawn by person is the same in all departments
    once = max(1, int(rows * (1 - DUPLICATES)))
    again = row >= once
    first = np.where(again, picked(own, 100, once), row)
    member = (first * _coprime(999_983, pool) + salt * 7_919) % pool
    newcomer = member >= int(pool * (1 - NEWCOMERS))
    scattered = member * _coprime(2_654_435_761, people.size) % people.size
    n: Ints = np.where(newcomer, people.size + member, scattered)
    keys = people.keys(n)
    moved = np.where(share(n, 94, MOVED), picked(n, 95, people.table.height), keys.county)

    def version(part: float, of: int) -> Ints:
        """Return another version of a value for a share of the rows, 0 (as in the register) for the others."""
        changed: Ints = np.where(share(own, of, part), 1 + picked(own, of + 1, 3), 0)
        return changed

    late = _FIRST_DAY + picked(own, 92, (_DAYS - 1) * 86400)
    made: dict[str, Callable[[], pl.Series]] = {
        "name": lambda: people.names(n).zip_with(pl.Series(~share(own, 96, 0.01)), people.names(n, 15)),
        "ethnic": lambda: people_of.ethnic_groups(n),
        "division": lambda: people.divisions(moved),
        "address": lambda: people.addresses(n, moved, version(0.4, 120)),
        "phone": lambda: people_of.phones(n, version(0.3, 122)),
        "marital": lambda: people_of.marital_states(n, version(0.3, 124)),
        "insured": lambda: people_of.insurances(n, version(0.3, 126)),
    }
    columns = {"rec_id": pl.Series(row), "raw_id": _dirtied(keys.id18, own)}
    for place, field in enumerate(DEPARTMENTS[department].fields):
        missing = 0.3 if field == "phone" else 0.02
        columns[field] = _where(made[field](), ~share(own, 130 + place, missing))
    recent = BATCH_AT - 86400 + picked(own, 91, 86400)
    columns["update_ts"] = pl.Series(np.where(share(own, 90, LATE), late, recent))
    return pl.DataFrame(columns)


def _dirtied(keys: pl.Series, own: Ints) -> pl.Series:
    """Return keys as departments write them: a share of them dirty, by kinds."""
    at = np.flatnonzero(share(own, 140, DIRTY))
    bounds = np.cumsum(list(DIRT.values()))
    lot = (mixed(own[at], 141) >> np.uint64(11)).astype(np.float64) / 2**53
    kinds = pl.Series(list(DIRT)).gather(np.minimum(np.searchsorted(bounds, lot, side="right"), len(DIRT) - 1))
    k, last, body = col("k"), col("k").str.slice(17), col("k").str.slice(0, 17)
    written = {
        "fifteen": pl.when(k.str.slice(6, 2) == "19").then(k.str.slice(0, 6) + k.str.slice(8, 9)).otherwise(k),
        "spaces": " " + k.str.slice(0, 6) + "-" + k.str.slice(6) + " ",
        "full_width": k.str.replace_many(list(NARROW[:11]), list(WIDE[:11])),
        "lower": k.str.to_lowercase() + " ",
        "check": pl.when(last == "7").then(body + "8").otherwise(body + "7"),
        "short": body,
        "letter": k.str.slice(0, 9) + "A" + k.str.slice(10),
        "date": k.str.slice(0, 10) + "13" + k.str.slice(12),
        "division": "99" + k.str.slice(2),
        "null": pl.lit(None, pl.String),
    }
    value = pl.coalesce(*(pl.when(col("kind") == kind).then(spelling) for kind, spelling in written.items()))
    dirty = pl.DataFrame({"k": keys.gather(at), "kind": kinds}).select(value.alias("k"))["k"]
    return keys.clone().scatter(at, dirty) if len(at) else keys


def _where(values: pl.Series, there: npt.NDArray[np.bool_]) -> pl.Series:
    return values.zip_with(pl.Series(there), pl.Series([None], dtype=values.dtype))


def _day(n: Ints, salt: int) -> Ints:
    return _FIRST_DAY + picked(n, salt, _DAYS) * 86400


def _coprime(near: int, size: int) -> int:
    """Return the first number from `near` on that visits all of 0 to size - 1 when multiplied."""
    while np.gcd(near, size) != 1:
        near += 1
    return near
