"""A synthetic city: departments' deliveries over some days, and the truth about every row of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from jobs.synthesis import departments, files
from jobs.synthesis.departments import City
from jobs.synthesis.entities import found_entities
from jobs.synthesis.life import live
from jobs.synthesis.people import day, populate

PEOPLE_PER_ENTITY = 15

# dataset: who makes its rows, how a file ends, who writes it
DELIVERIES: dict[str, tuple[Callable[..., pl.DataFrame], str, files.Writer]] = {
    "public_security/household_register": (departments.household_register, "csv", files.write_csv),
    "civil_affairs/deaths": (departments.deaths, "jsonl", files.write_json_lines),
    "civil_affairs/marriage_registrations": (departments.marriage_registrations, "xlsx", files.write_workbook),
    "civil_affairs/social_organisations": (departments.social_organisations, "tsv", files.write_tsv),
    "social_security/social_insurance": (departments.social_insurance, "sqlite", files.write_database),
    "market_regulation/enterprise_registrations": (departments.enterprise_registrations, "csv", files.write_plain_csv),
}


@dataclass(frozen=True)
class Summary:
    """Count what was written."""

    people: int
    entities: int
    files: int
    rows: int

    def __str__(self) -> str:
        return f"{self.people} people, {self.entities} entities: {self.rows} rows in {self.files} files."


def make(people: int, days: int, seed: int, codes: Path) -> City:
    """Return a city of about `people` residents with `days` days of life; the same for the same arguments."""
    chance = np.random.default_rng([seed, 1])
    residents, events = live(chance, populate(chance, people, codes), days, codes)
    living = residents.filter(pl.col("died_on").is_null() & ~pl.col("person").str.starts_with("9"))
    count = max(30, people // PEOPLE_PER_ENTITY)
    new = max(2, count // 300) * max(0, days - 1)
    entities = found_entities(chance, living, count + new)
    old, fresh = entities.head(count), entities.tail(new)
    return City(
        people=residents,
        events=events,
        couples=departments.couples(chance, residents, days),
        jobs=departments.jobs_of(chance, residents.filter(~pl.col("person").str.starts_with("9")), old),
        entities=entities,
        entity_events=departments.entity_events(chance, old, fresh, days),
        days=days,
    )


def write(
    people: int, days: int, seed: int, out: Path, codes: Path, say: Callable[[str], None] | None = None
) -> Summary:
    """Write the deliveries to OUT/raw/<department>/ and the truth to OUT/truth/; return the counts.

    The truth is five Parquet tables: `rows` (which row is whose, what is wrong with it, what must become of it:
    accepted, rejected, duplicate or held), `people`, `organisations`, `withdrawals` (deliveries to be taken back) and
    `identifiers` (everything that may appear in no gold or open table and in no log). The same arguments give the
    same bytes.
    """
    city, told = make(people, days, seed, codes), []
    for number in range(1, days + 1):
        for place, (dataset, (rows_of, ending, writer)) in enumerate(DELIVERIES.items()):
            chance = np.random.default_rng([seed, 2, number, place])
            rows = rows_of(city, number, chance)
            path = out / "raw" / f"{dataset}_{day(number):%Y%m%d}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            writer(rows.select([name for name in rows.columns if not name.startswith("_")]), path)
            told.append(_truth(rows, dataset, path.name, files.FIRST_ROW[ending]))
        if say:
            say(f"day {number} of {days} written")
    truth = pl.concat(told)
    target = out / "truth"
    target.mkdir(parents=True, exist_ok=True)
    withdrawn = truth.filter(pl.col("dirt") == "withdrawn").select("dataset", "file").unique().sort("dataset", "file")
    for name, table in {
        "rows": truth,
        "people": city.people.select("person", "resident_id", "name", "sex", "birth", "household", "county", "died_on"),
        "organisations": city.entities.select(
            "entity", "kind", "credit_code", "name", "county", "established", "representative"
        ),
        "withdrawals": withdrawn,
        "identifiers": _identifiers(city),
    }.items():
        table.write_parquet(target / f"{name}.parquet")
    return Summary(city.people.height, city.entities.height, len(told), truth.height)


def _truth(rows: pl.DataFrame, dataset: str, file: str, first: int) -> pl.DataFrame:
    return rows.select(
        dataset=pl.lit(dataset),
        file=pl.lit(file),
        source_row=pl.int_range(first, pl.len() + first),
        subject="_subject",
        other=pl.col("_other").cast(pl.String),
        story="_story",
        dirt="_dirt",
        expected="_expected",
    )


def _identifiers(city: City) -> pl.DataFrame:
    """Return every identifier planted in the deliveries, each once."""
    people, entities = city.people, city.entities
    numbers = people["resident_id"]
    parts = {
        "resident_id": numbers,
        "resident_id_15": numbers.filter(numbers.str.slice(6, 2) == "19").str.replace(r"^(.{6})19(.{9}).$", "${1}${2}"),
        "credit_code": entities["credit_code"],
        "phone": pl.concat([city.events["phone"], people["phone"]]),
    }
    found = [pl.DataFrame({"kind": [kind] * len(values), "value": values}) for kind, values in parts.items()]
    return pl.concat(found).filter(pl.col("value") != "").unique().sort("kind", "value")
