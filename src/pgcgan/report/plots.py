"""Plots as SVG: the same markup is used in the page, in print and in files of its own, without a browser.

Plotly is not used, because it needs 2 MB of script per page and writes SVG files only through a browser.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from markupsafe import Markup

from .pictures import WIDTH, picture

RIGHT, TOP, BOTTOM = 12, 12, 40
HUES = 8
# The colours of Okabe and Ito, which colour-blind readers can distinguish; yellow and sky blue are darkened on white.
# Shapes and dashes repeat the distinction.
LIGHT = {
    "paper": "#ffffff", "ink": "#1b1f24", "soft": "#57606a", "rule": "#e1e5ea", "panel": "#f6f8fa",
    "good": "#00664c", "fair": "#7a5200", "poor": "#a33c00",
    "train": "#7d8590", "holdout": "#0072b2", "synthetic": "#d55e00", "guide": "#8b949e", "ring": "#57606a",
    "hue0": "#0072b2", "hue1": "#d55e00", "hue2": "#009e73", "hue3": "#c0649a",
    "hue4": "#a88400", "hue5": "#3d9bd4", "hue6": "#6b4fa0", "hue7": "#333333",
}  # fmt: skip
DARK = {
    "paper": "#14171b", "ink": "#e7eaee", "soft": "#a3adb8", "rule": "#2e353d", "panel": "#1d2228",
    "good": "#4fd1a5", "fair": "#f0c04f", "poor": "#ff9a5c",
    "train": "#939daa", "holdout": "#5ab4f0", "synthetic": "#ff8c42", "guide": "#7b8590", "ring": "#a3adb8",
    "hue0": "#5ab4f0", "hue1": "#ff8c42", "hue2": "#35c79a", "hue3": "#e79fc6",
    "hue4": "#f0d04f", "hue5": "#9fd8ff", "hue6": "#b79cf0", "hue7": "#dddddd",
}  # fmt: skip
# relative paths around a point, about 5 px wide
SHAPES = (
    "m-2.4 0a2.4 2.4 0 1 0 4.8 0a2.4 2.4 0 1 0 -4.8 0",  # circle
    "m0-2.9l2.7 4.9h-5.4z",  # triangle
    "m-2.1-2.1h4.2v4.2h-4.2z",  # square
    "m0-3l3 3l-3 3l-3-3z",  # diamond
    "m0 2.9l2.7-4.9h-5.4z",  # triangle, down
    "m-.8-2.8h1.6v2h2v1.6h-2v2h-1.6v-2h-2v-1.6h2z",  # plus
    "m-2.6-1.5l1.1-1.1l1.5 1.5l1.5-1.5l1.1 1.1l-1.5 1.5l1.5 1.5l-1.1 1.1l-1.5-1.5l-1.5 1.5l-1.1-1.1l1.5-1.5z",  # cross
)
SET_SHAPES = {"train": 2, "holdout": 3, "synthetic": 0, "guide": 5}
SETS = {"train": "training", "holdout": "held-out", "synthetic": "synthetic"}
MARKED = ("dots", "rings", "line", "points")  # kinds of series with a mark at each point
GUIDE = ""  # the name of a series that is not in the legend


@dataclass(frozen=True)
class Axis:
    """One axis with its name and range; `categories` are shown at its ticks instead of numbers."""

    name: str
    low: float
    high: float
    log: bool = False
    categories: tuple[str, ...] = ()

    def part(self, values: Any) -> np.ndarray:
        """Return the positions of values, 0 at the low end and 1 at the high end."""
        values, low, high = np.asarray(values, dtype=float), self.low, self.high
        if self.log:
            values, low, high = np.log10(np.maximum(values, 1e-300)), math.log10(low), math.log10(high)
        return (values - low) / ((high - low) or 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Return (value, text) of each tick."""
        if self.categories:
            return list(enumerate(self.categories))
        return [(t, short(t)) for t in (_log_ticks if self.log else _ticks)(self.low, self.high)]


@dataclass(frozen=True)
class Series:
    """A series of points or a line; those of one name are shown and hidden together.

    Kinds: "dots" (many), "rings" (many, hollow), "points" (few, larger), "line" (with marks), "curve" (without),
    "steps" (x are edges, one more than y), "guide" (no values) or "areas" (shaded where most points lie, no values).
    """

    name: str
    style: str  # a colour of the palette
    kind: str
    x: Sequence[float]
    y: Sequence[float]
    shape: int = 0  # index into `SHAPES`
    notes: Sequence[str] = ()  # a text for each point, shown on hover
    low: Sequence[float | None] = ()  # ends of the intervals along x
    high: Sequence[float | None] = ()


