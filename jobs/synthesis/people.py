"""The city's people: households with heads, spouses, children and parents, all invented."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from jobs.synthesis.names import full_names, surnames
from jobs.synthesis.numbers import resident_ids

BASE = date(2026, 3, 2)
PREFECTURE, PROVINCE, CITY = "331100", "浙江省", "丽水市"
_WEIGHTS = np.array([24, 16, 14, 8, 8, 5, 7, 6, 12], dtype=float)


def counties(codes: Path) -> pl.DataFrame:
    """Return the prefecture's counties in force with, per county, the codes it had before (GB/T 2260)."""
    table = pl.read_csv(codes / "division.csv", infer_schema=False)
    now = table.filter(
        pl.col("code").str.starts_with(PREFECTURE[:4]) & (pl.col("level") == "county") & pl.col("valid_to").is_null()
    )
    former = table.filter(pl.col("level") == "county").select(
        pl.col("code").alias("former"),
        "valid_from",
        "valid_to",
        pl.col("successors").str.replace_all(r"\[\d+\]", "").str.split(";").alias("code"),
    )
    former = former.explode("code").join(now.select("code"), on="code", how="semi").sort("code", "valid_from")
    before = former.group_by("code").agg(pl.col("former").last(), pl.col("valid_to").last().alias("until"))
    return now.select("code", "label_zh").join(before, on="code", how="left", maintain_order="left").sort("code")


def populate(chance: np.random.Generator, count: int, codes: Path, first: int = 0) -> pl.DataFrame:
    """Return `count` invented people in households, numbered from `first`.

    Columns: person, household, relationship, sex, birth, county, code_at_assignment, resident_id, name, phone, address,
    marital, ethnic, registered.
    """
    places = counties(codes)
    homes = count  # more than enough; cut below
    size_spouse = chance.random(homes) < 0.72
    children = np.minimum(chance.poisson(0.95, homes), 3)
    parent = chance.random(homes) < 0.22
    sizes = 1 + size_spouse + children + parent
    homes = int(np.searchsorted(np.cumsum(sizes), count)) + 1
    size_spouse, children, parent = size_spouse[:homes], children[:homes], parent[:homes]
    head_age = np.clip(chance.normal(49, 14, homes), 23, 92)
    home = np.arange(homes)
    county = chance.choice(places.height, homes, p=(_WEIGHTS / _WEIGHTS.sum())[: places.height])
    family = surnames(chance, homes)
    kids = np.repeat(home, children)
    heads_are_men = chance.random(homes) < 0.7
    parts = [
        (home, "户主", head_age, heads_are_men),
        (home[size_spouse], "配偶", head_age[size_spouse] + chance.normal(-1, 3, int(size_spouse.sum())), None),
        (kids, "子女", head_age[kids] - chance.normal(27, 4, len(kids)), chance.random(len(kids)) < 0.52),
        (
            home[parent],
            "父母",
            head_age[parent] + chance.normal(26, 4, int(parent.sum())),
            chance.random(int(parent.sum())) < 0.4,
        ),
    ]
    frames = []
    for of, relation, age, male in parts:
        is_male = ~heads_are_men[of] if male is None else male
        relation_column = np.where(is_male, "子", "女") if relation == "子女" else np.full(len(of), relation)
        keeps = relation in ("户主", "子女")
        frames.append(
            pl.DataFrame(
                {
                    "home": of,
                    "relationship": relation_column,
                    "age": np.clip(age, 0.1, 98.0),
                    "male": is_male,
                    "family": np.where(keeps, family[of], surnames(chance, len(of))),
                }
            )
        )
    people = pl.concat(frames).sort("home", maintain_order=True).head(count)
    male = people["male"].to_numpy()
    days = (people["age"].to_numpy() * 365.25).astype(np.int64) + chance.integers(0, 300, count)
    births = pl.Series(np.datetime64(BASE) - days).cast(pl.Date)
    of = people["home"].to_numpy()
    codes_now, former = places["code"].to_numpy(), places["former"].fill_null("").to_numpy()
    until = places["until"].cast(pl.Int64).fill_null(0).to_numpy()
    old = (births.dt.year().to_numpy() < until[county[of]]) & (former[county[of]] != "")
    assigned = pl.Series(np.where(old, former[county[of]], codes_now[county[of]]).astype(str))
    streets = chance.integers(1, 60, homes)
    names = full_names(chance, people["family"].to_numpy().astype(str), male)
    adult = people["age"].to_numpy() >= 22
    coupled = np.isin(of, home[size_spouse]) & np.isin(people["relationship"].to_numpy(), ["户主", "配偶"])
    marital = np.select(
        [coupled, ~adult, people["age"].to_numpy() > 70],
        ["已婚", "未婚", "丧偶"],
        chance.choice(np.array(["未婚", "离婚", "已婚"]), count, p=[0.7, 0.2, 0.1]),
    )
    age_days = np.minimum(days, 365 * 30)
    registered = np.datetime64(BASE) - np.minimum(chance.integers(1, 365 * 30, count), np.maximum(age_days - 1, 1))
    return pl.DataFrame(
        {
            "person": pl.Series(np.arange(first, first + count)).cast(pl.String).str.zfill(8),
            "household": pl.Series(of + first).cast(pl.String).str.zfill(8).cast(pl.String),
            "relationship": people["relationship"],
            "sex": pl.Series(np.where(male, "男", "女")),
            "birth": births,
            "county": pl.Series(codes_now[county[of]].astype(str)),
            "resident_id": resident_ids(assigned, births, male),
            "name": names,
            "phone": phones(chance, count),
            "address": pl.Series(places["label_zh"].to_numpy()[county[of]].astype(str))
            + pl.Series(np.array([f"解放街{n}号" for n in range(61)])[streets[of]])
            + pl.Series(chance.integers(1, 30, count)).cast(pl.String)
            + "室",
            "marital": pl.Series(marital),
            "ethnic": pl.Series(
                chance.choice(np.array(["汉族", "畲族", "回族", "苗族"]), count, p=[0.93, 0.05, 0.01, 0.01])
            ),
            "registered": pl.Series(registered).cast(pl.Date),
        }
    )


def phones(chance: np.random.Generator, count: int) -> pl.Series:
    """Return numbers shaped like mobile phones, by chance."""
    return pl.Series(["170"]).new_from_index(0, count) + pl.Series(chance.integers(0, 10**8, count)).cast(
        pl.String
    ).str.zfill(8)


def day(number: int) -> date:
    """Return the date of the city's n-th day, counted from 1."""
    return BASE + timedelta(days=number - 1)
