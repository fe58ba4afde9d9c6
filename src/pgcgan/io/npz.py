"""Reading and writing genotypes as plain numpy arrays in one compressed .npz file; nothing in it is pickled."""

from __future__ import annotations

import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import DataError, MissingFile, PgcganError
from ..genotypes import MISSING, Genotypes
from ..runtime.files import open_regular
from ..text import visible, without_secrets
from ..variants import COLUMNS, Variants
from .outputs import check_writable, outputs
from .records import Choose, Policies
from .scratch import People, site_blocks
from .sites import wanted_sites

NPZ_SUFFIXES = (".npz",)
_VERSION = 1
_TEXT, _WHOLE, _FLAG = "U", "iu", "b"
# Array -> kinds of number or text, and the lengths of its axes by name; equal names have equal lengths.
_ARRAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "calls": (_WHOLE, ("variants", "samples", "ploidy")),
    "samples": (_TEXT, ("samples",)),
    "contig": (_TEXT, ("variants",)),
    "position": (_WHOLE, ("variants",)),
    "id": (_TEXT, ("variants",)),
    "ref": (_TEXT, ("variants",)),
    "alt": (_TEXT, ("variants",)),
    "contig_names": (_TEXT, ("contigs",)),
    "contig_lengths": (_WHOLE, ("contigs",)),
    "assembly": (_TEXT, ()),
    "label_names": (_TEXT, ("labels",)),
    "labels": (_TEXT, ("labels", "samples")),
    "phased": (_FLAG, ()),
}
# what numpy and zipfile raise on a damaged archive; the last, where it asks for a compression that nobody knows
_DAMAGED = (
    OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError,
)  # fmt: skip
_MOST_DEFLATED = 1032  # bytes that one compressed byte can stand for


def read_npz(source: str, *, choose: Choose, region: str | None, policies: Policies) -> Genotypes:
    """Read the arrays that `write_npz` wrote, or a program of the user's, and the labels among them."""
    arrays = _load(source)
    lengths = dict(zip(arrays["contig_names"].tolist(), arrays["contig_lengths"].tolist(), strict=True))
    known = {name: None if length < 0 else length for name, length in lengths.items()}
    columns: Any = {name: arrays[name] for name in COLUMNS}
    try:
        variants = Variants(**columns, contig_lengths=known, assembly=str(arrays["assembly"]) or None)
        labels = dict(zip(arrays["label_names"].tolist(), arrays["labels"], strict=True))
        genotypes = Genotypes(arrays["calls"], variants, arrays["samples"], labels, bool(arrays["phased"]))
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    samples = np.array(choose(genotypes.samples.tolist()), dtype=object)
    keep = wanted_sites(
        variants,
        source,
        region=region,
        policies=policies,
        place=lambda i: f"{source}, site {i} (from 0)",
        sort="sort the sites of all arrays",
    )
    return _as_wanted(genotypes.select(samples=samples, sites=keep), source, policies)


def _load(source: str) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    try:
        with open_regular(source) as stream:
            head = stream.read(6)
        if head[:4] != b"PK\3\4" and head != b"\x93NUMPY":
            raise ValueError(f"it begins with the bytes {head[:4].hex(' ') or '(none)'}, a .npz file with 50 4b 03 04")
        stored = np.load(source, allow_pickle=False)
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise DataError(f"{source} is not a .npz file, but a single array.")
        with stored:
            _check_members(stored)
            for name in ("version", *_ARRAYS):
                if name not in stored:
                    raise DataError(
                        f"{source} has no array {name!r}; the arrays of genotypes are version, {', '.join(_ARRAYS)}."
                    )
                arrays[name] = stored[name]
    except PgcganError:
        raise
    except FileNotFoundError:
        raise MissingFile(f"There is no file {source}.") from None
    except _DAMAGED as error:
        raise DataError(f"{source} is not a .npz file of plain arrays, or is damaged: {error}.") from None
    version = arrays.pop("version")
    if version.shape != () or version.dtype.kind not in _WHOLE or version != _VERSION:
        raise DataError(f"{source} is of version {version.tolist()!r}; this pgcgan reads version {_VERSION}.")
    sizes: dict[str, tuple[int, str]] = {}
    for name, (kinds, axes) in _ARRAYS.items():
        array = arrays[name]
        if array.dtype.kind not in kinds:
            needed = {_TEXT: "text", _WHOLE: "whole numbers", _FLAG: "bool"}[kinds]
            raise DataError(f"{source}: the array {name!r} is of the type {array.dtype}; needed: {needed}.")
        if kinds == _TEXT and not _is_unicode(array):
            raise DataError(f"{source}: the array {name!r} holds what is no character.")
        if array.ndim != len(axes):
            raise DataError(f"{source}: the array {name!r} has the shape {array.shape}; needed: ({', '.join(axes)}).")
        for axis, length in zip(axes, array.shape, strict=True):
            expected, other = sizes.setdefault(axis, (length, name))
            if length != expected:
                raise DataError(f"{source}: the array {name!r} has {length} {axis}, {other!r} has {expected}.")
    return arrays


