"""Children under 14: every personal information of theirs is sensitive (PIPL art. 28), so a claim of none is checked.

A contract that says `under_14: TEXT` claims that no row speaks of a child. Rows tell a person's age by the birth date
in a citizen ID number or in a field that the register of people takes its birth date from. Where neither tells it, the
age is unknown, which is no proof of being 14: such rows are counted apart, told to who approves and in the risk
statement, and where every row speaks of somebody of unknown age the claim was checked of none. A contract for which the
law makes an exception says `under_14: {exempt: TEXT}`; nothing is checked then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import polars as pl

from jobs.catalogue import Catalogue
from jobs.contract import PEOPLE, Contract
from jobs.errors import ReleaseRefused
from jobs.rows.identifiers import birth_date

OF_AGE = 14  # years
BIRTH = "birth_date"  # the field of the register of people
COUNTED = "under_14"  # in the report on gold: rows in the release's scope that speak of a child
UNKNOWN = "age_unknown"  # there: rows that speak of somebody whose age nothing tells
KNOWN = "age_known"  # there: rows that speak of somebody, and of nobody whose age nothing tells
COUNTS = (COUNTED, UNKNOWN, KNOWN)
FEW = 5  # a count below this is told to the public as fewer than this


class Person(NamedTuple):
    """Name the fields by which a row speaks of one person: those that tell an age, and all of them.

    `spoken` is empty where every row is about the person.
    """

    telling: tuple[str, ...]
    spoken: tuple[str, ...]


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


def people(contract: Contract, catalogue: Catalogue) -> tuple[Person, ...]:
    """Return the people a row may speak of, as far as it holds anything of them."""
    if contract.from_ is None:
        return tuple(_people_of_dataset(contract))
    return tuple(_people_of_product(contract, catalogue))


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


def counts(rows: pl.DataFrame, contract: Contract, catalogue: Catalogue, on: date) -> pl.DataFrame:
    """Tell of each row (Boolean columns of COUNTS) whether it speaks of a child, and whether its ages are known."""
    spoken, unknown = (pl.Series("", [False], pl.Boolean).new_from_index(0, rows.height) for _ in range(2))
    for person in people(contract, catalogue):
        there = _any([rows[name].is_not_null() for name in person.spoken if name in rows.columns], rows.height)
        there = there if person.spoken else ~there
        told = _any([_born(rows[name]).is_not_null() for name in person.telling if name in rows.columns], rows.height)
        spoken, unknown = spoken | there, unknown | (there & ~told)
    young = children(rows, telling(contract, catalogue), on, contract.load.as_of)
    return pl.DataFrame({COUNTED: young, UNKNOWN: unknown, KNOWN: spoken & ~unknown})


def statement(contract: Contract, catalogue: Catalogue, counted: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what a release says about children: the claim, and how many rows it could not be checked for.

    None where nothing is claimed. `counted`: the report on gold.
    """
    if not claims_none(contract, catalogue):
        return None
    unknown = int(counted[UNKNOWN])
    shown = f"fewer than {FEW}" if 0 < unknown < FEW else str(unknown)
    return {"claim": "; ".join(_claims(contract, catalogue)), UNKNOWN: shown}


