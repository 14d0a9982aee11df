"""Rows that are public for a time only: which may be released on a day, which versions must be gone on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl

from jobs import layers
from jobs.catalogue import Catalogue
from jobs.contract import Contract, Period
from jobs.errors import LakeError, RequestError
from jobs.periods import rules
from jobs.releases import inputs, listing
from jobs.releases.listing import Released
from jobs.rows.periods import end
from jobs.rows.protection import gold_column, in_scope, protection_of
from jobs.storage.standing import Standing
from jobs.storage.translation import unexpected

if TYPE_CHECKING:
    from jobs.storage.tables import Lake

REPAIRED = "已对其中的记录准予信用修复 · repair was granted for a row of it"
RULED = "按现行规则，其中有记录已不应公示 · by the rules as they stand a row of it may be public no longer"
EARLIER = (
    "其中有记录的公示期已经或可能已经提前届满 · "
    "the time in public of a row of it ended, or may have ended, earlier than was known"
)
UNKNOWN = "无法判定其中的记录是否仍可公示 · whether its rows may still be public cannot be told"
# What gold, or gold as it was kept, makes the reckoning say when it does not hold what the contract now reads.
_UNREADABLE = (pl.exceptions.PolarsError, LookupError, ValueError, TypeError)


def today(now: datetime | None = None) -> date:
    """Return the day in China, now or at another moment: a time in public begins and ends at midnight there."""
    return (now or datetime.now(UTC)).astimezone(ZoneInfo("Asia/Shanghai")).date()


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
    ended = gold.with_columns(_end(period, catalogue).alias("_end"))
    rows = ended.filter(pl.col(period.decided) <= day, pl.col("_end") > day).collect()
    until = rows["_end"].min()
    return rows.drop("_end"), until if isinstance(until, date) else None


def _end(period: Period, catalogue: Catalogue) -> pl.Expr:
    """Return the first day on which a gold row is shown no longer."""
    return end(
        catalogue.periods[period.rule], pl.col(period.decided), pl.col(period.class_),
        until=pl.col(period.until) if period.until else None,
        repaired=pl.col(period.repaired) if period.repaired else None,
    )


def due(lake: Lake, day: date, failed: list[LakeError] | None = None) -> Mapping[tuple[str, str], Sequence[str]]:
    """Return (dataset, reason) → the versions on offer that must be withdrawn on a day, oldest first.

    A version goes whole when the time in public of one of its rows is over, as it was reckoned or by the rules as they
    now stand, when gold now says that one ended or was repaired, and when that cannot be told. Where what a version was
    made from is gone, any repaired row of its dataset counts as one of its own. Each is judged by itself: damaged
    versions and tables that could not be read now are errors in `failed`; without that list the first is raised.
    """
    found: dict[tuple[str, str], list[str]] = {}
    damaged: list[listing.Damaged] | None = None if failed is None else []
    there = [one for zone in layers.ZONES for one in listing.everything(lake.objects, zone, damaged)]
    if failed is not None:
        failed += damaged or []
    for one in there:
        if one.withdrawn:
            continue
        try:
            reason = _reason(lake, one, day)
        except Exception as error:
            if failed is None:
                raise
            known = error if isinstance(error, LakeError) else None
            failed.append(known or LakeError(unexpected(error), dataset=one.dataset, layer="open"))
            continue
        if reason:
            found.setdefault((one.dataset, reason), []).append(one.version)
    return found


def over(one: Released, day: date | None) -> bool:
    """Tell whether the time in public of a row of a version is over."""
    until = one.manifest.get("shown_until")
    return day is not None and until is not None and date.fromisoformat(until) <= day


def _reason(lake: Lake, one: Released, day: date) -> str:
    """Return why a version must be withdrawn on a day, nothing where it may stay."""
    if over(one, day):
        until = one.manifest["shown_until"]
        return f"其中有记录的公示期于 {until} 届满 · the time in public of a row of it ended on {until}"
    contract = lake.catalogue.contracts.get(one.dataset)
    period = contract.release.period if contract and contract.release else None
    if contract is None or period is None:
        return ""
    try:
        gold = _gold(lake, contract)
        try:
            rows, since, kept = _was_shown(lake, one, contract)
        except RequestError:  # what it was made from is gone
            any_repaired = gold is not None and not _repaired(gold, period, day, [period.decided]).is_empty()
            reckoned = one.manifest.get("shown_until") is not None
            return REPAIRED if any_repaired else "" if reckoned else UNKNOWN
        told = _told(contract, period, lake.catalogue, kept.lazy() if gold is None else gold, kept)
        if gold is not None and not _of(rows, _repaired(gold, period, day, told)).is_empty():
            return REPAIRED
        now, _ = shown(rows.lazy(), contract, lake.catalogue, max(day, since or day))
        if now.height < rows.height:
            return RULED
        if gold is None:
            return ""
        return EARLIER if _ended_since(gold, kept, told, _end(period, lake.catalogue), period, day, rows) else ""
    except _UNREADABLE:
        return UNKNOWN


def _gold(lake: Lake, contract: Contract) -> pl.LazyFrame | None:
    try:
        return Standing(lake, contract.name).rows()
    except RequestError:  # there is no gold table
        return None


def _repaired(gold: pl.LazyFrame, period: Period, day: date, told: list[str]) -> pl.DataFrame:
    """Return what gold now says of rows for which repair was granted by a day: the columns that tell them apart."""
    if period.repaired is None:
        return gold.select(told).clear().collect()
    return gold.filter(pl.col(period.repaired) <= day).select(told).collect()


def _ended_since(
    gold: pl.LazyFrame, kept: pl.DataFrame, told: list[str], ends: pl.Expr, period: Period, day: date,
    rows: pl.DataFrame,
) -> bool:
    """Tell whether, of rows like those a version shows, more have ended in gold as it now is than in gold as kept.

    Of rows that nothing tells apart any may be the one that ended; so may one that arrived since. Where an ended one
    left gold the counts tell nothing, but then fewer may be public still than the version shows.
    """
    decided, over = pl.col(period.decided) <= day, ends <= day
    now = gold.filter(decided).group_by(told).agg(over.sum().alias("_ended"), (ends > day).sum().alias("_living"))
    then = kept.lazy().filter(decided).group_by(told).agg(over.sum().alias("_ended_then"))
    shows = rows.lazy().group_by(told).agg(pl.len().alias("_shown"))
    both = shows.join(now, on=told, nulls_equal=True).join(then, on=told, how="left", nulls_equal=True)
    more = pl.col("_ended") > pl.col("_ended_then").fill_null(0)
    fewer = (pl.col("_ended") > 0) & (pl.col("_living") < pl.col("_shown"))
    return not both.filter(more | fewer).collect().is_empty()


def _told(
    contract: Contract, period: Period, catalogue: Catalogue, gold: pl.LazyFrame, kept: pl.DataFrame
) -> list[str]:
    """Return the gold columns that tell rows apart as far as a release does, of those that are in gold now and as kept.

    A column that came or changed its type since tells none apart, so that more rows may be the one that ended.
    """
    now, then = gold.collect_schema(), kept.schema
    names = {gold_column(one, protection_of(contract.fields[one], catalogue.types)) for one in (
        *contract.published.values(), period.decided, period.class_
    )}  # fmt: skip
    same = {name for name in names if name in now and name in then and now[name] == then[name]}
    return sorted(same | {period.decided, period.class_})


def _of(rows: pl.DataFrame, repaired: pl.DataFrame) -> pl.DataFrame:
    return rows.join(repaired, on=repaired.columns, how="semi", nulls_equal=True)


def _was_shown(lake: Lake, one: Released, contract: Contract) -> tuple[pl.DataFrame, date | None, pl.DataFrame]:
    """Return the gold rows a version shows, by the rules of then, the day they were reckoned for, and all of that gold.

    A version that kept no scope counts as one of today's, of every row where it had no day. Raises RequestError when
    its inputs are gone.
    """
    decided, kept = inputs.kept(lake.objects, one)
    assert contract.release is not None
    if decided.scope is None:
        rows = kept if decided.judged_on is None else shown(kept.lazy(), contract, lake.catalogue, decided.judged_on)[0]
        return rows, decided.judged_on, kept
    regimes, said = decided.scope["regimes"], decided.scope["period"]
    period = Period.model_validate(said) if said else None
    release = contract.release.model_copy(update={"only": decided.scope["only"], "period": period})
    then = contract.model_copy(update={"release": release})
    catalogue = replace(lake.catalogue, periods=rules({period.rule: regimes}) if period else {})
    rows, _ = shown(kept.lazy().filter(in_scope(then, catalogue.types)), then, catalogue, decided.judged_on)
    return rows, decided.judged_on, kept
