"""A zarr group that is read, and whose chunks are looked at before zarr reads them.

zarr takes a chunk that is not there for zeros, which here would be people without any ALT allele, and Blosc decodes a
chunk that is cut off to whatever lies behind it in memory.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from contextlib import closing, suppress
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import DataError, MissingExtra, MissingFile, PgcganError
from ..runtime.inputs import check_regular, open_regular
from ..runtime.memory import available_bytes
from .scratch import MEMORY_SHARE
from .zarr_chunks import MOST_CHUNK, check_chunk, check_codecs

WHOLE, FLAG, TEXT = "iu", "b", "TUSO"
_KINDS = {WHOLE: "whole numbers", FLAG: "bool", TEXT: "text"}
# what zarr, its codecs and zipfile raise on damaged metadata and chunks
_DAMAGED = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, EOFError,
            MemoryError, SystemError, OverflowError, zipfile.BadZipFile, zlib.error)  # fmt: skip
_METADATA = (".zarray", "zarr.json")  # of zarr format 2 and 3


class Store:
    """An open VCF Zarr, and the parts of it."""

    def __init__(self, source: str):
        zarr = zarr_library("Reading VCF Zarr files")
        self.source = source
        self._zip: zipfile.ZipFile | None = None
        if not os.path.exists(source):
            raise MissingFile(f"There is no VCF Zarr {source}.")
        try:
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
        except PgcganError:
            raise
        except _DAMAGED as error:
            raise DataError(f"{source} is not a VCF Zarr, or its metadata are damaged: {_said(error)}.") from None
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

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
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
        try:
            self._check_metadata(name)
            array = self._root[name]
            codecs = [*array.filters, *array.compressors]
            grid = array.shards or array.chunks
        except _DAMAGED as error:
            raise DataError(f"{self.source}: the metadata of the array {name} are damaged: {_said(error)}.") from None
        if any("pickle" in str(getattr(codec, "codec_id", "")) for codec in codecs):
            raise DataError(f"{self.source}: the array {name} is pickled, which would run what it holds; not read.")
        # a chunk is allocated whole: one that is larger than all there is was made to harm
        size, whole = math.prod(grid) * array.dtype.itemsize, math.prod(array.shape) * array.dtype.itemsize
        if min(grid, default=1) < 1 or size > max(MOST_CHUNK, 2 * whole):
            raise DataError(f"{self.source}: the array {name} has chunks of {tuple(grid)} in the shape {array.shape}.")
        try:
            check_codecs(array)
        except ValueError as error:
            raise DataError(f"{self.source}: the array {name} cannot be read: {error}.") from None
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
        if len(array.shape) != len(shape) or any(
            b is not None and a != b for a, b in zip(array.shape, shape, strict=True)
        ):
            needed = ", ".join("any" if n is None else str(n) for n in shape)
            raise DataError(f"{self.source}: the array {name} has the shape {array.shape}; needed: ({needed}).")
        return array

    def texts(self, name: str, length: int | None = None) -> list[str]:
        """Return a one-dimensional array of text."""
        return decoded(self.read(self.array(name, TEXT, (length,))))

    def read(
        self, array: Any, *ranges: slice, zeros_left_out: bool = False, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Return a part of an array, of which the ranges give the first axes and further axes are whole.

        It is written into `out`, if that is given.
        A chunk that is not there is refused, unless `zeros_left_out`: bio2zarr does not write a chunk of zeros only.
        """
        whole = [*ranges, *(slice(0, n) for n in array.shape[len(ranges) :])]
        grid = array.shards or array.chunks
        chunks = [range(r.start // c, -(-r.stop // c)) for r, c in zip(whole, grid, strict=True)]
        counts = tuple(map(len, chunks))
        for number in range(math.prod(counts)):  # one after the other: metadata may ask for billions
            place = tuple(c[int(i)] for c, i in zip(chunks, np.unravel_index(number, counts), strict=True))
            if not self._is_whole(array, place) and (self._complete or not zeros_left_out):
                self._refuse_absent(array, place)
        size = math.prod(r.stop - r.start for r in whole) * array.dtype.itemsize
        available = available_bytes() if out is None and size > MOST_CHUNK else None
        if available is not None and size > MEMORY_SHARE * available:
            raise DataError(
                f"{self.source}: the array {array.basename} takes {size / 1e9:.2f} GB, and this process may have "
                f"{available / 1e9:.2f} GB; read a part (--region, --samples)."
            )
        try:
            if out is None:
                return np.asarray(array[tuple(whole)])
            array.get_basic_selection(tuple(whole), out=self._buffer.from_numpy_array(out))
            return out
        except _DAMAGED as error:
            raise DataError(
                f"{self.source}: a chunk of the array {array.basename} is damaged: {_said(error)}; fetch it again."
            ) from None

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
        try:
            if self._zip is not None:
                size = self._zip.getinfo(key).file_size
                with closing(self._zip.open(key)) as stream:
                    data = stream.read(2 * grid + MOST_CHUNK)
            else:
                with open_regular(os.path.join(self.source, key)) as file:
                    size = os.fstat(file.fileno()).st_size
                    data = file.read(2 * grid + MOST_CHUNK)
            if len(data) < size:
                raise ValueError(f"it has {size} bytes, of a chunk of {grid}")
            check_chunk(array, data)
        except (FileNotFoundError, KeyError):
            return False
        except _DAMAGED as error:
            raise DataError(
                f"{self.source}: {key} is truncated or damaged: {_said(error)}; fetch the file again."
            ) from None
        return True


def zarr_library(purpose: str) -> Any:
    """Import zarr, or say how to install it."""
    try:
        import zarr
        import zarr.buffer.cpu
    except ImportError:
        raise MissingExtra("zarr", "zarr", purpose) from None
    return zarr


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def decoded(values: np.ndarray) -> list[str]:
    """Return one-dimensional text of any type that zarr has for it."""
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()]
