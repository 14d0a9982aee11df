"""The cells of a table that is published with noise: fixed by the contract, whatever the data are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import polars as pl

from jobs.contract import PEOPLE, Contract, Privacy
from jobs.errors import ContractError
from jobs.privacy.grades import CLOSED
from jobs.releases.terms import code_list, summed_fields
from jobs.rows.codes import CodeBook

if TYPE_CHECKING:
    from jobs.catalogue import Catalogue

MOST_CELLS = 1_000_000
_WHOM = "_whom"
Finding = tuple[tuple[str, ...], str, str]


def declared(contract: Contract, catalogue: Catalogue, codes: CodeBook) -> pl.DataFrame:
    """Return one row per cell, published columns as text, sorted bytewise.

    Raises ContractError for a column whose values nobody can know beforehand, and for more than a million cells.
    """
    values = [_values(contract, catalogue, codes, column) for column in contract.published]
    count = 1
    for one in values:
        count *= len(one)
    if count > MOST_CELLS:
        raise ContractError(
            f"{count:,} cells are declared; at most {MOST_CELLS:,} make a table.", dataset=contract.name,
            where="privacy.cells", remedy="publish fewer or coarser columns, or name fewer values.",
        )
    columns = list(contract.published)
    return pl.DataFrame(list(product(*values)), schema=dict.fromkeys(columns, pl.String), orient="row").sort(columns)


def counted(
    published: pl.DataFrame, cells: pl.DataFrame, privacy: Privacy, people: pl.Series | None,
    amounts: dict[str, pl.Series], measures: dict[str, str],
) -> pl.DataFrame:
    """Return the exact measures of every cell, whole numbers, in the cells' order; they never leave.

    `people`: who each row is about; only `most_rows` rows of each count, and rows of nobody known do not, so that
    nobody moves the table further than the noise is made for. Amounts are taken into 0..most and rounded.
    """
    columns = cells.columns
    rows = published.select(pl.col(columns).cast(pl.String)).hstack(
        [_amount(measure, values, privacy) for measure, values in amounts.items()]
    )
    if people is not None:
        rows = rows.with_columns(people.alias(_WHOM)).drop_nulls(_WHOM)
    rows = rows.join(cells, on=columns, how="semi")
    if people is not None:
        rows = rows.sort(_WHOM, *columns, *amounts)
        rows = rows.filter(pl.int_range(pl.len()).over(_WHOM) < privacy.most_rows)
    made = rows.group_by(columns).agg(
        (pl.len().cast(pl.Int64) if how == "count" else pl.col(measure).sum()).alias(measure)
        for measure, how in measures.items()
    )
    return cells.join(made, on=columns, how="left", maintain_order="left").with_columns(
        pl.col(list(measures)).fill_null(0)
    )


def problems(contract: Contract, catalogue: Catalogue, codes: CodeBook) -> Iterator[Finding]:
    """Yield (location, what, remedy) for what keeps a contract's noise from protecting anybody."""
    privacy, here = contract.privacy, ("privacy",)
    if privacy is None:
        return
    if contract.aggregate is None or not contract.published:
        yield here, "noise is for published counts and sums.", "add aggregate:, or take privacy: away."
        return
    if privacy.budget < privacy.epsilon:
        yield (*here, "budget"), "the budget does not pay for one release.", "raise it, or lower epsilon."
    for measure in summed_fields(contract):
        if measure not in privacy.most:
            yield (*here, "most"), f"{measure} has no bound on one row's amount.", f"write most: {{{measure}: 10000}}."
    for measure in privacy.most:
        if measure not in summed_fields(contract):
            yield (*here, "most", measure), f"{measure!r} is no sum of the contract.", ""
    source = contract.from_
    if privacy.person is None:
        if source is None or source.register_ != PEOPLE or source.join or privacy.most_rows != 1:
            remedy = "name the field with the person's pseudonym: person: FIELD."
            yield here, "nobody knows whose rows these are.", remedy
    elif privacy.person not in contract.fields or contract.fields[privacy.person].protect != "pseudonym":
        yield (*here, "person"), "it is no field of protect: pseudonym.", "rows of one person are known by it alone."
    for column in privacy.cells:
        if column not in contract.published:
            yield (*here, "cells", column), f"{column!r} is no published column.", ""
    try:
        declared(contract, catalogue, codes)
    except ContractError as error:
        yield tuple((error.where or "privacy").split(".")), error.what, error.remedy or ""
    yield from _exact(contract, catalogue)


def roots(contract: Contract) -> list[str]:
    """Return the tables whose people a contract's ε is spent on."""
    return sorted({*(f"registers/{name}" for name in contract.reads_registers), *contract.reads_datasets})


def _exact(contract: Contract, catalogue: Catalogue) -> Iterator[Finding]:
    """Yield who else publishes exact values of the same rows, to the same readers or more."""
    assert contract.release is not None
    mine = set(roots(contract))
    for name, other in sorted(catalogue.contracts.items()):
        if name == contract.name or other.privacy or other.release is None or not other.published:
            continue
        if mine & set(roots(other)) and CLOSED[other.release.mode] <= CLOSED[contract.release.mode]:
            yield (
                ("privacy",), f"{name} publishes exact values of the same rows: together they undo the noise.",
                "give it privacy: too, or release it less openly.",
            )


def _amount(measure: str, values: pl.Series, privacy: Privacy) -> pl.Series:
    return values.cast(pl.Float64).fill_null(0).clip(0, privacy.most[measure]).round().cast(pl.Int64).alias(measure)


def _values(contract: Contract, catalogue: Catalogue, codes: CodeBook, column: str) -> list[str]:
    assert contract.privacy is not None
    field, told = contract.fields[contract.published[column]], contract.privacy.cells.get(column)
    name = code_list(field, catalogue)
    known = sorted(codes.labels(name)) if name and codes.has(name) else []
    if told is None:
        if not known:
            raise ContractError(
                f"the values of {column} are not known without looking at the data.", dataset=contract.name,
                where="privacy.cells", remedy=f"name them: cells: {{{column}: [...]}}.",
            )
        return known
    found: list[str] = []
    for value in told:
        matching = [code for code in known if code.startswith(value[:-1])] if value.endswith("*") else [value]
        if not matching:
            raise ContractError(
                f"no code of {name or 'its code list'} begins like {value}.", dataset=contract.name,
                where=f"privacy.cells.{column}", remedy="name values, or the beginning of codes and an asterisk.",
            )
        found += matching
    return sorted(dict.fromkeys(found))
