"""Pictures in figures, as PNG: where most of the points of a scatter plot lie, shaded under other points."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

SHARES = (0.95, 0.8, 0.5)  # of the points that lie in each area
OPACITY = (46, 82, 125)  # of 255, from the widest area to the narrowest
GREY = (125, 133, 144)
_NARROWER = 0.6  # than the rule of Scott, which is for one cloud: labels are several


def areas(x: np.ndarray, y: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """Return for each cell of a grid over the unit square how many of the areas of `SHARES` contain it: int.

    An area is where the kernel density (Gaussian, bandwidths by Scott's rule, narrowed) exceeds the value that so large
    a share of the points exceeds.

    Parameters
    ----------
    x, y : arrays of float, shape (points,)
        From 0, left and top, to 1.
    columns, rows : int
        Of the grid.
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


def picture(x: np.ndarray, y: np.ndarray, columns: int = 146, rows: int = 124) -> str:
    """Return the areas of points as the data address of a PNG, grey and more opaque where more points lie.

    Parameters
    ----------
    x, y, columns, rows
        As in `areas`.
    """
    opacity = np.array([0, *OPACITY], dtype=np.uint8)[areas(x, y, columns, rows)]
    colour = np.broadcast_to(np.array(GREY, dtype=np.uint8), (*opacity.shape, 3))
    return png_address(np.concatenate([colour, opacity[..., None]], axis=2))


def png_address(pixels: np.ndarray) -> str:
    """Return a picture as the data address of a PNG.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width, 3) or (height, width, 4)
        Red, green, blue, and with four channels opacity.
    """
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    colours = 6 if pixels.shape[2] == 4 else 2
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, colours, 0, 0, 0)
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9))
    return "data:image/png;base64," + base64.b64encode(picture + chunk(b"IEND", b"")).decode()
