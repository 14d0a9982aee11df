"""Linkage: how many of the people or organisations a department speaks of other departments speak of too."""

from __future__ import annotations

import polars as pl


def linkage(claims: pl.LazyFrame, id_map: pl.LazyFrame) -> dict[str, dict[str, int]]:
    """Return department → `subjects`, the distinct entities its claims are about, and how many are `linked`.

    `claims`: `_key_id`, `_dataset`, `_withdrawn` of claims in force; `id_map`: `id`, `entity` of keys that are not an
    entity of their own. A subject is linked when a claim of another department is about it too; one that nobody gave a
    key counts as a subject of its own. A department is the first part of a dataset's name. Counts only.
    """
    entity = pl.coalesce("entity", "_key_id").alias("entity")
    pairs = (
        claims.filter(pl.col("_withdrawn").ne_missing(True))
        .join(id_map.select("id", "entity"), left_on="_key_id", right_on="id", how="left")
        .select(entity, pl.col("_dataset").str.split("/").list.first().alias("department"))
        .unique()
    )
    others = pairs.group_by("entity").agg((pl.len() > 1).alias("linked"))
    counts = (
        pairs.join(others, on="entity", how="inner").group_by("department")
        .agg(pl.len().alias("subjects"), pl.col("linked").sum()).sort("department").collect(engine="streaming")
    )
    return {one["department"]: {"subjects": one["subjects"], "linked": one["linked"]} for one in counts.to_dicts()}
