"""The risk report as one page that needs nothing else: for the data protection officer who approves a release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from jobs.privacy.risk.verdict import LEAST_K

_STYLE = """
body { font: 15px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1f24; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.verdict { padding: .75rem 1rem; border-left: .4rem solid; background: #f6f8fa }
.passes { border-color: #1a7f37 } .fails { border-color: #cf222e }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #d8dee4 }
td.number { text-align: right; font-variant-numeric: tabular-nums }
svg { width: 100%; height: auto } .note { color: #57606a; font-size: .9rem }
"""
_MEASURES = ("l_distinct", "l_entropy", "t", "t_distance", "beta", "delta")
_WIDTH, _BAR, _LABEL = 640, 24, 150
_PLAIN, _FAILING = "#0969da", "#cf222e"


def page(found: Mapping[str, Any], title: str) -> str:
    """Return a risk document (see measure) as HTML: verdict, risks with bars, one row per sensitive column."""
    judged = found["gbt42460"]
    parts = [
        f"<h1>重标识风险 · Re-identification risk: {escape(title)}</h1>",
        _verdict(judged, found["mode"]),
        "<h2>数据表 · The table</h2>",
        _rows([(name.replace("_", " "), found[name]) for name in (
            "n", "suppressed", "classes", "k", "uniques", "special_uniques"
        )]),
        f'<p class="note">Quasi-identifiers: {escape(", ".join(found["quasi"]))}.</p>',
        "<h2>单行风险 · Risk of a row</h2>",
        _bars(_risks(found), judged["tau"] if judged else None),
    ]
    if found["n"]:
        parts += ["<h2>等价类大小 · How many rows look alike</h2>", _sizes(found)]
    if found["minimal_uniques"]:
        parts += ["<h2>由几列可唯一识别 · How many columns single a row out</h2>", _uniques(found)]
    if found["sensitive"]:
        parts += ["<h2>类内泄露 · What a class gives away</h2>", _disclosed(found), _columns(found)]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Risk: {escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _verdict(judged: Mapping[str, Any] | None, mode: str) -> str:
    if judged is None:
        return '<p class="verdict fails">No row is in a class: there is nothing to judge.</p>'
    passes = judged["grade"] >= 3
    word, sign = ("at most", "passes") if passes else ("above", "fails")
    return (
        f'<p class="verdict {sign}"><strong>Grade {judged["grade"]}</strong>: the risk {_text(judged["r"])} is {word} '
        f"the threshold {_text(judged['tau'])} for {escape(mode)} release (R max {_text(judged['r_max'])}, "
        f"R avg {_text(judged['r_avg'])}, classes above {_text(judged['exceedance'])}, "
        f"P env {_text(judged['p_env'])}). {escape(judged['basis'])}.</p>"
    )


def _risks(found: Mapping[str, Any]) -> list[tuple[str, float]]:
    bars = [
        (f"{who}, {part.replace('_', ' ')}", found[who][part])
        for who in ("prosecutor", "journalist") if found[who]
        for part in ("max", "avg", "share_above")
    ]
    return bars if found["marketer"] is None else [*bars, ("marketer", found["marketer"])]


def _sizes(found: Mapping[str, Any]) -> str:
    """Draw the share of rows by the size of their class; too small ones in the colour of failing."""
    least = LEAST_K[found["mode"]]
    bars = [
        (f"{one['least']}+" if one["below"] is None else f"{one['least']} – {one['below'] - 1}"
         if one["below"] - one["least"] > 1 else str(one["least"]), one["rows"] / found["n"])
        for one in found["class_sizes"]
    ]
    small = [one["least"] < least for one in found["class_sizes"]]
    note = f'<p class="note">Share of rows by the size of their class; below {least} in red.</p>'
    return _bars(bars, None, label="rows by size of class", failing=small) + note


def _uniques(found: Mapping[str, Any]) -> str:
    """Draw the share of rows that a number of columns is enough to single out."""
    bars = [(f"{size} columns", count / max(found["n"], 1)) for size, count in found["minimal_uniques"].items()]
    return _bars(bars, None, label="rows singled out by number of columns")


def _disclosed(found: Mapping[str, Any]) -> str:
    """Draw, by sensitive column, the share of the most frequent value in the worst class."""
    bars = [(name, float(one["alpha"])) for name, one in found["alpha_k"].items() if one]
    note = '<p class="note">Share of the most frequent value in the worst class: at 1 a class gives it away.</p>'
    return _bars(bars, None, label="most frequent sensitive value") + note if bars else ""


def _bars(
    bars: list[tuple[str, float]], threshold: float | None, *, label: str = "risks", failing: Sequence[bool] = ()
) -> str:
    """Draw shares from 0 to 1 as bars, the threshold as a line."""
    span, height = _WIDTH - _LABEL - 70, _BAR * len(bars) + 8
    fill = [_FAILING if i < len(failing) and failing[i] else _PLAIN for i in range(len(bars))]
    drawn = [
        f'<text x="0" y="{_BAR * i + 16}" font-size="12">{escape(name)}</text>'
        f'<rect x="{_LABEL}" y="{_BAR * i + 4}" width="{max(value * span, 1):.1f}" height="{_BAR - 8}" '
        f'fill="{fill[i]}"/>'
        f'<text x="{_LABEL + value * span + 6:.1f}" y="{_BAR * i + 16}" font-size="12">{_text(value)}</text>'
        for i, (name, value) in enumerate(bars)
    ]
    if threshold is not None:
        at = _LABEL + threshold * span
        ends = f'x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{height}"'
        drawn.append(f'<line {ends} stroke="{_FAILING}" stroke-dasharray="4"/>')
    note = "" if threshold is None else '<p class="note">The dashed line is the threshold.</p>'
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(drawn)}</svg>{note}'


def _columns(found: Mapping[str, Any]) -> str:
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in ("column", "alpha", *_MEASURES, "recursive c"))
    body = "".join(
        f"<tr><td>{escape(name)}</td>"
        + _cells([
            (found["alpha_k"][name] or {}).get("alpha"), *(found[measure][name] for measure in _MEASURES),
            (found["l_recursive_c"][name] or {}).get("c"),
        ])
        + "</tr>"
        for name in found["sensitive"]
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _rows(pairs: Iterable[tuple[str, Any]]) -> str:
    body = "".join(f"<tr><th>{escape(name)}</th>{_cells([value])}</tr>" for name, value in pairs)
    return f"<table>{body}</table>"


def _cells(values: Iterable[Any]) -> str:
    return "".join(f'<td class="number">{escape(_text(value))}</td>' for value in values)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
