"""Children under 14: every personal information of theirs is sensitive (PIPL art. 28), so a claim of none is checked.

A contract that says `under_14: TEXT` claims that no row speaks of a child. Rows tell a person's age by the birth date
in a citizen ID number or in a field that the register of people takes its birth date from. A contract for which the
law makes an exception says `under_14: {exempt: TEXT}`; nothing is checked then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

import polars as pl

from jobs.catalogue import Catalogue
from jobs.contract import PEOPLE, Contract
from jobs.errors import ReleaseRefused
from jobs.rows.identifiers import birth_date

OF_AGE = 14  # years
BIRTH = "birth_date"  # the field of the register of people
COUNTED = "under_14"  # in the report on gold: rows in the release's scope that speak of a child


def claims_none(contract: Contract, catalogue: Catalogue) -> bool:
    """Tell whether it is claimed that no row a contract publishes speaks of a child; counts are of no one.

    A product that says nothing itself stands on the claims of the datasets it reads.
    """
    return contract.release is not None and contract.aggregate is None and _claimed(contract, catalogue)


def _claimed(contract: Contract, catalogue: Catalogue) -> bool:
    if contract.under_14 is not None:
        return isinstance(contract.under_14, str)
    behind = [catalogue.contracts.get(name) for name in contract.reads_datasets if name != contract.name]
    return any(one is not None and _claimed(one, catalogue) for one in behind)


def telling(contract: Contract, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the fields that tell how old somebody is whom a row speaks of, in the order of the contract."""
    found = set(_of_dataset(contract) if contract.from_ is None else _of_product(contract, catalogue))
    return tuple(name for name in contract.fields if name in found)


def problem(contract: Contract, catalogue: Catalogue) -> tuple[tuple[str, ...], str, str] | None:
    """Return (location, what, remedy) when a contract claims what no field of it could disprove."""
    if not claims_none(contract, catalogue) or telling(contract, catalogue):
        return None
    return (
        ("under_14",), "no field tells how old a person is: the claim cannot be checked.",
        "take in the birth date or the citizen ID number, publish counts, or say by which law: {exempt: REASON}.",
    )


def children(rows: pl.DataFrame, fields: tuple[str, ...], on: date, as_of: str | None = None) -> pl.Series:
    """Tell (Boolean) which rows speak of somebody under 14 on the row's `as_of` date, at the latest on `on`.

    `fields`: dates of birth (Date) or citizen ID numbers of 18 characters; one that tells nothing is nobody's. The day
    a row speaks of is the strictest: whoever was 14 then is so today.
    """
    day = pl.lit(on)
    if as_of is not None and as_of in rows.columns:
        said = pl.col(as_of)
        if isinstance(rows.schema[as_of], pl.Datetime):
            said = said.dt.convert_time_zone("Asia/Shanghai").dt.date()
        day = pl.min_horizontal(said, pl.lit(on))
    young = [_born(rows[name]).dt.offset_by(f"{OF_AGE}y") > rows.select(day.alias("day")).to_series()
             for name in fields if name in rows.columns]
    none = pl.Series("", [False], pl.Boolean).new_from_index(0, rows.height)
    for one in young:
        none = none | one.fill_null(value=False)
    return none


def refusal(contract: Contract, catalogue: Catalogue, counted: Mapping[str, object]) -> ReleaseRefused | None:
    """Return the refusal of a release whose rows in gold contradict its claim, or were never counted."""
    if not claims_none(contract, catalogue):
        return None
    rows = counted.get(COUNTED)
    if rows == 0:
        return None
    what = (
        "nobody has counted yet how many rows speak of children under 14." if not isinstance(rows, int) else
        f"{rows} rows speak of children under 14, though the contract says that none does; all of them is sensitive."
    )
    return ReleaseRefused(
        what, dataset=contract.name, layer="open", where="under_14",
        remedy=f"`lake run desensitise {contract.name}`." if not isinstance(rows, int) else
        "look at these rows; publish counts (aggregate:), narrow release.only, or give up the claim.",
    )


def _born(values: pl.Series) -> pl.Series:
    return birth_date(values) if values.dtype == pl.String else values.cast(pl.Date)


def _of_dataset(contract: Contract) -> Iterator[str]:
    for link in contract.entities.values():
        if link.register_ == PEOPLE:
            yield from (name for name in link.key if contract.fields[name].type == "resident_id")
            yield from (field for name, field in link.fields.items() if name == BIRTH)


def _of_product(contract: Contract, catalogue: Catalogue) -> Iterator[str]:
    """Yield the fields that are read, through `from:` and its joins, from one that tells an age."""
    assert contract.from_ is not None
    source = contract.from_
    names = set(_of_part(source.register_, source.dataset, catalogue))
    for join in source.join:
        theirs = set(_of_part(join.register_, join.dataset, catalogue))
        names |= {new for new, column in join.columns.items() if column in theirs}
    yield from (name for name, field in contract.fields.items() if (field.from_ or name) in names)


def _of_part(register: str | None, dataset: str | None, catalogue: Catalogue) -> Iterator[str]:
    if register == PEOPLE:
        yield BIRTH
    elif dataset is not None and dataset in catalogue.contracts:
        yield from telling(catalogue.contracts[dataset], catalogue)
