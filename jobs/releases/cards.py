"""What a release says to people, in Chinese and in English: the data card, with quality and risk in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.releases import linkage
from jobs.releases.metadata.entry import CYCLES, Entry

KINDS = {"aggregate": "aggregated counts", "microdata": "single rows"}
MODES_ZH = {"public": "完全公开共享", "controlled": "受控公开共享", "enclave": "领地公开共享"}


def card_en(
    entry: Entry, risk: Mapping[str, Any], quality: Sequence[Mapping[str, Any]], changes: Mapping[str, Any],
    linked: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the data card in English, as Markdown."""
    lines = [
        f"# {entry.title.en}", "", entry.description.en, "",
        "| | |", "|---|---|",
        f"| dataset | `{entry.dataset}` |", f"| version | {entry.version} |",
        f"| data as of | {entry.data_date} |", f"| rows | {entry.rows} |",
        f"| theme | {entry.theme_number} {entry.theme_en} |",
        f"| updated | {CYCLES[entry.cycle].text.en} |",
        f"| {'licence' if entry.mode == 'public' else 'terms of use'} | [{entry.licence_name}]({entry.licence_url}) |",
        f"| publisher | {entry.publisher.en} |", f"| contact, corrections | {entry.contact} |",
        f"| made from | {'; '.join(one.en for one in entry.spoken_sources)} |",
        *([f"| public until | {entry.shown_until}; withdrawn from that day |"] if entry.shown_until else []), "",
        "## Columns", "", "| column | meaning | type | how it came about |", "|---|---|---|---|",
        *[f"| `{c.name}` | {_cell(c.title.en)} | {c.type} | {_cell(c.derivation.en)} |" for c in entry.columns], "",
        "## Changes", "", *_changes_en(changes), "", *_identifiers(
            entry, "What became of the organisations' identifiers in it (merged, or in doubt): `id_changes.csv`."
        ),
        "## Quality", "",
        "Rows delivered by the departments whose data this stands on. Every delivery passed its quality checks.", "",
        "| dataset | deliveries | rows | accepted | rejected | repeated |", "|---|---|---|---|---|---|",
        *[
            f"| {q['dataset']} | {q['batches']} | {q['delivered']} | {q['accepted']} | {q['quarantined']} "
            f"| {q['duplicates']} |"
            for q in quality
        ], "",
        "Rejected rows by rule: `quality.json`.", "",
        *linkage.section(linked, chinese=False),
        "## Risk", "",
        *_risk_en(risk), *_children_en(risk), *_held_en(risk), *_attacked_en(risk), "", "## How to check", "",
        "`python verify.py . --key FINGERPRINT`: the fingerprint of the publisher's key is on its site, in `key.json`.",
        "", "## How to cite", "",
        f"{entry.publisher.en}: {entry.title.en}, version {entry.version}, data of {entry.data_date}. {entry.address}",
    ]
    return "\n".join(lines) + "\n"


