"""Small charts as SVG text: bars, a run of years, tiles of divisions. They take their colours from the page's sheet."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH = 640
LONGEST_LABEL = 18

# Where each provincial unit stands on the tile grid: (column, row), by the first two digits of its code.
PROVINCES = {
    "23": ("黑龙江", "HL", 9, 0), "15": ("内蒙古", "NM", 7, 1), "22": ("吉林", "JL", 9, 1), "65": ("新疆", "XJ", 1, 1),
    "62": ("甘肃", "GS", 4, 2), "64": ("宁夏", "NX", 5, 2), "14": ("山西", "SX", 6, 2), "11": ("北京", "BJ", 7, 2),
    "12": ("天津", "TJ", 8, 2), "21": ("辽宁", "LN", 9, 2), "63": ("青海", "QH", 3, 3), "61": ("陕西", "SN", 5, 3),
    "41": ("河南", "HA", 6, 3), "13": ("河北", "HE", 7, 3), "37": ("山东", "SD", 8, 3), "54": ("西藏", "XZ", 2, 4),
    "51": ("四川", "SC", 4, 4), "50": ("重庆", "CQ", 5, 4), "42": ("湖北", "HB", 6, 4), "34": ("安徽", "AH", 7, 4),
    "32": ("江苏", "JS", 8, 4), "31": ("上海", "SH", 9, 4), "53": ("云南", "YN", 3, 5), "52": ("贵州", "GZ", 5, 5),
    "43": ("湖南", "HN", 6, 5), "36": ("江西", "JX", 7, 5), "33": ("浙江", "ZJ", 8, 5), "45": ("广西", "GX", 5, 6),
    "44": ("广东", "GD", 6, 6), "35": ("福建", "FJ", 7, 6), "71": ("台湾", "TW", 9, 6), "82": ("澳门", "MO", 5, 7),
    "81": ("香港", "HK", 6, 7), "46": ("海南", "HI", 4, 8),
}  # fmt: skip
SHADES = 5


def spark(bars: Sequence[tuple[str, int]], label: str) -> Markup:
    """Return a small chart of counts, one bar each, for a table's cell."""
    if not bars:
        return Markup()
    most = max(count for _, count in bars) or 1
    step = 120 / len(bars)
    drawn = Markup().join(
        Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}: {}</title></rect>').format(
            n * step, 28 - 26 * count / most, max(step - 2, 1), 26 * count / most + 1, name, f"{count:,}"
        )
        for n, (name, count) in enumerate(bars)
    )
    return _svg(120, 30, label, drawn, "spark")


def bars(values: Sequence[tuple[str, float]], label: str) -> Markup:
    """Return horizontal bars, one per value, with the amount written beside each."""
    most = max((amount for _, amount in values), default=0) or 1
    room = 170
    rows = []
    for n, (name, amount) in enumerate(values):
        y = n * 26
        rows.append(
            Markup(
                '<text x="{}" y="{}" text-anchor="end">{}</text><rect x="{}" y="{}" width="{:.1f}" height="16"/>'
                '<text x="{:.1f}" y="{}" class="amount">{}</text>'
            ).format(
                room - 8, y + 16, _short(name), room, y + 4, max((WIDTH - room - 90) * amount / most, 1),
                room + max((WIDTH - room - 90) * amount / most, 1) + 6, y + 16, spelled(amount),
            )
        )
    return _svg(WIDTH, max(len(values) * 26, 26), label, Markup().join(rows), "bars")


