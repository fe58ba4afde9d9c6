"""A zarr group that is read, and whose chunks are looked at before zarr reads them.

zarr takes a chunk that is not there for zeros, which here would be people without any ALT allele, Blosc decodes a chunk
that is cut off to whatever lies behind it in memory, and a few kilobytes may become gigabytes.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np

from ..errors import DataError, MissingExtra, MissingFile, PgcganError
from ..runtime.files import check_regular, open_regular
from ..runtime.memory import available_bytes
from .scratch import MEMORY_SHARE

WHOLE, FLAG, TEXT = "iu", "b", "TUSO"
_KINDS = {WHOLE: "whole numbers", FLAG: "bool", TEXT: "text"}
# what zarr, its codecs and zipfile raise on damaged metadata and chunks
_DAMAGED = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, EOFError,
            MemoryError, SystemError, OverflowError, zipfile.BadZipFile, zlib.error)  # fmt: skip
_METADATA = (".zarray", "zarr.json")  # of zarr format 2 and 3
_ZEROS_LEFT_OUT = ("variant_contig", "call_genotype_phased", "contig_length")  # bio2zarr writes no chunk of zeros only


class Store:
    """An open VCF Zarr, and the parts of it."""

    def __init__(self, source: str):
        zarr = zarr_library("Reading VCF Zarr files")
        self.source = source
        self._zip: zipfile.ZipFile | None = None
        if not os.path.exists(source):
            raise MissingFile(f"There is no VCF Zarr {source}.")
        with _damage_refused(f"{source} is not a VCF Zarr, or its metadata are damaged"):
            store = source
            if source.endswith(".zip"):
                check_regular(source)
                self._zip = zipfile.ZipFile(source)
                store = zarr.storage.ZipStore(source, mode="r")
            self._check_metadata("")
            self._buffer = zarr.buffer.cpu.NDBuffer
            self._root = zarr.open_group(store, mode="r", use_consolidated=False)
            self._names = self._listed()
            self._attributes = dict(self._root.attrs)
        # our own writer leaves no chunk out
        self._complete = str(self._attributes.get("source", "")).startswith("pgcgan ")

    def _listed(self) -> list[str]:
        """Return the names of the arrays; zarr opens all of them to tell, and fails where any is damaged."""
        if self._zip is not None:
            parts_of = (key.split("/") for key in self._zip.namelist())
            return sorted(parts[0] for parts in parts_of if len(parts) == 2 and parts[1] in _METADATA)
        names = []
        for name in sorted(os.listdir(self.source)):
            kinds = [m for m in (*_METADATA, ".zgroup") if os.path.isfile(os.path.join(self.source, name, m))]
            if kinds and kinds != [".zgroup"]:
                names.append(name)
            elif not kinds and name.startswith(("call_", "variant_", "sample_", "contig_")):
                raise DataError(f"{self.source}: the array {name} has no metadata (.zarray); fetch the file again.")
        return names

    def _check_metadata(self, name: str) -> None:
        """Raise an OSError if metadata of a group or an array are a pipe or a device, which zarr would read."""
        for part in (".zgroup", ".zattrs", ".zmetadata", *_METADATA) if self._zip is None else ():
            with suppress(FileNotFoundError):
                check_regular(os.path.join(self.source, name, part))

    def close(self) -> None:
        """Close the archive."""
        if self._zip is not None:
            self._zip.close()
            self._root.store.close()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def named(self, prefix: str) -> list[str]:
        """Return the names of the arrays that begin so."""
        return [name for name in self._names if name.startswith(prefix)]

    def assembly(self) -> str | None:
        """Return the reference that the header of the VCF named."""
        lines = self._attributes.get("vcf_meta_information")
        for line in lines if isinstance(lines, list) else []:
            if isinstance(line, list) and len(line) == 2 and line[0] == "reference":
                return str(line[1]).strip('"') or None
        return None

    def opened(self, name: str) -> Any:
        """Return an array of any kind."""
        with _damage_refused(f"{self.source}: the metadata of the array {name} are damaged"):
            self._check_metadata(name)
            array = self._root[name]
            codecs = [*array.filters, *array.compressors]
            grid = array.shards or array.chunks
        if any("pickle" in str(getattr(codec, "codec_id", "")) for codec in codecs):
            raise DataError(f"{self.source}: the array {name} is pickled, which would run what it holds; not read.")
        # a chunk is allocated whole: one that is larger than all there is was made to harm
        size, whole = math.prod(grid) * array.dtype.itemsize, math.prod(array.shape) * array.dtype.itemsize
        if min(grid, default=1) < 1 or size > max(_MOST_CHUNK, 2 * whole):
            raise DataError(f"{self.source}: the array {name} has chunks of {tuple(grid)} in the shape {array.shape}.")
        with _damage_refused(f"{self.source}: the array {name} cannot be read"):
            _check_codecs(array)
        return array

    def array(self, name: str, kinds: str, shape: tuple[int | None, ...]) -> Any:
        """Return an array; None in the shape stands for any length."""
        if name not in self:
            raise DataError(
                f"{self.source} has no array {name}; a VCF Zarr of genotypes, as bio2zarr makes one, has it."
            )
        array = self.opened(name)
        if array.dtype.kind not in kinds:
            raise DataError(f"{self.source}: the array {name} is of the type {array.dtype}; needed: {_KINDS[kinds]}.")
        if len(array.shape) != len(shape) or any(b not in (None, a) for a, b in zip(array.shape, shape, strict=True)):
            needed = ", ".join("any" if n is None else str(n) for n in shape)
            raise DataError(f"{self.source}: the array {name} has the shape {array.shape}; needed: ({needed}).")
        return array

    def texts(self, name: str) -> list[str]:
        """Return a one-dimensional array of text."""
        return decoded(self.read(self.array(name, TEXT, (None,))))

    def read(self, array: Any, *ranges: slice, out: np.ndarray | None = None) -> np.ndarray:
        """Return a part of an array, of which the ranges give the first axes and further axes are whole.

        It is written into `out`, if that is given. A chunk that is not there is refused, unless it may be of zeros.
        """
        whole = [*ranges, *(slice(0, n) for n in array.shape[len(ranges) :])]
        grid = array.shards or array.chunks
        chunks = [range(r.start // c, -(-r.stop // c)) for r, c in zip(whole, grid, strict=True)]
        counts = tuple(map(len, chunks))
        zeros_left_out = array.basename in _ZEROS_LEFT_OUT and not self._complete
        for number in range(math.prod(counts)):  # one after the other: metadata may ask for billions
            place = tuple(c[int(i)] for c, i in zip(chunks, np.unravel_index(number, counts), strict=True))
            if not self._is_whole(array, place) and not zeros_left_out:
                self._refuse_absent(array, place)
        size = math.prod(r.stop - r.start for r in whole) * array.dtype.itemsize
        available = available_bytes() if out is None and size > _MOST_CHUNK else None
        if available is not None and size > MEMORY_SHARE * available:
            sizes = f"takes {size / 1e9:.2f} GB, and this process may have {available / 1e9:.2f} GB"
            raise DataError(f"{self.source}: the array {array.basename} {sizes}; read a part (--region, --samples).")
        with _damage_refused(f"{self.source}: a chunk of the array {array.basename} is damaged", "; fetch it again"):
            if out is None:
                return np.asarray(array[tuple(whole)])
            array.get_basic_selection(tuple(whole), out=self._buffer.from_numpy_array(out))
            return out

    def left_out(self, array: Any) -> list[int]:
        """Return the chunks of a one-dimensional array that are not there."""
        return [i for i in range(-(-array.shape[0] // array.chunks[0])) if not self._is_whole(array, (i,))]

    def _refuse_absent(self, array: Any, place: tuple[int, ...]) -> None:
        where = f"{self.source}: the chunk {'.'.join(map(str, place))} of the array {array.basename} is not there"
        if array.basename != "call_genotype" or self._complete:
            raise DataError(f"{where}; fetch the file again.")
        raise DataError(
            f"{where}: it is lost, or its writer left it out because nobody in it has an ALT allele or a missing call. "
            "Fetch the file again, or make it again with the environment variable ZARR_ARRAY__WRITE_EMPTY_CHUNKS=True; "
            "`vcztools view` writes such calls as REF."
        )

    def _is_whole(self, array: Any, place: tuple[int, ...]) -> bool:
        """True if a chunk is there; raise a DataError if it is, but cut off."""
        key = f"{array.path}/{array.metadata.encode_chunk_key(place)}"
        grid = math.prod(array.shards or array.chunks) * array.dtype.itemsize
        with _damage_refused(f"{self.source}: {key} is truncated or damaged", "; fetch the file again"):
            try:
                chunk: Any = self._zip.open(key) if self._zip else open_regular(os.path.join(self.source, key))
            except (FileNotFoundError, KeyError):
                return False
            with chunk:
                data = chunk.read(2 * grid + _MOST_CHUNK)
                if chunk.read(1):
                    raise ValueError(f"it has more than {len(data)} bytes, of a chunk of {grid}")
            _check_chunk(array, data)
        return True


def zarr_library(purpose: str) -> Any:
    """Import zarr, or say how to install it."""
    try:
        import zarr
        import zarr.buffer.cpu
    except ImportError:
        raise MissingExtra("zarr", "zarr", purpose) from None
    return zarr


def decoded(values: np.ndarray) -> list[str]:
    """Return one-dimensional text of any type that zarr has for it."""
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()]


@contextmanager
def _damage_refused(what: str, advice: str = "") -> Iterator[None]:
    try:
        yield
    except PgcganError:
        raise
    except _DAMAGED as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataError(f"{what}: {reason}{advice}.") from None


# ---- how large chunks become: only codecs are accepted whose result can be bounded beforehand -----------------------

_MOST_CHUNK = 1 << 26  # bytes of a chunk that is larger than its array, or of a chunk of text
_INFLATED = 100  # bytes of a chunk of text for each byte of its file, if it is larger
_FILTERED = 8  # a filter makes a chunk at most so many times as large (delta: of one byte each, eight)
_FILTERS = {"vlen-utf8", "vlen-bytes", "transpose", "delta", "packbits", "shuffle", "bitround", "quantize",
            "fixedscaleoffset", "astype", "fletcher32"}  # fmt: skip
_SERIALIZERS = {"bytes", "vlen-utf8", "vlen-bytes"}
_BLOSC_HEADER = 16
_ZSTD = b"\x28\xb5\x2f\xfd"


def _check_codecs(array: Any) -> None:
    """Raise a ValueError if an array has a codec of which nobody can tell how large its result is."""
    filters = list(map(_name, array.filters))
    packed = [name for name in map(_name, array.compressors) if name != "crc32c"]
    serializer = "bytes" if array.serializer is None else _name(array.serializer)
    unknown = [*(n for n in filters if n not in _FILTERS), *(n for n in packed if n not in _INFLATED_SIZE),
               *([serializer] if serializer not in _SERIALIZERS else [])]  # fmt: skip
    if unknown or len(packed) > 1:
        accepted = ", ".join(_INFLATED_SIZE)
        raise ValueError(f"it is packed by {', '.join(unknown or packed)}; accepted is one of {accepted}")


def _check_chunk(array: Any, data: bytes) -> None:
    """Raise a ValueError if what is stored of a chunk, or of a shard of chunks, becomes more than the chunk has."""
    of_text = array.dtype.kind in "OT" or _name(array.serializer).startswith("vlen")
    count = math.prod(array.chunks)
    exact = count * array.dtype.itemsize
    for part in _inner(array, data) if array.shards is not None else [data]:
        most = _FILTERED * exact + _MOST_CHUNK if array.filters else exact
        if of_text:
            most = max(_MOST_CHUNK, _INFLATED * len(part))
        codecs = list(map(_name, array.compressors))
        while codecs[-1:] == ["crc32c"]:
            part, codecs = part[:-4], codecs[:-1]
        most += 4 * (len(codecs) - 1) if codecs else 0  # checksums that are packed too
        size = _INFLATED_SIZE[codecs[-1]](part, most) if codecs else len(part)
        if size > most:
            raise ValueError(f"it inflates to more than {most} bytes")
        if codecs == ["blosc"] and not of_text and not array.filters and size != exact:
            raise ValueError(f"it inflates to {size} bytes instead of {exact}")
        if of_text:
            texts = int.from_bytes(_unpacked(codecs, part)[:4], "little")
            if texts > count:
                raise ValueError(f"it holds {texts} texts, and has {count}")


def _unpacked(codecs: list[str], data: bytes) -> bytes:
    import numcodecs

    return bytes(numcodecs.get_codec({"id": codecs[-1]}).decode(data)) if codecs and data else data


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


def _blosc_size(data: bytes, most: int) -> int:
    # version, flags and type size, then the lengths of the data, of a block and of what is stored
    size, _, stored = np.frombuffer(data[4:_BLOSC_HEADER].ljust(12, b"\0"), dtype="<u4").tolist()
    if len(data) < _BLOSC_HEADER or stored != len(data) or size >= 1 << 31:
        raise ValueError("its length is another")
    return int(size)


def _zstd_size(data: bytes, most: int) -> int:
    if data[:4] != _ZSTD or len(data) < 18:
        data = data.ljust(18, b"\0")  # damaged, or of a few bytes
    descriptor = data[4]
    single, flag = descriptor >> 5 & 1, descriptor >> 6
    width = (single, 2, 4, 8)[flag]
    if not width:
        raise ValueError("it does not say how large it is; make the file again with zarr-python")
    at = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    return int.from_bytes(data[at : at + width], "little") + (256 if width == 2 else 0)


def _lz4_size(data: bytes, most: int) -> int:
    return int.from_bytes(data[:4], "little")


def _deflated_size(wbits: int, data: bytes, most: int) -> int:
    size = 0
    while data and size <= most:
        stream = zlib.decompressobj(wbits)
        while data and not stream.eof and size <= most:
            size += len(stream.decompress(data, 1 << 20))
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
    return size


# codec -> the size of what is packed, or of more than `most` of it
_INFLATED_SIZE: dict[str, Callable[[bytes, int], int]] = {
    "blosc": _blosc_size,
    "zstd": _zstd_size,
    "lz4": _lz4_size,
    "gzip": partial(_deflated_size, 31),
    "zlib": partial(_deflated_size, 15),
}
