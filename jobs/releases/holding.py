"""Hold back what a release would tell by its difference to the earlier ones, where it is about people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from jobs import layers
from jobs.contract import Contract
from jobs.errors import ReleaseRefused, RequestError
from jobs.releases import adversary, inputs, listing, periods, pseudonyms
from jobs.releases.build import Draft
from jobs.rows.coarsening import method_named
from jobs.sets.anonymity import Anonymised
from jobs.sets.changes import comparable
from jobs.sets.differencing import Held, held_back

if TYPE_CHECKING:
    from jobs.storage.tables import Lake


@dataclass(frozen=True)
class Comparison:
    """Name the earlier releases a draft is compared with, and whether rows of theirs must go now."""

    against: Sequence[str] = ()
    takedown: bool = False


def comparison(lake: Lake, made: Draft) -> Comparison:
    """Return what a new release of a draft is compared with: every earlier one that is out and has its columns.

    Nothing, where the release is about no person, about things that a public key names, or has noise, whose ε adds up.
    A delivery withdrawn since the last release is a takedown, and so is a time in public that is over: rows that have
    to go are not held back.
    """
    name = made.contract.name
    if made.exact is not None or made.key or not adversary.roles(lake, made.contract):
        return Comparison()
    there = [one for one in listing.versions(lake.objects, name) if not one.withdrawn]
    alike = [one for one in there if comparable(pl.read_parquet(one.data("parquet"), n_rows=0), made.table)]
    if not alike:
        return Comparison()
    since = datetime.fromisoformat(alike[-1].attestation["released_at"])
    gone = any(periods.over(one, made.day) for one in alike) or _taken_down(lake, made.contract, since)
    return Comparison([one.version for one in alike], gone)


def settled(lake: Lake, made: Draft, against: Comparison) -> Draft:
    """Return a draft whose unsafe changes wait; raise RequestError when an earlier release it needs was withdrawn."""
    if not against.against:
        return made
    assert made.contract.release is not None
    # Its readers are told of no version in another zone.
    zone, earlier, told_of = layers.zone(made.contract.release.mode), [], []
    for version in against.against:
        one = listing.version(lake.objects, made.contract.name, version)
        if one.withdrawn:
            raise RequestError(
                f"version {version}, which it was compared with, was withdrawn: it cannot be rebuilt.",
                dataset=made.contract.name, layer="open",
            )
        earlier.append(pl.read_parquet(one.data("parquet")))
        told_of += [version] if one.zone is zone else []
    measures = made.contract.aggregate.measures if made.contract.aggregate else {}
    counts = [measure for measure, how in measures.items() if how == "count"]
    # Of sums alone nothing says how many a change is about, and the means of two releases give a newcomer's value away,
    # however many came: no change is safe.
    threshold = 1 << 62 if (measures and not counts) or _averaged(made.contract) else made.threshold
    counts = counts or list(measures)[:1]
    unjoined = pseudonyms.columns(made.contract)
    now, before = made.table.drop(unjoined), [one.drop(unjoined) for one in earlier]
    held = held_back(
        before, now.sort(now.columns), [name for name in made.quasi if name not in unjoined], threshold, counts=counts,
        takedown=against.takedown, least=made.threshold,
    )
    if unjoined:
        held = _left_out(made, held)
    if held.table.is_empty():
        raise ReleaseRefused(
            "every group would have to be left out: each differs by too few people from one of an earlier release.",
            dataset=made.contract.name, layer="open", remedy="release it when more has changed.",
        )
    told = {
        "compared_with": told_of, "least_change": made.threshold, "groups_held": held.groups,
        "rows_held": held.rows, "groups_taken_down": held.withdrawn,
    }
    if held.table.equals(made.table):
        return replace(made, held=told)
    measured = _measured(made, held.table, counts)
    if unjoined:  # what is left out is lost, not only late
        measured = replace(measured, rows=held.table, subjects=measured.subjects.clear())
    return replace(made, table=held.table, anonymised=measured, held=told)


def _averaged(contract: Contract) -> bool:
    """Tell whether a published column holds means of several rows."""
    published = [str(field.publish.generalise or "keep") for field in contract.fields.values() if field.publish]
    return any(method_named(how)[0].whole for how in published)


def _left_out(made: Draft, held: Held) -> Held:
    """Return a draft's table without the groups that would have to wait.

    A row that stayed from an earlier release would keep its pseudonym, and that would join the two.
    """
    columns = held.table.columns
    quasi = [name for name in made.quasi if name in columns]
    wanted, there = (one.group_by(columns).len() for one in (held.table, made.table.select(columns)))
    both = wanted.join(there, on=columns, how="full", nulls_equal=True, coalesce=True)
    differing = both.filter(pl.col("len").ne_missing(pl.col("len_right")))
    if differing.is_empty():
        return Held(made.table, 0, 0, 0)
    if not quasi:
        raise ReleaseRefused(
            "the change since the last release is about too few people, and all rows are one group.",
            dataset=made.contract.name, layer="open", remedy="release it when more has changed.",
        )
    waiting = differing.select(quasi).unique()
    table = made.table.join(waiting, on=quasi, how="anti", nulls_equal=True)
    return Held(table, 0, 0, waiting.height)


def _measured(made: Draft, table: pl.DataFrame, counts: Sequence[str]) -> Anonymised:
    """Return the measures of a mixed table; groups of people count by the threshold where only rows are known."""
    quasi = list(made.quasi)
    size = pl.col(counts[0]).sum() if counts else pl.len()
    sizes = table.group_by(quasi).agg(size.alias("size"))["size"].sort() if quasi else pl.Series([table.height])
    average = float((1 / sizes).mean() or 0.0)  # type: ignore[arg-type]
    fresh = made.anonymised
    return replace(
        fresh, groups=len(sizes), smallest_group=min(fresh.smallest_group or made.threshold, made.threshold),
        average_risk=max(average, fresh.average_risk),
    )


def _taken_down(lake: Lake, contract: Contract, since: datetime) -> bool:
    named = pl.col("dataset").is_in(inputs.datasets(lake, contract))
    runs = lake.runs().filter(named, stage="retract", outcome="retracted")
    return bool((runs["recorded_at"] > since).any())
