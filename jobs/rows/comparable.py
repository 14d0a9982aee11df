"""Forms of names and addresses for comparing only: what is kept is what was delivered.

Functions take and return a Utf8 Series of the same length, but for `reading`; null stays null, what has nothing left
is null.
Traditional characters become simplified ones by OpenCC's table t2s, readings are pypinyin's most usual ones without
tone: two spellings of one name meet, at the price that some different names do; a comparison weighs that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import polars as pl

from jobs.rows.cleaning import compatible
from jobs.rows.names import SURNAMES_OF_TWO, clean_organisation_name, clean_person_name

HAN = r"\p{Han}"
LONGEST_PERSON = 4  # characters of a Chinese personal name at most
# Forms of firms in many countries; the longest first, so that 有限责任公司 is not left with 有限责任.
_CHINESE_FORMS = (
    r"(?:集团|控股|股份)*(?:有限责任|股份有限|有限)?(?:总公司|分公司|公司)|(?:普通|有限|特殊普通)合伙(?:企业)?|"
    r"(?:农民)?专业合作社|个体工商户|经营部|商行|事务所|有限合伙"
)
_LATIN_FORMS = (
    r"\b(?:incorporated|inc|corporation|corp|company|co|limited|ltd|llc|llp|lp|plc|pty|gmbh|mbh|ag|kg|ohg|ug|se|eg|ev|"
    r"sa|sas|sarl|srl|spa|sl|slu|bv|nv|vof|oy|oyj|ab|as|asa|aps|kft|zrt|doo|dd|sro|spol|oo|spzoo|ooo|oao|zao|pao|jsc|"
    r"pjsc|ojsc|kk|bhd|sdn|pte|pvt|private|public|holding|holdings|group|the|and|und|et)\b"
)
_STREETS = {
    "street": "st", "road": "rd", "avenue": "ave", "av": "ave", "drive": "dr", "lane": "ln", "court": "ct",
    "place": "pl", "crescent": "cres", "cr": "cres", "circuit": "cct", "boulevard": "blvd", "terrace": "tce",
    "close": "cl", "square": "sq", "highway": "hwy", "parade": "pde", "saint": "st", "mount": "mt", "apartment": "apt",
    "flat": "apt", "unit": "apt", "strasse": "str", "north": "n", "south": "s", "east": "e", "west": "w",
}  # fmt: skip


def simplified(cells: pl.Series) -> pl.Series:
    """Write traditional Chinese characters as simplified ones."""
    return _mapped(cells, cells.str.contains(HAN), _converted)


def folded(cells: pl.Series) -> pl.Series:
    """Unify case, width, accents and traditional characters; signs become one blank."""
    text = simplified(compatible(cells)).str.to_lowercase()
    if text.str.contains(r"[^\x00-\x7f]").any():
        text = text.str.replace_many(["ß", "ø", "æ", "œ", "ł", "đ", "ı"], ["ss", "o", "ae", "oe", "l", "d", "i"])
        text = text.str.normalize("NFKD").str.replace_all(r"\p{Mn}", "").str.normalize("NFC")
    text = text.str.replace_all(r"['’`´ʻ]", "").str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()
    return text.set(text == "", None)


def person_name(cells: pl.Series) -> pl.Series:
    """Return people's names for comparing: folded, the middle dot of transliterated names away."""
    cells = clean_person_name(cells).str.replace_all(rf"({HAN})·({HAN})", "${1}${2}")
    return folded(cells)


def sounds(cells: pl.Series) -> pl.Series:
    """Return the letters of a name's reading in alphabetical order: 王小明, Wang Xiaoming and Xiaoming Wang agree."""
    return _mapped(cells, cells.is_not_null(), lambda texts: ["".join(sorted(reading(one))) or None for one in texts])


def chinese_surnames(cells: pl.Series) -> pl.Series:
    """Return the surname of Chinese names: two characters for the compound ones, else the first."""
    first_two = cells.str.slice(0, 2)
    compound = first_two.is_in(list(SURNAMES_OF_TWO)) & (cells.str.len_chars() > 2)
    return first_two.zip_with(compound.fill_null(value=False), cells.str.slice(0, 1))


def organisation_name(cells: pl.Series) -> pl.Series:
    """Return organisations' names for comparing: folded, brackets and ampersands alike."""
    cells = clean_organisation_name(cells).str.replace_all("&", " and ", literal=True)
    cells = cells.str.replace_all(r"\b(\p{L})\.", "${1}")  # I.B.M., S.A.
    return folded(cells).str.replace_all(rf"({HAN})\s+", "${1}").str.replace_all(rf"\s+({HAN})", "${1}")


def organisation_core(names: pl.Series) -> pl.Series:
    """Return what is left of compared organisations' names without legal forms; all of it where nothing is."""
    core = names.str.replace_all(_CHINESE_FORMS, "").str.replace_all(_LATIN_FORMS, " ")
    core = core.str.replace_all(r"\s+", " ").str.strip_chars()
    return core.zip_with((core.str.len_chars() > 1).fill_null(value=False), names)


def address(cells: pl.Series) -> pl.Series:
    """Return addresses for comparing: folded, English words for streets and directions abbreviated."""
    text = folded(cells)
    latin = text.str.contains(r"[a-z]").fill_null(value=False)
    if not latin.any():
        return text
    words = list(_STREETS)
    padded = " " + text.str.replace_all(" ", "  ") + " "
    short = padded.str.replace_many([f" {word} " for word in words], [f" {_STREETS[word]} " for word in words])
    return short.str.replace_all(r"\s+", " ").str.strip_chars()


@cache
def _converter() -> Any:
    import opencc

    return opencc.OpenCC("t2s")


@lru_cache(maxsize=1 << 17)  # the same people's names come from one department after another
def reading(text: str) -> str:
    """Return the letters of a name's reading, in order; the first one that is not ASCII loads pypinyin's words."""
    if text.isascii():
        return "".join(c for c in text if c.isalnum())
    if len(text) <= LONGEST_PERSON and not _holds_phrase(text):
        return "".join(map(_spoken, text))  # pypinyin would come to the same by way of cutting it into words
    return _spoken(text)


def _holds_phrase(text: str) -> bool:
    """Tell whether a part of a text is a word whose characters pypinyin reads together."""
    from pypinyin.constants import PHRASES_DICT

    ends = range(2, len(text) + 1)
    return any(text[start:end] in PHRASES_DICT for end in ends for start in range(end - 1))


@lru_cache(maxsize=1 << 15)
def _spoken(text: str) -> str:
    from pypinyin import Style, lazy_pinyin

    return "".join(c for c in "".join(lazy_pinyin(text, style=Style.NORMAL, v_to_u=False)) if c.isalnum())


def _converted(texts: list[str]) -> list[str]:
    """Convert texts as one: a call costs three times what a name does, and no word of a table spans a line."""
    found: list[str] = _converter().convert("\n".join(texts)).split("\n")
    return found if len(found) == len(texts) else [_converter().convert(text) for text in texts]


def _mapped(
    cells: pl.Series, asked: pl.Series, change: Callable[[list[str]], Sequence[str | None]]
) -> pl.Series:
    """Change the distinct cells asked for: columns repeat themselves."""
    found = cells.filter(asked.fill_null(value=False)).unique()
    if found.is_empty():
        return cells
    return cells.replace_strict(found, pl.Series(change(found.to_list()), dtype=pl.String), default=cells)
