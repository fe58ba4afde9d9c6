"""The figure of the frontier as SVG: fidelity against informed membership AUC, one curve a generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from frontier_points import CURVES, LEVELS, POOL, by_value, floor_of, over_seeds, point_name, span_text

# Okabe and Ito's palette, as in the report: colour for a light and a dark background, and the shape of the mark
_CIRCLE = "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z"
STYLES = {
    "independent": ("#333333", "#dddddd", "M-4 -4L4 4M-4 4L4 -4"),
    "li-stephens": ("#0072b2", "#5ab4f0", "M-4 -4h8v8h-8z"),
    "pca-gaussian": ("#009e73", "#35c79a", "M0 -5.5L5.5 0L0 5.5L-5.5 0z"),
    "smote": ("#b0568a", "#e79fc6", "M0 5.2L-5 -4.2H5z"),
    "carriers": ("#8a6900", "#f0d04f", "M0 -5.5V5.5M-5.5 0H5.5"),
    "haplotype": ("#d55e00", "#ff8c42", _CIRCLE),
    "tied": ("#a00000", "#ff5a5a", "M-6 -3H6V3H-6z"),
    "private": ("#3a87ad", "#9fd8ff", "M0 -5.5V5.5M-4.8 -2.75L4.8 2.75M-4.8 2.75L4.8 -2.75"),
    "epsilon": ("#4d7f17", "#9ad14b", "M-5 -4.5L5 0L-5 4.5z"),
    "gan": ("#5a4a96", "#c4b2ea", "M-6 0L-3 -5.2H3L6 0L3 5.2H-3z"),
    "gan-short": ("#6b4fa0", "#b79cf0", "M0 -5.2L5 4.2H-5z"),
    "gan-chain": ("#3f2a6b", "#d8c8ff", "M0 -6.5L1.9 -2L6.5 0L1.9 2L0 6.5L-1.9 2L-6.5 0L-1.9 -2z"),
}
PANELS = {
    "C2ST AUC, gradient boosting": "C2ST AUC, gradient boosting (ideal: 0.5)",
    "AA_truth": "AA_truth (ideal: 0.5)",
    "LD RMSE": "LD RMSE (lower is better)",
    "far pairs r": "far pairs r (higher is better)",
}
_HIGHER, _LOGARITHMIC = "far pairs r", "LD RMSE"
_WIDTH, _PANEL, _HEIGHT = 900, 430, 300  # of the figure, and of a panel with its axes
_LEFT, _TOP, _ACROSS, _UP = 62, 34, 350, 216  # the plot inside a panel


@dataclass(frozen=True)
class _Mark:
    """A point of a curve: its name, number of seeds, and (mean, least, largest) of both axes."""

    name: str
    seeds: int
    attack: tuple[float, float, float]
    fidelity: tuple[float, float, float]


class _Scale:
    """An axis: from values to pixels."""

    def __init__(self, values: Sequence[float], pixels: tuple[float, float], kind: str = "linear"):
        self.kind, self.pixels = kind, pixels
        low, high = (float(self.bend(v)) for v in (min(values), max(values)))
        pad = 0.06 * ((high - low) or 1.0)
        self.low, self.high = low - pad, high + pad

    def bend(self, value: float) -> float:
        return math.log10(value) if self.kind == "log" else value

    def __call__(self, value: float) -> float:
        first, last = self.pixels
        return first + (self.bend(value) - self.low) / (self.high - self.low) * (last - first)

    def ticks(self) -> list[float]:
        if self.kind == "log":
            wanted = [m * 10.0**k for k in range(-8, 2) for m in (1, 1.5, 2, 3, 5)]
        else:
            span = self.high - self.low
            step = 10.0 ** math.floor(math.log10(span / 4))
            step *= min((1, 2, 2.5, 5, 10), key=lambda m: abs(span / (step * m) - 5))
            first = math.ceil(self.low / step - 1e-9)
            wanted = [round(k * step, 12) for k in range(first, math.floor(self.high / step + 1e-9) + 1)]
        shown: list[float] = []
        for tick in wanted:  # none outside, and none on top of the one before
            inside = not (self.kind == "log" and tick <= 0) and self.low <= self.bend(tick) <= self.high
            if inside and (not shown or abs(self(tick) - self(shown[-1])) > 18):
                shown.append(tick)
        return shown


def as_svg(result: dict[str, Any]) -> str:
    """Return the figure: a panel for each metric, a curve for each generator; up and to the left is better."""
    shown = [name for name in CURVES if any(p["curve"] == name for p in result["points"])]
    legend, height = _legend(shown)
    rows = -(-len(PANELS) // 2)
    total = height + rows * _HEIGHT + 4
    name = f"Fidelity against informed membership AUC, {result['title']}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {total}" width="{_WIDTH}" height="{total}" '
        f'role="img" aria-label="{escape(name)}">',
        f"<title>{escape(name)}</title>",
        f"<style>{_css()}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{total}"/>',
        *legend,
    ]
    for k, metric in enumerate(PANELS):
        parts.append(f'<g transform="translate({k % 2 * (_WIDTH - _PANEL)} {height + k // 2 * _HEIGHT})">')
        parts += _panel(result, metric, shown)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _css() -> str:
    plain = (
        'text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--soft)}'
        ".name{font-size:13px;fill:var(--ink)}.paper{fill:var(--paper)}.grid{stroke:var(--rule)}"
        ".floor{stroke:var(--ink);stroke-dasharray:7 4}.limit{stroke:var(--ink);stroke-dasharray:2 4}"
        ".bar{stroke:var(--ink);stroke-width:2}"
        ".curve{fill:none;stroke:currentColor;stroke-width:1.8;stroke-linejoin:round}"
        ".span{stroke:currentColor;stroke-opacity:.6}"
        ".mark{fill:currentColor;stroke:currentColor;stroke-width:1.8}"
        ".tied .curve{stroke-width:3}"
    )
    light = "svg{--paper:#fff;--ink:#1b1f24;--soft:#59636e;--rule:#d5dae0}"
    dark = "svg{--paper:#14171b;--ink:#e7eaee;--soft:#a3adb8;--rule:#363d45}"
    light += "".join(f".{name}{{color:{colour}}}" for name, (colour, _, _) in STYLES.items())
    dark += "".join(f".{name}{{color:{colour}}}" for name, (_, colour, _) in STYLES.items())
    return f"{light}{plain}@media (prefers-color-scheme:dark){{{dark}}}"


def _legend(shown: Sequence[str]) -> tuple[list[str], int]:
    """Return the key, and its height: a line for every four generators."""
    parts = []
    for k, name in enumerate(shown):
        x, y = 20 + k % 4 * 220, 22 + k // 4 * 22
        curve = CURVES[name]
        line = f'<path class="curve" d="M{x} {y}h28"/>' if curve.values else ""
        parts.append(
            f'<g class="{name}">{line}'
            f'<path class="mark" transform="translate({x + 14} {y})" d="{STYLES[name][2]}"/></g>'
            f'<text class="name" x="{x + 36}" y="{y + 4.5}">{escape(curve.title)}</text>'
        )
    return parts, 22 * -(-len(shown) // 4) + 14


def _panel(result: dict[str, Any], metric: str, shown: Sequence[str]) -> list[str]:
    curves: dict[str, list[_Mark]] = {}
    for name in shown:
        for value, points in by_value(result, name):
            attack, fidelity = over_seeds(points, POOL), over_seeds(points, metric)
            if attack is not None and fidelity is not None:
                curves.setdefault(name, []).append(_Mark(point_name(name, value), len(points), attack, fidelity))
    marks = [mark for line in curves.values() for mark in line]
    floor = floor_of(result, metric)
    bars = _bars(metric) if result["name"] == "frontier-hla" else []
    right, bottom = _LEFT + _ACROSS, _TOP + _UP
    x = _Scale([0.5, *(level.attack for level in LEVELS), *(v for m in marks for v in m.attack)], (_LEFT, right))
    heights = [*([] if floor is None else [floor]), *(y for _, _, y in bars), *(v for m in marks for v in m.fidelity)]
    # the better end is up in every panel
    span = (bottom, _TOP) if metric == _HIGHER else (_TOP, bottom)
    y = _Scale(heights or [0.0, 1.0], span, "log" if metric == _LOGARITHMIC and min(heights) > 0 else "linear")
    out = [f'<text class="name" x="{_LEFT}" y="{_TOP - 12}">{escape(PANELS[metric])}</text>', *_axes(x, y)]
    for level in LEVELS:
        out.append(f'<path class="limit" d="M{x(level.attack):.1f} {_TOP}V{bottom}"/>')
    for start, end, height in bars:
        out.append(f'<path class="bar" d="M{x(start):.1f} {y(height):.1f}H{x(end):.1f}"/>')
    if floor is not None:
        out.append(f'<path class="floor" d="M{_LEFT} {y(floor):.1f}H{right}"/>')
        out.append(f'<text x="{right - 2}" y="{y(floor) - 5:.1f}" text-anchor="end">real people</text>')
    for name, line in curves.items():
        out += [f'<g class="{name}">', *_curve(name, line, metric, x, y), "</g>"]
    return out


def _bars(metric: str) -> list[tuple[float, float, float]]:
    """Return the bars of a metric: from which AUC to which, and the value."""
    starts = [0.5, *(level.attack for level in LEVELS)]
    return [
        (start, level.attack, bar.high if math.isfinite(bar.high) else bar.low)
        for start, level in zip(starts, LEVELS, strict=False)
        for bar in level.bars
        if bar.metric == metric
    ]


def _axes(x: _Scale, y: _Scale) -> list[str]:
    """Return grid lines with their numbers, and the name of the x axis."""
    right, bottom = _LEFT + _ACROSS, _TOP + _UP
    out = []
    for tick in x.ticks():
        out.append(f'<path class="grid" d="M{x(tick):.1f} {_TOP}V{bottom}"/>')
        out.append(f'<text x="{x(tick):.1f}" y="{bottom + 17}" text-anchor="middle">{tick:.2f}</text>')
    for tick in y.ticks():
        out.append(f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{right}"/>')
        out.append(f'<text x="{_LEFT - 7}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    words = "informed membership AUC, pool (0.5: no leak)"
    return [*out, f'<text x="{_LEFT + _ACROSS / 2}" y="{bottom + 36}" text-anchor="middle">{words}</text>']


def _curve(name: str, line: Sequence[_Mark], metric: str, x: _Scale, y: _Scale) -> list[str]:
    """Return a curve: a line through its marks, and crosses that span the seeds."""
    out = []
    if len(line) > 1:
        path = "L".join(f"{x(mark.attack[0]):.1f} {y(mark.fidelity[0]):.1f}" for mark in line)
        out.append(f'<path class="curve" d="M{path}"/>')
    for mark in line:
        (mean_x, left, right), (mean_y, low, high) = mark.attack, mark.fidelity
        if mark.seeds > 1:
            out.append(
                f'<path class="span" d="M{x(left):.1f} {y(mean_y):.1f}H{x(right):.1f}'
                f'M{x(mean_x):.1f} {y(low):.1f}V{y(high):.1f}"/>'
            )
        words = f"{mark.name}: {POOL} {span_text(mark.attack)}, {metric} {span_text(mark.fidelity)}"
        out.append(
            f'<path class="mark" transform="translate({x(mean_x):.1f} {y(mean_y):.1f})" d="{STYLES[name][2]}">'
            f"<title>{escape(words)}</title></path>"
        )
    return out
