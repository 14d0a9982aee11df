"""How good clusters are against labels: pairwise and B-cubed precision, recall and F1.

B-cubed after Bagga and Baldwin (1998, Entity-based cross-document coreferencing using the vector space model).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl


@dataclass(frozen=True)
class Quality:
    """Precision, recall and F1 of pairs, and the same by B-cubed; each between 0 and 1."""

    precision: float
    recall: float
    f1: float
    b_cubed_precision: float
    b_cubed_recall: float
    b_cubed_f1: float
    true_pairs: int
    found_pairs: int


def evaluate(found: pl.Series, truth: pl.Series, sources: pl.Series | None = None) -> Quality:
    """Compare cluster labels with true ones, row by row; rows without a true label are left out.

    With `sources`, only pairs across sources count for the pairwise figures.
    """
    rows = pl.DataFrame(
        {
            "found": found,
            "truth": truth,
            "source": sources if sources is not None else pl.repeat(0, len(found), eager=True),
        }
    )
    rows = rows.drop_nulls("truth")
    across = sources is not None and rows["source"].n_unique() > 1
    both = _pairs(rows, ["found", "truth"], across)
    claimed, true = _pairs(rows, ["found"], across), _pairs(rows, ["truth"], across)
    precision, recall = _ratio(both, claimed), _ratio(both, true)
    sizes = rows.select(
        (pl.len().over("found", "truth") / pl.len().over("found")).alias("precision"),
        (pl.len().over("found", "truth") / pl.len().over("truth")).alias("recall"),
    )
    cubed = [float(sizes[name].mean() or 0.0) for name in ("precision", "recall")]  # type: ignore[arg-type]
    return Quality(precision, recall, _f1(precision, recall), cubed[0], cubed[1], _f1(*cubed), true, claimed)


def best_threshold(probabilities: pl.Series, matches: pl.Series, all_matches: int) -> tuple[float, float]:
    """Return the probability at which judging each pair by itself gives the best F1, and that F1."""
    order = probabilities.arg_sort(descending=True)
    chance, right = probabilities.gather(order).to_numpy(), matches.gather(order).to_numpy().astype(np.int64)
    if not len(chance) or not all_matches:
        return 0.5, 0.0
    hits = np.cumsum(right)
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + all_matches)
    last = np.append(chance[1:] != chance[:-1], True)  # a threshold takes all pairs of one probability
    place = int(np.argmax(np.where(last, f1, -1.0)))
    return float(chance[place]), float(f1[place])


def _pairs(rows: pl.DataFrame, by: list[str], across: bool) -> int:
    total = _choose_two(rows.group_by(by).len()["len"])
    return total - _choose_two(rows.group_by(*by, "source").len()["len"]) if across else total


def _choose_two(sizes: pl.Series) -> int:
    wide = sizes.cast(pl.Int64)
    return int((wide * (wide - 1) // 2).sum())


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
