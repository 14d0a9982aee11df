"""Clean cells as delivered: what is noise, what is a placeholder, what is one form of several spellings.

Every function takes and returns a Utf8 Series of the same length; a null stays null, a cell with nothing left
becomes null. No function rejects: that is casting's work.
"""

from __future__ import annotations

import polars as pl

# What people type when a form insists on an answer. Compared without regard to case, after NFKC.
# fmt: off
PLACEHOLDERS = frozenset({
    "无", "不详", "未详", "未填", "未填写", "未知", "空", "空白", "暂无", "没有", "不明", "待补", "待定",
    "-", "--", "---", "—", "——", "―", "─", "/", "//", "\\", ".", "...", "…", "*", "**", "***",
    "null", "(null)", "<null>", "nil", "none", "n/a", "#n/a", "na", "nan", "nat", "\\n", "undefined",
    "#value!", "#ref!", "#name?",
})
# fmt: on
_BEGINS_LIKE_ONE = r"^\s*[无不未空暂没待\-—―─/\\.…*nN(<#uU－（＃／．＊ｎＮｕＵ＜＼]"
TEXT_LIMIT = 10_000  # characters; longer is a slipped quote or a pasted document, not a cell

# Control and format characters (zero-width, byte order marks, direction marks), tab and line breaks excepted.
_INVISIBLE = r"[\p{Cc}\p{Cf}--[\t\n\r]]"
# Where neither of these is found, which is most columns, there is nothing to do; one look is cheaper than several.
_OUTER = rf"{_INVISIBLE}|^\s|\s$"
_UNEVEN = r"[\p{Cc}\p{Cf}\s--[ ]]|^ | $|  "
# What may have another form under NFKC: not ASCII, nor the characters most Chinese texts consist of.
_COMPOSED = r"[^\x00-\x7f·\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}]"
_HAN = r"\p{Han}　-〿（）《》“”，。、；："


def visible(cells: pl.Series) -> pl.Series:
    """Remove control and format characters and outer whitespace; empty becomes null."""
    if cells.str.contains(_OUTER).any():
        cells = replaced(cells, _INVISIBLE, "").str.strip_chars()
    return _without_empty(cells)


def compatible(cells: pl.Series) -> pl.Series:
    """Unify full-width and other compatibility forms (Unicode NFKC), then as `visible`."""
    if not cells.str.contains(_COMPOSED).any():
        return visible(cells)
    return visible(cells.str.normalize("NFKC"))


def blank_placeholders(cells: pl.Series) -> pl.Series:
    """Turn placeholders such as 无, 不详, N/A into null."""
    # Few distinct cells begin like a placeholder, so only those are folded and compared.
    alike = cells.str.contains(_BEGINS_LIKE_ONE)
    if not alike.any():
        return cells
    asked = cells.filter(alike).unique()
    folded = asked.str.normalize("NFKC").str.strip_chars().str.to_lowercase()
    found = asked.filter(folded.is_in(list(PLACEHOLDERS)))
    return cells if found.is_empty() else cells.set(cells.is_in(found.to_list()).fill_null(value=False), None)


def clean_key(cells: pl.Series) -> pl.Series:
    """Clean identifiers, numbers and dates: NFKC, nothing invisible, no placeholder."""
    return blank_placeholders(compatible(cells))


def clean_text(cells: pl.Series) -> pl.Series:
    """Clean text of one line: nothing invisible, whitespace runs to one blank, no placeholder."""
    uneven = cells.str.contains(_UNEVEN).any()
    return blank_placeholders(_single_spaced(visible(cells)) if uneven else _without_empty(cells))


def clean_free_text(cells: pl.Series) -> pl.Series:
    """Clean text of several lines: nothing invisible, one kind of line end, no placeholder."""
    return blank_placeholders(replaced(visible(cells), r"\r\n?", "\n"))


def without_han_gaps(cells: pl.Series) -> pl.Series:
    """Remove blanks that touch a Chinese character; other runs of whitespace become one blank."""
    if not cells.str.contains(r"\s").any():
        return cells
    cells = cells.str.replace_all(rf"([{_HAN}])\s+", "${1}").str.replace_all(rf"\s+([{_HAN}])", "${1}")
    return _single_spaced(cells)


def replaced(cells: pl.Series, pattern: str, replacement: str) -> pl.Series:
    """Replace every match of a pattern; looks first, because most columns hold none and looking is cheap."""
    return cells.str.replace_all(pattern, replacement) if cells.str.contains(pattern).any() else cells


def _without_empty(cells: pl.Series) -> pl.Series:
    empty = cells == ""
    return cells.set(empty, None) if empty.any() else cells


def _single_spaced(cells: pl.Series) -> pl.Series:
    if not cells.str.contains(r"[\s--[ ]]|  ").any():
        return cells
    return cells.str.replace_all(r"\s+", " ")
