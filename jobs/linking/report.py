"""What a linkage leaves behind: clusters, pairs, charts, the model, and a summary for people and machines."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from jobs.linking.charts import match_weights_page, waterfall_page
from jobs.linking.evaluation import Quality, best_threshold, evaluate
from jobs.linking.linkage import Linked


def summary_of(linked: Linked, truth: str | None) -> dict[str, Any]:
    """Return the figures of a linkage; with a truth column, how good it is. Holds no cell of any table."""
    model, rows = linked.model, linked.rows
    sizes = rows["_cluster"].value_counts()["count"]
    matched = linked.pairs.filter(pl.col("probability") >= model.threshold).height
    strong = {*model.plan.strong, *model.plan.verified}
    document: dict[str, Any] = {
        "rows": rows.height,
        "sources": dict(sorted(rows["_source"].value_counts().iter_rows())),
        "clusters": len(sizes),
        "clusters_of_several": int((sizes > 1).sum()),
        "largest_cluster": int(sizes.max() or 0),  # type: ignore[arg-type]
        "pairs_compared": linked.counts["pairs_compared"],
        "pairs_above_threshold": matched,
        "threshold": round(model.threshold, 6),
        "share_of_matches": model.share_of_matches,
        "share_of_relatives": model.share_of_relatives,
        "engine": model.engine,
        "columns": {field.column: field.role.value for field in model.plan.fields},
        "strong_keys": [field.column for field in model.plan.fields if field.slug in strong],
        "notes": list(linked.notes),
    }
    if truth is not None:
        document["quality"] = quality_of(linked, truth)
    return document


def quality_of(linked: Linked, truth: str) -> dict[str, Any]:
    """Return precision, recall and F1 of the clusters, and the best threshold for pairs by themselves.

    Where sources hold no duplicates, pairs across sources count.
    """
    labels = linked.rows[truth]
    across = linked.rows["_source"] if any("no duplicates" in note for note in linked.notes) else None
    quality: Quality = evaluate(linked.rows["_cluster"], labels, across)
    matches = (labels.gather(linked.pairs["l"]) == labels.gather(linked.pairs["r"])).fill_null(value=False)
    threshold, f1 = best_threshold(linked.pairs["probability"], matches, quality.true_pairs)
    figures: dict[str, Any] = {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(quality).items()}
    return {**figures, "best_threshold": round(threshold, 6), "best_threshold_pairwise_f1": round(f1, 6)}


def write_results(linked: Linked, summary: dict[str, Any], folder: Path, id_column: str | None) -> list[Path]:
    """Write clusters.csv, pairs.csv, match_weights.html, waterfall.html and summary.json; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    identity = ["source", "row", *(["id"] if id_column else [])]
    rows = linked.rows.select(
        pl.col("_source").alias("source"), pl.col("_source_row").alias("row"),
        *([pl.col(id_column).alias("id")] if id_column else []), pl.col("_cluster").alias("cluster_id"), "_row",
    )  # fmt: skip
    rows.select(*identity, "cluster_id").sort("source", "row").write_csv(folder / "clusters.csv")
    _pairs(linked, rows, identity).write_csv(folder / "pairs.csv", float_precision=6)
    names = [f"{source} row {row}" for source, row in rows.sort("_row").select("source", "row").iter_rows()]
    pages = {
        "match_weights.html": match_weights_page(linked.model),
        "waterfall.html": waterfall_page(linked.model, linked.details, linked.pairs, names),
        "summary.json": json.dumps(summary, ensure_ascii=False, indent=1, sort_keys=True) + "\n",
    }
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in ("clusters.csv", "pairs.csv", *pages)]


def _pairs(linked: Linked, rows: pl.DataFrame, identity: list[str]) -> pl.DataFrame:
    left = rows.select(
        pl.col("_row").alias("l"), *(pl.col(c).alias(f"{c}_l") for c in identity), pl.col("cluster_id").alias("a")
    )
    right = rows.select(
        pl.col("_row").alias("r"), *(pl.col(c).alias(f"{c}_r") for c in identity), pl.col("cluster_id").alias("b")
    )
    joined = linked.pairs.join(left, on="l", how="inner").join(right, on="r", how="inner")
    named = [f"{c}_{side}" for side in "lr" for c in identity]
    return joined.sort(["weight", *named], descending=[True, *(False for _ in named)]).select(
        *named, pl.col("weight").alias("match_weight"), pl.col("probability").alias("match_probability"),
        (pl.col("a") == pl.col("b")).alias("same_cluster"),
    )  # fmt: skip
