"""Code lists: spellings, years, and divisions."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from jobs.errors import ContractError
from jobs.rows.codes import CodeBook


def _series(*values: str | None) -> pl.Series:
    return pl.Series("cell", values, dtype=pl.String)


def test_a_cell_may_be_the_code_a_label_or_an_alias(codes: CodeBook) -> None:
    found = codes.lookup("sex", _series("1", "男", "male", "M", "女性", "公", None))
    assert found.to_list() == ["1", "1", "1", "1", "2", None, None]
    assert found.name == "cell"


def test_of_two_codes_with_one_spelling_the_one_in_force_wins() -> None:
    table = pl.DataFrame(
        {
            "code": ["old", "new"], "label_zh": ["甲县", "甲县"], "label_en": [None, None], "aliases": [None, None],
            "valid_from": ["1981", "2000"], "valid_to": ["2000", None],
        },
        schema_overrides={"label_en": pl.String, "aliases": pl.String},
    )
    book = CodeBook({"county": table})
    assert book.lookup("county", _series("甲县"), date(1990, 1, 1))[0] == "old"
    assert book.lookup("county", _series("甲县"), date(2000, 1, 1))[0] == "new"
    assert book.lookup("county", _series("甲县"))[0] == "new"


def test_labels_fall_back_to_chinese(codes: CodeBook) -> None:
    assert codes.labels("sex", "en")["1"] == "male"
    assert codes.labels("sex")["2"] == "女"
    assert codes.labels("division", "en")["110105"] == "朝阳区"


def test_a_list_that_does_not_exist_or_lacks_a_column_is_named(codes: CodeBook, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"schemas/codes/blood\.csv"):
        codes.table("blood")
    (tmp_path / "blood.csv").write_text("code,name\n1,A\n", encoding="utf-8")
    with pytest.raises(ContractError, match="label_zh"):
        CodeBook.load(tmp_path)


def test_a_division_is_known_if_any_year_had_it_and_synthetic_if_only_its_prefecture_exists(codes: CodeBook) -> None:
    known, synthetic = codes.division_known(_series("110105", "440524", "440401", "999901", "110199", None))
    assert known.to_list()[:5] == [True, True, True, False, False]
    assert synthetic.to_list()[:5] == [False, False, True, False, False]


def test_a_division_is_in_force_from_its_first_year_to_before_its_last(codes: CodeBook) -> None:
    years = pl.Series([1982, 1983, 1992, 1993])
    assert codes.division_in_force(_series(*["440524"] * 4), years).to_list() == [False, True, True, False]


def test_the_table_of_divisions_says_nothing_before_its_first_year(codes: CodeBook) -> None:
    assert codes.divisions_since == 1981


def test_every_shipped_list_has_unique_codes_but_for_those_that_change_with_time(codes: CodeBook) -> None:
    assert len(codes.tables) > 10
    for name, table in codes.tables.items():
        assert table.select("code", "valid_from").is_duplicated().sum() == 0, name
        assert table.select("code", "label_zh").null_count().sum_horizontal()[0] == 0, name
