"""Read dates and points in time in the spellings departments use. Cells come cleaned (cleaning.clean_key)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from jobs.contract import COUNTED

FIRST_YEAR = 1850  # nobody and no firm in a living register is older
MOST_COUNTED = 10**12 * 9  # more would not fit; as milliseconds it is the year 2255
YEARS_AHEAD = 100  # permits and leases end in the future, but not in 9999
_ZONE = ZoneInfo("Asia/Shanghai")
_SPREADSHEET_EPOCH = date(1899, 12, 30)  # day 0 of the 1900 date system, its false 1900-02-29 included

_NUMERALS = str.maketrans("〇零○Ｏ一二三四五六七八九壹贰叁肆伍陆柒捌玖", "0000123456789123456789")
_CLOCK = r"(?:(?P<h>\d{1,2})[:时](?P<i>\d{1,2})(?:[:分](?:(?P<s>\d{1,2})(?P<f>\.\d{1,9})?秒?)?)?)"
_ZONED = r"(?P<z>Z|[+-]\d{2}:?\d{2})"
_SEPARATED = re.compile(
    rf"(?P<y>\d{{4}})\s*(?:(?P<p>[-/.])\s*(?P<m>\d{{1,2}})\s*(?P=p)|年\s*(?P<m2>\d{{1,2}})\s*月)\s*"
    rf"(?P<d>\d{{1,2}})\s*[日号]?(?:(?:\s*T?\s*){_CLOCK}\s*{_ZONED}?)?",
    re.IGNORECASE,
)
_COMPACT = re.compile(
    rf"(?P<y>\d{{4}})(?P<m>\d{{2}})(?P<d>\d{{2}})(?:T?(?P<h>\d{{2}})(?P<i>\d{{2}})(?P<s>\d{{2}})?(?P<f>\.\d{{1,9}})?{_ZONED}?)?",
    re.IGNORECASE,
)
_CHINESE_PART = re.compile(r"[0-9十]+")


def read_dates(cleaned: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return dates of cleaned cells (null where one is none), and where a time of day was dropped."""
    dates = cleaned.str.to_date("%Y-%m-%d", strict=False).set(~_iso_length(cleaned, 10), None)
    rest = cleaned.filter(dates.is_null() & cleaned.is_not_null()).unique()
    dropped = pl.Series(dtype=pl.Boolean).extend_constant(value=False, n=len(cleaned))
    if rest.is_empty():
        return dates, dropped
    moments = [_moment(text) for text in rest.to_list()]
    table = pl.DataFrame(
        {
            "cell": rest,
            "date": pl.Series([None if m is None else m[0] for m in moments], dtype=pl.Date),
            "dropped": pl.Series(
                [bool(m and m[1] not in (None, time(0))) for m in moments], dtype=pl.Boolean
            ),
        }
    )
    found = pl.DataFrame({"cell": cleaned}).join(table, on="cell", how="left", maintain_order="left")
    return dates.fill_null(found["date"]), found["dropped"].fill_null(value=False)


def read_timestamps(cleaned: pl.Series) -> pl.Series:
    """Return cleaned cells as points in time in UTC, microseconds; without a zone they are Asia/Shanghai."""
    plain = cleaned.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
    plain = plain.set(~_iso_length(cleaned, 19), None)
    stamps = plain.dt.replace_time_zone("Asia/Shanghai", ambiguous="earliest", non_existent="null")
    stamps = stamps.dt.convert_time_zone("UTC")
    rest = cleaned.filter(stamps.is_null() & cleaned.is_not_null()).unique()
    if rest.is_empty():
        return stamps
    read = pl.Series([_instant(text) for text in rest.to_list()], dtype=pl.Datetime("us", "UTC"))
    table = pl.DataFrame({"cell": rest, "stamp": read})
    found = pl.DataFrame({"cell": cleaned}).join(table, on="cell", how="left", maintain_order="left")
    return stamps.fill_null(found["stamp"])


def counted_timestamps(cleaned: pl.Series, unit: str) -> pl.Series:
    """Return cleaned cells that count seconds (`s`) or milliseconds (`ms`) since 1970 as points in time in UTC."""
    count = cleaned.cast(pl.Int64, strict=False)
    count = count.set((count.abs() >= MOST_COUNTED).fill_null(value=False), None)
    return (count * COUNTED[unit]).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def out_of_range(dates: pl.Series, data_date: date) -> pl.Series:
    """Tell which dates lie before 1850 or more than a century after the data date; null is in range."""
    year = dates.dt.year()
    return ((year < FIRST_YEAR) | (year > data_date.year + YEARS_AHEAD)).fill_null(value=False)


def _iso_length(cells: pl.Series, length: int) -> pl.Series:
    # chrono accepts 2023-1-5 and years of five digits; those go the long way, where the rules are ours.
    return (cells.str.len_bytes() == length).fill_null(value=False)


def _moment(text: str) -> tuple[date, time | None, str | None] | None:
    """Read one cleaned cell as (date, time, zone); None when it is no complete date."""
    if re.fullmatch(r"\d{5}", text):
        return _SPREADSHEET_EPOCH + timedelta(days=int(text)), None, None
    found = _SEPARATED.fullmatch(text) or _COMPACT.fullmatch(text) or _SEPARATED.fullmatch(_arabic(text))
    if found is None:
        return None
    part: dict[str, Any] = {"m2": None, "z": None, **found.groupdict()}
    try:
        day = date(int(part["y"]), int(part["m"] or part["m2"]), int(part["d"]))
        if part["h"] is None:
            return day, None, None
        micro = int(((part["f"] or ".0")[1:] + "000000")[:6])
        return day, time(int(part["h"]), int(part["i"]), int(part["s"] or 0), micro), part["z"]
    except ValueError:
        return None


def _instant(text: str) -> datetime | None:
    moment = _moment(text)
    if moment is None:
        return None
    day, clock, zone = moment
    stamp = datetime.combine(day, clock or time(0))
    if zone is None:
        return stamp.replace(tzinfo=_ZONE).astimezone(UTC)
    return datetime.fromisoformat(stamp.isoformat() + zone.upper()).astimezone(UTC)


def _arabic(text: str) -> str:
    """Write Chinese numerals of a date as digits: 二〇二三年十二月三十一日 becomes 2023年12月31日."""
    digits = text.translate(_NUMERALS)
    return _CHINESE_PART.sub(lambda part: _tens(part.group()), digits)


def _tens(part: str) -> str:
    tens, sign, ones = part.partition("十")
    if not sign:
        return part
    if len(tens) > 1 or len(ones) > 1 or "十" in ones:
        return "?"  # 二十三十 and the like are no number
    return f"{int(tens or 1) * 10 + int(ones or 0)}"
