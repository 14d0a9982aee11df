"""Rows that are public for a time only: which may be released on a day, which versions must be gone on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl

from jobs import layers
from jobs.catalogue import Catalogue
from jobs.contract import Contract
from jobs.errors import RequestError
from jobs.layers import Layer
from jobs.releases import inputs, listing
from jobs.releases.listing import Released
from jobs.rows.periods import end
from jobs.rows.protection import gold_column, protection_of

if TYPE_CHECKING:
    from jobs.storage.tables import Lake

REPAIRED = "已对其中的记录准予信用修复 · repair was granted for a row of it"


def today() -> date:
    """Return the day in China: a time in public begins and ends there."""
    return datetime.now(UTC).astimezone(ZoneInfo("Asia/Shanghai")).date()


def shown(
    gold: pl.LazyFrame, contract: Contract, catalogue: Catalogue, day: date | None
) -> tuple[pl.DataFrame, date | None]:
    """Return the gold rows that may be public on a day, and the first day on which one of them may be no longer.

    All rows and None where the contract's rows have no such time. Raises RequestError without a day where they have.
    """
    period = contract.release.period if contract.release else None
    if period is None:
        return gold.collect(), None
    if day is None:
        raise RequestError("its rows are public for a time only: on which day?", dataset=contract.name, layer="open")
    last = end(
        catalogue.periods[period.rule], pl.col(period.decided), pl.col(period.class_),
        until=pl.col(period.until) if period.until else None,
        repaired=pl.col(period.repaired) if period.repaired else None,
    )
    rows = gold.with_columns(last.alias("_end")).filter(pl.col(period.decided) <= day, pl.col("_end") > day).collect()
    until = rows["_end"].min()
    return rows.drop("_end"), until if isinstance(until, date) else None


def due(lake: Lake, day: date) -> Mapping[tuple[str, str], Sequence[str]]:
    """Return (dataset, reason) → the versions on offer that must be withdrawn on a day, oldest first.

    A version goes whole when the time in public of one of its rows is over, or when repair was granted for one. Where
    what a version was made from is gone, any repaired row of its dataset counts as one of its own.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for one in (one for zone in layers.ZONES for one in listing.everything(lake.objects, zone)):
        if one.withdrawn:
            continue
        if over(one, day):
            until = one.manifest["shown_until"]
            reason = f"其中有记录的公示期于 {until} 届满 · the time in public of a row of it ended on {until}"
        elif _repaired(lake, one, day):
            reason = REPAIRED
        else:
            continue
        found.setdefault((one.dataset, reason), []).append(one.version)
    return found


def over(one: Released, day: date | None) -> bool:
    """Tell whether the time in public of a row of a version is over."""
    until = one.manifest.get("shown_until")
    return day is not None and until is not None and date.fromisoformat(until) <= day


def _repaired(lake: Lake, one: Released, day: date) -> bool:
    """Tell whether gold now says of a row that a version shows that repair was granted by a day."""
    contract = lake.catalogue.contracts.get(one.dataset)
    period = contract.release.period if contract and contract.release else None
    if contract is None or period is None or period.repaired is None:
        return False
    names = {*contract.published.values(), period.decided, period.class_}
    told = sorted(gold_column(name, protection_of(contract.fields[name], lake.catalogue.types)) for name in names)
    try:
        repaired = lake.scan(Layer.GOLD, one.dataset).filter(pl.col(period.repaired) <= day).select(told).collect()
    except RequestError:  # there is no gold table
        return False
    if repaired.is_empty():
        return False
    try:
        decided, kept = inputs.kept(lake.objects, one)
    except RequestError:
        return True
    rows, _ = shown(kept.lazy(), contract, lake.catalogue, decided.judged_on or day)
    return not rows.join(repaired, on=told, how="semi", nulls_equal=True).is_empty()
