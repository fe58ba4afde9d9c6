"""What figures show as pixels: r² of pairs of sites, and the areas where most of the points of a scatter plot lie."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

WIDTH = 360  # of a panel
SHARES = (0.95, 0.8, 0.5)  # of the points that lie in each area
OPACITY = (46, 82, 125)  # of 255, from the widest area to the narrowest
GREY = (125, 133, 144)
BLUES = np.array([[244, 248, 253], [158, 202, 225], [33, 113, 181], [8, 29, 88]], dtype=float)
_NARROWER = 0.6  # than the rule of Scott, which is for one cloud: labels are several


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
            png=_blue(both),
            ramp=_blue(np.linspace(0, 1, 70)[None]),
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


def _blue(values: np.ndarray) -> str:
    """Return values between 0 and 1, shape (height, width), as a PNG, pale to dark blue."""
    place = np.clip(np.sqrt(values), 0, 1) * (len(BLUES) - 1)  # the root shows weak correlations
    low = np.minimum(place.astype(int), len(BLUES) - 2)
    part = (place - low)[..., None]
    return _png((BLUES[low] * (1 - part) + BLUES[low + 1] * part).round().astype(np.uint8))


def areas(x: np.ndarray, y: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """Return for each cell of a grid over the unit square how many of the areas of `SHARES` contain it: int.

    An area is where the kernel density (Gaussian, bandwidths by Scott's rule, narrowed) exceeds the value that so large
    a share of the points exceeds; x and y, shape (points,), are from 0, left and top, to 1.
    """
    kernels = []
    for values, cells in ((x, columns), (y, rows)):
        width = max(_NARROWER * float(values.std()) * len(values) ** (-1 / 6), 1 / cells)
        middle = (np.arange(cells) + 0.5) / cells
        kernels.append(np.exp(-0.5 * ((middle[:, None] - values) / width) ** 2))
    density = kernels[1] @ kernels[0].T
    cells_of = [np.clip((v * n).astype(int), 0, n - 1) for v, n in ((y, rows), (x, columns))]
    limits = np.quantile(density[cells_of[0], cells_of[1]], [1 - share for share in SHARES])
    return np.asarray((density[..., None] >= np.maximum(limits, 1e-12)).sum(axis=2))


def picture(x: np.ndarray, y: np.ndarray) -> str:
    """Return the areas of points, placed as in `areas`, as a PNG, grey and more opaque where more points lie."""
    opacity = np.array([0, *OPACITY], dtype=np.uint8)[areas(x, y, columns=146, rows=124)]
    colour = np.broadcast_to(np.array(GREY, dtype=np.uint8), (*opacity.shape, 3))
    return _png(np.concatenate([colour, opacity[..., None]], axis=2))


def _png(pixels: np.ndarray) -> str:
    """Return the data address of a PNG of uint8, shape (height, width, 3), or 4 where there is an opacity."""
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    colours = 6 if pixels.shape[2] == 4 else 2
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, colours, 0, 0, 0)
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9))
    return "data:image/png;base64," + base64.b64encode(picture + chunk(b"IEND", b"")).decode()
