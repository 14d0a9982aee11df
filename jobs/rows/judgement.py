"""Judge delivered rows by their contract: typed values, every broken rule, every remark.

A reason is `column.rule`. A row with any reason is rejected; a row with none is accepted, warnings or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

import polars as pl

from jobs.contract import Contract, ContractField, TypeSpec
from jobs.rows.casting import Cast, Masks, cast, silver_schema
from jobs.rows.cleaning import clean_text
from jobs.rows.codes import CodeBook
from jobs.rows.rules import RULES, violations

__all__ = ["judge", "silver_schema"]

RULES_OF_JUDGEMENT = ("required",)
REMARKS = ("record.unterminated",)  # what a reader says of a record that is sound all the same


def judge(
    cells: pl.DataFrame, contract: Contract, types: Mapping[str, TypeSpec], codes: CodeBook, data_date: date
) -> pl.DataFrame:
    """Judge one batch (or any part of it); every row is judged by itself.

    `cells` has one Utf8 column per source column (a column the delivery lacks counts as empty) and the
    lake's own columns, which begin with an underscore and are carried through. Returns the typed columns of
    `silver_schema`, `_reasons` and `_warnings` (List(Utf8), sorted, each once), `_deleted` (Boolean), and
    the carried columns; the same rows in the same order. A row with a `_defect` gets that as its only
    reason and no values; one that is a reader's remark is a warning.
    """
    numbered = cells.with_row_index("_row")
    sound = numbered
    defects = remarks = pl.DataFrame(schema={"_row": pl.UInt32, "finding": pl.String})
    if "_defect" in cells.columns and cells["_defect"].null_count() < cells.height:
        said = pl.col("_defect").is_in(REMARKS)
        remarks = numbered.filter(said).select("_row", finding="_defect")
        defects = numbered.filter(~said).select("_row", finding="_defect")
        sound = numbered.filter(pl.col("_defect").is_null() | said)

    judged = _Judged(sound, contract, types, codes, data_date)
    reasons = pl.concat([defects, _rows_of(judged.reasons, sound["_row"])])
    warnings = pl.concat([remarks, _rows_of(judged.warnings, sound["_row"])])
    typed = pl.DataFrame(judged.values).with_columns(sound["_row"], _deleted=_deleted(sound, contract))
    carried = [name for name in cells.columns if name.startswith("_") and name not in _ADDED]
    return (
        numbered.select("_row", *carried)
        .join(typed, on="_row", how="left", maintain_order="left")
        .join(_listed(reasons, "_reasons"), on="_row", how="left", maintain_order="left")
        .join(_listed(warnings, "_warnings"), on="_row", how="left", maintain_order="left")
        .select(
            *silver_schema(contract, types),
            pl.col("_reasons").fill_null([]),
            pl.col("_warnings").fill_null([]),
            pl.col("_deleted").fill_null(value=False),
            *carried,
        )
    )


_ADDED = frozenset({"_reasons", "_warnings", "_deleted", "_row"})


class _Judged:
    """Collect values and findings of one batch, field by field."""

    def __init__(
        self, rows: pl.DataFrame, contract: Contract, types: Mapping[str, TypeSpec], codes: CodeBook, on: date
    ) -> None:
        self.values: dict[str, pl.Series] = {}
        self.reasons: Masks = {}
        self.warnings: Masks = {}
        moved: dict[str, pl.Series] = {}  # field: cells that other fields hand over
        satisfied: dict[str, pl.Series] = {}  # field: where its cell moved away, so that nothing is missing
        for name, spec in contract.fields.items():
            cells = _cells(rows, spec)
            found = cast(cells, spec, types, codes, on)
            self._take(name, found)
            if found.legacy is not None and found.older is not None and found.legacy.null_count() < len(cells):
                satisfied[name] = found.legacy.is_not_null()
                for kind, target in spec.legacy.items():
                    here = found.older.set((found.legacy != kind).fill_null(value=True), None)
                    moved[target] = moved[target].fill_null(here) if target in moved else here
        for target, texts in moved.items():
            self._receive(target, texts)
        for name, spec in contract.fields.items():
            if spec.required:
                self._require(name, satisfied.get(name))
        self._expect(contract, on)

    def _take(self, name: str, found: Cast) -> None:
        self.values[name] = found.values.alias(name)
        if found.currency is not None:
            self.values[f"{name}_currency"] = found.currency.alias(f"{name}_currency")
        self.reasons |= {f"{name}.{rule}": mask for rule, mask in found.reasons.items()}
        self.warnings |= {f"{name}.{rule}": mask for rule, mask in found.warnings.items()}

    def _receive(self, name: str, texts: pl.Series) -> None:
        # The handing field recognised the kind; a second check would only repeat or contradict it.
        self.values[name] = self.values[name].fill_null(texts).alias(name)

    def _require(self, name: str, satisfied: pl.Series | None) -> None:
        missing = self.values[name].is_null()
        if satisfied is not None:
            missing &= ~satisfied
        for reason, mask in self.reasons.items():
            if reason.startswith(f"{name}."):  # unreadable is not missing
                missing &= ~mask
        self.reasons[f"{name}.required"] = missing

    def _expect(self, contract: Contract, on: date) -> None:
        typed = pl.DataFrame(self.values)
        for expectation in contract.expect:
            rule = RULES.get(expectation.rule)
            if rule is not None and rule.scope == "table":
                continue
            found = violations(typed, expectation, on)
            into = self.reasons if expectation.severity == "error" else self.warnings
            reason = f"{expectation.column}.{expectation.rule}"
            into[reason] = into[reason] | found if reason in into else found


def _cells(rows: pl.DataFrame, spec: ContractField) -> pl.Series:
    if spec.from_ is not None and spec.from_ in rows.columns:
        return rows[spec.from_].cast(pl.String)
    return pl.Series(dtype=pl.String).extend_constant(None, rows.height)


def _deleted(rows: pl.DataFrame, contract: Contract) -> pl.Series:
    deleted = pl.Series("_deleted", dtype=pl.Boolean).extend_constant(value=False, n=rows.height)
    for column, words in contract.load.deleted_when.items():
        if column in rows.columns:
            deleted |= clean_text(rows[column]).is_in(list(words)).fill_null(value=False)
    return deleted


def _rows_of(masks: Masks, numbers: pl.Series) -> pl.DataFrame:
    """List (row number, finding) of every mark; marks are few, so this costs little."""
    found = [
        pl.DataFrame({"_row": numbers.filter(mask)}).with_columns(finding=pl.lit(name))
        for name, mask in _sparse(masks)
    ]
    return pl.concat(found) if found else pl.DataFrame(schema={"_row": pl.UInt32, "finding": pl.String})


def _sparse(masks: Masks) -> Iterator[tuple[str, pl.Series]]:
    return ((name, mask) for name, mask in masks.items() if mask.any())


def _listed(findings: pl.DataFrame, name: str) -> pl.DataFrame:
    return (
        findings.unique()
        .sort("_row", "finding")
        .group_by("_row", maintain_order=True)
        .agg(pl.col("finding").alias(name))
    )
