"""What conform says of a row: equal rows are one, and nothing that differs is called equal."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from jobs.catalogue import load_catalogue
from jobs.onboarding.precheck import account
from jobs.rows.codes import CodeBook
from jobs.stages.judging import judged_rows

DAY = date(2026, 3, 1)
GOOD = {"企业名称": "某某有限公司", "统一社会信用代码": "91350100M000100Y43", "注册日期": "2015-06-30"}


@pytest.fixture(scope="module")
def duplicates(schemas: Path, codes: CodeBook):
    """Count the exact duplicates among enterprise rows given as cells."""
    catalogue = load_catalogue(schemas)
    contract = catalogue.contract("market_regulation/enterprise_registrations")

    def count(*given: dict[str, str], pieces: int = 1) -> int:
        schema = dict.fromkeys((*contract.source_columns, "_defect", "_extra", "_batch_id", "_source_file"), pl.String)
        cells = pl.DataFrame(list(given), schema={**schema, "_source_row": pl.Int64})
        judged = [
            judged_rows(part, contract=contract, catalogue_types=catalogue.types, codes=codes, data_date=DAY)
            for part in cells.iter_slices(max(1, -(-cells.height // pieces)))
        ]
        return account(pl.concat(judged), judged[0].clear()).duplicates

    return count


def test_the_same_row_twice_is_one_duplicate_however_it_is_spelt(duplicates) -> None:
    assert duplicates(GOOD, GOOD) == 1
    assert duplicates(GOOD, {**GOOD, "统一社会信用代码": "９１350100m000100y43", "注册日期": "2015年6月30日"}) == 1


def test_rows_that_differ_in_a_column_nobody_announced_are_two_rows(duplicates) -> None:
    assert duplicates({**GOOD, "_extra": '{"职业":"A"}'}, {**GOOD, "_extra": '{"职业":"B"}'}) == 0


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_amounts_that_could_not_be_read_do_not_make_rows_equal(duplicates, pieces: int) -> None:
    rows = [{**GOOD, "注册资金": cell} for cell in ("5()", "6()", "5()")]
    assert duplicates(*rows, pieces=pieces) == 1
