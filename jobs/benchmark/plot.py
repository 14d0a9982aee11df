"""The benchmark's picture: seconds to the merged register by size of register and of changes, as SVG of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Any

_WIDE, _TALL, _LEFT, _RIGHT, _TOP, _FOOT = 480, 300, 60, 40, 40, 50
_COLOURS = ("#31507a", "#b5403a", "#2a7f62", "#a66a00", "#6a4c93", "#4a4a4a", "#0086a8")
_AXES = {"register": "people in the register", "changes": "change rows"}

Point = tuple[str, float, float, float]  # engine, size on the axis, the other size, seconds


def plot(documents: Sequence[Mapping[str, Any]]) -> str:
    """Return both charts of all reports given; a line joins an engine's runs that have the other size in common."""
    rows = [
        (engine["engine"], document["data"], engine["seconds"]["to_merged"])
        for document in documents
        for engine in document["engines"]
        if engine["seconds"].get("to_merged")
    ]
    engines = list(dict.fromkeys(name for name, *_ in rows))
    colours = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(engines)}
    parts = []
    for place, (axis, other) in enumerate((("register", "changes"), ("changes", "register"))):
        points = [(name, float(data[axis]), float(data[other]), float(seconds)) for name, data, seconds in rows]
        parts.append(_chart(points, _AXES[axis], colours, place * (_WIDE + 20)))
    wide, tall = 2 * _WIDE + 20, _TALL + 24 * len(engines)
    for place, name in enumerate(engines):
        y = _TALL + 24 * place + 8
        parts.append(
            f'<circle cx="{_LEFT}" cy="{y - 4}" r="4" fill="{colours[name]}"/>'
            f'<text x="{_LEFT + 12}" y="{y}">{escape(name)}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" width="{wide}" height="{tall}" '
        'role="img" '
        'aria-label="seconds of each engine to the merged register by size" font-family="system-ui, sans-serif" '
        'font-size="12">'
        f'<rect width="{wide}" height="{tall}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _chart(points: Sequence[Point], axis: str, colours: Mapping[str, str], shift: int) -> str:
    """Return one chart with both axes logarithmic, as sizes and seconds span several powers of ten.

    An empty batch stands where one of a single row does.
    """
    drawn = [f'<text x="{_LEFT}" y="20" font-weight="bold">seconds by {axis}</text>']
    if points:
        sizes, times = _ends([max(size, 1.0) for _, size, *_ in points]), _ends([seconds for *_, seconds in points])

        def x(size: float) -> float:
            return _LEFT + (log10(max(size, 1.0)) - sizes[0]) / (sizes[1] - sizes[0]) * (_WIDE - _LEFT - _RIGHT)

        def y(seconds: float) -> float:
            return _TALL - _FOOT - (log10(seconds) - times[0]) / (times[1] - times[0]) * (_TALL - _FOOT - _TOP)

        for power in range(sizes[0], sizes[1] + 1):
            at, floor_ = x(10.0**power), _TALL - _FOOT
            drawn.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{floor_}" stroke="#ddd"/>')
            drawn.append(f'<text x="{at:.1f}" y="{floor_ + 18}" text-anchor="middle">{10.0**power:,.0f}</text>')
        for power in range(times[0], times[1] + 1):
            at = y(10.0**power)
            drawn.append(f'<line x1="{_LEFT}" x2="{_WIDE - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
            drawn.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
        lines: dict[tuple[str, float], list[tuple[float, float]]] = {}
        for name, size, other, seconds in points:
            lines.setdefault((name, other), []).append((size, seconds))
        several = len({other for _, other in lines}) > 1
        for (name, other), run in lines.items():
            places = " ".join(f"{x(size):.1f},{y(seconds):.1f}" for size, seconds in sorted(run))
            if several:  # which line is which
                size, seconds = max(run)
                drawn.append(
                    f'<text x="{x(size) - 7:.1f}" y="{y(seconds) - 6:.1f}" text-anchor="end" font-size="9" '
                    f'fill="{colours[name]}">{other:,.0f}</text>'
                )
            drawn.append(f'<polyline points="{places}" fill="none" stroke="{colours[name]}" stroke-width="1.5"/>')
            drawn += [
                f'<circle cx="{x(size):.1f}" cy="{y(seconds):.1f}" r="4" fill="{colours[name]}"><title>'
                f"{escape(name)}: {size:,.0f} by {other:,.0f}, {seconds:.2f} s</title></circle>"
                for size, seconds in run
            ]
    return f'<g transform="translate({shift} 0)">{"".join(drawn)}</g>'


def _ends(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten around values."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)
