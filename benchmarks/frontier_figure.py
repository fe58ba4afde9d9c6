"""The figure of the frontier as SVG: fidelity against membership AUC, one curve a generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from frontier import AIMS, ATTACK, CURVES, LIMIT, by_value, cell, floor_of, over_seeds, point_name

# Okabe and Ito's palette, as in the report: colour for a light and a dark background, and the shape of the mark
_CIRCLE = "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z"
STYLES = {
    "independent": ("#333333", "#dddddd", "M-4 -4L4 4M-4 4L4 -4"),
    "li-stephens": ("#0072b2", "#5ab4f0", "M-4 -4h8v8h-8z"),
    "pca-gaussian": ("#009e73", "#35c79a", "M0 -5.5L5.5 0L0 5.5L-5.5 0z"),
    "smote": ("#b0568a", "#e79fc6", "M0 5.2L-5 -4.2H5z"),
    "haplotype": ("#d55e00", "#ff8c42", _CIRCLE),
    "haplotype-default": ("#a00000", "#ff5a5a", "M-6 -3H6V3H-6z"),
    "gan": ("#6b4fa0", "#b79cf0", "M0 -5.2L5 4.2H-5z"),
    "published-gan": ("#8a6900", "#f0d04f", "M0 -5.5V5.5M-4.8 -2.75L4.8 2.75M-4.8 2.75L4.8 -2.75"),
    "published-rbm": ("#3a87ad", "#9fd8ff", "M0 -5.5V5.5M-5.5 0H5.5"),
}
PANELS = {
    "C2ST AUC, gradient boosting": "C2ST AUC, gradient boosting (ideal: 0.5)",
    "AA_truth": "AA_truth (ideal: 0.5)",
    "LD RMSE": "LD RMSE (lower is better)",
    "far pairs r": "far pairs r (higher is better)",
}
_WIDTH, _PANEL, _HEIGHT = 900, 430, 300  # of the figure, and of a panel with its axes
_LEFT, _TOP, _ACROSS, _UP = 62, 34, 350, 216  # the plot inside a panel


class _Scale:
    """An axis: from values to pixels."""

    def __init__(self, values: Sequence[float], pixels: tuple[float, float], kind: str = "linear"):
        self.kind, self.pixels = kind, pixels
        low, high = (float(self.bend(v)) for v in (min(values), max(values)))
        pad = 0.06 * ((high - low) or 1.0)
        self.low, self.high = low - pad, high + pad

    def bend(self, value: float) -> float:
        if self.kind == "log":
            return math.log10(value)
        # an AUC is seen best near guessing: even steps within .05 of .5, and tenfold ones beyond
        return math.asinh((value - 0.5) / 0.05) if self.kind == "attack" else value

    def __call__(self, value: float) -> float:
        first, last = self.pixels
        return first + (self.bend(value) - self.low) / (self.high - self.low) * (last - first)

    def ticks(self) -> list[float]:
        if self.kind == "attack":
            wanted = [0.0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.48, 0.5, 0.52, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0]
        elif self.kind == "log":
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
    """Return the figure: fidelity against membership AUC, one curve a generator; up and to the left is better."""
    shown = [name for name in CURVES if any(p["curve"] == name for p in result["points"])]
    legend, height = _legend(shown)
    rows = -(-len(PANELS) // 2)
    total = height + rows * _HEIGHT + 4
    name = f"Fidelity against membership AUC, {result['title']}"
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
        ".curve{fill:none;stroke:currentColor;stroke-width:1.8;stroke-linejoin:round}"
        ".span{stroke:currentColor;stroke-opacity:.6}"
        ".mark{fill:currentColor;stroke:currentColor;stroke-width:1.8}"
        ".haplotype .curve{stroke-width:3}"
    )
    light = "svg{--paper:#fff;--ink:#1b1f24;--soft:#59636e;--rule:#d5dae0}"
    dark = "svg{--paper:#14171b;--ink:#e7eaee;--soft:#a3adb8;--rule:#363d45}"
    light += "".join(f".{name}{{color:{colour}}}" for name, (colour, _, _) in STYLES.items())
    dark += "".join(f".{name}{{color:{colour}}}" for name, (_, colour, _) in STYLES.items())
    return f"{light}{plain}@media (prefers-color-scheme:dark){{{dark}}}"


def _legend(shown: Sequence[str]) -> tuple[list[str], int]:
    """Return the key, and its height: a line for every five generators."""
    parts = []
    for k, name in enumerate(shown):
        x, y = 20 + k % 5 * 176, 22 + k // 5 * 22
        curve = CURVES[name]
        line = f'<path class="curve" d="M{x} {y}h28"/>' if curve.values else ""
        parts.append(
            f'<g class="{name}">{line}'
            f'<path class="mark" transform="translate({x + 14} {y})" d="{STYLES[name][2]}"/></g>'
            f'<text class="name" x="{x + 36}" y="{y + 4.5}">{escape(curve.title)}</text>'
        )
    return parts, 22 * -(-len(shown) // 5) + 14


def _panel(result: dict[str, Any], metric: str, shown: Sequence[str]) -> list[str]:
    curves: dict[str, list[tuple[float | None, int, tuple[float, float, float], tuple[float, float, float]]]] = {}
    for name in shown:
        for value, points in by_value(result, name):
            attack, found = over_seeds(points, ATTACK), over_seeds(points, metric)
            if attack is not None and found is not None:
                curves.setdefault(name, []).append((value, len(points), attack, found))
    every = [point for points in curves.values() for point in points]
    floor = floor_of(result, metric)
    right, bottom = _LEFT + _ACROSS, _TOP + _UP
    x = _Scale([0.5, LIMIT, *(v for p in every for v in p[2])], (_LEFT, right), "attack")
    heights = [*([] if floor is None else [floor]), *(v for p in every for v in p[3])]
    # the better end is up in every panel
    span = (bottom, _TOP) if AIMS[metric] == "higher" else (_TOP, bottom)
    y = _Scale(heights or [0.0, 1.0], span, "log" if AIMS[metric] == "lower" and min(heights) > 0 else "linear")
    out = [f'<text class="name" x="{_LEFT}" y="{_TOP - 12}">{escape(PANELS[metric])}</text>']
    for tick in x.ticks():
        out.append(f'<path class="grid" d="M{x(tick):.1f} {_TOP}V{bottom}"/>')
        out.append(f'<text x="{x(tick):.1f}" y="{bottom + 17}" text-anchor="middle">{tick:.2f}</text>')
    for tick in y.ticks():
        out.append(f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{right}"/>')
        out.append(f'<text x="{_LEFT - 7}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    words = "membership AUC (0.5: no leak)"
    out.append(f'<text x="{_LEFT + _ACROSS / 2}" y="{bottom + 36}" text-anchor="middle">{words}</text>')
    out.append(f'<path class="limit" d="M{x(LIMIT):.1f} {_TOP}V{bottom}"/>')
    out.append(f'<text x="{x(LIMIT) + 4:.1f}" y="{bottom - 6}">{LIMIT}</text>')
    if floor is not None:
        out.append(f'<path class="floor" d="M{_LEFT} {y(floor):.1f}H{right}"/>')
        out.append(f'<text x="{right - 2}" y="{y(floor) - 5:.1f}" text-anchor="end">real people</text>')
    for name, line in curves.items():
        out.append(f'<g class="{name}">')
        if len(line) > 1:
            path = "L".join(f"{x(p[2][0]):.1f} {y(p[3][0]):.1f}" for p in line)
            out.append(f'<path class="curve" d="M{path}"/>')
        for value, seeds, at_x, at_y in line:
            pixel_x, pixel_y = f"{x(at_x[0]):.1f}", f"{y(at_y[0]):.1f}"
            if seeds > 1:
                out.append(
                    f'<path class="span" d="M{x(at_x[1]):.1f} {pixel_y}H{x(at_x[2]):.1f}'
                    f'M{pixel_x} {y(at_y[1]):.1f}V{y(at_y[2]):.1f}"/>'
                )
            words = f"{point_name(name, value)}: membership AUC {cell(at_x)}, {metric} {cell(at_y)}"
            out.append(
                f'<path class="mark" transform="translate({pixel_x} {pixel_y})" d="{STYLES[name][2]}">'
                f"<title>{escape(words)}</title></path>"
            )
        out.append("</g>")
    return out
