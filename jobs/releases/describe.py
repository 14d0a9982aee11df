"""Describe a release's columns from the one contract, so that no two descriptions can disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from jobs.catalogue import Catalogue
from jobs.contract import Contract, ContractField, Privacy, Text
from jobs.privacy import grades
from jobs.releases.formats import arrow_schema
from jobs.releases.terms import code_list, summed_fields
from jobs.rows.coarsening import SUPPRESSED, method_named
from jobs.rows.codes import CodeBook
from jobs.rows.protection import ladders, protection_of

# What each method leaves, in Chinese; English is the method's own word about itself.
_LEAVES_ZH = {
    "keep": "原值", "pseudonym": "带密钥假名（HMAC-SM3）", "suppressed": "仅星号", "month": "年月", "quarter": "季度",
    "year": "年份", "five_years": "五年段", "ten_years": "十年段", "twenty_years": "二十年段", "county": "区县",
    "city": "市（地级）", "province": "省", "initial": "首字", "industry": "由文字判定的行业门类（GB/T 4754）",
    "thousands": "向下取整到千", "round": "向下取整", "five_thousands": "五千段", "ten_thousands": "一万段",
    "hundred_thousands": "十万段", "magnitude": "数量级", "microaggregate": "相邻若干值的均值（微聚集）",
}


@dataclass(frozen=True)
class Column:
    """Describe one released column.

    `type` is Data Package's, `arrow` the type in Parquet, `terms` what decides the values in the contract's words (a
    column whose terms change is another column under the same name), `codes` its code list. `class_` and `grade` are
    those of what is published (jobs.privacy.grades), 0 where a release of before did not say.
    """

    name: str
    title: Text
    derivation: Text
    type: str
    arrow: str
    terms: str
    codes: str | None = None
    quasi: bool = False
    measure: str | None = None
    class_: str = "ordinary"
    grade: int = 0


def columns(
    contract: Contract, catalogue: Catalogue, table: pl.DataFrame, quasi: Sequence[str], k: int
) -> list[Column]:
    """Return the columns of a released table, in its order."""
    steps, sums, found = ladders(contract), summed_fields(contract), []
    stored = arrow_schema(table)
    graded = {one.field: one for one in grades.released(contract, catalogue).columns}
    for name in table.columns:
        kind, arrow = _data_type(table.schema[name]), str(stored.field(name).type)
        if name not in contract.published:
            measure = contract.aggregate.measures[name] if contract.aggregate else "count"
            words = _measured(sums.get(name), contract.privacy)
            said = Column(name, _spelled(name), words, kind, arrow, measure, measure=measure, grade=grades.ANONYMOUS)
            found.append(said)
            continue
        field = contract.fields[contract.published[name]]
        coarser = steps[name] if name in quasi and contract.privacy is None else ()
        derivation = _derived(field, contract.published[name], catalogue, coarser, k)
        title, codes = _title(contract, field, name, catalogue), code_list(field, catalogue)
        generalised = (field.publish.generalise if field.publish else None) or "keep"
        terms = f"{field.type} > {protection_of(field, catalogue.types)} > {generalised}"
        own, identifying = graded[contract.published[name]], name in quasi
        found.append(
            Column(name, title, derivation, kind, arrow, terms, codes, identifying, class_=own.class_, grade=own.grade)
        )
    return found


def dictionary(found: Sequence[Column]) -> pl.DataFrame:
    """Return the dictionary of a release, one row per column, Chinese and English."""
    return pl.DataFrame(
        [
            {
                "column": one.name,
                "title_zh": one.title.zh,
                "title_en": one.title.en,
                "type": one.type,
                "derivation_zh": one.derivation.zh,
                "derivation_en": one.derivation.en,
                "code_list": one.codes,
                "quasi_identifier": "yes" if one.quasi else "no",
                "class": one.class_,
                "grade": one.grade or None,
            }
            for one in found
        ],
        schema_overrides={"code_list": pl.String, "grade": pl.Int64},
    )


def code_table(values: pl.Series, name: str, codes: CodeBook) -> pl.DataFrame:
    """Return the part of a code list that a column uses: code, label_zh, label_en; by code, bytewise."""
    present = sorted(values.drop_nulls().cast(pl.String).unique())
    spoken = {"label_zh": codes.labels(name), "label_en": codes.labels(name, "en")}
    withheld = {"label_zh": "隐去", "label_en": "withheld"}
    labels = {
        column: [known.get(code, withheld[column] if code == SUPPRESSED else code) for code in present]
        for column, known in spoken.items()
    }
    return pl.DataFrame({"code": present, **labels}, schema=dict.fromkeys(("code", *spoken), pl.String))


def _data_type(kind: pl.DataType) -> str:
    if kind.is_integer():
        return "integer"
    if kind.is_numeric():
        return "number"
    if kind == pl.Boolean:
        return "boolean"
    if kind.is_temporal():
        return "date" if kind == pl.Date else "datetime"
    return "string"


def _title(contract: Contract, field: ContractField, name: str, catalogue: Catalogue) -> Text:
    """Return a column's title: the field's own, its register's, or what its name and its source's name say."""
    if field.title:
        return field.title
    root = contract.from_.register_ if contract.from_ else None
    register = catalogue.registers.get(root or "")
    zh = catalogue.types[field.type].title.zh
    if register and field.from_ in register.fields:
        zh = register.fields[field.from_].title.zh
    elif field.from_ and not field.from_.isascii():
        zh = field.from_
    return Text(en=_spelled(name).en, zh=zh)


def _spelled(name: str) -> Text:
    words = name.replace("_", " ").capitalize()
    return Text(en=words, zh=words)


def _measured(field: str | None, privacy: Privacy | None) -> Text:
    if privacy is not None:
        en, zh = ("Number of rows", "行数") if field is None else (f"Sum of {field}", f"{field} 之和")
        return Text(
            en=f"{en} in the cell, with noise (differential privacy, ε = {privacy.epsilon:g}).",
            zh=f"该格的{zh}，已加噪（差分隐私，ε = {privacy.epsilon:g}）。",
        )
    if field is None:
        return Text(en="Number of rows in the group.", zh="该组的行数。")
    return Text(en=f"Sum of {field} over the group's rows.", zh=f"该组各行 {field} 之和。")


def _derived(field: ContractField, name: str, catalogue: Catalogue, coarser: Sequence[str], k: int) -> Text:
    """Say in words how a column came about: protection, generalisation, and what small groups look like."""
    spec = catalogue.types[field.type]
    steps = [protection_of(field, catalogue.types), (field.publish.generalise if field.publish else None) or "keep"]
    steps = [step for step in dict.fromkeys(steps) if step != "keep"] or ["keep"]
    said = ", then ".join(method_named(step)[0].says for step in steps)
    said_zh = "，再取".join(_LEAVES_ZH.get(step.partition(":")[0], step) for step in steps)
    en = f"From {name} ({spec.title.en}): {said}."
    zh = f"由{field.from_ or name}（{spec.title.zh}）取{said_zh}。"
    if coarser:
        wider = [step for step in coarser if step not in ("suppressed", "magnitude")]
        listed = f"a coarser value ({', '.join(method_named(step)[0].says for step in wider)}) or " if wider else ""
        listed_zh = f"较粗的值（{'、'.join(_LEAVES_ZH[step] for step in wider)}）或" if wider else ""
        en += f" Groups of fewer than {k} show {listed}{SUPPRESSED}."
        zh += f"不足 {k} 行（人）的组显示{listed_zh} {SUPPRESSED}。"
    return Text(en=en, zh=zh)
