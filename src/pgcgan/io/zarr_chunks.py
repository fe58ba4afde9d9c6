"""How large the chunks of a zarr array become: a few kilobytes may be gigabytes, and zarr decodes whatever there is.

A chunk is looked at here before zarr decodes it. Only codecs are accepted whose result can be bounded beforehand.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

BLOSC_HEADER = 16
MOST_CHUNK = 1 << 26  # bytes of a chunk that is larger than its array, or of a chunk of text
_INFLATED = 100  # bytes of a chunk of text for each byte of its file, if it is larger
_FILTERED = 8  # a filter makes a chunk at most so many times as large (delta: of one byte each, eight)
_FILTERS = {"vlen-utf8", "vlen-bytes", "transpose", "delta", "packbits", "shuffle", "bitround", "quantize",
            "fixedscaleoffset", "astype", "fletcher32"}  # fmt: skip
_SERIALIZERS = {"bytes", "vlen-utf8", "vlen-bytes"}
_ZSTD = b"\x28\xb5\x2f\xfd"


def check_codecs(array: Any) -> None:
    """Raise a ValueError if an array has a codec of which nobody can tell how large its result is."""
    names = list(map(_name, array.filters))
    packed = [name for name in map(_name, array.compressors) if name != "crc32c"]
    serializer = "bytes" if array.serializer is None else _name(array.serializer)
    unknown = [*(n for n in names if n not in _FILTERS), *(n for n in packed if n not in _UNPACKED),
               *([serializer] if serializer not in _SERIALIZERS else [])]  # fmt: skip
    if unknown or len(packed) > 1:
        raise ValueError(f"it is packed by {', '.join(unknown or packed)}; accepted is one of {', '.join(_UNPACKED)}")


def check_chunk(array: Any, data: bytes) -> None:
    """Raise a ValueError if what is stored of a chunk, or of a shard of chunks, becomes more than the chunk has."""
    for part in _inner(array, data) if array.shards is not None else [data]:
        _check_part(array, part)


def _check_part(array: Any, data: bytes) -> None:
    filters = list(map(_name, array.filters))
    of_text = array.dtype.kind in "OT" or _name(array.serializer).startswith("vlen")
    exact = math.prod(array.chunks) * array.dtype.itemsize
    most = (
        max(MOST_CHUNK, _INFLATED * len(data)) if of_text else exact if not filters else _FILTERED * exact + MOST_CHUNK
    )
    steps = list(map(_name, array.compressors))
    while steps[-1:] == ["crc32c"]:
        data, steps = data[:-4], steps[:-1]
    most += 4 * (len(steps) - 1) if steps else 0  # checksums that are packed too
    size, content = _UNPACKED[steps[-1]](data, most, of_text) if steps else (len(data), data)
    if size > most:
        raise ValueError(f"it inflates to more than {most} bytes")
    if steps == ["blosc"] and not of_text and not filters and size != exact:
        raise ValueError(f"it inflates to {size} bytes instead of {exact}")
    if of_text and int.from_bytes(content[:4], "little") > math.prod(array.chunks):
        raise ValueError(f"it holds {int.from_bytes(content[:4], 'little')} texts, and has {math.prod(array.chunks)}")


def _inner(array: Any, shard: bytes) -> Iterator[bytes]:
    """Yield the chunks in a shard, by the index at its start or end."""
    codec = array.metadata.codecs[0]
    index_codecs = list(map(_name, codec.index_codecs))
    count = math.prod(array.shards) // math.prod(array.chunks)
    size = 16 * count + 4 * (index_codecs == ["bytes", "crc32c"])
    if index_codecs not in (["bytes"], ["bytes", "crc32c"]) or size > len(shard):
        raise ValueError("its index is damaged")
    index = shard[:size] if codec.index_location.value == "start" else shard[len(shard) - size :]
    for begin, length in np.frombuffer(index[: 16 * count], dtype="<u8").reshape(-1, 2).tolist():
        if begin != (1 << 64) - 1:  # it is there
            yield shard[begin : begin + length]


def _name(codec: Any) -> str:
    """Return the name of a codec in either zarr format."""
    if codec is None:
        return ""
    name = getattr(codec, "codec_id", None) or codec.to_dict()["name"]
    return str(name).removeprefix("numcodecs.")


# ---- each returns the size of what is packed, or of more than `most` of it, and its beginning if that is wanted -----


def _blosc(data: bytes, most: int, wanted: bool) -> tuple[int, bytes]:
    # version, flags and type size, then the lengths of the data, of a block and of what is stored
    size, _, stored = np.frombuffer(data[4:BLOSC_HEADER].ljust(12, b"\0"), dtype="<u4").tolist()
    if len(data) < BLOSC_HEADER or stored != len(data) or size >= 1 << 31:
        raise ValueError("its length is another")
    return size, _decoded("blosc", data) if wanted and size <= most else b""


def _lz4(data: bytes, most: int, wanted: bool) -> tuple[int, bytes]:
    size = int.from_bytes(data[:4], "little")
    return size, _decoded("lz4", data) if wanted and size <= most else b""


def _zstd(data: bytes, most: int, wanted: bool) -> tuple[int, bytes]:
    if data[:4] != _ZSTD or len(data) < 18:
        data = data.ljust(18, b"\0")  # damaged, or of a few bytes
    descriptor = data[4]
    single, flag = descriptor >> 5 & 1, descriptor >> 6
    width = (single, 2, 4, 8)[flag]
    if not width:
        raise ValueError("it does not say how large it is; make the file again with zarr-python")
    at = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    size = int.from_bytes(data[at : at + width], "little") + (256 if width == 2 else 0)
    return size, _decoded("zstd", data) if wanted and size <= most else b""


def _decoded(name: str, data: bytes) -> bytes:
    import numcodecs

    return bytes(numcodecs.get_codec({"id": name}).decode(data)[:4])


def _inflated(new: Callable[[], Any]) -> Callable[[bytes, int, bool], tuple[int, bytes]]:
    def inflate(data: bytes, most: int, wanted: bool) -> tuple[int, bytes]:
        size, start = 0, b""
        while data and size <= most:
            stream = new()
            while data and not stream.eof and size <= most:
                piece = stream.decompress(data, 1 << 20)
                data = getattr(stream, "unconsumed_tail", b"") if not stream.eof else stream.unused_data
                size, start = size + len(piece), start or piece[:4]
        return size, start

    return inflate


_UNPACKED: dict[str, Callable[[bytes, int, bool], tuple[int, bytes]]] = {
    "blosc": _blosc,
    "zstd": _zstd,
    "lz4": _lz4,
    "gzip": _inflated(lambda: zlib.decompressobj(31)),
    "zlib": _inflated(lambda: zlib.decompressobj(15)),
}
