"""Invented people by number: person n has the same key and values whoever asks, so that any slice can be made alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.benchmark.rules import CHECKS, WEIGHTS
from jobs.settings import PROJECT
from jobs.synthesis.names import GIVEN_MEN, GIVEN_WOMEN, SURNAMES

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

PEOPLE_PER_COUNTY = 400  # of small registers, so that some groups of the export are large enough
FEWEST_COUNTIES = 12
SEQUENCES = 999
_DAYS = np.arange(np.datetime64("1940-01-01"), np.datetime64("2025-07-01"))
_STEP = 19_937  # without a common divisor with the number of days, so that it visits each
_SALT = 0x9E3779B97F4A7C15
_CHECK = pl.Series(list(CHECKS))
_SURNAMES, _GIVEN = pl.Series(SURNAMES), pl.Series([*GIVEN_MEN, *GIVEN_WOMEN])
_SECOND = pl.Series([*GIVEN_MEN, *GIVEN_WOMEN, *[""] * 30])
_ROADS = pl.Series([f"{a}{b}{c}" for a in GIVEN_MEN[:20] for b in GIVEN_WOMEN[:9] for c in ("路", "街", "大道")])
_NUMBERS = pl.Series([f"{n}号" for n in range(1, 1000)])
_ROOMS = pl.Series([f"{b}幢{f}0{r}室" for b in range(1, 16) for f in range(1, 19) for r in range(1, 5)])
_PHONES = np.array([130, 131, 135, 136, 137, 138, 139, 150, 151, 158, 159, 177, 180, 186, 188, 189, 199], np.int64)
_ETHNIC = pl.Series([f"{n:02d}" for n in range(1, 57)])
_MARITAL, _INSURED = pl.Series(["10", "20", "30", "40", "90"]), pl.Series(["0", "1", "2", "3"])


def mixed(numbers: Ints, salt: int) -> Words:
    """Return 64 bits of chance for each number and a salt (the finaliser of MurmurHash3)."""
    with np.errstate(over="ignore"):
        bits = numbers.astype(np.uint64) * np.uint64(_SALT) + np.uint64((salt + 1) * 0xD6E8FEB86659FD93 % 2**64)
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            bits ^= bits >> np.uint64(33)
            bits *= np.uint64(factor)
        bits ^= bits >> np.uint64(33)
    return bits


def picked(numbers: Ints, salt: int, count: int) -> Ints:
    """Return one of 0 to count - 1 for each number."""
    found: Ints = (mixed(numbers, salt) % np.uint64(count)).astype(np.int64)
    return found


def share(numbers: Ints, salt: int, of: float) -> npt.NDArray[np.bool_]:
    """Return True for a share of the numbers."""
    found: npt.NDArray[np.bool_] = mixed(numbers, salt) < np.uint64(min(int(of * 2**64), 2**64 - 1))
    return found


def chosen(pool: pl.Series, numbers: Ints, salt: int) -> pl.Series:
    """Return a pool's value for each number."""
    return pool.gather(picked(numbers, salt, len(pool)))


def counties() -> pl.DataFrame:
    """Return the counties of today: division (six digits), name."""
    table = pl.read_csv(PROJECT / "schemas" / "codes" / "division.csv", infer_schema_length=0)
    today = table.filter((pl.col("level") == "county") & pl.col("valid_to").is_null() & (pl.col("code") < "700000"))
    named = today.select(division="code", name=pl.col("parent_zh") + pl.col("label_zh"))
    return named.unique("division").sort("division")


@dataclass(frozen=True)
class Keys:
    """Hold people's keys: id18, the county's number, sex (1, 2) and birth."""

    id18: pl.Series
    county: Ints
    sex: Ints
    birth: pl.Series
    body: Ints

    def ordered(self, order: Ints) -> Keys:
        """Return them in another order."""
        return Keys(
            self.id18.gather(order), self.county[order], self.sex[order], self.birth.gather(order), self.body[order]
        )


