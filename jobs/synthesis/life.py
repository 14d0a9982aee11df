"""What happens to the city's people: births, moves, corrections and deaths, as the registers hear of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.synthesis.names import full_names
from jobs.synthesis.numbers import resident_ids
from jobs.synthesis.people import BASE, counties, day

DEAD_BACKLOG = 0.05  # of the people ever registered, over the last five years
MOVED_BACKLOG = 0.06
A_DAY = {"born": 0.0004, "moved": 0.001, "corrected": 0.002, "died": 0.0005}
LATE = 0.2  # of a day's changes are delivered a day later


def live(
    chance: np.random.Generator, people: pl.DataFrame, days: int, codes: Path
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the people, newborns included and with `died_on`, and the household register's changes.

    Changes have one row per registration: deliver_day (counted from 1), person, change, county, previous, address,
    phone, registered, story (late, corrected or empty).
    """
    old = people["birth"].dt.year().to_numpy() < BASE.year - 50
    weight = np.where(old, (BASE.year - people["birth"].dt.year().to_numpy()) ** 3.0, 0.0)
    dead = np.zeros(people.height, dtype=bool)
    dead[chance.choice(people.height, int(people.height * DEAD_BACKLOG), replace=False, p=weight / weight.sum())] = True
    ago = chance.integers(6, 365 * 5, people.height)
    died = pl.Series("died_on", np.where(dead, np.datetime64(BASE) - ago, np.datetime64("NaT"))).cast(pl.Date)
    people = people.with_columns(died)
    places = counties(codes)
    moved = ~dead & (chance.random(people.height) < MOVED_BACKLOG)
    backlog = people.select(
        pl.lit(1).alias("deliver_day"),
        "person",
        pl.Series("change", np.where(dead, "注销", np.where(moved, "迁入", "登记"))),
        "county",
        pl.Series("previous", np.where(moved, _elsewhere(chance, people, places), "")),
        "address",
        "phone",
        pl.when(pl.col("died_on").is_not_null())
        .then(pl.col("died_on").dt.offset_by("5d"))
        .otherwise("registered")
        .alias("registered"),
        pl.lit("").alias("story"),
    )
    newborn, changes = _newborn(chance, people.filter(~pl.Series(dead)), days), [backlog]
    alive = np.flatnonzero(~dead)
    for number in range(2, days + 1):
        counts = {kind: max(3, int(people.height * share)) for kind, share in A_DAY.items()}
        chosen = chance.choice(alive, sum(counts.values()) - counts["born"], replace=False)
        ends = np.cumsum([counts["moved"], counts["corrected"]])
        moving, corrected, dying = np.split(chosen, ends)
        alive = np.setdiff1d(alive, dying)
        people, day_changes = _day(chance, people, places, number, moving, corrected, dying)
        changes += [day_changes, _births(newborn, number)]
    events = pl.concat(changes, how="vertical_relaxed")
    late = (events["deliver_day"] > 1) & (events["deliver_day"] < days) & pl.Series(chance.random(events.height) < LATE)
    events = events.with_columns(
        deliver_day=pl.col("deliver_day") + late.cast(pl.Int32),
        story=pl.when(late).then(pl.lit("late")).otherwise("story"),
    )
    return pl.concat([people, newborn.drop("born_day")]), events.sort("deliver_day", maintain_order=True)


def _day(
    chance: np.random.Generator,
    people: pl.DataFrame,
    places: pl.DataFrame,
    number: int,
    moving: npt.NDArray[np.int64],
    corrected: npt.NDArray[np.int64],
    dying: npt.NDArray[np.int64],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the people after one day, and the day's changes."""
    rows = people.with_row_index("at")
    to = _elsewhere(chance, people[moving.tolist()], places)
    names = dict(places.select("code", "label_zh").iter_rows())
    county, address, phone = (people[name].to_list() for name in ("county", "address", "phone"))
    previous = [""] * people.height
    for at, new in zip(moving.tolist(), to.tolist(), strict=True):
        previous[at] = county[at]
        address[at] = address[at].replace(names[county[at]], names[new])
        county[at] = new
    for at, last in zip(corrected.tolist(), chance.integers(0, 10**8, len(corrected)).tolist(), strict=True):
        phone[at] = f"170{last:08d}"
    people = people.with_columns(
        pl.Series("county", county),
        pl.Series("address", address),
        pl.Series("phone", phone),
        died_on=pl.when(rows["at"].is_in(dying.tolist()))
        .then(pl.lit(day(number) - timedelta(days=1)))
        .otherwise("died_on"),
    )
    told = []
    for which, change, story in ((moving, "迁入", ""), (corrected, "变更", "corrected"), (dying, "注销", "")):
        told.append(
            people[which.tolist()].select(
                pl.lit(number).alias("deliver_day"),
                "person",
                pl.lit(change).alias("change"),
                "county",
                pl.Series("previous", [previous[at] for at in which.tolist()], pl.String),
                "address",
                "phone",
                pl.lit(day(number)).alias("registered"),
                pl.lit(story).alias("story"),
            )
        )
    return people, pl.concat(told, how="vertical_relaxed")


def _newborn(chance: np.random.Generator, people: pl.DataFrame, days: int) -> pl.DataFrame:
    """Return the children born in the city's days, with the day their birth is registered."""
    heads = people.filter((pl.col("relationship") == "户主") & pl.col("birth").dt.year().is_between(1976, 2003))
    number = max(3, int(people.height * A_DAY["born"])) * max(0, days - 1)
    homes: pl.DataFrame = heads[chance.integers(0, heads.height, number).tolist()]
    born_day = pl.Series("born_day", np.repeat(np.arange(2, days + 1), number // max(1, days - 1)), pl.Int32)
    births = pl.Series(
        "birth",
        [day(n) - timedelta(days=int(ago)) for n, ago in zip(born_day, chance.integers(1, 20, number), strict=True)],
        pl.Date,
    )
    male = chance.random(number) < 0.52
    family = homes["name"].str.slice(0, 1).to_numpy().astype(str)
    return homes.with_columns(
        pl.Series("person", [f"9{at:07d}" for at in range(number)], pl.String),
        pl.Series("relationship", np.where(male, "子", "女"), pl.String),
        pl.Series("sex", np.where(male, "男", "女"), pl.String),
        births,
        resident_ids(homes["county"], births, male).alias("resident_id"),
        full_names(chance, family, male).alias("name"),
        pl.lit("未婚").alias("marital"),
        pl.lit("").alias("phone"),
        pl.lit(None, pl.Date).alias("died_on"),
        born_day,
        pl.Series("registered", [day(int(n)) for n in born_day], pl.Date),
    )


def _births(newborn: pl.DataFrame, number: int) -> pl.DataFrame:
    return newborn.filter(pl.col("born_day") == number).select(
        pl.lit(number).alias("deliver_day"),
        "person",
        pl.lit("登记").alias("change"),
        "county",
        pl.lit("").alias("previous"),
        "address",
        "phone",
        "registered",
        pl.lit("").alias("story"),
    )


def _elsewhere(chance: np.random.Generator, people: pl.DataFrame, places: pl.DataFrame) -> npt.NDArray[np.str_]:
    """Return for each person a county of the city that is not their own."""
    names = places["code"].to_numpy().astype(str)
    at = np.searchsorted(names, people["county"].to_numpy().astype(str))
    found: npt.NDArray[np.str_] = names[(at + chance.integers(1, len(names), people.height)) % len(names)]
    return found
