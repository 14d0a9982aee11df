"""Names as evidence: spelling is no difference, another name is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobs.registers.naming import ORGANISATION, PERSON, like, same, spellings


def both(one: str, other: str, kind: str) -> tuple[bool, bool]:
    """Whether two names are one name, and whether they may be one party's."""
    found = spellings([one, other], kind)
    return same(found[one], found[other]), like(found[one], found[other])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("歐陽娜娜", "欧阳娜娜"), ("张　伟", "张伟"), ("ＷＡＮＧ ＷＥＩ", "wang wei"), ("王小明", "Wang Xiaoming"),
        ("王小明", "XIAOMING WANG"), ("葛\ufe00红", "葛红"), ("阿卜杜拉买买提", "阿卜杜拉 买买提"),
        *((f"阿卜杜拉{dot}买买提", "阿卜杜拉·买买提")
          for dot in "•‧∙⋅・･●▪◦⸱᛫﹒.．․\u0387\ua78f\u1427\U00010101"),
    ],
)
def test_spellings_of_one_persons_name_are_the_same(one: str, other: str) -> None:
    assert both(one, other, PERSON) == (True, True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("红星机械(集团)有限公司", "红星机械（集团）有限责任公司"), ("紅星機械廠", "红星机械厂"),
        ("Red Star Machinery Co., Ltd.", "RED STAR MACHINERY COMPANY LIMITED"), ("红星", "红星有限责任公司"),
        ("ＡＢＣ科技有限公司", "ABC科技有限公司"),
    ],
)
def test_brackets_width_and_legal_forms_of_a_firm_are_no_difference(one: str, other: str) -> None:
    assert both(one, other, ORGANISATION) == (True, True)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("欧阳娜娜", "欧阳晓明", False), ("欧阳娜娜", "欧阳娜", True),
        ("王小明", "王小红", True), ("王小明", "王大力", False),
        ("王小明", "Li Hong", False), ("王小明", "Zhang Xiaohong", False),
        ("迪丽热巴·迪力木拉提", "Dilraba Dilmurat", True),
        ("阿卜杜拉·买买提", "阿卜杜拉", True), ("李红", "赵国强", False),
    ],
)
def test_another_given_name_is_another_name_and_a_shared_surname_no_likeness(
    one: str, other: str, alike: bool
) -> None:
    assert both(one, other, PERSON) == (False, alike)


def test_firms_of_one_trade_are_told_apart_and_a_translated_name_tells_nothing() -> None:
    assert both("红星厂", "蓝天厂", ORGANISATION) == (False, False)
    assert both("红星机械有限公司", "Red Star Machinery Ltd", ORGANISATION) == (False, True)


def test_names_that_are_all_in_characters_are_compared_without_loading_how_they_are_read() -> None:
    asked = "like(*spellings(['王小明', '李四'], PERSON).values())"
    told = "print('pypinyin' in sys.modules)"
    program = f"import sys; from jobs.registers.naming import *; {asked}; {told}"
    latin = program.replace("李四", "Wang Xiaoming")
    for text, loaded in ((program, "False"), (latin, "True")):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == loaded
