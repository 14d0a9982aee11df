"""Masks for controlled views: enough of a value is shown to recognise it, the rest is asterisks.

A mask does not anonymise. Of a citizen ID number with 6 + 4 characters shown, the check character leaves one birth
date in eleven; a masked column is for people who may see the person anyway, and never leaves in an open release.
A value that does not look like its kind is masked whole. Forms: display practice (no published table was readable).
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

Mask = Callable[[pl.Series], pl.Series]

COMPOUND_SURNAMES = (
    "欧阳", "太史", "端木", "上官", "司马", "东方", "独孤", "南宫", "万俟", "闻人", "夏侯", "诸葛", "尉迟",
    "公羊", "赫连", "澹台", "皇甫", "宗政", "濮阳", "公冶", "太叔", "申屠", "公孙", "慕容", "仲孙", "钟离",
    "长孙", "宇文", "司徒", "鲜于", "司空", "令狐", "百里", "呼延", "东郭", "南门", "西门", "轩辕", "拓跋",
    "纳兰", "第五",
)
_STARS = "***"
_COMPOUND = "|".join(COMPOUND_SURNAMES)
_HIDDEN_END = r"(?:[省市区县旗盟州]|街道|[镇乡])"


def _patterned(pattern: str, shown: str, *, rest: str | None = None) -> Mask:
    """Make a mask that replaces values of a pattern; `rest` names the group whose length is kept as asterisks."""

    def mask(values: pl.Series) -> pl.Series:
        texts = values.cast(pl.String).str.strip_chars()
        masked = texts.str.replace(pattern, shown)
        if rest is not None:
            hidden = texts.str.extract(pattern, int(rest)).str.len_chars()
            stars = pl.select(pl.lit("*").repeat_by(hidden).list.join("")).to_series()
            masked = pl.DataFrame({"m": masked, "s": stars}).select(
                pl.col("m").str.replace("\u0000", pl.col("s"), literal=True)
            ).to_series()
        fits = texts.str.contains(pattern)
        return masked.zip_with(fits.fill_null(value=True), pl.Series([_STARS]).new_from_index(0, len(texts))).alias(
            values.name
        )

    return mask


def mask_name(values: pl.Series) -> pl.Series:
    """Keep the surname (two characters of a compound one), one asterisk per other character; foreign: the initial.

    欧阳娜娜 is 欧阳**, 张伟 is 张*, Maria is M***. A single character is masked whole.
    """
    texts = values.cast(pl.String).str.strip_chars()
    table = pl.DataFrame({"t": texts}).with_columns(
        pl.when(pl.col("t").str.contains(rf"^(?:{_COMPOUND})\p{{Han}}")).then(2).otherwise(1).alias("kept")
    )
    hidden = pl.col("t").str.len_chars() - pl.col("kept")
    shown = pl.col("t").str.slice(0, pl.col("kept")) + pl.lit("*").repeat_by(hidden.cast(pl.UInt32)).list.join("")
    foreign = pl.col("t").str.slice(0, 1) + _STARS
    masked = table.select(
        pl.when(pl.col("t").str.len_chars() < 2).then(pl.col("t").str.replace_all(r"(?s).", "*"))
        .when(pl.col("t").str.contains(r"^\p{Han}{2,}$")).then(shown)
        .otherwise(foreign)
    ).to_series()
    return masked.alias(values.name)


def mask_address(values: pl.Series) -> pl.Series:
    """Keep an address down to its county, street or town; the rest is asterisks, all of one with no such part."""
    texts = values.cast(pl.String).str.strip_chars()
    # Four units at most: province, city, county, town; further on the sign may be part of a house's name.
    kept = texts.str.extract(rf"^((?:\p{{Han}}{{1,8}}?{_HIDDEN_END}){{1,4}})", 1)
    longer = texts.str.len_chars() > kept.str.len_chars()
    masked = kept + pl.select(pl.when(longer).then(pl.lit(_STARS)).otherwise(pl.lit(""))).to_series()
    unknown = texts.is_not_null() & kept.is_null()
    return masked.zip_with(~unknown, pl.Series([_STARS]).new_from_index(0, len(texts))).alias(values.name)


mask_resident_id = _patterned(r"^([0-9]{6})([0-9]{5}|[0-9]{8})([0-9]{3}[0-9Xx])$", "${1}\u0000${3}", rest="2")
mask_mobile = _patterned(r"^(?:\+?86[- ]?)?(1[3-9][0-9])[0-9]{4}([0-9]{4})$", "${1}****${2}")
mask_landline = _patterned(r"^(0[0-9]{2,3})-?([0-9]{3,5})([0-9]{3})(?:-[0-9]+)?$", "${1}-\u0000${3}", rest="2")
mask_email = _patterned(r"^([^@\s])[^@\s]*(@[^@\s]+\.[^@\s]+)$", f"${{1}}{_STARS}${{2}}")
mask_bank_card = _patterned(r"^([0-9]{8,15})([0-9]{4})$", "\u0000${2}", rest="1")
mask_plate = _patterned(r"^(\p{Han}[A-Z])[·\s]?([A-Z0-9]{3,4})([A-Z0-9]{2})$", "${1}\u0000${3}", rest="2")
mask_passport = _patterned(r"^([A-Za-z])([A-Za-z0-9]{4,7})([0-9]{2})$", "${1}\u0000${3}", rest="2")


def mask_phone(values: pl.Series) -> pl.Series:
    """Keep 3 + 4 digits of a mobile number, area code and last 3 digits of a landline."""
    landline = values.cast(pl.String).str.strip_chars().str.contains(r"^0").fill_null(value=False)
    return mask_mobile(values).zip_with(~landline, mask_landline(values))


MASKS: dict[str, tuple[Mask, str]] = {
    "name": (mask_name, "the surname, then asterisks"),
    "resident_id": (mask_resident_id, "the first 6 and last 4 characters"),
    "phone": (mask_phone, "the first 3 and last 4 digits; of a landline the area code and last 3"),
    "email": (mask_email, "the first character and the domain"),
    "bank_card": (mask_bank_card, "the last 4 digits"),
    "address": (mask_address, "the address down to county, street or town"),
    "plate": (mask_plate, "the first and last 2 characters"),
    "passport": (mask_passport, "the first character and last 2 digits"),
}
_OF_TYPE = {"person_name": "name", "resident_id": "resident_id", "phone": "phone", "address": "address"}


def mask_of_type(values: pl.Series, type_name: str) -> pl.Series:
    """Mask values by their type; a type without a mask of its own is masked whole."""
    kind = _OF_TYPE.get(type_name)
    if kind is None:
        whole = pl.Series([_STARS]).new_from_index(0, len(values))
        nothing = pl.Series([None], dtype=pl.String).new_from_index(0, len(values))
        return whole.zip_with(values.is_not_null(), nothing).alias(values.name)
    return MASKS[kind][0](values)
