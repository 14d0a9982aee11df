"""Clean names of people and organisations, addresses and telephone numbers into one spelling each."""

from __future__ import annotations

import polars as pl

from jobs.rows.cleaning import blank_placeholders, clean_key, compatible, replaced, without_han_gaps

# Dots seen between the parts of transliterated names; the standard one is U+00B7 (GB 18030, 间隔号).
_MIDDLE_DOTS = r"[•‧∙⋅・･●▪◦⸱᛫﹒\u{A78F}\u{1427}\u{10101}]"
_OPENING, _CLOSING = r"\s*[(\[〔【]\s*", r"\s*[)\]〕】]\s*"
_BRACKETS = r"[()\[\]〔〕【】]"
_MOBILE = r"^(?:\+?86|0086)?(1[3-9]\d{9})$"
_LANDLINE = r"^(?:\+?86|0086)?\(?(0\d{2,3})\)?-?(\d{7,8})(?:(?:-|转|x|ext)(\d{1,6}))?$"

# fmt: off
SURNAMES_OF_TWO = frozenset({
    "欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "司徒", "长孙",
    "宇文", "夏侯", "轩辕", "端木", "南宫", "独孤", "呼延", "申屠", "太史", "公冶", "宗政", "濮阳",
    "淳于", "单于", "赫连", "澹台", "闻人", "钟离", "鲜于", "闾丘", "司空", "万俟", "拓跋", "百里",
    "东郭", "西门",
})
# fmt: on


def given_name(name: str) -> str:
    """Return a Chinese name without its surname: two characters of the compound ones, else the first."""
    return name[2:] if name[:2] in SURNAMES_OF_TWO and len(name) > 2 else name[1:]


def clean_person_name(cells: pl.Series) -> pl.Series:
    """Clean people's names: NFKC, one middle dot, no blanks beside Chinese characters."""
    # Before NFKC, which would turn some of the dots into other signs.
    cells = compatible(replaced(cells, _MIDDLE_DOTS, "·"))
    cells = replaced(cells, _MIDDLE_DOTS, "·")
    cells = replaced(cells, r"(\p{Han})\s*[.·]\s*(\p{Han})", "${1}·${2}")
    return blank_placeholders(without_han_gaps(cells))


def clean_organisation_name(cells: pl.Series) -> pl.Series:
    """Clean organisations' names: NFKC, full-width brackets as registers print them, no blanks in Chinese."""
    cells = without_han_gaps(compatible(cells))
    if cells.str.contains(_BRACKETS).any():
        han = cells.str.contains(r"\p{Han}").fill_null(value=False)
        bracketed = cells.str.replace_all(_OPENING, "（").str.replace_all(_CLOSING, "）")
        cells = cells.zip_with(~han, bracketed)
    return blank_placeholders(cells)


def clean_address(cells: pl.Series) -> pl.Series:
    """Clean addresses: NFKC, no blanks beside Chinese characters, whitespace runs to one blank."""
    return blank_placeholders(without_han_gaps(compatible(cells)))


def clean_phone(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return telephone numbers in one form, and where a cell is none.

    Mobile numbers become 11 digits, landlines `area-number[-extension]`; what is neither stays as cleaned.
    """
    cleaned = clean_key(cells)
    plain = cleaned.str.contains(r"^1[3-9]\d{9}$").fill_null(value=True)
    if plain.all():
        return cleaned, ~plain
    rest = cleaned.filter(~plain).unique()
    dense = rest.str.replace_all(r"[\s.]", "").str.replace_all(r"[‐‑‒–—−]", "-").str.to_lowercase()
    mobile = dense.str.replace_all("-", "", literal=True).str.extract(_MOBILE, 1)
    parts = pl.select(dense.str.extract_groups(_LANDLINE)).to_series().struct.unnest()
    area, number, extension = (parts.to_series(i) for i in range(3))
    landline = area + "-" + number
    landline = (landline + "-" + extension).fill_null(landline)
    table = pl.DataFrame({"cell": rest, "number": mobile.fill_null(landline)})
    found = pl.DataFrame({"cell": cleaned}).join(table, on="cell", how="left", maintain_order="left")[
        "number"
    ]
    return found.fill_null(cleaned), found.is_null() & ~plain