def _is_unicode(array: np.ndarray) -> bool:
    """True if all characters of an array of text are Unicode; numpy does not look, and stops later without a reason."""
    points = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))).reshape(-1).view(np.uint32)
    return not ((points > 0x10FFFF) | ((points >= 0xD800) & (points <= 0xDFFF))).any() if array.itemsize else True


def _check_members(stored: np.lib.npyio.NpzFile) -> None:
    """Raise a ValueError, before anything is read, unless each array of the archive is as large as it says."""
    archive: Any = stored.zip
    for member in archive.infolist():
        with archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            try:
                shape, _, kind = header(stream)
            except (SyntaxError, tokenize.TokenError, RecursionError, TypeError):  # of its parser
                raise ValueError(f"the header of {member.filename} cannot be read") from None
            behind = member.file_size - stream.tell()
        if not all(type(length) is int and length >= 0 for length in shape):  # True is 1 to numpy's parser
            raise ValueError(f"{member.filename} has the shape {shape}")
        needed = math.prod(shape) * kind.itemsize
        if kind.hasobject:  # numpy refuses to unpickle
            continue
        if needed != behind or member.file_size > _MOST_DEFLATED * (member.compress_size + 1):
            raise ValueError(f"{member.filename} says that it holds {needed} bytes of {kind}, and there are {behind}")


def _as_wanted(genotypes: Genotypes, source: str, policies: Policies) -> Genotypes:
    """Apply the policies on half-calls, haploid calls and phase, as the readers of records do."""
    calls = genotypes.calls
    missing = calls < 0
    half = np.asarray(missing.any(axis=2) & ~missing.all(axis=2))
    if half.any():
        if policies.half_calls == "error":
            v, s = np.argwhere(half)[0]
            place = f"{genotypes.variants.name(int(v))} has a half-call of sample {genotypes.samples[s]}"
            raise DataError(f"{source}: {place}; half_calls='missing' (--half-calls missing) accepts it.")
        calls = calls.copy()
        calls[half] = MISSING
    if genotypes.ploidy == 1 and policies.haploid == "diploid":
        calls = np.repeat(calls, 2, axis=2)
    if calls is not genotypes.calls:
        genotypes = replace(genotypes, calls=calls)
    return genotypes.without_phase() if policies.unphased else genotypes


def write_npz(genotypes: People, target: str, *, force: bool, command: str | None, seed: int | None) -> list[Path]:
    """Write one .npz file and the panel file; see `pgcgan.write`.

    The arrays: `calls` int8 (variants, samples, ploidy), -1 missing; `samples`; `contig`, `position`, `id`, `ref`,
    `alt` (variants); `contig_names`, `contig_lengths` (-1 unknown) and `assembly` ("" unknown); `label_names` and
    `labels` (labels, samples); `phased`; `version`; `command` and `seed` if they are given. The same genotypes give
    the same bytes.
    """
    check_writable(genotypes)
    variants = genotypes.variants
    labels = np.array([_texts(v) for v in genotypes.labels.values()], dtype=np.str_)
    arrays: dict[str, Any] = {
        "version": np.int64(_VERSION),
        "samples": _texts(genotypes.samples),
        "contig": _texts(variants.contig),
        "position": variants.position,
        "id": _texts(variants.id),
        "ref": _texts(variants.ref),
        "alt": _texts(variants.alt),
        "contig_names": _texts(variants.contig_lengths),
        "contig_lengths": np.array([-1 if n is None else n for n in variants.contig_lengths.values()], dtype=np.int64),
        "assembly": np.array(variants.assembly or "", dtype=np.str_),
        "label_names": _texts(genotypes.labels),
        "labels": labels.reshape(len(genotypes.labels), genotypes.n_samples),
        "phased": np.bool_(genotypes.phased),
    }
    if command is not None:
        arrays["command"] = np.array(visible(without_secrets(command)), dtype=np.str_)
    if seed is not None:
        arrays["seed"] = np.int64(seed)
    with outputs(genotypes, target, ".npz", force=force) as (workspace, written):
        path = os.path.join(workspace, os.path.basename(target))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            with _member(archive, "calls") as stream:  # as numpy writes it, but not all at once
                shape = genotypes.n_variants, genotypes.n_samples, genotypes.ploidy
                description = {"descr": "|i1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(stream, description)
                for _, calls in site_blocks(genotypes):
                    stream.write(calls.tobytes())
            for name, array in arrays.items():
                with _member(archive, name) as stream:
                    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)
    return written


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    # a fixed date, so that the same genotypes give the same bytes
    entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(entry, "w", force_zip64=True)


def _texts(values: Iterable[str]) -> np.ndarray:
    given = list(values)
    for value in given:
        if value.endswith("\0"):
            raise DataError(f"The name {value!r} cannot be written: numpy drops the null characters at its end.")
    return np.array(given, dtype=np.str_)
