"""Measure `lake link` against Splink's own example settings on the same labelled file, in the same run.

python tests/benchmarks/linking.py FILE... --truth COLUMN [--id COLUMN] [--truth-pattern REGEX] [--no-peer]

Ours is measured as it comes: no configuration, threshold chosen by itself. Splink is measured as its examples do it
(clusters at probability 0.95) and at the threshold that is best for it, which only labels can tell.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from jobs.linking.config import LinkConfig
from jobs.linking.evaluation import evaluate
from jobs.linking.linkage import link
from jobs.linking.report import quality_of
from jobs.storage.undeclared import read

SHOWN = ("precision", "recall", "f1", "b_cubed_f1")
THRESHOLDS = (0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999)


def ours(tables: dict[str, pl.DataFrame], truth: str, id_column: str | None) -> dict[str, Any]:
    """Return our figures, out of the box."""
    start = time.perf_counter()
    linked = link(tables, LinkConfig(), truth=truth, id_column=id_column)
    seconds = time.perf_counter() - start
    figures = quality_of(linked, truth)
    return {
        **{name: figures[name] for name in SHOWN},
        "threshold": linked.model.threshold,
        "seconds": round(seconds, 1),
        "pairs": linked.counts["pairs_compared"],
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def example_settings(columns: list[str]) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """Return comparisons, blocking rules, training rules, deterministic rules as Splink's examples set them.

    Its examples "Deduplicate FEBRL3", "Quick and dirty persons model" and the tutorial on fake_1000, by columns.
    """
    import splink.comparison_library as cl
    from splink import block_on

    exact = {c: cl.ExactMatch(c).configure(term_frequency_adjustments=True) for c in columns}
    if {"given_name", "soc_sec_id"} <= set(columns):
        return (
            [
                cl.NameComparison("given_name"),
                cl.NameComparison("surname"),
                cl.DateOfBirthComparison("date_of_birth", input_is_string=True, datetime_format="%Y%m%d"),
                cl.DamerauLevenshteinAtThresholds("soc_sec_id", [2]),
                exact["street_number"],
                cl.DamerauLevenshteinAtThresholds("postcode", [2]),
            ],
            [
                block_on("soc_sec_id"),
                block_on("given_name"),
                block_on("surname"),
                block_on("date_of_birth"),
                block_on("postcode"),
            ],
            [block_on("date_of_birth"), block_on("postcode")],
            [block_on("soc_sec_id"), block_on("given_name", "surname", "date_of_birth")],
        )
    if {"postcode_fake", "first_and_surname"} <= set(columns):
        return (
            [
                cl.ForenameSurnameComparison(
                    "first_name", "surname", forename_surname_concat_col_name="first_and_surname"
                ),
                cl.DateOfBirthComparison("dob", input_is_string=True),
                cl.PostcodeComparison("postcode_fake"),
                exact["birth_place"],
                exact["occupation"],
            ],
            [
                block_on("first_name", "surname"),
                block_on("surname", "dob"),
                block_on("first_name", "dob"),
                block_on("postcode_fake", "first_name"),
                block_on("postcode_fake", "surname"),
                block_on("dob", "birth_place"),
                block_on("substr(postcode_fake,1,3)", "dob"),
            ],
            [block_on("first_name", "surname"), block_on("dob")],
            [block_on("first_name", "surname", "dob"), block_on("surname", "dob", "postcode_fake")],
        )
    if {"first_name", "surname", "dob", "city", "email"} <= set(columns):
        return (
            [
                cl.NameComparison("first_name"),
                cl.NameComparison("surname"),
                cl.LevenshteinAtThresholds("dob", 1),
                exact["city"],
                cl.EmailComparison("email"),
            ],
            [block_on("first_name", "city"), block_on("surname")],
            [block_on("first_name", "surname"), block_on("dob")],
            [block_on("first_name", "dob"), block_on("email"), block_on("first_name", "surname")],
        )
    raise SystemExit("Splink has no example for these columns; use --no-peer.")


def splinks(rows: pl.DataFrame, truth: str) -> dict[str, Any]:
    """Return Splink's figures with its example settings: at 0.95, and at its best threshold."""
    from splink import DuckDBAPI, Linker, SettingsCreator

    start = time.perf_counter()
    columns = [c for c in rows.columns if c not in (truth, "unique_id", "rec_id")]
    comparisons, blocking, training, certain = example_settings(columns)
    api = DuckDBAPI()
    given = api.register(rows.drop("unique_id", strict=False).with_row_index("unique_id").drop(truth).to_arrow())
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=blocking,
    )
    linker = Linker(given, settings, log_level=logging.ERROR)
    linker.training.estimate_probability_two_random_records_match(certain, recall=0.7)
    linker.training.estimate_u_using_random_sampling(max_pairs=5e6, seed=1)
    for rule in training:
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    predicted = linker.inference.predict(threshold_match_probability=0.001)
    found: dict[float, Any] = {}
    for threshold in THRESHOLDS:
        clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(
            predicted, threshold_match_probability=threshold
        )
        table = clusters.as_pyarrow_table()
        frame = pl.DataFrame(
            {"row": pl.Series(table["unique_id"].to_pylist()), "found": pl.Series(table["cluster_id"].to_pylist())}
        )
        quality = evaluate(frame.sort("row")["found"], rows[truth])
        found[threshold] = {name: round(getattr(quality, name), 6) for name in SHOWN}
    best = max(found, key=lambda threshold: found[threshold]["f1"])
    return {
        "as_published": found[0.95],
        "best": {**found[best], "threshold": best},
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    """Print one JSON document per run."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("files", nargs="+", type=Path)
    asked.add_argument("--truth", required=True)
    asked.add_argument("--id")
    asked.add_argument("--truth-pattern", help="the part of the truth column that names the cluster, as a group")
    asked.add_argument("--no-peer", action="store_true")
    given = asked.parse_args()
    logging.disable(logging.WARNING)
    tables = {file.name: read(file) for file in given.files}
    truth = given.truth
    if given.truth_pattern:
        truth = "true_cluster"
        tables = {
            n: t.with_columns(pl.col(given.truth).str.extract(given.truth_pattern, 1).alias(truth)).drop(given.truth)
            for n, t in tables.items()
        }
    document = {"files": sorted(tables), "lake": ours(tables, truth, given.id)}
    if not given.no_peer:
        document["splink"] = splinks(pl.concat(list(tables.values()), how="diagonal"), truth)
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
