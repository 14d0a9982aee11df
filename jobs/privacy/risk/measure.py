"""The whole risk report of a table, in the form that is printed and kept with a release."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from jobs.privacy.risk.classes import Counts, count_classes
from jobs.privacy.risk.disclosure import Disclosure, disclosure
from jobs.privacy.risk.reidentification import journalist, marketer, population_sizes, prosecutor
from jobs.privacy.risk.uniqueness import minimal_uniques
from jobs.privacy.risk.verdict import THRESHOLDS, Environment, Mode, verdict

NO_ENVIRONMENT = Environment()
# Lower ends of the ranges of class sizes that are counted together; the modes' thresholds are among them.
_SIZES = (1, 2, 3, 5, 10, 20, 50, 100, 1000)


def measure(
    table: pl.LazyFrame,
    quasi: Sequence[str],
    sensitive: Sequence[str] = (),
    *,
    mode: Mode = "public",
    environment: Environment = NO_ENVIRONMENT,
    population: pl.LazyFrame | None = None,
    nominal: Iterable[str] = (),
) -> dict[str, Any]:
    """Measure a table's risk; rows as they would be released.

    Returns a JSON-ready document. `n` rows in classes, `suppressed` rows that are in none (see `classes`), `classes`,
    `k`, `class_sizes` (classes and rows by size); by sensitive column `alpha_k`, `l_distinct`, `l_entropy` (largest
    whole l), `l_recursive_c` (c for l = l_distinct; null when l is 1), `t`, `t_distance`, `beta`, `delta`; `uniques`,
    `special_uniques` (rows unique on three columns or fewer), `minimal_uniques` by number of columns; `prosecutor`,
    `journalist` (share above the mode's τ), `marketer`; `gbt42460`. With no row in a class, what needs one is null and
    k is 0. Sources are named where the formulas are. Raises RequestError for columns that are not there and for a bad
    environment.
    """
    classes = count_classes(table, quasi, sensitive, nominal)
    people = None if population is None else population_sizes(classes, population)
    found = {name: disclosure(spread, classes.sizes) for name, spread in classes.sensitive.items()}
    k = int(classes.sizes.min()) if len(classes.sizes) else 0
    special, by_size = minimal_uniques(classes)
    judged = verdict(classes.sizes, mode, environment)
    risks = {
        "prosecutor": prosecutor(classes, THRESHOLDS[mode]),
        "journalist": journalist(classes, people, THRESHOLDS[mode]),
    }

    def per_column(one: Callable[[Disclosure], Any]) -> dict[str, Any]:
        return {name: None if worst is None else one(worst) for name, worst in found.items()}

    return {
        "n": classes.n,
        "suppressed": classes.suppressed,
        "quasi": list(quasi),
        "sensitive": list(sensitive),
        "mode": mode,
        "classes": len(classes.sizes),
        "k": k,
        "alpha_k": per_column(lambda worst: {"alpha": worst.alpha, "k": k}),
        "l_distinct": per_column(lambda worst: worst.l_distinct),
        "l_entropy": per_column(lambda worst: worst.l_entropy_whole),
        "l_recursive_c": per_column(lambda worst: {"c": worst.c, "l": worst.l_distinct}),
        "t": per_column(lambda worst: worst.t),
        "t_distance": {name: "ordered" if one.ordered else "equal" for name, one in classes.sensitive.items()},
        "beta": per_column(lambda worst: worst.beta),
        "delta": per_column(lambda worst: worst.delta),
        "class_sizes": _histogram(classes.sizes),
        "uniques": int((classes.sizes == 1).sum()),
        "special_uniques": special,
        "minimal_uniques": {str(size): count for size, count in by_size.items()},
        **{name: None if risk is None else asdict(risk) for name, risk in risks.items()},
        "marketer": marketer(classes, people),
        "population": None if people is None else {
            "rows": people.rows, "uniques": int((people.sizes == 1).sum()),
            "classes_missing": people.missing, "classes_raised": people.raised,
        },
        "gbt42460": None if judged is None else {
            **asdict(judged), "basis": "GB/T 42460-2023 annex D as implemented in public code"
        },
    }


def _histogram(sizes: Counts) -> list[dict[str, Any]]:
    """Return how many classes and rows there are by size of class: ranges from `least` to below the next."""
    ends = [*_SIZES[1:], None]
    found = []
    for least, end in zip(_SIZES, ends, strict=True):
        inside = sizes[(sizes >= least) & (sizes < end if end else sizes >= least)]
        found.append({"least": least, "below": end, "classes": len(inside), "rows": int(inside.sum())})
    return found
