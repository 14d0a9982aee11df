"""Verdicts: an identifier's normalised value with every broken rule, every remark and its older kind."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

Masks = Mapping[str, pl.Series]

PLACEHOLDER = (
    r"(?i)^(无|无证|不详|未知|暂无|空|待补|NA|N/A|NULL|NONE"
    r"|-+|/+|\*+|0+|1+|2+|3+|4+|5+|6+|7+|8+|9+|X+|123456\d*)$"
)
SPREADSHEET = r"^[1-9](\.\d+)?E\+?\d{1,2}$"


def normalised(cells: pl.Series) -> tuple[pl.Series, dict[str, pl.Series]]:
    """Return cells as identifiers are compared (NFKC, nothing invisible, no separators, capitals) and remarks on it."""
    compatible = cells.str.normalize("NFKC")
    bare = compatible.str.replace_all(r"[\s\p{Cf}·'`‐-―−-]", "")
    upper = bare.str.to_uppercase()
    upper = upper.set(upper.str.len_chars() == 0, None)
    remarks = {
        "full_width": (compatible != cells).fill_null(value=False),
        "lower_case": (bare != bare.str.to_uppercase()).fill_null(value=False),
    }
    return upper.alias(cells.name), remarks


def verdicts(
    values: pl.Series, reasons: Masks, warnings: Masks, legacy: pl.Series | None = None
) -> pl.DataFrame:
    """Return `value, reasons, warnings, legacy`; a value with any reason is null."""
    broken = listed(reasons, len(values))
    none = pl.Series("legacy", dtype=pl.String).extend_constant(None, len(values))
    return pl.DataFrame(
        {
            "value": values.cast(pl.String).set(broken.list.len() > 0, None).alias("value"),
            "reasons": broken.alias("reasons"),
            "warnings": listed(warnings, len(values)).alias("warnings"),
            "legacy": none if legacy is None else legacy.alias("legacy"),
        }
    )


def listed(masks: Masks, height: int) -> pl.Series:
    """Return per row the sorted names of the masks that are true there."""
    rows = pl.DataFrame({"row": pl.int_range(height, dtype=pl.UInt32, eager=True)})
    hits = [
        pl.DataFrame({"row": mask.fill_null(value=False).arg_true().cast(pl.UInt32)}).with_columns(
            pl.lit(rule).alias("rule")
        )
        for rule, mask in sorted(masks.items())
    ]
    if not hits:
        return pl.Series("rules", [[]] * height, pl.List(pl.String))
    found = pl.concat(hits).group_by("row", maintain_order=True).agg("rule")
    return rows.join(found, on="row", how="left", maintain_order="left")["rule"].fill_null([]).cast(pl.List(pl.String))


def nowhere(height: int) -> pl.Series:
    """Return a mask that is false everywhere."""
    return pl.Series(dtype=pl.Boolean).extend_constant(value=False, n=height)


def placed(where: pl.Series, flags: pl.Series) -> pl.Series:
    """Return a mask over all rows from flags over the rows where `where` is true."""
    mask = nowhere(len(where))
    return mask.scatter(where.arg_true().filter(flags), True) if flags.any() else mask
