"""The plot of linkage disequilibrium: r² of real people above the diagonal, of synthetic people below."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from .density import png_address

WIDTH = 360


@dataclass
class LdPlot:
    """r² of all pairs of sites by colour: one set above the line of sites, the other, mirrored, below it."""

    above: np.ndarray
    below: np.ndarray
    names: tuple[str, str]
    sites: list[str]
    span: str
    description: str
    title: str = ""
    height: int = 366
    series: tuple = ()  # no legend: the colours have their own scale
    edge: int = 16

    def markup(self, numbers: dict[str, int]) -> Markup:
        """Return the content of the SVG element."""
        both = np.where(np.tri(len(self.above), k=-1, dtype=bool), self.below, self.above)
        np.fill_diagonal(both, 0)
        long = WIDTH - 2 * self.edge
        return Markup(
            '<image href="{png}" width="{side:.2f}" height="{side:.2f}" class="pixels" '
            'transform="translate({edge} {middle}) rotate(-45)"/>'
            '<path class="axis" d="M{edge} {middle}h{long}"/>'
            '<image href="{ramp}" x="268" y="14" width="70" height="9" preserveAspectRatio="none" class="pixels"/>'
            '<text class="tick" x="262" y="22" text-anchor="end">r² 0</text><text class="tick" x="344" y="22">1</text>'
            '<text class="name" x="4" y="22">{above}</text><text class="name" x="4" y="{low}">{below}</text>'
            '<text class="tick" x="356" y="{low}" text-anchor="end">{span}</text>'
        ).format(
            png=_png(both),
            ramp=_png(np.linspace(0, 1, 70)[None]),
            side=long / math.sqrt(2),
            edge=self.edge,
            middle=self.height / 2,
            long=long,
            above=self.names[0],
            below=self.names[1],
            low=self.height - 14,
            span=self.span,
        )

    def values(self, numbers: dict[str, int]) -> dict[str, Any]:
        """Return the data for the script of the page: names of sites, and r² of every pair in percent."""
        upper = np.triu_indices(len(self.above), k=1)
        percent = [np.rint(100 * m[upper]).astype(int).tolist() for m in (self.above, self.below)]
        return {"edge": self.edge, "names": list(self.names), "sites": self.sites, "percent": percent}


def _png(values: np.ndarray) -> str:
    """Return a PNG of values between 0 and 1, pale to dark blue, as a data URL."""
    stops = np.array([[244, 248, 253], [158, 202, 225], [33, 113, 181], [8, 29, 88]], dtype=float)
    place = np.clip(np.sqrt(values), 0, 1) * (len(stops) - 1)  # the root shows weak correlations
    low = np.minimum(place.astype(int), len(stops) - 2)
    part = (place - low)[..., None]
    pixels = (stops[low] * (1 - part) + stops[low + 1] * part).round().astype(np.uint8)
    return png_address(pixels)
