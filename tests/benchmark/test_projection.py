"""A forecast of the benchmark is the line that made the runs, and says how far off the runs are."""

from __future__ import annotations

import pytest

from jobs.benchmark.projection import line
from jobs.errors import RequestError


def report(rows: float, changes: float, noise: float = 1.0, busy: float = 0.9) -> dict[str, object]:
    cpu = (4 + 5e-7 * rows + 4e-5 * changes) * noise
    seconds = {"to_merged": cpu / 2 / busy}
    engine = {"engine": "lake", "cpu_s": cpu, "seconds": seconds}
    return {"data": {"register": rows, "changes": changes}, "machine": {"cores_used": 2}, "engines": [engine]}


SIZES = [(1e6, 1e5), (1e7, 1e5), (1e7, 1e6)]


def test_runs_of_a_line_give_the_line_and_a_forecast_without_spread() -> None:
    found = line([report(*size) for size in SIZES], "lake")
    assert (found.rest, found.per_row, found.per_change) == pytest.approx((4, 5e-7, 4e-5))
    least, greatest = found.seconds(1e9, 1e7, 32)
    assert least == pytest.approx(greatest) == pytest.approx((4 + 500 + 400) / (32 * 0.9))


def test_runs_that_scatter_give_a_range_as_wide_as_they_do() -> None:
    sizes = [*SIZES, (2e7, 1e6)]
    found = line([report(*size, noise) for size, noise in zip(sizes, (1, 1.2, 0.9, 1.1), strict=True)], "lake")
    least, greatest = found.seconds(1e9, 1e7, 32)
    assert 0 < found.error < 0.3
    assert greatest / least == pytest.approx((1 + found.error) / (1 - found.error))


@pytest.mark.parametrize("sizes", [SIZES[:2], [(1e6, 1e5), (1e7, 1e5), (2e7, 1e5)]])
def test_sizes_that_do_not_tell_rows_and_changes_apart_are_refused(sizes: list[tuple[float, float]]) -> None:
    with pytest.raises(RequestError, match="apart"):
        line([report(*size) for size in sizes], "lake")
