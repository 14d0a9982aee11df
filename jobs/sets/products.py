"""Make a product's rows: a register or dataset, filtered, joined to others, its fields by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from jobs.contract import ContractField, ProductSource


def joined(
    root: pl.LazyFrame, others: Sequence[pl.LazyFrame], source: ProductSource, fields: Mapping[str, ContractField],
    *, also: Sequence[str] = (),
) -> pl.LazyFrame:
    """Return the rows of a product: `root` as `where` keeps it, each of `source.join` to its frame of `others`.

    Columns: `also` of the root's, then the product's fields. A key without a value meets nothing; a filter compares
    values as text.
    """
    rows = root.filter(*[_condition(column, wanted) for column, wanted in source.where.items()])
    for join, other in zip(source.join, others, strict=True):
        keys = {theirs: f"_{theirs}_on" for theirs in join.on.values()}
        columns = [pl.col(theirs).alias(alias) for theirs, alias in keys.items()]
        other = other.select(*columns, *[pl.col(theirs).alias(new) for new, theirs in join.columns.items()])
        rows = rows.join(other, left_on=list(join.on), right_on=[keys[name] for name in join.on.values()], how=join.how)
    return rows.select(*also, *(pl.col(field.from_ or name).alias(name) for name, field in fields.items()))


def _condition(column: str, wanted: tuple[str, ...] | str) -> pl.Expr:
    if wanted == "null":
        return pl.col(column).is_null()
    if wanted == "not_null":
        return pl.col(column).is_not_null()
    return pl.col(column).cast(pl.String).is_in(list(wanted))
