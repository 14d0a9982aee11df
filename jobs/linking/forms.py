"""Forms of cells for comparing, by role. Pure functions on Utf8 Series of the same length; null stays null."""

from __future__ import annotations

import re

import polars as pl

from jobs.linking.roles import Role
from jobs.rows import comparable
from jobs.rows.cleaning import clean_key
from jobs.rows.dates import read_dates
from jobs.rows.identifiers.characters import credit_check, matrix, resident_check
from jobs.rows.names import clean_phone

person = comparable.person_name
chinese_surname = comparable.chinese_surnames

_MALE, _FEMALE = ("m", "male", "man", "男", "男性", "1"), ("f", "female", "w", "woman", "女", "女性", "2")
_SEXES = {**dict.fromkeys(_MALE, "m"), **dict.fromkeys(_FEMALE, "f")}
_TITLES = r"^(?:mr|mrs|ms|miss|dr|prof|sir|dame|lady|lord|rev|mx)\s+"
_MONTHS = {
    m: i for i, m in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)
}
_THREE = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4}|\d{2})(?:[ T]\d.*)?")
_WORDED = re.compile(
    r"(\d{1,2})(?:st|nd|rd|th)?[-/. ]*([a-z]{3})[a-z]*[-/., ]*(\d{4})|"
    r"([a-z]{3})[a-z]*[-/. ]*(\d{1,2})(?:st|nd|rd|th)?[-/., ]*(\d{4})"
)
_DIGITS = re.compile(r"(\d{4})\D?(\d{1,2})\D?(\d{1,2})(?:\D.*)?|(\d{4})(\d{2})(\d{2})(?:\.0)?")
_YEAR = re.compile(r"(\d{4})(?:[-/.年](\d{1,2})月?)?(?:\.0)?年?")


def of(cells: pl.Series, role: Role, *, han: bool, day_first: bool) -> dict[str, pl.Series]:
    """Return a column's forms by their names; the main one has the empty name."""
    if role is Role.DATE:
        return {"": dates(cells, day_first)}
    if role is Role.SEX:
        return {"": comparable.folded(cells).replace_strict(_SEXES, default=None, return_dtype=pl.String)}
    if role is Role.POSTCODE:
        return {"": _alphanumeric(cells, keep_zero=True)}
    if role is Role.PHONE:
        return {"": _blank(clean_phone(cells)[0].str.replace_all(r"\D", ""), 5)}
    if role is Role.EMAIL:
        email = clean_key(cells).str.to_lowercase().str.replace_all(r"\s", "")
        return {"": email, "local": email.str.extract(r"^([^@]+)", 1)}
    if role is Role.IDENTIFIER:
        return {"": _alphanumeric(cells)}
    if role is Role.ORGANISATION:
        name = comparable.organisation_name(cells)
        core = comparable.organisation_core(name)
        return {"": name, "core": core, "dense": core.str.replace_all(" ", ""), "words": _words(core, han)}
    if role is Role.ADDRESS:
        address = comparable.address(cells)
        return {"": address, "words": _words(address, han), "number": address.str.extract(r"(\d+)", 1)}
    if role is Role.NUMBER:
        return {"": clean_key(cells).str.replace_all(r"[,\s]", "").cast(pl.Float64, strict=False).cast(pl.String)}
    text = comparable.folded(cells)
    return {"": text, "words": _words(text, han)} if role is Role.TEXT else {"": text}


def sound(cells: pl.Series) -> pl.Series:
    """Return how names sound, whichever script they are in."""
    return comparable.sounds(person(cells))


def dates(cells: pl.Series, day_first: bool) -> pl.Series:
    """Return dates as `YYYY-MM-DD`, impossible ones too: a typo is evidence; `YYYY` or `YYYY-MM` when that is all."""
    cleaned = clean_key(cells).str.to_lowercase()
    read = read_dates(cleaned)[0].cast(pl.String)
    rest = cleaned.filter(read.is_null() & cleaned.is_not_null()).unique().to_list()
    if not rest:
        return read
    return read.fill_null(
        cleaned.replace_strict(rest, [_date(text, day_first) for text in rest], default=None, return_dtype=pl.String)
    )


def _date(text: str, day_first: bool) -> str | None:
    if found := _YEAR.fullmatch(text):
        return found[1] if not found[2] else f"{found[1]}-{int(found[2]):02}"
    if found := _DIGITS.fullmatch(text):
        y, m, d = (part for part in found.groups() if part is not None)
    elif found := _THREE.fullmatch(text):
        d, m, y = found.groups() if day_first else (found[2], found[1], found[3])
        if int(m) > 12 >= int(d):
            d, m = m, d
        y = y if len(y) == 4 else ("20" if int(y) < 25 else "19") + y
    elif found := _WORDED.fullmatch(text):
        d, word, y = found.groups()[:3] if found[1] else (found[5], found[4], found[6])
        m = str(_MONTHS.get(word, ""))
    else:
        return None
    return f"{y}-{int(m):02}-{int(d):02}" if m else None


