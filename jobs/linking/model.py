"""The frozen result of learning: plan, levels with m and u, frequencies of values, share of matches, threshold.

A model used again learns nothing: a pair's weight follows from the two rows and the model, so it is the same in any
batch and any order. Values seen in few rows are not kept: they all weigh as they do on average.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.errors import RequestError
from jobs.linking.comparisons import Comparison
from jobs.linking.records import Plan

FORMAT = 1
FEWEST_ROWS = 4  # of a value that is kept: rarer ones may point at a person


class Frequencies(BaseModel):
    """How frequent a column's values are: shares of its known cells, and the share of every value not listed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: dict[str, float]
    rarest: float

    def table(self, cells: pl.Series) -> pl.DataFrame:
        """Return the frequency of every distinct value of cells: columns value, tf."""
        values = cells.drop_nulls().unique()
        listed = pl.DataFrame(
            {"value": list(self.shares), "tf": list(self.shares.values())},
            schema={"value": pl.String, "tf": pl.Float64},
        )
        return (
            pl.DataFrame({"value": values})
            .join(listed, on="value", how="left")
            .with_columns(pl.col("tf").fill_null(self.rarest))
        )


class Model(BaseModel):
    """Everything that decides a pair's weight, and the threshold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    engine: str
    rows: int
    plan: Plan
    comparisons: tuple[Comparison, ...]
    frequencies: dict[str, Frequencies]
    share_of_matches: float
    share_of_relatives: float
    threshold: float


def frequencies_of(cells: pl.Series) -> Frequencies:
    """Count a column's values."""
    known = cells.drop_nulls()
    counts = known.value_counts().filter(pl.col("count") >= FEWEST_ROWS).sort(known.name)
    total = max(1, len(known))
    shares = {value: count / total for value, count in counts.iter_rows()}
    rest, distinct = len(known) - int(counts["count"].sum()), known.n_unique() - counts.height
    return Frequencies(shares=shares, rarest=max(1, rest) / max(1, distinct) / total)


def write_model(model: Model, file: Path) -> None:
    """Write a model; the same model is the same bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(model.model_dump(mode="json"), ensure_ascii=False, indent=1, sort_keys=True)
    file.write_text(text + "\n", encoding="utf-8")


def read_model(file: Path) -> Model:
    """Read a model. Raises RequestError when it is none, or of another format."""
    try:
        return Model.model_validate_json(file.read_bytes())
    except OSError:
        raise RequestError("the model cannot be read.", where=str(file)) from None
    except ValidationError as error:
        entry = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise RequestError(
            f"this is no model of format {FORMAT} ({entry}).", where=file.name, remedy="train it again with --train."
        ) from None


def check_columns(model: Model, columns: Sequence[str], table: str) -> None:
    """Raise RequestError when a table lacks a column the model reads."""
    for field in model.plan.fields:
        if field.column not in columns:
            raise RequestError(
                f"the model reads column {field.column!r}, which the table has not.",
                where=table,
                remedy="train a model for it.",
            )
