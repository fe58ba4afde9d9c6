"""Pictures as PNG in a data address: what a figure shows as areas and not as lines."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np


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
