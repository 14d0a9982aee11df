"""From measured runs to a size nobody measured here: CPU seconds as a line in register rows and change rows.

A forecast, not a measurement: it holds as far as the work divides by ranges of keys, as every step of it does, and as
far as disks and network keep up with the cores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from jobs.errors import RequestError

FEWEST = 3  # reports, for three unknowns


@dataclass(frozen=True)
class Line:
    """Hold what an engine's runs came to: CPU seconds at rest, per register row, per change row; never negative.

    `error` is the greatest relative difference between the line and a run, `busy` the least share of its cores that a
    run kept busy.
    """

    rest: float
    per_row: float
    per_change: float
    error: float
    busy: float

    def cpu(self, rows: float, changes: float) -> float:
        """Return the CPU seconds of a size."""
        return self.rest + self.per_row * rows + self.per_change * changes

    def seconds(self, rows: float, changes: float, cores: int) -> tuple[float, float]:
        """Return the least and the greatest seconds to expect of a size on some cores, by the line's own error."""
        middle = self.cpu(rows, changes) / (cores * self.busy)
        return middle * (1 - self.error), middle * (1 + self.error)


def line(reports: Sequence[Mapping[str, Any]], engine: str) -> Line:
    """Fit the line through an engine's runs until the register is merged, by least relative squares.

    Raises RequestError for fewer than three runs, or sizes that do not tell rows and changes apart.
    """
    runs = [
        (float(report["data"]["register"]), float(report["data"]["changes"]), float(one["cpu_s"]),
         float(one["seconds"]["to_merged"]) * int(report["machine"]["cores_used"]))
        for report in reports for one in report["engines"]
        if one["engine"] == engine and one["cpu_s"] is not None
    ]  # fmt: skip
    rows, changes, cpu, offered = np.array(runs).reshape(-1, 4).T
    sizes = np.column_stack([np.ones(len(cpu)), rows, changes])
    if len(cpu) < FEWEST or np.linalg.matrix_rank(sizes / sizes.max(axis=0)) < FEWEST:
        raise RequestError(
            f"{len(cpu)} runs of {engine} do not tell the cost of register rows and change rows apart.",
            remedy="give reports of at least three sizes: both grown alone.",
        )
    found, _ = nnls(sizes / cpu[:, None], np.ones(len(cpu)))
    error = float(np.max(np.abs(sizes @ found / cpu - 1)))
    rest, per_row, per_change = map(float, found)
    return Line(rest, per_row, per_change, error, float(min(1.0, np.min(cpu / offered))))