@dataclass
class Plot:
    """Axes and series, as SVG and as the values that the page shows on hover."""

    x: Axis
    y: Axis
    series: list[Series]
    description: str
    title: str = ""
    height: int = 300
    left: int = 0  # 0: room for the ticks
    marks: list[tuple[float, float, str, str]] = field(default_factory=list)  # x, y, text, anchor

    def __post_init__(self) -> None:
        self.left = self.left or max(46, 24 + round(6.3 * max(len(text) for _, text in self.y.ticks)))

    def across(self, values: Any) -> np.ndarray:
        """Return pixels from the left."""
        return self.left + self.x.part(values) * (WIDTH - self.left - RIGHT)

    def down(self, values: Any) -> np.ndarray:
        """Return pixels from the top."""
        return self.height - BOTTOM - self.y.part(values) * (self.height - TOP - BOTTOM)

    def markup(self, numbers: dict[str, int]) -> Markup:
        """Return the content of the SVG element; `numbers` are the places of names in the legend."""
        bottom, right = self.height - BOTTOM, WIDTH - RIGHT
        out: list[Markup] = []
        for value, words in self.x.ticks:
            a = f"{self.across(value):.1f}"
            out.append(Markup('<path class="grid" d="M{} {}V{}"/>').format(a, TOP, bottom))
            out.append(label("tick", a, bottom + 15, "middle", words))
        for value, words in self.y.ticks:
            b = float(self.down(value))
            out.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(self.left, b, right))
            out.append(label("tick", self.left - 6, f"{b + 3.8:.1f}", "end", words))
        for series in self.series:
            place, drawn = numbers.get(series.name, -1), self._series_markup(series)
            out.append(Markup('<g class="series" data-series="{}">{}</g>').format(place, drawn))
        for x, y, words, anchor in self.marks:
            out.append(label("mark", f"{self.across(x):.1f}", f"{self.down(y):.1f}", anchor, words))
        out.append(label("name", f"{(self.left + right) / 2:.0f}", self.height - 6, "middle", self.x.name))
        if self.y.name:
            turned = '<text class="name" transform="translate(12 {:.0f}) rotate(-90)" text-anchor="middle">{}</text>'
            out.append(Markup(turned).format((TOP + bottom) / 2, self.y.name))
        return Markup("").join(out)

    def _series_markup(self, series: Series) -> Markup:
        if series.kind == "areas":
            address = picture(self.x.part(series.x), 1 - self.y.part(series.y))
            image = '<image class="areas" href="{}" x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="none"/>'
            return Markup(image).format(address, self.left, TOP, WIDTH - RIGHT - self.left, self.height - BOTTOM - TOP)
        x, y = self.across(series.x), self.down(series.y)
        if series.kind == "steps":
            x, y = np.repeat(x, 2)[1:-1], np.repeat(y, 2)
        parts = []
        if series.kind in ("line", "curve", "steps", "guide"):
            path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
            if series.kind == "steps":
                base = self.height - BOTTOM
                area = f"{path}L{x[-1]:.1f} {base}L{x[0]:.1f} {base}z"
                parts.append(Markup('<path class="area {}" d="{}"/>').format(series.style, area))
            parts.append(Markup('<path class="line {}" d="{}"/>').format(series.style, path))
        if series.low:
            whiskers = [
                f"M{a:.1f} {b:.1f}H{c:.1f}"
                for low, high, b in zip(series.low, series.high, y, strict=True)
                if low is not None and high is not None
                for a, c in [np.clip(self.across([low, high]), self.left, WIDTH - RIGHT)]
            ]
            if whiskers:
                parts.append(Markup('<path class="whisker {}" d="{}"/>').format(series.style, "".join(whiskers)))
        if series.kind in MARKED:
            shape = shape_path(series)
            path = "".join(f"M{a:.1f} {b:.1f}{shape}" for a, b in zip(x, y, strict=True))
            many = {"dots": " many", "rings": " rings"}.get(series.kind, "")
            parts.append(Markup('<path class="dots {}{}" d="{}"/>').format(series.style, many, path))
        return Markup("").join(parts)

    def values(self, numbers: dict[str, int]) -> dict[str, Any]:
        """Return the data for the script of the page: pixels, values and notes of every point."""
        shown = []
        for series in self.series:
            if series.kind in ("guide", "areas"):
                continue
            x = np.asarray(series.x, dtype=float)
            if series.kind == "steps":
                x = (x[1:] + x[:-1]) / 2
            shown.append(
                {
                    "series": numbers.get(series.name, -1),
                    "name": series.name,
                    "px": self.across(x).round(1).tolist(),
                    "py": self.down(series.y).round(1).tolist(),
                    "x": [] if self.x.categories else [float(f"{v:.4g}") for v in x],
                    "y": [] if self.y.categories else [float(f"{v:.4g}") for v in series.y],
                    "words": list(series.notes),
                }
            )
        return {"x": self.x.name, "y": self.y.name, "series": shown}


