"""How well the registers a release stands on know who is who: the score-card's figures of the day it was made.

They lie beside the release's other inputs, `ops/releases/<dataset>/<version>/linkage.json`: made again, it says the
same. Counts and shares of the whole register, of nobody in it; rounded down, so that the figures of two releases do not
say how few came between them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jobs.releases.inputs import FEW, beside
from jobs.storage.objects import Store

if TYPE_CHECKING:
    from jobs.contract import Contract
    from jobs.storage.tables import Lake

FILE = "linkage.json"
FIGURES = {  # figure: (English, Chinese)
    "register": ("register", "登记库"),
    "joined_by_rules": ("keys joined by rules", "规则合并"),
    "joined_by_models": ("by a model", "模型合并"),
    "joined_by_people": ("by people", "人工合并"),
    "cases_decided": ("cases decided", "已裁定案件"),
    "cases_waiting": ("cases waiting", "待裁定案件"),
    "oldest_days": ("oldest waits, days", "最长等待（天）"),
    "auto_decided": ("decided without a person", "无需人工的比例"),
}
COUNTS = ("joined_by_rules", "joined_by_models", "joined_by_people", "cases_decided", "cases_waiting")
NOTHING = "—"
ROUNDED = "rounded_to"  # versions of before are not, and say nothing of it when they are made again


def keep(lake: Lake, contract: Contract, version: str) -> list[dict[str, Any]]:
    """Keep and return the figures of a new version, a row for each register its contract reads."""
    if not contract.reads_registers:
        return []
    found = figures(lake, contract, datetime.now(UTC))
    lake.objects.write(beside(contract.name, version, FILE), json.dumps(found, ensure_ascii=False).encode())
    return found


def kept(objects: Store, dataset: str, version: str) -> list[dict[str, Any]]:
    """Return the figures that were kept of a version; none of one that was made before there were any."""
    name = beside(dataset, version, FILE)
    found: list[dict[str, Any]] = json.loads(objects.read(name)) if objects.exists(name) else []
    return found


def figures(lake: Lake, contract: Contract, now: datetime) -> list[dict[str, Any]]:
    """Return the score-card's figures of the registers a contract reads, as `FIGURES`; counts as text.

    A count of fewer than five says so and no more; what it could be reckoned from is left out. All others are rounded
    down to a multiple of `rounded_to` (five: counts, days, percent).
    """
    from jobs.operation.scorecard import registers

    return [_told(row) for row in registers(lake, now, contract.reads_registers)]


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    few = [name for name in COUNTS if 0 < row[name] < FEW]
    shown = {name: f"fewer than {FEW}" if name in few else str(_down(row[name])) for name in COUNTS}
    share = None if few or row["auto_decided"] is None else _down(round(row["auto_decided"] * 100, 6)) / 100
    days = None if "cases_waiting" in few or row["oldest_days"] is None else _down(row["oldest_days"])
    found = {**row, **shown, "auto_decided": share, "oldest_days": days}
    return {**{name: found[name] for name in FIGURES}, ROUNDED: FEW}


def _down(figure: float) -> int:
    return int(figure // FEW) * FEW


def section(rows: Sequence[Mapping[str, Any]], *, chinese: bool) -> list[str]:
    """Return the data card's section on them, as lines of Markdown; none where it stands on no register."""
    if not rows:
        return []
    head = [words[chinese] for words in FIGURES.values()]
    lead = "所依据的登记库在发布当日的主体识别情况：" if chinese else (
        "How the registers this stands on knew who is who on the day it was made:")
    if all(ROUNDED in row for row in rows):
        lead += f"数字均向下取整为 {FEW} 的倍数。" if chinese else f" Figures are rounded down to a multiple of {FEW}."
    few = f"少于 {FEW}" if chinese else f"fewer than {FEW}"

    def cell(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.0%}"
        return NOTHING if value is None else few if str(value).startswith("fewer") else str(value)

    return [
        "## 主体识别" if chinese else "## Who is who", "", lead, "",
        f"| {' | '.join(head)} |", "|" + "---|" * len(head),
        *[f"| {' | '.join(cell(row[name]) for name in FIGURES)} |" for row in rows], "",
    ]
