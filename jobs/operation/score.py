"""The score of reconciliation against a synthetic city's truth: pairs rightly and wrongly joined, by class of dirt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from jobs.contract import Contract
from jobs.operation.enquiries import Desk
from jobs.registers.assertions import rulings
from jobs.registers.judging import judge
from jobs.registers.resolution import placed
from jobs.storage.tables import Lake
from jobs.synthesis.truth import ROLES

ALL = "all"
_ORIGIN = ("_dataset", "_role", "_batch_id", "_source_file", "_source_row")


def score(lake: Lake, truth: Path) -> list[dict[str, Any]]:
    """Return one row per register and class of dirt, the whole register first (`dirt` is `all`).

    `precision` and `recall` are pairwise over the claims that count (held ones do not); for one class of dirt, over the
    pairs with a claim of it. `wrong` counts claims that sit in an entity whose other claims are mostly another
    subject's; `held` those that wait.
    """
    told = pl.read_parquet(truth / "rows.parquet")
    found = []
    for desk in Desk.all(lake):
        claims = _with_subjects(lake, desk, told)
        if claims.height:
            found += [_row(desk.register.name, claims, dirt) for dirt in (None, *sorted(set(claims["dirt"]) - {""}))]
    return found


def _with_subjects(lake: Lake, desk: Desk, told: pl.DataFrame) -> pl.DataFrame:
    """Return a register's claims with the entity each is in and the subject it truly speaks of."""
    claims = desk.ledger.claims_in_force().scan().unique(_ORIGIN, keep="first").collect()
    if desk.register.keyed:
        rows = claims.with_columns(_entity_id="_key_id", _waits=pl.lit(value=False))
    else:
        judged, _ = judge(claims, desk.register, rulings(desk.court.force()))
        rows = placed(judged, desk.court.id_map(), desk.register.lead)
    roles = pl.DataFrame(
        [(contract.name, role, _side(contract, role)) for contract in lake.catalogue.datasets()
         for role in contract.entities],
        orient="row", schema={"_dataset": pl.String, "_role": pl.String, "side": pl.String},
    )
    known = told.rename({"dataset": "_dataset", "file": "_source_file", "source_row": "_source_row"})
    joined = rows.select("_entity_id", "_waits", "_dataset", "_role", "_source_file", "_source_row").join(
        roles, on=["_dataset", "_role"], how="inner"
    ).join(known.with_columns(pl.col("_source_row").cast(pl.Int64)), on=["_dataset", "_source_file", "_source_row"],
           how="inner")
    subject = pl.coalesce(pl.when(pl.col("side") == role).then(role) for role in ROLES)
    return joined.select(
        pl.col("_entity_id").alias("entity"), pl.col("_waits").alias("held"), "dirt", subject.alias("subject")
    ).filter(pl.col("subject").is_not_null())


def _side(contract: Contract, role: str) -> str:
    """Return which of a row's subjects a role speaks of: the truth names them in the order of the roles."""
    return ROLES[list(contract.entities).index(role)]


def _row(register: str, claims: pl.DataFrame, dirt: str | None) -> dict[str, Any]:
    kept = claims.filter(~pl.col("held"))
    mine = pl.col("dirt") == dirt if dirt is not None else pl.col("dirt").is_not_null()
    cells = kept.group_by("entity", "subject").agg(pl.len().alias("n"), mine.sum().alias("m"))
    joined, right, true = (_pairs(cells, by) for by in (["entity"], ["entity", "subject"], ["subject"]))
    most = cells.sort("n", "subject", descending=[True, False]).unique("entity", keep="first")
    strange = kept.filter(mine).join(most.select("entity", main="subject"), on="entity").filter(
        pl.col("subject") != pl.col("main")
    )
    chosen = claims.filter(mine)
    return {
        "register": register, "dirt": dirt or ALL, "claims": chosen.height, "held": int(chosen["held"].sum()),
        "precision": _share(right, joined), "recall": _share(right, true), "wrong": strange.height,
    }


def _pairs(cells: pl.DataFrame, by: list[str]) -> int:
    """Return the number of pairs inside groups that have a claim of the class looked at."""
    sums = cells.group_by(by).agg(pl.col("n").sum(), pl.col("m").sum())
    others = sums["n"] - sums["m"]
    return int((sums["n"] * (sums["n"] - 1) // 2 - others * (others - 1) // 2).cast(pl.Int64).sum())


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None