def columns(values: Sequence[tuple[str, float]], label: str) -> Markup:
    """Return upright bars in the values' order, for years, months and bands of years."""
    most = max((amount for _, amount in values), default=0) or 1
    step, height, floor = (WIDTH - 60) / max(len(values), 1), 220, 190
    every = max(1, len(values) // 8)
    parts = [
        Markup('<line x1="50" x2="{}" y1="{y}" y2="{y}"/><text x="44" y="{t}" text-anchor="end">{}</text>').format(
            WIDTH, spelled(most * share), y=round(floor - 170 * share, 1), t=round(floor - 170 * share + 4, 1)
        )
        for share in (0, 0.5, 1)
    ]
    for n, (name, amount) in enumerate(values):
        x, tall = 54 + n * step, 170 * amount / most
        parts.append(
            Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}: {}</title></rect>').format(
                x, floor - tall, max(step - 3, 1), tall, name, spelled(amount)
            )
        )
        if n % every == 0:
            parts.append(
                Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(x + step / 2, 210, _short(name))
            )
    return _svg(WIDTH, height, label, Markup().join(parts), "columns")


def tiles(values: Sequence[tuple[str, str, float]], label: str, language: str) -> Markup:
    """Return divisions as tiles, darker for more: (code, name, amount), a code as in GB/T 2260.

    Values of several provinces are summed to provinces on their tile grid; else one tile each, by code, eight a row.
    """
    provinces: dict[str, float] = {}
    for code, _, amount in values:
        provinces[code[:2]] = provinces.get(code[:2], 0) + amount
    known = {code: amount for code, amount in provinces.items() if code in PROVINCES}
    if len(known) > 1:
        return _province_tiles(known, label, language)
    most = max((amount for *_, amount in values), default=0) or 1
    side, across = 80, 8
    drawn = [
        _tile(n % across * side, n // across * 52, side - 4, 48, _short(name, 6 if language == "zh" else 11), amount,
              most, f"{code} {name}")
        for n, (code, name, amount) in enumerate(values)
    ]
    return _svg(WIDTH, -(-max(len(values), 1) // across) * 52, label, Markup().join(drawn), "tiles")


def spelled(amount: float) -> str:
    """Return an amount with thousands separated, without needless decimals."""
    return f"{amount:,.0f}" if abs(amount - round(amount)) < 1e-9 else f"{amount:,.2f}"


def _province_tiles(amounts: dict[str, float], label: str, language: str) -> Markup:
    most, side = max(amounts.values()) or 1, 58
    drawn = []
    for code, (zh, en, column, row) in PROVINCES.items():
        name = zh if language == "zh" else en
        drawn.append(_tile(column * side, row * 46, side - 4, 42, name, amounts.get(code), most, f"{code} {zh}"))
    return _svg(WIDTH, 9 * 46, label, Markup().join(drawn), "tiles")


def _tile(x: int, y: int, wide: int, tall: int, name: str, amount: float | None, most: float, title: str) -> Markup:
    shade = "none" if amount is None else str(min(int(SHADES * amount / most), SHADES - 1))
    said = "" if amount is None else _compact(amount)
    return Markup(
        '<g class="shade-{}"><title>{}: {}</title><rect x="{}" y="{}" width="{}" height="{}" rx="3"/>'
        '<text x="{}" y="{}" text-anchor="middle">{}</text><text x="{}" y="{}" text-anchor="middle">{}</text></g>'
    ).format(
        shade, title, "—" if amount is None else spelled(amount), x, y, wide, tall, x + wide / 2, y + tall / 2 - 2,
        name, x + wide / 2, y + tall / 2 + 14, said,
    )


def _compact(amount: float) -> str:
    for size, word in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if amount >= size:
            return f"{amount / (1e3 if word == 'k' else size):.3g}{word}"
    return spelled(amount)


def _short(text: str, longest: int = LONGEST_LABEL) -> str:
    """Return a text short enough for its place; a Chinese character is as wide as two letters."""
    room = longest if text.isascii() else max(longest * 2 // 3, 5)
    return text if len(text) <= room else text[: room - 1] + "…"


def _svg(width: int, height: int, label: str, inside: Markup, kind: str) -> Markup:
    return Markup(
        '<svg class="chart {}" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(kind, width, height, width, height, escape(label), inside)
