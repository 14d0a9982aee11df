"""Know every rule a contract may state under `expect:`; a rule says where it is violated.

Row rules run here, on typed rows, and a missing value violates nothing (`required` is about absence). Table
rules need the whole table and are judged by the quality gate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal

import polars as pl

from jobs.contract import Expectation
from jobs.errors import ContractError
from jobs.rows.identifiers import birth_date, sex

Violation = Callable[[pl.DataFrame, Expectation, date], pl.Series]
_EXACT = pl.Decimal(38, 8)
# GB/T 2261.1: what the sex codes of a table mean in a citizen number's parity.
_SEX_OF_CODE = {"1": "male", "2": "female"}


@dataclass(frozen=True)
class Rule:
    """Describe a rule: what it looks at, what it needs in the contract, where it is violated."""

    scope: Literal["row", "table"]
    needs: tuple[str, ...]
    holds: str
    violated: Violation | None = None


def _column(rows: pl.DataFrame, expectation: Expectation) -> pl.Series:
    return rows[expectation.column or ""]


def _pair(rows: pl.DataFrame, expectation: Expectation) -> tuple[pl.Series, pl.Series]:
    left, right = _column(rows, expectation), rows[expectation.other or ""]
    if left.dtype != right.dtype and {left.dtype, right.dtype} <= {pl.Date(), pl.Datetime("us", "UTC")}:
        return _day(left), _day(right)
    return left, right


def _day(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Date:
        return values
    return values.dt.convert_time_zone("Asia/Shanghai").dt.date()


def _not_before(rows: pl.DataFrame, expectation: Expectation, _on: date) -> pl.Series:
    left, right = _pair(rows, expectation)
    return left < right


def _not_after(rows: pl.DataFrame, expectation: Expectation, _on: date) -> pl.Series:
    left, right = _pair(rows, expectation)
    return left > right


def _equal_to(rows: pl.DataFrame, expectation: Expectation, _on: date) -> pl.Series:
    left, right = _pair(rows, expectation)
    return left != right


def _in_range(rows: pl.DataFrame, expectation: Expectation, _on: date) -> pl.Series:
    values = _column(rows, expectation)
    if isinstance(values.dtype, pl.Datetime):
        values = _day(values)
    if values.dtype.is_integer() or values.dtype.is_decimal():
        values = values.cast(_EXACT)  # bounds may have decimals where the values have none
    violated = pl.Series(dtype=pl.Boolean).extend_constant(value=False, n=len(values))
    for bound, lower in ((expectation.min, True), (expectation.max, False)):
        if bound is None:
            continue
        text = pl.Series([str(bound)])
        limit = text.str.to_date() if values.dtype == pl.Date else text.cast(values.dtype)
        violated |= ((values < limit) if lower else (values > limit)).fill_null(value=False)
    return violated


def _matches(rows: pl.DataFrame, expectation: Expectation, _on: date) -> pl.Series:
    return ~_column(rows, expectation).str.contains(f"^(?:{expectation.pattern})$")


def _one_of(rows: pl.DataFrame, expectation: Expectation, _on: date) -> pl.Series:
    return ~_column(rows, expectation).cast(pl.String).is_in(list(expectation.values))


def _requires(rows: pl.DataFrame, expectation: Expectation, _on: date) -> pl.Series:
    asked = _column(rows, expectation)
    applies = asked.is_not_null()
    if expectation.values:
        applies &= asked.cast(pl.String).is_in(list(expectation.values)).fill_null(value=False)
    return applies & rows[expectation.other or ""].is_null()


def _not_future(rows: pl.DataFrame, expectation: Expectation, on: date) -> pl.Series:
    return _day(_column(rows, expectation)) > on


def _birth_matches_id(rows: pl.DataFrame, expectation: Expectation, _on: date) -> pl.Series:
    born: pl.Series = birth_date(rows[expectation.other or ""])
    return _day(_column(rows, expectation)) != born


def _sex_matches_id(rows: pl.DataFrame, expectation: Expectation, _on: date) -> pl.Series:
    stated = _column(rows, expectation).replace_strict(_SEX_OF_CODE, default=None, return_dtype=pl.String)
    told: pl.Series = sex(rows[expectation.other or ""])
    return stated != told


RULES: dict[str, Rule] = {
    "not_before": Rule("row", ("column", "other"), "column is on or after other", _not_before),
    "not_after": Rule("row", ("column", "other"), "column is on or before other", _not_after),
    "equal_to": Rule("row", ("column", "other"), "column equals other", _equal_to),
    "in_range": Rule("row", ("column",), "min <= column <= max, bounds included", _in_range),
    "matches": Rule("row", ("column", "pattern"), "the whole value matches the pattern", _matches),
    "one_of": Rule("row", ("column", "values"), "the value is one of values", _one_of),
    "requires": Rule(
        "row", ("column", "other"), "where column is given (or one of values), so is other", _requires
    ),
    "not_future": Rule("row", ("column",), "column is not after the data date", _not_future),
    "birth_matches_id": Rule(
        "row", ("column", "other"), "birth date agrees with the number", _birth_matches_id
    ),
    "sex_matches_id": Rule("row", ("column", "other"), "sex code agrees with the number", _sex_matches_id),
    "unique": Rule("table", ("columns",), "no two current rows share these columns"),
    "null_share_below": Rule("table", ("column", "max"), "the share of missing values is at most max"),
    "row_count": Rule("table", (), "the batch has min to max rows"),
}
RULES_KNOWN = frozenset(RULES)


def rule_problem(expectation: Expectation) -> str | None:
    """Say what is wrong with an expectation's rule or arguments, None when nothing; for `lake check`."""
    rule = RULES.get(expectation.rule)
    if rule is None:
        return f"there is no rule {expectation.rule!r}; rules: {', '.join(sorted(RULES))}."
    lacking = [
        need for need in rule.needs if not getattr(expectation, need) and getattr(expectation, need) != 0
    ]
    if lacking:
        return f"the rule {expectation.rule} needs {' and '.join(f'{need}:' for need in lacking)}."
    if expectation.rule in ("in_range", "row_count") and expectation.min is None and expectation.max is None:
        return f"the rule {expectation.rule} needs min: or max:."
    return None


def violations(rows: pl.DataFrame, expectation: Expectation, on: date) -> pl.Series:
    """Return where a row rule is violated (Boolean, never null); raise ContractError for an unknown rule."""
    problem = rule_problem(expectation)
    if problem:
        raise ContractError(problem, where="expect", remedy="see `lake check`.")
    violated = RULES[expectation.rule].violated
    if violated is None:
        return pl.Series(dtype=pl.Boolean).extend_constant(value=False, n=rows.height)
    return violated(rows, expectation, on).fill_null(value=False)
