"""What must be equal between two lakes that heard the same deliveries and withdrawals in any order."""

from __future__ import annotations

from typing import Any

import polars as pl

from jobs.layers import Layer
from jobs.storage.court import Court
from jobs.storage.ledgers import REGISTERS, Ledger
from jobs.storage.tables import Lake


def state(lake: Lake, datasets: list[str]) -> dict[str, Any]:
    """Return the list of order independence: ids, current values with source and as-of, held rows, valid history."""
    found: dict[str, Any] = {}
    for dataset in datasets:
        for layer in (Layer.BRONZE, Layer.SILVER, Layer.QUARANTINE, Layer.GOLD):
            if lake.has(layer, dataset):
                found[f"{layer}.{dataset}"] = _rows(lake.scan(layer, dataset).collect())
    for register in lake.catalogue.registers:
        ledger = Ledger(lake, register)
        if lake.has(REGISTERS, ledger.versions):
            found[f"register.{register}"] = _rows(ledger.scan_current().drop("_commit").collect())
            found[f"claims.{register}"] = _rows(ledger.claims_in_force().scan().drop("_commit").collect())
            court = Court(lake, register)
            found[f"ledger.{register}"] = _rows(court.force())
            found[f"ids.{register}"] = _rows(court.id_map())
            found[f"cases.{register}"] = _rows(court.cases())
    return found


def _rows(rows: pl.DataFrame) -> list[str]:
    columns = sorted(rows.columns)
    return sorted(str(row) for row in rows.select(columns).iter_rows())