def day_first(known: pl.Series) -> bool:
    """Tell whether dates such as 03/04/1990 begin with the day: a column's own first parts above 12 decide."""
    first = known.str.extract(r"^(\d{1,2})[-/. ]\d{1,2}[-/. ]\d{2,4}", 1).cast(pl.Int32, strict=False)
    second = known.str.extract(r"^\d{1,2}[-/. ](\d{1,2})[-/. ]\d{2,4}", 1).cast(pl.Int32, strict=False)
    return int((second > 12).sum()) <= int((first > 12).sum())


def split_name(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return given name and surname of whole names: `Surname, Given` by its comma, else first and last word."""
    comma = cells.str.contains(",").fill_null(value=False)
    name = person(cells).str.replace(_TITLES, "")
    turned = person(cells.str.replace(r"^([^,]*),(.*)$", "${2} ${1}"))
    # `thomas clifford, 1st baron clifford`: a comma before several words or digits does not turn a name.
    short = cells.str.contains(r"^[^,]{2,30},\s*\p{L}+\.?(?:\s+\p{L}+\.?)?\s*$").fill_null(value=False)
    name = turned.zip_with(comma & short, name)
    words = name.str.split(" ")
    last = words.list.last()
    several = (words.list.len() > 1).fill_null(value=False)
    return words.list.first(), last.set(~several, None)


def beyond(names: pl.Series, parts: list[pl.Series]) -> pl.Series:
    """Return the words of names that are not in the given parts, in order, null where there are none."""
    given = {f"part_{i}": part.fill_null("").str.split(" ") for i, part in enumerate(parts)}
    words = pl.DataFrame({"words": names.str.split(" "), **given})
    rest = words.select(pl.col("words").list.set_difference(pl.concat_list(*given)).list.sort()).to_series()
    return rest.set((rest.list.len() == 0).fill_null(value=True), None)


def says_no_more(names: pl.Series, parts: list[pl.Series]) -> bool:
    """Tell whether whole names hold nothing beyond the parts, nearly everywhere."""
    sample = names.head(5_000)
    rest = beyond(person(sample), [person(part.head(5_000)) for part in parts])
    return int(rest.is_not_null().sum()) < 0.05 * max(1, int(sample.is_not_null().sum()))


def verified(keys: pl.Series) -> pl.Series:
    """Keep citizen ID numbers and credit codes of 18 characters whose check character holds; the rest is null.

    A mistyped number excludes nobody, and the older 15-digit number of a person is no other person's.
    """
    holds = pl.repeat(False, len(keys), eager=True, dtype=pl.Boolean)
    for form, check in ((r"^\d{17}[\dX]$", resident_check), (r"^[0-9A-HJ-NP-RTUWXY]{18}$", credit_check)):
        asked = keys.str.contains(form).fill_null(value=False)
        if asked.any():
            letters = matrix(keys.filter(asked), 18)
            holds = holds.scatter(asked.arg_true(), holds.filter(asked) | pl.Series(check(letters) == letters[:, 17]))
    return keys.set(~holds, None)


def verified_share(cells: pl.Series) -> float:
    """Return the share of a column's known cells that are numbers which exclude each other."""
    keys = _alphanumeric(cells.drop_nulls().head(5_000))
    return int(verified(keys).is_not_null().sum()) / max(1, len(keys))


def _alphanumeric(cells: pl.Series, *, keep_zero: bool = False) -> pl.Series:
    text = clean_key(cells).str.to_uppercase().str.replace(r"\.0$", "").str.replace_all(r"[^\p{L}\p{N}]", "")
    if not keep_zero:
        text = text.set(text.str.contains(r"^(?:0+|9+|1+)$").fill_null(value=False), None)
    return _blank(text, 1)


def _words(text: pl.Series, han: bool) -> pl.Series:
    """Return the distinct words; of Chinese text, every two characters that follow each other."""
    if not han:
        return text.str.split(" ").list.unique().list.sort()
    dense = text.str.replace_all(" ", "")
    first = dense.str.extract_all(r"..")
    second = dense.str.slice(1).str.extract_all(r"..")
    pairs = pl.DataFrame({"a": first, "b": second}).select(pl.concat_list("a", "b").list.unique().list.sort())
    found = pairs.to_series()
    return found.set(text.is_null() | (found.list.len() == 0), None)


def _blank(text: pl.Series, shortest: int) -> pl.Series:
    return text.set((text.str.len_chars() < shortest).fill_null(value=False), None)
