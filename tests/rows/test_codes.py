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


def test_every_shipped_list_has_unique_codes_but_for_those_that_change_with_time(codes: CodeBook) -> None:
    assert len(codes.tables) > 10
    for name, table in codes.tables.items():
        assert table.select("code", "valid_from").is_duplicated().sum() == 0, name
        assert table.select("code", "label_zh").null_count().sum_horizontal()[0] == 0, name


def test_a_list_that_was_edited_is_read_again(tmp_path):
    (tmp_path / "kind.csv").write_text("code,label_zh\n1,甲\n", encoding="utf-8")
    assert CodeBook.load(tmp_path) is CodeBook.load(tmp_path)
    (tmp_path / "new").write_text("code,label_zh\n1,乙\n", encoding="utf-8")
    (tmp_path / "new").replace(tmp_path / "kind.csv")
    assert CodeBook.load(tmp_path).labels("kind") == {"1": "乙"}
