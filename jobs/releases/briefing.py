"""What the person who approves a release reads: what it holds, what it changes and why, risk, attack, quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_WHY = {
    "source": "来自新数据 · from new data", "pipeline": "来自代码或条款变更 · from changed code or terms",
    "unattributed": "未归因 · not attributed (the earlier rows are gone)",
}
_QUALITY = {
    "dataset": "数据集 · dataset", "batches": "交付 · deliveries", "delivered": "行数 · rows",
    "accepted": "接收 · accepted", "quarantined": "拒收 · rejected", "duplicates": "重复 · repeated",
}

_WHO = {
    "prosecutor": "检察官风险 · prosecutor", "journalist": "记者风险 · journalist", "marketer": "营销者风险 · marketer",
}
_PART = {"max": "最大 · highest", "avg": "平均 · mean", "share_above": "超阈值占比 · share above τ"}
_BARS = 40  # of all rows


def briefing(found: Mapping[str, Any], page: str = "") -> str:
    """Return a preview (`jobs.stages.publish.preview`) as Markdown in Chinese and English; counts, no row.

    `page`: where the risk lies as a page with charts.
    """
    terms = found["terms_approved_by"] or "**未获批准，发布将被拒绝 · nobody as they stand: it will be refused**"
    coarsened = ", ".join(f"{column}: {rows:,}" for column, rows in found["coarsened"].items()) or "—"
    facts = {
        "版本 · version": f"{found['version']}",
        "分区 · zone": f"{found['zone']}/",
        "行数 · rows": f"{found['rows']:,}",
        "字段 · columns": ", ".join(found["columns"]),
        "准标识符 · quasi-identifiers": ", ".join(found["quasi_identifiers"]) or "—",
    }
    if found["epsilon"]:  # nothing is left out of a table with noise, and nobody knows its groups
        facts["差分隐私 · differential privacy"] = f"ε = {found['epsilon']}"
    else:
        facts |= {
            "保留 · kept": f"{found['kept']:,} / {found['underlying_rows']:,} ({float(found['kept_share']):.1%}, "
                         f"≥ {float(found['utility_floor']):.0%}), 未发布 · suppressed {found['suppressed']:,}",
            "概化的行 · rows coarsened": coarsened,
            "最小组 · smallest group": f"{found['smallest_group']} (≥ {found['threshold']})",
            "重标识风险 · risk (GB/T 42460)": f"R = {found['risk']} (≤ {found['risk_allowed']})",
        }
    facts |= {
        **_children(found["under_14"]),
        "攻击结果 · attack": found["attack"],
        "暂缓的变更 · held back": f"{found['held_back']:,} 组 · groups ({found['rows_held_back']:,} 行 · rows), "
                               f"整组不发布 · left out whole {found['taken_down']:,}",
        "条款批准人 · terms approved by": terms,
        "Gold": ", ".join(f"{key} {value}" for key, value in found["gold"].items()),
    }
    lines = [f"**{found['verdict']}**", "", *([f"**{found['moved']}**", ""] if found["moved"] else [])]
    lines += ["| 事项 · what | 内容 · value |", "|---|---|"]
    lines += [f"| {key} | {_cell(said)} |" for key, said in facts.items()]
    lines += ["", *[f"**不兼容变更 · breaking:** {what}" for what in found["breaking"]], *_changes(found), ""]
    return "\n".join([*lines, *_quality(found["quality"]), "", *_risk(found["risk_report"], page)]) + "\n"


def _children(counted: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what the claim that nobody is a child was checked against; nothing where it is not made."""
    if counted is None:
        return {}
    unknown = f"{counted['age_unknown']:,}"
    unknown = f"**{unknown}**" if counted["age_unknown"] else unknown
    return {
        "不满十四周岁 · under 14": f"{counted['claim']} 年龄已核对 · ages checked: {counted['age_known']:,} 行 · rows, "
                              f"年龄不详 · age unknown: {unknown} 行 · rows",
    }


def _risk(measured: Mapping[str, Any] | None, page: str) -> list[str]:
    """Return the risk of the rows in tables and bars that Markdown can show; the page has the whole of it."""
    if measured is None:
        return []
    risks = [
        (f"{_WHO[who]}, {_PART[part]}", f"{measured[who][part]:.4g}")
        for who in ("prosecutor", "journalist") if measured[who] for part in _PART
    ]
    if measured["marketer"] is not None:
        risks.append((_WHO["marketer"], f"{measured['marketer']:.4g}"))
    told = [
        (f"{name}: (α, k), l, t", f"({measured['alpha_k'][name]['alpha']:.4g}, {measured['k']}), "
                                  f"{measured['l_distinct'][name]}, {measured['t'][name]:.4g}")
        for name in measured["sensitive"] if measured["alpha_k"][name]
    ]
    single = "仅凭数列即可唯一识别的行 · rows that few columns single out"
    shown = [(single, f"{measured['special_uniques']:,}"), *risks, *told]
    lines = ["**重标识风险 · re-identification risk**", "", "| 事项 · what | 内容 · value |", "|---|---|"]
    lines += [f"| {_cell(what)} | {_cell(value)} |" for what, value in shown]
    lines += ["", "| 等价类大小 · rows that look alike | 行的占比 · share of rows |", "|---|---|"]
    for one in measured["class_sizes"]:
        share = one["rows"] / max(measured["n"], 1)
        sizes = f"{one['least']:,} +" if one["below"] is None else f"{one['least']:,} – {one['below'] - 1:,}"
        lines.append(f"| {sizes} | {'█' * round(share * _BARS)} {share:.1%} ({one['classes']:,}) |")
    where = f"`{page}`" if page else "`lake preview --html`"
    return [*lines, "", f"完整风险报告（含图表）· The whole report with charts: {where}"]


def _changes(found: Mapping[str, Any]) -> list[str]:
    if found["changes"] is None:
        return ["**变更 · changes:** 完整快照，没有可比的上一版 · a full snapshot, with no version before to compare."]
    lines = [f"**自 {found['since']} 以来的变更 · changes since {found['since']}:** {_counts(found['changes'])}", ""]
    return [*lines, *[f"- {_WHY[why]}: {_counts(counts)}" for why, counts in found["why"].items()]]


def _counts(counts: Mapping[str, int]) -> str:
    words = {"added": "新增 · added", "removed": "删除 · removed", "changed": "修改 · changed"}
    return ", ".join(f"{words[kind]} {number:,}" for kind, number in counts.items())


def _quality(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    return [
        "**质量 · quality**", "", f"| {' | '.join(_QUALITY.values())} |", "|" + "---|" * len(_QUALITY),
        *[f"| {' | '.join(_cell(row[key]) for key in _QUALITY)} |" for row in rows],
    ]


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
