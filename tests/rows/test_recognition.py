"""The recogniser on a labelled set made here: invented people in invented sentences, and sentences without people."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from jobs.rows.coarsening import METHODS, Context
from jobs.rows.recognition import Span, recognise, redacted
from jobs.synthesis.names import SURNAMES

GIVEN = list("伟芳娜敏静丽强磊军洋勇艳杰涛明超霞平刚桂英文华玉兰建国秀珍海燕志红梅宇轩子涵浩然欣怡")
ROADS = ["中山北路", "解放大道", "文三路", "人民东路", "长江街", "青年路", "学院南路", "滨江大道"]
TOWNS = ["浙江省杭州市西湖区", "江苏省南京市鼓楼区", "武汉市江岸区", "广州市天河区石牌街道", "成都市青羊区", ""]
SENTENCES = [
    "患者{name}，男，45岁，身份证号{resident_id}，家住{address}，电话{mobile}。",
    "市民{name}来电反映，其车辆{plate}停放于小区内被刮擦，请回电{mobile}。",
    "申请人{name}提交材料齐全，材料寄至{address}，邮箱{email}。",
    "经办人：{name}；收款账号{bank_card}；联系电话：{landline}。",
    "{name}女士反映{address}路灯不亮，已转交城管部门处理。",
    "学生{name}（女）的监护人{name2}于周一到校，护照{passport}。",
    "{name}、{name2}共同居住于{address}。",
    "由{name}代为签收，签收人电话 {mobile} ，无误。",
    "投诉人{name2}称与邻居{name}发生纠纷，驾驶{plate}离开现场。",
    "退款至{name}的银行卡{bank_card}，身份证{resident_id}复印件留存。",
]
PLAIN = [
    "高度重视安全管理工作，项目金额为50万元，方案已提交相关部门。",
    "于2026年3月1日办理完毕，共计128份文件，单位负责人已签字确认。",
    "江苏省住房和城乡建设厅关于公布第三批名单的通知。",
    "金融机构应当严格执行有关规定，任何单位和个人不得干预。",
    "温度升高导致设备停机，施工时间顺延至周五。",
    "流水号 20260301000012345 已作废，编号 110105194912310021 校验不通过。",
    "方便面、牛奶、黄瓜等商品抽检合格率为98.5%。",
    "该路段左转车道封闭，请司机绕行。",
    "许可证有效期届满前三十日提出延续申请。",
    "常住人口1234万人，比上年末增加12.3万人。",
]


def _numbers(draw: np.random.Generator) -> dict[str, str]:
    """Draw one valid number of each kind."""
    digits = "".join(map(str, draw.integers(0, 10, 14)))
    body = f"3301{draw.integers(10, 90)}19{draw.integers(40, 99)}{draw.integers(1, 13):02d}{draw.integers(1, 29):02d}"
    body += digits[:3]
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    check = "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]
    card = f"6222{digits}"
    doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(card))]
    luhn = -sum(n - 9 if n > 9 else n for n in doubled) % 10
    return {
        "resident_id": body + check,
        "bank_card": f"{card}{luhn}",
        "mobile": f"1{draw.integers(30, 100)}{digits[:8]}",
        "landline": f"0571-8{digits[:7]}",
        "email": f"user{digits[:3]}@example.com",
        "plate": f"浙{draw.choice(list('ABCDEF'))}{digits[:4]}{draw.choice(list('KLMN'))}",
        "passport": f"E{digits[:8]}",
    }


def labelled(count: int = 600, seed: int = 7) -> list[tuple[str, list[Span]]]:
    """Make sentences with the places of what identifies somebody in them."""
    draw = np.random.default_rng(seed)
    made = [(text, []) for text in PLAIN * (count // 30)]
    while len(made) < count:
        names = [
            str(draw.choice(SURNAMES)) + "".join(draw.choice(GIVEN, draw.integers(1, 3))) for _ in range(2)
        ]
        address = f"{draw.choice(TOWNS)}{draw.choice(ROADS)}{draw.integers(1, 400)}号{draw.integers(1, 30)}幢"
        filled = {"name": names[0], "name2": names[1], "address": address, **_numbers(draw)}
        text, spans = "", []
        for part in str(draw.choice(SENTENCES)).split("{"):
            slot, closing, rest = part.partition("}")
            if closing:
                kind = "name" if slot == "name2" else slot
                spans.append(Span(len(text), len(text) + len(filled[slot]), kind))
                text += filled[slot] + rest
            else:
                text += part
        made.append((text, spans))
    return made


@pytest.mark.parametrize(
    ("kinds", "least"),
    [
        (("resident_id", "bank_card", "mobile", "landline", "email", "plate", "passport"), 0.99),
        (("name",), 0.9),
        (("address",), 0.9),
    ],
)
def test_precision_and_recall_on_the_labelled_set(kinds: tuple[str, ...], least: float) -> None:
    right = found = wanted = 0
    for text, spans in labelled():
        true = {span for span in spans if span.kind in kinds}
        said = {span for span in recognise(text) if span.kind in kinds}
        right, found, wanted = right + len(true & said), found + len(said), wanted + len(true)
    assert right / found >= least, f"precision {right / found:.3f}"
    assert right / wanted >= least, f"recall {right / wanted:.3f}"


def test_text_without_people_stays_as_it_is() -> None:
    texts = pl.Series("note", [*PLAIN, None, ""])
    assert redacted(texts).to_list() == texts.to_list()


def test_what_is_found_is_replaced_by_its_kind() -> None:
    texts = pl.Series("note", ["请联系陈晓明（手机：139 0000 1111），卡号6222 0212 3456 7890 128。"])
    expected = ["请联系[name]（手机：[mobile]），卡号[bank_card]。"]
    assert METHODS["redacted"].apply(texts, Context()).to_list() == expected


@pytest.mark.parametrize("text", ["11010519491231002", "110105194912310021", "6222021234567890127", "12345678901"])
def test_a_number_whose_check_digit_fails_is_no_identifier(text: str) -> None:
    assert recognise(f"编号{text}。") == []


def test_hostile_text_takes_no_long_time() -> None:
    for text in ("王" * 20_000, "路1" * 10_000, "省市区县" * 5_000, "a@" * 10_000, "1" * 50_000):
        assert isinstance(recognise(text), list)
