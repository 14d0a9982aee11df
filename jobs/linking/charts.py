"""Charts as HTML that stands alone: inline SVG, no script, no font, no outside host, and no cell of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log2

import polars as pl

from jobs.linking.model import Model

_WIDTH, _ROW, _LEFT, _RIGHT = 960, 22, 430, 90
_FOR, _AGAINST, _TOTAL = "#2a7f62", "#b5403a", "#31507a"
_STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2rem auto;max-width:1000px;color:#222}"
    "text{font:12px system-ui,sans-serif;fill:#222}h2{font-size:1rem;margin:1.6rem 0 .3rem}p{color:#555}"
)


def match_weights_page(model: Model) -> str:
    """Return a page that shows what every level of every comparison adds to a pair's weight, in bits."""
    parts = []
    for comparison in model.comparisons:
        bars = [
            (f"{level.label}  (m {level.m:.3g}, u {level.u:.3g})", 0.0, log2(level.m / level.u))
            for level in comparison.levels
        ]
        parts.append(f"<h2>{escape(comparison.title)}</h2>{_bars(bars)}")
    prior = log2(model.share_of_matches / (1 - model.share_of_matches))
    lead = (
        f"Bits that each level of agreement adds to the weight of a pair, before frequencies are weighed. A pair "
        f"begins at {prior:.1f} bits: the share of matches among all pairs. Weight 0 is an even chance."
    )
    return _page("Match weights", lead, parts)


def waterfall_page(model: Model, details: pl.DataFrame, pairs: pl.DataFrame, names: Sequence[str]) -> str:
    """Return a page that shows for sample pairs how their weight comes about; rows are named, cells are not shown.

    `details` has l, r, `gamma_<name>`, `bits_<name>`; `pairs` has l, r, weight; `names` gives each row its name.
    """
    total = {(left, right): weight for left, right, weight in pairs.select("l", "r", "weight").iter_rows()}
    parts = []
    for row in details.iter_rows(named=True):
        final = total.get((row["l"], row["r"]))
        if final is None:
            continue
        bars = steps(model, row, final)
        chance = 1 / (1 + 2.0 ** -max(-60.0, min(60.0, final)))
        title = f"{names[row['l']]} and {names[row['r']]}: {final:.1f} bits, probability {chance:.4f}"
        parts.append((final, f"<h2>{escape(title)}</h2>{_bars(bars)}"))
    parts.sort(key=lambda part: -part[0])
    lead = "How the weight of sample pairs comes about: the surest, those nearest to an even chance, the least sure."
    return _page("Waterfalls of sample pairs", lead, [text for _, text in parts])


def case_page(title: str, added: Sequence[tuple[str, float]]) -> str:
    """Return a page that shows how the weight of one pair comes about; `added` is what each step adds, in bits."""
    bars, at = [], 0.0
    for label, bits in added:
        bars.append((label, at, at + bits))
        at += bits
    lead = "How the weight of the pair comes about, in bits; weight 0 is an even chance. No compared value is shown."
    return _page(title, lead, [_bars([*bars, ("weight", 0.0, at)])] if bars else [])


def steps(model: Model, row: dict[str, float], final: float) -> list[tuple[str, float, float]]:
    """Return what leads to a pair's weight (`final`, bits), as label, start and end; the last is the weight itself.

    `row` has `gamma_<name>` and `bits_<name>` of every comparison. Labels name columns and levels, never a cell.
    """
    at = prior = log2(model.share_of_matches / (1 - model.share_of_matches))
    bars = [("share of matches among all pairs", 0.0, prior)]
    for comparison in model.comparisons:
        gamma, bits = int(row[f"gamma_{comparison.name}"]), float(row[f"bits_{comparison.name}"])
        label = "unknown" if gamma < 0 else comparison.levels[len(comparison.levels) - 1 - gamma].label
        bars.append((f"{comparison.title}: {label}", at, at + bits))
        at += bits
    if abs(final - at) > 0.05:
        bars.append(("may be relatives: one household or building", at, final))
    return [*bars, ("weight", 0.0, final)]


def _bars(bars: Sequence[tuple[str, float, float]]) -> str:
    low = min(0.0, *(min(start, end) for _, start, end in bars))
    high = max(0.0, *(max(start, end) for _, start, end in bars))
    scale = (_WIDTH - _LEFT - _RIGHT) / max(1e-9, high - low)

    def place(bits: float) -> float:
        return _LEFT + (bits - low) * scale

    drawn = [f'<line x1="{place(0):.1f}" y1="0" x2="{place(0):.1f}" y2="{len(bars) * _ROW}" stroke="#999"/>']
    for number, (label, start, end) in enumerate(bars):
        colour = _TOTAL if label == "weight" else _FOR if end >= start else _AGAINST
        left, width, y = place(min(start, end)), abs(end - start) * scale, number * _ROW
        drawn.append(f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(label)}</text>')
        drawn.append(
            f'<rect x="{left:.1f}" y="{y + 4}" width="{max(width, 1):.1f}" height="{_ROW - 8}" fill="{colour}"/>'
        )
        drawn.append(f'<text x="{place(max(start, end)) + 5:.1f}" y="{y + 15}">{end - start:+.1f}</text>')
    return f'<svg viewBox="0 0 {_WIDTH} {len(bars) * _ROW}" role="img">{"".join(drawn)}</svg>'


def _page(title: str, lead: str, parts: Sequence[str]) -> str:
    body = "".join(parts) or "<p>There is nothing to show.</p>"
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1><p>{lead}</p>{body}</body></html>\n"
    )
