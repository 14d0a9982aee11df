"""A lake of the benchmark's keyed register, and small deliveries to it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from jobs.benchmark import lake as declared
from jobs.settings import Settings
from jobs.stages import conform, land, load
from jobs.storage.tables import Lake

FIELDS = ("name", "ethnic", "division", "address", "phone", "marital", "insured")
KNOWN, OTHER, NEW = "11010519491231002X", "110105194912310054", "110105195001010012"
NEWS = {  # dataset: rows of (key, moment, values)
    "ps/extract": [(KNOWN, "2026-01-02", {"name": "甲二"}), (NEW, "2026-01-02", {"name": "丙", "phone": "1"})],
    "ca/extract": [(KNOWN, "2026-01-03", {"name": "甲三", "marital": "20"}), (OTHER, "2020-01-01", {"phone": "9"})],
    "hi/extract": [(NEW, "2026-01-01", {"phone": "2", "insured": "1"}), (KNOWN, "2025-01-01", {"insured": "0"})],
}


def declaring(folder: Path, *divisions: str) -> Settings:
    """Return settings of the benchmark's register that know some divisions."""
    known = pl.DataFrame({"division": divisions, "name": ["某区"] * len(divisions)})
    known.write_parquet(folder / "ref_division.parquet")
    return Settings(schemas=declared.declared(folder, folder / "schemas"))


def instant(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=UTC)


def at(settings: Settings, folder: Path, **more: object) -> Settings:
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "register.key").write_bytes(b"k" * 32)  # one key for all lakes, so that ids can be compared
    return Settings(schemas=settings.schemas, root=folder, **more)


def old_register(folder: Path, **changed: object) -> Path:
    """A register as it is taken over: two people."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for key, name in ((KNOWN, "甲"), (OTHER, "乙")):
        row: dict[str, object] = {"resident_id": key}
        for field in FIELDS:
            value = {"name": name, "phone": "0"}.get(field)
            origin = ("ca/extract", instant("2025-06-01")) if value else (None, None)
            row |= dict(zip((field, f"{field}_source", f"{field}_as_of"), (value, *origin), strict=True))
        rows.append({**row, **changed})
    schema = {"resident_id": pl.String}
    for field in FIELDS:
        schema |= {field: pl.String, f"{field}_source": pl.String, f"{field}_as_of": pl.Datetime("us", "UTC")}
    file = folder / "old.parquet"
    pl.DataFrame(rows, schema=schema).write_parquet(file)
    return file


def deliver(lake: Lake, dataset: str, folder: Path, rows: list[tuple[str, str, dict[str, str]]]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    fields = lake.catalogue.contract(dataset).fields
    told = [
        {"rec_id": number, "raw_id": key, "update_ts": int(instant(day).timestamp()), **values}
        for number, (key, day, values) in enumerate(rows)
    ]
    schema = {name: pl.Int64 if name in ("rec_id", "update_ts") else pl.String for name in fields}
    pl.DataFrame(told, schema=schema).write_parquet(folder / "part-20260105.parquet")
    batch = land.run(lake, dataset, files=[folder / "part-20260105.parquet"])[0].batch
    load.run(lake, dataset)
    conform.run(lake, dataset)
    return batch
