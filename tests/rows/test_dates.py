from datetime import UTC, date, datetime

import polars as pl
import pytest

from jobs.rows.cleaning import clean_key
from jobs.rows.dates import out_of_range, read_dates, read_timestamps


def read(cell):
    return read_dates(clean_key(pl.Series([cell], dtype=pl.String)))


@pytest.mark.parametrize(
    "cell",
    [
        "2023-01-05",
        "2023/1/5",
        "2023.1.5",
        "20230105",
        "2023年1月5日",
        "2023年01月05号",
        "二〇二三年一月五日",
        "二零二三年一月五日",
        "２０２３－０１－０５",
        " 2023-1-5 ",
        "2023-01-05 00:00:00",
        "2023-01-05T00:00:00",
        "2023-01-05 00:00:00.000",
        "20230105000000",
        "44931",
    ],
)
def test_one_day_in_many_spellings(cell):
    dates, dropped = read(cell)
    assert dates.to_list() == [date(2023, 1, 5)]
    assert dropped.to_list() == [False]


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("二〇二三年十二月三十一日", date(2023, 12, 31)),
        ("一九九九年十月二十日", date(1999, 10, 20)),
        ("2024-02-29", date(2024, 2, 29)),
        ("60", None),
        ("43831", date(2020, 1, 1)),
    ],
)
def test_numerals_leap_days_and_spreadsheet_days(cell, day):
    assert read(cell)[0].to_list() == [day]


@pytest.mark.parametrize(
    "cell",
    [
        "2023年1月",
        "2023-02-29",
        "23-01-05",
        "2023-13-01",
        "2023",
        "2023-1/5",
        "05/01/2023",
        "yesterday",
        "2023-01-05 25:00:00",
        "二〇二三年二十三十月一日",
        "123456",
        "2023-01-05 x",
    ],
)
def test_what_is_no_complete_day_is_no_date(cell):
    assert read(cell)[0].to_list() == [None]


def test_a_time_of_day_is_dropped_and_noticed():
    dates, dropped = read("2023-01-05 13:45:12")
    assert dates.to_list() == [date(2023, 1, 5)]
    assert dropped.to_list() == [True]


def test_years_before_1850_and_far_ahead_are_out_of_range():
    days = pl.Series([date(1849, 12, 31), date(1850, 1, 1), date(2126, 1, 1), date(9999, 12, 31), None])
    assert out_of_range(days, date(2026, 3, 2)).to_list() == [True, False, False, True, False]


@pytest.mark.parametrize(
    ("cell", "stamp"),
    [
        ("2023-01-05 08:00:00", datetime(2023, 1, 5, 0, 0, tzinfo=UTC)),
        ("2023-01-05T08:00:00+08:00", datetime(2023, 1, 5, 0, 0, tzinfo=UTC)),
        ("2023-01-05T00:00:00Z", datetime(2023, 1, 5, 0, 0, tzinfo=UTC)),
        ("2023年1月5日 8时30分", datetime(2023, 1, 5, 0, 30, tzinfo=UTC)),
        ("2023/1/5 08:00", datetime(2023, 1, 5, 0, 0, tzinfo=UTC)),
        ("20230105080000", datetime(2023, 1, 5, 0, 0, tzinfo=UTC)),
        ("2023-01-05 08:00:00.250", datetime(2023, 1, 5, 0, 0, 0, 250000, tzinfo=UTC)),
        ("2023-01-05", datetime(2023, 1, 4, 16, 0, tzinfo=UTC)),
        ("1988-07-01 08:00:00", datetime(1988, 6, 30, 23, 0, tzinfo=UTC)),
        ("soon", None),
    ],
)
def test_points_in_time_are_chinese_time_unless_zoned_and_kept_in_utc(cell, stamp):
    assert read_timestamps(pl.Series([cell])).to_list() == [stamp]
