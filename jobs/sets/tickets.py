"""Tickets: rejected rows that wait for their department, and what its repairs have made of them."""

from __future__ import annotations

from typing import Any

import polars as pl

ORIGIN: dict[str, Any] = {"_source_file": pl.String, "_source_row": pl.Int64}
TICKET: dict[str, Any] = {"_batch_id": pl.String, **ORIGIN}
SAID: dict[str, Any] = {
    "_reasons": pl.List(pl.String), "_warnings": pl.List(pl.String), "_cells": pl.String, "_extra": pl.String,
}
REJECTED = {**TICKET, **SAID}
MENDED, REFUSED, WAITING = "mended", "refused", "waiting"
ATTEMPT = {**REJECTED, "_at": pl.String, "_state": pl.String}


def standing(rejected: pl.DataFrame, attempts: pl.DataFrame) -> pl.DataFrame:
    """Return the rejected rows that no attempt has mended, each as it was delivered last.

    `rejected` (`REJECTED`) are the rows of the deliveries themselves; `attempts` (`ATTEMPT`) name the row they are
    about, when they came, and what became of them: mended, refused (then with what is wrong now), or waiting for its
    judgement. Columns: `REJECTED` and `_waits`, true where the newest attempt waits.
    """
    ticket = list(TICKET)
    mended = attempts.filter(pl.col("_state") == MENDED).select(ticket).unique()
    newest = attempts.sort("_at").unique(ticket, keep="last", maintain_order=True)
    left = rejected.join(mended, on=ticket, how="anti", maintain_order="left")
    tried = left.join(newest, on=ticket, how="left", suffix="_now", maintain_order="left")
    refused = (pl.col("_state") == REFUSED).fill_null(value=False)
    return tried.select(
        *ticket,
        *[pl.when(refused).then(f"{name}_now").otherwise(name).alias(name) for name in SAID],
        (pl.col("_state") == WAITING).fill_null(value=False).alias("_waits"),
    )
