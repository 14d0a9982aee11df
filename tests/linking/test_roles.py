import polars as pl
import pytest

from jobs.linking.roles import Role, header_words, infer_role, role_of_header


@pytest.mark.parametrize(
    ("header", "role"),
    [
        ("given_name", Role.GIVEN),
        ("First Name", Role.GIVEN),
        ("surname", Role.SURNAME),
        ("LastName", Role.SURNAME),
        ("full_name", Role.NAME),
        ("姓名", Role.NAME),
        ("曾用名", Role.NAME),
        ("dateOfBirth", Role.DATE),
        ("出生日期", Role.DATE),
        ("postcode_fake", Role.POSTCODE),
        ("ZIP", Role.POSTCODE),
        ("邮政编码", Role.POSTCODE),
        ("birth_place", Role.PLACE),
        ("suburb", Role.PLACE),
        ("联系电话", Role.PHONE),
        ("e-mail", Role.EMAIL),
        ("soc_sec_id", Role.IDENTIFIER),
        ("公民身份证号", Role.IDENTIFIER),
        ("统一社会信用代码", Role.IDENTIFIER),
        ("company_name", Role.ORGANISATION),
        ("企业名称", Role.ORGANISATION),
        ("address_1", Role.ADDRESS),
        ("住址", Role.ADDRESS),
        ("street_number", Role.HOUSE),
        ("gender", Role.SEX),
        ("性别", Role.SEX),
        ("rec_id", Role.IGNORE),
        ("unique_id", Role.IGNORE),
        ("id", Role.IGNORE),
        ("cluster", Role.IGNORE),
        ("序号", Role.IGNORE),
        ("qqq", None),
    ],
)
def test_a_header_says_what_its_column_is(header, role):
    assert role_of_header(header) is role


def test_headers_in_any_case_and_joint_are_the_same_words():
    assert {header_words(h) for h in ("dateOfBirth", "date_of_birth", "Date-Of Birth", "ＤＡＴＥ of birth")} == {
        "date of birth"
    }


@pytest.mark.parametrize(
    ("cells", "role"),
    [
        (["1990-01-02", "1985-12-31", "2001-06-07"], Role.DATE),
        (["a@b.org", "c.d@e.com", "x@y.net"], Role.EMAIL),
        (["男", "女", "男"], Role.SEX),
        (["张伟", "王小明", "欧阳娜娜"], Role.NAME),
        (["Foo Ltd", "Bar GmbH", "某某有限公司"], Role.ORGANISATION),
    ],
)
def test_a_column_without_a_telling_header_is_known_by_its_content(cells, role):
    assert infer_role("column_7", pl.Series(cells)) is role


@pytest.mark.parametrize("cells", [[None, None, None], ["same", "same", "same"]])
def test_a_column_that_tells_nothing_is_left_out(cells):
    assert infer_role("surname", pl.Series(cells, dtype=pl.String)) is Role.IGNORE


def test_a_code_that_no_two_rows_share_is_a_rows_own_number():
    cells = pl.Series([f"rec-{n}-dup-{n % 3}" for n in range(100)])
    assert infer_role("whatever", cells) is Role.IGNORE
