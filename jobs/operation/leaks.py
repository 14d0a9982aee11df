"""Everything the lake writes outside its closed layers, as texts to search for what may not be in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from jobs.layers import ZONES, Layer, slug
from jobs.privacy.keyring import secret
from jobs.privacy.scanner import resident_numbers
from jobs.registers.keys import entity_ids
from jobs.storage.ledgers import REGISTERS, Ledger
from jobs.storage.standing import Standing
from jobs.storage.tables import Lake

PEOPLE, KIND = "person", "resident_id"
TEXTS = {
    ".log", ".csv", ".json", ".jsonl", ".jsonld", ".html", ".txt", ".md", ".ttl", ".yaml", ".atom", ".xml", ".sig",
    ".ipynb", "",
}
LOGS = ("airflow/logs", "engine")
DATABASE = "airflow/airflow.db"


@dataclass(frozen=True)
class Written:
    """Hold one thing that was written: which place it belongs to, its name, and its texts."""

    place: str
    name: str
    texts: pl.Series


@dataclass(frozen=True)
class Leak:
    """Count the people of the register whose number stands in one thing; never which."""

    place: str
    name: str
    people: int


def written(lake: Lake, also: Iterable[Path] = ()) -> Iterator[Written]:
    """Yield what leaves the closed layers: gold, releases, logs, run records, Airflow's database, and `also`.

    Tables come column by column, files whole; what is no text is not read.
    """
    for name in lake.catalogue.contracts:
        if lake.has(Layer.GOLD, name):
            yield from _columns("gold", slug(name), lake.scan(Layer.GOLD, name).collect())
            yield from _columns("gold", f"{slug(name)} to be", Standing(lake, name).parts()[1].collect())
    for zone in ZONES:
        yield from _files(zone.value, lake.objects.mirror(zone), lake.settings.home)
    for folder in LOGS:
        yield from _files("logs", lake.objects.own.local(folder), lake.settings.home)
    yield from _columns("runs", "ops.runs", lake.runs())
    yield from _database(lake.objects.own.local(DATABASE))
    for kept in dict.fromkeys((lake.objects.mirror(Layer.OPS), lake.objects.own.local(Layer.OPS))):
        yield from _files("left in ops", kept, lake.settings.home)
    for path in also:
        yield from _files("also", path, path)


def leaks(lake: Lake, also: Iterable[Path] = ()) -> list[Leak]:
    """Return where citizen ID numbers of the register's people stand, though none may be there.

    A well-formed number that is nobody's in the register is chance (a check character fits one number in eleven) and
    no leak. Numbers are looked up by their keyed ids; none is kept.
    """
    ledger, key = Ledger(lake, PEOPLE), secret(lake.objects, "register")
    if not lake.has(REGISTERS, ledger.claims):
        return []
    log, found = ledger.claims_log(), []
    for one in written(lake, also):
        numbers = resident_numbers(one.texts)
        if numbers.is_empty():
            continue
        kinds = pl.Series([KIND] * len(numbers), dtype=pl.String)
        ids = entity_ids(kinds, numbers, key).to_list()
        people = log.among(ids).select(pl.col("_key_id").n_unique()).collect().item()
        if people:
            found.append(Leak(one.place, one.name, int(people)))
    return found


def _columns(place: str, table: str, rows: pl.DataFrame) -> Iterator[Written]:
    for column in rows.columns:
        kind = rows.schema[column]
        if kind == pl.String or kind == pl.List(pl.String) or kind.is_integer():
            texts = rows[column].list.join(" ", ignore_nulls=True) if kind == pl.List(pl.String) else rows[column]
            yield Written(place, f"{table}.{column}", texts.cast(pl.String))


def _files(place: str, folder: Path, home: Path) -> Iterator[Written]:
    paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    for path in paths:
        name = path.relative_to(home).as_posix() if path != home else path.name
        if path.suffix == ".parquet":
            yield from _columns(place, name, pl.read_parquet(path))
        elif path.is_file() and path.suffix in TEXTS:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            yield Written(place, name, pl.Series(lines, dtype=pl.String))


def _database(path: Path) -> Iterator[Written]:
    """Yield what Airflow keeps, results and rendered fields of tasks among it, table by table."""
    if not path.is_file():
        return
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        tables = [str(name) for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            texts = [
                cell.decode("utf-8", errors="replace") if isinstance(cell, bytes) else cell
                for row in database.execute(f'SELECT * FROM "{table}"') for cell in row if isinstance(cell, bytes | str)
            ]
            if texts:
                yield Written("airflow's database", table, pl.Series(texts, dtype=pl.String))
