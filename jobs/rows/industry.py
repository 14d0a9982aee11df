"""Read an industry's letter (GB/T 4754-2017, sections A to T) from a business scope.

A register extract rarely carries the industry code, but a scope names the main business first. The word
that comes first decides; where nothing is recognised there is no letter. This is a statistic's reading, not
the register's.
"""

from __future__ import annotations

import polars as pl

_READ = 80  # characters; the main business stands at the front, and scopes can run to thousands

# What decides by its verb (make, build, sell, …) comes with the words around it; longer words win by
# starting earlier.
_WORDS = {
    "A": "农作物|种植|养殖|畜牧|水产|林木|苗木|渔业|农业|种苗|家禽|生猪|果树|蔬菜种",
    "B": "采矿|开采|采选|煤矿|石油天然气勘探|采石|矿山",
    "C": "制造|生产|加工|纺织|铸造|印刷|酿造|冶炼|造纸|制作",
    "D": "发电|供电|电力供应|供热|燃气|自来水|供水|热力",
    "E": "建筑工程|工程施工|施工|装饰|装修|土木|市政工程|房屋建筑|安装工程|园林绿化工程",
    "F": "批发|零售|销售|经销|贸易|进出口|百货|超市|商店|购销|代购|代销|批零|药店",
    "G": "运输|货运|客运|物流|仓储|快递|邮政|装卸|港口|航空|搬运",
    "H": "餐饮|住宿|酒店|旅馆|饭店|宾馆|客房|小吃|餐厅|中餐|快餐|茶座",
    "I": "软件|互联网|信息技术|计算机系统|网络科技|电信|信息系统|数据处理|网络技术",
    "J": "银行|存款|贷款|保险|证券|基金管理|融资|典当|金融|信托|担保|期货|人民币",
    "K": "房地产|物业|房屋租赁|商品房|房屋出租|房产",
    "L": "租赁|广告|会展|会议|旅行社|旅游|人力资源|劳务派遣|企业管理|投资|商务信息|法律|会计|咨询|保安|展览",
    "M": "技术开发|研究|检测|勘察|设计|技术服务|技术推广|测绘|试验|科技",
    "N": "污水|环境治理|垃圾|保洁|绿化养护|水利|公园|环保|园林",
    "O": "美容|理发|洗浴|维修|修理|家政|洗衣|殡葬|摄影|洗染|婚庆|汽车美容",
    "P": "教育|培训|学校|幼儿|办学|辅导",
    "Q": "医疗|诊所|医院|养老|门诊|卫生服务|护理|福利院",
    "R": "文化|体育|影视|演出|电影|娱乐|健身|新闻|出版|网吧|歌舞|游艺|图书",
    "S": "社会团体|行业协会|公共管理|居民委员会|村民委员会|宗教",
    "T": "国际组织",
}
_PREFACE = r"^(?:(?:许可|一般|主要)?(?:经营)?(?:项目|范围)?[：:])+"


def industry_of(scopes: pl.Series) -> pl.Series:
    """Return the letter A to T for each business scope (Utf8), null where no known word occurs."""
    front = scopes.str.replace_all(r"\s+", "").str.replace(_PREFACE, "").str.slice(0, _READ)
    places = pl.DataFrame({letter: front.str.find(words) for letter, words in _WORDS.items()})
    first = places.min_horizontal()
    letters = pl.coalesce(pl.when(pl.col(letter) == first).then(pl.lit(letter)) for letter in places.columns)
    return places.select(letters.alias(scopes.name))[scopes.name]