def label(style: str, x: object, y: object, anchor: str, words: str) -> Markup:
    """Return a text in SVG; x and y are pixels as they shall stand there."""
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(style, x, y, anchor, words)


def shape_path(series: Series, scale: float | None = None) -> str:
    """Return the path of a mark."""
    scale = scale or (1.5 if series.kind == "points" else 1.0)
    path = SHAPES[series.shape % len(SHAPES)]
    if scale == 1.0:
        return path
    # the three flags between the radii and the end of an arc are no lengths
    return re.sub(
        r"(a)([\d.]+) [\d.]+ 0 1 0 |-?[\d.]+",
        lambda m: (
            f"a{float(m[2]) * scale:.4g} {float(m[2]) * scale:.4g} 0 1 0 " if m[1] else f" {float(m[0]) * scale:.4g}"
        ),
        path,
    )


def set_series(name: str, kind: str, x: Sequence[float], y: Sequence[float], notes: Sequence[str] = ()) -> Series:
    """Return the series of one set of people, in its colour and shape."""
    return Series(SETS[name], name, kind, x, y, SET_SHAPES[name], notes)


def symbol(series: Series, middle: int) -> Markup:
    """Return the mark of a series in a legend."""
    if series.kind == "areas":
        return Markup('<path class="patch" d="M{} 2h12v8h-12z"/>').format(middle - 6)
    parts = []
    if series.kind not in ("dots", "rings", "points"):
        parts.append(Markup('<path class="line {}" d="M1 6H{}"/>').format(series.style, 2 * middle - 1))
    if series.kind in MARKED:
        style = f"{series.style} rings" if series.kind == "rings" else series.style
        parts.append(Markup('<path class="dots {}" d="M{} 6{}"/>').format(style, middle, shape_path(series, 1.3)))
    return Markup("").join(parts)


def equal_axes(x: Axis, y: Axis, left: int) -> tuple[Axis, Axis, int]:
    """Return two axes with one scale, and the height of their plot, 190 to 400 px, with `left` px beside it.

    One of the axes gets a wider range if the height would be out of these bounds.
    """
    across = WIDTH - left - RIGHT
    height = round(across * (y.high - y.low) / ((x.high - x.low) or 1)) + TOP + BOTTOM
    bounded = min(max(height, 190), 400)
    down = bounded - TOP - BOTTOM
    unit = max((x.high - x.low) / across, (y.high - y.low) / down)  # of the axes, in a pixel
    return _widened(x, unit * across), _widened(y, unit * down), bounded


def _widened(axis: Axis, span: float) -> Axis:
    more = (span - (axis.high - axis.low)) / 2
    return replace(axis, low=axis.low - more, high=axis.high + more)


def padded(values: Iterable[float], pad: float = 0.05) -> tuple[float, float]:
    """Return the range of values and a little more."""
    finite = [v for v in values if math.isfinite(v)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    more = pad * ((high - low) or 1.0)
    return low - more, high + more


def short(number: float) -> str:
    """Return a number for a tick: 2k, 0.05, 1.5M."""
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if abs(number) >= factor:
            return f"{number / factor:g}{unit}"
    return f"{number:g}"


def _ticks(low: float, high: float) -> list[float]:
    if not high > low:
        return [low]
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= min((m for m in (1, 2, 2.5, 5, 10)), key=lambda m: abs((high - low) / (step * m) - 5))
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        ticks = [float(f"{s * 10.0**k:.6g}") for k in decades for s in steps]
        ticks = [v for v in ticks if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
        if len(ticks) >= 3:
            break
    return ticks[:: math.ceil(len(ticks) / 7)]