def card_zh(
    entry: Entry, risk: Mapping[str, Any], quality: Sequence[Mapping[str, Any]], changes: Mapping[str, Any],
    linked: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the data card in Chinese, as Markdown."""
    lines = [
        f"# {entry.title.zh}", "", entry.description.zh, "",
        "| | |", "|---|---|",
        f"| 数据集 | `{entry.dataset}` |", f"| 版本 | {entry.version} |", f"| 数据截至 | {entry.data_date} |",
        f"| 行数 | {entry.rows} |",
        f"| {'开放领域' if entry.mode == 'public' else '领域'} | {entry.theme_number} {entry.theme} |",
        f"| 更新周期 | {CYCLES[entry.cycle].text.zh} |",
        f"| {'许可协议' if entry.mode == 'public' else '使用条款'} | [{entry.licence_named.zh}]({entry.licence_url}) |",
        f"| 数据提供方 | {entry.publisher.zh} |", f"| 联系与纠错 | {entry.contact} |",
        f"| 来源 | {'；'.join(one.zh for one in entry.spoken_sources)} |",
        *([f"| 公示至 | {entry.shown_until}（自该日起撤回本版本） |"] if entry.shown_until else []), "",
        "## 字段", "", "| 字段 | 名称 | 类型 | 处理方式 |", "|---|---|---|---|",
        *[f"| `{c.name}` | {_cell(c.title.zh)} | {c.type} | {_cell(c.derivation.zh)} |" for c in entry.columns], "",
        "## 变更", "", *_changes_zh(changes), "", *_identifiers(
            entry, "所发布的法人单位标识的变更（合并或存疑）见 `id_changes.csv`。"
        ),
        "## 质量", "", "所依据的各部门交付数据的核算；每次交付均通过质量检查。", "",
        "| 数据集 | 交付次数 | 行数 | 接收 | 拒收 | 重复 |", "|---|---|---|---|---|---|",
        *[
            f"| {q['dataset']} | {q['batches']} | {q['delivered']} | {q['accepted']} | {q['quarantined']} "
            f"| {q['duplicates']} |"
            for q in quality
        ], "",
        "按规则统计的拒收行数见 `quality.json`。", "",
        *linkage.section(linked, chinese=True),
        "## 风险", "",
        *_risk_zh(risk), *_children_zh(risk), *_held_zh(risk), *_attacked_zh(risk), "",
        "## 如何核验", "", "`python verify.py . --key 指纹`：发布方公钥指纹见其网站的 `key.json`。", "",
        "## 如何引用", "",
        f"{entry.publisher.zh}：{entry.title.zh}，版本 {entry.version}，数据截至 {entry.data_date}。{entry.address}",
    ]
    return "\n".join(lines) + "\n"


def _risk_en(risk: Mapping[str, Any]) -> list[str]:
    """Return what the groups, or the noise, protect, in one paragraph."""
    if (noisy := risk.get("differential_privacy")) is not None:
        return [
            f"Released as counts and sums with noise for {risk['mode']} use: differential privacy, "
            f"ε = {noisy['epsilon']} for this release, {noisy['spent']} of a budget of {noisy['budget']} spent with it "
            f"on {_list(noisy['of'])}. Whatever is done with it, it hardly depends on any one person: on "
            f"{noisy['most_rows']} of their rows at most, replaced by others. All {noisy['cells']} cells are shown, "
            "those of nobody too; no exact value of any is published. Cells are whole and not negative, and margins "
            "are sums of cells.", "",
            "| measure | ε | mean error of a cell | error of 19 cells in 20 | error of the total |",
            "|---|---|---|---|---|",
            *[
                f"| {name} | {one['epsilon']} | {one['expected_error']} | ≤ {one['error_95']} | {one['total_error']} |"
                for name, one in noisy["measures"].items()
            ], "",
            "The accounting of deliveries above is exact: how many rows departments delivered is not what ε protects.",
        ]
    measured = risk["gb_t_42460"]
    return [
        f"Released as {KINDS[risk['kind']]} for {risk['mode']} use. {_shared_en(risk)} The threshold is "
        f"{risk['threshold']}. Of {risk['underlying_rows']} rows {risk['kept']} are published and "
        f"{risk['suppressed']} are left out because their group stayed too small. Risk of being recognised by "
        f"GB/T 42460-2023 annex D: R = {measured['r']} (largest {measured['r_max']}, mean {measured['r_avg']}; allowed "
        f"{measured['threshold']}), grade {measured['grade']}. Harm in the wrong hands, by the grades 1 to 4 of "
        f"GB/T 43697-2024 as implemented: departments' rows {risk['gb_t_43697']['made_from']}, this release "
        f"{risk['gb_t_43697']['release']}. All figures: `risk.json`; `verify.py` recomputes those of the groups.",
    ]


def _shared_en(risk: Mapping[str, Any]) -> str:
    least, columns = risk["smallest_group"], _list(risk["quasi_identifiers"])
    if not columns:
        return f"No column tells its {least} people or rows apart."
    return f"Whatever is combined of {columns}, at least {least} people or rows have it in common."


def _shared_zh(risk: Mapping[str, Any]) -> str:
    least, columns = risk["smallest_group"], "、".join(risk["quasi_identifiers"])
    if not columns:
        return f"任何列都不区分其中的 {least} 人（行）；"
    return f"在 {columns} 上取值相同的至少有 {least} 人（行）；"


def _risk_zh(risk: Mapping[str, Any]) -> list[str]:
    """Return the same in Chinese."""
    if (noisy := risk.get("differential_privacy")) is not None:
        return [
            f"以加噪的计数与求和形式{MODES_ZH[risk['mode']]}：差分隐私，本次发布 ε = {noisy['epsilon']}，"
            f"连同本次已在 {_list(noisy['of'])} 上使用 {noisy['spent']}，预算 {noisy['budget']}。"
            f"每人至多计 {noisy['most_rows']} 行；无论如何使用本数据，结果几乎不取决于任何一个人。"
            f"全部 {noisy['cells']} 格均予发布，无人的格也在内，任何一格的精确值均不发布。"
            "各格为非负整数，合计等于各格之和。", "",
            "| 指标 | ε | 单格平均误差 | 95% 的格误差不超过 | 总计的误差 |", "|---|---|---|---|---|",
            *[
                f"| {name} | {one['epsilon']} | {one['expected_error']} | {one['error_95']} | {one['total_error']} |"
                for name, one in noisy["measures"].items()
            ], "",
            "上文各部门交付的行数为精确值，不属 ε 所保护的内容。",
        ]
    measured = risk["gb_t_42460"]
    return [
        f"以{'汇总数据' if risk['kind'] == 'aggregate' else '微数据'}形式{MODES_ZH[risk['mode']]}。"
        f"{_shared_zh(risk)}阈值为 {risk['threshold']}。共 {risk['underlying_rows']} 行，发布 {risk['kept']} 行，"
        f"因所在组过小而未发布 {risk['suppressed']} 行。按 GB/T 42460-2023 附录 D 的重标识风险 R = {measured['r']}"
        f"（最大 {measured['r_max']}，平均 {measured['r_avg']}，允许 {measured['threshold']}），"
        f"{measured['grade']} 级。数据分级（GB/T 43697-2024，按本系统实现，1 至 4 级）：部门数据 "
        f"{risk['gb_t_43697']['made_from']} 级，本版本 {risk['gb_t_43697']['release']} 级。"
        "全部数字见 `risk.json`，其中分组的数字可由 `verify.py` 重新计算。",
    ]


def _held_en(risk: Mapping[str, Any]) -> list[str]:
    """Return what waits for a later release, because its difference to an earlier one would tell too much."""
    held = risk.get("held_back")
    if not held:
        return []
    if not held["groups_held"] and not held["groups_taken_down"]:
        return ["", f"A group changes by {held['least_change']} rows or more between releases, or not at all: every "
                "group of this one did, or stayed the same."]
    return ["", f"A group changes by {held['least_change']} rows or more between releases, or not at all: "
            f"{held['groups_held']} groups stayed as they were, {held['groups_taken_down']} were left out whole "
            "because rows of theirs had to go, or could not stay where every release has its own pseudonyms."]


def _held_zh(risk: Mapping[str, Any]) -> list[str]:
    """Return the same in Chinese."""
    held = risk.get("held_back")
    if not held:
        return []
    if not held["groups_held"] and not held["groups_taken_down"]:
        return ["", f"相邻版本之间，每组变化不少于 {held['least_change']} 行，否则暂不更新：本版没有需要等待的组。"]
    return ["", f"相邻版本之间，每组变化不少于 {held['least_change']} 行，否则暂不更新："
            f"{held['groups_held']} 组保持上一版，"
            f"{held['groups_taken_down']} 组因须撤下其中的行，或因每次发布使用各自的假名，而整组不发布。"]


def _children_en(risk: Mapping[str, Any]) -> list[str]:
    """Return why nobody in it is a child under 14, and for how many rows nobody could check it."""
    if not risk.get("under_14"):
        return []
    said = risk["under_14"]
    return [
        "", f"No row is about a child under 14: {said['claim']} In {said['age_unknown']} rows (before any was left "
        "out) the age of somebody is not known; for them this is all that says so. In all others it was checked.",
    ]


def _children_zh(risk: Mapping[str, Any]) -> list[str]:
    """Return the same in Chinese."""
    if not risk.get("under_14"):
        return []
    said = risk["under_14"]
    few = said["age_unknown"].replace("fewer than ", "少于 ")
    return [
        "", f"不含不满十四周岁未成年人的数据，理由：{said['claim']} 其中 {few} 行（剔除前）有人年龄不详，"
        "仅以此理由为据；其余各行均已核对年龄。",
    ]


def _attacked_en(risk: Mapping[str, Any]) -> list[str]:
    """Return what the publisher's own attack came to, one paragraph; nothing where nobody was attacked."""
    if not risk.get("attack"):
        return []
    return ["", f"Before release the publisher attacked it, linking it to {risk['attack']['against']}:", *[
        f"- {one['role']}, known by {_list(one['known']) or 'nothing'}: {one['claims']} claims above {one['tau']}, "
        f"{one['singled_out_true']} people truly singled out; a row that meets anybody fits {one['least_people']} or "
        "more of them." for one in risk["attack"]["roles"]
    ]]


def _attacked_zh(risk: Mapping[str, Any]) -> list[str]:
    """Return the same in Chinese."""
    if not risk.get("attack"):
        return []
    return ["", "发布前以人口基础信息库对本数据做了关联攻击：", *[
        f"- {one['role']}，已知 {_list(one['known']) or '无'}：后验概率高于 {one['tau']} 的指认 {one['claims']} 个，"
        f"确被单独识别 {one['singled_out_true']} 人；能关联的行至少对应 {one['least_people']} 人。"
        for one in risk["attack"]["roles"]
    ]]


def _identifiers(entry: Entry, words: str) -> list[str]:
    return [words, ""] if entry.feed is not None else []


def _changes_en(changes: Mapping[str, Any]) -> list[str]:
    if not changes["windows"]:
        return [f"A full snapshot without changes: {changes['restart']}."]
    last = changes["windows"]["last"]
    lines = [f"Rows since {last}: {_list(f'{n} {kind}' for kind, n in changes['from'][last]['counts'].items())}."]
    words = {
        "source": "from new data", "pipeline": "from changed code or terms",
        "unattributed": "not attributed (the earlier rows are gone)",
    }
    lines += [
        f"- {words[why]}: {_list(f'{n} {kind}' for kind, n in counts.items())}"
        for why, counts in changes["attribution"].items()
    ]
    return lines


def _changes_zh(changes: Mapping[str, Any]) -> list[str]:
    if not changes["windows"]:
        return ["本版为完整快照，无变更文件（首版，或变更链重新开始）。"]
    kinds = {"added": "新增", "removed": "删除", "changed": "修改"}
    why_zh = {
        "source": "来自新数据", "pipeline": "来自代码或条款变更", "unattributed": "未归因（上一版的输入已不存在）",
    }
    last = changes["windows"]["last"]

    def spoken(counts: Mapping[str, int]) -> str:
        return "，".join(f"{kinds[kind]} {n} 行" for kind, n in counts.items())

    lines = [f"自 {last} 以来：{spoken(changes['from'][last]['counts'])}。"]
    return lines + [f"- {why_zh[why]}：{spoken(counts)}" for why, counts in changes["attribution"].items()]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _list(parts: Any) -> str:
    return ", ".join(parts)
