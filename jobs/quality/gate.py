"""The quality gate: a contract compiled into one Great Expectations suite, judged on a batch's profile.

A profile is one row of figures about a batch (counts, shares), computed in one pass over the data; the suite's
expectations are bounds on its columns. So a gate costs the same for a thousand rows as for a billion. A batch is
judged by the bounds themselves; the suite runs over the kept profile when the Data Docs are built.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from jobs import layers
from jobs.batch import StageReport
from jobs.contract import Contract, Expectation
from jobs.layers import Layer
from jobs.quality.rulebook import read_terms
from jobs.storage.tables import Lake


@dataclass(frozen=True)
class Bound:
    """Bound one figure of a profile; `rule` is how reports name it."""

    rule: str
    metric: str
    title: str
    severity: str = "error"
    min: float | None = None
    max: float | None = None

    def holds(self, figure: float) -> bool:
        """Tell whether a figure lies within the bound, its ends included."""
        return (self.min is None or figure >= self.min) and (self.max is None or figure <= self.max)


@dataclass(frozen=True)
class Verdict:
    """Hold what the gate found: texts of failed errors, and a count of 1 per failed warning."""

    failed: tuple[str, ...]
    warned: Mapping[str, int]


def bounds(contract: Contract, shared: Mapping[str, Any]) -> list[Bound]:
    """Compile a contract's table-level terms and the shared ones of `expectations/layers.yaml`."""
    found = []
    if contract.rows.min:
        found.append(Bound("rows.min", "delivered", f"fewer than {contract.rows.min} records", min=contract.rows.min))
    if contract.rows.max is not None:
        title = f"more than {contract.rows.max} records"
        found.append(Bound("rows.max", "delivered", title, "warn", max=contract.rows.max))
    for rule in contract.expect:
        if rule.rule in TABLE_RULES:
            title = f"{rule.rule} of {', '.join(filter(None, (rule.column, *rule.columns)))} does not hold"
            limit = float(rule.max) if rule.max is not None else None
            low = float(rule.min) if rule.min is not None else None
            if limit is None and low is None:
                limit = 0
            found.append(Bound(f"table.{rule.rule}", _metric(rule), title, rule.severity, low, limit))
    found += [
        Bound(
            f"table.{term['metric']}", term["metric"], term["title"]["en"], term["severity"],
            term.get("min"), term.get("max"),
        )
        for term in shared["silver"]
    ]
    return found


def _metric(rule: Expectation) -> str:
    return "__".join(filter(None, (rule.rule, rule.column, *rule.columns)))


# Rules about a table: what a profile measures for them, over a batch's accepted rows.
TABLE_RULES: dict[str, Callable[[Expectation], pl.Expr]] = {
    "unique": lambda rule: pl.len() - pl.struct(rule.columns).n_unique(),
    "null_share_below": lambda rule: pl.col(rule.column or "").is_null().mean().fill_null(0.0),
    "row_count": lambda _: pl.len(),
}


def profile(accepted: pl.LazyFrame, contract: Contract, report: StageReport) -> dict[str, float]:
    """Return a batch's figures: its accounting as shares, and one figure per table-level rule about accepted rows."""
    delivered = max(report.delivered, 1)
    figures = {
        "delivered": float(report.delivered),
        "quarantined_share": report.quarantined / delivered,
        "duplicate_share": report.duplicates / delivered,
    }
    rules = [rule for rule in contract.expect if rule.rule in TABLE_RULES]
    if rules:
        measured = accepted.select(TABLE_RULES[r.rule](r).cast(pl.Float64).alias(_metric(r)) for r in rules)
        figures |= measured.collect().row(0, named=True)
    return figures


def judge(figures: Mapping[str, float], terms: Sequence[Bound]) -> Verdict:
    """Return which bounds a batch's figures miss.

    The same verdict as `validate`, whose library takes longer to import than a batch to conform.
    """
    missed = [term for term in terms if not term.holds(figures[term.metric])]
    return Verdict(
        tuple(f"{term.rule}: {term.title}" for term in missed if term.severity == "error"),
        {term.rule: 1 for term in missed if term.severity == "warn"},
    )


def shared_terms(expectations: Path) -> Mapping[str, Any]:
    """Return the terms that hold for every dataset, `layers.yaml`."""
    return read_terms(expectations / "layers.yaml")


def keep(lake: Lake, dataset: str, batch: str, figures: Mapping[str, float], terms: Sequence[Bound]) -> None:
    """Keep what a batch was judged by, for the Data Docs."""
    kept = {"figures": dict(figures), "terms": [asdict(term) for term in terms]}
    lake.objects.write(profile_path(dataset, batch), json.dumps(kept, indent=1, sort_keys=True).encode())


def profile_path(dataset: str, batch: str = "") -> PurePosixPath:
    """Return where a batch's profile is kept."""
    folder = PurePosixPath(Layer.OPS, "profiles", layers.slug(dataset))
    return folder / f"{batch}.json" if batch else folder


def validate(figures: Mapping[str, float], terms: Sequence[Bound], suite: str) -> dict[str, Any]:
    """Run the compiled suite on one profile; return Great Expectations' result, in the order of the terms."""
    import logging
    import os

    os.environ["GX_ANALYTICS_ENABLED"] = "False"  # a lake tells nobody what it checks
    import great_expectations as gx
    import pandas as pd

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("profile").add_dataframe_asset(suite)
    batch = asset.add_batch_definition_whole_dataframe("batch").get_batch(
        batch_parameters={"dataframe": pd.DataFrame([dict(figures)])}
    )
    expectations = [
        gx.expectations.ExpectColumnValuesToBeBetween(
            column=term.metric, min_value=term.min, max_value=term.max, severity=_SEVERITY[term.severity],
            notes=term.title, meta={"rule": term.rule, "term": number},
        )
        for number, term in enumerate(terms)
    ]
    compiled = gx.ExpectationSuite(name=suite, expectations=expectations)
    result = batch.validate(compiled).to_json_dict()
    result["results"].sort(key=lambda one: one["expectation_config"]["meta"]["term"])
    return dict(result)


_SEVERITY = {"error": "critical", "warn": "warning"}
