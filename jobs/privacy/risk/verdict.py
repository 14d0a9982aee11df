"""The verdict of GB/T 42460-2023 annex D on a table, as public code implements it.

The standard's text was not available in full: formulas and tables follow an implementation of its annex D, and every
report says so. They need confirming against the text before anybody cites the standard by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from jobs.errors import RequestError
from jobs.privacy.risk.classes import Counts
from jobs.privacy.risk.reidentification import class_average

Mode = Literal["public", "controlled", "enclave"]
Level = Literal["low", "medium", "high"]
THRESHOLDS: dict[Mode, float] = {"public": 0.05, "controlled": 0.2, "enclave": 1 / 3}
LEAST_K: dict[Mode, int] = {"public": 20, "controlled": 5, "enclave": 3}
# Probability that an insider tries: by the recipient's control, then motive and capacity low, medium, high.
_DELIBERATE: dict[Level, dict[Level, float]] = {
    "high": {"low": 0.05, "medium": 0.1, "high": 0.2},
    "medium": {"low": 0.2, "medium": 0.3, "high": 0.4},
    "low": {"low": 0.4, "medium": 0.5, "high": 0.6},
}
_BREACH: dict[Level, float] = {"high": 0.14, "medium": 0.27, "low": 0.55}


@dataclass(frozen=True)
class Environment:
    """Describe who receives a table that is not public; what is not said is taken at its worst.

    `control` (security and privacy measures), `motive` (and capacity), `acquaintances` (people a recipient knows) and
    `prevalence` (share of people who are in the table, 0 to 1) of GB/T 42460 annex D.
    """

    control: Level | None = None
    motive: Level | None = None
    acquaintances: int | None = None
    prevalence: float | None = None


@dataclass(frozen=True)
class Verdict:
    """Hold the verdict: risks of the data, of the environment, both together, and the grade (3 acceptable, else 2)."""

    r_max: float
    r_avg: float
    exceedance: float
    p_env: float
    r: float
    tau: float
    grade: int


def attack_probability(mode: Mode, environment: Environment) -> float:
    """Return P_env: 1 for public release, else max(P1 insider, P2 acquaintance, P3 breach).

    P2 = 1 − (1 − p)^m. With no word about the control the attack is certain (1); with control but no motive, the
    motive is high. Raises RequestError for numbers out of range, or one of acquaintances and prevalence alone.
    """
    m, p = environment.acquaintances, environment.prevalence
    if (m is None) != (p is None):
        raise RequestError("acquaintances and prevalence go together.", remedy="give both, or neither.")
    if m is not None and m < 0:
        raise RequestError("the number of acquaintances is negative.", remedy="give 0 or more.")
    if p is not None and not 0 <= p <= 1:
        raise RequestError("the prevalence is no share.", remedy="give a number from 0 to 1.")
    if mode == "public" or environment.control is None:
        return 1.0
    deliberate = _DELIBERATE[environment.control][environment.motive or "high"]
    acquainted = 0.0 if m is None or p is None else 1 - (1 - p) ** m
    return max(deliberate, acquainted, _BREACH[environment.control])


def verdict(sizes: Counts, mode: Mode, environment: Environment) -> Verdict | None:
    """Judge a table by its class sizes (GB/T 42460-2023 annex D, as implemented); None when no row is in a class.

    r_j = 1/f_j; R_max its maximum, R_avg its mean over classes; exceedance the share of classes with r_j > τ, τ being
    0.05, 0.2 or 1/3 by mode. R = 1 if any class exceeds, else R_max·P_env (public) or R_avg·P_env. The table is
    taken to hold no direct identifier (that alone would be grade 1) and not to be aggregate (grade 4).
    """
    p_env, tau = attack_probability(mode, environment), THRESHOLDS[mode]
    if not len(sizes):
        return None
    # In whole numbers: 1/f > τ exactly when f is below the mode's k.
    exceedance = int(np.count_nonzero(sizes < LEAST_K[mode])) / len(sizes)
    r_max, r_avg = 1 / int(sizes.min()), class_average(sizes)
    r = 1.0 if exceedance else (r_max if mode == "public" else r_avg) * p_env
    return Verdict(r_max, r_avg, exceedance, p_env, r, tau, grade=3 if r <= tau else 2)
