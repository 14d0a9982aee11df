"""A synthetic city: departments' deliveries over some days, and the truth about every row of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import polars as pl

from jobs.errors import RequestError
from jobs.synthesis import departments
from jobs.synthesis.circumstances import Circumstances
from jobs.synthesis.deliveries import DELIVERIES, DEMONSTRATED, Delivery, Departments
from jobs.synthesis.departments import City
from jobs.synthesis.entities import found_entities
from jobs.synthesis.life import live
from jobs.synthesis.people import day, populate
from jobs.synthesis.truth import ROLES

PEOPLE_PER_ENTITY = 15
ALL = tuple(DELIVERIES)
_PEOPLE = ("person", "resident_id", "name", "sex", "birth", "household", "county", "died_on")
_ENTITIES = ("entity", "kind", "credit_code", "name", "county", "established", "representative")


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
    people: int,
    days: int,
    seed: int,
    out: Path,
    codes: Path,
    say: Callable[[str], None] | None = None,
    datasets: Sequence[str] = DEMONSTRATED,
) -> Summary:
    """Write the deliveries to OUT/raw/<department>/ and the truth to OUT/truth/; return the counts.

    The truth is five Parquet tables: `rows` (which row is whose, what is wrong with it, what must become of it:
    accepted, rejected, duplicate or held; `subject`, `other`, `third` and `fourth` are whom the contract's roles speak
    of, in their order), `people`, `organisations`, `withdrawals` (deliveries to be taken back) and `identifiers`
    (everything that may appear in no gold or open table and in no log). The same arguments give the same bytes, and a
    dataset's file is the same whichever others are written. `datasets` are those of the demonstration unless named;
    `ALL` names every one. Raises RequestError for a dataset that is none of the city's.
    """
    for name in datasets:
        if name not in DELIVERIES:
            near = get_close_matches(name, DELIVERIES, n=3, cutoff=0.4)
            remedy = f"did you mean {', '.join(near)}?" if near else f"the city has {', '.join(DELIVERIES)}."
            raise RequestError(f"the city makes no deliveries of {name!r}.", remedy=remedy)
    chosen = set(datasets)
    wanted = {name: place for place, name in enumerate(DELIVERIES) if name in chosen}
    city, told = make(people, days, seed, codes), []
    known = Departments(Circumstances(city, seed, codes))
    for number in range(1, days + 1):
        for dataset, place in wanted.items():
            delivery, chance = DELIVERIES[dataset], np.random.default_rng([seed, 2, number, place])
            rows = delivery.rows(known, number, chance)
            path = out / "raw" / f"{dataset}_{day(number):%Y%m%d}.{delivery.ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            delivery.write(rows.select([name for name in rows.columns if not name.startswith("_")]), path)
            told.append(_truth(rows, dataset, path.name, delivery))
        if say:
            say(f"day {number} of {days} written")
    truth = pl.concat(told)
    target = out / "truth"
    target.mkdir(parents=True, exist_ok=True)
    withdrawn = truth.filter(pl.col("dirt") == "withdrawn").select("dataset", "file").unique().sort("dataset", "file")
    residents, entities = _everybody(known, chosen)
    for name, table in {
        "rows": truth,
        "people": residents.select(_PEOPLE),
        "organisations": entities.select(_ENTITIES),
        "withdrawals": withdrawn,
        "identifiers": _identifiers(city, residents, entities),
    }.items():
        table.write_parquet(target / f"{name}.parquet")
    return Summary(residents.height, entities.height, len(told), truth.height)


def _truth(rows: pl.DataFrame, dataset: str, file: str, delivery: Delivery) -> pl.DataFrame:
    inner = f"/{delivery.inner}" if delivery.inner else ""
    return rows.select(
        dataset=pl.lit(dataset),
        file=pl.lit(f"{file}{inner}"),  # as the lake names a packed file
        source_row=pl.int_range(delivery.first, pl.len() + delivery.first),
        **{role: pl.col(f"_{role}").cast(pl.String) for role in ROLES},
        story="_story",
        dirt="_dirt",
        expected="_expected",
    )


def _everybody(known: Departments, chosen: set[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the people and entities whom some of the chosen deliveries speak of."""
    of, residents, entities = known.of, [known.city.people], [known.city.entities]
    if "public_security/residence_permits" in chosen:
        residents.append(of.incomers)
    if "agriculture/village_collectives" in chosen:
        entities.append(of.collectives)
    if chosen & {"taxation/taxpayers", "development_reform/administrative_licences",
                 "development_reform/administrative_penalties", "development_reform/administrative_penalties_2016"}:
        entities.append(of.traders)
    return pl.concat(residents, how="diagonal_relaxed"), pl.concat(entities, how="diagonal_relaxed")


def _identifiers(city: City, people: pl.DataFrame, entities: pl.DataFrame) -> pl.DataFrame:
    """Return every identifier planted in the deliveries, each once."""
    numbers = people["resident_id"]
    parts = {
        "resident_id": numbers,
        "resident_id_15": numbers.filter(numbers.str.slice(6, 2) == "19").str.replace(r"^(.{6})19(.{9}).$", "${1}${2}"),
        "credit_code": entities["credit_code"],
        "phone": pl.concat([city.events["phone"], people["phone"]]),
    }
    found = [pl.DataFrame({"kind": [kind] * len(values), "value": values}) for kind, values in parts.items()]
    return pl.concat(found).filter(pl.col("value") != "").unique().sort("kind", "value")
