"""The truth beside a delivered row, in columns that begin with an underscore and are never delivered."""

from __future__ import annotations

import polars as pl

# Whom a row speaks of, in the order of the contract's roles under `entities:`; null where a role is empty.
ROLES = ("subject", "other", "third", "fourth")


def truth(
    subject: str, *others: str | None, story: str | None = None, dirt: str = "", expected: str = "accepted"
) -> dict[str, pl.Expr]:
    """Return the truth's columns: who each role is, the row's story, what is wrong with it, what must become of it."""
    named = dict(zip(ROLES, (subject, *others), strict=False))
    return {
        **{
            f"_{role}": pl.col(column) if (column := named.get(role)) else pl.lit(None, pl.String)
            for role in ROLES
        },
        "_story": pl.col(story) if story else pl.lit(""),
        "_dirt": pl.lit(dirt),
        "_expected": pl.lit(expected),
    }


def iso(column: str) -> pl.Expr:
    """Return a date column as ISO 8601 text."""
    return pl.col(column).dt.strftime("%Y-%m-%d")