def told(contract: Contract, catalogue: Catalogue, counted: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what who approves is told: the claim, and the exact COUNTS; None where nothing is claimed or counted."""
    if not claims_none(contract, catalogue) or not counted.keys() >= set(COUNTS):
        return None
    return {"claim": "; ".join(_claims(contract, catalogue)), **{name: counted[name] for name in COUNTS}}


def refusal(contract: Contract, catalogue: Catalogue, counted: Mapping[str, object]) -> ReleaseRefused | None:
    """Return the refusal of a release whose rows in gold contradict its claim, or were never counted."""
    if not claims_none(contract, catalogue):
        return None
    rows, complete = counted.get(COUNTED), all(isinstance(counted.get(name), int) for name in COUNTS)
    if rows == 0 and complete:
        if counted[KNOWN] or not counted[UNKNOWN]:
            return None
        return ReleaseRefused(
            f"in every one of its {counted[UNKNOWN]} rows somebody's age is unknown: that none speaks of a child under "
            "14 could be checked of no row.", dataset=contract.name, layer="open", where="under_14",
            remedy="deliver birth dates or citizen ID numbers, publish counts (aggregate:), or give up the claim.",
        )
    rows = rows if complete else None
    what = (
        "nobody has counted yet how many rows speak of children under 14." if not isinstance(rows, int) else
        f"{rows} rows speak of children under 14, though the contract says that none does; all of them is sensitive."
    )
    return ReleaseRefused(
        what, dataset=contract.name, layer="open", where="under_14",
        remedy=f"`lake run desensitise {contract.name}`." if not isinstance(rows, int) else
        "look at these rows; publish counts (aggregate:), narrow release.only, or give up the claim.",
    )


def _any(some: Sequence[pl.Series], height: int) -> pl.Series:
    found = pl.Series("", [False], pl.Boolean).new_from_index(0, height)
    for one in some:
        found = found | one
    return found


def _claims(contract: Contract, catalogue: Catalogue) -> list[str]:
    """Return why no row speaks of a child: in a contract's own words, else in those of the datasets it reads."""
    if contract.under_14 is not None:
        return [contract.under_14] if isinstance(contract.under_14, str) else []
    behind = [catalogue.contracts.get(name) for name in contract.reads_datasets if name != contract.name]
    return list(dict.fromkeys(claim for one in behind if one is not None for claim in _claims(one, catalogue)))


def _born(values: pl.Series) -> pl.Series:
    return birth_date(values) if values.dtype == pl.String else values.cast(pl.Date)


def _of_dataset(contract: Contract) -> Iterator[str]:
    for link in contract.entities.values():
        if link.register_ == PEOPLE:
            yield from (name for name in link.key if contract.fields[name].type == "resident_id")
            yield from (field for name, field in link.fields.items() if name == BIRTH)


def _people_of_dataset(contract: Contract) -> Iterator[Person]:
    for link in contract.entities.values():
        if link.register_ == PEOPLE:
            told = [name for name in link.key if contract.fields[name].type == "resident_id"]
            told += [field for name, field in link.fields.items() if name == BIRTH]
            yield Person(tuple(dict.fromkeys(told)), tuple(dict.fromkeys([*link.key, *link.fields.values()])))


def _people_of_product(contract: Contract, catalogue: Catalogue) -> Iterator[Person]:
    """Yield the people of what a product reads, by its own fields; of a person no field of it is about, nothing."""
    assert contract.from_ is not None
    source, aged = contract.from_, telling(contract, catalogue)
    fields: dict[str, list[str]] = {}
    for name, field in contract.fields.items():
        fields.setdefault(field.from_ or name, []).append(name)
    if source.register_ == PEOPLE:
        yield Person(tuple(fields.get(BIRTH, ())), ())
    elif source.dataset is not None:
        yield from _renamed(catalogue.contracts.get(source.dataset), catalogue, fields)
    for join in source.join:
        # Whom the register knows by a key that tells an age is who the key is about.
        keyed = [name for column in join.on for name in fields.get(column, ()) if name in aged]
        theirs: dict[str, list[str]] = {}
        for new, column in join.columns.items():
            theirs.setdefault(column, []).extend(fields.get(new, ()))
        if join.register_ == PEOPLE:
            if spoken := tuple(name for names in theirs.values() for name in names):
                yield Person((*theirs.get(BIRTH, ()), *keyed), spoken)
        elif join.dataset is not None:
            yield from _renamed(catalogue.contracts.get(join.dataset), catalogue, theirs)


def _renamed(
    contract: Contract | None, catalogue: Catalogue, fields: Mapping[str, Sequence[str]]
) -> Iterator[Person]:
    """Yield the people of a contract by the fields that take theirs over; those of whom none does are left out."""
    for person in people(contract, catalogue) if contract is not None else ():
        telling, spoken = (tuple(new for name in some for new in fields.get(name, ())) for some in person)
        if spoken or (telling and not person.spoken):
            yield Person(telling, spoken)


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
