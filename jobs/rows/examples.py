"""Run a contract's examples: invented rows and what must become of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from jobs.contract import Contract, Example, TypeSpec
from jobs.rows.codes import CodeBook
from jobs.rows.judgement import judge

# Examples are judged as if delivered on this day, so that they mean the same for ever.
EXAMPLE_DATE = date(2026, 3, 2)


def check_examples(contract: Contract, types: Mapping[str, TypeSpec], codes: CodeBook) -> list[str]:
    """Return one sentence per example that does not come out as stated.

    Examples are invented, so their values may show.
    """
    if not contract.examples or contract.is_product:
        return []
    columns = contract.source_columns
    cells = pl.DataFrame(
        {column: [example.given.get(column) for example in contract.examples] for column in columns},
        schema=dict.fromkeys(columns, pl.String),
    )
    judged = judge(cells, contract, types, codes, EXAMPLE_DATE)
    problems: list[str] = []
    for number, example in enumerate(contract.examples):
        problems += [
            f"examples[{number}]: {what}" for what in _differences(example, judged[number], contract)
        ]
    return problems


def _differences(example: Example, row: pl.DataFrame, contract: Contract) -> list[str]:
    reasons = row["_reasons"].to_list()[0]
    if example.rejected:
        if sorted(example.rejected) == reasons:
            return []
        return [
            f"rejected for {', '.join(reasons) or 'nothing'}, stated {', '.join(sorted(example.rejected))}."
        ]
    if reasons:
        return [f"stated as accepted, but rejected for {', '.join(reasons)}."]
    if not isinstance(example.accepted, dict):
        return []
    found = []
    for name, expected in example.accepted.items():
        if name not in row.columns:
            found.append(f"{name} is no field of {contract.name}.")
        elif (value := row[name].cast(pl.String).to_list()[0]) != expected:
            found.append(f"{name} became {value!r}, stated {expected!r}.")
    return found
