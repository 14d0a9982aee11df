"""Say until when a row may be shown to the public: dated rules, the row's own end, and repair."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from jobs.periods import Regime


def end(
    regimes: Sequence[Regime], decided: pl.Expr, kind: pl.Expr, *, until: pl.Expr | None = None,
    repaired: pl.Expr | None = None,
) -> pl.Expr:
    """Return the first day (Date) on which a row is no longer shown: shown(d) when decided <= d < end.

    Its regime's maximum from the day of decision, earlier where the row itself says so (`until`) or where it was
    repaired. A decision before the first regime is under that one. Null without a day of decision: it is never shown.
    """
    found = _maximum(regimes[0], decided, kind)
    for regime in regimes[1:]:
        own, began = _maximum(regime, decided, kind), pl.lit(regime.since)
        if regime.recast:
            recast = pl.when((decided < began) & (found > began)).then(pl.max_horizontal(own, began)).otherwise(found)
        else:
            recast = found
        found = pl.when(decided >= began).then(own).otherwise(recast)
    ends = [found, *(one for one in (until, repaired) if one is not None)]
    return pl.when(decided.is_not_null()).then(pl.min_horizontal(ends))


def _maximum(regime: Regime, decided: pl.Expr, kind: pl.Expr) -> pl.Expr:
    (others,) = (one for one in regime.classes.values() if not one.codes)
    found = decided.dt.offset_by(f"{others.months}mo")
    for one in regime.classes.values():
        if one.codes:
            named = kind.cast(pl.String).is_in(list(one.codes)).fill_null(value=False)
            found = pl.when(named).then(decided.dt.offset_by(f"{one.months}mo")).otherwise(found)
    return found