class Population:
    """A register's people 0 to size - 1, county by county, and newcomers beyond."""

    def __init__(self, size: int) -> None:
        """Spread people over counties of very unequal size, over few counties where they are few."""
        table = counties()
        count = min(table.height, max(FEWEST_COUNTIES, size // PEOPLE_PER_COUNTY))
        self.size = size
        self.known = table
        self.table = table.gather_every(max(1, table.height // count)).head(count)
        self.codes: Ints = self.table["division"].cast(pl.Int64).to_numpy()
        weights = np.exp(2.4 * (mixed(self.codes, 1) >> np.uint64(11)).astype(np.float64) / 2**53)
        self.ends: Ints = np.floor(np.cumsum(weights) / weights.sum() * size + 0.5).astype(np.int64)
        self.starts: Ints = np.concatenate(([0], self.ends[:-1])).astype(np.int64)

    def keys(self, people: Ints) -> Keys:
        """Return the keys of people; no two numbers have one key."""
        home = np.where(people < self.size, people, picked(people, 2, self.size))  # newcomers go where people are
        county = np.searchsorted(self.ends, home, side="right").astype(np.int64)
        # Newcomers of a county stand behind its people of the register.
        nth = np.where(people < self.size, people, people + (self.ends - self.starts)[county]) - np.where(
            people < self.size, self.starts[county], self.size
        )
        day, round_ = nth * _STEP % len(_DAYS), nth // len(_DAYS)
        sequence = (round_ + picked(day * 4096 + county, 3, SEQUENCES)) % SEQUENCES + 1
        dates = _DAYS[day]
        months = dates.astype("datetime64[M]")
        years = dates.astype("datetime64[Y]")
        digits = (
            (years.astype(np.int64) + 1970) * 10000 + ((months - years).astype(np.int64) + 1) * 100
            + (dates - months).astype(np.int64) + 1
        )  # fmt: skip
        body: Ints = self.codes[county] * 10**11 + digits * 1000 + sequence
        total = np.zeros(len(body), np.int64)
        for place, weight in enumerate(WEIGHTS):
            total += body // 10 ** (16 - place) % 10 * weight
        id18 = pl.Series(body).cast(pl.String) + _CHECK.gather(total % 11)
        return Keys(id18, county, np.where(sequence % 2 == 1, 1, 2), pl.Series(dates), body)

    def names(self, people: Ints, salt: int = 10) -> pl.Series:
        """Return full names; another salt gives a person another name."""
        first, second = chosen(_GIVEN, people, salt + 1), chosen(_SECOND, people, salt + 2)
        frequent = np.minimum(picked(people, salt, len(_SURNAMES)), picked(people, salt + 3, len(_SURNAMES)))
        return _joined(_SURNAMES.gather(frequent), first, second)

    def addresses(self, people: Ints, county: Ints, version: Ints) -> pl.Series:
        """Return addresses; each version is another one."""
        at = people * 8 + version
        return _joined(
            self.table["name"].gather(county), chosen(_ROADS, at, 20), chosen(_NUMBERS, at, 21), chosen(_ROOMS, at, 22)
        )

    def divisions(self, county: Ints) -> pl.Series:
        """Return counties' codes."""
        return self.table["division"].gather(county)


def phones(people: Ints, version: Ints) -> pl.Series:
    """Return mobile numbers; each version is another one."""
    at = people * 8 + version
    return pl.Series(_PHONES[picked(at, 30, len(_PHONES))] * 10**8 + picked(at, 31, 10**8)).cast(pl.String)


def ethnic_groups(people: Ints) -> pl.Series:
    """Return codes of ethnic groups, 01 for nine in ten."""
    return _ETHNIC.gather(np.where(share(people, 40, 0.91), 0, picked(people, 41, len(_ETHNIC))))


def marital_states(people: Ints, version: Ints) -> pl.Series:
    """Return codes of marital status."""
    return chosen(_MARITAL, people * 8 + version, 42)


def insurances(people: Ints, version: Ints) -> pl.Series:
    """Return codes of health insurance."""
    return chosen(_INSURED, people * 8 + version, 43)


def _joined(*parts: pl.Series) -> pl.Series:
    return pl.select(pl.concat_str(*parts)).to_series()
